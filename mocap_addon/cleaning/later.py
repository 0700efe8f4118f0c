"""A slider's result is computed once the slider rests: at every move of the mouse it would hold the window up.

Blender pushes its own step to undo when the mouse is let go, mostly before the result is there; that of the result
follows. In the first one takes still wait, and undo and redo go on past it.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from .. import takes
from . import stage
from .properties import VideoMocapCleaning, VideoMocapContact

REST = 0.15  # seconds without another move
LONG = 3000  # frames from which on one has to wait for the result


def settings_changed(part: VideoMocapCleaning | VideoMocapContact) -> None:
    """Compute the cleaned motion anew: soon, or without a window at once."""
    if stage.note_change(part):
        _soon()


def _soon() -> None:
    if bpy.app.background:
        stage.finish()
    else:
        _forget()
        bpy.app.timers.register(_rested, first_interval=REST)


def _forget() -> None:
    for timer in (_rested, _compute):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)


def _rested() -> None:
    """Drawing may have taken that long: moves that came meanwhile are seen to first."""
    bpy.app.timers.register(_compute, first_interval=0.001)


def _compute() -> float | None:
    if bpy.app.is_job_running("RENDER"):  # it reads the actions
        return REST
    actions = filter(None, map(takes.shown_action, stage.waiting()))
    held_up = any(action.frame_range[1] > LONG for action in actions)
    windows = bpy.context.window_manager.windows if held_up else ()
    for window in windows:
        window.cursor_set("WAIT")
    stage.finish()
    for window in windows:
        window.cursor_set("DEFAULT")
    return None


def _pass(step: Callable[[], set[str]]) -> None:
    """Take another step through the history if takes still wait in the one that came back."""
    _forget()

    def go_on() -> None:
        if not stage.waiting():  # the user was quicker
            return
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            if step.poll():
                step()
                return
        stage.finish()  # there is no further one

    if stage.waiting():
        bpy.app.timers.register(go_on)


@persistent
def _after_undo(*_: object) -> None:
    _pass(bpy.ops.ed.undo)


@persistent
def _after_redo(*_: object) -> None:
    _pass(bpy.ops.ed.redo)


@persistent
def _before_save(*_: object) -> None:
    stage.finish()


@persistent
def _after_load(*_: object) -> None:
    """Blender saves by itself, without asking, while a take waits."""
    if stage.waiting():
        _soon()


_HANDLERS = (
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_redo),
    (bpy.app.handlers.save_pre, _before_save),
    (bpy.app.handlers.load_post, _after_load),
)


def register() -> None:
    """Listen to undo, saving and loading."""
    for handlers, handler in _HANDLERS:
        handlers.append(handler)


def unregister() -> None:
    """Undo `register`."""
    _forget()
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
