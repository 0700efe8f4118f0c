"""The command line: files written and exit statuses."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest


def test_capture_writes_blend_and_take(bpy, addon, demo_clip, tmp_path, capfd):
    blend = tmp_path / "out é.blend"
    arguments = ["capture", str(demo_clip), "--blend", str(blend), "--end", "0.7", "--people", "largest", "--fps", "10"]
    assert addon.cli.main(arguments) == 0
    assert "Tracking people" in capfd.readouterr().err
    assert blend.with_suffix(".npz").exists()
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    (entry,) = bpy.context.scene.video_mocap.takes
    curve = addon.compat.curves(entry.armature.animation_data.action)[0]
    assert 5 <= len(curve.keyframe_points) <= 8


def test_several_people_share_a_collection_and_a_camera(bpy, addon, demo_clip, tmp_path):
    blend = tmp_path / "out.blend"
    span = ["--start", "2.5", "--end", "3.3", "--fps", "10"]
    assert addon.cli.main(["capture", str(demo_clip), "--blend", str(blend), *span]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    entries = bpy.context.scene.video_mocap.takes
    assert [entry.name for entry in entries] == ["demo · Person 1", "demo · Person 2"]
    assert len({entry.armature for entry in entries}) == 2
    assert len({entry.collection for entry in entries}) == len({entry.camera for entry in entries}) == 1
    assert len(bpy.data.objects) == 5  # two armatures, two bodies, a camera


@pytest.mark.parametrize(
    "arguments, status, code",
    [
        (["nowhere.mp4"], 3, "video-missing"),
        (["{clip}", "--start", "500"], 3, "range-outside"),
        (["{clip}", "--people", "nobody"], 2, "bad-request"),
        (["{clip}", "--engine", "body=none"], 5, "engine-unavailable"),
        (["{clip}", "--engine", "body"], 2, "bad-request"),
        (["{clip}", "--python", "nowhere"], 5, "python-missing"),
        (["{clip}", "--blend", "out.npz"], 2, "bad-request"),
        (["{clip}", "--blend", "out"], 2, "bad-request"),
    ],
)
def test_failures_have_a_status_and_leave_no_file(addon, demo_clip, tmp_path, capfd, arguments, status, code):
    arguments = [argument.replace("{clip}", str(demo_clip)) for argument in arguments]
    assert addon.cli.main(["capture", "--blend", str(tmp_path / "out.blend"), *arguments]) == status
    assert f"[{code}]" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_blend_in_a_missing_folder_is_refused_before_work_starts(addon, demo_clip, tmp_path, capfd):
    assert addon.cli.main(["capture", str(demo_clip), "--blend", str(tmp_path / "no" / "out.blend")]) == 4
    assert "[output-unwritable]" in capfd.readouterr().err


@pytest.mark.parametrize("command", ["capture", "retarget"])
def test_blend_that_cannot_be_written_is_refused_before_work_starts(addon, tmp_path, capfd, monkeypatch, command):
    """Root may write everything: a made-up answer stands for a file that is locked."""
    folder, locked = tmp_path / "folder.blend", tmp_path / "locked.blend"
    folder.mkdir()
    locked.touch()
    option = ["nowhere", "--blend"] if command == "capture" else ["nowhere.blend", "nowhere.npz", "-o"]
    assert addon.cli.main([command, *option, str(folder)]) == 4
    assert "is a folder" in capfd.readouterr().err and folder.is_dir()
    monkeypatch.setattr(addon.files.os, "access", lambda path, mode: path != locked)
    assert addon.cli.main([command, *option, str(locked)]) == 4
    assert "locked.blend cannot be written" in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_and_keeps_what_there_is(addon, demo_clip, tmp_path, capfd, monkeypatch, number):
    def interrupted(seconds: float) -> None:
        signal.raise_signal(number)  # again and again: impatient people
        time.sleep(seconds)

    before = signal.getsignal(number)
    monkeypatch.setattr(addon.cli, "time", SimpleNamespace(sleep=interrupted))
    assert addon.cli.main(["capture", str(demo_clip), "--blend", str(tmp_path / "out.blend")]) == 130
    assert "[cancelled]" in capfd.readouterr().err
    assert signal.getsignal(number) == before

    monkeypatch.setattr(addon.cli.command.sources, "read_motion", lambda path: signal.raise_signal(number))
    retarget = ["retarget", "nowhere.blend", "nowhere.npz", "-o", str(tmp_path / "hero.blend")]
    assert addon.cli.main(retarget) == 130
    assert "[cancelled]" in capfd.readouterr().err


def test_a_python_can_be_named_from_here_and_who_names_a_wrong_one_is_told(addon, monkeypatch, tmp_path):
    locate, variable = addon.environment.locate, addon.environment.VARIABLE
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").touch()
    (tmp_path / "python").symlink_to("real")
    monkeypatch.setenv(variable, "gone")
    assert locate("gone", tmp_path, "python") == locate("python", tmp_path) == [Path(tmp_path, "python")]
    for arguments, who in (
        (("a", tmp_path, "b"), "--python"),
        (("a", tmp_path), "preferences"),
        (("", tmp_path), variable),
    ):
        with pytest.raises(Exception, match=f"{who} name.*python-missing"):
            locate(*arguments)
    monkeypatch.setenv(variable, "python")
    assert locate("", tmp_path) == [Path(tmp_path, "python")]


def test_a_log_that_cannot_be_written_goes_elsewhere(addon, demo_clip, tmp_path, monkeypatch):
    (tmp_path / "logs").touch()  # no folder can be made here, not even by root
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(addon.files, "user_folder", lambda: tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    blend = tmp_path / "out.blend"
    arguments = ["capture", str(demo_clip), "--blend", str(blend), "--end", "0.5", "--people", "largest", "--fps", "10"]
    assert addon.cli.main(arguments) == 0
    assert list(tmp_path.glob("temporary/video-mocap-*/*-demo.log"))


def test_usage(addon, capfd):
    assert addon.cli.main(["--help"]) == 0
    assert addon.cli.main(["capture"]) == 2
    capfd.readouterr()
