"""Drive cleaning in a real Blender window: every button is one step to undo, a real click sets the floor, pictures.

    BLENDER_USER_RESOURCES=EMPTY_FOLDER blender --python tests/window/cleaning.py -- EXTENSION.zip TAKE.npz OUT_FOLDER

Needs what `drive.py` needs. Exit status 0 when everything held.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from driving import VIDEO as TAKE
from driving import addon, call, drive, install, log, open_tab, panels_open, settings, shot, until, view


def entry():
    return settings().takes[settings().active_take]


def fingerprint() -> tuple:
    """What the armature plays, and what the list of contacts says."""
    action = entry().armature.animation_data.action
    view_ = entry().camera
    place = tuple(round(x, 5) for x in view_.matrix_world.translation) if view_ else ()
    return (
        addon("keys").checksum(addon("keys").read(addon("compat").curves(action))),
        len(bpy.data.actions),
        tuple(entry().cleaning.spans()),
        entry().cleaning.show,
        place,
    )


def load() -> Iterator[float]:
    install()
    panels_open(lambda name: name == "capture" or "clean" in name)
    assert call(bpy.ops.video_mocap.take_load, True, filepath=str(TAKE)) == {"FINISHED"}
    log("worn:", entry().worn)
    yield from open_tab()
    bpy.context.scene.frame_set(40)
    call(bpy.ops.video_mocap.take_select)
    call(bpy.ops.view3d.view_selected)
    yield 1.5
    shot("1-loaded")


def every_button() -> Iterator[float]:
    """Press, undo, redo: the same as before, and the same as after."""
    ops, scene = bpy.ops.video_mocap, bpy.context.scene
    scene.frame_set(40)
    presses = [
        ("contacts", lambda: call(ops.contacts_show, True)),
        ("floor from feet", lambda: call(ops.clean_floor, True, source="FEET")),
        ("floor at a height", lambda: call(ops.clean_floor, True, source="HEIGHT")),
        ("forward", lambda: call(ops.clean_forward, True)),
        ("add", lambda: call(ops.contact_add, True, track="left_heel")),
        ("begins", lambda: call(ops.contact_edge, True, edge="start")),
        ("move", lambda: call(ops.contact_move, True, frames=2)),
        ("here", lambda: call(ops.contact_here, True)),
        ("remove", lambda: call(ops.contact_remove, True)),
        ("loop", lambda: call(ops.loop_find, True)),
        ("apply", lambda: call(ops.clean_apply, True)),
        ("raw", lambda: call(ops.clean_raw, True)),
    ]
    raw = fingerprint()
    for name, press in presses:
        before = fingerprint()
        assert press() == {"FINISHED"}, name
        after = fingerprint()
        yield 0.1
        call(bpy.ops.ed.undo)
        yield 0.1
        assert fingerprint() == before or name == "here", name
        call(bpy.ops.ed.redo)
        yield 0.1
        assert fingerprint() == after, name
        log(name, "undone and redone")
    assert fingerprint()[0] == raw[0]


def slider() -> Iterator[float]:
    """Dragged, let go at once: computed when it rests, and one undo takes back the slider and what came of it."""
    before, stage, computed = fingerprint(), addon("cleaning.stage"), []
    update = stage.update
    stage.update = lambda scene, entry: computed.append(entry.cleaning.smooth_all) or update(scene, entry)
    for value in (0.2, 0.5, 0.8, 1.0):
        entry().cleaning.smooth_all = value
        yield 0.05
    call(bpy.ops.ed.undo_push, message="Smoothing")  # as Blender does when the mouse is let go
    yield from until(lambda: not entry().cleaning.waits)
    after, stage.update = fingerprint(), update
    assert after != before and computed == [1.0], computed
    for _ in range(2):
        call(bpy.ops.ed.undo)
        yield from until(lambda: not entry().cleaning.waits)
        assert fingerprint() == before and entry().cleaning.smooth_all == 0.0
        call(bpy.ops.ed.redo)
        yield from until(lambda: not entry().cleaning.waits)
        assert fingerprint() == after and entry().cleaning.smooth_all == 1.0


def floor_by_a_click() -> Iterator[float]:
    """The real mouse, on a box beside the person."""
    call(bpy.ops.mesh.primitive_cube_add, True, size=1.0, location=(0.0, 0.0, 0.0))
    box = bpy.context.object
    foot = addon("cleaning.world").lowest_at(
        addon("cleaning.stage").placed(bpy.context.scene, entry()), addon("cleaning.operators").now(entry())
    )
    box.location = (foot[0], foot[1] - 0.2, -0.2)
    box.scale = (1.0, 1.0, 0.8)  # its top is at 0.2 m
    window, area, region, _ = view()
    area.spaces[0].region_3d.view_perspective = "PERSP"
    call(bpy.ops.view3d.view_axis, type="FRONT")
    yield 0.5
    call(bpy.ops.view3d.view_orbit, angle=0.6, type="ORBITUP")
    call(bpy.ops.view3d.view_selected)
    yield 1.0
    from bpy_extras.view3d_utils import location_3d_to_region_2d

    spot = location_3d_to_region_2d(region, area.spaces[0].region_3d, (box.location.x, box.location.y - 0.3, 0.2))
    assert call(bpy.ops.video_mocap.clean_floor_pick, "INVOKE_DEFAULT", True) == {"RUNNING_MODAL"}
    shot("2-picking")
    x, y = region.x + spot.x, window.height - (region.y + spot.y)
    subprocess.run(["xdotool", "mousemove", str(int(x)), str(int(y))], check=True)
    yield 0.5
    subprocess.run(["xdotool", "click", "1"], check=True)
    yield 1.0
    after = addon("cleaning.world").lowest_at(
        addon("cleaning.stage").placed(bpy.context.scene, entry()), addon("cleaning.operators").now(entry())
    )
    log("the lowest foot came to", after)
    assert abs(after[2] - 0.2) < 0.01
    shot("3-picked")
    call(bpy.ops.ed.undo)
    yield 0.3
    bpy.data.objects.remove(bpy.data.objects["Cube"])


def pages(name: str) -> Iterator[float]:
    """Pictures of the whole sidebar, from its top down."""
    window, area, _, ui = view()
    for page in range(3):
        shot(f"{name}-{page}")
        with bpy.context.temp_override(window=window, area=area, region=ui):
            bpy.ops.view2d.scroll_down(page=True)
        yield 1.0
    for _ in range(3):
        with bpy.context.temp_override(window=window, area=area, region=ui):
            bpy.ops.view2d.scroll_up(page=True)
        yield 0.3


def panels() -> Iterator[float]:
    call(bpy.ops.video_mocap.take_select, True)
    yield from pages("4-panel")


def in_german() -> Iterator[float]:
    """The same panels through Blender's own table of translations."""
    preferences = bpy.context.preferences.view
    try:
        preferences.language = "de_DE"
    except TypeError:
        log("this Blender was built without languages")
        return
    preferences.use_translate_interface = preferences.use_translate_tooltips = True
    yield 1.5
    assert addon("translations").tr("Back to raw") == "Verwerfen"
    yield from pages("5-german")
    preferences.language = "en_US"
    yield 1.0


drive(load, every_button, slider, floor_by_a_click, panels, in_german)
