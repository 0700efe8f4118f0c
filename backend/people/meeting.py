"""People in each other's way: who is whom while bodies overlap in the picture.

Each of them is looked at twice: as they are, and with the others painted out where they should be. Of the two looks at
a person, body and limb by limb, the one is believed that is near where the person was going, has their colours and does
not lie on somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.multicrop import JOINTS, TORSO, agreement, disagreement, torso_length
from ..landmarks.pose import INDEX, PoseLook, PoseModel
from ..landmarks.silhouette import inside
from .appearance import similarity, torso_colours
from .body import Body, same_person
from .track import Track

_MARGIN = 0.08  # of the region's side, around a body's landmarks
_SAME_LIMB = 0.2  # torso lengths between joints of two people that may be one joint seen twice
_SHARED = 0.6  # what it costs, at most, when two looks have their joints in the same places
_COLOURS = 0.5  # and when the torso has none of the person's colours
_LOST = 0.1  # and when the person was lost: to take a body from somebody they must fit it clearly better
_UNPAINTED, _GUESSED = 0.15, 0.3  # what it costs to see the others, and to guess where they were painted out
_SAME_TORSO = 0.2  # torso lengths between two looks at a person of which either may lend the other its limbs
_HIDDEN = 0.5  # visibility of a joint that was guessed where somebody else was painted out, against one that was seen
_SWEEPS = 2

_LIMBS = [
    [INDEX[f"{side}_{name}"] for name in names]
    for names in (("elbow", "wrist", "pinky", "index", "thumb"), ("knee", "ankle", "heel", "foot_index"))
    for side in ("left", "right")
]
_OPPOSITE = (1, 0, 3, 2)  # the same limb of the other side


class _Look(NamedTuple):
    """One look at a person. surprise: how far the body is from where it should be, torso lengths; strange: how little
    it is the person's; cost: how little it is to be believed, limb_costs (4,): and its limbs."""

    pose: PoseLook
    surprise: float
    strange: float
    cost: float
    limb_costs: Array


def groups(tracks: Sequence[Track], time: float) -> list[list[Track]]:
    """Those whose bodies should overlap in the picture at `time`, together; who is alone, alone."""
    boxes = [_box(track, time) for track in tracks]
    owner = list(range(len(tracks)))
    for a, b in combinations(range(len(tracks)), 2):
        if owner[a] != owner[b] and _overlap(boxes[a], boxes[b]):
            owner = [owner[a] if group == owner[b] else group for group in owner]
    return [[t for t, group in zip(tracks, owner, strict=True) if group == which] for which in dict.fromkeys(owner)]


def _box(track: Track, time: float) -> tuple[Array, Array]:
    """Top left and bottom right corner (2,) of where a body should be."""
    points, margin = track.expected_points(time), _MARGIN * track.pose.roi.side
    return points.min(axis=0) - margin, points.max(axis=0) + margin


def _overlap(a: tuple[Array, Array], b: tuple[Array, Array]) -> bool:
    return bool((np.minimum(a[1], b[1]) > np.maximum(a[0], b[0])).all())


def see_together(
    model: PoseModel, rgb: NDArray[np.uint8], tracks: list[Track], time: float, each: Callable[..., Iterable[Any]]
) -> list[Body | None]:
    """The bodies of people who are in each other's way, in the order of `tracks`; None for who is covered by another.
    each: `map`, or a thread pool's."""
    expected = [track.expected_points(time) for track in tracks]
    boxes = [_box(track, time) for track in tracks]
    jobs: list[tuple[int, list[Array]]] = []
    for k in range(len(tracks)):
        near = [j for j, box in enumerate(boxes) if j != k and not tracks[j].lost and _overlap(box, boxes[k])]
        jobs += [(k, [])] + ([(k, [expected[j] for j in near])] if near else [])

    def look(job: tuple[int, list[Array]]) -> _Look:
        k, others = job
        pose = model.look(rgb, tracks[k].expected_roi(time), others=others)
        return _judged(pose, tracks[k], expected[k], others, rgb)

    looks = list(each(look, jobs))
    options = [[seen for (j, _), seen in zip(jobs, looks, strict=True) if j == k] for k in range(len(tracks))]
    chosen = _bodies(options)
    bodies: list[Body | None] = []
    for own, pose in zip(chosen, _with_limbs(chosen, options), strict=True):
        covered = any(o.strange < own.strange and same_person(o.pose, own.pose) for o in chosen if o is not own)
        bodies.append(None if covered else Body(pose, pose.flag * (0.5 + 0.5 * agreement(own.surprise))))
    return bodies


def _judged(pose: PoseLook, track: Track, expected: Array, others: list[Array], rgb: NDArray[np.uint8]) -> _Look:
    length = torso_length(expected, pose.used.side)
    apart = np.minimum(np.linalg.norm(pose.points - expected, axis=1) / length, 1.0)
    surprise = disagreement(pose.points, expected, np.ones(33), length)
    colours = torso_colours(rgb, pose.points)
    strange = surprise + (1 - pose.flag) + _COLOURS * (1 - similarity(track.colours, colours)) + _LOST * track.lost
    gone = np.any([inside(pose.points, points) for points in others], axis=0) if others else np.zeros(33, bool)
    doubt = _GUESSED * gone if others else np.full(33, _UNPAINTED)
    return _Look(
        pose._replace(visibility=np.where(gone, _HIDDEN, 1.0) * pose.visibility),
        surprise,
        strange,
        strange + float(doubt[JOINTS].mean()),
        np.array([(apart + doubt)[limb[:2]].mean() for limb in _LIMBS]),
    )


def _bodies(options: list[list[_Look]]) -> list[_Look]:
    """One look a person, such that each is likely and no two are of one body: the likeliest each, then exchanged."""
    chosen = [min(looks, key=lambda look: look.cost) for looks in options]
    for _ in range(_SWEEPS):
        for k, looks in enumerate(options):
            rest = [other.pose for j, other in enumerate(chosen) if j != k]
            chosen[k] = min(looks, key=lambda look: look.cost + sum(_SHARED * shared(look.pose, o) for o in rest))
    return chosen


def _with_limbs(chosen: list[_Look], options: list[list[_Look]]) -> list[PoseLook]:
    """The chosen looks; limbs that they took from somebody else come from the other look at the same person."""
    poses = [look.pose for look in chosen]
    for k, looks in enumerate(options):
        length = torso_length(poses[k].points, poses[k].roi.side)
        rest = [pose for j, pose in enumerate(poses) if j != k]
        for other in looks:
            if np.linalg.norm(other.pose.points - chosen[k].pose.points, axis=1)[TORSO].mean() > _SAME_TORSO * length:
                continue
            for n, limb in enumerate(_LIMBS):
                costs = [
                    look.limb_costs[n] + _SHARED * max((_taken(look.pose, n, o, length) for o in rest), default=0.0)
                    for look in (chosen[k], other)
                ]
                if costs[1] < costs[0]:
                    poses[k] = _lent(poses[k], other.pose, limb)
    return poses


def _taken(a: PoseLook, limb: int, b: PoseLook, length: float) -> float:
    """0..1: how surely a limb of `a` lies on one of `b`."""
    joints = _LIMBS[limb][:2]
    apart = [np.linalg.norm(a.points[joints] - b.points[_LIMBS[n][:2]], axis=1).max() for n in (limb, _OPPOSITE[limb])]
    return float(np.exp(-((min(apart) / length / _SAME_LIMB) ** 2)))


def _lent(pose: PoseLook, other: PoseLook, limb: list[int]) -> PoseLook:
    """`pose` with a limb of another look at the same person."""

    parts = {}
    for name in ("points", "visibility", "presence", "world"):
        parts[name] = getattr(pose, name).copy()
        parts[name][limb] = getattr(other, name)[limb]
    return PoseLook(**parts, flag=pose.flag, roi=pose.roi, used=pose.used)


def shared(a: PoseLook, b: PoseLook) -> float:
    """0..1: how far two looks have their joints in the same places, whichever side of the body."""
    length = min(torso_length(a.points, a.roi.side), torso_length(b.points, b.roi.side))
    apart = np.linalg.norm(a.points[JOINTS, None] - b.points[None, JOINTS], axis=-1).reshape(-1, 2, len(JOINTS) // 2, 2)
    own = np.arange(len(JOINTS) // 2)
    return float(np.exp(-((apart[own, :, own].min(axis=(1, 2)) / length / _SAME_LIMB) ** 2)).mean())
