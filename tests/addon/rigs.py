"""Rigs and motions for the tests of retargeting."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
from mathutils import Matrix

from backend.core import rotations, skeleton

_MIXAMO = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    "collar": "Shoulder", "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand",
    "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase",
}  # fmt: skip
FBX = Matrix.Rotation(np.pi / 2, 4, "X") @ Matrix.Scale(0.01, 4)  # y up in centimetres, as FBX files come


def mixamo_name(joint: str) -> str | None:
    """What Mixamo calls a joint; None for jaw and eyes."""
    side, _, part = joint.partition("_")
    if side not in ("left", "right"):
        return f"mixamorig:{_MIXAMO[joint]}" if joint in _MIXAMO else None
    if part in _MIXAMO:
        return f"mixamorig:{side.title()}{_MIXAMO[part]}"
    return f"mixamorig:{side.title()}Hand{part.title()}" if part[-1].isdigit() else None


def build(
    addon: ModuleType,
    bpy: ModuleType,
    names=mixamo_name,
    world: Matrix = FBX,
    scale: float = 1.0,
    legs: float = 1.0,
    mode: str = "QUATERNION",
    rolls: bool = False,
):
    """An armature with a body's joints under other names. scale: of the body; legs: of the legs besides; rolls: odd
    ones; world: what the object does to its bones, which stand in the scene all the same."""
    offsets = skeleton.neutral().offsets * scale
    for joint in ("knee", "ankle"):
        for side in ("left", "right"):
            offsets[skeleton.INDEX[f"{side}_{joint}"]] *= legs
    heads, tails = addon.armature.rest_ends(skeleton.neutral().with_offsets(offsets))
    rig = bpy.data.objects.new("Hero", bpy.data.armatures.new("Hero"))
    bpy.context.scene.collection.objects.link(rig)
    rig.matrix_world = world
    inside = np.array(world.inverted())
    random = np.random.default_rng(5)
    with addon.armature.edit_mode(rig):
        bones = rig.data.edit_bones
        for i, joint in enumerate(skeleton.JOINTS):
            if (name := names(joint)) is None:
                continue
            bone = bones.new(name)
            bone.head, bone.tail = (inside[:3, :3] @ end[i] + inside[:3, 3] for end in (heads, tails))
            bone.roll = random.uniform(-3, 3) if rolls else 0.0
            if i:
                bone.parent = bones[names(skeleton.JOINTS[skeleton.PARENTS[i]])]
    for bone in rig.pose.bones:
        bone.rotation_mode = mode
    bpy.context.view_layer.update()
    return rig


def from_mpfb(addon: ModuleType, bpy: ModuleType, path: Path):
    """An armature out of a rig file of MPFB, with its own tails and rolls."""
    data = json.loads(path.read_text("utf-8"))
    given = data.get("bones", data)
    rig = bpy.data.objects.new("Hero", bpy.data.armatures.new("Hero"))
    bpy.context.scene.collection.objects.link(rig)
    with addon.armature.edit_mode(rig):
        bones = rig.data.edit_bones
        for name, about in given.items():
            bone = bones.new(name)
            bone.head, bone.tail = (about[end]["default_position"] for end in ("head", "tail"))
            bone.roll = about["roll"]
        for name, about in given.items():
            if about["parent"]:
                bones[name].parent = bones[about["parent"]]
                bones[name].use_connect = about["use_connect"]
            bones[name].use_inherit_rotation = about["use_inherit_rotation"]
            bones[name].use_local_location = about["use_local_location"]
    bpy.context.view_layer.update()
    return rig


def motion(addon: ModuleType, frames: int = 40, rate: float = 30.0):
    """Somebody on the left foot, which stays where it is, while all else moves smoothly."""
    random = np.random.default_rng(11)
    phase, speed = random.uniform(0, 6, (55, 3)), random.uniform(1, 4, (55, 3))
    times = np.arange(frames) / rate
    size = np.full((55, 1), 0.25)
    for joint in ("left_hip", "right_hip", "left_knee", "right_knee", "pelvis"):
        size[skeleton.INDEX[joint]] = 0.12
    size[[skeleton.INDEX["left_foot"], skeleton.INDEX["left_ankle"]]] = 0.0
    local = rotations.from_axis_angle(size * np.sin(speed * times[:, None, None] + phase))
    for joint, bend in {"left_knee": 0.5, "right_knee": 1.3, "right_hip": -0.6}.items():  # the right foot is in the air
        row = skeleton.INDEX[joint]
        local[:, row] = rotations.multiply(rotations.from_axis_angle([bend, 0.0, 0.0]), local[:, row])
    local[:, 0] = rotations.multiply(skeleton.Y_UP_TO_Z_UP, local[:, 0])
    body = skeleton.neutral()
    turned, _ = skeleton.forward_kinematics(body, local, np.zeros((frames, 3)))
    shin, ankle = skeleton.INDEX["left_knee"], skeleton.INDEX["left_ankle"]
    local[:, ankle] = rotations.multiply(rotations.inverse(turned[:, shin]), skeleton.Y_UP_TO_Z_UP)  # flat on the floor
    turned, joints = skeleton.forward_kinematics(body, local, np.zeros((frames, 3)))
    heel = skeleton.posed_points(body, turned, joints, ("left_heel", "left_big_toe"))
    pelvis = np.array([0.3, 0.2, 0.0]) - joints[:, ankle]
    pelvis[:, 2] = -heel[..., 2].min(axis=1)
    contacts = np.tile(np.uint8([1, 1, 0, 0]), (frames, 1))
    return addon.retarget.model.SourceMotion(times, body, rotations.continuous(local), pelvis, contacts)


def posed(bpy, rig, frame: float) -> dict[str, Matrix]:
    """World matrices of all bones at a frame, as Blender evaluates them."""
    bpy.context.scene.frame_set(int(np.floor(frame)), subframe=float(frame % 1))
    shown = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    return {bone.name: shown.matrix_world @ bone.matrix for bone in shown.pose.bones}
