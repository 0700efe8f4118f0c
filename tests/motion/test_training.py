"""The synthesiser's geometry on exact input, and a training that starts, learns, is killed and goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.body import tokens
from backend.body.twist import signed_angle
from backend.core import rotations, skeleton
from backend.core.errors import MocapError
from backend.motion import cmu, mocap, observed, train
from backend.motion.kinematics import global_rotations
from backend.motion.synthesis import Synthesiser, view_from_gravity
from backend.motion.tasks import TASKS

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


@pytest.mark.parametrize("side", ["left", "right"])
def test_elbows_of_the_data_bend_about_y_and_bones_stay(side: str) -> None:
    sign = 1.0 if side == "left" else -1.0
    shoulder, elbow, wrist = (skeleton.INDEX[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    local = np.tile(rotations.IDENTITY, (5, skeleton.COUNT, 1))
    hinge = rotations.rotate(rotations.from_axis_angle([cmu.ARM_TWIST, 0, 0]), [0.0, -sign, 0.0])  # as CMU has it
    local[:, shoulder] = rotations.from_axis_angle([0.3, 0.2, -0.5])
    local[:, elbow] = rotations.from_axis_angle(np.linspace(0.3, 2.0, 5)[:, None] * hinge)
    local[:, wrist] = rotations.from_axis_angle([0.1, 0.4, 0.2])
    moved = cmu.hinged_elbows(local)
    body = skeleton.neutral()
    before, after = (skeleton.forward_kinematics(body, x, np.zeros((5, 3))) for x in (local, moved))
    np.testing.assert_allclose(after[1], before[1], atol=1e-9)
    np.testing.assert_allclose(rotations.angle_between(after[0][:, wrist], before[0][:, wrist]), 0.0, atol=1e-7)
    upper, lower = body.offsets[elbow], rotations.rotate(moved[:, elbow], body.offsets[wrist])
    bend = np.cross(upper, lower)
    angle = signed_angle(np.broadcast_to([0.0, -sign, 0.0], bend.shape), bend, rotations.normalize(upper))
    np.testing.assert_allclose(angle, 0.0, atol=1e-9)


def test_the_pipeline_sees_what_the_training_saw(motions: Path) -> None:
    """From a synthetic clip to OBSERVATIONs and back to the network's inputs: nothing is lost or turned on the way."""
    data = mocap.load(motions, straighten=False)
    batch = Synthesiser(seed=5, noise=1.0)(*data.windows(12, 40, torch.Generator().manual_seed(2)))
    given = [i for i in range(12) if batch.hints[i, 0, -1] > 0]
    for clip, i in zip(observed.clips(batch), given, strict=True):
        ray = np.column_stack([batch.cliff_cam[i, :, :2], np.ones(40)])
        straight = rotations.between([0.0, 0.0, 1.0], ray)
        points = rotations.rotate(straight[:, None], clip.observations["landmarks"][..., :3].astype(float))
        found = tokens.tokens(clip.observations, points, clip.camera)
        whole = batch.obs[i, ..., :2].abs().amax(-1) < 2.9  # what lies far outside of the box is cut off
        np.testing.assert_allclose(found.obs[whole], batch.obs[i][whole], atol=2e-3)
        np.testing.assert_allclose(found.cliff_cam, batch.cliff_cam[i], atol=2e-3)
        np.testing.assert_allclose(found.cam_angvel, batch.cam_angvel[i], atol=2e-3)
        hips = batch.hints[i, :, :-1].unflatten(-1, (len(tokens.HINTS), 3))[:, [9, 10]].mean(1)
        expected = batch.hints[i, :, :-1].unflatten(-1, (len(tokens.HINTS), 3)) - hips[:, None]
        np.testing.assert_allclose(found.hints[:, :-1].reshape(40, -1, 3), expected, atol=2e-3)


def test_bodies_turned_over_lie_every_way(motions: Path) -> None:
    data = mocap.load(motions, straighten=False)
    windows = data.windows(64, 10, torch.Generator().manual_seed(2))
    batch = Synthesiser(seed=5, noise=0.0, spun=1.0)(*windows)
    up = (view_from_gravity(batch.down) @ batch.local[:, :, 0])[..., 1]
    assert up[:, 0].mean(0).norm() < 0.35  # uniform directions cancel
    assert (batch.joints[..., 2] > 0.2).all()


def test_a_video_of_60_frames_a_second_is_two_of_30() -> None:
    times = np.concatenate([np.arange(9) / 60, 5 + np.arange(5) / 30])
    strands: list[list[int]] = []

    def network(rows: np.ndarray) -> dict[str, np.ndarray]:
        strands.append(rows.tolist())
        return {"row": rows[:, None].astype(np.float32)}

    woven = tokens.in_strands(times, network)["row"][:, 0]
    np.testing.assert_array_equal(woven, np.arange(14))
    assert strands == [[0, 2, 4, 6, 8], [1, 3, 5, 7], [9, 10, 11, 12, 13]]
    assert tokens.in_strands(np.zeros(1), network)["row"].shape == (1, 1)
    assert strands[-1] == [0, 0]


@pytest.mark.parametrize("name", list(TASKS))
def test_training_learns_saves_and_goes_on(motions: Path, tmp_path: Path, name: str) -> None:
    lifter = tmp_path / "lifter.pt"
    torch.save({"average": TASKS["lifter"](1, None, None).network().state_dict()}, lifter)
    config = tmp_path / "plan.toml"
    config.write_text("hours = 0.0008\nclips = 2\nframes = 20\n")
    places = {"data": motions, "validation": motions, "folder": tmp_path / "run", "lifter": lifter}
    train.train(name, train.Plan.read(config, **places))
    first = torch.load(tmp_path / "run" / f"{name}.pt", weights_only=True)
    assert first["step"] > 0
    train.train(name, train.Plan.read(config, hours=first["seconds"] / 3600 + 0.0008, **places))
    second = torch.load(tmp_path / "run" / f"{name}.pt", weights_only=True)
    assert second["step"] > first["step"]
    assert any(not torch.equal(first["average"][k], second["average"][k]) for k in first["average"])
    log = (tmp_path / "run" / f"{name}.csv").read_text()
    assert "validation/loss" in log


def test_an_interrupted_training_saves_and_one_may_begin_with_weights(
    motions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(5)
    weights = TASKS["lifter"](1, None, None).network().state_dict()
    torch.save({"average": weights}, tmp_path / "before.pt")
    config = tmp_path / "plan.toml"
    config.write_text("hours = 1\nclips = 2\nframes = 20\n")
    steps = iter(range(2))
    learn = train.Training.learn

    def interrupted(self: train.Training, *given: object) -> train.Told:
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return learn(self, *given)

    monkeypatch.setattr(train.Training, "learn", interrupted)
    places = {"data": motions, "validation": motions, "folder": tmp_path / "run", "start": tmp_path / "before.pt"}
    train.train("lifter", train.Plan.read(config, **places))
    saved = torch.load(tmp_path / "run" / "lifter.pt", weights_only=True)
    assert saved["step"] == 2
    for name, tensor in weights.items():
        torch.testing.assert_close(saved["network"][name], tensor, atol=1e-3, rtol=0)  # two steps of a slow start


def test_a_plan_that_cannot_be_is_refused(tmp_path: Path) -> None:
    config, places = tmp_path / "plan.toml", {"data": tmp_path, "validation": tmp_path, "folder": tmp_path}
    for text, wrong in (("hours = 1\nclip = 2\n", "clip"), ("clips = 2\n", "hours"), ("hours: 1\n", "plan.toml")):
        config.write_text(text)
        with pytest.raises(MocapError, match=wrong) as refused:
            train.Plan.read(config, **places)
        assert refused.value.code == "bad-request"
    with pytest.raises(MocapError, match=r"missing\.toml"):
        train.Plan.read(tmp_path / "missing.toml", **places)


@pytest.mark.parametrize("name", ["footmr", "orient"])
def test_what_builds_on_the_lifter_asks_for_it(name: str) -> None:
    with pytest.raises(MocapError) as refused:
        TASKS[name](1, None, None)
    assert refused.value.code == "bad-request" and "--lifter" in refused.value.fix
