"""People in each other's way: who is whom while bodies overlap in the picture.

Each of them is looked at twice: as they are, and with the others painted out where they should be. Of these looks those
are believed, one a person, that are near where the person was going and are not of the same body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.multicrop import JOINTS, agreement, disagreement, torso_length
from ..landmarks.pose import PoseLook, PoseModel
from .body import Body
from .track import Track

_MARGIN = 0.03  # of the region's side, around a body's landmarks
_SAME_LIMB = 0.2  # torso lengths between joints of two people that may be one joint seen twice
_SHARED = 0.6  # what it costs, at most, when two looks share their joints
_SWEEPS = 3


def groups(tracks: Sequence[Track], time: float) -> list[list[Track]]:
    """Those whose bodies should overlap in the picture at `time`, together; who is alone, alone."""
    boxes = [_box(track, time) for track in tracks]
    owner = list(range(len(tracks)))
    for a, b in combinations(range(len(tracks)), 2):
        if owner[a] != owner[b] and (np.minimum(boxes[a][1], boxes[b][1]) > np.maximum(boxes[a][0], boxes[b][0])).all():
            owner = [owner[a] if group == owner[b] else group for group in owner]
    return [[t for t, group in zip(tracks, owner, strict=True) if group == which] for which in dict.fromkeys(owner)]


def _box(track: Track, time: float) -> tuple[Array, Array]:
    """Top left and bottom right corner (2,) of where a body should be."""
    points, margin = track.expected_points(time), _MARGIN * track.pose.roi.side
    return points.min(axis=0) - margin, points.max(axis=0) + margin


class _Candidate(NamedTuple):
    look: PoseLook
    painted: bool  # the others were painted out
    surprise: float  # distance from where the person should be, torso lengths


def see_together(
    model: PoseModel, rgb: NDArray[np.uint8], tracks: list[Track], time: float, each: Callable[..., Iterable[Any]]
) -> list[Body]:
    """The bodies of people who are in each other's way, in the order of `tracks`. each: `map`, or a thread pool's."""
    expected = [track.expected_points(time) for track in tracks]

    def look(job: tuple[int, bool]) -> _Candidate:
        k, painted = job
        others = [points for j, points in enumerate(expected) if j != k and not tracks[j].lost] if painted else []
        seen = model.look(rgb, tracks[k].expected_roi(time), others=others)
        length = torso_length(expected[k], seen.used.side)
        return _Candidate(seen, painted, disagreement(seen.points, expected[k], np.ones(33), length))

    jobs = [(k, painted) for k in range(len(tracks)) for painted in (False, True)]
    looks = list(each(look, jobs))
    chosen = _choose([looks[2 * k : 2 * k + 2] for k in range(len(tracks))])
    return [Body(c.look, c.look.flag * (0.5 + 0.5 * agreement(c.surprise))) for c in chosen]


def _choose(options: list[list[_Candidate]]) -> list[_Candidate]:
    """One look a person, such that each is likely and no two share a body: from the likeliest each, by exchanging."""

    def cost(candidate: _Candidate) -> float:
        return candidate.surprise + (1 - candidate.look.flag)

    chosen = [min(candidates, key=cost) for candidates in options]
    for _ in range(_SWEEPS):
        for k, candidates in enumerate(options):
            rest = [c for j, c in enumerate(chosen) if j != k]
            chosen[k] = min(candidates, key=lambda c: cost(c) + sum(_SHARED * shared(c.look, o.look) for o in rest))
    return chosen


def shared(a: PoseLook, b: PoseLook) -> float:
    """0..1: how far two looks have their joints in the same places."""
    length = min(torso_length(a.points, a.roi.side), torso_length(b.points, b.roi.side))
    apart = np.linalg.norm(a.points[JOINTS, None] - b.points[None, JOINTS], axis=-1).reshape(-1, 2, len(JOINTS) // 2, 2)
    own = np.arange(len(JOINTS) // 2)
    return float(np.exp(-((apart[own, :, own].min(axis=(1, 2)) / length / _SAME_LIMB) ** 2)).mean())
