"""Kinematics and networks against the numbers of the published code, and against our own numpy kinematics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import agrees, filled, stream

from backend.core import rotations, skeleton
from backend.motion import footmr, kinematics
from backend.motion.lifter import HINTS, KEYPOINTS, Lifter
from backend.motion.orient import OrientCorrect, orthonormal
from backend.motion.transformer import window_mask


def pose(prefix: str) -> torch.Tensor:
    """The recorded pose (1, 40, 22, 3, 3), root first."""
    rotvec = torch.cat([0.3 * stream(f"{prefix}go", 1, 40, 3), 0.3 * stream(f"{prefix}bp", 1, 40, 63)], -1)
    return kinematics.matrix_from_axis_angle(rotvec.unflatten(-1, (22, 3)))


@torch.no_grad()
def test_footmr_is_the_published_network() -> None:
    network = filled(footmr.FootEncoderRoPE())
    assert sum(p.numel() for p in network.parameters()) == 3_636_844
    obs = stream("in.foot.obs", 1, 150, 8, 3)
    obs[..., 2] = 0.5 + 0.5 * stream("in.foot.obsc", 1, 150, 8)
    inputs = obs, stream("in.cliff", 1, 150, 3), stream("in.global_rot6d", 1, 150, 24)
    assert agrees("foot_encoder.out(1,150,12)", network(*inputs))
    assert agrees("foot_encoder.out_L90(1,90,12)", network(*(x[:, :90] for x in inputs)))


@torch.no_grad()
def test_footmr_sees_and_sets_global_ankles() -> None:
    local = pose("fm.")
    condition = footmr.condition(local)
    assert agrees("footmr.global_rot6d(1,40,24)", condition)
    unchanged = footmr.with_ankles(local, condition[..., 12:])
    torch.testing.assert_close(unchanged, local, atol=1e-5, rtol=0)
    turned = footmr.with_ankles(local, stream("ankles", 1, 40, 12))
    expected = kinematics.matrix_from_6d(stream("ankles", 1, 40, 12).unflatten(-1, (2, 6)))
    found = kinematics.global_rotations(turned)[:, :, list(footmr.ANKLES)]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    others = [j for j in range(22) if j not in footmr.ANKLES]
    assert torch.equal(turned[:, :, others], local[:, :, others])


@torch.no_grad()
def test_forward_kinematics_is_the_recorded_and_our_own() -> None:
    offsets = 0.25 * stream("skel.offset", 22, 3)
    root = offsets[0] + 0.5 * stream("ik.g.tr", 1, 40, 3)
    _, joints = kinematics.forward_kinematics(pose("ik.g."), offsets, root)
    assert agrees("fk.joints", joints)

    body = skeleton.neutral()
    local = rotations.normalize(np.random.default_rng(0).normal(size=(4, 55, 4)))
    pelvis = np.random.default_rng(1).normal(size=(4, 3))
    turned, expected = skeleton.forward_kinematics(body, local, pelvis)
    matrices = torch.from_numpy(rotations.to_matrix(local))
    found_turned, found = kinematics.forward_kinematics(
        matrices, torch.from_numpy(body.offsets), torch.from_numpy(pelvis)
    )
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(found_turned.numpy(), rotations.to_matrix(turned), atol=1e-9)


@torch.no_grad()
def test_orient_correct_is_the_published_network() -> None:
    network = filled(OrientCorrect())
    camera, local = (kinematics.matrix_from_axis_angle(stream(name, 4, 3)) for name in ("oc.Rc", "oc.Rl"))
    raw = network(stream("oc.x", 4, 2149), camera, local)
    assert agrees("whmr.orient_correct_raw(4,9)", raw)
    assert agrees("whmr.orient_correct_rotmat", orthonormal(raw))


@pytest.mark.parametrize("angle", [0.0, 1e-4, 1.0, 3.1, 3.14159, 3.1415926])
def test_rotation_forms_are_one_another(angle: float) -> None:
    axis = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    matrix = kinematics.matrix_from_axis_angle(axis * angle)
    torch.testing.assert_close(kinematics.matrix_from_6d(kinematics.matrix_to_6d(matrix)), matrix)


def test_a_frame_sees_a_window_of_120_frames() -> None:
    assert window_mask(120).all()
    mask = window_mask(200)
    assert (mask.sum(1) == 120).all()
    assert mask[100].nonzero()[[0, -1], 0].tolist() == [40, 159]
    assert mask[10].nonzero()[[0, -1], 0].tolist() == [0, 119]
    assert mask[199].nonzero()[[0, -1], 0].tolist() == [80, 199]


@torch.no_grad()
def test_the_lifter_takes_any_length_and_looks_at_hidden_points_as_hidden() -> None:
    network = Lifter(width=48, layers=2, heads=4).eval()
    for frames in (1, 30, 150):
        obs, hints = torch.rand(2, frames, KEYPOINTS, 3), torch.randn(2, frames, 3 * len(HINTS) + 1)
        out = network(obs, torch.rand(2, frames, 3), torch.zeros(2, frames, 6), hints)
        assert out.pose.shape == (2, frames, 21, 6)
        hidden = obs.clone()
        hidden[..., 5, 2] = 0.2
        moved = hidden.clone()
        moved[..., 5, :2] += 1.0
        same = [network(x, torch.zeros(2, frames, 3), torch.zeros(2, frames, 6), hints).pose for x in (hidden, moved)]
        assert torch.equal(*same)
