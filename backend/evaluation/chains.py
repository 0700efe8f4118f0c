"""Chains of body engines on the same observations, against exact truth: which one is better, and by how much.

By the pipeline's own code from OBSERVATIONs on. `motion.observed` makes clips; some that never change hold the shipped
networks to their figures in the tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..body.analytic import AnalyticSolver
from ..body.chain import BodyChain
from ..body.feet import FootMR
from ..body.lifter import LifterSolver
from ..body.tokens import KEYPOINTS, in_strands, tokens
from ..core import keypoints, rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import BODY, Skeleton
from ..stages import OBSERVATION, BodySolver, Camera
from ..world.camera import LEVEL
from ..world.ground import upright_camera
from ..world.orient import OrientCorrect
from ..world.steady import steadied
from . import metrics

_FEET = [keypoints.INDEX[name] for name in keypoints.FEET]
LIMBS = [sk.INDEX[f"{side}_{name}"] for name in ("hip", "knee", "shoulder", "elbow") for side in ("left", "right")]


class Clip(NamedTuple):
    """What was seen of one person, by which camera, and what was true.

    observations (T,) of OBSERVATION; offsets (55, 3) metres, the person's own; local (T, 55, 4), root in camera space;
    pelvis (T, 3) metres, camera space; down (T, 3) gravity's direction, camera space.
    """

    observations: np.ndarray
    camera: Camera
    offsets: Array
    local: Array
    pelvis: Array
    down: Array

    @property
    def skeleton(self) -> Skeleton:
        """The person's own."""
        return sk.neutral().with_offsets(self.offsets)


def synthetic_camera(focal: float, size: float) -> Camera:
    """A camera of which nothing is known but its lens."""
    return Camera(focal, np.full(2, size / 2), np.full(2, size), LEVEL, np.zeros(3))


def write_clips(seen: list[Clip], path: Path) -> None:
    """Clips of synthetic cameras as a small .npz, rounded where that is harmless."""
    arrays: dict[str, np.ndarray] = {}
    for i, clip in enumerate(seen):
        o = clip.observations
        parts = {
            "time": o["time"], "keypoints": o["keypoints"][:, :KEYPOINTS], "roi": o["roi"], "turn": o["turn"],
            "landmarks": o["landmarks"].astype(np.float16), "lens": np.array([clip.camera.focal, clip.camera.size[0]]),
            "offsets": clip.offsets.astype(np.float32), "pelvis": clip.pelvis.astype(np.float32),
            "pose": rotations.to_axis_angle(clip.local[:, :BODY]).astype(np.float32),
            "down": clip.down.astype(np.float32),
        }  # fmt: skip
        arrays |= {f"{i}.{name}": value for name, value in parts.items()}
    np.savez_compressed(path, **arrays)


def read_clips(path: Path) -> list[Clip]:
    """What `write_clips` wrote."""
    with np.load(path, allow_pickle=False) as data:
        arrays = dict(data)
    found = []
    for i in range(1 + max(int(name.partition(".")[0]) for name in arrays)):
        part = {name: arrays[f"{i}.{name}"] for name in _PARTS}
        o = np.zeros(len(part["time"]), OBSERVATION)
        o["frame"], o["time"] = np.arange(len(o)), part["time"]
        o["keypoints"][:, :KEYPOINTS], o["landmarks"] = part["keypoints"], part["landmarks"]
        o["roi"], o["turn"], o["consistency"] = part["roi"], part["turn"], 1.0
        local = np.tile(rotations.IDENTITY, (len(o), sk.COUNT, 1))
        local[:, :BODY] = rotations.from_axis_angle(part["pose"].astype(float))
        camera = synthetic_camera(*part["lens"].tolist())
        offsets, pelvis, down = (part[name].astype(float) for name in ("offsets", "pelvis", "down"))
        found.append(Clip(o, camera, offsets, local, pelvis, down))
    return found


_PARTS = ("time", "keypoints", "landmarks", "roi", "turn", "lens", "offsets", "pelvis", "pose", "down")


class _BlindLifter(LifterSolver):
    """The lifter with COCO's 17 keypoints and no 3D points: it sees no feet, like most networks that FootMR's paper
    refines."""

    def _lift(self, observations: NDArray[Any], points: Array, camera: Camera) -> dict[str, NDArray[np.float32]]:
        seen = observations.copy()
        seen["keypoints"][:, _FEET, 2] = 0.0
        times = seen["time"].astype(float)
        return in_strands(times, lambda rows: self._network(**tokens(seen[rows], None, camera)._asdict()))


def chains() -> dict[str, BodySolver]:
    """The chains that are compared."""
    lifter, blind, feet, orient = LifterSolver(), _BlindLifter(), FootMR(), OrientCorrect()
    return {
        "analytic": AnalyticSolver(),
        "lifter, feet unseen": BodyChain(blind),
        "lifter, feet unseen + footmr": BodyChain(blind, feet),
        "lifter": BodyChain(lifter),
        "lifter + footmr": BodyChain(lifter, feet),
        "lifter + footmr + orientcorrect": BodyChain(lifter, feet, orient),
    }


def measure(chain: BodySolver, seen: list[Clip]) -> dict[str, float]:
    """One chain's figures over all frames of all clips."""
    rows: dict[str, list[Array]] = defaultdict(list)
    for clip in seen:
        for name, values in _figures(chain, clip).items():
            rows[name].append(np.ravel(values))
    figures = {name: float(np.concatenate(values).mean()) for name, values in rows.items() if name != "gravity °"}
    gravity = np.concatenate(rows["gravity °"])
    return figures | {"gravity ° median": float(np.median(gravity)), "95th": float(np.quantile(gravity, 0.95))}


def _figures(chain: BodySolver, clip: Clip) -> dict[str, Array]:
    turns = clip.observations["turn"].astype(float)
    skeleton = chain.measure(clip.observations, clip.camera)
    first = chain.solve(clip.observations, skeleton, clip.camera)
    camera = upright_camera([(skeleton, steadied(first, turns))], clip.camera)
    skeleton = chain.measure(clip.observations, camera)  # as the pipeline does, now that it knows which way is up
    motion = chain.solve(clip.observations, skeleton, camera)
    up = rotations.rotate(rotations.multiply(turns, camera.rotation), [0.0, 0.0, 1.0])
    turned, joints = sk.forward_kinematics(skeleton, motion.rotations, motion.pelvis)
    true_turned, true_joints = sk.forward_kinematics(clip.skeleton, clip.local, clip.pelvis)
    feet, true_feet = (
        sk.posed_points(body, t, j, sk.FOOT_POINTS)
        for body, t, j in ((skeleton, turned, joints), (clip.skeleton, true_turned, true_joints))
    )
    about, true_about = (j[:, :BODY] - j[:, :1] for j in (joints, true_joints))
    figures = {
        "PA-MPJPE mm": 1000 * metrics.pa_mpjpe(joints[:, :BODY], true_joints[:, :BODY]),
        "MPJPE mm": 1000 * metrics.mpjpe(joints[:, :BODY], true_joints[:, :BODY]),
        "accel m/s²": metrics.acceleration_error(about, true_about, 30.0),
        "AJAE °": metrics.ankle_angle_error(turned[:, sk.ANKLES], true_turned[:, sk.ANKLES]),
        "N-MPJPE_F mm": 1000 * metrics.foot_mpjpe(feet, true_feet),
        "twist °": np.concatenate([_twist(motion.rotations, clip.local, joint) for joint in LIMBS]),
    }
    own, true_own = (
        rotations.rotate(rotations.inverse(t[:, 0]), u) for t, u in ((turned, up), (true_turned, -clip.down))
    )
    return figures | {
        "lean °": metrics.angle_between(own, true_own),
        "gravity °": metrics.angle_between(-up, clip.down),
    }


def _twist(found: Array, true: Array, joint: int) -> Array:
    """(T,) degrees by which a limb's turn about its own length is off; parent-relative rotations (T, 55, 4)."""
    child = int(np.flatnonzero(np.asarray(sk.PARENTS) == joint)[0])
    axis = rotations.normalize(sk.neutral().offsets[child])
    angles = []
    for local in (found, true):
        _, twist = rotations.swing_twist(local[:, joint], axis)
        angles.append(2 * np.arctan2(np.sum(twist[:, 1:] * axis, -1), twist[:, 0]))
    return np.degrees(np.abs((angles[0] - angles[1] + np.pi) % (2 * np.pi) - np.pi))


def render(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The figures as a Markdown table."""
    names = list(next(iter(next(iter(found.values())).values())))
    lines = ["| " + " | ".join(["input", "engines", *names]) + " |", "| --- | --- |" + " ---: |" * len(names)]
    for setting, chains_ in found.items():
        for chain, figures in chains_.items():
            values = " | ".join(f"{figures[name]:.1f}" for name in names)
            lines.append(f"| {setting} | {chain} | {values} |")
    return "\n".join(lines)
