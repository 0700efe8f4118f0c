"""Motion as files: BVH, and AMASS SMPL-X `.npz`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.errors import MocapError
from ...backend.core.rotations import Array
from ...backend.core.skeleton import JOINTS, PARENTS
from ...backend.core.take import NpzWriter
from . import euler
from .model import SourceMotion
from .sources import at_times

METRE = 100.0  # BVH units: centimetres, as most tools expect
ENDS = {"head": "head_top", "jaw": "chin", "left_foot": "left_big_toe", "right_foot": "right_big_toe"}


def evenly(motion: SourceMotion) -> tuple[SourceMotion, float]:
    """The motion at an even frame rate, which is its average one, and that rate: these files cannot say more."""
    count = len(motion.times)
    if count < 2:
        return motion, 30.0
    rate = (count - 1) / float(motion.times[-1] - motion.times[0])
    times = motion.times[0] + np.arange(count) / rate
    if np.abs(times - motion.times).max() < 1e-4:
        return motion, rate
    return at_times(motion, times), rate


def write_amass(path: Path, motion: SourceMotion) -> None:
    """AMASS SMPL-X: axis-angle poses (T, 165) and trans (T, 3), z up. Raises MocapError output-unwritable."""
    motion, rate = evenly(motion)
    count = len(motion.times)
    arrays = {
        "poses": rotations.to_axis_angle(motion.local).reshape(count, -1).astype(np.float32),
        "trans": (motion.pelvis - motion.body.offsets[0]).astype(np.float32),
        "betas": np.zeros(16, np.float32),
        "gender": "neutral",
        "mocap_frame_rate": float(rate),
        "surface_model_type": "smplx",
        "up_axis": "z",
        "rest_offsets": motion.body.offsets,
        "contacts": motion.contacts,
        "timestamps": motion.times,
        "fps": float(rate),
    }
    try:
        with NpzWriter(path) as file:
            for name, value in arrays.items():
                file.put(name, value)
    except OSError as error:
        raise MocapError("output-unwritable", f"{path} cannot be written ({error.strerror}).") from error


def write_bvh(path: Path, motion: SourceMotion) -> None:
    """BVH: y up, facing +z, centimetres, the SMPL-X T-pose as rest pose. Raises MocapError output-unwritable."""
    motion, rate = evenly(motion)
    turn = rotations.inverse(skeleton.Y_UP_TO_Z_UP)
    local = motion.local.copy()
    local[:, 0] = rotations.multiply(turn, local[:, 0])
    order = _depth_first(0)
    # Channels Z, X, Y: the order in which Blender's "YXZ" multiplies.
    angles = np.stack([np.degrees(euler.to_euler(local[:, j], "YXZ"))[:, [2, 0, 1]] for j in order], axis=1)
    values = np.concatenate([METRE * rotations.rotate(turn, motion.pelvis), angles.reshape(len(angles), -1)], axis=1)
    lines = ["HIERARCHY", *_hierarchy(motion, 0, 0), "MOTION", f"Frames: {len(values)}", f"Frame Time: {1 / rate:.7f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in values]
    partial = path.with_name(path.name + ".tmp")
    try:
        partial.write_text("\n".join(lines) + "\n", "ascii")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MocapError("output-unwritable", f"{path} cannot be written ({error.strerror}).") from error


def _depth_first(joint: int) -> list[int]:
    """Joints in the order in which a BVH file names them."""
    return [joint] + [j for child in np.flatnonzero(PARENTS == joint) for j in _depth_first(int(child))]


def _hierarchy(motion: SourceMotion, joint: int, depth: int) -> list[str]:
    tab = "\t" * depth
    offset = motion.body.offsets[joint] if joint else np.zeros(3)
    places = "" if joint else "Xposition Yposition Zposition "
    children = [int(child) for child in np.flatnonzero(PARENTS == joint)]
    lines = [
        f"{tab}{'JOINT' if joint else 'ROOT'} {JOINTS[joint]}",
        f"{tab}{{",
        f"{tab}\tOFFSET {_numbers(offset)}",
        f"{tab}\tCHANNELS {3 if joint else 6} {places}Zrotation Xrotation Yrotation",
    ]
    for child in children:
        lines += _hierarchy(motion, child, depth + 1)
    if not children:
        lines += [f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET {_numbers(_end(motion, joint))}", f"{tab}\t}}"]
    return [*lines, f"{tab}}}"]


def _end(motion: SourceMotion, joint: int) -> Array:
    """From a joint without children to the end of its limb, metres."""
    name = JOINTS[joint]
    point = ENDS.get(name) or name.replace("3", "_tip")
    if point in motion.body.points:
        return motion.body.points[point][1]
    return np.array([0.0, 0.0, 0.03])  # the eyes look ahead


def _numbers(metres: Array) -> str:
    return " ".join(f"{METRE * value:.5f}" for value in metres)
