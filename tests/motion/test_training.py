"""The synthesiser's geometry on exact input, and a training that starts, learns, is killed and goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.core import rotations, skeleton
from backend.motion import mocap, train
from backend.motion.kinematics import global_rotations
from backend.motion.lifter import HINTS
from backend.motion.synthesis import Synthesiser, view_from_gravity

FRAMES = 60


@pytest.fixture
def motions(tmp_path: Path) -> Path:
    """A file of two motions: somebody swings arms and legs, walking along z."""
    time = np.arange(FRAMES) / 30
    body = np.zeros((2 * FRAMES, 21, 3), np.float32)
    swing = np.sin(2 * np.pi * np.tile(time, 2))
    for joint, sign in (("left_hip", 1), ("right_hip", -1), ("left_shoulder", -1), ("right_shoulder", 1)):
        body[:, skeleton.INDEX[joint] - 1, 0] = 0.5 * sign * swing
    path = tmp_path / "motions.npz"
    np.savez(
        path,
        root_orient=np.zeros((2 * FRAMES, 3), np.float32),
        body_pose=body,
        trans=np.column_stack([np.zeros(2 * FRAMES), np.full(2 * FRAMES, 0.98), np.tile(time, 2)]),
        contacts=np.ones((2 * FRAMES, 4), bool),
        seq_start=np.array([0, FRAMES]),
        seq_length=np.array([FRAMES, FRAMES]),
        seq_knee_straight_deg=np.full((2, 2), 10.0),
        seq_knee_standing_deg=np.full((2, 2), 20.0),
    )
    return path


def test_without_noise_the_inputs_are_the_truth_projected(motions: Path) -> None:
    data = mocap.load(motions, straighten=False)
    windows = data.windows(8, 40, torch.Generator().manual_seed(1))
    batch = Synthesiser(seed=3, noise=0.0)(*windows)
    for name, tensor in vars(batch).items():
        assert torch.isfinite(tensor).all(), name
    assert (batch.joints[..., 2] > 0.2).all()
    # Undo the box: x / z * focal of the hips, in units of the focal length.
    hips = batch.joints[:, :, 1:3]
    seen = batch.obs[:, :, 11:13]
    pixels = batch.cliff_cam[:, :, None, :2] + 0.5 * seen[..., :2] * batch.cliff_cam[:, :, None, 2:]
    exact = seen[..., :2].abs().amax(-1) < 2.9
    swapped_or_lost = (pixels - hips[..., :2] / hips[..., 2:]).norm(dim=-1) > 1e-3
    assert (swapped_or_lost & exact).float().mean() < 0.3  # dropouts and swaps happen without noise, too
    # The ground truth of the root in gravity-view coordinates stands upright: y down, the body's y is up.
    body_up = batch.gravity[..., 1]
    assert body_up[..., 1].mean() < -0.99
    down = view_from_gravity(batch.down) @ batch.down[..., None]
    torch.testing.assert_close(down[..., 0], torch.tensor([0.0, 1.0, 0.0]).expand(8, 40, 3), atol=1e-5, rtol=0)


def test_a_mirrored_motion_mirrors_its_joints(motions: Path) -> None:
    data = mocap.load(motions, straighten=False)
    local, trans, contacts = data.local[:5], data.trans[:5], data.contacts[:5]
    turned, moved, _ = mocap.mirror(local, trans, contacts)
    twice = mocap.mirror(turned, moved, contacts)
    torch.testing.assert_close(twice[0], local)
    globals_ = global_rotations(local), global_rotations(turned)
    reflect = torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    left, right = skeleton.INDEX["left_knee"], skeleton.INDEX["right_knee"]
    torch.testing.assert_close(globals_[1][:, left], reflect @ globals_[0][:, right] @ reflect)


def test_straightened_legs_keep_feet_and_lift_the_body() -> None:
    local = np.broadcast_to(rotations.IDENTITY, (3, 22, 4)).copy()
    for side in ("left", "right"):
        for joint, turn in (("hip", -0.25), ("knee", 0.5), ("ankle", -0.25)):
            local[:, skeleton.INDEX[f"{side}_{joint}"]] = rotations.from_axis_angle([turn, 0, 0])
    moved, lift = mocap.straighten_legs(local, np.array([10.0, 10.0]), np.array([28.6, 28.6]))
    bend = np.degrees(np.linalg.norm(rotations.to_axis_angle(moved[:, skeleton.INDEX["left_knee"]]), axis=-1))
    assert bend == pytest.approx(7.0, abs=0.2)
    assert (lift[:, 1] > 0.01).all()
    assert HINTS[0] == "nose"


@pytest.mark.parametrize("name", list(train.NETWORKS))
def test_training_learns_saves_and_goes_on(motions: Path, tmp_path: Path, name: str) -> None:
    plan = train.Plan(motions, tmp_path / "run", hours=3 / 3600, clips=2, frames=20)
    train.train(name, plan)
    first = torch.load(tmp_path / "run" / f"{name}.pt", weights_only=True)
    assert first["step"] > 0
    longer = train.Plan(motions, tmp_path / "run", hours=5 / 3600, clips=2, frames=20)
    train.train(name, longer)
    second = torch.load(tmp_path / "run" / f"{name}.pt", weights_only=True)
    assert second["step"] > first["step"]
    assert any(not torch.equal(first["average"][k], second["average"][k]) for k in first["average"])
