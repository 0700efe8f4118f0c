"""Files that a .blend names: relative to it, followed when it is saved elsewhere, missed when they are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import files

FRESH = 3.0  # seconds for which it is believed that a file is there, or not: panels ask at every drawing

_seen: dict[Path, tuple[float, bool]] = {}
_before: list[tuple[Any, str, Path]] = []  # what save_post has to put right again: owner, property, file


def absolute(text: str) -> Path:
    """The file that a property names."""
    return Path(bpy.path.abspath(text))


def stored(path: Path, blend: str = "") -> str:
    """How a property names a file: relative to the .blend, absolute while there is none.

    Files in the extension's own folder belong to the machine and stay absolute. blend: of another .blend than the
    open one.
    """
    blend = blend or bpy.data.filepath
    if not blend or path.is_relative_to(files.user_folder()):
        return str(path)
    try:
        return bpy.path.relpath(str(path), start=str(Path(blend).parent))
    except ValueError:  # another drive
        return str(path)


def missing(text: str) -> bool:
    """Whether a property names a file that is not there. Cheap enough for drawing."""
    if not text:
        return False
    path, now = absolute(text), time.monotonic()
    asked, there = _seen.get(path, (-FRESH, False))
    if now - asked >= FRESH:
        there = path.is_file()
        _seen[path] = now, there
    return not there


def forget() -> None:
    """Look anew: files may have come or gone."""
    _seen.clear()


def _named() -> Iterator[tuple[Any, str]]:
    """Every property of the open file that names a file: owner and property."""
    for scene in bpy.data.scenes:
        yield scene.video_mocap, "video"
        yield scene.video_mocap.retarget, "file"
        for entry in scene.video_mocap.takes:
            yield entry, "path"
            yield entry, "clip"


@persistent
def _before_save(target: Any = None, *_: object) -> None:
    """Blender follows its own paths to the new place, but not those of extensions."""
    _before.clear()
    if not isinstance(target, str) or not target:
        return
    for owner, name in _named():
        if text := getattr(owner, name):
            _before.append((owner, name, absolute(text)))
            owner[name] = stored(absolute(text), target)


@persistent
def _after_save(*_: object) -> None:
    """After saving a copy the open file is where it was."""
    for owner, name, path in _before:
        owner[name] = stored(path)
    _before.clear()


@persistent
def _after_load(*_: object) -> None:
    forget()


_HANDLERS = (
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.save_post_fail, _after_save),
    (bpy.app.handlers.load_post, _after_load),
)


def register() -> None:
    """Listen to saving and loading."""
    for handlers, handler in _HANDLERS:
        handlers.append(handler)


def unregister() -> None:
    """Undo `register`."""
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
