"""Motion to put onto a rig, from any file: takes of this extension, AMASS and SMPL-X `.npz`, BVH."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations, skeleton
from ...backend.core.errors import MocapError
from ...backend.core.rotations import Array
from ...backend.core.runs import runs
from ...backend.core.take import DAMAGE
from . import recognise, solve
from .bvh import read_bvh
from .model import SourceMotion

SUFFIXES = (".npz", ".bvh")
RATES = ("mocap_frame_rate", "mocap_framerate", "fps", "framerate", "frame_rate")
USUAL_RATE = 30.0  # frames a second, where a file names none

# Where a foot counts as planted when a file does not say: metres above the floor, metres a second, seconds.
NEAR, SLOW, LEAST = 0.06, 0.35, 0.1

UPRIGHT = 0.7  # a body whose crown points this much along an axis in the mean seems to stand along it
LYING = (-0.02, 0.15)  # metres of the lowest joint over the floor, for a body that lies on it

_BODY, _HANDS = slice(0, 22), slice(25, 55)
_PARTS = {  # names of the parts of a pose, in files that keep them apart -> the joints they turn
    "root_orient": slice(0, 1), "global_orient": slice(0, 1), "pose_body": slice(1, 22), "body_pose": slice(1, 22),
    "pose_jaw": slice(22, 23), "jaw_pose": slice(22, 23), "pose_eye": slice(23, 25), "leye_pose": slice(23, 24),
    "reye_pose": slice(24, 25), "pose_hand": _HANDS, "left_hand_pose": slice(25, 40), "right_hand_pose": slice(40, 55),
}  # fmt: skip


def read_motion(path: Path) -> SourceMotion:
    """Read a file. Raises MocapError motion-unreadable or, for a BVH without a body, rig-unknown."""
    if not path.is_file():
        raise MocapError("motion-unreadable", f"There is no file {path}.")
    if path.suffix.lower() == ".bvh":
        return _from_bvh(path)
    if path.suffix.lower() == ".npz":
        return _from_arrays(_arrays(path), path)
    raise MocapError("motion-unreadable", f"{path.name} is of another kind than {' and '.join(SUFFIXES)}.")


def _from_bvh(path: Path) -> SourceMotion:
    file = read_bvh(path)
    mapping = recognise.recognise(file.rig)
    missing = [
        role for role in ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee") if not mapping.bones.get(role)
    ]
    if missing:
        raise MocapError("rig-unknown", f"{path.name} has no joint for {', '.join(missing)}.")
    motion = solve.source_from_rig(file.rig, mapping, file.times, file.channels)
    return grounded(motion)


def _arrays(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files if data[name].dtype != object}
    except DAMAGE as error:
        raise MocapError("motion-unreadable", f"{path} cannot be read ({error}).") from error


def _from_arrays(arrays: dict[str, NDArray], path: Path) -> SourceMotion:
    pose = _pose(arrays)
    place = next((arrays[name] for name in ("trans", "transl") if name in arrays), None)
    if pose is None or not len(pose):
        raise MocapError(
            "motion-unreadable", f"{path.name} holds no SMPL-X motion: it has {', '.join(arrays) or 'nothing'}."
        )
    place = np.zeros((len(pose), 3)) if place is None else np.asarray(place, float).reshape(-1, 3)
    if len(place) != len(pose) or not (np.isfinite(pose).all() and np.isfinite(place).all()):
        raise MocapError("motion-unreadable", f"{path.name} is damaged: poses and places do not belong together.")
    body = skeleton.neutral()
    if "rest_offsets" in arrays:
        body = body.with_offsets(arrays["rest_offsets"].astype(float))
    local, pelvis = rotations.continuous(rotations.from_axis_angle(pose)), place + body.offsets[0]
    if _is_y_up(arrays, body, local, pelvis):
        turn = skeleton.Y_UP_TO_Z_UP
        local[:, 0], pelvis = rotations.multiply(turn, local[:, 0]), rotations.rotate(turn, pelvis)
    if "timestamps" in arrays and len(arrays["timestamps"]) == len(pose):
        times = arrays["timestamps"].astype(float)
    else:
        rate = next((float(arrays[name]) for name in RATES if name in arrays), USUAL_RATE)
        times = np.arange(len(pose)) / rate
    if "contacts" in arrays and arrays["contacts"].shape == (len(pose), 4):
        return SourceMotion(times, body, local, pelvis, arrays["contacts"].astype(np.uint8))
    return grounded(SourceMotion(times, body, local, pelvis, np.zeros((len(pose), 4), np.uint8)))


def _pose(arrays: dict[str, NDArray]) -> Array | None:
    """Rotation vectors (T, 55, 3); what a file of SMPL or SMPL-H lacks is at rest."""
    if "poses" in arrays:
        given = np.asarray(arrays["poses"], float)
        given = given.reshape(len(given), -1, 3)
        whole = np.zeros((len(given), skeleton.COUNT, 3))
        if given.shape[1] == skeleton.COUNT:
            return given
        if given.shape[1] == 52:  # SMPL-H: no jaw, no eyes
            whole[:, _BODY], whole[:, _HANDS] = given[:, _BODY], given[:, 22:]
        elif given.shape[1] in (22, 24):  # SMPL, with or without its two stiff hands
            whole[:, _BODY] = given[:, :22]
        else:
            return None
        return whole
    parts = {name: np.asarray(arrays[name], float) for name in _PARTS if name in arrays}
    if not {"root_orient", "global_orient"} & parts.keys():
        return None
    frames = max(len(part) for part in parts.values())
    whole = np.zeros((frames, skeleton.COUNT, 3))
    for name, part in parts.items():
        joints = _PARTS[name]
        part = part.reshape(len(part), -1, 3)[:, : joints.stop - joints.start]
        if len(part) == frames:
            whole[:, joints.start : joints.start + part.shape[1]] = part
    return whole


def _is_y_up(arrays: dict[str, NDArray], body: skeleton.Skeleton, local: Array, pelvis: Array) -> bool:
    """What the file says, else the axis along which the body stands, or on whose floor it lies or crawls."""
    if "up_axis" in arrays:
        return str(arrays["up_axis"]).lower() == "y"
    standing = np.mean(rotations.rotate(local[:, 0], [0.0, 1.0, 0.0]), axis=0)
    if standing[2] > UPRIGHT:
        return False
    _, joints = skeleton.forward_kinematics(body, local, pelvis)
    lowest = joints.min(axis=1)
    if standing[1] > UPRIGHT and not LYING[0] < np.median(lowest[:, 2]) < LYING[1]:
        return True
    near = np.abs(lowest).mean(axis=0)  # where the floor is, the lowest joint is never far from 0
    return bool(near[1] < near[2])


def grounded(motion: SourceMotion) -> SourceMotion:
    """The same motion with its floor at z = 0 and its contacts found: feet that are low and slow are planted."""
    turned, joints = skeleton.forward_kinematics(motion.body, motion.local, motion.pelvis)
    feet = skeleton.posed_points(motion.body, turned, joints, skeleton.FOOT_POINTS)
    # heel and toes of each foot, as skeleton.CONTACTS has them
    points = np.stack([feet[:, 2], feet[:, 0], feet[:, 5], feet[:, 3]], axis=1)
    step = np.maximum(np.gradient(motion.times) if len(motion.times) > 1 else np.ones(1), 1e-6)
    speed = np.zeros(points.shape[:2])
    if len(points) > 1:
        speed = np.linalg.norm(np.gradient(points, axis=0), axis=-1) / step[:, None]
    # The floor is where feet rest; where they never do, it is under the lowest of them.
    resting = np.where(speed < SLOW, points[..., 2], np.inf).min(axis=1)
    resting = resting[np.isfinite(resting)]
    floor = float(np.percentile(resting if len(resting) else points[..., 2].min(axis=1), 10))
    down = (points[..., 2] - floor < NEAR) & (speed < SLOW)
    least = max(1, round(LEAST / float(np.median(step))))
    contacts = np.stack([_lasting(row, least) for row in down.T], axis=1).astype(np.uint8)
    pelvis = motion.pelvis - [0.0, 0.0, floor]
    return SourceMotion(motion.times, motion.body, motion.local, pelvis, contacts)


def _lasting(down: NDArray[np.bool_], least: int) -> NDArray[np.bool_]:
    """Spans (T,) of at least `least` frames."""
    out = np.zeros(len(down), bool)
    for start, end in runs(down):
        out[start:end] = end - start >= least
    return out


def between(motion: SourceMotion, start: float | None, end: float | None) -> SourceMotion:
    """The frames from `start` to `end` seconds. Raises MocapError range-outside when there are none."""
    inside = np.ones(len(motion.times), bool)
    inside &= motion.times >= (-np.inf if start is None else start - 1e-6)
    inside &= motion.times <= (np.inf if end is None else end + 1e-6)
    if not inside.any():
        last = float(motion.times[-1])
        raise MocapError("range-outside", f"The motion has no frame in the range; it ends at {last:.2f} s.")
    return SourceMotion(
        motion.times[inside], motion.body, motion.local[inside], motion.pelvis[inside], motion.contacts[inside]
    )


def at_times(motion: SourceMotion, times: Array) -> SourceMotion:
    """The motion at other times (T',) seconds inside its own; contacts are those of the nearest frame."""
    if len(motion.times) < 2:
        return motion
    after = np.clip(np.searchsorted(motion.times, times), 1, len(motion.times) - 1)
    before = after - 1
    share = np.clip((times - motion.times[before]) / (motion.times[after] - motion.times[before]), 0.0, 1.0)[:, None]
    local = rotations.slerp(motion.local[before], motion.local[after], share)
    pelvis = motion.pelvis[before] + (motion.pelvis[after] - motion.pelvis[before]) * share
    contacts = np.where(share < 0.5, motion.contacts[before], motion.contacts[after])
    return SourceMotion(np.asarray(times, float), motion.body, rotations.continuous(local), pelvis, contacts)
