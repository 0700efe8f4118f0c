"""Feet that stand do not turn: what they turn by is noise, and would make them slide about their middle. And with heel
and toes on it they lie on the floor."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from ..core import rotations
from ..core.rotations import Array
from ..core.smoothing import ties

STANDS = (0.3, 0.6)  # how likely heel and toes must stand for a foot to be held, and to be held altogether
# One standard deviation, radians: how far off the body engine leaves a foot, which it does for several frames alike;
# what a standing foot turns by in a thirtieth of a second; and by how much a correction may change in that time.
OFF, TURN, CHANGE = np.radians(15.0), np.radians(0.4), np.radians(3.0)
# How far a standing foot's sole lies off the level (there are slopes, and contacts that are none), and how far it is
# found off it when it starts to look like something else: tiptoes, the edge of a step.
LEVEL, STEEP = np.radians(6.0), np.radians(12.0)
ROUNDS = 3
_SOLE, _UP = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # away from the sole in a foot's axes; up in the world


def planted_turns(turned: Array, still: Array, times: Array) -> Array:
    """Rotations (T, 2, 4), in world axes, that keep standing feet from turning, lay them on the floor, and come and go
    gently.

    turned (T, 2, 4): orientations of the left and right foot, world; still (T, 4): how likely heel and toes stand, in
    `skeleton.CONTACTS` order; times (T,) seconds. Where nothing is known (0.5), feet are held loosely.
    """
    likely = np.stack([still[:, :2].min(1), still[:, 2:4].min(1)], 1)
    stands = np.clip((likely - STANDS[0]) / (STANDS[1] - STANDS[0]), 0.0, 1.0)
    pairs = [_held(rotations.continuous(turned[:, foot]), stands[:, foot], times) for foot in (0, 1)]
    return np.stack(pairs, 1)


def _held(own: Array, stands: Array, times: Array) -> Array:
    """argmin over turns x (T, 4) of  |x|^2 / OFF^2  +  |change of x|^2 / CHANGE^2, and while standing
    +  |turn of x own between frames|^2 / TURN^2  +  |tip of x own off the level|^2 / LEVEL^2 (robust), by Gauss-Newton.

    One foot: own (T, 4), stands (T,) 0..1."""
    turn = np.broadcast_to(rotations.IDENTITY, own.shape)
    if len(own) < 2:
        return turn
    near = ties(times)
    tie, ease = stands[1:] * stands[:-1] * near / TURN**2, near / CHANGE**2
    band = np.zeros((2, len(own)))  # upper form of a tridiagonal matrix, the same for all three axes
    band[0, 1:] = -(tie + ease)
    band[1] = 1 / OFF**2
    band[1, :-1] += tie + ease
    band[1, 1:] += tie + ease
    for _ in range(ROUNDS):
        now = rotations.multiply(turn, own)
        vector = rotations.to_axis_angle(turn)
        moves = rotations.to_axis_angle(rotations.multiply(now[1:], rotations.inverse(now[:-1])))
        pull = tie[:, None] * moves + ease[:, None] * np.diff(vector, axis=0)
        right = -vector / OFF**2
        right[:-1] += pull
        right[1:] -= pull
        tip = rotations.to_axis_angle(rotations.between(rotations.rotate(now, _SOLE), _UP))  # about level axes
        flat = stands / LEVEL**2 / (1 + (np.linalg.norm(tip, axis=-1) / STEEP) ** 2) ** 2
        right += flat[:, None] * tip
        laid = band + flat * [[0.0], [1.0]]
        more = np.column_stack([solveh_banded(laid, right[:, :2]), solveh_banded(band, right[:, 2])])
        turn = rotations.multiply(rotations.from_axis_angle(more), turn)
    return np.asarray(turn)
