"""Motions in actions: a take's armature and its keys, read and written as arrays."""

from __future__ import annotations

import zlib

import bpy
import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from ...backend.core.skeleton import COUNT, JOINTS, PARENTS, Skeleton
from .. import armature as rig
from .. import camera, compat, doubt, keys
from ..retarget.model import SourceMotion

SAME_FRAME = 1e-4
ROUNDING = 5e-6  # what reading and writing 32 bit numbers makes of a value that nobody changed


def body_of(armature: bpy.types.Object) -> Skeleton:
    """The proportions that an armature of ours has."""
    heads = np.array([armature.data.bones[name].head_local for name in JOINTS])
    offsets = skeleton.neutral().offsets.copy()
    turn = rotations.inverse(skeleton.Y_UP_TO_Z_UP)
    for joint in range(1, COUNT):
        offsets[joint] = rotations.rotate(turn, heads[joint] - heads[PARENTS[joint]])
    return skeleton.neutral().with_offsets(offsets)


def read(scene: bpy.types.Scene, armature: bpy.types.Object, action: bpy.types.Action) -> SourceMotion:
    """An action of a take's armature as motion, at the times of the keys of its location; contacts are zero."""
    curves = {(curve.data_path, curve.array_index): curve for curve in compat.curves(action)}
    place = f'pose.bones["{JOINTS[0]}"].location'
    frames = keys.of(curves[place, 0])[:, 0]
    root = np.stack([_values(curves.get((place, axis)), frames, 0.0) for axis in range(3)], axis=1)
    turned = np.empty((len(frames), COUNT, 4))
    for j, name in enumerate(JOINTS):
        path = f'pose.bones["{name}"].rotation_quaternion'
        for axis in range(4):
            turned[:, j, axis] = _values(curves.get((path, axis)), frames, float(axis == 0))
    local, pelvis = rig.from_bones(rig.rest_of(armature), rotations.normalize(turned), root)
    times = (frames - 1.0) / camera.scene_rate(scene)
    contacts = np.zeros((len(times), len(skeleton.CONTACTS)), np.uint8)
    return SourceMotion(times, body_of(armature), rotations.continuous(local), pelvis, contacts)


def _values(curve: bpy.types.FCurve | None, frames: Array, rest: float) -> Array:
    """(T,) what the curve says at the frames."""
    if curve is None:
        return np.full(len(frames), rest)
    points = keys.of(curve)
    if len(points) == len(frames) and np.allclose(points[:, 0], frames, atol=SAME_FRAME):
        return points[:, 1]
    return np.array([curve.evaluate(frame) for frame in frames])  # the animator took keys out or moved some


def write(
    scene: bpy.types.Scene,
    armature: bpy.types.Object,
    action: bpy.types.Action,
    base: bpy.types.Action,
    motion: SourceMotion,
    repeat: bool,
) -> None:
    """Put a motion into an action that was copied from `base`; the action is assigned. repeat: it goes on and on."""
    owner = compat.curve_owner(action, armature)
    known = {(curve.data_path, curve.array_index): curve for curve in owner.fcurves}
    before = {(curve.data_path, curve.array_index): curve for curve in compat.curves(base)}
    frames = 1.0 + motion.times * camera.scene_rate(scene)
    turned, root = rig.to_bones(rig.rest_of(armature), motion.local, motion.pelvis)
    for (path, axis), curve in known.items():
        if path.startswith(doubt.path(doubt.OVERALL)[:-2]):  # how sure the capture was there
            keys.rewrite(curve, frames, _values(before.get((path, axis)), frames, 1.0))
    channels = [("location", JOINTS[0], root)]
    channels += [("rotation_quaternion", name, turned[:, j]) for j, name in enumerate(JOINTS)]
    for channel, name, values in channels:
        path = f'pose.bones["{name}"].{channel}'
        for axis in range(values.shape[1]):
            told = _like(before.get((path, axis)), frames, values[:, axis])
            curve = known.get((path, axis))
            if curve is None:  # the animator had removed it
                curve = owner.fcurves.new(path, index=axis)
                curve.group = owner.groups.get(name) or owner.groups.new(name)
            keys.rewrite(curve, frames, told)
            for modifier in [modifier for modifier in curve.modifiers if modifier.type == "CYCLES"]:
                curve.modifiers.remove(modifier)
            if repeat:
                modifier = curve.modifiers.new("CYCLES")
                kind = "REPEAT_OFFSET" if channel == "location" else "REPEAT"
                modifier.mode_before, modifier.mode_after = kind, kind


def _like(curve: bpy.types.FCurve | None, frames: Array, values: Array) -> Array:
    """The values (T,), but to the last bit those that the curve has where nothing was meant to change."""
    if curve is None or len(curve.keyframe_points) != len(frames):
        return values
    before = keys.of(curve)[:, 1]
    return np.where(np.abs(values - before) < ROUNDING, before, values)


def checksum(action: bpy.types.Action) -> str:
    """Tells whether keys of the bones were changed since it was taken; moving all of them in time does not count."""
    told = 0
    for curve in compat.curves(action):
        if curve.data_path.startswith("pose.bones["):
            told = zlib.crc32(keys.of(curve)[:, 1].tobytes(), told)
    return f"{told:08x}"
