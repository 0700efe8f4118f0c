"""A motion onto a character of the scene: everything between the choice of an armature and its new action."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np

from ...backend.core.errors import MocapError
from .. import camera, files, paths
from . import actions, blender, calibration, mouth, presets, recognise, roles, root, solve, sources, table
from .actions import Keying
from .model import Mapping, Options, Rig, SourceMotion
from .pose import Chain

POLES = "pole_vector"  # Rigify's property that lets a pole, instead of its own roll, turn an IK limb


@dataclass
class Span:
    """Which scene frames get keys. frames: first and last, None for all; whole: keys on whole frames only."""

    frames: tuple[float, float] | None = None
    whole: bool = True


@dataclass
class Outcome:
    """What retargeting has made: the action, on an armature that may be a new override of the chosen one."""

    action: bpy.types.Action
    armature: bpy.types.Object
    notes: list[str] = field(default_factory=list)


def presets_folder() -> Path:
    """Where mappings are kept; it outlives updates of the extension."""
    return files.user_folder() / "rigs"


def find_mapping(rig: Rig) -> Mapping:
    """The user's own preset for this very skeleton, else what is recognised."""
    return presets.find(presets_folder(), rig) or recognise.recognise(rig)


def recognise_into(settings: bpy.types.PropertyGroup, armature: bpy.types.Object) -> None:
    """Fill the sidebar's table for an armature. A preset that cannot be read is passed over."""
    rig = blender.read_rig(armature)
    try:
        settings.set_mapping(find_mapping(rig))
    except MocapError as error:
        print(f"Warning: {error}")
        settings.set_mapping(recognise.recognise(rig))


def editable(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, armature: bpy.types.Object) -> bpy.types.Object:
    """The armature itself, or a library override in the place of a linked one. Raises MocapError rig-locked."""
    if armature.library is not None:
        if armature not in layer.objects.values():
            raise MocapError("rig-locked", f"{armature.name} is linked as part of a collection.")
        name, before = armature.name, set(bpy.data.objects)
        override = armature.override_hierarchy_create(scene, layer, do_fully_editable=True)
        if override is None:
            raise MocapError("rig-locked", f"{name} is linked, and Blender cannot override it.")
        for made in set(bpy.data.objects) - before:
            original = made.override_library.reference if made.override_library else None
            for collection in made.users_collection if original else ():
                if original in collection.objects.values():  # Blender leaves it there, too
                    collection.objects.unlink(original)
        armature = override
    animation = armature.animation_data
    if animation and animation.use_tweak_mode:
        raise MocapError("rig-locked", f"A strip of {armature.name} is being tweaked.", "Leave tweak mode first.")
    return armature


def prepare(
    armature: bpy.types.Object, mapping: Mapping, options: Options
) -> tuple[blender.Measured, Mapping, blender.Switches]:
    """The character as the solver needs it: how the mapped bones really move, the mapping, the switches to set.

    Raises MocapError rig-unknown when the mapping lacks what nobody can do without.
    """
    whole = blender.read_rig(armature)
    mapping = _of_this_rig(mapping, whole)
    if lacking := table.missing(mapping):
        raise MocapError("rig-unknown", f"{armature.name} has no bone for {', '.join(lacking)}.")
    if twice := table.doubled(mapping):
        raise MocapError("rig-unknown", f"Bones with more than one role: {', '.join(twice)}.")
    if options.ik_controls:
        for role, bone in recognise.ik_controls(whole, mapping).items():
            mapping.bones.setdefault(role, [bone])
    switches = list(recognise.switches(whole, mapping))
    if options.ik_controls:  # the poles count; which of FK and IK drives the limbs stays FK
        switches += [(bone, POLES, 1.0) for bone in dict.fromkeys(bone for bone, _, _ in switches)]
    names = [name for group in (mapping.bones, mapping.twists) for bones in group.values() for name in bones]
    controls = [name for role, bones in mapping.bones.items() if role.endswith(roles.IK) for name in bones]
    measured = blender.measure(armature, whole, names, switches, controls)
    # Where the pelvis cannot move the whole body, a bone above it may, without a role ("COG").
    if carrier(measured.rig, mapping) not in mapping.bones["pelvis"]:
        above = carrier(whole, mapping)
        if above is not None and above not in names:
            measured = blender.measure(armature, whole, [*names, above], switches, controls)
    return measured, mapping, switches


def carrier(rig: Rig, mapping: Mapping) -> str | None:
    """The bone whose location moves the whole body: see `root.carrier`. None: there is none."""
    rows = calibration.rows_of(rig, mapping)
    row = root.carrier(Chain(rig, ()), rows, None) if "pelvis" in rows else None
    return None if row is None else rig.names[row]


def _of_this_rig(mapping: Mapping, rig: Rig) -> Mapping:
    """The mapping without bones that the rig does not have."""
    there = set(rig.names)

    def kept(group: dict[str, list[str]]) -> dict[str, list[str]]:
        found = {role: [name for name in names if name in there] for role, names in group.items()}
        return {role: names for role, names in found.items() if names}

    return Mapping(
        mapping.family,
        kept(mapping.bones),
        kept(mapping.twists),
        mapping.confidence,
        mapping.corrections,
        mapping.unmapped,
    )


def retarget(
    scene: bpy.types.Scene,
    layer: bpy.types.ViewLayer,
    armature: bpy.types.Object,
    mapping: Mapping,
    motion: SourceMotion,
    take: str,
    options: Options,
    span: Span,
    keying: Keying,
    file: Path | None = None,
) -> Outcome:
    """Put a motion onto a character as an action of its own.

    take: name of the motion, file: where it is from; the same take on the same character replaces its action. Without
    a jaw bone, shape keys open the mouth. Rest pose, constraints, scale, mode and selection stay as they are. Raises
    MocapError rig-locked, rig-unknown or range-outside.
    """
    notes = []
    chosen = armature
    layer.update()  # a file that was just opened has no world matrices yet
    armature = editable(scene, layer, armature)
    if armature != chosen:
        notes.append(f"{armature.name} was linked: it is a library override now.")
        layer.update()
    measured, mapping, switches = prepare(armature, mapping, options)
    notes += [f"{bone} does not obey its own keys: see the check of the rig." for bone in measured.deaf]
    if carrier(measured.rig, mapping) is None:
        notes.append(f"{armature.name} stays in its place: no bone that can be moved carries hips, legs and torso.")
    motion = _spanned(scene, motion, span)
    channels = solve.retarget(motion, measured.rig, mapping, options)
    frames = 1.0 + motion.times * camera.scene_rate(scene)
    if span.whole:
        frames = np.round(frames)
    channels = measured.in_channels(channels)
    path = paths.stored(file.resolve()) if file else ""
    action = actions.write(armature, take, frames, channels, measured.rig, switches, keying, path)
    opening = np.zeros(len(frames)) if "jaw" in mapping.bones else mouth.opening_of(motion)
    mouths, skipped = mouth.write(armature, take, frames, opening, keying, path)
    notes += skipped
    for written in (action, *mouths):
        written[camera.RATE] = camera.scene_rate(scene)
    scene.frame_end = max(scene.frame_end, int(np.ceil(frames[-1])))
    return Outcome(action, armature, notes)


def _spanned(scene: bpy.types.Scene, motion: SourceMotion, span: Span) -> SourceMotion:
    """The part of the motion that is keyed, at the times of its keys."""
    rate = camera.scene_rate(scene)
    first, last = 1.0 + motion.times[[0, -1]] * rate
    if span.frames is not None:
        first, last = max(first, span.frames[0]), min(last, span.frames[1])
    if not span.whole:
        return sources.between(motion, (first - 1.0) / rate, (last - 1.0) / rate)
    whole = np.arange(np.ceil(first - 1e-3), np.floor(last + 1e-3) + 1)
    if not len(whole):
        raise MocapError("range-outside", "No whole frame of the scene lies in the range and in the motion.")
    return sources.at_times(motion, (whole - 1.0) / rate)
