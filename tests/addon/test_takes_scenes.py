"""Takes in scenes that were copied, whose collections are hidden, or whose frame rate was changed by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rigs


@pytest.fixture
def file(addon, tmp_path) -> Path:
    """A take of a clip with 30 frames a second whose camera travels; the clip is not beside it."""
    path = tmp_path / "walk.npz"
    addon.retarget.export.write_amass(path, rigs.motion(addon))
    parts = dict(np.load(path))
    count = len(parts["poses"])
    camera = {
        "R": np.tile(np.float64([[1, 0, 0], [0, 0, -1], [0, 1, 0]]), (count, 1, 1)),
        "t": np.linspace([0.0, 1.0, 4.0], [1.0, 1.0, 4.0], count),
        "focal": 900.0, "image_size": [560.0, 994.0], "fps": 30.0,
        "provenance": json.dumps({"video": {"name": "walk.mp4"}, "name": "Person 1"}),
    }  # fmt: skip
    np.savez(path, **{**parts, **camera})
    return path


@pytest.fixture
def scene(bpy):
    bpy.context.scene.render.fps = 24
    return bpy.context.scene


@pytest.fixture
def entry(bpy, scene, file):
    """The take in a scene with 24 frames a second, cleaned."""
    bpy.ops.video_mocap.take_load(filepath=str(file))
    scene.video_mocap.takes[0].cleaning.lift = 0.1
    return scene.video_mocap.takes[0]


def copied(bpy, scene, kind: str):
    """Another scene, as the button beside the scene's name makes it."""
    bpy.ops.scene.new(type=kind)
    return next(other for other in bpy.data.scenes if other != scene)


def frames(addon, action) -> np.ndarray:
    return addon.keys.of(addon.compat.curves(action)[0])[:, 0]


@pytest.mark.parametrize("kind", ["EMPTY", "LINK_COPY", "FULL_COPY"])
def test_deleting_a_take_of_a_copied_scene_leaves_the_first_one(bpy, addon, scene, entry, kind):
    settings = scene.video_mocap
    other = copied(bpy, scene, kind)
    assert addon.takes.present(other.video_mocap.takes[0]) == (kind != "EMPTY")
    with bpy.context.temp_override(scene=other):
        assert bpy.ops.video_mocap.take_delete() == {"FINISHED"}
    assert len(other.video_mocap.takes) == 0
    entry = settings.takes[0]
    assert all(body.name in scene.objects for body in (entry.armature, entry.worn, entry.camera))
    raw, cleaned = entry.cleaning.raw, entry.cleaning.cleaned
    assert raw.use_fake_user and cleaned.use_fake_user and entry.armature.animation_data.action == cleaned
    assert len(bpy.data.actions) == 3 and len(bpy.data.armatures) == 1  # with that of the camera


def test_a_scene_that_only_lists_a_take_does_not_hold_it(bpy, scene, entry):
    for each in (scene, copied(bpy, scene, "EMPTY")):
        with bpy.context.temp_override(scene=each):
            bpy.ops.video_mocap.take_delete()
        assert not bpy.data.objects and not bpy.data.armatures and not bpy.data.cameras
    assert not bpy.data.actions


def test_matching_a_copied_scene_leaves_the_keys_of_the_first_one(bpy, addon, scene, entry, file):
    settings, times = scene.video_mocap, addon.capture.read_take(file).times
    other = copied(bpy, scene, "FULL_COPY")
    with bpy.context.temp_override(scene=other):
        bpy.ops.video_mocap.match_scene()
    for each, rate in ((settings.takes[0], 24), (other.video_mocap.takes[0], 30)):
        for action in (each.cleaning.raw, each.cleaning.base, each.cleaning.cleaned, each.camera.animation_data.action):
            assert np.allclose(frames(addon, action), 1 + rate * times, atol=1e-3)


@pytest.mark.parametrize("hidden", ["exclude", "hide_viewport", "parent"])
def test_nothing_is_put_into_a_hidden_collection(bpy, scene, entry, file, hidden):
    layer = bpy.context.view_layer.layer_collection.children[entry.collection.name]
    if hidden == "parent":
        parent = bpy.data.collections.new("old")
        scene.collection.children.link(parent)
        parent.children.link(layer.collection)
        scene.collection.children.unlink(layer.collection)
        layer, hidden = bpy.context.view_layer.layer_collection.children["old"], "hide_viewport"
    setattr(layer, hidden, True)
    bpy.ops.video_mocap.take_load(filepath=str(file))
    first, second = scene.video_mocap.takes
    assert second.armature.visible_get() and second.camera.visible_get() and second.collection != first.collection
    bpy.ops.video_mocap.take_load(filepath=str(file))
    assert scene.video_mocap.takes[2].collection == second.collection


def test_keys_are_retimed_from_the_rate_that_they_were_put_for(bpy, addon, scene, entry, file):
    scene.render.fps = 30  # by hand: keys stay at their frames
    bpy.ops.video_mocap.take_load(filepath=str(file))
    times = addon.capture.read_take(file).times
    scene.video_mocap.active_take = 0
    for _ in range(2):
        assert bpy.ops.video_mocap.match_scene() == {"FINISHED"}
        for each in scene.video_mocap.takes:
            for action in addon.takes.actions(each) | {each.camera.animation_data.action}:
                assert np.allclose(frames(addon, action), 1 + 30 * times, atol=1e-3)


def test_markers_of_doubtful_frames_keep_their_time(bpy, addon, scene, entry):
    addon.doubt.mark(scene, entry.name, [addon.doubt.Span(25, 29, ("left arm",))])
    scene.timeline_markers.new("mine", frame=25)
    bpy.ops.video_mocap.match_scene()
    assert [marker.frame for marker in scene.timeline_markers] == [31, 25]


def test_a_clip_that_was_missing_from_the_start_comes_behind_the_camera(bpy, addon, scene, entry, demo_clip, tmp_path):
    assert addon.paths.missing(entry.clip) and not entry.camera.data.background_images
    (tmp_path / "elsewhere").mkdir()
    found = Path(shutil.copy(demo_clip, tmp_path / "elsewhere" / "footage.mp4"))
    assert bpy.ops.video_mocap.relocate(filepath=str(found), kind="clip") == {"FINISHED"}
    (background,) = entry.camera.data.background_images
    assert Path(bpy.path.abspath(background.image.filepath)) == found
    assert entry.camera.data.show_background_images and background.image_user.frame_duration == 40
