"""The neutral skeleton and the forward kinematics that everything is measured with."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core import rotations, skeleton
from backend.core.skeleton import COUNT, INDEX, JOINTS, MIRROR, PARENTS

seeds = st.integers(0, 2**32 - 1)


def random_pose(seed: int, frames: int = 3) -> tuple[rotations.Array, rotations.Array]:
    rng = np.random.default_rng(seed)
    return rotations.from_axis_angle(rng.normal(0, 0.7, (frames, COUNT, 3))), rng.normal(0, 2, (frames, 3))


def test_order_is_smplx() -> None:
    assert COUNT == len(PARENTS) == 55
    assert JOINTS[:4] == ("pelvis", "left_hip", "right_hip", "spine1")
    names = ("left_wrist", "jaw", "left_index1", "right_index1", "right_thumb3")
    assert [INDEX[name] for name in names] == [20, 22, 25, 40, 54]
    assert PARENTS[0] == -1 and all(p < j for j, p in enumerate(PARENTS))


def test_neutral_body_is_symmetric() -> None:
    body = skeleton.neutral()
    flip = np.array([-1.0, 1.0, 1.0])
    np.testing.assert_allclose(body.offsets[MIRROR], body.offsets * flip, atol=1e-9)
    for name, (joint, offset) in body.points.items():
        if name.startswith("left_"):
            other_joint, other = body.points[name.replace("left_", "right_")]
            assert other_joint == MIRROR[joint]
            np.testing.assert_allclose(other, offset * flip, atol=1e-9)


def test_neutral_body_stands_on_its_soles_in_a_t_pose() -> None:
    body = skeleton.neutral()
    rest = body.joints()
    soles = [rest[joint] + offset for name, (joint, offset) in body.points.items() if name in skeleton.FOOT_POINTS]
    assert len(soles) == 6 and np.ptp([s[1] for s in soles]) < 0.01  # one floor
    joint, offset = body.points["head_top"]
    height = (rest[joint] + offset)[1] - soles[0][1]
    assert 1.5 < height < 1.9
    assert rest[INDEX["left_wrist"], 0] > 0.6 and rest[INDEX["left_foot"], 2] > rest[INDEX["left_ankle"], 2]


def test_zero_pose_is_the_rest_pose() -> None:
    body = skeleton.neutral()
    turned, joints = skeleton.forward_kinematics(body, np.tile(rotations.IDENTITY, (2, COUNT, 1)), np.zeros((2, 3)))
    np.testing.assert_allclose(joints[1], body.joints(), atol=1e-12)
    np.testing.assert_allclose(turned, np.broadcast_to(rotations.IDENTITY, turned.shape))


def test_y_up_to_z_up_stands_the_body_up_facing_minus_y() -> None:
    up, front, left = rotations.rotate(skeleton.Y_UP_TO_Z_UP, np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))
    np.testing.assert_allclose([up, front, left], [[0, 0, 1], [0, -1, 0], [1, 0, 0]], atol=1e-12)


@given(seeds)
def test_bones_keep_their_length_in_any_pose(seed: int) -> None:
    body = skeleton.neutral()
    local, pelvis = random_pose(seed)
    turned, joints = skeleton.forward_kinematics(body, local, pelvis)
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
    expected = np.linalg.norm(body.offsets[1:], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(expected, lengths.shape), atol=1e-9)
    np.testing.assert_allclose(joints[:, 0], pelvis)
    back = skeleton.to_local(turned)
    np.testing.assert_allclose(np.abs(np.sum(back * local, axis=-1)), 1.0, atol=1e-9)


@given(seeds)
def test_turning_the_root_turns_the_whole_body(seed: int) -> None:
    body = skeleton.neutral()
    local, _ = random_pose(seed)
    turn = rotations.from_axis_angle(np.random.default_rng(seed).normal(0, 1, 3))
    moved = local.copy()
    moved[:, 0] = rotations.multiply(turn, local[:, 0])
    origin = np.zeros((len(local), 3))
    names = tuple(body.points)
    before = skeleton.posed_points(body, *skeleton.forward_kinematics(body, local, origin), names)
    after = skeleton.posed_points(body, *skeleton.forward_kinematics(body, moved, origin), names)
    np.testing.assert_allclose(after, rotations.rotate(turn, before), atol=1e-9)


@given(seeds)
def test_mirrored_pose_gives_the_mirrored_body(seed: int) -> None:
    body = skeleton.neutral()
    local, pelvis = random_pose(seed)
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = local[:, MIRROR] * np.array([1.0, 1.0, -1.0, -1.0])
    _, joints = skeleton.forward_kinematics(body, local, pelvis)
    _, other = skeleton.forward_kinematics(body, mirrored, pelvis * flip)
    np.testing.assert_allclose(other[:, MIRROR], joints * flip, atol=1e-9)


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
def test_other_proportions_carry_the_surface_points_along(factor: float) -> None:
    body = skeleton.neutral()
    scaled = body.with_offsets(body.offsets * factor)
    np.testing.assert_allclose(scaled.joints(), body.joints() * factor, atol=1e-12)
    for name, (joint, offset) in body.points.items():
        np.testing.assert_allclose(scaled.points[name][1], offset * factor, atol=1e-9, err_msg=f"{name} at {joint}")
