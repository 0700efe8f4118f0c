"""Set up the capture in a real Blender window, from the zip alone, and take pictures of the sidebar on the way.

    BLENDER_USER_RESOURCES=EMPTY_FOLDER blender --python tests/window/setup.py -- EXTENSION.zip VIDEO OUT_FOLDER

Needs the network, an X display (Xvfb will do), ImageMagick's `import` and `xdotool`. Exit status 0 when everything
held. About a minute, not part of the default tests.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from driving import VIDEO, Ticks, addon, call, click, drive, install, log, open_tab, settings, shot, until, view

# Pixels from the top of the sidebar to the middle of "Set up capture", when the profile's path has about 20 characters.
BUTTON_Y = 338


def before() -> Iterator[float]:
    install()
    yield from open_tab()
    shot("1-offline")
    assert not bpy.ops.video_mocap.set_up.poll()
    call(bpy.ops.extensions.userpref_allow_online)
    assert bpy.ops.video_mocap.set_up.poll()
    view()[1].tag_redraw()
    yield 1.0
    shot("3-before")


def cancelled() -> Iterator[float]:
    operators = addon("setup.operators")
    yield from click(BUTTON_Y)
    assert operators.running, "the click did not meet the button: see BUTTON_Y"
    yield from until(lambda: operators.running and operators.running.stage == "download" and operators.running.done > 0)
    yield 0.3
    shot("4-downloading")
    pressed = time.monotonic()
    call(bpy.ops.video_mocap.set_up_cancel)
    yield from until(lambda: not operators.running)
    log(f"cancelled after {time.monotonic() - pressed:.2f} s")
    assert operators.last.error.code == "cancelled"
    yield 0.7
    shot("5-cancelled")


def to_the_end() -> Iterator[float]:
    operators = addon("setup.operators")
    ticks = Ticks(operators, lambda: operators.running.stage)
    began = time.monotonic()
    assert call(bpy.ops.video_mocap.set_up, "INVOKE_DEFAULT") == {"FINISHED"}
    yield from until(lambda: operators.running.stage == "install")
    yield 1.0
    shot("6-installing")
    yield from until(lambda: not operators.running)
    assert operators.last.error is None, operators.last.error
    log(f"set up in {time.monotonic() - began:.1f} s")
    ticks.log()
    yield 1.0
    shot("7-after")


def preferences() -> Iterator[float]:
    doctor = addon("doctor")
    call(bpy.ops.video_mocap.preferences)
    yield from until(lambda: not doctor.latest.running)
    yield 2.0
    shot("8-doctor")
    assert all(finding.fine for finding in doctor.findings()), doctor.findings()
    call(bpy.ops.video_mocap.copy_report)
    assert "Self-test" in bpy.context.window_manager.clipboard
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[-1]):
        bpy.ops.wm.window_close()
    yield 1.0


def capture() -> Iterator[float]:
    runner = addon("runner")
    settings().video, settings().people, settings().end = str(VIDEO), "LARGEST", 2.0
    assert call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT") == {"FINISHED"}
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    call(bpy.ops.view3d.view_all)
    yield 1.0
    shot("9-captured")


def damaged() -> Iterator[float]:
    """Somebody deletes a part of the environment: the sidebar says so, Repair puts it right."""
    doctor, operators = addon("doctor"), addon("setup.operators")
    environment = addon("setup.plan").environment(addon("files").user_folder())
    for package in environment.glob("lib/python3*/site-packages/cv2"):
        package.rename(package.with_name("cv2-gone"))
    addon("environment").forget()
    call(bpy.ops.video_mocap.check)
    yield from until(lambda: not doctor.latest.running)
    yield 1.0
    shot("10-damaged")
    assert any(finding.fix == "video_mocap.set_up" and not finding.fine for finding in doctor.findings())
    call(bpy.ops.video_mocap.set_up, "INVOKE_DEFAULT")
    yield from until(lambda: not operators.running)
    assert operators.last.error is None, operators.last.error
    yield from until(lambda: not doctor.latest.running)
    assert all(finding.fine for finding in doctor.findings())
    yield 0.7
    shot("11-repaired")


drive(before, cancelled, to_the_end, preferences, capture, damaged)
