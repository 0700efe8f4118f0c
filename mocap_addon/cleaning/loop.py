"""Loops: where a motion comes back to itself, and how its end runs into its beginning. And motions in place."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from ...backend.core.smoothing import local_quadratic
from ..retarget.model import SourceMotion
from ..retarget.sources import at_times
from .motion import about_z, heading

BODY = slice(0, 22)  # joints that are compared; the fingers' ways are short
SPEED = 0.15  # seconds: how much a difference in speed counts against one of place
MOST = 1500  # frames that are compared with each other
SWAY = 0.5  # seconds: what is slower than that is way, what is quicker is sway


class Loop(NamedTuple):
    """From one second to another; off: metres by which the joints of both frames differ, on average."""

    start: float
    end: float
    off: float


def find(motion: SourceMotion, shortest: float, longest: float, first: float, last: float) -> Loop | None:
    """The two frames between `first` and `last` (seconds) that are most alike in pose and speed and lie between
    `shortest` and `longest` seconds apart; where the body is and where it faces do not count. None: there are none."""
    inside = np.flatnonzero((motion.times >= first - 1e-6) & (motion.times <= last + 1e-6))
    step = max(1, -(-len(inside) // MOST))
    if len(inside) < 3:
        return None
    times = motion.times[inside]
    place = _seen_from_itself(motion)[inside]
    speed = np.gradient(place, times, axis=0)
    features = np.concatenate([place, SPEED * speed], axis=1)
    coarse = np.arange(0, len(inside), step)
    best = _nearest(times, features, coarse, coarse, shortest, longest)
    if best is None:
        return None
    if step > 1:  # and once more, frame by frame, around the best of the coarse pairs
        near = [np.clip(np.arange(k - step, k + step + 1), 0, len(inside) - 1) for k in best]
        best = _nearest(times, features, np.unique(near[0]), np.unique(near[1]), shortest, longest) or best
    a, b = best
    off = np.linalg.norm((place[a] - place[b]).reshape(-1, 3), axis=1).mean()
    return Loop(float(times[a]), float(times[b]), float(off))


def _nearest(
    times: Array, features: Array, rows: Array, columns: Array, shortest: float, longest: float
) -> tuple[int, int] | None:
    one, two = features[rows], features[columns]
    distance = np.sum(one**2, axis=1)[:, None] + np.sum(two**2, axis=1) - 2.0 * one @ two.T
    apart = times[columns] - times[rows, None]
    distance[(apart < shortest - 1e-6) | (apart > longest + 1e-6)] = np.inf
    k = int(np.argmin(distance))
    if not np.isfinite(distance.flat[k]):
        return None
    row, column = np.unravel_index(k, distance.shape)
    return int(rows[row]), int(columns[column])


def _seen_from_itself(motion: SourceMotion) -> Array:
    """(T, 66) metres: joints of the body, seen from under the pelvis, looking where the body faces."""
    _, joints = skeleton.forward_kinematics(motion.body, motion.local, motion.pelvis)
    seen = joints[:, BODY] - motion.pelvis[:, None] * [1.0, 1.0, 0.0]
    back = about_z(-heading(motion.local[:, 0]))
    return rotations.rotate(back[:, None], seen).reshape(len(seen), -1)


def cut(motion: SourceMotion, start: float, end: float, blend: float) -> SourceMotion:
    """The frames from `start` to `end` seconds, the last pose being the first one.

    Over the last `blend` seconds the pose fades into what leads up to the start (into the start itself where the
    motion has nothing before it). The way goes on: it is walked straight, so that the next round begins where this
    one ends, facing the same way.
    """
    inside = (motion.times >= start - 1e-6) & (motion.times <= end + 1e-6)
    rows = np.flatnonzero(inside)
    if len(rows) < 3:
        return motion
    times = motion.times[rows]
    start, end = float(times[0]), float(times[-1])
    length = end - start
    blend = min(blend, length / 2)
    loop = SourceMotion(times, motion.body, motion.local[rows], motion.pelvis[rows], motion.contacts[rows])
    share = np.clip((times - (end - blend)) / max(blend, 1e-6), 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    share[-1] = 1.0
    earlier = at_times(motion, np.maximum(times - length, motion.times[0]))

    faces, before = (np.unwrap(heading(m.local[:, 0])) for m in (loop, earlier))
    tilt = rotations.multiply(about_z(-faces), loop.local[:, 0])
    tilt_before = rotations.multiply(about_z(-before), earlier.local[:, 0])
    local = rotations.slerp(loop.local, earlier.local, np.broadcast_to(share[:, None], loop.local.shape[:2]))
    # Heading and way: what is left over at the end is taken back evenly.
    turn = faces[-1] - faces[0]
    turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
    back = -turn * (times - start) / length
    # What leads up to the start has the start's own changes of heading, from the loop's heading at its end.
    drift = (1.0 - share) * (faces + back) + share * (faces[0] + before - before[-1])
    local[:, 0] = rotations.multiply(about_z(drift), rotations.slerp(tilt, tilt_before, share))
    local[-1] = local[0]
    pelvis = np.empty_like(loop.pelvis)
    pelvis[:, 2] = (1.0 - share) * loop.pelvis[:, 2] + share * earlier.pelvis[:, 2]
    pelvis[-1, 2] = pelvis[0, 2]
    steps = rotations.rotate(about_z(back[:-1]), np.diff(loop.pelvis, axis=0))
    lead = rotations.rotate(about_z(faces[0] - before[-1]), np.diff(earlier.pelvis, axis=0))
    known = (times[1:] - length > motion.times[0] + 1e-6)[:, None]
    weight = share[1:, None] * known
    steps = (1.0 - weight) * steps + weight * lead
    pelvis[:, :2] = loop.pelvis[0, :2] + np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:, :2], axis=0)])
    return replace(loop, local=rotations.continuous(local), pelvis=pelvis)


def in_place(motion: SourceMotion, kind: str, cyclic: bool) -> SourceMotion:
    """Without the way over the floor. kind: "SWAY" keeps what the hips sway about their way, "FIXED" holds them
    where they begin. cyclic: the motion is a loop, whose end stays its beginning."""
    way = motion.pelvis[:, :2]
    if kind == "FIXED":
        path = way
    elif cyclic:
        share = (motion.times - motion.times[0]) / max(motion.times[-1] - motion.times[0], 1e-6)
        path = way[0] + share[:, None] * (way[-1] - way[0])
    else:
        path = local_quadratic(way[:, None], motion.times, np.ones((len(way), 1)), SWAY)[:, 0]
    pelvis = motion.pelvis.copy()
    pelvis[:, :2] += path[:1] - path
    return replace(motion, pelvis=pelvis)
