"""What retargeting leaves in a scene: actions, NLA, presets, the calibration view, the check of a rig."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rigs
from mathutils import Quaternion
from test_retarget_rigs import put, state


@pytest.fixture
def retarget(addon):
    return addon.retarget


@pytest.fixture
def motion(addon):
    return rigs.motion(addon)


@pytest.fixture
def rig(bpy, addon):
    return rigs.build(addon, bpy)


@pytest.fixture
def settings(bpy, addon, rig, motion, tmp_path):
    """The sidebar, with the character and a motion file chosen; presets of other tests are gone."""
    for preset in addon.retarget.character.presets_folder().glob("*.json"):
        preset.unlink()
    addon.retarget.export.write_amass(tmp_path / "walk é.npz", motion)
    settings = bpy.context.scene.video_mocap.retarget
    settings.source, settings.file = "FILE", str(tmp_path / "walk é.npz")
    settings.target = rig
    return settings


def test_the_operator_writes_an_action_of_its_own_and_leaves_the_rig_alone(bpy, addon, rig, settings):
    other = rigs.build(addon, bpy)
    bpy.context.view_layer.objects.active = other
    other.select_set(True)
    bpy.ops.object.mode_set(mode="POSE")
    before = state(rig)
    assert bpy.ops.video_mocap.retarget() == {"FINISHED"}
    action = rig.animation_data.action
    assert action.name == "walk é → Hero" and action.use_fake_user
    assert state(rig) == before
    assert bpy.context.view_layer.objects.active == other and other.mode == "POSE" and not rig.select_get()
    assert len(bpy.data.scenes) == 1
    if hasattr(action, "slots"):
        assert [slot.identifier for slot in action.slots] == [rig.animation_data.action_slot.identifier]
    frames = {point.co[0] for curve in addon.compat.curves(action) for point in curve.keyframe_points}
    assert all(frame == round(frame) for frame in frames)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_retargeting_again_replaces_its_own_action_only(bpy, addon, rig, settings, motion):
    own = bpy.data.actions.new("by hand")
    rig.animation_data_create().action = own
    bpy.ops.video_mocap.retarget()
    first = rig.animation_data.action
    keys = sum(len(curve.keyframe_points) for curve in addon.compat.curves(first))
    copy = first.copy()
    bpy.ops.video_mocap.retarget()
    assert rig.animation_data.action == first
    assert sum(len(curve.keyframe_points) for curve in addon.compat.curves(first)) == keys
    assert {action.name for action in bpy.data.actions} == {"by hand", first.name, copy.name}
    assert own.use_fake_user  # nothing else would keep it in the file
    other = put(bpy, addon.retarget, rig, motion, take="run").action
    assert other.name == "run → Hero" and first.name == "walk é → Hero"
    second = put(bpy, addon.retarget, rigs.build(addon, bpy), motion, take="run").action
    assert second != other and second.name == "run → Hero.001"


def test_a_character_that_was_renamed_keeps_its_action(bpy, addon, rig, settings, motion):
    name, first = rig.name, put(bpy, addon.retarget, rig, motion, take="run").action
    rig.name = "Renamed"
    other = rigs.build(addon, bpy)
    other.name = name
    second = put(bpy, addon.retarget, other, motion, take="run").action
    assert second != first and rig.animation_data.action == first and first.name == f"run → {name}"
    assert put(bpy, addon.retarget, other, motion, take="run").action == second


def test_files_of_one_name_are_different_motions(bpy, addon, rig, settings, motion, tmp_path):
    paths = [tmp_path / folder / "take.npz" for folder in "ab"]
    actions = []
    for path in (*paths, *paths):
        path.parent.mkdir(exist_ok=True)
        addon.retarget.export.write_amass(path, motion)
        settings.file = str(path)
        bpy.ops.video_mocap.retarget()
        actions.append(rig.animation_data.action)
    assert [action.name for action in actions] == ["take → Hero", "take → Hero.001"] * 2
    moved = paths[0].rename(tmp_path / "take.npz")
    settings.file = str(moved)
    bpy.ops.video_mocap.retarget()
    assert rig.animation_data.action == actions[0]


def test_a_range_of_frames(bpy, addon, rig, settings):
    settings.span, settings.first, settings.last = "FRAMES", 5, 12
    bpy.ops.video_mocap.retarget()
    assert tuple(rig.animation_data.action.frame_range) == (5, 12)
    settings.first, settings.last = 500, 600
    with pytest.raises(RuntimeError, match="range-outside"):
        bpy.ops.video_mocap.retarget()


def test_push_to_nla_and_again(bpy, addon, rig, settings):
    settings.nla = True
    for last in (20, 10):
        settings.span, settings.first, settings.last = "FRAMES", 3, last
        bpy.ops.video_mocap.retarget()
        assert rig.animation_data.action is None
        (track,) = rig.animation_data.nla_tracks
        (strip,) = track.strips
        assert strip.action.name == track.name == "walk é → Hero"
        assert (strip.frame_start, strip.frame_end) == (3, last)
    low = rigs.posed(bpy, rig, 3.0)["mixamorig:RightHand"].translation
    high = rigs.posed(bpy, rig, 10.0)["mixamorig:RightHand"].translation
    assert (low - high).length > 0.01


@pytest.mark.parametrize("nla", [False, True])
def test_another_frame_rate_takes_actions_and_strips_along(bpy, addon, rig, settings, nla):
    settings.nla = nla
    bpy.ops.video_mocap.retarget()
    action = next(action for action in bpy.data.actions if addon.retarget.actions.MARK in action)
    first, last = action.frame_range
    scene = bpy.context.scene
    clip = {"fps": 2 * scene.render.fps, "image_size": (640, 360)}
    scene.render.fps = 30  # by hand: keys stay at their frames
    addon.camera.match_scene(scene, clip, {}, addon.retarget.actions.of_scene(scene))
    addon.retarget.actions.retime_strips(scene)
    assert tuple(action.frame_range) == pytest.approx((2 * first - 1, 2 * last - 1))
    for strip in rig.animation_data.nla_tracks[0].strips if nla else ():
        assert (strip.frame_start, strip.frame_end) == pytest.approx((2 * first - 1, 2 * last - 1))


def test_the_table_shows_what_was_recognised_and_can_be_changed(bpy, addon, rig, settings):
    rows = {row.name: row for row in settings.rows}
    assert rows["Left upper arm"].bone == "mixamorig:LeftArm" and rows["Left upper arm"].confidence > 0.9
    assert rows["Jaw"].bone == ""
    rows["Left toes"].bone = ""
    mapping = settings.mapping()
    assert "left_foot" not in mapping.bones and "mixamorig:LeftToeBase" in mapping.unmapped
    rows["Left forearm"].bone = ""
    with pytest.raises(RuntimeError, match="Left forearm"):
        bpy.ops.video_mocap.retarget()
    bpy.ops.video_mocap.rig_recognise()
    assert {row.name: row.bone for row in settings.rows}["Left forearm"] == "mixamorig:LeftForeArm"


def test_rows_of_chains_are_added_and_removed(bpy, settings):
    spine = [i for i, row in enumerate(settings.rows) if row.role == "spine"]
    settings.active_row = spine[-1]
    bpy.ops.video_mocap.bone_add()
    assert settings.rows[settings.active_row].role == "spine" and settings.active_row == spine[-1] + 1
    bpy.ops.video_mocap.bone_remove()
    assert [i for i, row in enumerate(settings.rows) if row.role == "spine"] == spine
    settings.active_row = next(i for i, row in enumerate(settings.rows) if row.role == "left_elbow")
    bpy.ops.video_mocap.bone_add()
    settings.rows[settings.active_row].bone = "mixamorig:LeftHandPinky3"
    assert settings.mapping().twists == {"left_elbow": ["mixamorig:LeftHandPinky3"]}


def test_a_preset_is_found_again_by_the_skeleton(bpy, addon, rig, settings):
    row = next(row for row in settings.rows if row.role == "left_foot")
    row.bone = ""
    assert bpy.ops.video_mocap.preset_save() == {"FINISHED"}
    (preset,) = addon.retarget.character.presets_folder().glob("*.json")
    assert json.loads(preset.read_text("utf-8"))["bones"]["left_wrist"] == ["mixamorig:LeftHand"]
    settings.target = None
    assert not settings.rows
    settings.target = rigs.build(addon, bpy, scale=0.5)  # the same skeleton, another size
    assert not next(row for row in settings.rows if row.role == "left_foot").bone
    bpy.ops.video_mocap.rig_recognise()
    assert next(row for row in settings.rows if row.role == "left_foot").bone
    bpy.ops.video_mocap.preset_load(filepath=str(preset))
    assert not next(row for row in settings.rows if row.role == "left_foot").bone
    preset.write_text("{}")
    with pytest.raises(RuntimeError, match="preset-unreadable"):
        bpy.ops.video_mocap.preset_load(filepath=str(preset))


def test_a_correction_of_the_calibration_pose_turns_that_bone_in_every_frame(bpy, addon, rig, settings):
    before = state(rig)
    blocks = {kind: len(getattr(bpy.data, kind)) for kind in ("objects", "armatures", "scenes", "actions")}
    bpy.ops.video_mocap.retarget()
    plain = rigs.posed(bpy, rig, 10.0)
    assert bpy.ops.video_mocap.calibration_show() == {"FINISHED"}
    ghost = settings.ghost
    arms = [ghost.pose.bones[f"mixamorig:{side}Arm"] for side in ("Left", "Right")]
    for bone, x in zip(arms, (1, -1), strict=True):
        along = (ghost.matrix_world.to_3x3() @ bone.y_axis).normalized()
        assert along.x == pytest.approx(x, abs=0.01)  # it stands in a T-pose
    hand = ghost.pose.bones["mixamorig:LeftHand"]
    hand.rotation_quaternion = hand.rotation_quaternion @ Quaternion((0, 1, 0), 0.5)
    assert bpy.ops.video_mocap.calibration_store() == {"FINISHED"}
    assert [row.bone for row in settings.rows if tuple(row.correction) != (1, 0, 0, 0)] == _left_hand(rig)
    bpy.ops.video_mocap.retarget()
    turned = rigs.posed(bpy, rig, 10.0)
    for name in ("mixamorig:LeftHand", "mixamorig:LeftForeArm"):
        angle = plain[name].to_quaternion().rotation_difference(turned[name].to_quaternion()).angle
        assert min(angle, 2 * np.pi - angle) == pytest.approx(0.5 if name.endswith("Hand") else 0.0, abs=1e-3)
    assert settings.ghost is None and state(rig) == before
    assert blocks | {"actions": 1} == {kind: len(getattr(bpy.data, kind)) for kind in blocks}
    assert list(addon.retarget.character.presets_folder().glob("*.json"))
    assert bpy.ops.video_mocap.calibration_show() == {"FINISHED"} == bpy.ops.video_mocap.calibration_close()
    assert blocks | {"actions": 1} == {kind: len(getattr(bpy.data, kind)) for kind in blocks}


def _left_hand(rig) -> list[str]:
    """The hand and its fingers, which are carried along."""
    hand = rig.data.bones["mixamorig:LeftHand"]
    names = {hand.name, *(bone.name for bone in hand.children_recursive)}
    order = ["Hand", *(f"Hand{f}{k}" for f in ("Thumb", "Index", "Middle", "Pinky", "Ring") for k in (1, 2, 3))]
    return [name for part in order if (name := f"mixamorig:Left{part}") in names]


def test_the_calibration_of_another_character_is_closed(bpy, addon, rig, settings):
    assert bpy.ops.video_mocap.calibration_show() == {"FINISHED"}
    shown = settings.ghost.name
    settings.target = rigs.build(addon, bpy)
    assert settings.ghost is None and shown not in bpy.data.objects


def test_a_sound_rig_passes_the_check(bpy, addon, retarget, settings):
    assert bpy.ops.video_mocap.rig_check() == {"FINISHED"}
    (line,) = retarget.operators.report
    assert line.level == "FINE"


def test_the_check_names_each_obstacle_and_its_cure(bpy, addon, retarget, rig):
    bones = rig.pose.bones
    ik = bones["mixamorig:LeftLeg"].constraints.new("IK")
    ik.target, ik.chain_count = bpy.data.objects.new("goal", None), 2
    bones["mixamorig:RightArm"].lock_rotation[1] = True
    bones["mixamorig:Hips"].lock_location[0] = True
    bones["mixamorig:Head"].driver_add("rotation_quaternion", 1)
    limit = bones["mixamorig:RightLeg"].constraints.new("LIMIT_ROTATION")
    limit.owner_space = "LOCAL"
    bones["mixamorig:LeftHandThumb3"].location.x = 1.0
    rig.scale = (0.01, 0.01, 0.02)
    rig.constraints.new("LIMIT_LOCATION")
    bpy.context.view_layer.update()
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    mapping.bones.pop("left_thumb3")
    mapping.bones.pop("right_knee")
    mapping.bones["head"] = mapping.bones["neck"]
    lines = retarget.doctor.examine(rig, mapping)
    assert all(line.fix for line in lines)
    assert [line.level for line in lines] == sorted(
        (line.level for line in lines), key=["ERROR", "WARNING", "INFO"].index
    )
    text = "\n".join(line.what for line in lines)
    for expected in (
        "No bone for: Right shin", "more than one role: mixamorig:Neck", "scale differs", "Constraints move the whole",
        "Locked rotation: mixamorig:RightArm", "location of mixamorig:Hips", "are posed: mixamorig:LeftHandThumb3",
    ):  # fmt: skip
        assert expected in text, text
    whole = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    lines = [line.what for line in retarget.doctor.examine(rig, whole)]
    assert any("does not obey" in line and "mixamorig:LeftLeg" in line and "IK" in line for line in lines), lines
    assert any("Drivers" in line and "mixamorig:Head" in line for line in lines)
    assert any("Limits on: mixamorig:RightLeg" in line for line in lines)


def test_the_check_says_that_a_strip_is_being_tweaked(bpy, addon, retarget, rig, settings):
    settings.nla = True
    bpy.ops.video_mocap.retarget()
    rig.animation_data.nla_tracks[0].select = rig.animation_data.nla_tracks[0].strips[0].select = True
    rig.animation_data.use_tweak_mode = True
    assert rig.animation_data.use_tweak_mode
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    assert any("tweaked" in line.what for line in retarget.doctor.examine(rig, mapping))


def test_no_humanoid_is_refused(bpy, addon, settings):
    empty = bpy.data.objects.new("Box", bpy.data.armatures.new("Box"))
    bpy.context.scene.collection.objects.link(empty)
    settings.target = empty
    with pytest.raises(RuntimeError, match="rig-unknown"):
        bpy.ops.video_mocap.retarget()
    assert not bpy.data.actions


def test_buttons_are_grey_when_the_character_was_deleted(bpy, rig, settings):
    assert bpy.ops.video_mocap.retarget.poll()
    for collection in rig.users_collection:
        collection.objects.unlink(rig)
    assert settings.target == rig and not bpy.ops.video_mocap.retarget.poll()


def test_buttons_are_grey_without_character_or_motion(bpy, settings):
    assert bpy.ops.video_mocap.retarget.poll()
    settings.file = "nowhere.npz"
    assert not bpy.ops.video_mocap.retarget.poll()
    settings.source = "TAKE"
    assert not bpy.ops.video_mocap.retarget.poll()
    settings.target = None
    assert not bpy.ops.video_mocap.rig_check.poll()
