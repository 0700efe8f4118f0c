"""Rigs as Blender moves them: what is read and measured, and where retargeted bones really are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rigs
from mathutils import Matrix, Vector

from backend.core import rotations, skeleton

LIMBS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
SIDES = ("left", "right")


@pytest.fixture
def retarget(addon):
    return addon.retarget


@pytest.fixture
def motion(addon):
    return rigs.motion(addon)


def put(bpy, retarget, rig, motion, take="walk", mapping=None, keying=None, span=None, **options):
    """Retarget onto a rig; -> the outcome."""
    character = retarget.character
    mapping = mapping or retarget.recognise.recognise(retarget.blender.read_rig(rig))
    return character.retarget(
        bpy.context.scene, bpy.context.view_layer, rig, mapping, motion, take,
        retarget.model.Options(**options), span or character.Span(whole=False), keying or retarget.actions.Keying(),
    )  # fmt: skip


def state(rig) -> dict[str, object]:
    """Everything of a rig that retargeting must leave alone."""
    bones = {
        bone.name: (
            [tuple(row) for row in bone.matrix_local], bone.length, bone.use_connect, bone.inherit_scale,
            bone.use_inherit_rotation, bone.hide,
        )
        for bone in rig.data.bones
    }  # fmt: skip
    posed = {
        bone.name: (bone.rotation_mode, tuple(bone.scale), [(c.name, c.type, c.mute) for c in bone.constraints])
        for bone in rig.pose.bones
    }
    return {"bones": bones, "posed": posed, "world": [tuple(row) for row in rig.matrix_world], "mode": rig.mode}


def frames_of(bpy, motion) -> np.ndarray:
    scene = bpy.context.scene
    return 1.0 + motion.times * scene.render.fps / scene.render.fps_base


def directions(motion, i: int) -> dict[tuple[str, str], np.ndarray]:
    """Where the source's limbs point at its frame i."""
    _, joints = skeleton.forward_kinematics(motion.body, motion.local[i : i + 1], motion.pelvis[i : i + 1])
    ends = {
        f"{side}_{joint}": joints[0, skeleton.INDEX[f"{side}_{joint}"]]
        for side in SIDES
        for pair in LIMBS
        for joint in pair
    }
    return {
        (side, start): rotations.normalize(ends[f"{side}_{end}"] - ends[f"{side}_{start}"])
        for side in SIDES
        for start, end in LIMBS
    }


def worst_limb(bpy, retarget, rig, motion, mapping) -> float:
    """Largest angle in degrees between limbs of the source and of the rig."""
    worst = 0.0
    for i in (0, len(motion.times) // 2, len(motion.times) - 1):
        shown = rigs.posed(bpy, rig, frames_of(bpy, motion)[i])
        for (side, start), wanted in directions(motion, i).items():
            end = dict(LIMBS)[start]
            first, second = (mapping.bones[f"{side}_{joint}"][0] for joint in (start, end))
            along = rotations.normalize(np.array(shown[second].translation - shown[first].translation))
            worst = max(worst, float(np.degrees(np.arccos(np.clip(along @ wanted, -1, 1)))))
    return worst


@pytest.mark.parametrize(
    "world",
    [
        rigs.FBX,
        Matrix.Rotation(-np.pi / 2, 4, "X") @ Matrix.Scale(0.01, 4),
        Matrix.Identity(4),
    ],
    ids=["fbx", "fbx turned the other way", "plain"],
)
def test_limbs_point_as_in_the_source_whatever_scale_and_turn_the_object_has(bpy, addon, retarget, motion, world):
    rig = rigs.build(addon, bpy, world=world, scale=1.3, rolls=True)
    before = state(rig)
    outcome = put(bpy, retarget, rig, motion, feet=False)
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    assert mapping.family == "mixamo" and outcome.notes == []
    assert worst_limb(bpy, retarget, rig, motion, mapping) < 0.5
    assert state(rig) == before


@pytest.mark.parametrize("name", ["cmu_mb", "default", "game_engine", "mixamo"])
def test_rigs_of_mpfb(bpy, addon, retarget, motion, root, name):
    """Real rigs (CC0), which `dev.py test` fetches: in decimetres with the origin in the hips, twist bones in line."""
    rig = rigs.from_mpfb(addon, bpy, root / ".cache" / "rigs" / f"rig.{name}.json")
    outcome = put(bpy, retarget, rig, motion, feet=False)
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    assert mapping.family != "unknown" and outcome.notes == []
    assert worst_limb(bpy, retarget, rig, motion, mapping) < 1.0


def test_a_mouth_opens_as_far_as_in_the_source(bpy, addon, retarget, motion, root):
    rig = rigs.from_mpfb(addon, bpy, root / ".cache" / "rigs" / "rig.default.json")
    local = motion.local.copy()
    local[:, skeleton.INDEX["jaw"]] = [np.cos(0.15), np.sin(0.15), 0.0, 0.0]  # SMPL-X's x axis points to the left
    put(bpy, retarget, rig, replace(motion, local=local))
    jaw, head = rig.data.bones["jaw"].matrix_local, rig.data.bones["head"].matrix_local
    for frame in frames_of(bpy, motion)[[0, 17, 39]]:
        shown = rigs.posed(bpy, rig, frame)
        turn = (head @ shown["head"].inverted() @ shown["jaw"] @ jaw.inverted()).to_quaternion()
        assert turn.angle == pytest.approx(0.3, abs=1e-3)
        assert abs(turn.axis.x) > 0.999 and (turn @ Vector((0.0, -1.0, 0.0))).z < -0.2  # the chin goes down


@pytest.mark.parametrize("mode", ["XYZ", "ZXY", "AXIS_ANGLE"])
def test_any_rotation_mode_gives_the_same_pose(bpy, addon, retarget, motion, mode):
    plain = rigs.build(addon, bpy)
    other = rigs.build(addon, bpy, mode=mode)
    for rig in (plain, other):
        put(bpy, retarget, rig, motion)
    assert {bone.rotation_mode for bone in other.pose.bones} == {mode}
    for frame in frames_of(bpy, motion)[[0, 17, 39]]:
        wanted, shown = rigs.posed(bpy, plain, frame), rigs.posed(bpy, other, frame)
        for name, matrix in wanted.items():
            assert np.allclose(np.array(matrix.translation), np.array(shown[name].translation), atol=2e-4), name


def test_blender_evaluates_the_pose_as_computed(bpy, addon, retarget, motion):
    """The bones of the solver's rig, by its own forward kinematics, are where Blender has them."""
    rig = rigs.build(addon, bpy, rolls=True)
    rig.data.bones["mixamorig:Neck"].use_inherit_rotation = False
    whole = retarget.blender.read_rig(rig)
    mapping = retarget.recognise.recognise(whole)
    channels = retarget.solve.retarget(motion, whole, mapping)
    frames = frames_of(bpy, motion)
    retarget.actions.write(rig, "walk", frames, channels, whole, [], retarget.actions.Keying())
    computed = retarget.pose.pose_globals(whole, channels)
    for i in (0, 20, 39):
        shown = rigs.posed(bpy, rig, frames[i])
        for row, name in enumerate(whole.names):
            assert np.allclose(whole.world @ computed[i, row], np.array(shown[name]), atol=1e-4), name


def test_a_hand_on_the_twist_bone_of_its_forearm_is_turned_as_without(bpy, addon, retarget, motion):
    plain, twisted = rigs.build(addon, bpy), rigs.build(addon, bpy)
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(plain))
    with addon.armature.edit_mode(twisted):
        bones = twisted.data.edit_bones
        forearm, hand = bones["mixamorig:LeftForeArm"], bones["mixamorig:LeftHand"]
        twist = bones.new("roll")
        twist.head, twist.tail, twist.parent = (forearm.head + hand.head) / 2, hand.head, forearm
        hand.parent = twist
    put(bpy, retarget, plain, motion, mapping=mapping)
    mapping.twists["left_elbow"] = ["roll"]
    put(bpy, retarget, twisted, motion, mapping=mapping)
    assert any("roll" in curve.data_path for curve in addon.compat.curves(twisted.animation_data.action))
    wanted, shown = rigs.posed(bpy, plain, 20.0), rigs.posed(bpy, twisted, 20.0)
    for name, matrix in wanted.items():
        assert (matrix.translation - shown[name].translation).length < 1e-4, name
        assert np.allclose(matrix.to_3x3().normalized(), shown[name].to_3x3().normalized(), atol=1e-3), name


def test_measured_parents_are_the_hierarchy_where_nothing_interferes(bpy, addon, retarget):
    rig = rigs.build(addon, bpy)
    whole = retarget.blender.read_rig(rig)
    measured = retarget.blender.measure(rig, whole, list(whole.names), [])
    assert measured.deaf == {}
    own = {n: whole.names[p] if p >= 0 else "" for n, p in zip(whole.names, whole.parents, strict=True)}
    seen = {
        n: measured.rig.names[p] if p >= 0 else ""
        for n, p in zip(measured.rig.names, measured.rig.parents, strict=True)
    }
    assert own == seen
    for name in whole.names:
        a, b = whole.index[name], measured.rig.index[name]
        assert np.allclose(whole.rest[a], measured.rig.rest[b], atol=1e-3 * whole.lengths[a])


def test_measuring_leaves_pose_action_and_scenes_alone(bpy, addon, retarget, motion):
    rig = rigs.build(addon, bpy)
    put(bpy, retarget, rig, motion)
    bpy.context.scene.frame_set(20)
    arm = rig.pose.bones["mixamorig:LeftArm"]
    arm.location, arm.scale = (1.0, 2.0, 3.0), (1.1, 1.0, 1.0)
    animation = rig.animation_data
    kept = [(b.name, tuple(b.location), tuple(b.rotation_quaternion), tuple(b.scale)) for b in rig.pose.bones]
    slot = getattr(animation, "action_slot", None)
    whole = retarget.blender.read_rig(rig)
    retarget.blender.measure(rig, whole, list(whole.names), [])
    assert kept == [(b.name, tuple(b.location), tuple(b.rotation_quaternion), tuple(b.scale)) for b in rig.pose.bones]
    assert animation.action.name == "walk → Hero" and getattr(animation, "action_slot", None) == slot
    assert len(bpy.data.scenes) == 1


def test_bones_held_by_constraints_are_told(bpy, addon, retarget, motion):
    rig = rigs.build(addon, bpy)
    hold = rig.pose.bones["mixamorig:RightArm"].constraints.new("COPY_ROTATION")
    hold.target, hold.subtarget = rig, "mixamorig:Hips"
    outcome = put(bpy, retarget, rig, motion)
    assert len(outcome.notes) == 1 and "mixamorig:RightArm" in outcome.notes[0]


@pytest.mark.parametrize("legs", [0.7, 1.0, 1.3])
def test_planted_feet_stay_planted_on_the_evaluated_rig(bpy, addon, retarget, motion, legs):
    rig = rigs.build(addon, bpy, legs=legs)
    put(bpy, retarget, rig, motion)
    heads, tails = [], []
    for frame in frames_of(bpy, motion):
        shown = rigs.posed(bpy, rig, frame)
        foot, toes = shown["mixamorig:LeftFoot"], shown["mixamorig:LeftToeBase"]
        heads.append(foot.translation[:])
        tails.append((toes @ Matrix.Translation((0, rig.data.bones["mixamorig:LeftToeBase"].length, 0))).translation[:])
    for points in (np.array(heads), np.array(tails)):
        slide = np.linalg.norm(points[4:-4, :2] - points[4:-4, :2].mean(axis=0), axis=1)
        assert slide.max() < 0.005
        assert np.ptp(points[4:-4, 2]) < 0.005


def test_locked_channels_get_no_keys(bpy, addon, retarget, motion):
    rig = rigs.build(addon, bpy, mode="XYZ")
    rig.pose.bones["mixamorig:Neck"].lock_rotation = (True, False, False)
    rig.pose.bones["mixamorig:Hips"].lock_location = (False, True, False)
    outcome = put(bpy, retarget, rig, motion)
    keyed = {(curve.data_path, curve.array_index) for curve in addon.compat.curves(outcome.action)}
    neck, hips = 'pose.bones["mixamorig:Neck"].rotation_euler', 'pose.bones["mixamorig:Hips"].location'
    assert {index for path, index in keyed if path == neck} == {1, 2}
    assert {index for path, index in keyed if path == hips} == {0, 2}


def test_reduced_keys_stay_within_the_bound(bpy, addon, retarget, motion):
    rig, other = rigs.build(addon, bpy), rigs.build(addon, bpy)
    full = put(bpy, retarget, rig, motion).action
    few = put(bpy, retarget, other, motion, keying=retarget.actions.Keying(bound=1.0)).action
    count = lambda action: sum(len(curve.keyframe_points) for curve in addon.compat.curves(action))  # noqa: E731
    assert count(few) < 0.7 * count(full)
    for frame in frames_of(bpy, motion)[::7]:
        rigs.posed(bpy, rig, frame)
        for bone in rig.pose.bones:
            turn = bone.rotation_quaternion.rotation_difference(other.pose.bones[bone.name].rotation_quaternion)
            assert np.degrees(turn.angle) % 360 < 1.05 or np.degrees(turn.angle) > 358.9, bone.name


def places_of(bpy, rig, frame: float) -> np.ndarray:
    return np.array([matrix.translation for matrix in rigs.posed(bpy, rig, frame).values()])


def joint_name(joint: str) -> str:
    return joint


def add_bone(addon, rig, name: str, children: tuple[str, ...], head=(0.0, 0.05, 0.97)) -> None:
    """A bone without a role between bones and their parent."""
    with addon.armature.edit_mode(rig):
        bones = rig.data.edit_bones
        bone = bones.new(name)
        bone.head, bone.tail = head, (0.0, head[1] + 0.3, head[2])
        bone.parent = bones[children[0]].parent
        for child in children:
            bones[child].parent = bone


@pytest.mark.parametrize("options", [{"root": "hips"}, {"root": "in_place"}, {"root": "hips", "fingers": False}])
def test_bones_without_a_task_do_not_stay_as_they_were_shown_last(bpy, addon, retarget, motion, options):
    rig, fresh = (rigs.build(addon, bpy, names=joint_name, world=Matrix.Identity(4)) for _ in range(2))
    for each in (rig, fresh):
        add_bone(addon, each, "root", ("pelvis",), head=(0.0, 0.0, 0.0))
    put(bpy, retarget, rig, motion, root="bone")
    rigs.posed(bpy, rig, 30.0)
    assert rig.pose.bones["root"].location.length > 0.1
    for each in (rig, fresh):
        put(bpy, retarget, each, motion, **options)
    for frame in (1.0, 25.0):
        assert np.allclose(places_of(bpy, rig, frame), places_of(bpy, fresh, frame), atol=1e-5)
    rigs.posed(bpy, rig, 30.0)
    assert rig.pose.bones["root"].location.length == 0.0


def test_fingers_that_are_left_alone_are_the_users_own(bpy, addon, retarget, motion):
    rig = rigs.build(addon, bpy)
    finger = rig.pose.bones["mixamorig:LeftHandIndex1"]
    put(bpy, retarget, rig, motion)  # moves them
    rigs.posed(bpy, rig, 30.0)
    put(bpy, retarget, rig, motion, fingers=False)
    assert finger.matrix_basis == Matrix.Identity(4)
    fist = Matrix.Rotation(1.2, 4, "X")
    finger.matrix_basis = fist
    put(bpy, retarget, rig, motion, fingers=False)
    rigs.posed(bpy, rig, 30.0)
    assert np.allclose(np.array(finger.matrix_basis), np.array(fist), atol=1e-5)


LEGS = ("mixamorig:LeftUpLeg", "mixamorig:RightUpLeg")


@pytest.mark.parametrize("root", ["hips", "bone"])
@pytest.mark.parametrize("case", ["spine", "legs", "locked", "connected"])
def test_a_bone_without_a_role_carries_what_the_pelvis_cannot(bpy, addon, retarget, motion, case, root):
    rig, plain = (rigs.build(addon, bpy, world=Matrix.Identity(4)) for _ in range(2))
    put(bpy, retarget, plain, motion)
    below = {"spine": ("mixamorig:Spine",), "legs": LEGS}.get(case, ())
    add_bone(addon, rig, "COG", ("mixamorig:Hips", *below))
    if root == "bone":
        add_bone(addon, rig, "root", ("COG",), head=(0.0, 0.0, 0.0))
    if case == "connected":
        with addon.armature.edit_mode(rig):
            bones = rig.data.edit_bones
            bones["COG"].tail = bones["mixamorig:Hips"].head
            bones["mixamorig:Hips"].use_connect = True
    rig.pose.bones["mixamorig:Hips"].lock_location = [case == "locked"] * 3
    outcome = put(bpy, retarget, rig, motion, root=root)
    assert outcome.notes == []
    for frame in (1.0, 25.0):
        shown = [rigs.posed(bpy, each, frame) for each in (plain, rig)]
        hips = [(pose[LEGS[0]].translation + pose[LEGS[1]].translation) / 2 for pose in shown]
        feet = [pose["mixamorig:LeftFoot"].translation for pose in shown]
        # Legs that hang from the other bone do not begin quite where those do that the pelvis turns.
        near = 0.02 if case == "legs" else 1e-3
        assert (hips[0] - hips[1]).length < near and (feet[0] - feet[1]).length < near
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    lines = [line.what for line in retarget.doctor.examine(rig, mapping)]
    assert not any("COG" in line or "cannot be keyed" in line for line in lines), lines


def test_it_is_said_when_nothing_can_carry_the_body(bpy, addon, retarget, motion):
    rig = rigs.build(addon, bpy)
    rig.pose.bones["mixamorig:Hips"].lock_location = (True, True, True)
    (note,) = put(bpy, retarget, rig, motion).notes
    assert "stays in its place" in note


@pytest.mark.parametrize("bones", [LEGS, ("mixamorig:Hips",), ("above",)])
def test_a_posed_scale_counts(bpy, addon, retarget, motion, bones):
    rig = rigs.build(addon, bpy, world=Matrix.Identity(4))
    add_bone(addon, rig, "above", ("mixamorig:Hips",), head=(0.0, 0.0, 0.0))
    for name in bones:
        rig.pose.bones[name].scale = (0.7, 0.7, 0.7)
    put(bpy, retarget, rig, motion)
    toes = np.array([rigs.posed(bpy, rig, f)["mixamorig:LeftToeBase"].translation[:] for f in frames_of(bpy, motion)])
    assert np.ptp(toes[4:-4], axis=0).max() < 0.005
    assert 0.0 < toes[:, 2].min() < 0.05
    assert tuple(rig.pose.bones[bones[0]].scale) == pytest.approx((0.7, 0.7, 0.7))
