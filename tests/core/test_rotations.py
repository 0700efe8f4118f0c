"""Rotations hold the laws of the group they stand for, for any rotation."""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core import rotations as r

coordinates = st.floats(-1.0, 1.0).map(lambda x: round(x, 6))
quaternions = (
    hnp.arrays(float, (3, 4), elements=coordinates)
    .filter(lambda q: bool(np.all(np.linalg.norm(q, axis=-1) > 0.05)))
    .map(r.normalize)
)
vectors = hnp.arrays(float, (3, 3), elements=coordinates)
directions = vectors.filter(lambda v: bool(np.all(np.linalg.norm(v, axis=-1) > 0.05))).map(r.normalize)


def same_rotation(a: r.Array, b: r.Array) -> None:
    np.testing.assert_allclose(np.abs(np.sum(a * b, axis=-1)), 1.0, atol=1e-9)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    q = r.from_axis_angle([0.0, 0.0, np.pi / 2])
    np.testing.assert_allclose(r.rotate(q, [1.0, 0.0, 0.0]), [0.0, 1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(r.to_matrix(q) @ [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], atol=1e-12)


@given(quaternions, quaternions, vectors)
def test_product_is_first_b_then_a(a: r.Array, b: r.Array, v: r.Array) -> None:
    np.testing.assert_allclose(r.rotate(r.multiply(a, b), v), r.rotate(a, r.rotate(b, v)), atol=1e-9)


@given(quaternions, vectors)
def test_inverse_undoes_and_length_stays(q: r.Array, v: r.Array) -> None:
    turned = r.rotate(q, v)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(v, axis=-1), atol=1e-9)
    np.testing.assert_allclose(r.rotate(r.inverse(q), turned), v, atol=1e-9)


@given(quaternions)
def test_conversions_return(q: r.Array) -> None:
    same_rotation(r.from_matrix(r.to_matrix(q)), q)
    rotvec = r.to_axis_angle(q)
    assert np.all(np.linalg.norm(rotvec, axis=-1) <= np.pi + 1e-9)
    same_rotation(r.from_axis_angle(rotvec), q)


@pytest.mark.parametrize("axis", np.eye(3))
@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, np.pi - 1e-6, np.pi])
def test_conversions_at_the_ends_of_the_range(axis: r.Array, angle: float) -> None:
    q = r.from_axis_angle(axis * angle)
    same_rotation(r.from_matrix(r.to_matrix(q)), q)
    np.testing.assert_allclose(np.abs(r.to_axis_angle(q)), axis * angle, atol=1e-7)


@given(directions, directions)
def test_between_turns_a_onto_b_by_the_least_angle(a: r.Array, b: r.Array) -> None:
    q = r.between(a, b)
    np.testing.assert_allclose(r.rotate(q, a), b, atol=1e-6)
    angle = np.arccos(np.clip(np.sum(a * b, axis=-1), -1, 1))
    np.testing.assert_allclose(r.angle_between(r.IDENTITY, q), angle, atol=1e-5)


def test_between_opposite_directions_is_half_a_turn() -> None:
    for a in np.concatenate([np.eye(3), -np.eye(3)]):
        np.testing.assert_allclose(r.rotate(r.between(a, -a), a), -a, atol=1e-12)
        for off in (1e-3, 3e-5, 1e-6):  # nearly so
            b = r.normalize(-a + off * np.roll(a, 1))
            np.testing.assert_allclose(r.rotate(r.between(a, b), a), b, atol=1e-9)


@given(quaternions, quaternions, st.floats(0.0, 1.0))
def test_slerp_divides_the_angle(a: r.Array, b: r.Array, weight: float) -> None:
    whole = r.angle_between(a, b)
    part = r.angle_between(a, r.slerp(a, b, weight))
    np.testing.assert_allclose(part, weight * whole, atol=1e-6)


@given(quaternions, directions)
def test_swing_and_twist_make_the_rotation(q: r.Array, axis: r.Array) -> None:
    swing, twist = r.swing_twist(q, axis)
    same_rotation(r.multiply(swing, twist), q)
    np.testing.assert_allclose(r.rotate(twist, axis), axis, atol=1e-6)
    np.testing.assert_allclose(np.sum(swing[..., 1:] * axis, axis=-1), 0.0, atol=1e-6)


@given(hnp.arrays(float, (12, 2, 4), elements=coordinates), hnp.arrays(bool, (12, 2)))
def test_continuous_changes_signs_only_and_never_jumps(q: r.Array, flips: np.ndarray) -> None:
    q = r.normalize(q) * np.where(flips, -1.0, 1.0)[..., None]
    out = r.continuous(q)
    np.testing.assert_array_equal(np.abs(out), np.abs(q))
    assert np.all(np.sum(out[1:] * out[:-1], axis=-1) >= 0)


@given(directions, directions)
def test_frame_from_is_right_handed_along_x_and_near_y(x: r.Array, y: r.Array) -> None:
    if np.any(np.linalg.norm(np.cross(x, y), axis=-1) < 1e-3):
        return
    frame = r.frame_from(x, y)
    np.testing.assert_allclose(np.linalg.det(frame), 1.0, atol=1e-9)
    np.testing.assert_allclose(frame[..., 0], x, atol=1e-9)
    assert np.all(np.sum(frame[..., 1] * y, axis=-1) > 0)
