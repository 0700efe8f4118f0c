"""Rendered clips to learn from: what comes back from takes and truth on disk, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.core import keypoints, rotations, skeleton
from backend.core.errors import MocapError
from backend.core.take import NpzWriter
from backend.evaluation.chains import Clip
from backend.motion import observed, watched
from backend.motion.kinematics import forward_kinematics
from backend.motion.synthesis import Batch, Synthesiser
from backend.observations import FORMAT
from backend.store import FRAME

FRAMES = 40
WIDE = observed.FOCAL * np.hypot(36, 24) / np.hypot(observed.SIZE, observed.SIZE)  # the lens that synthetic clips have


@pytest.fixture
def synthetic() -> Batch:
    """Somebody who swings an arm and walks, in front of many cameras, seen by detectors that never err."""
    time = torch.arange(FRAMES) / 30
    local = torch.eye(3).expand(12, FRAMES, 22, 3, 3).clone()
    swing = rotations.to_matrix(rotations.from_axis_angle(np.sin(6 * time.numpy())[:, None] * [0.0, 0.3, 0.8]))
    local[:, :, skeleton.INDEX["left_shoulder"]] = torch.tensor(swing).float()
    trans = torch.stack([0 * time, 0 * time + 0.95, 0.8 * time], -1).expand(12, -1, -1)
    return Synthesiser(4, noise=0.0)(local, trans, torch.ones(12, FRAMES, 4), torch.full((12,), 30.0))


def _write(clip: Clip, batch: Batch, i: int, folder: Path) -> None:
    """The clip as `render-clips` and a capture leave it."""
    count = len(clip.observations)
    upright = rotations.to_matrix(rotations.between(np.tile([0.0, 0.0, 1.0], (count, 1)), -clip.down))
    root = rotations.from_matrix(upright.transpose(0, 2, 1))
    local = clip.local.copy()
    local[:, 0] = rotations.multiply(root, local[:, 0])
    joints = batch.joints[i].double().numpy()
    arrays = {
        "poses": rotations.to_axis_angle(local).reshape(count, -1), "trans": np.zeros((count, 3)),
        "rest_offsets": clip.offsets, "R": upright, "t": np.zeros((count, 3)),
        "joints": np.einsum("tba,tjb->tja", upright, joints), "contacts": np.ones((count, 4)),
        "keypoints_foot": np.cumsum(np.ones((count, 6, 3)), 0),
        "timestamps": clip.observations["time"], "mocap_frame_rate": 30.0,
    }  # fmt: skip
    told = {"track": 1, "observations": "clip.keypoints"}
    for name in ("clip.npz", "clip.truth.1.npz"):
        with NpzWriter(folder / name) as file:
            for key, value in {**arrays, "provenance": json.dumps(told)}.items():
                file.put(key, value)
    side = int(observed.SIZE)
    video = {
        "name": "clip.mp4", "width": side, "height": side, "fps": 30.0, "frames": count, "duration": 2.0, "rotation": 0,
        "codec": "", "pixel_format": "", "variable_frame_rate": False, "focal_35mm": WIDE,
    }  # fmt: skip
    with NpzWriter(folder / "clip.keypoints") as file:
        file.put("about", json.dumps({"format": FORMAT, "video": video}))
        file.put("person-1", clip.observations)
        frames = np.zeros(count, FRAME)
        frames["index"], frames["time"] = clip.observations["frame"], clip.observations["time"]
        file.put("frames", frames)


def test_what_was_written_comes_back_as_networks_see_it(synthetic: Batch, tmp_path: Path) -> None:
    with_hints = [i for i in range(len(synthetic.obs)) if synthetic.hints[i, 0, -1] > 0]
    which = with_hints[0]
    (more := tmp_path / "more").mkdir()
    _write(observed.clips(synthetic)[0], synthetic, which, more)
    clip = watched.load(tmp_path).clips
    for name in ("cliff_cam", "local", "gravity", "joints", "down"):
        torch.testing.assert_close(getattr(clip, name)[0], getattr(synthetic, name)[which], atol=2e-3, rtol=0, msg=name)
    torch.testing.assert_close(clip.offsets[0, 1:], synthetic.offsets[which, 1:], atol=1e-5, rtol=0)
    seen = synthetic.obs[which][..., 2] > 0
    torch.testing.assert_close(clip.obs[0][seen], synthetic.obs[which][seen], atol=5e-3, rtol=0)
    assert not clip.static[0, :, :4].any()  # whatever is labelled, feet that fly do not stand
    torch.testing.assert_close(clip.velocity[0, 5:-5], synthetic.velocity[which, 5:-5], atol=0.05, rtol=0)


def test_windows_are_of_any_length_and_mirrored_ones_are_people(synthetic: Batch) -> None:
    clip = synthetic.rows(slice(0, 1))
    batch = watched.Watched.of([clip]).windows(16, 100, torch.Generator().manual_seed(2))
    assert batch.obs.shape == (16, 100, 23, 3)
    offsets = batch.offsets[:, None].expand(-1, 100, -1, -1)
    _, joints = forward_kinematics(batch.local, offsets, batch.joints[:, :, 0])
    torch.testing.assert_close(joints, batch.joints, atol=1e-4, rtol=0)  # after mirroring, too
    moved = torch.diff(batch.joints[:, :, 0], dim=1).norm(dim=-1)
    assert moved.max() < 0.1  # nobody jumps where a clip ends
    left, right = (skeleton.INDEX[f"{side}_shoulder"] for side in ("left", "right"))
    swings = (batch.local[:, :, [left, right]] - torch.eye(3)).abs().amax((1, 3, 4)) > 0.1
    assert (swings.sum(1) == 1).all() and swings.any(0).all()  # one arm swings, now the left and now the right


def _off(batch: Batch) -> torch.Tensor:
    """How far wrists are seen from where they are, at most: (B,) shares of the box."""
    apart = []
    for side in ("left", "right"):
        point, joint = (of[f"{side}_wrist"] for of in (keypoints.INDEX, skeleton.INDEX))
        seen = batch.cliff_cam[..., :2] + 0.5 * batch.obs[:, :, point, :2] * batch.cliff_cam[..., 2:]
        true = batch.joints[:, :, joint, :2] / batch.joints[:, :, joint, 2:]
        apart.append(((seen - true).norm(dim=-1) / batch.cliff_cam[..., 2]).amax(1))
    return torch.stack(apart).amax(0)


def test_rolled_cameras_see_the_same_people(synthetic: Batch) -> None:
    clip = synthetic.rows(_off(synthetic).argmin().reshape(1))  # whose sides were not swapped
    shorter = Batch(**{k: v if k in watched.WHOLE else v[:, :25] for k, v in vars(clip).items()})
    batch = watched.Watched.of([shorter, clip]).windows(32, 20, torch.Generator().manual_seed(2))
    assert _off(batch).max() < 4 * watched.AGAIN
    before, after = (
        (each.local[:, :, 0].transpose(-1, -2) @ each.down[..., None])[..., 0].abs() for each in (clip, batch)
    )
    torch.testing.assert_close(after, before[:, :1].expand_as(after), atol=1e-5, rtol=0)  # who stands upright does so
    assert batch.down[:, 0, 0].std() > 0.1  # but not in the picture
    turned = batch.gravity.transpose(-1, -2) @ torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(turned, (batch.local[:, :, 0].transpose(-1, -2) @ batch.down[..., None])[..., 0])


def test_a_folder_without_truth_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(MocapError, match="Render clips"):
        watched.load(tmp_path)
