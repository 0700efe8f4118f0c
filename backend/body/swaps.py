"""Left and right swapped by the landmark model (it often mistakes a back for a front): undone over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import keypoints
from ..core.rotations import Array
from ..core.smoothing import GAP
from ..store import BLOCK, RecordFile

# The landmark and the keypoint lists with left and right exchanged.
_LANDMARKS = np.array(keypoints.mirrored(keypoints.LANDMARKS))
_KEYPOINTS = np.arange(keypoints.COUNT)
_KEYPOINTS[:23] = keypoints.mirrored(keypoints.BODY + keypoints.FEET)

# What tells left from right in motion: shoulders, elbows, wrists, hips, knees, ankles.
_LIMBS = slice(11, 29)  # the list goes left, right, left, right, ...
STAY = 0.6  # metres a second that "as the model says" is better than "swapped", all else equal


def _limbs(observations: NDArray[Any]) -> Array:
    """(T, 18, 3) metres, hip-centred, shoulders to ankles, left and right in turn."""
    return observations["landmarks"][:, _LIMBS, :3]


def jumps(observations: NDArray[Any]) -> Array:
    """What `swapped` looks at: (T - 1, 2) metres that the limbs move on average from each of (T,) OBSERVATIONs to the
    next, as they are and when left and right are exchanged in between."""
    points = _limbs(observations)
    mirrored = points.reshape(len(points), -1, 2, 3)[:, :, ::-1].reshape(points.shape)
    same = np.linalg.norm(points[1:] - points[:-1], axis=-1).mean(-1)
    cross = np.linalg.norm(mirrored[1:] - points[:-1], axis=-1).mean(-1)
    return np.stack([same, cross], axis=-1)


def jumps_of(records: RecordFile) -> Array:
    """The same of a whole take, a block at a time."""
    return np.concatenate([jumps(records.read(i, i + BLOCK + 1)) for i in range(0, len(records), BLOCK)])


def swapped(jumps: Array, times: Array) -> NDArray[np.bool_]:
    """Frames (T,) in which left and right have to be exchanged so that the body moves on smoothly.

    Viterbi over two states: a change of state costs the way that the limbs would jump, and being swapped costs a
    little, so that of two readings that move equally well the landmark model's own wins, by majority over each
    unbroken stretch. jumps: of the person's frames (T - 1, 2), see there; times (T,) seconds.
    """
    # After a gap in time the body may have turned: no evidence either way.
    steps = np.diff(times)
    fresh = steps > GAP
    same, cross = np.where(fresh, 0.0, jumps.T)

    stay = STAY * np.minimum(steps, GAP)
    cost = np.zeros(2)
    came_from = np.zeros((len(times), 2), int)
    for t in range(1, len(times)):
        step = np.array([[same[t - 1], cross[t - 1]], [cross[t - 1], same[t - 1]]])  # [now, before]
        total = cost[None] + step
        came_from[t] = total.argmin(1)
        cost = total.min(1) + [0.0, stay[t - 1]]
    states = np.zeros(len(times), bool)
    state = int(cost.argmin())
    for t in range(len(times) - 1, -1, -1):
        states[t] = bool(state)
        state = came_from[t, state]
    return states


def exchanged(observations: NDArray[Any], frames: NDArray[np.bool_]) -> NDArray[Any]:
    """A copy of (T,) OBSERVATIONs with left and right exchanged in the frames (T,) that are True."""
    out = observations.copy()
    part = observations[frames]
    out["landmarks"][frames] = part["landmarks"][:, _LANDMARKS]
    out["keypoints"][frames] = part["keypoints"][:, _KEYPOINTS]
    out["keypoints"][frames, keypoints.LEFT_HAND] = part["keypoints"][:, keypoints.RIGHT_HAND]
    out["keypoints"][frames, keypoints.RIGHT_HAND] = part["keypoints"][:, keypoints.LEFT_HAND]
    # The hand model was told the wrong hand: what it saw is of no use for the other one.
    out["hands"][frames] = part["hands"][:, ::-1]
    out["hands"][frames, :, :, 3] = 0.0
    return out
