"""The twist of a limb about its own axis: what positions alone leave open and the bent joint's plane decides."""

from __future__ import annotations

import numpy as np

from ..core import rotations
from ..core.rotations import Array
from ..core.smoothing import local_average


def signed_angle(reference: Array, direction: Array, axis: Array) -> Array:
    """Angle (...,) in radians about `axis` from `reference` to `direction`, both projected across the axis."""
    a = reference - np.sum(reference * axis, -1, keepdims=True) * axis
    b = direction - np.sum(direction * axis, -1, keepdims=True) * axis
    return np.arctan2(np.sum(np.cross(a, b) * axis, -1), np.sum(a * b, -1))


def settled_angle(angles: Array, weights: Array, prior_weight: float, times: Array, sigma: float = 0.08) -> Array:
    """Weighted circular mean over time and over several sources of one angle, drawn towards 0 where nothing is known.

    angles, weights: (T, S) radians, S sources; prior_weight: how much evidence the angle 0 counts. -> (T,) radians
    """
    vote = np.sum(weights[..., None] * np.stack([np.cos(angles), np.sin(angles)], -1), axis=1)
    mean = local_average(vote[:, None], times, sigma)[:, 0]
    return np.arctan2(mean[:, 1], mean[:, 0] + prior_weight)


def about(axis: Array, angle: Array) -> Array:
    """Quaternions (..., 4) that turn by `angle` radians about unit vectors `axis` (..., 3)."""
    return rotations.from_axis_angle(axis * angle[..., None])
