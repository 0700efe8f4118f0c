"""The rig doctor: what of a character would fight retargeting, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import bpy
import numpy as np

from ...backend.core.errors import MocapError
from . import blender, character, table
from .model import Mapping, Options, Rig

NAMED = 4  # bones that a line names before it only counts

# Constraints that only keep a bone out of somewhere, or follow bones that nobody keys.
_MILD = {"LIMIT_ROTATION", "LIMIT_LOCATION", "LIMIT_SCALE", "LIMIT_DISTANCE", "MAINTAIN_VOLUME"}


class Line(NamedTuple):
    """One finding. level: "ERROR" it will not work, "WARNING" it may look wrong, "INFO" good to know, "FINE"."""

    level: str
    what: str
    fix: str = ""


def examine(armature: bpy.types.Object, mapping: Mapping, options: Options | None = None) -> list[Line]:
    """Look at a character; the worst comes first. Nothing is changed."""
    rig = blender.read_rig(armature)
    lines = [
        *_mapping(rig, mapping),
        *_state(armature),
        *_object(armature),
        *_bones(armature, rig, mapping),
        *_behaviour(armature, mapping, options or Options()),
    ]
    if not lines:
        lines = [Line("FINE", "Nothing stands against retargeting.")]
    return sorted(lines, key=lambda line: ("ERROR", "WARNING", "INFO", "FINE").index(line.level))


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _mapping(rig: Rig, mapping: Mapping) -> Iterator[Line]:
    if lacking := table.missing(mapping):
        yield Line("ERROR", f"No bone for: {_named(lacking)}.", "Choose these bones in the table.")
    if twice := table.doubled(mapping):
        yield Line(
            "ERROR", f"Bones with more than one role: {_named(twice)}.", "Leave each of them one role in the table."
        )
    gone = [name for names in mapping.bones.values() for name in names if name not in rig.names]
    if gone:
        yield Line("WARNING", f"The table names bones that are not there: {_named(gone)}.", "Recognise the rig again.")
    for role in ("left_ankle", "right_ankle"):
        if not mapping.bones.get(role):
            yield Line(
                "WARNING", f"No bone for {table.label(role)}: its contacts cannot be kept.", "Choose it in the table."
            )
    unsure = [name for name, sure in mapping.confidence.items() if sure < 0.5]
    if unsure:
        yield Line("INFO", f"Not sure about: {_named(unsure)}.", "Look at these rows of the table.")


def _state(armature: bpy.types.Object) -> Iterator[Line]:
    if armature.library is not None:
        yield Line("INFO", "The armature is linked.", "Nothing: a library override is made of it.")
    animation = armature.animation_data
    if animation and animation.use_tweak_mode:
        yield Line("ERROR", "A strip of its NLA is being tweaked.", "Leave tweak mode.")
    if animation and any(not track.mute and track.strips for track in animation.nla_tracks):
        yield Line("INFO", "Other NLA tracks play on it.", "Mute those that are not to be mixed with the new motion.")
    if armature.data.pose_position == "REST":
        yield Line("ERROR", "The armature shows its rest position.", "Armature properties > Pose: Pose Position.")


def _object(armature: bpy.types.Object) -> Iterator[Line]:
    scale = np.array(armature.matrix_world.to_scale())
    if np.ptp(scale) > 1e-3 * scale.max():
        yield Line(
            "WARNING",
            f"Its scale differs by axis ({', '.join(f'{value:.3g}' for value in scale)}).",
            "Give the object and its parents one scale for all axes; turned bones look sheared otherwise.",
        )
    elif armature.matrix_world.is_negative:
        yield Line(
            "INFO", "It is mirrored by a negative scale.", "Nothing: left and right are told apart by the bones."
        )
    moved = [constraint.name for constraint in armature.constraints if not constraint.mute]
    if moved:
        yield Line("WARNING", f"Constraints move the whole object: {_named(moved)}.", "Mute them if feet slide.")
    action = armature.animation_data and armature.animation_data.action
    if action and any(not curve.data_path.startswith("pose.") for curve in character.actions.compat.curves(action)):
        yield Line("INFO", "Its present action moves the object itself.", "Nothing: the new action takes its place.")


def _bones(armature: bpy.types.Object, rig: Rig, mapping: Mapping) -> Iterator[Line]:
    mapped = {name for names in mapping.bones.values() for name in names if name in armature.pose.bones}
    carrier = character.carrier(rig, mapping) or ""
    posed = [armature.pose.bones[name] for name in armature.pose.bones.keys() if name in mapped]
    locked = [
        bone.name for bone in posed if any(bone.lock_rotation) or (bone.lock_rotation_w and bone.lock_rotations_4d)
    ]
    if locked:
        yield Line(
            "WARNING", f"Locked rotation: {_named(locked)}.", "Unlock them to have them keyed; locks are respected."
        )
    carriers = ("root",) if carrier and carrier not in mapped else ("pelvis", "root")
    places = [name for role in carriers for name in mapping.bones.get(role, []) if name in armature.pose.bones]
    fixed = [name for name in places if any(armature.pose.bones[name].lock_location)]
    fixed += [name for name in places if armature.data.bones[name].use_connect and armature.data.bones[name].parent]
    if fixed:
        yield Line(
            "WARNING",
            f"The location of {_named(fixed)} cannot be keyed.",
            "Unlock it, or choose another bone for the root.",
        )
    drivers = {curve.data_path for curve in armature.animation_data.drivers} if armature.animation_data else set()
    driven = [bone.name for bone in posed if any(_drives(path, bone.name) for path in drivers)]
    if driven:
        yield Line(
            "WARNING",
            f"Drivers turn or move: {_named(driven)}.",
            "Remove these drivers, or choose the bones that they read.",
        )
    left = [bone.name for bone in armature.pose.bones if bone.name not in {*mapped, carrier} and not _at_rest(bone)]
    if left:
        yield Line(
            "INFO",
            f"Bones without a role are posed: {_named(left)}.",
            "Clear their pose if the result is to start from rest.",
        )


def _drives(path: str, bone: str) -> bool:
    start = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].'
    return path.startswith((start + "rotation", start + "location"))


def _at_rest(bone: bpy.types.PoseBone) -> bool:
    basis = np.array(bone.matrix_basis)
    return bool(np.abs(basis - np.eye(4)).max() < 1e-4)


def _behaviour(armature: bpy.types.Object, mapping: Mapping, options: Options) -> Iterator[Line]:
    """What measuring the bones tells; a linked armature cannot be posed before it is an override."""
    if armature.library is not None or armature.data.pose_position == "REST":
        return
    if armature.animation_data and armature.animation_data.use_tweak_mode:
        return  # said above already: nothing can be posed
    try:
        measured, mapping, _ = character.prepare(armature, mapping, options)
    except MocapError:
        return  # said above already
    for bone, constraints in measured.deaf.items():
        held = [c.name for c in armature.pose.bones[bone].constraints if not c.mute and c.type not in _MILD]
        why = f"held by {_named(held or constraints)}" if constraints else "held by an IK chain or a driver"
        yield Line(
            "WARNING", f"{bone} does not obey its rotation: {why}.", "Mute that, or choose the control for this role."
        )
    limits = [
        bone.name
        for names in mapping.bones.values()
        for bone in (armature.pose.bones[name] for name in names)
        if any(c.type in _MILD and not c.mute for c in bone.constraints)
    ]
    if limits:
        yield Line("INFO", f"Limits on: {_named(limits)}.", "Mute them if limbs stop short.")
