"""A rendered clip: what Blender drew, what the truth says, and what the capture makes of it belong together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clip_body import MAN, load_body
from clip_motion import perform
from clip_scenes import Actor, random_scenes
from downloads import LOOKS_SHA256

from backend.core import keypoints, rotations, skeleton
from backend.core.take import read_take
from backend.evaluation import compare

CLIP = "level"
START, FRAMES = 60, 10  # where the scene begins in its motion


def write_motions(path: Path, frames: int = FRAMES) -> Path:
    """A file of motions whose one sequence stands and moves its arms a little."""
    count = START + frames
    pose = np.zeros((count, 21, 3))
    swing = 0.2 * np.sin(np.arange(count) / 4)
    pose[:, skeleton.INDEX["left_shoulder"] - 1, 2] = -0.9 + swing
    pose[:, skeleton.INDEX["right_shoulder"] - 1, 2] = 0.9 + swing
    np.savez(
        path,
        body_pose=pose.astype(np.float16),
        root_orient=np.zeros((count, 3)),
        trans=np.tile([0.0, 1.0, 0.0], (count, 1)),
        contacts=np.ones((count, 4), bool),
        seq_name=np.array(["13_29"]),
        seq_start=np.array([0]),
        seq_length=np.array([count]),
    )
    return path


def test_the_body_stands_in_smplx_zero_pose() -> None:
    body = load_body(MAN, size=1.0)
    still = np.tile(rotations.IDENTITY, (1, skeleton.COUNT, 1))
    turned, joints = skeleton.forward_kinematics(body.skeleton, still, np.zeros((1, 3)))
    skin = body.skin(turned, joints)[0]
    rest = skeleton.neutral().joints()
    for name in ("left_elbow", "right_wrist", "left_knee", "right_ankle", "left_foot", "head"):
        j, parent = skeleton.INDEX[name], skeleton.PARENTS[skeleton.INDEX[name]]
        bone, neutral = (rotations.normalize(r[j] - r[parent]) for r in (joints[0], rest))
        assert bone @ neutral > np.cos(np.radians(20)), name
    assert 1.7 < np.ptp(skin[:, 1]) < 1.8
    assert np.ptp(skin[:, 0]) == pytest.approx(np.ptp(skin[:, 1]), rel=0.1)  # as wide as tall
    feet = skeleton.posed_points(body.skeleton, turned, joints, skeleton.FOOT_POINTS)[0]
    np.testing.assert_allclose(feet[:, 1], skin[:, 1].min(), atol=0.015)
    np.testing.assert_allclose(feet[:3] * [-1, 1, 1], feet[3:], atol=0.005)


def test_stout_people_are_wider_and_stand_as_well() -> None:
    def width(build: str) -> float:
        body = load_body({**MAN, f"universal-male-young-{build}": 0.8}, size=1.0)
        still = np.tile(rotations.IDENTITY, (1, skeleton.COUNT, 1))
        turned, joints = skeleton.forward_kinematics(body.skeleton, still, np.zeros((1, 3)))
        skin = body.skin(turned, joints)[0]
        feet = skeleton.posed_points(body.skeleton, turned, joints, skeleton.FOOT_POINTS)[0]
        np.testing.assert_allclose(feet[:, 1], skin[:, 1].min(), atol=0.015)
        waist = np.abs(skin[:, 1] - joints[0, skeleton.INDEX["spine1"], 1]) < 0.02
        return float(np.ptp(skin[waist, 0]))

    assert width("minmuscle-maxweight") > 1.2 * width("minmuscle-minweight")


def test_ankles_turn_as_far_as_the_scene_says(tmp_path: Path) -> None:
    motions = dict(np.load(write_motions(tmp_path / "motions.npz")))
    usual, turned = (perform(Actor("13_29", ankles=far), motions, START).local for far in (0.0, 30.0))
    off = rotations.to_axis_angle(rotations.multiply(rotations.inverse(usual), turned))
    off_by = np.degrees(np.linalg.norm(off, axis=-1))
    ankles = np.isin(np.arange(skeleton.COUNT), skeleton.ANKLES)
    assert 20 < off_by[:, ankles].max() < 45


def test_random_scenes_take_motions_of_every_kind_and_stay_within_them() -> None:
    lengths = np.array([40, 90, 61, 300, 70])
    motions = {
        "seq_name": np.array(["a", "b", "c", "d", "e"]),
        "seq_length": lengths,
        "seq_flat_floor": np.array([True, True, True, True, False]),
        "seq_category": np.array(["walk", "walk", "jump", "walk", "jump"]),
    }
    scenes = random_scenes(motions, 2, 60, seed=7)
    (one,), (two,) = (scene.actors for scene in scenes.values())
    assert {one.motion, two.motion} in ({"b", "c"}, {"d", "c"})  # one of each kind, long enough and on a floor
    for scene in random_scenes(motions, 9, 60, seed=7).values():
        (actor,) = scene.actors
        assert actor.start + 60 <= dict(zip("abcde", lengths, strict=True))[actor.motion]
        assert 0.6 < scene.focal < 3.4 and 3.4 <= -scene.eye[1] <= 6.0
        assert set(actor.looks) <= set(LOOKS_SHA256)
    assert random_scenes(motions, 2, 60, seed=7) == scenes


@pytest.fixture(scope="module")
def clip(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the clip and its truth."""
    folder = tmp_path_factory.mktemp("clip")
    motions = write_motions(folder / "motions.npz")
    command = [sys.executable, "packaging/render_clips.py", CLIP, "--motions", str(motions), "--output", str(folder)]
    subprocess.run([*command, "--frames", str(FRAMES), "--height", "270"], cwd=root, check=True)
    return folder


@pytest.mark.slow
def test_the_capture_sees_the_body_where_the_truth_says(root: Path, clip: Path) -> None:
    video, take = clip / f"{CLIP}.mp4", clip / "take.npz"
    subprocess.run([sys.executable, "-m", "backend", "capture", str(video), "-o", str(take)], cwd=root, check=True)
    pairs = compare.match([take], [clip / f"{CLIP}.truth.1.npz"])
    (pair,) = pairs
    assert len(pair.rows) == FRAMES
    limbs = [keypoints.INDEX[name] for name in compare.COMMON]
    found, true = (t["keypoints2d"][r][:, limbs, :2] for t, r in ((pair.found, pair.rows), (pair.true, pair.true_rows)))
    error = np.linalg.norm(found - true, axis=-1) / compare.box_size(pair.true)[:, None]
    assert np.median(error) < 0.04 and error.max() < 0.15
    overall = compare.evaluate(pairs)["overall"]
    assert overall["pa_mpjpe_common"] < 120 and overall["gravity"] < 25


@pytest.mark.slow
def test_a_camera_that_walks_around_somebody_is_followed(root: Path, tmp_path: Path) -> None:
    motions = write_motions(tmp_path / "motions.npz", frames=55)
    command = [sys.executable, "packaging/render_clips.py", "around", "--motions", str(motions)]
    render = [*command, "--output", str(tmp_path), "--frames", "55", "--height", "270"]
    subprocess.run(render, cwd=root, check=True)
    video, take = tmp_path / "around.mp4", tmp_path / "take.npz"
    subprocess.run([sys.executable, "-m", "backend", "capture", str(video), "-o", str(take)], cwd=root, check=True)
    found, true = read_take(take), read_take(tmp_path / "around.truth.1.npz")
    went, really = (np.linalg.norm(np.ptp(-np.einsum("tba,tb->ta", t["R"], t["t"]), axis=0)) for t in (found, true))
    assert went == pytest.approx(really, rel=0.25) and really > 1.5
    turned, really = (
        rotations.angle_between(*rotations.from_matrix(t["R"][[0, -1]].astype(float))) for t in (found, true)
    )
    assert np.degrees(abs(turned - really)) < 3
    assert np.linalg.norm(np.ptp(found["keypoints_foot"], axis=0), axis=-1).max() < 0.15  # they stand
    assert float(found["focal"]) == pytest.approx(float(true["focal"]), rel=0.15)


@pytest.mark.slow
def test_the_truth_is_consistent_with_itself(clip: Path) -> None:
    true = read_take(clip / f"{CLIP}.truth.1.npz")
    body = skeleton.neutral().with_offsets(true["rest_offsets"])
    _, joints = skeleton.forward_kinematics(body, true.rotations, true.pelvis)
    np.testing.assert_allclose(joints, true["joints"], atol=1e-6)
    knee = compare.project(true, true["joints"])[:, skeleton.INDEX["left_knee"]]
    np.testing.assert_allclose(knee, true["keypoints2d"][:, keypoints.INDEX["left_knee"], :2], atol=1e-4)
    np.testing.assert_allclose(true["keypoints_foot"][..., 2], 0.0, atol=0.03)  # both feet flat on the floor
