"""Feet on the floor: where it is, when heels and toes stand on it, and the path of a pelvis that keeps them there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d, median_filter

from ..core import rotations, skeleton
from ..core.rotations import Array
from ..world.contacts import hysteresis
from .transfer import RATE, SIDES, speed

SPEED = (0.30, 0.50)  # m/s: a contact begins below the first and ends above the second
HEIGHT = (0.035, 0.055)  # m above the floor, likewise
FLAT = 0.12  # m: within which nine in ten of the feet that stand are found on a flat floor
HOLD = 300.0  # how much more a standing point's rest counts than a frame's place
ROLL = np.radians(30.0)  # the most that a standing foot is rolled to lie flat
FADE = 0.05 * RATE  # frames over which it comes and goes


def place(turned: Array, pelvis: Array) -> tuple[Array, Array]:
    """-> joints (T, 22, 3) and the points of `skeleton.CONTACTS` (T, 4, 3), metres, in the world.

    turned (T, 22, 4): the joints' rotations in the world; pelvis (T, 3) metres.
    """
    body = skeleton.neutral()
    joints = np.empty((len(turned), 22, 3))
    joints[:, 0] = pelvis
    for j in range(1, 22):
        parent = skeleton.PARENTS[j]
        joints[:, j] = joints[:, parent] + rotations.rotate(turned[:, parent], body.offsets[j])
    names = [f"{side}_{name}" for side in SIDES for name in ("heel", "big_toe", "small_toe")]
    ends = skeleton.posed_points(body, turned, joints, tuple(names)).reshape(len(turned), 2, 3, 3)
    return joints, np.stack([ends[:, :, 0], ends[:, :, 1:].mean(2)], axis=2).reshape(-1, 4, 3)


def follow(turned: Array, ankles: Array) -> Array:
    """(T, 3) where the pelvis is if the ankles are, on average, at `ankles` (T, 2, 3)."""
    joints, _ = place(turned, np.zeros((len(turned), 3)))
    return (ankles - joints[:, _ankles()]).mean(1)


def find_floor(parts: Sequence[Array]) -> tuple[float, bool]:
    """The floor's height in metres under a trial's parts, points (T, 4, 3) each, and whether it is one flat floor.

    A person's lower foot, when it rests, stands on something. Where that is of many heights (stools, ladders) the
    floor is the lowest.
    """
    found = []
    for points in parts:
        feet = points.reshape(len(points), 2, 2, 3)
        lower = (np.arange(len(feet)), feet[..., 1].min(2).argmin(1))
        resting = (speed(feet)[lower] < SPEED[0]).any(1)
        found.append(feet[lower][resting, :, 1].min(1))
    heights = np.concatenate(found)
    if not len(heights):
        return min(float(points[..., 1].min()) for points in parts), True
    low, usual, high = np.percentile(heights, [5, 50, 95])
    flat = bool(high - low < FLAT)
    return float(usual if flat else low), flat


def find_contacts(points: Array, flat: bool) -> NDArray[np.bool_]:
    """Which of points (T, 4, 3) stand, the floor being at y = 0. Where it is not flat, what rests stands."""
    moved, height = speed(points), points[..., 1] if flat else np.zeros(points.shape[:-1])
    on = (moved < SPEED[0]) & (height < HEIGHT[0])
    off = (moved > SPEED[1]) | (height > HEIGHT[1])
    return median_filter(hysteresis(on, off), size=(5, 1), mode="nearest")


def stand(turned: Array, ankles: Array, floor: float, flat: bool) -> tuple[Array, Array]:
    """Put a motion on its feet.

    turned (T, 22, 4): the joints' rotations in the world; ankles (T, 2, 3) metres, where they should be; floor: its
    height there. -> rotations (T, 22, 4), in which feet that stand on a flat floor lie flat (CMU's ankles cannot roll),
    and the pelvis (T, 3), with the floor near y = 0, under which points that stand keep still.
    """
    ankles = ankles - [0.0, floor, 0.0]
    contacts = find_contacts(place(turned, follow(turned, ankles))[1], flat)
    if flat:
        turned = _flattened(turned, contacts)
    joints, points = place(turned, np.zeros((len(turned), 3)))
    return turned, _held(ankles - joints[:, _ankles()], points, contacts)


def _ankles() -> list[int]:
    return [skeleton.INDEX[f"{side}_ankle"] for side in SIDES]


def _flattened(turned: Array, contacts: NDArray[np.bool_]) -> Array:
    """Feet that stand, rolled about the line from ankle to toes until they are level from side to side."""
    out = turned.copy()
    for k, side in enumerate(SIDES):
        ankle, toes = skeleton.INDEX[f"{side}_ankle"], skeleton.INDEX[f"{side}_foot"]
        rest = rotations.normalize(skeleton.neutral().offsets[toes])
        along = rotations.rotate(turned[:, ankle], rest)
        across = rotations.rotate(turned[:, ankle], rotations.normalize(np.cross([0.0, 1.0, 0.0], rest)))
        roll = -np.arctan(across[:, 1] / np.where((lift := np.cross(along, across)[:, 1]) == 0.0, 1e-9, lift))
        weight = gaussian_filter1d(contacts[:, 2 * k : 2 * k + 2].any(1).astype(float), FADE, mode="nearest")
        turn = rotations.from_axis_angle((np.clip(roll, -ROLL, ROLL) * weight)[:, None] * along)
        for joint in (ankle, toes):
            out[:, joint] = rotations.multiply(turn, turned[:, joint])
    return out


def _held(wanted: Array, points: Array, contacts: NDArray[np.bool_]) -> Array:
    """The path (T, 3) that is near both of wanted (T, 2, 3) and moves points (T, 4, 3) little while they stand.

    Least squares. Only neighbours in time are tied to each other: the matrix has three diagonals.
    """
    frames = len(points)
    both = HOLD * (contacts[1:] & contacts[:-1])
    drift = (both[..., None] * (points[1:] - points[:-1])).sum(1)
    ties = both.sum(1)
    bands = np.zeros((2, frames))
    bands[1] = wanted.shape[1]
    bands[1, 1:] += ties
    bands[1, :-1] += ties
    bands[0, 1:] = -ties
    right = wanted.sum(1)
    right[1:] -= drift
    right[:-1] += drift
    return solveh_banded(bands, right)
