"""Takes over time: solved again, deleted with their files, moved, lost and found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def captured(extension, demo_clip, tmp_path_factory) -> Path:
    """A folder with a saved .blend that has a captured take, its clip beside it."""
    import bpy

    folder = tmp_path_factory.mktemp("takes") / "Straße 1"
    folder.mkdir()
    shutil.copy(demo_clip, folder / "walk.mp4")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    settings = bpy.context.scene.video_mocap
    settings.video, settings.start, settings.end, settings.people = str(folder / "walk.mp4"), 1.0, 2.0, "LARGEST"
    assert bpy.ops.video_mocap.capture() == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    return folder


@pytest.fixture
def folder(bpy, captured, tmp_path) -> Path:
    """A copy of that folder, its .blend open."""
    copy = tmp_path / "shot"
    shutil.copytree(captured, copy)
    bpy.ops.wm.open_mainfile(filepath=str(copy / "shot.blend"))
    return copy


@pytest.fixture
def settings(bpy, folder):
    return bpy.context.scene.video_mocap


def keyed_frames(addon, entry) -> np.ndarray:
    curve = addon.compat.curves(entry.armature.animation_data.action)[0]
    return np.array([point.co[0] for point in curve.keyframe_points])


def test_solving_again_makes_a_take_of_its_own_beside_the_first(bpy, addon, folder, settings):
    (folder / "walk.mp4").unlink()  # the video is not needed
    asked = {"lens_known": True, "lens": 50.0, "tilt_known": True, "tilt": np.radians(10), "engine_root": "planted"}
    assert bpy.ops.video_mocap.take_resolve(**asked) == {"FINISHED"}
    first, second = settings.takes
    assert second.name == second.armature.name == "walk · Person 1 · planted, 50 mm, tilt 10°"
    assert (second.state, second.path) == ("DONE", "//mocap/walk-2.npz")
    assert second.collection == first.collection
    assert first.armature.animation_data.action != second.armature.animation_data.action
    assert np.allclose(keyed_frames(addon, first), keyed_frames(addon, second))
    one, two = (addon.capture.read_take(addon.paths.absolute(entry.path)) for entry in settings.takes)
    assert two["focal"] != one["focal"]
    assert np.degrees(np.arcsin(-two["R"][0][2][2])) == pytest.approx(10, abs=1e-3)
    assert second.camera != first.camera  # another lens: another camera
    assert sorted(path.name for path in (folder / "mocap").iterdir()) == ["walk-2.npz", "walk.keypoints", "walk.npz"]
    assert settings.active_take == 1 and bpy.ops.video_mocap.take_resolve(engine_feet="none") == {"FINISHED"}
    three = addon.capture.read_take(addon.paths.absolute(settings.takes[2].path))
    assert three["focal"] == two["focal"] and np.allclose(three["R"], two["R"], atol=1e-4)  # as the one before


def test_drawn_lines_say_where_up_is(bpy, addon, folder, settings):
    first = addon.capture.read_take(addon.paths.absolute(settings.takes[0].path))
    (x, y), lean = first["center"], 400 * np.array([np.sin(0.2), -np.cos(0.2)])
    lines = [[1.5, x + aside, y, x + aside + lean[0], y + lean[1]] for aside in (-500.0, 0.0, 500.0)]
    assert bpy.ops.video_mocap.take_resolve(plumb=json.dumps(lines)) == {"FINISHED"}
    first, second = settings.takes
    assert second.name == "walk · Person 1 · upright" and second.camera != first.camera
    up = addon.capture.read_take(addon.paths.absolute(second.path))["R"][0][:, 2]
    assert np.degrees(np.arccos(up @ [np.sin(0.2), -np.cos(0.2), 0.0])) < 1.5
    assert bpy.ops.video_mocap.take_plumb.poll()
    bpy.data.objects.remove(second.camera)
    assert not bpy.ops.video_mocap.take_plumb.poll()


def test_a_take_without_its_keypoints_says_so(bpy, folder, settings):
    (folder / "mocap" / "walk.keypoints").unlink()
    with pytest.raises(RuntimeError, match="keypoints-unreadable"):
        bpy.ops.video_mocap.take_resolve()
    assert len(settings.takes) == 1


def test_keypoints_go_with_the_last_take_that_was_solved_from_them(bpy, folder, settings):
    bpy.ops.video_mocap.take_resolve()
    assert bpy.ops.video_mocap.take_delete(file=True) == {"FINISHED"}
    assert sorted(path.name for path in (folder / "mocap").iterdir()) == ["walk.keypoints", "walk.npz"]
    assert bpy.ops.video_mocap.take_delete(file=True) == {"FINISHED"}
    assert list((folder / "mocap").iterdir()) == [] and not settings.takes
    for blocks in ("objects", "armatures", "actions", "cameras", "collections", "images"):
        assert len(getattr(bpy.data, blocks)) == 0, blocks


def test_the_armature_can_outlive_its_row(bpy, folder, settings):
    assert bpy.ops.video_mocap.take_delete(armature=False) == {"FINISHED"}
    assert not settings.takes and (folder / "mocap" / "walk.npz").exists()
    (body,) = [o for o in bpy.data.objects if o.type == "ARMATURE"]
    assert body.animation_data.action and body.users_scene
    assert any(o.type == "CAMERA" and o.users_scene for o in bpy.data.objects)


def test_saving_elsewhere_keeps_the_files_found(bpy, addon, folder, settings, tmp_path):
    settings.video = "//walk.mp4"
    (tmp_path / "other" / "deep").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other" / "deep" / "shot.blend"))
    entry = bpy.context.scene.video_mocap.takes[0]
    assert (entry.path, entry.clip) == ("//../../shot/mocap/walk.npz", "//../../shot/walk.mp4")
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    settings = bpy.context.scene.video_mocap
    assert settings.video == "//../../shot/walk.mp4"
    assert not addon.paths.missing(settings.takes[0].path)


def test_undoing_past_saving_elsewhere_keeps_the_files_found(bpy, addon, folder, settings, tmp_path):
    bpy.ops.scene.new(type="NEW")  # it has not been saved yet
    for scene in bpy.data.scenes:
        scene.video_mocap.video = "//walk.mp4"
    bpy.ops.ed.undo_push(message="before")
    bpy.context.scene.frame_end = 77
    bpy.ops.ed.undo_push(message="after")
    (tmp_path / "other" / "deep").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other" / "deep" / "shot.blend"))

    def named() -> list[str]:
        listed = [scene.video_mocap for scene in bpy.data.scenes]
        return [each.video for each in listed] + [take.path for each in listed for take in each.takes]

    wanted = named()
    assert wanted == ["//../../shot/walk.mp4"] * 2 + ["//../../shot/mocap/walk.npz"]
    assert bpy.ops.ed.undo() == {"FINISHED"} and bpy.context.scene.frame_end != 77
    assert named() == wanted
    bpy.ops.wm.save_mainfile()
    assert named() == wanted
    assert bpy.ops.ed.redo() == {"FINISHED"} and bpy.context.scene.frame_end == 77
    assert named() == wanted


def test_an_appended_scene_brings_its_files_along(bpy, addon, folder, tmp_path):
    if not hasattr(bpy.app.handlers, "blend_import_post"):
        pytest.skip("Blender 4.2 does not tell that something was appended: the next save does it")
    bpy.context.scene.name = "Shot"
    bpy.ops.wm.save_mainfile()
    moved = folder.rename(tmp_path / "moved")
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    (tmp_path / "other" / "deep").mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other" / "deep" / "cut.blend"))
    bpy.ops.wm.append(directory=f"{moved / 'shot.blend'}/Scene/", filename="Shot")
    (entry,) = bpy.data.scenes["Shot"].video_mocap.takes
    assert (entry.path, entry.clip) == ("//../../moved/mocap/walk.npz", "//../../moved/walk.mp4")
    bpy.ops.wm.save_mainfile()
    assert entry.path == "//../../moved/mocap/walk.npz" and not addon.paths.missing(entry.path)


def test_saving_a_copy_leaves_the_open_file_alone(bpy, addon, folder, settings, tmp_path):
    copy = tmp_path / "copies" / "shot.blend"
    copy.parent.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(copy), copy=True)
    assert bpy.context.scene.video_mocap.takes[0].path == "//mocap/walk.npz"
    bpy.ops.wm.open_mainfile(filepath=str(copy))
    entry = bpy.context.scene.video_mocap.takes[0]
    assert entry.path == "//../shot/mocap/walk.npz" and not addon.paths.missing(entry.path)


def test_takes_of_an_unsaved_file_stay_where_they_are(bpy, addon, captured, tmp_path):
    take = addon.files.user_folder() / "takes" / "walk.npz"
    take.parent.mkdir(exist_ok=True)
    shutil.copy(captured / "mocap" / "walk.npz", take)
    bpy.ops.video_mocap.take_load(filepath=str(take))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "late.blend"))
    assert bpy.context.scene.video_mocap.takes[0].path == str(take)
    take.unlink()


def test_missing_files_are_noticed_and_relocated_together(bpy, addon, folder, settings, tmp_path):
    bpy.ops.video_mocap.take_resolve()
    assert not any(addon.paths.missing(entry.path) for entry in settings.takes)
    (folder / "mocap").rename(tmp_path / "kept elsewhere")
    addon.paths.forget()
    assert all(addon.paths.missing(entry.path) for entry in settings.takes)
    assert not bpy.ops.video_mocap.take_resolve.poll()
    settings.active_take = 0
    moved = tmp_path / "kept elsewhere"
    with pytest.raises(RuntimeError, match="take-unreadable"):
        bpy.ops.video_mocap.relocate(filepath=str(folder / "walk.mp4"), kind="path")
    assert bpy.ops.video_mocap.relocate(filepath=str(moved / "walk.npz"), kind="path") == {"FINISHED"}
    assert [addon.paths.absolute(entry.path).resolve() for entry in settings.takes] == [
        moved / "walk.npz",
        moved / "walk-2.npz",
    ]
    assert bpy.ops.video_mocap.take_resolve.poll()


def test_a_clip_that_moved_comes_back_behind_the_camera(bpy, addon, folder, settings, tmp_path):
    (folder / "walk.mp4").rename(tmp_path / "footage.mp4")
    addon.paths.forget()
    assert addon.paths.missing(settings.takes[0].clip)
    bpy.ops.video_mocap.relocate(filepath=str(tmp_path / "footage.mp4"), kind="clip")
    entry = settings.takes[0]
    assert not addon.paths.missing(entry.clip)
    (background,) = entry.camera.data.background_images
    assert Path(bpy.path.abspath(background.image.filepath)).resolve() == tmp_path / "footage.mp4"


def test_the_clip_of_a_loaded_take_is_found_beside_it(bpy, captured):
    bpy.ops.video_mocap.take_load(filepath=str(captured / "mocap" / "walk.npz"))
    entry = bpy.context.scene.video_mocap.takes[0]
    assert Path(entry.clip) == captured / "walk.mp4" and entry.camera.data.background_images
