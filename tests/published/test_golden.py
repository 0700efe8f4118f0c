"""Every output recorded from the official modules, from our own implementations of them."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from golden import agrees, filled, stream
from torch import Tensor

from backend.motion.kinematics import forward_kinematics, matrix_from_6d, matrix_to_6d
from backend.published import gravity_view, gvhmr, hmr2, ik, static_joints, vitpose
from backend.published.rotations import axis_angle_from_matrix, matrix_from_axis_angle

CLIP = 150  # frames
MEAN_PERSON = "SMPL_MEAN_PARAMS"  # names SPIN's smpl_mean_params.npz, for those who have it
# What the recorded person of HMR2.0 is an offset from; its pose is SMPL's mean pose, which is not ours to ship.
MEAN_BETAS = (0.2056, 0.3356, -0.3507, 0.3561, 0.4175, 0.0309, 0.3048, 0.2361, 0.2091, 0.3121)
BOX = torch.tensor([310.0, 290.0, 300.0]).expand(1, 5, 3)
FOCAL, CENTRE = float(np.hypot(1280, 720)), (640.0, 360.0)


@torch.no_grad()
@pytest.mark.parametrize("keypoints", [17, 23])
def test_gvhmr_is_the_published_network(keypoints: int) -> None:
    """150 frames: more than its window of 120."""
    network = filled(gvhmr.NetworkEncoderRoPE(keypoints))
    if keypoints == 23:
        assert sum(p.numel() for p in network.parameters()) == 41_049_056
    obs = stream("in.body.obs", 1, CLIP, keypoints, 3)
    obs[..., 2] = 0.5 + 0.5 * stream("in.body.obsc", 1, CLIP, keypoints)
    turn = stream("in.cam_angvel_norm", 1, CLIP, 6)
    out = network(obs, stream("in.cliff", 1, CLIP, 3), turn, stream("in.imgseq", 1, CLIP, 1024))
    assert agrees(f"gvhmr{keypoints}.pred_x", out.motion)
    assert agrees(f"gvhmr{keypoints}.pred_cam", out.camera)
    assert agrees(f"gvhmr{keypoints}.static_conf_logits", out.static)


def test_what_gvhmr_sees_of_keypoints_and_boxes() -> None:
    keypoints = torch.cat([300 + 200 * stream("nk.xy", 1, 5, 17, 2), 0.5 + 0.5 * stream("nk.c", 1, 5, 17, 1)], -1)
    assert agrees("normalize_kp2d(1,5,17,3)", gvhmr.box_keypoints(keypoints, BOX))
    assert agrees("cliff_cam", gvhmr.cliff_camera(BOX, FOCAL, CENTRE))
    camera = torch.tensor([1.1, 0.05, -0.2]).expand(1, 5, 3)
    assert agrees("transl_full", gvhmr.translation(camera, BOX, FOCAL, CENTRE))


@pytest.mark.parametrize("name", ["world", "world_static"])
def test_gravity_view_is_composed_into_the_recorded_world(name: str) -> None:
    seen, in_camera = (matrix_from_axis_angle(stream(key, 1, 40, 3)) for key in ("w.go_gv", "w.go_c"))
    turn = matrix_to_6d(matrix_from_axis_angle(0.01 * stream("w.cam", 1, 40, 3)))
    if name == "world_static":
        turn = torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(1, 40, 6)
    orientation, path = gravity_view.compose(seen, in_camera, 0.02 * stream("w.ltv", 1, 40, 3), turn)
    assert agrees(f"{name}.global_orient", axis_angle_from_matrix(orientation))
    assert agrees(f"{name}.transl", path)


class Toy:
    """The recorded motion of a made-up skeleton, in the world ("ik.g.") or in camera space ("ik.c.")."""

    offsets = 0.25 * stream("skel.offset", 22, 3)

    def __init__(self, prefix: str) -> None:
        rotvec = torch.cat([stream(f"{prefix}go", 1, 40, 3), stream(f"{prefix}bp", 1, 40, 63)], -1)
        self.local = matrix_from_axis_angle(0.3 * rotvec.unflatten(-1, (22, 3)))
        self.pelvis = self.offsets[0] + 0.5 * stream(f"{prefix}tr", 1, 40, 3)

    def joints(self) -> Tensor:
        return forward_kinematics(self.local, self.offsets, self.pelvis)[1]


STATIC = 3 * stream("ik.static", 1, 40, 6)


def test_post_processing_is_the_published() -> None:
    world, camera = Toy("ik.g."), Toy("ik.c.")
    pelvis = static_joints.moving_camera(world.joints(), STATIC)
    assert agrees("pp_static_joint.transl", pelvis - Toy.offsets[0])
    posed = ik.settle_limbs(world.local, Toy.offsets, pelvis, STATIC)
    assert agrees("process_ik.body_pose_rotmats", posed[:, :, 1:])
    to_world = world.local[:, 0, 0] @ camera.local[:, 0, 0].transpose(-1, -2)
    pelvis = static_joints.static_camera(world.joints(), camera.joints(), to_world, STATIC)
    assert agrees("pp_static_joint_cam.transl", pelvis - Toy.offsets[0])


def test_post_processing_can_leave_refined_ankles_alone() -> None:
    world = Toy("ik.g.")
    before, joints = forward_kinematics(world.local, Toy.offsets, world.pelvis)
    settled = ik.settle_limbs(world.local, Toy.offsets, world.pelvis, STATIC, ankles=False)
    after, moved = forward_kinematics(settled, Toy.offsets, world.pelvis)
    feet = [*ik.ANKLES, *ik.FEET]
    torch.testing.assert_close(after[:, :, feet], before[:, :, feet], atol=1e-5, rtol=0)
    assert (moved[:, 1:, 7] - joints[:, 1:, 7]).norm(dim=-1).mean() > 0.01  # hip and knee do follow
    exempt = (
        settled[:, :, list(ik.ANKLES)] - ik.settle_limbs(world.local, Toy.offsets, world.pelvis, STATIC)[:, :, [7, 8]]
    )
    assert exempt.abs().max() > 0.05


@pytest.fixture(scope="module")
def features() -> Tensor:
    """(1, 1280, 16, 12) what HMR2.0's ViT, all 631 million parameters of it, says of the recorded picture."""
    backbone = filled(hmr2.ViT())
    assert sum(p.numel() for p in backbone.parameters()) == 630_912_000
    with torch.no_grad():
        return backbone(stream("in.image", 1, 3, 256, 256)[..., 32:224])


def recorded_head() -> hmr2.SMPLHead:
    """HMR2.0's decoder and read-outs; each was recorded under names of its own."""
    head = hmr2.SMPLHead(1280).eval()
    for part in (head.transformer, head.decpose, head.decshape, head.deccam):
        filled(part)
    head.init_betas[:] = torch.tensor(MEAN_BETAS)
    return head


@pytest.mark.slow
@torch.no_grad()
def test_hmr2_is_the_published_network(features: Tensor) -> None:
    """Seen: differences of 4e-6 at most."""
    assert agrees("hmr2.vit_feats(1,1280,16,12)", features)
    head = recorded_head()
    assert sum(p.numel() for p in head.transformer.parameters()) == 39_386_112
    person = head(features)
    assert agrees("hmr2.token(1,1024)", person.token)
    assert agrees("hmr2.betas", person.betas)
    assert agrees("hmr2.cam", person.camera)


@pytest.mark.slow
@pytest.mark.skipif(MEAN_PERSON not in os.environ, reason=f"{MEAN_PERSON} names no smpl_mean_params.npz")
@torch.no_grad()
def test_hmr2_turns_joints_as_published(features: Tensor) -> None:
    """For those who have SPIN's file of SMPL's mean person. Seen: differences of 6e-7 at most."""
    head = recorded_head()
    with np.load(os.environ[MEAN_PERSON], allow_pickle=False) as mean:
        head.init_body_pose[:] = torch.from_numpy(mean["pose"])
        head.init_betas[:] = torch.from_numpy(mean["shape"])
    assert agrees("hmr2.rotmats_with_real_mean(24,3,3)", head(features).rotations)


@torch.no_grad()
def test_hmr2_adds_the_mean_pose_as_it_is_and_reads_columns() -> None:
    """What can be known of the rotations without the mean pose: that they are the read-out plus the checkpoint's own
    numbers, in its order, and of those six numbers the first three are the first column."""
    head = recorded_head()
    head.init_body_pose[:] = stream("any mean pose", 1, 144)
    picture = stream("any features", 2, 1280, 16, 12)
    person = head(picture)
    six = (head.decpose(person.token) + head.init_body_pose).double().numpy().reshape(2, 24, 2, 3)
    first = six[:, :, 0] / np.linalg.norm(six[:, :, 0], axis=-1, keepdims=True)
    second = six[:, :, 1] - (first * six[:, :, 1]).sum(-1, keepdims=True) * first
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    expected = np.stack([first, second, np.cross(first, second)], axis=-1)
    np.testing.assert_allclose(person.rotations, expected, atol=1e-4)
    rows = matrix_from_6d(torch.from_numpy(six.reshape(2, 24, 6)))
    assert np.abs(rows.numpy() - expected).max() > 0.5  # the other reading is another rotation


def test_vitpose_finds_the_recorded_points_in_heatmaps() -> None:
    y, x = np.mgrid[:64, :48]
    centres = np.array([23.5, 31.5]) + [20, 28] * stream("hm.c", 23, 2).numpy()
    heatmaps = np.stack(
        [
            0.9 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) + 0.01 * np.abs(stream(f"hm.n{j}", 64, 48).numpy())
            for j, (cx, cy) in enumerate(centres)
        ]
    )
    found = torch.from_numpy(vitpose.decode(heatmaps.astype(np.float32), np.array([310.0, 290.0, 300.0])))
    assert agrees("vitpose_udp_xy(23,2)", found[:, :2])
    assert agrees("vitpose_udp_conf", found[:, 2])
