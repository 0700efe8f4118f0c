"""Cleaning in Blender, from the built zip, on a take that walks: buttons, actions, and the way back."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from backend.core.skeleton import CONTACTS

ROOT = Path(__file__).parents[2]
RATE = 30.0


@pytest.fixture(scope="session")
def walking():
    """The walk of the retargeting tests, which import the extension's bpy-free modules as `video_mocap`."""
    if "video_mocap" not in sys.modules:
        sys.modules["video_mocap"] = ModuleType("video_mocap")
        sys.modules["video_mocap"].__path__ = [str(ROOT)]
    sys.path.append(str(ROOT / "tests" / "retarget"))
    from humanoid import walk

    return walk(seconds=3.0, rate=RATE)


@pytest.fixture
def take_file(addon, walking, tmp_path) -> Path:
    path = tmp_path / "walk é.npz"
    addon.retarget.export.write_amass(path, walking)
    with np.load(path) as arrays:
        known = {name: arrays[name] for name in arrays.files}
    np.savez(path, image_size=np.array([640, 480]), **known)
    return path


@pytest.fixture
def scene(bpy, addon, take_file):
    bpy.context.scene.render.fps = int(RATE)
    addon.capture.load_take(bpy.context.scene, take_file)
    return bpy.context.scene


@pytest.fixture
def entry(scene):
    return scene.video_mocap.takes[0]


@pytest.fixture
def settings(entry):
    return entry.cleaning


@pytest.fixture
def people(addon, scene, take_file):
    """Two takes of one clip; the first one is chosen."""
    addon.capture.load_take(scene, take_file)
    one, two = scene.video_mocap.takes
    two.key = one.key.partition(":")[0] + ":2"
    scene.video_mocap.active_take = 0
    return one, two


@pytest.fixture
def ops(bpy):
    return bpy.ops.video_mocap


def shown(addon, scene, entry):
    """The motion that the armature's action holds."""
    return addon.cleaning.actions.read(scene, entry.armature, entry.armature.animation_data.action)


def keys_of(addon, action) -> dict[tuple[str, int], np.ndarray]:
    return {(c.data_path, c.array_index): addon.keys.of(c) for c in addon.compat.curves(action)}


def curve_of(addon, action, bone: str, axis: int, channel: str = "rotation_quaternion"):
    path = f'pose.bones["{bone}"].{channel}'
    return next(c for c in addon.compat.curves(action) if c.data_path == path and c.array_index == axis)


def same(one, two) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[key], two[key]) for key in one)


def feet(addon, motion) -> np.ndarray:
    return addon.cleaning.motion.contact_points(motion)


def test_reading_the_action_gives_the_motion_back(addon, scene, entry, walking):
    motion = shown(addon, scene, entry)
    assert np.abs(motion.times - walking.times).max() < 1e-4
    assert np.abs(motion.pelvis - walking.pelvis).max() < 1e-4
    between = addon.cleaning.actions.rotations.angle_between(motion.local, walking.local)
    assert np.degrees(between).max() < 0.1
    assert np.abs(motion.body.offsets[1:] - walking.body.offsets[1:]).max() < 1e-5


def test_a_slider_makes_a_second_action_and_zero_takes_it_back(bpy, addon, scene, entry, settings):
    raw = entry.armature.animation_data.action
    before = keys_of(addon, raw)
    settings.left_arm = 1.0
    cleaned = entry.armature.animation_data.action
    assert cleaned != raw and cleaned.name == f"{raw.name} · cleaned"
    assert same(keys_of(addon, raw), before)
    changed = {key[0] for key, points in keys_of(addon, cleaned).items() if not np.array_equal(points, before[key])}
    assert changed and all("left_" in path for path in changed)
    settings.left_arm = 0.0
    assert entry.armature.animation_data.action == raw
    assert list(bpy.data.actions) == [raw]


def test_back_to_raw_is_exact_after_everything(bpy, addon, scene, entry, settings, ops):
    raw = entry.armature.animation_data.action
    before = keys_of(addon, raw)
    settings.smooth_all, settings.left_hand, settings.lean_forward = 0.7, 1.0, 0.1
    assert ops.clean_floor(source="FEET") == {"FINISHED"}
    assert ops.clean_forward() == {"FINISHED"}
    settings.active_contact = 2
    assert ops.contact_remove() == {"FINISHED"}
    assert ops.clean_apply() == {"FINISHED"}
    settings.in_place = "SWAY"
    assert ops.loop_find() == {"FINISHED"}
    assert not same(keys_of(addon, entry.armature.animation_data.action), before)
    assert ops.clean_raw() == {"FINISHED"}
    assert entry.armature.animation_data.action == raw
    assert same(keys_of(addon, raw), before)
    assert list(bpy.data.actions) == [raw]
    assert settings.smooth_all == settings.lean_forward == 0.0 and not settings.loop
    assert np.allclose(settings.spans(), settings.kept_spans("raw"), atol=1e-5)


def test_raw_and_cleaned_are_shown_in_turn(scene, entry, settings, bpy):
    raw = entry.armature.animation_data.action
    settings.trunk = 1.0
    cleaned = entry.armature.animation_data.action
    for show, action in (("RAW", raw), ("CLEANED", cleaned)):
        settings.show = show
        assert entry.armature.animation_data.action == action
        if hasattr(action, "slots"):
            assert entry.armature.animation_data.action_slot is not None
        scene.frame_set(20)
        curve = next(c for c in addon_curves(action) if "spine2" in c.data_path and c.array_index == 1)
        assert entry.armature.pose.bones["spine2"].rotation_quaternion[1] == pytest.approx(curve.evaluate(20), abs=1e-5)


def addon_curves(action):
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    return [c for layer in action.layers for strip in layer.strips for bag in strip.channelbags for c in bag.fcurves]


def test_floor_upright_and_facing(addon, scene, entry, settings, ops):
    settings.lift = 0.4
    assert ops.clean_floor(source="FEET") == {"FINISHED"}
    assert abs(addon.cleaning.world.floor_under_feet(addon.cleaning.stage.placed(scene, entry))) < 1e-4
    settings.height = 0.25
    scene.frame_set(30)
    assert ops.clean_floor(source="HEIGHT") == {"FINISHED"}
    lowest = feet(addon, shown(addon, scene, entry))[29, :, 2].min()
    assert lowest == pytest.approx(0.25, abs=1e-3)
    settings.turn = 2.0
    assert ops.clean_forward() == {"FINISHED"}
    motion = shown(addon, scene, entry)
    assert addon.cleaning.world.facing_at(motion, 29 / RATE) == pytest.approx(0.0, abs=1e-3)
    settings.lean_forward = 0.2
    assert ops.clean_apply() == {"FINISHED"}
    assert ops.clean_upright() == {"FINISHED"}
    assert settings.lean_forward == pytest.approx(-0.2, abs=0.03)


def test_contacts_are_listed_edited_and_solved_around(addon, scene, entry, settings, ops, walking):
    assert ops.contacts_show() == {"FINISHED"}
    stage = addon.cleaning.stage
    motion = shown(addon, scene, entry)
    assert np.array_equal(stage.to_contacts(motion.times, settings.spans()), walking.contacts)
    row = next(i for i, c in enumerate(settings.contacts) if c.track == "left_toe" and c.start > 1.0)
    settings.active_contact = row
    end = settings.contacts[row].end
    scene.frame_set(round(1 + end * RATE) + 4)
    assert ops.contact_edge(edge="end") == {"FINISHED"}
    longer = settings.contacts[settings.active_contact]
    assert longer.track == "left_toe" and longer.last == pytest.approx(scene.frame_current)
    after = shown(addon, scene, entry)
    rows = (motion.times > longer.start + 0.01) & (motion.times < longer.end - 0.01)
    toe = CONTACTS.index("left_toe")
    assert np.ptp(feet(addon, motion)[rows, toe, :2], axis=0).max() > 0.03
    assert np.ptp(feet(addon, after)[rows, toe, :2], axis=0).max() < 0.012
    changed = np.abs(after.local - motion.local).max(axis=(1, 2)) > 1e-6
    assert changed.any() and np.abs(motion.times[changed] - end).max() < 1.2
    far = np.abs(motion.times - end) > 1.2
    assert np.array_equal(after.local[far], motion.local[far])

    assert ops.contact_move(frames=-3) == {"FINISHED"}
    count = len(settings.contacts)
    assert ops.contact_remove() == {"FINISHED"}
    assert len(settings.contacts) == count - 1
    assert ops.contact_add(track="left_toe") == {"FINISHED"}
    assert settings.contacts[settings.active_contact].first <= scene.frame_current
    assert ops.contact_here() == {"FINISHED"}
    settings.contacts[0].first = 3.0  # typed into the list
    assert settings.contacts[0].start == pytest.approx(2 / RATE, abs=1e-4)


def test_a_loop_repeats_itself(bpy, addon, scene, entry, settings, ops):
    assert ops.loop_find() == {"FINISHED"}
    assert settings.loop_end - settings.loop_start == pytest.approx(1.1, abs=0.05)
    settings.in_place = "FIXED"
    action = entry.armature.animation_data.action
    first, last = action.frame_range
    assert last - first == pytest.approx(33, abs=2)
    pose = []
    for frame in (first, last, last + (last - first)):
        scene.frame_set(int(frame), subframe=float(frame % 1))
        pose.append(np.array([bone.matrix for bone in entry.armature.pose.bones]))
    assert np.abs(pose[0] - pose[1]).max() < 2e-3 and np.abs(pose[0] - pose[2]).max() < 2e-3
    settings.loop = False
    assert not any(curve.modifiers for curve in addon.compat.curves(entry.armature.animation_data.action))


def test_keys_changed_by_hand_are_never_overwritten(bpy, addon, scene, entry, settings, ops):
    settings.trunk = 0.5
    cleaned = entry.armature.animation_data.action
    curve = next(c for c in addon.compat.curves(cleaned) if "head" in c.data_path and c.array_index == 1)
    curve.keyframe_points[10].co[1] += 0.2
    edited = keys_of(addon, cleaned)
    settings.left_arm = 0.5
    assert settings.edited and same(keys_of(addon, cleaned), edited)
    with pytest.raises(RuntimeError, match="by hand"):
        ops.clean_forward()
    assert ops.clean_apply() == {"FINISHED"}
    assert not settings.edited and entry.armature.animation_data.action == cleaned
    settings.left_arm = 0.5  # and on from there
    again = keys_of(addon, entry.armature.animation_data.action)
    key = (curve.data_path, curve.array_index)
    assert np.allclose(again[key], edited[key], atol=0.03) and entry.armature.animation_data.action != cleaned
    curve = next(
        c
        for c in addon.compat.curves(entry.armature.animation_data.action)
        if "head" in c.data_path and c.array_index == 1
    )
    curve.keyframe_points[10].co[1] += 0.2
    settings.left_arm = 0.6
    assert settings.edited
    assert ops.clean_discard() == {"FINISHED"}
    assert not settings.edited


def test_keys_moved_in_time_are_changed_by_hand(addon, scene, entry, settings):
    settings.left_hand = 0.5
    for curve in addon.compat.curves(settings.cleaned):
        for point in curve.keyframe_points:
            point.co[0] += max(0.0, point.co[0] - 40.0)
        curve.update()
    end = settings.cleaned.frame_range[1]
    settings.right_hand = 0.5
    assert settings.edited and settings.cleaned.frame_range[1] == end > 100


@pytest.mark.parametrize("end_it", ["clean_apply", "clean_discard"])
def test_a_clip_waits_for_the_keys_of_everyone(addon, scene, people, ops, end_it):
    entry, other = people
    other.cleaning.trunk = 0.5
    computed = keys_of(addon, other.cleaning.cleaned)
    curve_of(addon, other.cleaning.cleaned, "head", 1).keyframe_points[10].co[1] += 0.3
    edited = keys_of(addon, other.cleaning.cleaned)
    entry.cleaning.trunk = 0.5  # moves nobody else
    assert not entry.cleaning.edited
    before = keys_of(addon, entry.armature.animation_data.action)
    entry.cleaning.lift = 0.1
    assert entry.cleaning.edited and other.cleaning.edited and other.cleaning.lift == 0.0
    assert same(keys_of(addon, other.armature.animation_data.action), edited)
    assert same(keys_of(addon, entry.armature.animation_data.action), before)
    assert getattr(ops, end_it)() == {"FINISHED"}
    assert not entry.cleaning.edited and not other.cleaning.edited
    now = keys_of(addon, other.armature.animation_data.action)
    if end_it == "clean_apply":
        assert same(now, edited) and entry.cleaning.lift == 0.0
    else:
        head = ('pose.bones["head"].rotation_quaternion', 1)
        assert np.allclose(now[head], computed[head], atol=1e-5)
        assert feet(addon, shown(addon, scene, other))[..., 2].min() == pytest.approx(0.1, abs=0.01)


def test_who_waits_for_the_keys_of_others_can_apply_without_own_changes(addon, people, ops):
    entry, other = people
    other.cleaning.trunk = 0.5
    curve_of(addon, other.cleaning.cleaned, "head", 1).keyframe_points[10].co[1] += 0.3
    entry.cleaning.turn = 0.1
    assert entry.cleaning.edited and not entry.cleaning.cleaned
    assert ops.clean_apply() == {"FINISHED"}
    entry.cleaning.turn = 0.1
    assert other.cleaning.cleaned and not entry.cleaning.edited


def test_keys_that_one_curve_lacks_are_there_in_the_others(addon, scene, entry, settings):
    raw = entry.armature.animation_data.action
    whole = keys_of(addon, raw)
    hips, elbow = (curve_of(addon, raw, *which) for which in (("pelvis", 0, "location"), ("left_elbow", 2)))
    for point in reversed(hips.keyframe_points[40:59]):
        hips.keyframe_points.remove(point)
    elbow.keyframe_points.insert(50.5, 0.7)
    settings.left_hand = 0.5
    cleaned = keys_of(addon, settings.cleaned)
    path = 'pose.bones["right_elbow"].rotation_quaternion', 1
    same_frames = np.isin(cleaned[path][:, 0], whole[path][:, 0])
    assert np.allclose(cleaned[path][same_frames], whole[path], atol=1e-5) and same_frames.sum() == len(whole[path])
    assert cleaned[path][~same_frames, 0].tolist() == [50.5]
    assert curve_of(addon, settings.cleaned, "pelvis", 0, "location").evaluate(50) == pytest.approx(hips.evaluate(50))
    owner = addon.compat.curve_owner(raw, entry.armature)
    owner.fcurves.remove(hips)
    assert len(addon.cleaning.actions.read(scene, entry.armature, raw).times) == len(cleaned[path])
    owner.fcurves.clear()
    assert addon.cleaning.stage.obstacle(entry)


@pytest.mark.parametrize("travels", [False, True])
def test_everyone_of_a_clip_and_its_camera_share_the_world(bpy, addon, scene, people, ops, travels):
    entry, other = people
    view = bpy.data.objects.new("View", bpy.data.cameras.new("View"))
    scene.collection.objects.link(view)
    view.rotation_mode, view.location = "QUATERNION", (1.0, -4.0, 1.5)
    view.rotation_quaternion = (0.7, 0.7, 0.1, 0.1)
    entry.camera = other.camera = view
    for frame in (1, 20, 40) if travels else ():
        view.location.x += 0.7
        view.keyframe_insert("location", frame=frame)

    def seen():
        places = []
        for frame in (1, 20, 33):
            scene.frame_set(frame)
            inside = view.matrix_world.inverted()
            places += [inside @ e.armature.pose.bones["head"].matrix.translation for e in (entry, other)]
        scene.frame_set(20)
        return np.array(places)

    before = seen()
    settings = entry.cleaning
    settings.turn, settings.lean_left, settings.lift = 1.0, 0.2, 0.3
    assert np.abs(seen() - before).max() < 1e-3
    assert ops.clean_apply() == {"FINISHED"}
    settings.turn = -0.5
    assert np.abs(seen() - before).max() < 1e-3
    for index in (0, 1):
        scene.video_mocap.active_take = index
        assert ops.clean_raw() == {"FINISHED"}
    assert np.abs(seen() - before).max() < 1e-3
    assert np.abs(np.array(view.delta_location)).max() < 1e-6


def test_an_action_of_the_users_own_is_not_lost(bpy, addon, entry, settings):
    settings.lift = 0.1
    own = bpy.data.actions.new("By hand")
    addon.compat.assign(entry.armature, own)
    settings.lift = 0.2
    assert entry.armature.animation_data.action == settings.cleaned and own.use_fake_user


def test_the_cleaned_take_is_what_goes_onto_a_character(bpy, addon, scene, entry, settings, ops):
    chosen = addon.retarget.operators.chosen_motion
    assert chosen(bpy.context)[1].contacts.any()
    settings.lift = 0.5
    raised = chosen(bpy.context)[1]
    assert feet(addon, raised)[..., 2].min() == pytest.approx(0.5, abs=0.01)
    assert raised.contacts.any()
    settings.show = "RAW"
    assert feet(addon, chosen(bpy.context)[1])[..., 2].min() == pytest.approx(0.0, abs=0.01)


def test_captured_keys_that_were_changed_go_onto_a_character(bpy, addon, scene, entry, settings, ops, walking):
    chosen, shown_motion = addon.retarget.operators.chosen_motion, addon.cleaning.stage.shown_motion
    raw = entry.armature.animation_data.action
    assert shown_motion(scene, entry) is None  # as it was captured: the file is exact
    addon.keys.retime(raw, 0.5)
    addon.keys.retime(raw, 2.0)
    assert shown_motion(scene, entry) is None
    hips = curve_of(addon, raw, "pelvis", 0, "location")
    addon.keys.rewrite(hips, *(addon.keys.of(hips) + [0.0, 1.0]).T)
    moved = chosen(bpy.context)[1]
    assert np.allclose(moved.pelvis[:, 0] - walking.pelvis[:, 0], 1.0, atol=1e-4)
    assert np.array_equal(moved.contacts, walking.contacts)
    settings.trunk = 0.5
    assert chosen(bpy.context)[1].pelvis[0, 0] == pytest.approx(moved.pelvis[0, 0], abs=1e-4)
    settings.show = "RAW"
    assert np.array_equal(chosen(bpy.context)[1].pelvis, moved.pelvis)
    del raw[addon.keys.WRITTEN]  # captured by an earlier version
    assert shown_motion(scene, entry) is None


def test_people_whose_animation_was_merged_into_one_action(bpy, addon, scene, people):
    entry, other = people
    raw = entry.armature.animation_data.action
    if not hasattr(raw, "slots"):
        pytest.skip("actions have slots from 4.4 on")
    hips = curve_of(addon, other.armature.animation_data.action, "pelvis", 0, "location")
    addon.keys.rewrite(hips, *(addon.keys.of(hips) + [0.0, 1.0]).T)
    before = [shown(addon, scene, each).pelvis for each in (entry, other)]
    bodies = [entry.armature, other.armature]
    with bpy.context.temp_override(object=bodies[0], active_object=bodies[0], selected_objects=bodies):
        bpy.ops.anim.merge_animation()
    assert other.armature.animation_data.action == raw and len(raw.slots) == 2
    for each, pelvis in zip((entry, other), before, strict=True):
        assert np.array_equal(shown(addon, scene, each).pelvis, pelvis)
        each.cleaning.trunk = 0.5  # its action is a copy, with the curves of both
        assert np.allclose(shown(addon, scene, each).pelvis, pelvis, atol=1e-5)
        assert np.allclose(addon.cleaning.stage.base_motion(scene, each).pelvis, pelvis, atol=1e-5)


def test_other_channels_survive_and_matching_the_scene_moves_all_actions(bpy, addon, scene, entry, settings, ops):
    raw = entry.armature.animation_data.action
    entry.armature["confidence"] = 1.0
    entry.armature.keyframe_insert('["confidence"]', frame=1)
    settings.hands = 0.5
    cleaned = entry.armature.animation_data.action
    assert any(curve.data_path == '["confidence"]' for curve in addon.compat.curves(cleaned))
    spans = settings.spans()
    for action in (raw, cleaned):  # as if captured in a scene of another rate
        addon.keys.retime(action, 2.0)
        action[addon.camera.RATE] = 2 * RATE
    scene.render.fps = 15  # by hand: the take goes on from its own rate
    assert settings.contacts[0].first == pytest.approx(1 + spans[0].start * 2 * RATE)
    assert addon.cleaning.stage.base_motion(scene, entry).times[-1] == pytest.approx(89 / RATE)
    settings.hands = 0.6
    assert not settings.edited and raw.frame_range[1] == pytest.approx(cleaned.frame_range[1]) == pytest.approx(179)
    assert ops.match_scene() == {"FINISHED"}
    assert raw.frame_range[1] == pytest.approx(cleaned.frame_range[1]) == pytest.approx(90)
    settings.hands = 0.7
    assert not settings.edited and settings.contacts[0].first == pytest.approx(1 + spans[0].start * RATE)


def test_deleting_and_renaming_a_cleaned_take(bpy, scene, entry, settings, ops):
    settings.trunk = 0.5
    entry.name = "Hero"
    assert sorted(action.name for action in bpy.data.actions) == ["Hero", "Hero · cleaned"]
    assert ops.take_delete() == {"FINISHED"}
    assert not bpy.data.actions and not bpy.data.armatures


def test_a_take_without_its_action_says_so(bpy, scene, entry, settings, ops):
    entry.armature.animation_data.action = None
    assert not ops.clean_forward.poll()
    settings.trunk = 0.5  # nothing to do, and nothing breaks
    assert settings.raw is None


def test_a_click_beside_the_foot_and_on_an_object(bpy, addon, scene, entry, settings):
    from mathutils import Matrix, Vector

    beside = addon.cleaning.operators._height_beside
    moved = Matrix.Translation((0.0, 0.0, 2.0))
    foot = Vector((0.5, 0.2, 0.0))
    start = Vector((0.5, -5.0, 3.0))
    along = Vector((0.5, 0.2, 2.3)) - start
    assert beside(moved, start, along, foot) == pytest.approx(0.3, abs=1e-4)
    assert beside(moved, start, Vector((0.0, 0.0, -1.0)), foot) == 0.0


def test_actions_that_the_animator_deletes_are_missed_by_nobody(bpy, addon, scene, entry, settings, ops):
    settings.trunk = 0.5
    bpy.data.actions.remove(settings.cleaned)
    settings.trunk = 0.6  # nothing is on the armature now; the next setting puts it back
    assert settings.cleaned and entry.armature.animation_data.action == settings.cleaned
    assert ops.clean_apply() == {"FINISHED"}
    bpy.data.actions.remove(settings.base)
    settings.trunk = 0.5
    assert settings.base == settings.raw and entry.armature.animation_data.action == settings.cleaned
