"""Drive the extension in a real Blender window, take pictures and check what no test without a window can.

    VIDEO_MOCAP_PYTHON=... BLENDER_USER_RESOURCES=EMPTY_FOLDER \
        blender --python tests/window/drive.py -- EXTENSION.zip VIDEO OUT_FOLDER

Needs an X display (Xvfb will do), ImageMagick's `import` and `xdotool`. Exit status 0 when everything held. A slower
check (two minutes), not part of the default tests.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import addon_utils
import bpy

sys.path.insert(0, str(Path(__file__).parent))
from driving import (
    VIDEO,
    Ticks,
    addon,
    call,
    click,
    drive,
    install,
    log,
    open_tab,
    settings,
    shot,
    until,
    view,
)

BUTTON_Y = 332  # pixels from the top of the sidebar to the middle of the big button


def alive(pid: int) -> bool:
    """Whether a process still does something; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def watch_end(pid: int, gone: list[float]) -> None:
    """Thread: note when a process ends. The window may be too slow to see it."""
    while alive(pid):
        time.sleep(0.01)
    gone.append(time.monotonic())


def contents() -> dict[str, int]:
    """How many of each kind of block a capture makes."""
    return {
        kind: len(getattr(bpy.data, kind))
        for kind in ("objects", "armatures", "actions", "cameras", "collections", "images")
    } | {"takes": len(settings().takes)}


def set_up() -> Iterator[float]:
    install()
    yield from open_tab()
    shot("1-start")
    settings().video, settings().start, settings().end = str(VIDEO), 0.5, 4.0
    settings().people, settings().quality = "LARGEST", "BEST"
    call(bpy.ops.ed.undo_push, message="Settings")
    view()[1].tag_redraw()
    yield 2.0  # panels slide into place
    shot("2-ready")


def capture_and_undo() -> Iterator[float]:
    before = contents()
    runner = addon("runner")
    ticks = Ticks(runner, lambda: runner.queue[0].stage if runner.queue else "")
    pressed = time.monotonic()
    assert call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT") == {"FINISHED"}
    yield from until(lambda: bool(settings().takes))
    log(f"first pose on the rig {time.monotonic() - pressed:.1f} s after pressing the button")
    call(bpy.ops.view3d.view_all)
    yield 2.0
    shot("3-running")
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    ticks.log()
    log("done:", [(entry.name, entry.state) for entry in settings().takes])
    after = contents()
    assert after["takes"] > before["takes"] and after["actions"] > before["actions"], after
    log("engines", runner.last.request.engines)
    assert runner.last.request.engines == {"track": "blazepose-heavy"}
    bpy.context.scene.frame_set(60)
    yield 0.7
    shot("4-done")
    call(bpy.ops.ed.undo)
    yield 0.5
    log("undo leaves", contents())
    assert contents() == before, (before, contents())
    shot("5-undone")
    call(bpy.ops.ed.redo)
    yield 0.5
    assert contents() == after, (after, contents())
    bpy.context.scene.frame_set(61)
    yield 0.5
    shot("6-redone")


def background_in_step() -> Iterator[float]:
    """Pictures through the camera, at a scene frame rate that is not the clip's."""
    _, area, _, _ = view()
    area.spaces[0].region_3d.view_perspective = "CAMERA"
    for frame in (30, 60, 90):
        bpy.context.scene.frame_set(frame)
        yield 1.0
        shot(f"7-camera-{frame}")
    assert call(bpy.ops.video_mocap.match_scene) == {"FINISHED"}
    bpy.context.scene.frame_set(75)
    yield 1.0
    shot("8-camera-matched")
    area.spaces[0].region_3d.view_perspective = "PERSP"


def retarget() -> Iterator[float]:
    """The captured take onto a character: one undo step, and the calibration view leaves nothing."""
    _, area, _, _ = view()
    addon_utils.enable("rigify", default_set=True)
    call(bpy.ops.object.armature_basic_human_metarig_add)
    hero = bpy.context.object
    hero.name = "Hero"
    parts = settings().retarget
    parts.target = hero
    log(parts.family, sum(bool(row.bone) for row in parts.rows), "bones")
    call(bpy.ops.ed.undo_push, message="Character")
    before = contents()
    assert call(bpy.ops.video_mocap.retarget, True) == {"FINISHED"}
    after = contents()
    assert after["actions"] == before["actions"] + 1, (before, after)
    assert bpy.data.objects["Hero"].animation_data.action
    bpy.context.scene.frame_set(70)
    yield 0.7
    shot("8-retargeted")
    call(bpy.ops.ed.undo)
    yield 0.5
    hero = bpy.data.objects["Hero"]
    assert contents() == before and not hero.animation_data, contents()
    assert all(bone.matrix_basis.to_quaternion().angle < 1e-6 for bone in hero.pose.bones)
    call(bpy.ops.ed.redo)
    yield 0.5
    assert contents() == after and bpy.data.objects["Hero"].animation_data.action
    assert call(bpy.ops.video_mocap.calibration_show, True) == {"FINISHED"}
    yield 0.7
    shot("8-calibration")
    assert call(bpy.ops.video_mocap.calibration_close, True) == {"FINISHED"}
    assert contents() == after
    call(bpy.ops.video_mocap.rig_check)
    area.tag_redraw()
    yield 0.7
    shot("8-checked")


def undo_while_running() -> Iterator[float]:
    runner = addon("runner")
    count = len(settings().takes)
    call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT")
    yield from until(lambda: len(settings().takes) > count)
    call(bpy.ops.mesh.primitive_cube_add, True)  # a user's own step, with the half-made rig in it
    yield 0.5
    for _ in range(3):
        call(bpy.ops.ed.undo)
        yield 0.3
    call(bpy.ops.ed.redo)
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    assert any(entry.state == "DONE" for entry in settings().takes)
    log("undo while running:", contents())
    captured = settings().takes[-1].key
    call(bpy.ops.ed.undo)
    yield 0.5
    assert not any(entry.key == captured or entry.state == "LIVE" for entry in settings().takes)
    call(bpy.ops.ed.redo)
    yield 0.5
    assert settings().takes[-1].key == captured


def cancel() -> Iterator[float]:
    runner = addon("runner")
    count = len(settings().takes)
    yield from click(BUTTON_Y)
    assert runner.queue, "the click did not meet the button"
    yield from until(lambda: len(settings().takes) > count)
    capture = runner.queue[0]
    pressed = time.monotonic()
    gone: list[float] = []
    threading.Thread(target=watch_end, args=(capture.pid, gone)).start()
    call(bpy.ops.video_mocap.cancel, key=capture.key)
    yield from until(lambda: not runner.queue)
    assert not alive(capture.pid)
    yield 0.1
    log(f"cancelled: backend gone after {gone[0] - pressed:.2f} s, keyed after {time.monotonic() - pressed:.2f} s")
    assert settings().takes[-1].state == "PARTIAL"
    yield 0.5
    shot("9-cancelled")


def queue_of_two() -> Iterator[float]:
    runner = addon("runner")
    settings().end = 1.5
    for _ in range(2):
        call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT")
    yield from until(lambda: [capture.state for capture in runner.queue] == ["RUNNING", "QUEUED"])
    yield 1.0
    shot("10-queue")
    pids = []
    while runner.queue:
        pids.append(runner.queue[0].pid)
        yield 0.1
    assert len(set(pids) - {None}) == 2
    assert [entry.state for entry in settings().takes][-2:] == ["DONE", "DONE"]


def killed_backend() -> Iterator[float]:
    runner = addon("runner")
    settings().end = 4.0
    call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT")
    count = len(settings().takes)
    yield from until(lambda: len(settings().takes) > count)
    os.kill(runner.queue[0].pid, 9)
    yield from until(lambda: not runner.queue)
    assert runner.last.error.code == "backend-died" and settings().takes[-1].state == "PARTIAL"
    yield 0.5
    shot("11-killed")


def other_file() -> Iterator[float]:
    runner = addon("runner")
    call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT")
    count = len(settings().takes)
    yield from until(lambda: len(settings().takes) > count)
    bpy.ops.wm.read_homefile()
    yield 0.5
    yield from until(lambda: not runner.queue)
    assert not settings().takes and "file was closed" in runner.last.warnings[-1]
    yield from open_tab()
    shot("12-other-file")


def leave_running() -> Iterator[float]:
    """Blender quits in the middle of a capture; the caller of this script can look for a backend left behind."""
    settings().video = str(VIDEO)
    call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT")
    yield from until(lambda: addon("runner").queue[0].pid is not None)
    yield 1.0
    log("quitting with backend", addon("runner").queue[0].pid)


drive(
    set_up,
    capture_and_undo,
    background_in_step,
    retarget,
    undo_while_running,
    cancel,
    queue_of_two,
    killed_backend,
    other_file,
    leave_running,
)
