"""The command line: files written and exit statuses."""

from __future__ import annotations

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
    ],
)
def test_failures_have_a_status_and_leave_no_file(addon, demo_clip, tmp_path, capfd, arguments, status, code):
    arguments = [argument.replace("{clip}", str(demo_clip)) for argument in arguments]
    assert addon.cli.main(["capture", *arguments, "--blend", str(tmp_path / "out.blend")]) == status
    assert f"[{code}]" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_blend_in_a_missing_folder_is_refused_before_work_starts(addon, demo_clip, tmp_path, capfd):
    assert addon.cli.main(["capture", str(demo_clip), "--blend", str(tmp_path / "no" / "out.blend")]) == 4
    assert "[output-unwritable]" in capfd.readouterr().err


def test_usage(addon, capfd):
    assert addon.cli.main(["--help"]) == 0
    assert addon.cli.main(["capture"]) == 2
    capfd.readouterr()
