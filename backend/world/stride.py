"""How many metres the path of a camera that travels is long: feet that stand tell.

No background shows how large it all is. A foot that stands has moved against the camera by as much as the camera has
moved the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import Skeleton
from ..stages import Motion
from .contacts import SEEN, contact_points

# Of a foot that stands: seconds that it is compared over; how far off it comes out across the line of sight, metres,
# and along it, part of the distance; from how many standard deviations on it has not stood at all.
STANCE, ACROSS, ALONG, SLIPPED = 0.2, 0.03, 0.04, 2.0
UNITS = np.geomspace(0.1, 500, 800)  # metres that are tried
# What is tried around the best of them, given feet that stand for up to so many seconds; many such stances overlap.
NEARBY, LONGEST, OVERLAP = np.geomspace(0.85, 1.18, 67), 1.0, 0.3
OUT_OF_SIGHT = 1e3  # metres that a foot seems to move which nobody sees
AGREE = 0.8  # with the path feet must slip less than this part of what they slip without


def unit(people: Sequence[tuple[Skeleton, Motion, Array, Array]]) -> float:
    """Metres in the path's unit: such that of everybody's feet one stands, as it does when people stand or walk. 0
    where that is so without the path, or never.

    people: each with their motion in the moving camera's space (a subsample of frames will do), the camera's turns
    (T, 4) and places (T, 3).
    """
    seen = [(_feet(skeleton, motion, turns), places) for skeleton, motion, turns, places in people]
    slips, moves, precisions = (np.concatenate(parts) for parts in zip(*(_steps(*feet) for feet in seen), strict=True))
    if not len(slips):
        return 0.0

    def slip(metres: float) -> float:
        left = slips + metres * moves
        return float(np.log1p(_squares(left, precisions).min(1) / SLIPPED**2).sum())

    tried = [slip(metres) for metres in UNITS]
    best = int(np.argmin(tried))
    if tried[best] >= AGREE * slip(0.0):
        return 0.0

    # In steps so short a wrong path shows little: feet that stand with this one stand longer with the right one.
    stances = (_stances(*feet, UNITS[best]) for feet in seen)
    slid, moved, sure = (np.concatenate(parts) for parts in zip(*stances, strict=True))

    def slide(metres: float) -> float:
        return float(np.log1p(_squares(slid + metres * moved, sure) / SLIPPED**2).sum())

    return float(min(UNITS[best] * NEARBY, key=lambda metres: slip(metres) + OVERLAP * slide(metres)))


class _Feet(NamedTuple):
    """times (T,) seconds; where contact points (T, 4, 3) are against the camera, first frame's axes, and whether they
    are in sight (T, 4); later (T,): the frame that is STANCE later, T where there is none."""

    times: Array
    points: Array
    seen: NDArray[np.bool_]
    later: NDArray[np.int_]


def _feet(skeleton: Skeleton, motion: Motion, turns: Array) -> _Feet:
    points = rotations.rotate(rotations.inverse(turns)[:, None], contact_points(skeleton, motion))
    seen = motion.confidence[:, sk.ANKLES].repeat(2, axis=1) > SEEN
    times = motion.times
    later = np.searchsorted(times, times + STANCE - 1e-3)
    late = np.append(times, np.inf)[later] - times > 2 * STANCE  # frames are missing between
    return _Feet(times, points, seen, np.where(late, len(times), later))


def _steps(feet: _Feet, places: Array) -> tuple[Array, Array, Array]:
    """Of frames in which feet are in sight, n of them: how the contact points move against the camera (n, 4, 3) within
    STANCE, how the camera does (n, 1, 3), first frame's axes; precision (n, 4, 3, 3) of the sum, 0 of one that
    stands. Contact points out of sight never stand."""
    now = np.flatnonzero(feet.later < len(places))
    both = feet.seen[now] & feet.seen[feet.later[now]]
    now, both = now[both.any(1)], both[both.any(1)]
    later = feet.later[now]
    slips = np.where(both[..., None], feet.points[later] - feet.points[now], OUT_OF_SIGHT)
    return slips, (places[later] - places[now])[:, None], _precision(feet.points[later])


def _stances(feet: _Feet, places: Array, metres: float) -> tuple[Array, Array, Array]:
    """The same of single contact points, m of them, over as long as each stands all the time with a unit of so many
    metres, LONGEST at most: (m, 3), (m, 3) and (m, 3, 3)."""
    now = np.flatnonzero(feet.later < len(places))
    later = feet.later[now]
    slips = feet.points[later] - feet.points[now] + metres * (places[later] - places[now])[:, None]
    stands = np.zeros((len(places) + 1, 4), bool)
    still = _squares(slips, _precision(feet.points[later])) < SLIPPED**2
    stands[now] = still & feet.seen[now] & feet.seen[later]
    pairs = []
    for point in range(4):
        for first in np.flatnonzero(stands[:, point]):
            last = first
            while stands[last, point] and feet.times[last] - feet.times[first] < LONGEST:
                last = feet.later[last]
            if last < len(places) and feet.times[last] - feet.times[first] > 1.5 * STANCE:
                pairs.append((first, last, point))
    firsts, lasts, points = np.array(pairs, int).reshape(-1, 3).T
    ends = feet.points[lasts, points]
    return ends - feet.points[firsts, points], places[lasts] - places[firsts], _precision(ends)


def _precision(points: Array) -> Array:
    """(..., 3, 3) of how exactly is known where points (..., 3) are, metres against the camera."""
    sight = rotations.normalize(points)
    along = sight[..., :, None] * sight[..., None, :]
    distance = np.linalg.norm(points, axis=-1)[..., None, None]
    return np.asarray((np.eye(3) - along) / ACROSS**2 + along / (ALONG * distance) ** 2)


def _squares(slips: Array, precisions: Array) -> Array:
    """(...) slips (..., 3) against their precisions (..., 3, 3)."""
    return np.asarray(np.einsum("...i,...ij,...j->...", slips, precisions, slips))
