"""A real capture through the operator: what it leaves in the scene, and in which file."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

MODULE = "bl_ext.user_default.video_mocap"

START, END = 1.0, 2.0


@pytest.fixture(scope="module")
def captured(extension, demo_clip, tmp_path_factory) -> Path:
    """A saved .blend with one captured take, in a folder that is hard to spell."""
    import bpy

    folder = tmp_path_factory.mktemp("shots") / "Übung №1 – naïve"
    folder.mkdir()
    clip = folder / "walk ü ж.mp4"
    shutil.copy(demo_clip, clip)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    blend = folder / "shot é.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 25, 1.0
    scene.frame_end = 10
    settings = scene.video_mocap
    settings.video, settings.start, settings.end, settings.people = str(clip), START, END, "LARGEST"
    assert bpy.ops.video_mocap.capture() == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    return blend


@pytest.fixture
def scene(bpy, captured):
    bpy.ops.wm.open_mainfile(filepath=str(captured))
    return bpy.context.scene


@pytest.fixture
def entry(scene):
    (entry,) = scene.video_mocap.takes
    return entry


@pytest.fixture
def take(addon, entry):
    return addon.capture.read_take(addon.paths.absolute(entry.path))


def show(bpy, scene, take, i: int):
    """Show the scene at the time of the take's frame i."""
    frame = 1.0 + take.times[i] * scene.render.fps / scene.render.fps_base
    scene.frame_set(int(frame), subframe=float(frame % 1))
    return bpy.context.evaluated_depsgraph_get()


def take_of(addon, times, size: tuple[float, float], fps: float, video: dict):
    """A take that only tells of its camera and its clip."""
    arrays = {
        "R": np.tile(np.eye(3), (len(times), 1, 1)), "t": np.zeros((len(times), 3)), "focal": np.array(900.0),
        "fps": np.array(fps), "image_size": np.array(size), "timestamps": np.array(times),
        "provenance": np.array(json.dumps({"video": video})),
    }  # fmt: skip
    return addon.camera.Take(arrays)


def test_take_is_listed_and_named_after_clip_and_person(entry, captured):
    assert entry.state == "DONE" and entry.note == ""
    assert entry.name == entry.armature.name == entry.armature.animation_data.action.name == "walk ü ж · Person 1"
    assert (entry.clip, entry.path) == ("//walk ü ж.mp4", "//mocap/walk ü ж.npz")
    assert entry.armature.name in entry.collection.objects and entry.camera.name in entry.collection.objects


def test_rig_reproduces_the_joints_of_the_take(bpy, scene, entry, take):
    from backend.core.skeleton import JOINTS

    for i in range(0, len(take), 5):
        posed = entry.armature.evaluated_get(show(bpy, scene, take, i))
        heads = np.array([posed.matrix_world @ posed.pose.bones[name].head for name in JOINTS])
        assert np.abs(heads - take["joints"][i]).max() < 1e-4


def test_keys_lie_at_the_times_of_the_clip_and_the_frame_rate_is_untouched(scene, entry, take, addon):
    assert (scene.render.fps, scene.render.fps_base) == (25, 1.0)
    for curve in addon.compat.curves(entry.armature.animation_data.action):
        frames = np.array([point.co[0] for point in curve.keyframe_points])
        assert np.allclose(frames, 1.0 + 25 * take.times, atol=1e-3)
    assert START - 0.1 < take.times[0] and take.times[-1] < END + 0.1
    assert scene.frame_end == int(np.ceil(1.0 + 25 * take.times[-1]))


def test_quaternions_do_not_jump_sign(entry, addon):
    rotations = [c for c in addon.compat.curves(entry.armature.animation_data.action) if "quaternion" in c.data_path]
    values = np.array([[point.co[1] for point in curve.keyframe_points] for curve in rotations])
    turned = values.reshape(55, 4, -1)
    assert (np.sum(turned[..., 1:] * turned[..., :-1], axis=1) > 0).all()


def test_action_and_armature_say_where_they_come_from(entry, take):
    for owner in (entry.armature, entry.armature.animation_data.action):
        assert owner["video_mocap_take"] == entry.path
        assert json.loads(owner["video_mocap_provenance"]) == take.provenance


def test_camera_sees_the_person_where_the_clip_does(bpy, scene, entry, take):
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    width, height = take["image_size"]
    for i in (0, len(take) - 1):
        show(bpy, scene, take, i)
        for joint in take["joints"][i][[0, 7, 15, 20]]:
            x, y, z = take["R"][i] @ joint + take["t"][i]
            pixel = take["center"] + take["focal"] * np.array([x, y]) / z
            u, v, _ = world_to_camera_view(scene, entry.camera, Vector(joint))
            # The clip fills the frame's width; up and down it is centred in the frame.
            render_height = width * scene.render.resolution_y / scene.render.resolution_x
            seen = [u * width, (1 - v) * render_height - (render_height - height) / 2]
            assert np.allclose(seen, pixel, atol=0.5)
    assert scene.camera == entry.camera


def clip_frame(bpy, scene, camera, frame: int) -> int:
    """The clip's picture behind a camera, counted from 1: as Blender 4.3 and 5.2 were seen to choose it."""
    scene.frame_set(frame)
    user = camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.background_images[0].image_user
    return min(frame - user.frame_start + 1, user.frame_duration) + user.frame_offset


def test_clip_behind_the_camera_runs_by_time(bpy, scene, entry, take):
    (background,) = entry.camera.data.background_images
    assert Path(bpy.path.abspath(background.image.filepath)).name == "walk ü ж.mp4"
    assert background.image.source == "MOVIE"
    for frame in (1, 2, 26, 61, 101):
        wanted = 1.0 + (frame - 1) / 25 * float(take["fps"])
        assert abs(clip_frame(bpy, scene, entry.camera, frame) - wanted) <= 0.51


@pytest.mark.parametrize("rate", [24, 30, 60, 90])
def test_clips_run_by_time_at_any_rate_of_the_scene(bpy, addon, demo_clip, rate):
    """Of a phone's clip FFmpeg guesses a higher rate than there are pictures on average: Blender goes by that."""
    scene = bpy.context.scene
    scene.render.fps, times = rate, np.arange(300) / 29.87
    video = {"fps": 29.87, "guessed_rate": 60.0, "frames": 300, "duration": 300 / 29.87}
    take = take_of(addon, times, (1080.0, 1080.0), 29.87, video)
    camera = addon.camera.build(scene, "phone", take, addon.camera.path_of(take), demo_clip, scene.collection)
    last = round(60 * video["duration"])
    for time in np.linspace(0.0, times[-1], 30):
        frame = 1 + round(time * rate)
        assert abs(clip_frame(bpy, scene, camera, frame) - 1.0 - (frame - 1) / rate * 60.0) <= 0.51
    for frame in (rate * 12, rate * 60):  # it is over, and stands still at its last picture
        assert clip_frame(bpy, scene, camera, frame) >= last


def test_matching_the_scene_to_the_clip_keeps_everything_in_time(bpy, scene, entry, take, addon):
    for frame in (1, 51):  # as if the camera had moved
        entry.camera.location.x += 1.0
        assert entry.camera.keyframe_insert("location", frame=frame)
        assert entry.camera.animation_data.action
    before = scene.render.fps / scene.render.fps_base
    lens = entry.camera.data
    assert lens.keyframe_insert("dof.aperture_fstop", frame=51)
    assert bpy.ops.video_mocap.match_scene() == {"FINISHED"}
    curves = {curve.data_path: curve for curve in addon.compat.curves(lens.animation_data.action)}
    assert not any("frame_offset" in path for path in curves)  # the clip runs as the scene does
    focus = curves["dof.aperture_fstop"]
    assert focus.keyframe_points[0].co[0] == pytest.approx(1.0 + 50 * scene.render.fps / scene.render.fps_base / before)
    rate = scene.render.fps / scene.render.fps_base
    assert rate == pytest.approx(float(take["fps"]), rel=1e-5)
    assert [scene.render.resolution_x, scene.render.resolution_y] == list(take["image_size"])
    curve = addon.compat.curves(entry.armature.animation_data.action)[0]
    assert np.allclose([point.co[0] for point in curve.keyframe_points], 1.0 + rate * take.times, atol=1e-2)
    curves = addon.compat.curves(entry.camera.animation_data.action)
    moved = next(curve for curve in curves if curve.data_path == "location")
    assert moved.keyframe_points[1].co[0] == pytest.approx(1.0 + 50 * rate / before, abs=1e-2)
    for i in (0, len(take) - 1):
        posed = entry.armature.evaluated_get(show(bpy, scene, take, i))
        assert np.abs(np.array(posed.matrix_world @ posed.pose.bones["head"].head) - take["joints"][i][15]).max() < 1e-3


def test_renaming_a_take_renames_what_belongs_to_it(entry):
    entry.name = "Hero"
    assert entry.armature.name == entry.armature.data.name == entry.armature.animation_data.action.name == "Hero"


def test_choosing_a_take_selects_its_armature(bpy, scene, entry):
    bpy.ops.object.select_all(action="DESELECT")
    assert bpy.ops.video_mocap.take_select() == {"FINISHED"}
    assert bpy.context.view_layer.objects.active == entry.armature and entry.armature.select_get()


def test_deleting_a_take_leaves_only_its_file(bpy, scene, entry):
    path = Path(bpy.path.abspath(entry.path))
    assert bpy.ops.video_mocap.take_delete() == {"FINISHED"}
    for blocks in ("objects", "armatures", "actions", "cameras", "collections", "images"):
        assert len(getattr(bpy.data, blocks)) == 0, blocks
    assert len(scene.video_mocap.takes) == 0 and path.exists()


def test_a_take_file_can_be_loaded_into_an_unsaved_file(bpy, captured):
    (path,) = (captured.parent / "mocap").glob("*.npz")
    assert bpy.ops.video_mocap.take_load(filepath=str(path)) == {"FINISHED"}
    (entry,) = bpy.context.scene.video_mocap.takes
    assert entry.state == "DONE" and len(entry.armature.pose.bones) == 55


def test_takes_of_one_capture_share_their_world_again(bpy, addon, captured, tmp_path):
    (path,) = (captured.parent / "mocap").glob("*.npz")
    parts = dict(np.load(path))
    told = json.loads(str(parts["provenance"]))

    def saved(file: str, **other) -> Path:
        np.savez(tmp_path / file, **{**parts, "provenance": json.dumps({**told, **other})})
        return tmp_path / file

    one, two = (saved(f"walk.{track}.npz", track=track, name=f"Person {track}") for track in (1, 2))
    tilted = saved("tilted.npz", track=3, settings={**told["settings"], "tilt": 5.0})
    (tmp_path / "walk.json").write_text(json.dumps({"takes": [{"file": file.name} for file in (one, two)]}), "utf-8")
    load, scene = bpy.ops.video_mocap.take_load, bpy.context.scene
    chosen = [{"name": name} for name in ("walk.1.npz", "walk.json", "tilted.npz", "gone.npz")]
    assert load(filepath=str(tmp_path / "walk.json"), directory=str(tmp_path), files=chosen) == {"FINISHED"}
    load(filepath=str(one))  # somebody is there already

    def captures() -> list[str]:
        return [entry.key.partition(":")[0] for entry in scene.video_mocap.takes]

    takes = {Path(entry.path).name: entry for entry in list(scene.video_mocap.takes)[:3]}
    first, second = (takes[file.name] for file in (one, two))
    assert len(takes) == 3 and takes[tilted.name].camera != first.camera == second.camera
    assert addon.takes.of_world(scene, first) == [first, second] and len(set(captures())) == 3
    first.cleaning.lift = 0.5
    assert second.cleaning.lift == pytest.approx(0.5)
    addon.takes.remove(scene, second.key)
    load(filepath=str(two))  # goes to the one who was loaded again: the world of the first has been moved
    assert captures()[-1] == captures()[-2]


def test_shots_of_an_edited_video_have_cameras_of_their_own(bpy, addon, scene, captured):
    (path,) = (captured.parent / "mocap").glob("*.npz")
    parts = dict(np.load(path))
    told = json.loads(str(parts["provenance"]))
    for track, shot in ((2, 0), (3, 1), (4, 1)):  # as if they came from the same capture
        file = captured.parent / f"shot.{track}.npz"
        np.savez(file, **{**parts, "provenance": json.dumps({**told, "shot": shot})})
        addon.capture.load_take(scene, file)
        entry = scene.video_mocap.takes[-1]
        bpy.data.objects.remove(entry.camera)
        entry.key = scene.video_mocap.takes[0].key.partition(":")[0] + f":{track}"
        for _ in addon.takes.add_camera(lambda entry=entry: (scene, entry), addon.capture.read_take(file)):
            pass
    one, two, three, four = scene.video_mocap.takes
    assert one.camera == two.camera != three.camera == four.camera
    assert three.camera.name == "walk ü ж camera 2" and scene.camera == one.camera
    assert [other.track for other in addon.takes.of_world(scene, four)] == [three.track, four.track]
    clip = three.camera.data.background_images[0].image
    addon.takes.remove(scene, one.key)
    addon.takes.remove(scene, scene.video_mocap.takes[0].key)
    assert [e.camera.data.background_images[0].image for e in scene.video_mocap.takes] == [clip, clip]


def test_a_file_that_is_no_take_is_refused(bpy, tmp_path):
    path = tmp_path / "song.npz"
    path.write_bytes(b"not a take")
    with pytest.raises(RuntimeError, match="take-unreadable"):
        bpy.ops.video_mocap.take_load(filepath=str(path))
    assert not bpy.data.objects


def test_names_of_takes_are_never_used_twice(addon, tmp_path):
    video = Path("walk.mp4")
    names = []
    for _ in range(3):
        path = addon.files.new_output(tmp_path, video, {tmp_path / "walk-2.npz"})
        names.append(path.name)
        path.touch()
    (tmp_path / "walk-5.1.npz").touch()  # the first of several people
    assert names == ["walk.npz", "walk-3.npz", "walk-4.npz"]
    assert addon.files.new_output(tmp_path, video, set()).name == "walk-2.npz"
    (tmp_path / "walk-2.npz").touch()
    assert addon.files.new_output(tmp_path, video, set()).name == "walk-6.npz"


def test_takes_of_an_unsaved_file_go_to_the_users_folder(bpy, addon):
    assert not bpy.data.filepath
    for preference in ("", "//mocap"):
        assert addon.files.takes_folder(preference) == addon.files.user_folder() / "takes"
    assert MODULE in sys.modules


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_oblong_pixels_and_mirrored_pictures_are_shown_as_they_are_meant(bpy, addon, demo_clip, rotation):
    """What Blender makes of these settings was compared in the window with what was captured, in 4.3 and 5.2."""
    video = {"rotation": rotation, "pixel_aspect": 2.0, "mirrored": True}
    take, scene = take_of(addon, [0.0], (960.0, 540.0), 30.0, video), bpy.context.scene
    camera = addon.camera.build(scene, "selfie", take, addon.camera.path_of(take), demo_clip, scene.collection).data
    (background,) = camera.background_images
    lying, aspect = rotation in (90, 270), tuple(background.image.display_aspect)
    if bpy.app.version >= (4, 5):
        assert aspect == ((1.0, 2.0) if lying else (2.0, 1.0))
        assert (background.use_flip_x, background.use_flip_y) == (lying, not lying)
    else:
        assert aspect == (2.0, 1.0) and np.degrees(background.rotation) == pytest.approx(rotation)
        assert (background.use_flip_x, background.use_flip_y) == (True, False)


@pytest.mark.parametrize("resolution, scale", [((1920, 1080), 560 / 994), ((600, 1200), 994 / 560)])
def test_phone_clips_stand_upright_behind_the_camera(bpy, addon, demo_clip, resolution, scale):
    """Up to 4.4 Blender shows such a clip lying; what turns it here was looked at in the window."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = resolution
    take = take_of(addon, [0.0], (560.0, 994.0), 30.0, {"rotation": 270})
    path = addon.camera.path_of(take)
    camera = addon.camera.build(scene, "phone", take, path, demo_clip, scene.collection).data
    (background,) = camera.background_images
    if bpy.app.version >= (4, 5):
        assert (background.rotation, background.scale) == (0.0, 1.0)
    else:
        assert np.degrees(background.rotation) % 360 == pytest.approx(270)
        assert background.scale == pytest.approx(scale)
    assert camera.sensor_fit == ("VERTICAL" if resolution[0] > resolution[1] else "HORIZONTAL")
