"""Mappings that the user has edited, kept as JSON, one file a skeleton; they win over recognition."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ...backend.core.errors import MocapError
from .family import CHAINS, CONTROLS, NONE, ROLES, UNKNOWN, families
from .model import Mapping, Rig
from .recognise import skeleton_hash

FORMAT, VERSION = "video-mocap rig", 1


def save(folder: Path, rig: Rig, mapping: Mapping, name: str) -> Path:
    """Write the mapping as the preset of the rig's skeleton; an earlier one is replaced. name: what the user calls it.

    Raises MocapError preset-unreadable when the mapping cannot be right, output-unwritable when it cannot be written.
    """
    data = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "skeleton": skeleton_hash(rig),
        "family": mapping.family,
        "bones": mapping.bones,
        "twists": mapping.twists,
        "confidence": mapping.confidence,
        "corrections": {bone: [float(x) for x in turn] for bone, turn in mapping.corrections.items()},
        "unmapped": mapping.unmapped,
    }
    path = path_of(folder, rig)
    _checked(data, path.name)
    draft = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise MocapError("output-unwritable", f"The preset {path} cannot be written: {error.strerror}.") from error
    return path


def load(path: Path) -> Mapping:
    """Read a preset, of whatever skeleton. Raises MocapError preset-unreadable with what is wrong in it."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MocapError("preset-unreadable", f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise MocapError("preset-unreadable", f"{path.name} is no JSON file: {error}.") from error
    return _checked(data, path.name)


def find(folder: Path, rig: Rig) -> Mapping | None:
    """The preset of the rig's own skeleton; None where there is none. Raises MocapError preset-unreadable."""
    path = path_of(folder, rig)
    return load(path) if path.is_file() else None


def path_of(folder: Path, rig: Rig) -> Path:
    """Where the preset of the rig's skeleton is kept."""
    return folder / f"{skeleton_hash(rig)[:32]}.json"


def _checked(data: Any, name: str) -> Mapping:
    """The mapping of a preset's content. Raises MocapError preset-unreadable when something in it cannot be."""

    def refuse(what: str) -> MocapError:
        return MocapError("preset-unreadable", f"{name}: {what}.")

    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise refuse("it is no preset of a rig")
    if data.get("version") != VERSION:
        raise refuse(f"version {data.get('version')} is not known here; version {VERSION} is")
    family = data.get("family", UNKNOWN)
    if family not in (*families(), UNKNOWN, NONE):
        raise refuse(f"there is no rig family {family!r}")
    bones, twists = _table(data, "bones", refuse), _table(data, "twists", refuse)
    for role in (*bones, *twists):
        if role not in (*ROLES, *CONTROLS):
            raise refuse(f"there is no role {role!r}")
    owner: dict[str, str] = {}
    for role, names in bones.items():
        if len(names) > 1 and role not in CHAINS:
            raise refuse(f"{role} has {len(names)} bones and can have one")
        for bone in names:
            if bone in owner:
                raise refuse(f"{bone!r} is both {owner[bone]} and {role}")
            owner[bone] = role
    confidence = data.get("confidence", {})
    if not isinstance(confidence, dict) or not all(_number(value) and 0 <= value <= 1 for value in confidence.values()):
        raise refuse("a confidence is not between 0 and 1")
    corrections = {}
    stored = data.get("corrections", {})
    for bone, turn in stored.items() if isinstance(stored, dict) else [("corrections", None)]:
        if not isinstance(turn, list) or len(turn) != 4 or not all(map(_number, turn)):
            raise refuse(f"the correction of {bone!r} is not four numbers")
        length = float(np.linalg.norm(turn))
        if abs(length - 1) > 1e-3:
            raise refuse(f"the correction of {bone!r} is no unit quaternion")
        corrections[bone] = np.asarray(turn, float) / length
    unmapped = data.get("unmapped", [])
    if not _names(unmapped):
        raise refuse("`unmapped` is not a list of names")
    return Mapping(family, bones, twists, dict(confidence), corrections, list(unmapped))


def _table(data: dict[str, Any], key: str, refuse: Any) -> dict[str, list[str]]:
    """role -> names of bones."""
    table = data.get(key, {})
    if not isinstance(table, dict) or not all(_names(names) for names in table.values()):
        raise refuse(f"`{key}` is not a table of roles and lists of bones")
    return {role: list(names) for role, names in table.items() if names}


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name for name in value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))
