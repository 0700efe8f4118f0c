"""What the panel knows of a clip, finding and picking people, quality, many clips."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

# Clips are made by the backend's Python: Blender's own may lack what that takes.
MAKE = """
import sys
from pathlib import Path
import numpy as np
sys.path[:0] = [{root!r}, {backend!r}]
from clips import person_pictures, write_video
pictures = person_pictures(Path({demo!r}), {count})
if {people} == 2:
    pictures = [np.ascontiguousarray(np.concatenate([p, p[:, ::-1]], axis=1)) for p in pictures]
write_video(Path({path!r}), pictures)
"""


def make_clip(path: Path, demo: Path, count: int, people: int) -> Path:
    """`count` pictures of 300 x 300 pixels at 10 fps; two people: side by side."""
    root = Path(__file__).parents[2]
    told = {"root": str(root), "backend": str(root / "tests" / "backend"), "demo": str(demo), "path": str(path)}
    program = MAKE.format(**told, count=count, people=people)
    subprocess.run([os.environ["VIDEO_MOCAP_PYTHON"], "-c", program], check=True)
    return path


@pytest.fixture(scope="module")
def two(extension, demo_clip, tmp_path_factory) -> Path:
    """A second and a half of two people side by side, 600 x 300 at 10 fps."""
    return make_clip(tmp_path_factory.mktemp("clips") / "zwei é.mp4", demo_clip, 15, people=2)


@pytest.fixture
def settings(bpy, addon, tmp_path):
    addon.preferences.get().folder = str(tmp_path)
    return bpy.context.scene.video_mocap


def test_a_chosen_video_is_described(bpy, addon, settings, two, tmp_path):
    settings.video = str(two)
    assert settings.clip_length == pytest.approx(1.5, abs=0.05) and settings.clip_rate == pytest.approx(10, rel=0.01)
    assert tuple(settings.clip_size) == (600, 300)
    assert addon.clip.text(settings) == "0:01.5   10 fps   600 x 300"
    assert len(bpy.data.movieclips) == 0
    settings.video = str(tmp_path / "none.mp4")
    assert addon.clip.text(settings) == "" and addon.clip.picture(tmp_path / "none.mp4") == 0
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(b"no video")
    settings.video = str(noise)
    assert addon.clip.text(settings) == ""


def test_whoever_is_picked_is_captured(bpy, addon, settings, two):
    settings.video = str(two)
    assert not bpy.ops.video_mocap.people_pick.poll()
    assert bpy.ops.video_mocap.people_find() == {"FINISHED"}
    scan = addon.people.of(two)
    assert scan.error is None and not scan.running
    settings.video = str(two.with_name("other.mp4"))
    assert not bpy.ops.video_mocap.people_pick.poll()  # they are not in that one
    settings.video = str(two)
    assert bpy.ops.video_mocap.people_pick.poll()
    picture = scan.picture
    assert len(picture.boxes) == 2 and all(face.is_file() for face in picture.faces)
    settings.people = "PICKED"
    assert not bpy.ops.video_mocap.capture.poll()
    assert bpy.ops.video_mocap.people_toggle(person=1) == {"FINISHED"}
    assert bpy.ops.video_mocap.people_toggle(person=0) == {"FINISHED"}
    assert bpy.ops.video_mocap.people_toggle(person=0) == {"FINISHED"}  # not that one
    assert len(settings.picks) == 1 and addon.people.picked(settings.picks, picture, 1) == 0
    settings.start = picture.time + 0.3
    with pytest.raises(RuntimeError, match=rf"picked at {picture.time:.2f} s.*range-outside"):
        bpy.ops.video_mocap.capture()
    settings.start = 0.0
    assert bpy.ops.video_mocap.capture() == {"FINISHED"}
    (entry,) = settings.takes
    take = addon.capture.read_take(addon.paths.absolute(entry.path))
    assert np.median(take["keypoints2d"][:, 5:13, 0]) > 300
    settings.video = ""
    assert len(settings.picks) == 0  # they belong to that clip


def test_people_who_were_found_are_known_in_the_saved_file_too(bpy, addon, settings, two, tmp_path):
    settings.video = str(two)
    bpy.ops.video_mocap.people_find()
    (tmp_path / "scenes").mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scenes" / "shot.blend"))
    assert settings.video.startswith("//..") and bpy.ops.video_mocap.people_pick.poll()
    assert addon.people.of(addon.operators.video_path(settings)) is addon.people.latest


def test_a_scan_that_fails_says_why(bpy, addon, settings, tmp_path):
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(b"no video")
    settings.video = str(noise)
    bpy.ops.video_mocap.people_find()
    assert addon.people.of(noise).error.code == "video-unreadable"


def test_stopping_a_scan_ends_its_process(bpy, addon, settings, demo_clip):
    settings.video = str(demo_clip)
    python = addon.environment.find("", addon.files.user_folder())
    scan = addon.people.start(python, demo_clip, (None, None), lambda: None)
    bpy.ops.video_mocap.people_stop()
    deadline = time.monotonic() + 30
    while addon.people.tick() is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert scan.error.code == "cancelled" and scan._job._process.poll() is not None
    addon.people.stop()


def test_a_click_means_the_box_under_it(addon):
    picture = addon.people.Picture(
        1.0, np.array([[0, 0, 100, 100], [20, 20, 60, 90.0]]), (200, 100), Path("a.jpg"), (Path("b"), Path("c"))
    )
    assert (picture.hit(5, 5), picture.hit(30, 30), picture.hit(150, 50)) == (0, 1, None)
    region = addon.picker.Room(10, 0, 850, 580)  # a tool bar at the left
    left, bottom, factor = addon.picker.fitted(picture.size, region)
    assert factor == 4 and (left, bottom) == (30, 90)
    for x, y in ((0, 0), (200, 100), (37, 81)):
        corner = addon.picker.to_region(np.array([x, y, x, y]), picture.size, region)
        assert addon.picker.to_picture(corner[0], corner[1], picture.size, region) == pytest.approx((x, y))
    assert addon.picker.to_region(picture.boxes[0], picture.size, region) == (30, 90, 430, 490)


def test_quality_sets_rate_and_engines_that_can_run(bpy, addon, settings, two, monkeypatch):
    monkeypatch.setattr(addon.environment, "engines", {})  # as before the first capture
    settings.video = str(two)
    settings.quality = "FAST"
    request = addon.operators.new_capture(bpy.context.scene).request
    assert request.fps == 15 and request.engines == {"body": "analytic", "feet": "none", "orient": "none"}
    assert request.device == "auto"
    settings.quality = "BEST"
    request = addon.operators.new_capture(bpy.context.scene).request
    assert request.fps is None and request.engines == {"track": "blazepose-heavy"}
    settings.engine_body = "analytic"  # what is chosen by hand counts
    chosen = addon.operators.new_capture(bpy.context.scene).request.engines
    assert chosen == {"track": "blazepose-heavy", "body": "analytic"}
    addon.environment.engines["track"] = ["blazepose"]  # an environment of one's own, say
    assert addon.operators.new_capture(bpy.context.scene).request.engines == {"body": "analytic"}


def test_many_clips_get_a_collection_each_and_one_world_each(bpy, addon, settings, two, demo_clip, tmp_path):
    one = make_clip(tmp_path / "eins.mp4", demo_clip, 12, people=1)
    (tmp_path / "kaputt.mp4").write_bytes(b"no video")
    names = [{"name": "eins.mp4"}, {"name": "kaputt.mp4"}]
    (tmp_path / two.name).write_bytes(two.read_bytes())
    names.append({"name": two.name})
    settings.start = 100.0  # of the other clip
    result = bpy.ops.video_mocap.capture_many(filepath=str(one), directory=str(tmp_path), files=names)
    assert result == {"FINISHED"}
    takes = [(entry.name, entry.collection.name) for entry in settings.takes]
    assert takes == [
        ("eins · Person 1", "eins"),
        ("zwei é · Person 1", "zwei é"),
        ("zwei é · Person 2", "zwei é"),
    ]
    assert settings.takes[1].camera == settings.takes[2].camera != settings.takes[0].camera
    assert {c.name for c in bpy.context.scene.collection.children} == {"eins", "zwei é"}


def test_everything_that_can_be_set_or_pressed_is_described(bpy, addon):
    """Tooltips: every property and operator of the extension has one."""
    groups = [
        cls.bl_rna for name in dir(bpy.types) if name.startswith("VideoMocap") and (cls := getattr(bpy.types, name))
    ]
    operators = [getattr(bpy.ops.video_mocap, name).get_rna_type() for name in dir(bpy.ops.video_mocap)]
    lacking = [rna.identifier for rna in operators if not rna.description or "undocumented" in rna.description]
    given = {"rna_type", "name", "filepath", "directory", "filename", "files"}  # by Blender
    for rna in (*groups, *operators):
        for prop in rna.properties:
            inherited = prop.identifier in given or prop.identifier.startswith(
                ("bl_", "filter_", "check_", "hide_props")
            )
            shown = not prop.is_hidden and prop.type not in ("COLLECTION", "POINTER")
            if shown and not inherited and not prop.description:
                lacking.append(f"{rna.identifier}.{prop.identifier}")
    assert lacking == [] and len(operators) > 30
