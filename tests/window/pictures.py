"""Take the README's pictures of the sidebar in a real Blender window: `python3 packaging/dev.py pictures --blender ...`

    VIDEO_MOCAP_PYTHON=... BLENDER_USER_RESOURCES=EMPTY_FOLDER \
        blender --python tests/window/pictures.py -- EXTENSION.zip VIDEO OUT_FOLDER

Writes NAME.png of the whole screen and NAME.json, the part of it that is worth showing: x, y, width, height in pixels.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from driving import OUT, VIDEO, addon, call, drive, install, log, open_tab, panels_open, settings, shot, until, view

VARIABLE = "VIDEO_MOCAP_PYTHON"


def picture(name: str, sidebar_only: bool = False) -> None:
    """The 3D view with its sidebar, or the sidebar alone."""
    window, area, _, ui = view()
    part = ui if sidebar_only else area
    place = [part.x, window.height - part.y - part.height, part.width, part.height]
    shot(name)
    (OUT / f"{name}.json").write_text(json.dumps(place))


def first_run() -> Iterator[float]:
    """What somebody sees who has just installed the zip."""
    python = os.environ.pop(VARIABLE)
    install()
    panels_open(lambda name: name in ("capture", "takes", "cleaning", "clean_contacts"))
    addon("environment").forget()
    yield from open_tab()
    picture("set-up", sidebar_only=True)
    os.environ[VARIABLE] = python
    addon("environment").forget()


def captured() -> Iterator[float]:
    shutil.copy(VIDEO, OUT / "walk.mp4")  # pictures show no path of the machine that they were taken on
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "scene.blend"))
    settings().video, settings().people, settings().person = "//walk.mp4", "PERSON", 2
    assert call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT") == {"FINISHED"}
    yield from until(lambda: not addon("runner").queue, 900.0)
    assert addon("runner").last.error is None, addon("runner").last.error
    log("captured", [entry.name for entry in settings().takes])
    bpy.context.scene.frame_set(70)
    call(bpy.ops.video_mocap.take_select)
    call(bpy.ops.view3d.view_axis, type="FRONT")
    yield 1.0
    call(bpy.ops.view3d.view_orbit, angle=0.35, type="ORBITUP")
    call(bpy.ops.view3d.view_orbit, angle=0.6, type="ORBITLEFT")
    call(bpy.ops.view3d.view_selected)
    yield 2.0
    picture("captured")


def cleaning() -> Iterator[float]:
    call(bpy.ops.video_mocap.contacts_show)
    call(bpy.ops.video_mocap.contact_here)
    settings().takes[0].cleaning.smooth_all = 0.4
    window, area, _, ui = view()
    with bpy.context.temp_override(window=window, area=area, region=ui):
        for _ in range(20):
            bpy.ops.view2d.scroll_down(deltay=200)
    for _ in range(3):  # panels whose contents grew need more than one redraw
        area.tag_redraw()
        yield 1.0
    picture("cleaning", sidebar_only=True)


drive(first_run, captured, cleaning)
