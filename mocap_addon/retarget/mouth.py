"""The mouth of a character without a jaw bone: a shape key of its meshes opens it."""

from __future__ import annotations

import re

import bpy
import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from .. import compat, keys
from . import actions, reduce
from .actions import Keying
from .character_export import skins
from .model import SourceMotion

# What opens the mouth, the best first, without case and separators; long names may have something before them:
# jawOpen (ARKit, Ready Player Me; Character Creator's Jaw_Open, A25_Jaw_Open), mouthOpen (both), VRoid's Fcl_MTH_A
# (Face.M_F00_000_00_Fcl_MTH_A), the vowel in VRM 1 and in visemes (aa, viseme_aa, vrc.v_aa), in VRM 0 and in MMD.
NAMES = ("jawopen$", "mouthopen$", "fclmtha$", "aa$", "^a$", "^あ$")
FULL = np.radians(25.0)  # of the jaw, where these shape keys are at 1
BOUND = 0.01  # of a shape key's value: less is not seen


def opening_of(motion: SourceMotion) -> Array:
    """How far the mouth is open (T,), from 0 to 1."""
    turned = rotations.to_axis_angle(motion.local[:, skeleton.INDEX["jaw"]])
    return np.clip(turned[:, 0] / FULL, 0.0, 1.0)


def write(
    armature: bpy.types.Object, take: str, frames: Array, opening: Array, keying: Keying, file: str = ""
) -> tuple[list[bpy.types.Action], list[str]]:
    """Key the shape keys of the character's meshes that open the mouth; -> the actions, and notes on meshes left out.

    frames: (T,) scene frames. opening: (T,); where it stays shut, nothing is written, and what was is taken away. The
    rest as for `actions.write`. The actions play directly, also where those of the bones go to the NLA.
    """
    made, notes = [], []
    for key, mesh in {mesh.data.shape_keys: mesh for mesh in skins(armature)}.items():
        shape = _shape(key) if key and key.library is None else None
        if shape is None:
            continue
        if opening.max() < BOUND:
            _shut(shape, actions.find(take, armature, file, mesh))
        elif _is_taken(key, shape):
            notes.append(f"The mouth of {mesh.name} is animated already.")
        else:
            action, owner = actions.begin(take, armature, file, mesh)
            path = shape.path_from_id("value")
            if curve := owner.fcurves.find(path):  # the rest of a face that a user has keyed in there stays
                owner.fcurves.remove(curve)
            kept = np.arange(len(frames))
            if keying.bound is not None:
                kept = reduce.reduce_values(frames, opening[:, None], BOUND)
            keys.write(owner, path, frames[kept], opening[kept, None])
            made.append(action)
    return made, notes


def _shape(key: bpy.types.Key) -> bpy.types.ShapeKey | None:
    """What opens the mouth."""
    plain = {re.sub(r"[ _.]", "", shape.name.lower()): shape for shape in key.key_blocks}
    return next((plain[said] for name in NAMES for said in plain if re.search(name, said)), None)


def _is_taken(key: bpy.types.Key, shape: bpy.types.ShapeKey) -> bool:
    """Whether the user animates these shape keys, or a driver moves the mouth."""
    animation = key.animation_data
    if animation is None:
        return False
    played = [animation.action, *(strip.action for track in animation.nla_tracks for strip in track.strips)]
    theirs = any(action and actions.MARK not in action for action in played)
    return theirs or animation.drivers.find(shape.path_from_id("value")) is not None


def _shut(shape: bpy.types.ShapeKey, written: bpy.types.Action | None) -> None:
    """No take of ours goes on talking; what was written for this one goes, but for what a user has keyed beside it."""
    key = shape.id_data
    played = key.animation_data.action if key.animation_data else None
    if played and actions.MARK not in played:
        return
    if played:
        key.animation_data.action = None
    if written:
        owner = compat.curve_owner(written, key)
        if curve := owner.fcurves.find(shape.path_from_id("value")):
            owner.fcurves.remove(curve)
        if not owner.fcurves:
            bpy.data.actions.remove(written)
    if played or written:
        shape.value = 0.0
