"""The command line: what a capture writes, what it says, and the other commands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import ROOT, backend, person_pictures, write_video

from backend.cli import Report
from backend.core import skeleton
from backend.core.rotations import from_axis_angle, to_matrix
from backend.core.skeleton import Skeleton, forward_kinematics, neutral
from backend.core.take import read_take

SHAPES = {
    "poses": (165,), "trans": (3,), "joints": (55, 3), "keypoints_foot": (6, 3), "contacts": (4,), "confidence": (55,),
    "keypoints2d": (133, 3), "landmarks3d": (33, 4), "hand_landmarks": (2, 21, 4), "R": (3, 3), "t": (3,),
    "timestamps": (), "frames": (),
}  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory, demo_clip):
    """One person captured to a path with spaces and letters beyond ASCII."""
    folder = tmp_path_factory.mktemp("Tänze und Läufe")
    video = write_video(folder / "Zoë 1.mp4", person_pictures(demo_clip, 15))
    result = backend("capture", video, "-o", folder / "täke one.npz", "--people", "largest")
    assert result.returncode == 0, result.stderr
    return read_take(folder / "täke one.npz"), result


def test_a_take_has_every_array_in_its_shape(one):
    take, _ = one
    for name, shape in SHAPES.items():
        assert take[name].shape == (15, *shape), name
        assert np.isfinite(take[name]).all(), name
    assert str(take["surface_model_type"]) == "smplx" and str(take["gender"]) == "neutral"
    assert take["mocap_frame_rate"] == pytest.approx(10) and take["mocap_frame_rate"].dtype.kind == "f"
    assert str(take["up_axis"]) == "z" and take["image_size"].tolist() == [300, 300]


def test_joints_are_the_poses_played_on_the_persons_own_skeleton(one):
    take, _ = one
    own: Skeleton = neutral().with_offsets(take["rest_offsets"])
    turned, joints = forward_kinematics(own, take.rotations, take.pelvis)
    np.testing.assert_allclose(joints, take["joints"], atol=1e-4)
    feet = skeleton.posed_points(own, turned, joints, skeleton.FOOT_POINTS)
    np.testing.assert_allclose(feet, take["keypoints_foot"], atol=1e-3)


def test_the_camera_sees_the_joints_where_the_person_is(one):
    take, _ = one
    np.testing.assert_allclose(take["R"] @ take["R"].transpose(0, 2, 1), np.eye(3)[None].repeat(15, 0), atol=1e-5)
    seen = np.einsum("tij,tkj->tki", take["R"], take["joints"]) + take["t"][:, None]
    pixels = take["focal"] * seen[..., :2] / seen[..., 2:] + take["center"]
    pairs = {
        "left_hip": 11,
        "right_hip": 12,
        "left_shoulder": 5,
        "right_shoulder": 6,
        "left_knee": 13,
        "left_ankle": 15,
    }
    apart = [pixels[:, skeleton.INDEX[j]] - take["keypoints2d"][:, k, :2] for j, k in pairs.items()]
    assert np.median(np.linalg.norm(apart, axis=-1)) < 12  # pixels; the person is about 180 tall


def test_a_take_says_where_it_comes_from(one):
    take, _ = one
    told = take.provenance
    assert told["video"]["name"] == "Zoë 1.mp4" and len(told["video"]["sha256"]) == 64
    assert told["engines"]["track"]["licence"] == "Apache-2.0" and told["engines"]["track"]["models"]
    assert told["settings"]["people"] == "largest" and told["versions"]["numpy"] == np.__version__


def test_progress_goes_to_stderr_and_the_result_to_stdout(one):
    _, result = one
    assert Path(result.stdout.strip()).name == "täke one.npz"
    for stage in ("track", "solve", "write"):
        assert f"\n{stage}: " in result.stderr
    assert "\r" not in result.stderr  # no bar where there is no terminal


def test_a_terminal_gets_a_bar_that_ends_with_the_stage():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    report = Report(terminal := Terminal())
    for done in (0, 5, 10):
        report({"type": "stage", "name": "track", "done": done, "total": 10})
    report({"type": "warning", "code": "video-corrupt", "what": "A gap."})
    report.close()
    shown = terminal.getvalue()
    assert "[" + "." * 30 + "] 0/10" in shown and "[" + "#" * 15 + "." * 15 + "] 5/10" in shown
    lines = [line.split("\r")[-1].strip() for line in shown.split("\n")]
    assert lines[0] == "warning: A gap. [video-corrupt]" and lines[1].startswith("track: ")


def test_the_large_landmark_model_makes_a_take_that_says_so(one, tmp_path, demo_clip):
    video = write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, 6))
    result = backend("capture", video, "-o", tmp_path / "take.npz", "--engine", "track=blazepose-heavy")
    assert result.returncode == 0, result.stderr
    take, usual = read_take(tmp_path / "take.npz"), one[0]
    told, before = (t.provenance["engines"]["track"]["models"] for t in (take, usual))
    assert set(told) - set(before) == {"pose_landmark_heavy.tflite"}
    assert set(before) - set(told) == {"pose_landmark_full.tflite"}
    apart = np.linalg.norm(take["keypoints2d"][:, :17, :2] - usual["keypoints2d"][:6, :17, :2], axis=-1)
    assert 0 < np.median(apart) < 6  # pixels; the person is about 180 tall


def test_several_people_make_a_take_each_and_an_index(tmp_path, demo_clip):
    pictures = person_pictures(demo_clip, 15)
    wide = [np.concatenate([p, cv2.flip(p, 1)], axis=1) for p in pictures]
    video = write_video(tmp_path / "two.mp4", wide)
    result = backend("capture", video, "-o", tmp_path / "take.npz")
    assert result.returncode == 0, result.stderr
    index = json.loads((tmp_path / "take.json").read_text("utf-8"))
    files = [take["file"] for take in index["takes"]]
    assert result.stdout.split() == [str(tmp_path / file) for file in files]
    assert files == ["take.1.npz", "take.2.npz"]
    there = ["take.1.npz", "take.2.npz", "take.json", "take.keypoints", "two.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == there
    left, right = (read_take(tmp_path / file) for file in files)
    assert left.provenance["track"] == 1 and right.provenance["name"] == "Person 2"
    assert np.median(left["keypoints2d"][:, :17, 0]) < 300 < np.median(right["keypoints2d"][:, :17, 0])
    assert np.array_equal(left["R"][0], right["R"][0]) and np.array_equal(left["t"][0], right["t"][0])
    assert left["joints"][:, 0, 0].mean() < right["joints"][:, 0, 0].mean()  # one world: x is the camera's right
    assert index["takes"][0]["frames"] == len(left) and index["video"]["sha256"]


def test_frames_can_be_thinned(tmp_path, demo_clip):
    video = write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, 20))
    result = backend("capture", video, "-o", tmp_path / "take.npz", "--people", "largest", "--fps", 5)
    assert result.returncode == 0, result.stderr
    take = read_take(tmp_path / "take.npz")
    assert take["frames"].tolist() == list(range(0, 20, 2))
    assert take["mocap_frame_rate"] == pytest.approx(5) and take["fps"] == pytest.approx(10)


@pytest.mark.parametrize(
    "options",
    [
        ["--fps", "0"],
        ["--fps", "nan"],
        ["--people", "everyone"],
        ["--engine", "body"],
        ["--engine", "soul=analytic"],
        ["--device", "quantum"],
        ["-o", "take.fbx"],
    ],
)
def test_options_that_make_no_sense(tmp_path, options):
    result = backend("capture", ROOT / "README.md", "-o", tmp_path / "take.npz", *options)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr and "error:" in result.stderr
    assert not list(tmp_path.iterdir())


def test_an_unknown_engine_is_answered_with_the_known_ones(tmp_path):
    result = backend("capture", "x.mp4", "-o", tmp_path / "take.npz", "--engine", "body=magic")
    assert result.returncode == 5 and "analytic" in result.stderr


def test_info(demo_clip):
    told = json.loads(backend("info", demo_clip, "--json").stdout)
    assert (told["width"], told["height"], told["fps"], told["frames"]) == (1768, 994, 30, 230)
    assert "1768" in backend("info", demo_clip).stdout
    assert backend("info", demo_clip.with_name("missing.mp4")).returncode == 3


def test_doctor():
    result = backend("doctor", "--json")
    found = json.loads(result.stdout)
    assert result.returncode == 0 and found["ok"]
    assert found["self_test"]["ok"] and set(found["models"].values()) == {"ok"}
    assert found["engines"]["track"]["blazepose"]["can_run"]
    assert found["packages"]["numpy"] == np.__version__
    assert "All is well." in backend("doctor").stdout


def test_doctor_names_what_is_missing(monkeypatch, tmp_path):
    from backend import doctor, embedded

    monkeypatch.setattr(embedded, "folder", lambda: tmp_path)
    (tmp_path / "face_landmark.tflite").write_bytes(b"something else")
    found = doctor.examine()
    assert not found["ok"] and not found["self_test"]["ok"]
    assert (
        found["models"]["pose_detection.tflite"] == "missing" and found["models"]["face_landmark.tflite"] == "changed"
    )
    assert "pose_detection.tflite" in found["engines"]["track"]["blazepose"]["why"]
    assert "Not ready." in doctor.render(found)


def test_doctor_tells_what_spoils_the_environment(monkeypatch, tmp_path):
    from backend import doctor

    found = doctor.examine()
    assert found["clashes"] == []
    metadata = tmp_path / "opencv_python-4.12.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.12.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = doctor.examine()
    assert len(found["clashes"]) == 1 and "pip uninstall opencv-python`" in found["clashes"][0]
    assert found["clashes"][0] in doctor.render(found)


def test_a_reader_may_stop_reading():
    read = "import sys; sys.stdin.readline()"
    command = f'"{sys.executable}" -m backend models list | "{sys.executable}" -c "{read}"'
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""


def test_a_capture_goes_on_when_nobody_follows_it(tmp_path, demo_clip):
    video, output = write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, 6)), tmp_path / "take.npz"
    command = [sys.executable, "-m", "backend", "capture", str(video), "-o", str(output), "--people", "largest"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        child.stderr.close()
        assert child.stdout.read().strip() == str(output)
    assert child.returncode == 0 and len(read_take(output)) == 6


def test_the_root_turns_with_the_person(one):
    """World z is up: a standing man's spine points there."""
    take, _ = one
    up = to_matrix(from_axis_angle(take["poses"][:, :3]))[..., 1]  # the body's own y
    assert (up[:, 2] > 0.8).all()
