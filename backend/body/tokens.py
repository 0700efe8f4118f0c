"""What the motion networks see of a person: observations in the units that they were trained on.

The same as `motion.synthesis` makes of truth; `tests/motion` holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core import keypoints, rotations
from ..core.rotations import Array
from ..core.smoothing import GAP
from ..stages import Camera
from .landmarks import INDEX as L

KEYPOINTS = len(keypoints.BODY) + len(keypoints.FEET)
FOOT = slice(15, 23)  # ankles and the six foot points: what FootMR looks at
HINTS = (
    "nose", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
    "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
    "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip
BOX_MARGIN = 1.2  # the box is this much larger than the keypoints' own
TURN_SCALE = 10.0  # of the camera's turn a frame
NO_TURN = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # as `to_6d` writes it
SEEN = 0.3  # confidence from which on a keypoint counts for the box
FEW = 6  # so few seen keypoints make no box
RATE = 30.0  # frames a second of the motions that the networks learnt from
_HIPS = [L["left_hip"], L["right_hip"]]


class Tokens(NamedTuple):
    """Inputs of `motion.lifter.Lifter.forward`, see there, for one clip of L frames."""

    obs: Array
    cliff_cam: Array
    cam_angvel: Array
    hints: Array


def tokens(observations: NDArray[Any], points: Array | None, camera: Camera) -> Tokens:
    """What the networks see of (L,) OBSERVATIONs.

    points: (L, 33, 3) the landmark model's 3D points, metres, camera axes, where it has given some.
    """
    seen = observations["keypoints"][:, :KEYPOINTS].astype(float)
    box = keypoint_box(seen[..., :2], seen[..., 2])
    xy = np.clip(2 * (seen[..., :2] - box[:, None, :2]) / box[:, None, 2:], -3, 3)
    cliff = np.column_stack([box[:, :2] - camera.center, box[:, 2]]) / camera.focal

    turns = observations["turn"].astype(float)
    step = rotations.to_matrix(rotations.multiply(turns[1:], rotations.inverse(turns[:-1])))
    step = np.concatenate([step, step[-1:]]) if len(step) else np.eye(3)[None]
    turn = TURN_SCALE * (to_6d(step) - NO_TURN)

    hints = np.zeros((len(seen), 3 * len(HINTS) + 1))
    if points is not None:
        about = points - points[:, _HIPS].mean(1, keepdims=True)
        hints[:, :-1] = about[:, [L[name] for name in HINTS]].reshape(len(seen), -1)
        hints[:, -1] = 1.0
    return Tokens(np.concatenate([xy, seen[..., 2:]], -1), cliff, turn, hints)


def keypoint_box(places: Array, confidence: Array) -> Array:
    """The square around the keypoints that are seen (all of them where few are).

    places (L, 23, 2), confidence (L, 23) -> centre and side (L, 3), in the unit of `places`.
    """
    visible = confidence > SEEN
    visible = visible | (visible.sum(-1, keepdims=True) < FEW)
    low = np.where(visible[..., None], places, np.inf).min(-2)
    high = np.where(visible[..., None], places, -np.inf).max(-2)
    side = BOX_MARGIN * (high - low).max(-1, keepdims=True)
    return np.concatenate([0.5 * (low + high), np.maximum(side, 1e-9)], -1)


def to_6d(matrix: Array) -> Array:
    """Rotation matrices (..., 3, 3) -> (..., 6): their first two rows."""
    return matrix[..., :2, :].reshape(*matrix.shape[:-2], 6)


def from_6d(x: Array) -> Array:
    """(..., 6) of a network -> quaternions (..., 4), by Gram-Schmidt (Zhou et al. 2019), rows reading."""
    first = rotations.normalize(np.asarray(x[..., :3], float))
    second = x[..., 3:] - np.sum(first * x[..., 3:], -1, keepdims=True) * first
    second = rotations.normalize(second)
    return rotations.from_matrix(np.stack([first, second, np.cross(first, second)], -2))


def in_strands(
    times: Array, network: Callable[[NDArray[np.intp]], dict[str, NDArray[np.float32]]]
) -> dict[str, NDArray[np.float32]]:
    """Run a network over frames at `times` (T,) seconds as it knows them: 30 a second, without gaps.

    Frames at 60 a second, say, are two interlaced clips of 30. network: gets the rows of such a clip (two at least).
    -> its outputs, woven together (T, ...).
    """
    found: dict[str, NDArray[np.float32]] = {}
    for strand in _strands(times):
        rows = strand if len(strand) > 1 else np.repeat(strand, 2)
        for name, value in network(rows).items():
            woven = found.setdefault(name, np.empty((len(times), *value.shape[1:]), np.float32))
            woven[strand] = value[: len(strand)]
    return found


def _strands(times: Array) -> list[NDArray[np.intp]]:
    cuts = np.flatnonzero(np.diff(times) > GAP) + 1
    found = []
    for rows in np.split(np.arange(len(times)), cuts):
        step = float(np.median(np.diff(times[rows]))) if len(rows) > 1 else 1 / RATE
        count = max(1, round(1 / (RATE * step)))
        found += [rows[k::count] for k in range(min(count, len(rows)))]
    return found
