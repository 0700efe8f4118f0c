"""Captures in the window: one runs, the others wait, and a timer drives them between Blender's own events."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator

import bpy
from bpy.app.handlers import persistent

from . import files, takes
from .capture import Capture, Request
from .unfinished import Jobs, Unfinished

INTERVAL = 0.04  # seconds between two steps
RENDERING = 0.5  # seconds to wait while a render reads the scene

queue: list[Capture] = []  # the first one runs
last: Capture | None = None  # the one that ended last
ended: list[Capture] = []  # those of the present queue, or of the last one
_jobs: Jobs | None = None
_steps: Iterator[None] | None = None


def jobs() -> Jobs:
    """What is written down of captures."""
    global _jobs
    if _jobs is None:
        _jobs = Jobs(files.user_folder() / "jobs")
    return _jobs


def add(capture: Capture) -> None:
    """Run a capture as soon as those before it have ended."""
    if not queue:
        ended.clear()
    queue.append(capture)
    _remember(capture)
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, persistent=True)


def start(context: bpy.types.Context, capture: Capture, report: Callable[[set[str], str], None]) -> None:
    """Run a capture as soon as those before it have ended; without a window at once, see `run`."""
    if context.window and not bpy.app.background:
        add(capture)
    else:
        run(capture, report)


def run(capture: Capture, report: Callable[[set[str], str], None]) -> None:
    """Do a capture, waiting. report: an operator's. Raises the MocapError that ended it."""
    global last
    last = capture  # already now, so that scripts can watch it from a thread
    capture.run()
    jobs().release(capture.key)
    for warning in capture.warnings:
        report({"WARNING"}, warning)
    if capture.error:
        raise capture.error


def _remember(capture: Capture) -> None:
    """Write a capture down for the open file."""
    if isinstance(capture.request, Request):
        jobs().remember(Unfinished(capture.key, bpy.data.filepath, capture.request.message()))


def running() -> Capture | None:
    """The capture that runs."""
    return queue[0] if queue and queue[0].state == "RUNNING" else None


def cancel(key: str) -> None:
    """Stop a running capture, or take a waiting one out of the queue. key: "" means all of them."""
    for capture in list(queue):
        if key in ("", capture.key):
            if capture.state == "RUNNING":
                capture.cancel()
            else:
                queue.remove(capture)
                jobs().release(capture.key)


def stop() -> None:
    """End everything at once: Blender quits or the extension is disabled."""
    global _steps
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if _steps:
        _steps.close()  # its `finally` ends the child
    _steps = None
    queue.clear()
    if _jobs:
        _jobs.close()


def tick() -> float | None:
    """One step of the running capture; -> seconds until the next one, None when there is nothing left to do."""
    global _steps, last
    if not queue:
        return None
    if bpy.app.is_job_running("RENDER"):
        return RENDERING
    if _steps is None:
        _steps = queue[0].steps()
    capture = queue[0]
    before = (capture.state, capture.stage, capture.done)
    try:
        next(_steps)
    except StopIteration:
        last, _steps = queue.pop(0), None
        ended.append(last)
        if last.scene() is None and last.paths:
            jobs().offer(last.key)  # it has not been keyed
        else:
            jobs().release(last.key)
    if before != (capture.state, capture.stage, capture.done):
        redraw()
    return INTERVAL if queue else None


def redraw() -> None:
    """Bring the sidebars up to date."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


@persistent
def _after_undo(*_: object) -> None:
    """The user's own steps during a capture contain its half-made rig: clear it away when one of them comes back."""
    alive = {capture.key for capture in queue}
    for scene in bpy.data.scenes:
        live = {entry.key.partition(":")[0] for entry in scene.video_mocap.takes if entry.state == "LIVE"}
        for capture in live - alive:
            takes.remove_live(scene, capture)


@persistent
def _after_load(*_: object) -> None:
    """What waited for the file that was closed is offered there again; so is what runs, once it is computed. In a file
    that was saved during a capture, nothing will be added to that take any more."""
    for capture in list(queue):
        if capture.state == "QUEUED" and capture.scene() is None:
            queue.remove(capture)
            jobs().offer(capture.key)
    for scene in bpy.data.scenes:
        for entry in scene.video_mocap.takes:
            if entry.state == "LIVE":
                entry.state, entry.note = "PARTIAL", "The file was saved during the capture."


@persistent
def _after_save(*_: object) -> None:
    """The file may have another name now, under which its captures are looked for."""
    for capture in queue:
        if capture.scene():  # else another file has been opened since
            _remember(capture)


_HANDLERS = (
    (bpy.app.handlers.save_post, _after_save),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
    (bpy.app.handlers.load_post, _after_load),
)


def register() -> None:
    """Listen to undo, to loading of files and to the end."""
    for handlers, handler in _HANDLERS:
        handlers.append(handler)
    atexit.register(stop)


def unregister() -> None:
    """Undo `register`; what runs is ended."""
    stop()
    atexit.unregister(stop)
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
