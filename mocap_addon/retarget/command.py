"""Retargeting without a window.

    blender --command video_mocap retarget CHARACTER.blend TAKE [TAKE ...] -o OUT.blend [...]
    blender --command video_mocap check CHARACTER.blend

Where Blender is a Python module, `retarget_file` does the same.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy

from ...backend.core.errors import MocapError
from .. import files
from . import blender, character, character_export, doctor, presets, sources
from .actions import Keying
from .character import Outcome, Span
from .model import Mapping, Options


def add_parsers(commands: argparse._SubParsersAction) -> None:
    """The commands `retarget` and `check`; each sets `run`."""
    retarget = commands.add_parser("retarget", help="put takes onto the character of a .blend file")
    retarget.set_defaults(run=_retarget)
    _add_character(retarget)
    retarget.add_argument("takes", type=Path, nargs="+", metavar="TAKE", help="a take, AMASS or SMPL-X .npz, or .bvh")
    retarget.add_argument("-o", "--output", type=Path, required=True, help="the .blend file to write")
    retarget.add_argument("--root", choices=("hips", "bone", "in-place"), default="hips", help="what carries the way")
    retarget.add_argument("--scale", type=_positive, help="metres for a captured metre; by hip height when not given")
    retarget.add_argument("--lock", default="", metavar="AXES", help="axes without motion, such as z or xy")
    retarget.add_argument("--no-feet", action="store_true", help="leave the feet where the rotations take them")
    retarget.add_argument("--no-fingers", action="store_true", help="leave the fingers alone")
    retarget.add_argument("--ik", action="store_true", help="key the IK controls too, to match")
    retarget.add_argument("--frames", type=float, nargs=2, metavar=("FIRST", "LAST"), help="scene frames to key")
    retarget.add_argument(
        "--exact-times", action="store_true", help="keys at the times of the motion, not on whole frames"
    )
    retarget.add_argument("--reduce", type=_not_negative, metavar="DEGREES", help="leave out keys; the largest error")
    retarget.add_argument("--nla", action="store_true", help="push every action to an NLA track of its own")
    retarget.add_argument("--export", type=Path, help="write the character with the last motion too, as .fbx or .glb")
    check = commands.add_parser("check", help="say what of a character would fight retargeting")
    check.set_defaults(run=_check)
    _add_character(check)


def _positive(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"must be 0 or a number above it, not {text}")
    return value


def _add_character(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("character", type=Path, metavar="CHARACTER.blend")
    parser.add_argument("--armature", default="", help="name of the armature; needed where there are several")
    parser.add_argument("--mapping", type=Path, help="a saved preset; recognised when not given")


def retarget_file(
    blend: Path,
    takes: Sequence[Path],
    output: Path,
    armature: str = "",
    mapping: Path | None = None,
    options: Options | None = None,
    span: Span | None = None,
    keying: Keying | None = None,
    export: Path | None = None,
) -> list[Outcome]:
    """Open a character's file, put takes onto it, and save it under another name; -> an outcome for each take.

    Arguments as on the command line. Everything is checked before work starts. Raises MocapError.
    """
    files.check_output(output.absolute(), "--output", ".blend")
    if export:
        files.check_output(export.absolute(), "--export", ".fbx", ".glb")
    motions = [(path.absolute(), sources.read_motion(path.absolute())) for path in takes]
    target, table = _opened(blend, armature, mapping)
    context = bpy.context
    outcomes = []
    for path, motion in motions:
        outcome = character.retarget(
            context.scene, context.view_layer, target, table, motion, path.stem,
            options or Options(), span or Span(), keying or Keying(), path,
        )  # fmt: skip
        target = outcome.armature
        outcomes.append(outcome)
    if export:
        character_export.write_character(context.scene, target, export.absolute())
    files.save(output.absolute(), copy=True)
    return outcomes


def _opened(blend: Path, name: str, mapping: Path | None) -> tuple[bpy.types.Object, Mapping]:
    """The armature of a file and its mapping. Raises MocapError blend-unreadable, rig-missing, preset-unreadable."""
    if not blend.is_file():
        raise MocapError("blend-unreadable", f"There is no file {blend}.")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(blend.absolute()), load_ui=False)
    except RuntimeError as error:
        raise MocapError("blend-unreadable", f"{blend} cannot be opened.") from error
    found = [thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE"]
    if name:
        found = [thing for thing in found if thing.name == name]
    if len(found) != 1:
        there = ", ".join(thing.name for thing in bpy.context.scene.objects if thing.type == "ARMATURE")
        raise MocapError(
            "rig-missing", f"{blend.name} has {'no such armature' if name else 'not one armature'}: {there or 'none'}."
        )
    return found[0], presets.load(mapping) if mapping else character.find_mapping(blender.read_rig(found[0]))


def _retarget(options: argparse.Namespace) -> None:
    if set(options.lock) - set("xyz"):
        raise MocapError("bad-request", f"--lock takes axes such as z or xy, not {options.lock!r}.")
    outcomes = retarget_file(
        options.character,
        options.takes,
        options.output,
        options.armature,
        options.mapping,
        Options(
            root=options.root.replace("-", "_"),
            lock=tuple(axis in options.lock for axis in "xyz"),
            scale="hip_height" if options.scale is None else options.scale,
            feet=not options.no_feet,
            fingers=not options.no_fingers,
            ik_controls=options.ik,
        ),
        Span(tuple(options.frames) if options.frames else None, not options.exact_times),
        Keying(options.reduce, options.nla),
        options.export,
    )
    for outcome in outcomes:
        for note in outcome.notes:
            print(f"Warning: {note}", file=sys.stderr)
    print(f"{options.output}: {', '.join(outcome.action.name for outcome in outcomes)}", file=sys.stderr)


def _check(options: argparse.Namespace) -> None:
    armature, mapping = _opened(options.character, options.armature, options.mapping)
    lines = doctor.examine(armature, mapping)
    print(f"{armature.name}: {mapping.family}")
    for line in lines:
        print(f"{line.level:8}{line.what} {line.fix}".rstrip())
    if any(line.level == "ERROR" for line in lines):
        raise MocapError("rig-unknown", f"{armature.name} cannot be retargeted to as it is.", "See the lines above.")
