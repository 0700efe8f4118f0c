"""Files that a .blend names: relative to it, followed when it is saved elsewhere, missed when they are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from os.path import normpath
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import compat, files

FRESH = 3.0  # seconds for which it is believed that a file is there, or not: panels ask at every drawing

_seen: dict[Path, tuple[float, bool]] = {}


def absolute(text: str) -> Path:
    """The file that a property names, without the `..` of relative paths: it is compared with others."""
    return Path(normpath(bpy.path.abspath(text)))


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


def _own_scenes() -> list[bpy.types.Scene]:
    """The scenes of the open file; linked ones name files as seen from their own."""
    return [scene for scene in bpy.data.scenes if scene.library is None]


def _named(scene: bpy.types.Scene) -> Iterator[tuple[Any, str]]:
    """Every property of a scene that names a file: owner and property."""
    yield scene.video_mocap, "video"
    yield scene.video_mocap.retarget, "file"
    for entry in scene.video_mocap.takes:
        yield entry, "path"
        yield entry, "clip"


def _folder(blend: str) -> str:
    """The folder of a .blend; "" of one that is not saved."""
    return str(Path(blend).parent) if blend else ""


def _follow(scene: bpy.types.Scene, old: str, blend: str) -> None:
    """Name a scene's files as seen from `blend`. old: the folder that they were seen from."""
    for owner, name in _named(scene):
        if text := getattr(owner, name):
            owner[name] = stored(Path(normpath(bpy.path.abspath(text, start=old))), blend)
    scene.video_mocap["folder"] = _folder(blend)


@persistent
def _before_save(target: Any = None, *_: object) -> None:
    """Blender follows its own paths to the new place, but not those of extensions."""
    if isinstance(target, str) and target:
        for scene in _own_scenes():
            _follow(scene, scene.video_mocap.folder or _folder(bpy.data.filepath), target)


@persistent
def _after_save(*_: object) -> None:
    """After saving a copy the open file is where it was."""
    for scene in _own_scenes():
        _follow(scene, scene.video_mocap.folder, bpy.data.filepath)


@persistent
def _after_undo(*_: object) -> None:
    """What comes back may be of before the file was saved elsewhere."""
    scenes, now = _own_scenes(), _folder(bpy.data.filepath)
    then = next((scene.video_mocap.folder for scene in scenes if scene.video_mocap.folder), now)
    for scene in scenes:
        old = scene.video_mocap.folder or then  # a scene that was new has not been saved yet
        if old != now:
            _follow(scene, old, bpy.data.filepath)


@persistent
def _after_import(imported: Any, *_: object) -> None:
    """A scene that was appended named its files as seen from where it was."""
    for item in imported.import_items:
        if isinstance(item.id, bpy.types.Scene) and item.id.library is None:
            _follow(item.id, _folder(bpy.path.abspath(item.source_library.filepath)), bpy.data.filepath)


@persistent
def _after_load(*_: object) -> None:
    """The file may have been moved, with all that it names."""
    forget()
    for scene in _own_scenes():
        scene.video_mocap["folder"] = _folder(bpy.data.filepath)


_HANDLERS = (
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.save_post_fail, _after_save),
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
    (compat.IMPORTED, _after_import),
)


def register() -> None:
    """Listen to saving and loading."""
    for handlers, handler in _HANDLERS:
        handlers.append(handler)


def unregister() -> None:
    """Undo `register`."""
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
