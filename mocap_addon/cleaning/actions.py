"""Motions in actions: a take's armature and its keys, read and written as arrays."""

from __future__ import annotations

from collections.abc import Mapping

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
PLACE = f'pose.bones["{JOINTS[0]}"].location'
TURNS = [f'pose.bones["{name}"].rotation_quaternion' for name in JOINTS]
MOTION = {PLACE, *TURNS}  # the data paths that are read


def body_of(armature: bpy.types.Object) -> Skeleton:
    """The proportions that an armature of ours has."""
    heads = np.array([armature.data.bones[name].head_local for name in JOINTS])
    offsets = skeleton.neutral().offsets.copy()
    turn = rotations.inverse(skeleton.Y_UP_TO_Z_UP)
    for joint in range(1, COUNT):
        offsets[joint] = rotations.rotate(turn, heads[joint] - heads[PARENTS[joint]])
    return skeleton.neutral().with_offsets(offsets)


def moves(armature: bpy.types.Object, action: bpy.types.Action) -> bool:
    """Whether an action has any curve that can be read as motion of a take's armature."""
    return any(curve.data_path in MOTION for curve in compat.curves(action, armature))


def read(
    scene: bpy.types.Scene, armature: bpy.types.Object, action: bpy.types.Action, known: keys.Keys | None = None
) -> SourceMotion:
    """An action of a take's armature as motion, with a frame wherever a bone has a key; contacts are zero. known: keys
    of its curves that have been read."""
    curves = {(c.data_path, c.array_index): c for c in compat.curves(action, armature) if c.data_path in MOTION}
    there = keys.read(curves.values(), known)
    frames = _frames(there)
    root = np.stack([_values(curves.get((PLACE, axis)), there, frames, 0.0) for axis in range(3)], axis=1)
    turned = np.empty((len(frames), COUNT, 4))
    for j, path in enumerate(TURNS):
        for axis in range(4):
            turned[:, j, axis] = _values(curves.get((path, axis)), there, frames, float(axis == 0))
    local, pelvis = rig.from_bones(rig.rest_of(armature), rotations.normalize(turned), root)
    times = (frames - 1.0) / camera.rate_of(scene, action)
    contacts = np.zeros((len(times), len(skeleton.CONTACTS)), np.uint8)
    return SourceMotion(times, body_of(armature), rotations.continuous(local), pelvis, contacts)


def _frames(there: Mapping[bpy.types.FCurve, Array]) -> Array:
    """(T,) scene frames at which any of the curves has a key."""
    frames = np.empty(0)
    for points in there.values():
        own = points[:, 0]
        if not np.array_equal(own, frames):  # nearly always they are
            frames = np.union1d(frames, own)
    return frames


def _values(
    curve: bpy.types.FCurve | None, there: Mapping[bpy.types.FCurve, Array], frames: Array, rest: float
) -> Array:
    """(T,) what the curve says at the frames."""
    if curve is None or not len(there[curve]):
        return np.full(len(frames), rest)
    when, told = there[curve].T
    if np.array_equal(when, frames):
        return told
    nearest = np.minimum(np.searchsorted(when, frames - SAME_FRAME), len(when) - 1)
    values = told[nearest]
    for row in np.flatnonzero(np.abs(when[nearest] - frames) > SAME_FRAME):  # the animator took keys out or moved some
        values[row] = curve.evaluate(frames[row])
    return values


def write(
    scene: bpy.types.Scene,
    armature: bpy.types.Object,
    action: bpy.types.Action,
    there: keys.Keys,
    base: keys.Keys,
    motion: SourceMotion,
    repeat: bool,
) -> keys.Keys:
    """Put a motion into an action that was copied from the curves of `base`; the action is assigned. there: what keys
    its curves have. repeat: it goes on and on. -> the keys that its curves have now."""
    owner = compat.curve_owner(action, armature)
    known = {(curve.data_path, curve.array_index): curve for curve in owner.fcurves}
    before = {(curve.data_path, curve.array_index): curve for curve in base}
    now = dict(there)
    frames = 1.0 + motion.times * camera.rate_of(scene, action)
    turned, root = rig.to_bones(rig.rest_of(armature), motion.local, motion.pelvis)
    for (path, axis), curve in known.items():
        if path.startswith(doubt.path(doubt.OVERALL)[:-2]):  # how sure the capture was there
            now[curve] = keys.rewrite(
                curve, frames, _values(before.get((path, axis)), base, frames, 1.0), there.get(curve)
            )
    channels = [(PLACE, JOINTS[0], root)]
    channels += [(path, JOINTS[j], turned[:, j]) for j, path in enumerate(TURNS)]
    for path, name, values in channels:
        for axis in range(values.shape[1]):
            told = _like(base.get(before.get((path, axis))), values[:, axis])
            curve = known.get((path, axis))
            if curve is None:  # the animator had removed it
                curve = owner.fcurves.new(path, index=axis)
                curve.group = owner.groups.get(name) or owner.groups.new(name)
            now[curve] = keys.rewrite(curve, frames, told, there.get(curve))
            for modifier in [modifier for modifier in curve.modifiers if modifier.type == "CYCLES"]:
                curve.modifiers.remove(modifier)
            if repeat:
                modifier = curve.modifiers.new("CYCLES")
                kind = "REPEAT_OFFSET" if path == PLACE else "REPEAT"
                modifier.mode_before, modifier.mode_after = kind, kind
    return now


def _like(before: Array | None, values: Array) -> Array:
    """The values (T,), but to the last bit those of the keys before (K, 2) where nothing was meant to change."""
    if before is None or len(before) != len(values):
        return values
    return np.where(np.abs(values - before[:, 1]) < ROUNDING, before[:, 1], values)
