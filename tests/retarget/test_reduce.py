"""Fewer keys: the bound holds in every frame, and curves that are straight need two keys."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from video_mocap.backend.core import rotations
from video_mocap.backend.core.rotations import Array
from video_mocap.mocap_addon.retarget import reduce


def played(times: Array, values: Array, keys: Array) -> Array:
    """(T, C) what linear curves through the keys give in every frame."""
    return np.stack([np.interp(times, times[keys], values[keys, c]) for c in range(values.shape[1])], axis=1)


def motion(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    frames = int(rng.integers(1, 300))
    times = np.cumsum(rng.uniform(0.01, 0.05, frames))
    vectors = np.cumsum(rng.normal(0, 0.03, (frames, 3)), axis=0)
    return times, vectors


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 10.0))
@settings(max_examples=40, deadline=None)
def test_no_frame_of_a_rotation_is_off_by_more_than_the_bound(seed: int, bound: float) -> None:
    times, vectors = motion(seed)
    turns = rotations.continuous(rotations.from_axis_angle(vectors))
    keys = reduce.reduce_keys(times, turns, bound)
    assert keys[0] == 0 and keys[-1] == len(times) - 1
    off = rotations.angle_between(rotations.normalize(played(times, turns, keys)), turns)
    assert np.degrees(off.max()) <= bound * 1.001 + 1e-6


@given(st.integers(0, 2**32 - 1), st.floats(0.001, 1.0))
@settings(max_examples=40, deadline=None)
def test_no_value_is_off_by_more_than_the_bound(seed: int, bound: float) -> None:
    times, vectors = motion(seed)
    keys = reduce.reduce_values(times, vectors, bound)
    assert np.abs(played(times, vectors, keys) - vectors).max() <= bound + 1e-9
    angles = reduce.reduce_keys(times, vectors, np.degrees(bound))
    assert np.abs(played(times, vectors, angles) - vectors).sum(axis=1).max() <= bound + 1e-9


def test_long_takes_are_reduced_in_blocks() -> None:
    rng = np.random.default_rng(1)
    times, values = np.arange(4500) / 30.0, np.cumsum(rng.normal(0, 0.03, (4500, 3)), axis=0)
    keys = reduce.reduce_values(times, values, 0.1)
    assert {0, 2000, 4000, 4499} <= set(keys.tolist()) and len(keys) < 2000
    assert np.abs(played(times, values, keys) - values).max() <= 0.1 + 1e-9
    assert reduce.reduce_values(times, np.zeros((4500, 1)), 0.1).tolist() == [0, 2000, 4000, 4499]


def test_what_stands_still_or_runs_straight_has_two_keys() -> None:
    times = np.arange(100) / 30.0
    assert reduce.reduce_values(times, np.outer(times, [1.0, 2.0, 3.0]), 1e-6).tolist() == [0, 99]
    still = np.tile(rotations.normalize([1.0, 2.0, 3.0, 4.0]), (100, 1))
    assert reduce.reduce_keys(times, still, 0.01).tolist() == [0, 99]


def test_a_corner_gets_its_key() -> None:
    times = np.arange(11.0)
    values = np.abs(times - 4.0)[:, None]
    assert reduce.reduce_values(times, values, 1e-6).tolist() == [0, 4, 10]
