"""The captured person as a Blender armature: the 55 SMPL-X joints as bones.

Rest pose: SMPL-X's T-pose, facing -y, z up, the soles on the floor. A bone's head is its joint; its tail is the next
joint, or the end of the limb. Bones are rolled so that local X is the bending axis: a positive turn about X bends
knees, elbows, fingers and the spine the way a body bends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import bpy
import numpy as np
from mathutils import Vector

from ..backend.core import rotations, skeleton
from ..backend.core.rotations import Array
from ..backend.core.skeleton import JOINTS, PARENTS, Skeleton

SHORTEST = 0.01  # metres; Blender deletes bones without length
EYE_LENGTH = 0.03

_CHILDREN: dict[str, list[str]] = {
    name: [c for c, p in zip(JOINTS, PARENTS, strict=True) if p == i] for i, name in enumerate(JOINTS)
}
_TAIL_JOINTS = {"pelvis": "spine1", "spine3": "neck", "left_wrist": "left_middle1", "right_wrist": "right_middle1"}
_TAIL_POINTS = {"head": "head_top", "jaw": "chin", "left_foot": "left_big_toe", "right_foot": "right_big_toe"}

_FORWARD, _BACK, _DOWN = (0.0, -1.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -1.0)
_BENDS = {
    "hip": _BACK, "knee": _BACK, "ankle": _DOWN, "foot": _DOWN, "wrist": _DOWN, "jaw": _DOWN, "eye": _DOWN,
    "thumb": (0.0, 0.7, -0.7), "index": _DOWN, "middle": _DOWN, "ring": _DOWN, "pinky": _DOWN,
}  # fmt: skip


def bend_direction(name: str) -> tuple[float, float, float]:
    """Where a positive turn about the bone's X axis takes its tail (and so where its Z axis points)."""
    return next((direction for part, direction in _BENDS.items() if part in name), _FORWARD)


def tail_joint(name: str) -> str | None:
    """The joint at the bone's tail, if there is one."""
    children = _CHILDREN[name]
    return _TAIL_JOINTS.get(name) or (children[0] if len(children) == 1 else None)


def rest_ends(body: Skeleton) -> tuple[Array, Array]:
    """Heads and tails (55, 3) of the rest pose, metres, z up, facing -y, the lowest point of the feet at z = 0."""
    joints = body.joints()
    points = {name: joints[j] + offset for name, (j, offset) in body.points.items()}
    tails = np.empty_like(joints)
    for i, name in enumerate(JOINTS):
        if joint := tail_joint(name):
            tails[i] = joints[skeleton.INDEX[joint]]
        elif "eye" in name:
            tails[i] = joints[i] + [0.0, 0.0, EYE_LENGTH]
        else:
            tails[i] = points[_TAIL_POINTS.get(name) or name.replace("3", "_tip")]
        along = tails[i] - joints[i]
        if np.linalg.norm(along) < SHORTEST:
            parent = joints[i] - joints[PARENTS[i]] if i else np.array([0.0, 1.0, 0.0])
            tails[i] = joints[i] + SHORTEST * rotations.normalize(along if np.any(along) else parent)
    floor = min(points[name][1] for name in skeleton.FOOT_POINTS)
    turn = skeleton.Y_UP_TO_Z_UP
    lift = np.array([0.0, 0.0, -floor])
    return rotations.rotate(turn, joints) + lift, rotations.rotate(turn, tails) + lift


def build(name: str, body: Skeleton, collection: bpy.types.Collection) -> bpy.types.Object:
    """A new armature object in `collection`."""
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    collection.objects.link(armature)
    armature.show_in_front = True
    shape(armature, body)
    _decorate(armature)
    return armature


def shape(armature: bpy.types.Object, body: Skeleton) -> None:
    """Give the armature the rest pose of `body`; poses stay as they are."""
    heads, tails = rest_ends(body)
    with edit_mode(armature):
        bones = armature.data.edit_bones
        for i, name in enumerate(JOINTS):
            bone = bones.get(name) or bones.new(name)
            bone.use_connect = False
            bone.head, bone.tail = heads[i], tails[i]
            bone.align_roll(Vector(bend_direction(name)))
            if i:
                bone.parent = bones[JOINTS[PARENTS[i]]]
        for name in JOINTS:
            if joint := tail_joint(name):
                bones[joint].use_connect = bool(np.array_equal(bones[joint].head, bones[name].tail))


def _decorate(armature: bpy.types.Object) -> None:
    """Bone collections and colours: the left side blue, the right side red."""
    groups = {name: armature.data.collections.new(name) for name in ("Body", "Left Hand", "Right Hand", "Face")}
    for bone in armature.data.bones:
        side = "left" if bone.name.startswith("left") else "right" if bone.name.startswith("right") else ""
        if bone.name[-1].isdigit() and side:
            group = f"{side.title()} Hand"
        else:
            group = "Face" if "eye" in bone.name or bone.name == "jaw" else "Body"
        groups[group].assign(bone)
        bone.color.palette = {"left": "THEME04", "right": "THEME01", "": "THEME09"}[side]


@contextmanager
def edit_mode(armature: bpy.types.Object) -> Iterator[None]:
    """Edit mode in a scene of its own, so that the user's mode, selection and active object are not touched."""
    hidden, workshop = armature.hide_viewport, bpy.data.scenes.new("Mocap workshop")
    try:
        armature.hide_viewport = False  # what is hidden cannot be edited
        workshop.collection.objects.link(armature)
        layer = workshop.view_layers[0]
        layer.objects.active = armature
        context = {"scene": workshop, "view_layer": layer, "active_object": armature, "object": armature}
        with bpy.context.temp_override(**context):
            bpy.ops.object.mode_set(mode="EDIT")
            try:
                yield
            finally:
                bpy.ops.object.mode_set(mode="OBJECT")
    finally:
        bpy.data.scenes.remove(workshop)
        armature.hide_viewport = hidden


class Rest(NamedTuple):
    """Rest frames of the bones in the armature's space: rotations (55, 4), pelvis bone's head (3,) in metres."""

    rotations: Array
    pelvis: Array


def rest_of(armature: bpy.types.Object) -> Rest:
    """The rest frames as Blender has them."""
    bones = armature.data.bones
    matrices = [np.array(bones[name].matrix_local.to_3x3()) for name in JOINTS]
    return Rest(rotations.from_matrix(matrices), np.array(bones[JOINTS[0]].head_local))


def to_bones(rest: Rest, local: Array, pelvis: Array) -> tuple[Array, Array]:
    """SMPL-X motion -> what the bones' channels hold.

    local: (T, 55, 4) parent-relative quaternions in body axes (y up, facing +z), the root in the world (z up).
    pelvis: (T, 3) metres, world. -> rotations (T, 55, 4) sign-continuous, location of the pelvis bone (T, 3), both
    seen from the bones' rest frames.
    """
    # A bone's rest frame seen from the body's axes: turn into body axes, rotate there, and turn back.
    body = rotations.multiply(rotations.inverse(skeleton.Y_UP_TO_Z_UP), rest.rotations)
    back = rotations.inverse(body)
    back[0] = rotations.inverse(rest.rotations[0])
    turned = rotations.multiply(rotations.multiply(back, local), body)
    return rotations.continuous(turned), rotations.rotate(back[0], pelvis - rest.pelvis)


def from_bones(rest: Rest, turned: Array, root: Array) -> tuple[Array, Array]:
    """The other way round: turned (T, 55, 4) and root (T, 3) -> local (T, 55, 4), pelvis (T, 3), see `to_bones`."""
    body = rotations.multiply(rotations.inverse(skeleton.Y_UP_TO_Z_UP), rest.rotations)
    front = body.copy()
    front[0] = rest.rotations[0]
    local = rotations.multiply(rotations.multiply(front, turned), rotations.inverse(body))
    return local, rotations.rotate(rest.rotations[0], root) + rest.pelvis


def pose(armature: bpy.types.Object, turned: Array, root: Array) -> None:
    """Show one pose, without keys: turned (55, 4) and root (3,) as `to_bones` gives them."""
    bones = armature.pose.bones
    for name, rotation in zip(JOINTS, turned, strict=True):
        if bone := bones.get(name):
            bone.rotation_quaternion = rotation
    if bone := bones.get(JOINTS[0]):
        bone.location = root
