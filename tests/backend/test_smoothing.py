"""Filters must take out jitter, keep peaks and fast moves, and cope with gaps and uneven time stamps."""

from __future__ import annotations

import numpy as np

from backend.core import rotations
from backend.core.smoothing import (
    keep_fast,
    local_average,
    local_quadratic,
    smooth_in_view,
    smooth_turns,
    without_spikes,
)

TIMES = np.sort(np.concatenate([np.arange(0, 2, 1 / 30), np.arange(0, 2, 1 / 30) + 0.011]))  # uneven steps
NOISE = np.full(3, 0.01)


def joint(values: np.ndarray) -> np.ndarray:
    """(T,) -> (T, 1, 3)"""
    return np.repeat(values[:, None, None], 3, axis=2)


def test_a_parabola_passes_unchanged() -> None:
    path = joint(1.0 + 2.0 * TIMES - 3.0 * TIMES**2)
    inner = slice(12, -12)
    fitted = local_quadratic(path, TIMES, np.ones((len(TIMES), 1)), 0.05)
    np.testing.assert_allclose(fitted[inner], path[inner], atol=0.02)


def test_jitter_shrinks_and_a_fast_move_stays() -> None:
    random = np.random.default_rng(1)
    still = joint(np.zeros_like(TIMES)) + random.normal(0, 0.008, (len(TIMES), 1, 3))
    calm = keep_fast(still, TIMES, np.ones((len(TIMES), 1)), NOISE)
    assert calm[10:-10].std() < 0.4 * still.std()

    clap = joint(0.4 * np.exp(-(((TIMES - 1.0) / 0.06) ** 2)))
    kept = keep_fast(clap + random.normal(0, 0.004, clap.shape), TIMES, np.ones((len(TIMES), 1)), NOISE)
    assert kept[:, 0, 0].max() > 0.9 * clap.max()


def test_a_single_wrong_frame_is_dropped() -> None:
    path = joint(0.3 * np.sin(2 * TIMES))
    seen = path.copy()
    seen[40] += 0.5
    weights = np.ones((len(TIMES), 1))
    assert without_spikes(seen, weights, NOISE)[40, 0] == 0.0
    assert without_spikes(path, weights, NOISE).min() == 1.0
    assert np.abs(keep_fast(seen, TIMES, weights, NOISE) - path).max() < 0.03


def test_frames_without_weight_are_filled_from_their_neighbours() -> None:
    path = joint(TIMES)
    seen, weights = path.copy(), np.ones((len(TIMES), 1))
    seen[50:54] = 9.0
    weights[50:54] = 0.0
    assert np.abs(keep_fast(seen, TIMES, weights, NOISE)[50:54] - path[50:54]).max() < 0.05
    assert np.abs(local_average(seen, TIMES, 0.05, weights)[50:54] - path[50:54]).max() < 0.05


def test_turns_lose_their_jitter_and_a_throw_keeps_its_reach() -> None:
    times, random = np.arange(90) / 30.0, np.random.default_rng(2)
    angle = 1.6 * np.exp(-(((times - 1.5) / 0.12) ** 2))  # a quarter turn and back within half a second
    true = rotations.from_axis_angle(np.outer(angle, [0.0, 0.6, 0.8]))[:, None]
    noise = rotations.from_axis_angle(random.normal(0, np.radians(1.0), (90, 1, 3)))
    seen = rotations.multiply(true, noise) * random.choice([-1.0, 1.0], (90, 1, 1))  # either sign of a quaternion
    smooth = smooth_turns(seen, times)

    def jitter(turns: np.ndarray) -> float:
        matrices = rotations.to_matrix(turns[:, 0])
        return float(np.abs(np.diff(matrices, 2, axis=0)[:30]).mean())

    assert jitter(smooth) < 0.4 * jitter(seen)
    reach = np.degrees(rotations.angle_between(smooth[:, 0], rotations.IDENTITY).max())
    assert abs(reach - np.degrees(angle.max())) < 6
    assert rotations.angle_between(smooth, true).mean() < 0.75 * rotations.angle_between(seen, true).mean()


def test_a_shaking_camera_is_not_taken_for_jitter() -> None:
    times, random = np.arange(60) / 30.0, np.random.default_rng(3)
    shake = rotations.from_axis_angle(random.normal(0, np.radians(2.0), (60, 3)))
    standing = np.broadcast_to(rotations.from_axis_angle([0.2, 0.5, 0.1]), (60, 2, 4))
    seen = rotations.multiply(shake[:, None], standing)
    np.testing.assert_allclose(rotations.angle_between(smooth_in_view(seen, shake, times), seen), 0, atol=1e-5)
    assert rotations.angle_between(smooth_turns(seen, times), seen).mean() > np.radians(1.0)
