"""The way of the body: how large it is on the target, and which bone carries how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array, inverse, multiply, rotate, swing_twist
from ...backend.core.skeleton import INDEX, Skeleton
from .calibration import SIDES, Stage
from .model import Options, SourceMotion
from .pose import Chain

HIPS = ("left_hip", "right_hip")


def middle_of_hips(body: Skeleton) -> Array:
    """(3,) metres from the pelvis joint, body axes."""
    return body.offsets[[INDEX[hip] for hip in HIPS]].mean(axis=0)


def source_height(body: Skeleton) -> float:
    """Height of the hips over the soles in T-pose, metres."""
    rest = body.joints()
    soles = [rest[body.points[p][0]] + body.points[p][1] for p in skeleton.FOOT_POINTS]
    return float(np.mean([rest[INDEX[hip], 1] for hip in HIPS]) - min(sole[1] for sole in soles))


def ankle_height(stage: Stage, heads: dict[str, Array], side: str) -> float:
    """Height of a rig's ankle over its sole in the rest pose, metres of the world."""
    up = rotate(inverse(stage.facing), stage.up)
    return (float(heads[f"{side}_ankle"] @ up) - stage.sole) * stage.unit


def rig_height(stage: Stage, heads: dict[str, Array], body: Skeleton) -> float | None:
    """Height of a rig's hips over its soles with its legs as in `body`'s T-pose, metres of the world; None: no legs."""
    found = []
    for side in SIDES:
        joints = [f"{side}_{j}" for j in ("hip", "knee", "ankle")]
        if all(joint in heads for joint in joints):
            height = ankle_height(stage, heads, side)
            for a, b in pairwise(joints):
                down = -rotations.normalize(body.offsets[INDEX[b]])[1]
                height += float(np.linalg.norm(heads[b] - heads[a])) * stage.unit * down
            found.append(height)
    return float(np.mean(found)) if found else None


def size(stage: Stage, heads: dict[str, Array], body: Skeleton) -> float:
    """How large the rig is beside the source, by the height of the hips; without legs, by that of the pelvis."""
    own = rig_height(stage, heads, body)
    if own is None:
        up = rotate(inverse(stage.facing), stage.up)
        own = (float(heads["pelvis"] @ up) - stage.sole) * stage.unit
    ratio = own / source_height(body)
    return ratio if ratio > 1e-3 else 1.0


@dataclass(frozen=True)
class Way:
    """The way of the middle of the hips on the target, motion's axes, metres, (T, 3); heading: (T, 4) about z."""

    hips: Array
    heading: Array


def way_of(source: SourceMotion, ratio: float, options: Options) -> Way:
    """The source's way at the target's size: height by the hips, way over the floor as the options have it."""
    hips = source.pelvis + rotate(source.local[:, 0], middle_of_hips(source.body))
    floor = ratio if isinstance(options.scale, str) else float(options.scale)
    turned = multiply(source.local[:, 0], inverse(skeleton.Y_UP_TO_Z_UP))
    _, heading = swing_twist(turned, [0.0, 0.0, 1.0])
    return Way(hips * [floor, floor, ratio], heading)


def held_back(way: Way, rest: Array, stage: Stage, world: Array, options: Options) -> Array:
    """(T, 3) metres, motion's axes: the part of the way that the options take away. rest: (3,) hips at rest."""
    out = np.zeros_like(way.hips)
    if options.root == "in_place":
        out[:, :2] = way.hips[:, :2] - rest[:2]
        return out * [1.0, 1.0, 0.0] + _locked(way, world, stage, (False, False, options.lock[2]))
    return _locked(way, world, stage, options.lock)


def _locked(way: Way, world: Array, stage: Stage, lock: tuple[bool, bool, bool]) -> Array:
    """Locks are along the world's axes, which an object turned about z does not share."""
    matrix = world[:3, :3] / np.linalg.norm(world[2, :3])
    to_world = matrix @ rotations.to_matrix(stage.turn)
    moved = (way.hips - way.hips[0]) @ to_world.T
    return np.where(lock, moved, 0.0) @ np.linalg.inv(to_world).T


def carrier(chain: Chain, rows: dict[str, list[int]], spare: int | None) -> int | None:
    """The bone whose location moves the whole body: the pelvis, or the nearest bone above it that moves legs and torso
    too and may be moved. `spare`: a bone that has another task."""
    rig = chain.rig
    below = [rows[role][0] for role in ("pelvis", "spine", *HIPS) if role in rows]
    shared = set.intersection(*(set(chain.above(row)) for row in below))
    fallback = None
    for row in chain.above(below[0]):
        free = not rig.connected[row] and not rig.locks[row, :3].all()
        if row in shared and free:
            if row != spare:
                return row
            fallback = row
    return fallback
