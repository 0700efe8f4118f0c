"""Rotation modes: the channels say the same as the quaternions, without jumps, and locks hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from video_mocap.backend.core import rotations
from video_mocap.backend.core.rotations import Array
from video_mocap.mocap_addon.retarget import euler

seeds = st.integers(0, 2**32 - 1)
modes = st.sampled_from(euler.ORDERS)


def smooth_turns(seed: int, frames: int = 400) -> Array:
    """(T, 4) a rotation that goes anywhere, at most a few degrees a frame."""
    rng = np.random.default_rng(seed)
    steps = rotations.from_axis_angle(np.cumsum(rng.normal(0, 0.004, (frames, 3)), axis=0))
    out = np.empty((frames, 4))
    out[0] = rotations.normalize(rng.normal(size=4))
    for t in range(1, frames):
        out[t] = rotations.multiply(out[t - 1], steps[t])
    return out


def angles(a: Array, b: Array) -> Array:
    return np.degrees(rotations.angle_between(a, b))


@given(seeds, modes)
@settings(max_examples=40, deadline=None)
def test_euler_angles_say_the_same_and_do_not_jump(seed: int, order: str) -> None:
    turns = smooth_turns(seed)
    channels = euler.to_euler(turns, order)
    assert angles(euler.from_euler(channels, order), turns).max() < 1e-4
    # Both sets of angles move alike near the pole: a jump is half a turn of an axis that others undo.
    assert np.abs(np.diff(channels, axis=0)).max() < np.pi / 2 + 1e-6 or _near_pole(turns, order)


def _near_pole(turns: Array, order: str) -> bool:
    """Whether the path comes so near to the pole that the outer angles truly turn that fast."""
    i, _, k = ("XYZ".index(letter) for letter in order)
    return bool(np.abs(rotations.to_matrix(turns)[:, k, i]).max() > 0.97)


@given(modes)
def test_a_full_turn_about_each_axis_is_a_straight_curve(order: str) -> None:
    turn = np.linspace(0.0, 4 * np.pi, 200)
    for axis in range(3):
        channels = euler.to_euler(rotations.from_axis_angle(turn[:, None] * np.eye(3)[axis]), order)
        np.testing.assert_allclose(channels[:, axis], turn, atol=1e-6)
        np.testing.assert_allclose(np.delete(channels, axis, axis=1), 0.0, atol=1e-6)


@given(seeds, modes)
def test_at_the_pole_the_rotation_is_still_right(seed: int, order: str) -> None:
    rng = np.random.default_rng(seed)
    given_angles = rng.uniform(-3, 3, (6, 3))
    given_angles[:, "XYZ".index(order[1])] = np.pi / 2 * rng.choice([-1, 1], 6)
    turns = euler.from_euler(given_angles, order)
    assert angles(euler.from_euler(euler.to_euler(turns, order), order), turns).max() < 1e-3


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_axis_angle_says_the_same_and_does_not_jump(seed: int) -> None:
    turns = smooth_turns(seed)
    channels = euler.to_axis_angle(turns)
    np.testing.assert_allclose(np.linalg.norm(channels[:, 1:], axis=1), 1.0)
    assert angles(rotations.from_axis_angle(channels[:, :1] * channels[:, 1:]), turns).max() < 1e-4
    assert np.abs(np.diff(channels[:, 0])).max() < 0.6


def test_axis_angle_of_a_swing_through_rest_keeps_its_axis() -> None:
    swing = np.linspace(-1.0, 1.0, 41)
    channels = euler.to_axis_angle(rotations.from_axis_angle(swing[:, None] * [0.0, 1.0, 0.0]))
    np.testing.assert_allclose(np.abs(channels[:, 2]), 1.0, atol=1e-9)
    np.testing.assert_allclose(channels[:, 0] * channels[:, 2], swing, atol=1e-9)


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", *euler.ORDERS])
def test_locked_channels_stay_at_zero_and_the_rest_is_as_near_as_it_can_be(mode: str) -> None:
    rng = np.random.default_rng(4)
    turns = rotations.from_axis_angle(rng.normal(0, 0.5, (50, 3)))
    for locked in ([0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]):
        lock = np.array(locked, bool)
        nearest = euler.unlocked(turns, mode, lock)
        property_name, values = euler.to_mode(nearest, mode, lock)
        if property_name == "rotation_quaternion" or property_name == "rotation_axis_angle":
            assert np.abs(values[:, lock] * (np.abs(values[:, :1]) > 1e-9)).max() < 1e-9
        else:
            assert np.abs(values[:, lock[1:]]).max() < 1e-9
        # No small change of the free channels comes nearer.
        error = rotations.angle_between(nearest, turns)
        for axis in np.flatnonzero(~lock[1:]):
            for step in (-0.02, 0.02):
                if mode in euler.ORDERS:
                    changed = euler.from_euler(values + step * np.eye(3)[axis], mode)
                else:
                    changed = rotations.normalize(nearest + step * np.eye(4)[axis + 1])
                assert (rotations.angle_between(changed, turns) >= error - 1e-6).all()
