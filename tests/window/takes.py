"""Drive finding and picking people, the take list and looking in a real Blender window; drive.py says how to run it.

    VIDEO_MOCAP_PYTHON=... BLENDER_USER_RESOURCES=EMPTY_FOLDER \
        blender --python tests/window/takes.py -- EXTENSION.zip VIDEO OUT_FOLDER

VIDEO shows at least two people in its first three seconds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from driving import VIDEO, Ticks, addon, call, drive, install, log, open_tab, settings, shot, until, view


def contents() -> dict[str, int]:
    kinds = ("objects", "armatures", "actions", "cameras", "collections", "images")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds} | {"takes": len(settings().takes)}


def widen() -> None:
    """A sidebar that is wide enough to be looked at: drag its edge."""
    window, _, _, ui = view()
    x, y = ui.x + 1, window.height - (ui.y + ui.height // 2)
    moves = ["mousemove", x, y, "mousedown", 1]
    for step in range(0, 121, 10):
        moves += ["mousemove", x - step, y]
    subprocess.run(["xdotool", *map(str, moves), "mouseup", "1"], check=True)


def chosen_video() -> Iterator[float]:
    install()
    yield from open_tab()
    widen()
    yield 0.5
    settings().video, settings().start, settings().end = str(VIDEO), 1.5, 3.5
    assert settings().clip_length > 3 and settings().clip_rate > 1
    assert not bpy.data.movieclips
    call(bpy.ops.ed.undo_push, message="Settings")
    view()[1].tag_redraw()
    yield 1.5
    assert addon("clip").picture(VIDEO), "no picture of the clip"
    shot("1-video")


def people_found() -> Iterator[float]:
    assert call(bpy.ops.video_mocap.people_find, "INVOKE_DEFAULT") == {"FINISHED"}
    yield 1.0
    shot("2-looking")
    people = addon("people")
    yield from until(lambda: not people.latest.running)
    assert people.latest.error is None, people.latest.error
    log("people in each picture:", [len(picture.boxes) for picture in people.latest.pictures])
    view()[1].tag_redraw()
    yield 1.0
    shot("3-faces")


def people_picked() -> Iterator[float]:
    people, picker = addon("people"), addon("picker")
    assert call(bpy.ops.video_mocap.people_pick, "INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield 1.0
    shot("4-picker")
    window, _, region, _ = view()
    picture = people.latest.picture
    x0, y0, x1, y1 = picker.to_region(picture.boxes[0], picture.size, picker.room_of(*view()[1:3]))
    x, y = region.x + (x0 + x1) / 2, window.height - (region.y + (y0 + y1) / 2)
    subprocess.run(["xdotool", "mousemove", str(int(x)), str(int(y))], check=True)
    yield 0.5
    subprocess.run(["xdotool", "click", "1"], check=True)
    yield from until(lambda: len(settings().picks) == 1)
    assert settings().people == "PICKED"
    behind = bpy.data.objects.new("behind the picture", None)
    bpy.context.scene.collection.objects.link(behind)
    behind.select_set(True)
    subprocess.run(["xdotool", "key", "Delete", "1"], check=True)
    yield from until(lambda: not settings().picks)
    assert behind.name in bpy.context.scene.objects
    bpy.data.objects.remove(behind)
    subprocess.run(["xdotool", "key", "1"], check=True)
    yield from until(lambda: len(settings().picks) == 1)
    bpy.context.preferences.view.ui_scale = 2.0
    yield 1.5
    shot("5-picked-large")
    bpy.context.preferences.view.ui_scale = 1.0
    yield 1.0
    shot("5-picked")
    subprocess.run(["xdotool", "key", "Right"], check=True)
    yield from until(lambda: people.latest.picture is not picture)
    subprocess.run(["xdotool", "key", "Return"], check=True)
    yield from until(lambda: picker._active is None)
    assert not [image.name for image in bpy.data.images if "scan" in image.name]
    yield 0.5
    shot("6-picking-done")


def captured() -> Iterator[float]:
    runner = addon("runner")
    ticks = Ticks(runner, lambda: runner.queue[0].stage if runner.queue else "")
    assert call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT") == {"FINISHED"}
    yield from until(lambda: bool(settings().takes))
    yield 1.0
    shot("7-capturing")
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    ticks.log()
    assert [entry.state for entry in settings().takes] == ["DONE"]


def looked_at() -> Iterator[float]:
    area = view()[1]
    assert call(bpy.ops.video_mocap.take_look) == {"FINISHED"}
    assert area.spaces[0].region_3d.view_perspective == "CAMERA"
    settings().show_keypoints = True
    bpy.context.scene.frame_set(60)
    yield 2.0
    shot("8-keypoints")
    call(bpy.ops.video_mocap.doubt_mark)
    log("markers:", [(marker.name, marker.frame) for marker in bpy.context.scene.timeline_markers])
    call(bpy.ops.video_mocap.doubt_next)
    yield 1.5
    shot("9-doubtful")
    settings().show_keypoints = False
    yield 0.5


def solved_again() -> Iterator[float]:
    runner, before = addon("runner"), contents()
    call(bpy.ops.ed.undo_push, message="Looked")
    assert call(bpy.ops.video_mocap.take_resolve, "EXEC_DEFAULT", lens_known=True, lens=60.0) == {"FINISHED"}
    assert runner.queue, "it did not run in the window's timer"
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    after = contents()
    assert after["takes"] == before["takes"] + 1, (before, after)
    area = view()[1]
    area.spaces[0].region_3d.view_perspective = "PERSP"
    call(bpy.ops.view3d.view_all)
    yield 1.0
    shot("10-side-by-side")
    call(bpy.ops.ed.undo)
    yield 0.5
    assert contents() == before, (before, contents())
    call(bpy.ops.ed.redo)
    yield 0.5
    assert contents() == after, (after, contents())


def upright_lines_drawn() -> Iterator[float]:
    """Two lines that lean alike by eight degrees: so does the camera that is found, and looks level. In a quad view,
    with another frame rate than the keys were put for, and stopping playback by Esc."""
    runner, plumb, before = addon("runner"), addon("plumb"), contents()
    settings().active_take = 0
    call(bpy.ops.ed.undo_push, message="Chosen")
    assert call(bpy.ops.video_mocap.take_plumb, "INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield 1.0
    view()[1].spaces[0].show_region_ui = False
    call(bpy.ops.screen.region_quadview)
    call(bpy.ops.screen.animation_play)
    yield 1.0
    window, _, region, _ = view()  # the last region: the one with the camera
    middle = region.x + region.width // 2, window.height - (region.y + region.height // 2)
    subprocess.run(["xdotool", "mousemove", *map(str, middle), "key", "Escape"], check=True)
    yield from until(lambda: not bpy.context.screen.is_animation_playing)
    assert plumb._active and plumb._active.region == region
    bpy.context.scene.frame_set(61)
    rate = addon("takes").rate(settings().takes[0])
    bpy.context.scene.render.fps *= 2
    lean = np.array([np.sin(np.radians(8.0)), -np.cos(np.radians(8.0))])
    for foot in plumb._active.center + [[-600.0, 200.0], [600.0, 100.0], [150.0, 250.0]]:
        ends = plumb._active.sheet().to_region(np.stack([foot, foot + 500.0 * lean]))
        (x0, y0), (x1, y1) = ((round(region.x + x), round(window.height - region.y - y)) for x, y in ends)
        for step in (("mousemove", x0, y0), ("mousedown", 1), ("mousemove", x1, y1), ("mouseup", 1)):
            subprocess.run(["xdotool", *map(str, step)], check=True)
            yield 0.3
    assert len(plumb._active.lines) == 3, plumb._active.lines
    assert {line[0] for line in plumb._active.lines} == {60.0 / rate}
    bpy.context.scene.render.fps //= 2
    settings().show_keypoints = True
    yield 1.0
    shot("11-quad-view")
    settings().show_keypoints = False
    call(bpy.ops.screen.region_quadview)
    view()[1].spaces[0].show_region_ui = True
    bpy.context.preferences.view.ui_scale = 2.0
    yield 1.5
    shot("11-upright-large")
    bpy.context.preferences.view.ui_scale = 1.0
    yield 1.0
    region = view()[2]
    over = region.x + region.width // 3, window.height - (region.y + region.height // 2)
    subprocess.run(["xdotool", "mousemove", *map(str, over), "key", "BackSpace"], check=True)
    yield 0.7
    assert len(plumb._active.lines) == 2
    shot("11-upright-lines")
    subprocess.run(["xdotool", "key", "Return"], check=True)
    yield from until(lambda: plumb._active is None)
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    assert len(settings().takes) == before["takes"] + 1
    up = np.array(settings().takes[-1].camera.matrix_world)[2, :3] * [1, -1, -1]  # in the video's camera axes
    off = np.degrees(np.arccos(up @ [lean[0], lean[1], 0.0]))
    log(f"the vertical is {off:.2f} degrees off what was drawn")
    assert off < 1.5, up
    settings().active_take = len(settings().takes) - 1
    call(bpy.ops.video_mocap.take_look)
    yield 1.5
    shot("12-upright")
    call(bpy.ops.ed.undo)  # having looked
    call(bpy.ops.ed.undo)
    yield 0.5
    assert contents() == before, (before, contents())


def asked_before_deleting() -> Iterator[float]:
    settings().active_take = 0
    window, _, region, _ = view()
    middle = region.x + region.width // 2, window.height - (region.y + region.height // 2)
    subprocess.run(["xdotool", "mousemove", *map(str, middle)], check=True)
    yield 0.5
    call(bpy.ops.video_mocap.take_resolve, "INVOKE_DEFAULT")
    yield 1.0
    shot("13-resolve-dialog")
    subprocess.run(["xdotool", "key", "Escape"], check=True)
    yield 0.7
    call(bpy.ops.video_mocap.take_delete, "INVOKE_DEFAULT")
    yield 1.0
    shot("14-delete-dialog")
    subprocess.run(["xdotool", "key", "Escape"], check=True)
    yield 0.7
    assert len(settings().takes) == 2
    settings().takes[0].visible = False
    settings().takes[1].path = "//gone.npz"
    addon("paths").forget()
    view()[1].tag_redraw()
    yield 1.0
    shot("15-list")
    call(bpy.ops.ed.undo_push, message="Hidden")
    assert call(bpy.ops.video_mocap.take_delete, "EXEC_DEFAULT", True) == {"FINISHED"}
    yield 0.5
    assert len(settings().takes) == 1
    call(bpy.ops.ed.undo)
    yield 0.5
    assert len(settings().takes) == 2


def who_stands_in_leaves() -> Iterator[float]:
    """The largest person stands in for a pick whose moment lies ahead, and leaves when it comes, also between steps of
    the user's own."""
    runner, people = addon("runner"), addon("people")
    picture = people.latest.pictures[-1]
    settings().picks.clear()
    people.toggle(settings().picks, picture, int(picture.boxes[:, 0].argmax()))  # in the demo clip: who comes in last
    settings().end = picture.time + 2.0

    def live() -> list[int]:
        return [entry.track for entry in settings().takes if entry.state == "LIVE"]

    call(bpy.ops.ed.undo_push, message="Picked")
    assert call(bpy.ops.video_mocap.capture, "INVOKE_DEFAULT") == {"FINISHED"}
    yield from until(live)
    (standing_in,) = live()
    call(bpy.ops.ed.undo_push, message="While someone stands in")
    yield from until(lambda: not runner.queue or (live() and standing_in not in live()))
    assert runner.queue, "nobody left before the capture ended"
    log("stood in:", standing_in, "then:", live())
    call(bpy.ops.ed.undo)
    yield from until(lambda: not runner.queue)
    assert runner.last.error is None, runner.last.error
    log("takes:", [(entry.name, entry.track, entry.state) for entry in settings().takes])
    assert not live() and settings().takes[-1].track != standing_in


drive(
    chosen_video,
    people_found,
    people_picked,
    captured,
    looked_at,
    solved_again,
    upright_lines_drawn,
    asked_before_deleting,
    who_stands_in_leaves,
)
