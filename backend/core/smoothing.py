"""Temporal filtering that takes out jitter and keeps fast motion. Works on uneven time stamps and with missing data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import rotations
from .rotations import Array

WIDE = 0.10  # seconds: the kernel that shows what a calm joint does
NARROW = 0.025  # seconds: about a frame
GAP = 0.25  # seconds; after that nothing is known of what was before
TURNS = 0.06  # seconds: what a network leaves of jitter goes, what a limb does stays


def local_quadratic(values: Array, times: Array, weights: Array, sigma: float) -> Array:
    """Gaussian-weighted local quadratic regression (Savitzky-Golay for uneven samples): keeps peaks, no lag.

    values (T, N, D); times (T,) seconds, increasing; weights (T, N) >= 0, 0 for missing. -> (T, N, D)
    """
    frames = len(values)
    step = np.median(np.diff(times)) if frames > 1 else 1.0
    reach = min(int(np.ceil(3.0 * sigma / max(step, 1e-6))), frames - 1)
    moments = [np.zeros(weights.shape) for _ in range(5)]
    sums = [np.zeros(values.shape) for _ in range(3)]
    for k in range(-reach, reach + 1):
        to, source = slice(max(0, -k), frames - max(0, k)), slice(max(0, k), frames - max(0, -k))
        dt = ((times[source] - times[to]) / sigma)[:, None]
        w = weights[source] * np.exp(-0.5 * dt**2)
        for power in range(5):
            moments[power][to] += w * dt**power
        for power in range(3):
            sums[power][to] += (w * dt**power)[..., None] * values[source]
    # Value at dt = 0 of the fitted parabola: first row of the inverse of its symmetric 3x3 normal matrix, written out
    # because a batch of small solves costs ten times as much. A small ridge on slope and curvature turns the fit into
    # a plain average where data is scarce.
    total = np.maximum(moments[0], 1e-12)
    m1, m2, m3, m4 = (moment / total for moment in moments[1:])
    ridge = 1e-3 * (1.0 + 1e-6 / total)
    slope, curve = m2 + ridge, m4 + ridge
    first = np.stack([slope * curve - m3**2, m2 * m3 - m1 * curve, m1 * m3 - m2 * slope], axis=-1)
    determinant = first[..., 0] + m1 * first[..., 1] + m2 * first[..., 2]
    first /= (determinant * total)[..., None]
    return sum(first[..., power, None] * sums[power] for power in range(3))


def ties(times: Array) -> Array:
    """(T - 1,) how firmly neighbouring frames hang together, 1 at a thirtieth of a second, 0 across a gap; times (T,)
    seconds.

    It grows with the square of the rate: what is seen counts once a frame, a change between frames shrinks with them.
    """
    step = np.diff(times)
    return np.where(step < GAP, 1 / np.maximum(30 * step, 1e-2) ** 2, 0.0)


def smooth_turns(turns: Array, times: Array) -> Array:
    """Rotations (T, N, 4) without the jitter that networks leave; times (T,) seconds. -> (T, N, 4)"""
    steady = local_quadratic(rotations.continuous(turns), times, np.ones(turns.shape[:2]), TURNS)
    return rotations.normalize(steady)


def smooth_in_view(seen: Array, camera_turns: Array, times: Array) -> Array:
    """The same for rotations (T, N, 4) in the space of a camera that turned by camera_turns (T, 4): what its hand
    shook by is no jitter of the person's."""
    back = rotations.inverse(camera_turns)[:, None]
    return rotations.multiply(camera_turns[:, None], smooth_turns(rotations.multiply(back, seen), times))


def without_spikes(values: Array, weights: Array, noise: ArrayLike) -> Array:
    """Weights (T, N) with single-frame jumps out and back set to zero. noise: (D,) expected noise per axis."""
    kept = weights.copy()
    if len(values) > 2:
        scaled = values / np.asarray(noise, float)
        jump = np.minimum(
            np.linalg.norm(scaled[1:-1] - scaled[:-2], axis=-1), np.linalg.norm(scaled[1:-1] - scaled[2:], axis=-1)
        )
        across = np.linalg.norm(scaled[2:] - scaled[:-2], axis=-1)
        kept[1:-1][(jump > 4.0) & (jump > 2.0 * across)] = 0.0
    return kept


def keep_fast(values: Array, times: Array, weights: Array, noise: ArrayLike) -> Array:
    """Smooth calm spans strongly and fast moves hardly at all.

    The difference between a narrow and a wide fit is motion where it is larger than the expected noise and jitter
    where it is smaller: it is kept in the proportion that a Wiener filter would keep.
    values (T, N, D); times (T,) seconds; weights (T, N) confidences; noise (D,) in the unit of the values.
    """
    if len(values) < 3:
        return values.copy()
    weights = without_spikes(values, weights, noise) + 1e-4
    narrow = local_quadratic(values, times, weights, NARROW)
    wide = local_quadratic(values, times, weights, WIDE)
    detail = narrow - wide
    size = np.linalg.norm(detail / np.asarray(noise, float), axis=-1, keepdims=True) ** 2 / values.shape[-1]
    # The energy is averaged over a tenth of a second, so that a fast move is kept from its beginning to its end.
    energy = local_average(size, times, 0.05)
    return wide + detail * (energy / (1.0 + energy))


def local_average(values: Array, times: Array, sigma: float, weights: Array | None = None) -> Array:
    """Gaussian-weighted mean over time: values (T, N, D), weights (T, N) or None. -> (T, N, D)"""
    frames = len(values)
    weights = np.ones(values.shape[:-1]) if weights is None else weights
    step = np.median(np.diff(times)) if frames > 1 else 1.0
    reach = min(int(np.ceil(3.0 * sigma / max(step, 1e-6))), frames - 1)
    total, mass = np.zeros(values.shape), np.zeros(weights.shape)
    for k in range(-reach, reach + 1):
        to, source = slice(max(0, -k), frames - max(0, k)), slice(max(0, k), frames - max(0, -k))
        w = weights[source] * np.exp(-0.5 * ((times[source] - times[to]) / sigma) ** 2)[:, None]
        total[to] += w[..., None] * values[source]
        mass[to] += w
    return total / np.maximum(mass, 1e-12)[..., None]
