"""What the panel knows of the chosen video before anything is computed: length, rate, size and a small picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews

LOADED = 0.7  # seconds until a picture is there, about

_previews: Any = None


def described(settings: Any, context: bpy.types.Context | None = None) -> None:
    """Look into the chosen video and note what it holds; zeros where it cannot be read."""
    from . import paths  # which itself needs the settings

    settings.clip_length = settings.clip_rate = 0.0
    settings.clip_size = (0, 0)
    settings.picks.clear()
    path = paths.absolute(settings.video)
    if not settings.video or not path.is_file():
        return
    there = set(bpy.data.movieclips)
    try:
        clip = bpy.data.movieclips.load(str(path), check_existing=True)
    except RuntimeError:
        return
    if clip.fps > 0 and clip.frame_duration > 0:
        settings.clip_length, settings.clip_rate = clip.frame_duration / clip.fps, clip.fps
        settings.clip_size = clip.size[:2]
    if clip not in there:
        bpy.data.movieclips.remove(clip)


def text(settings: Any) -> str:
    """One line about the video; "" when nothing is known."""
    if not settings.clip_length:
        return ""
    width, height = settings.clip_size
    minutes, seconds = divmod(settings.clip_length, 60.0)
    return f"{int(minutes)}:{seconds:04.1f}   {settings.clip_rate:.4g} fps   {width} x {height}"


def picture(path: Path, kind: str = "MOVIE") -> int:
    """The icon of a video (or, kind IMAGE, of a picture); 0 where it cannot be shown. Made once, when first drawn."""
    if _previews is None or not path.is_file():
        return 0
    name = f"{path}:{path.stat().st_mtime_ns}"
    if name not in _previews:
        _previews.load(name, str(path), kind)
        bpy.app.timers.register(_redraw, first_interval=LOADED)  # it is loaded beside Blender, which tells nobody
    return int(_previews[name].icon_id)


def _redraw() -> None:
    from . import runner  # which itself needs the settings

    runner.redraw()


def register() -> None:
    """Have room for pictures."""
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    """Forget the pictures."""
    global _previews
    bpy.utils.previews.remove(_previews)
    _previews = None
