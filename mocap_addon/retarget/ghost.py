"""The calibration view: a temporary armature in the virtual pose that stands for the source's T-pose.

The ghost has the mapped bones alone, each hanging from the bone that it really follows. The user turns its bones
until its limbs lie as the T-pose's do; what was turned is kept as corrections. The character itself is never posed.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.core import rotations
from ...backend.core.rotations import Array
from .. import armature as body
from . import blender, calibration
from .model import Mapping, Rig
from .pose import Chain

SUFFIX = " calibration"
UNTURNED = np.radians(0.05)  # a smaller turn is none


def show(scene: bpy.types.Scene, armature: bpy.types.Object, rig: Rig, mapping: Mapping) -> bpy.types.Object:
    """A new ghost of the armature in the calibration pose. rig: as measured, see `blender.measure`."""
    name = armature.name + SUFFIX
    ghost = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    scene.collection.objects.link(ghost)
    ghost.matrix_world = armature.matrix_world
    ghost.show_in_front = True
    with body.edit_mode(ghost):
        bones = ghost.data.edit_bones
        for row, bone_name in enumerate(rig.names):
            bone = bones.new(bone_name)
            bone.head, bone.tail = (0.0, 0.0, 0.0), (0.0, max(rig.lengths[row], 1e-5), 0.0)
            bone.matrix = Matrix(rig.rest[row].tolist())
            bone.use_inherit_rotation = bool(rig.inherit_rotation[row])
            if rig.parents[row] >= 0:
                bone.parent = bones[rig.names[rig.parents[row]]]
    wanted = dict(enumerate(calibration.calibrate(rig, mapping)[:, None]))
    _, bases = Chain(rig, range(len(rig.names))).resolve(wanted)
    for bone in ghost.pose.bones:
        bone.rotation_mode = "QUATERNION"
    blender.pose(ghost, {rig.names[row]: basis[0] for row, basis in bases.items()})
    return ghost


def corrections(ghost: bpy.types.Object, rig: Rig, mapping: Mapping) -> dict[str, Array]:
    """What the user turned: bone -> quaternion (4,) in the bone's own axes, from the pose that is found without him."""
    plain = Mapping(mapping.family, mapping.bones, mapping.twists, mapping.confidence, {}, mapping.unmapped)
    found = calibration.calibrate(rig, plain)
    bpy.context.view_layer.update()
    turned = {}
    for row, name in enumerate(rig.names):
        if name in ghost.pose.bones:
            now = rotations.from_matrix(np.array(ghost.pose.bones[name].matrix.to_3x3().normalized()))
            correction = rotations.multiply(rotations.inverse(found[row]), now)
            if rotations.angle_between(rotations.IDENTITY, correction) > UNTURNED:
                turned[name] = correction
    return turned


def remove(ghost: bpy.types.Object) -> None:
    """Take the ghost out of the file."""
    data = ghost.data
    bpy.data.objects.remove(ghost)
    bpy.data.armatures.remove(data)
