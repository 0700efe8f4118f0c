"""The armature: proportions, directions, and that its pose is the captured one."""

from __future__ import annotations

import numpy as np
import pytest

TOLERANCE = 1e-4  # metres


@pytest.fixture
def rig(addon):
    return addon.armature


@pytest.fixture
def body(addon):
    """A body with long arms and short legs."""
    neutral = addon.armature.skeleton.neutral()
    offsets = neutral.offsets.copy()
    for name, factor in {"elbow": 1.2, "wrist": 1.1, "knee": 0.8, "spine2": 1.3}.items():
        for joint, index in addon.armature.skeleton.INDEX.items():
            if name in joint:
                offsets[index] *= factor
    return neutral.with_offsets(offsets)


@pytest.fixture
def armature(bpy, rig, body):
    return rig.build("Ann", body, bpy.context.scene.collection)


def heads(bpy, armature) -> np.ndarray:
    """(55, 3) world positions of the posed bones' heads, in the order of the joints."""
    posed = armature.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return np.array([posed.matrix_world @ bone.head for bone in posed.pose.bones])[order(posed)]


def order(armature) -> list[int]:
    from backend.core.skeleton import JOINTS

    names = [bone.name for bone in armature.pose.bones]
    return [names.index(joint) for joint in JOINTS]


def test_rest_pose_is_a_t_pose_on_the_floor_facing_the_front_view(armature, rig, body):
    assert [bone.name for bone in armature.data.bones if bone.parent is None] == ["pelvis"]
    assert len(armature.data.bones) == 55
    head = {bone.name: np.array(bone.head_local) for bone in armature.data.bones}
    tail = {bone.name: np.array(bone.tail_local) for bone in armature.data.bones}
    assert head["left_wrist"][0] > 0.5 > -0.5 > head["right_wrist"][0]
    assert np.isclose(head["left_wrist"][2], head["left_shoulder"][2], atol=TOLERANCE)
    assert tail["left_foot"][1] < head["left_ankle"][1]
    turned = np.tile([1.0, 0, 0, 0], (1, 55, 1))
    turned[:, 0] = rig.skeleton.Y_UP_TO_Z_UP
    points = rig.skeleton.posed_points(
        body,
        *rig.skeleton.forward_kinematics(body, turned, rig.rest_of(armature).pelvis[None]),
        rig.skeleton.FOOT_POINTS,
    )
    assert abs(points[..., 2].min()) < TOLERANCE


def test_bone_lengths_are_those_of_the_body(armature, body, rig):
    for name, index in rig.skeleton.INDEX.items():
        bone = armature.data.bones[name]
        if bone.parent:
            distance = (bone.head_local - bone.parent.head_local).length
            assert distance == pytest.approx(np.linalg.norm(body.offsets[index]), abs=TOLERANCE)
        assert bone.length > 0.005


@pytest.mark.parametrize(
    "bone, end, direction",
    [
        ("left_knee", "left_ankle", (0, 1, 0)),
        ("right_knee", "right_ankle", (0, 1, 0)),
        ("left_elbow", "left_wrist", (0, -1, 0)),
        ("right_elbow", "right_wrist", (0, -1, 0)),
        ("left_index2", "left_index3", (0, 0, -1)),
        ("right_ring1", "right_ring3", (0, 0, -1)),
        ("spine2", "head", (0, -1, 0)),
        ("jaw", None, (0, 0.65, -0.76)),
    ],
)
def test_a_positive_turn_about_local_x_bends_like_a_body(bpy, armature, bone, end, direction):
    posed = armature.pose.bones[bone]
    point = lambda: np.array(armature.pose.bones[end].head if end else posed.tail)  # noqa: E731
    bpy.context.view_layer.update()
    before = point()
    posed.rotation_quaternion = (np.cos(0.1), np.sin(0.1), 0, 0)
    bpy.context.view_layer.update()
    moved = point() - before
    assert np.dot(moved / np.linalg.norm(moved), direction) > 0.9


def test_posed_bones_stand_at_the_joints_of_the_motion(bpy, armature, rig, body):
    random = np.random.default_rng(1)
    local = rig.rotations.from_axis_angle(random.normal(0, 0.6, (5, 55, 3)))
    pelvis = random.normal(0, 1.0, (5, 3))
    _, joints = rig.skeleton.forward_kinematics(body, local, pelvis)
    turned, root = rig.to_bones(rig.rest_of(armature), local, pelvis)
    for i in range(len(pelvis)):
        rig.pose(armature, turned[i], root[i])
        bpy.context.view_layer.update()
        assert np.abs(heads(bpy, armature) - joints[i]).max() < TOLERANCE


def test_new_bone_lengths_keep_the_pose(bpy, armature, rig, body):
    local = rig.rotations.from_axis_angle(np.random.default_rng(2).normal(0, 0.6, (1, 55, 3)))
    taller = body.with_offsets(body.offsets * 1.25)
    rig.shape(armature, taller)
    turned, root = rig.to_bones(rig.rest_of(armature), local, np.ones((1, 3)))
    rig.pose(armature, turned[0], root[0])
    bpy.context.view_layer.update()
    _, joints = rig.skeleton.forward_kinematics(taller, local, np.ones((1, 3)))
    assert np.abs(heads(bpy, armature) - joints[0]).max() < TOLERANCE
    assert len(armature.data.bones) == 55


def test_a_hidden_armature_gets_new_bone_lengths_and_stays_hidden(armature, rig, body):
    armature.hide_viewport = True
    rig.shape(armature, body.with_offsets(body.offsets * 1.25))
    assert armature.hide_viewport
    bone = armature.data.bones["left_knee"]
    wanted = 1.25 * np.linalg.norm(body.offsets[rig.skeleton.INDEX["left_knee"]])
    assert (bone.head_local - bone.parent.head_local).length == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT", "POSE"])
def test_building_leaves_mode_selection_and_active_object_alone(bpy, rig, body, mode):
    other = bpy.data.objects.new("Other", bpy.data.armatures.new("Other"))
    bpy.context.scene.collection.objects.link(other)
    bpy.context.view_layer.objects.active = other
    other.select_set(True)
    bpy.ops.object.mode_set(mode=mode)
    built = rig.build("Ann", body, bpy.context.scene.collection)
    assert bpy.context.view_layer.objects.active == other
    assert other.mode == mode and built.mode == "OBJECT"
    assert other.select_get() and not built.select_get()
    assert len(bpy.data.scenes) == 1
    bpy.ops.object.mode_set(mode="OBJECT")


def test_bones_are_sorted_into_body_hands_and_face(armature):
    counts = {group.name: len(group.bones) for group in armature.data.collections}
    assert counts == {"Body": 22, "Left Hand": 15, "Right Hand": 15, "Face": 3}
