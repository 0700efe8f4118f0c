"""Saying where up is: lines drawn over the clip along door frames, walls and lamp posts, for solving it again."""

from __future__ import annotations

import json
from math import dist
from typing import NamedTuple

import bpy
import numpy as np

from ..backend.core.errors import MocapError
from ..backend.core.rotations import Array
from ..backend.core.take import read_take
from . import overlay, paths, takes
from .operators import TakeOperator, chosen
from .picker import MARGIN, cancels, caption, confirms, on_screen, over_view, room_of, under_mouse
from .take_operators import cannot_look, cannot_resolve
from .translations import tr

COLOUR, OUTLINE = (1.0, 0.65, 0.1, 1.0), (0.0, 0.0, 0.0, 0.7)
WIDTH = 2.5  # pixels, at a resolution scale of 1
SHORT = 10.0  # pixels of the region: a shorter drag is a click

_active: Plumb | None = None


class Sheet(NamedTuple):
    """Where the clip's pixels lie in a region that looks through its camera: `corner` + pixel @ `axes`."""

    corner: Array
    axes: Array

    @staticmethod
    def of(seen_by: bpy.types.Object, focal: float, center: Array, region: bpy.types.Region) -> Sheet:
        """focal (pixels) and center (2,) of the take whose camera it is."""
        rays = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, -1.0], [0.0, -1.0, -1.0]])  # the centre, `focal` right and down
        standing, perspective = np.array(seen_by.matrix_world), np.array(region.data.perspective_matrix)
        middle, right, down = overlay.project(rays, standing, perspective, region.width, region.height)
        axes = np.stack([right - middle, down - middle]) / focal
        return Sheet(middle - center @ axes, axes)

    def to_region(self, pixels: Array) -> Array:
        """(..., 2) pixels of the clip -> pixels of the region."""
        return self.corner + pixels @ self.axes

    def to_clip(self, place: Array) -> Array:
        """(..., 2) pixels of the region -> pixels of the clip."""
        return (place - self.corner) @ np.linalg.inv(self.axes)


class Plumb:
    """Lines that are being drawn over the clip of one take, in one 3D view."""

    def __init__(self, area: bpy.types.Area, entry: takes.VideoMocapTake, focal: float, center: Array) -> None:
        self.area, self.key, self.focal, self.center = area, entry.key, focal, center
        self.lines: list[list[float]] = []  # seconds, x0, y0, x1, y1 in pixels of the clip
        self.drawing = False  # the last one is under the mouse
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")

    def close(self) -> None:
        """Take the lines off the view."""
        bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
        if on_screen(self.area):
            self.area.tag_redraw()

    @property
    def region(self) -> bpy.types.Region:
        """The view's main region; of a quad view the one that looks through the camera, if one does."""
        regions = [region for region in self.area.regions if region.type == "WINDOW"]
        return next((region for region in regions if region.data.view_perspective == "CAMERA"), regions[-1])

    @property
    def entry(self) -> takes.VideoMocapTake | None:
        """The take, as long as it and its camera are there."""
        entry = takes.find(bpy.context.scene, self.key)
        return entry if entry and takes.has_camera(entry) else None

    def sheet(self) -> Sheet | None:
        """Where the clip lies; None while the view does not look through the take's camera."""
        entry, region = self.entry, self.region
        if entry is None or region.data.view_perspective != "CAMERA":
            return None
        return Sheet.of(entry.camera, self.focal, self.center, region)

    def _draw(self) -> None:
        region = bpy.context.region
        if not on_screen(self.area) or region.as_pointer() != self.region.as_pointer():
            return
        if self.lines and (sheet := self.sheet()):
            self._draw_lines(sheet, region)
        told = tr(
            "Drag along what is upright: door frames, walls, lamp posts; two lines or more   ·   "
            "Enter: solve again ({count} lines)   ·   Backspace: take one back   ·   Esc: cancel",
            count=len(self.lines),
        )
        room = room_of(self.area, region)
        caption(told, room, room.bottom + MARGIN)  # at the top there are Blender's own words

    def _draw_lines(self, sheet: Sheet, region: bpy.types.Region) -> None:
        import gpu
        from gpu_extras.batch import batch_for_shader

        ends = sheet.to_region(np.array(self.lines)[:, 1:].reshape(-1, 2))
        flat = np.column_stack([ends, np.zeros(len(ends))]).astype(np.float32)
        scale = bpy.context.preferences.system.ui_scale
        shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        batch = batch_for_shader(shader, "LINES", {"pos": flat})
        gpu.state.blend_set("ALPHA")
        shader.bind()
        shader.uniform_float("viewportSize", (region.width, region.height))
        for colour, width in ((OUTLINE, 2 * WIDTH), (COLOUR, WIDTH)):
            shader.uniform_float("lineWidth", width * scale)
            shader.uniform_float("color", colour)
            batch.draw(shader)
        gpu.state.blend_set("NONE")


def close() -> None:
    """End drawing."""
    global _active
    if _active:
        _active.close()
        _active = None


class VIDEO_MOCAP_OT_take_plumb(TakeOperator):
    """Draw lines over the clip along what is upright (walls, door frames, lamp posts), and solve the take again"""

    bl_idname = "video_mocap.take_plumb"
    bl_label = "Draw upright lines"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if obstacle := cannot_resolve(chosen(context)) or cannot_look(chosen(context)):
            cls.poll_message_set(obstacle)
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        global _active
        close()
        if context.area is None or context.area.type != "VIEW_3D":
            return {"CANCELLED"}
        entry = chosen(context)
        try:
            take = read_take(paths.absolute(entry.path), ("focal", "center"))
        except MocapError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        bpy.ops.video_mocap.take_look()
        _active = Plumb(context.area, entry, float(take["focal"]), np.asarray(take["center"], float))
        context.area.tag_redraw()
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if _active is None or not on_screen(_active.area) or _active.entry is None or cancels(_active.area, event):
            close()
            return {"CANCELLED"}
        if confirms(_active.area, event):
            return self._solve(context)
        if not _active.drawing and not over_view(_active.area, event):
            return {"PASS_THROUGH"}
        if event.type == "BACK_SPACE" or (event.type == "Z" and event.ctrl):
            if event.value == "PRESS" and _active.lines:
                _active.lines.pop()
                _active.drawing = False
                _active.area.tag_redraw()
            return {"RUNNING_MODAL"}
        if event.type in {"LEFTMOUSE", "MOUSEMOVE"}:
            return self._drag(context, event)
        return {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it: another file is opened."""
        close()

    def _drag(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        region, sheet = _active.region, _active.sheet()
        if sheet is None:
            return {"PASS_THROUGH"}
        at = sheet.to_clip(np.array([event.mouse_x - region.x, event.mouse_y - region.y], float)).tolist()
        if not _active.drawing:
            if event.type != "LEFTMOUSE" or event.value != "PRESS" or not under_mouse(region, event):
                return {"PASS_THROUGH"}
            time = (context.scene.frame_current_final - 1.0) / takes.rate(_active.entry)
            _active.lines.append([time, *at, *at])
            _active.drawing = True
        else:
            line = _active.lines[-1]
            line[3:] = at
            if event.type == "LEFTMOUSE" and event.value == "RELEASE":
                _active.drawing = False
                if dist(*sheet.to_region(np.array(line[1:]).reshape(2, 2))) < SHORT:
                    _active.lines.pop()
        _active.area.tag_redraw()
        return {"RUNNING_MODAL"}

    def _solve(self, context: bpy.types.Context) -> set[str]:
        key, lines = _active.key, _active.lines
        close()
        listed = context.scene.video_mocap
        listed.active_take = [entry.key for entry in listed.takes].index(key)  # whichever was chosen meanwhile
        if not lines:
            self.report({"INFO"}, tr("No line was drawn"))
            return {"CANCELLED"}
        return bpy.ops.video_mocap.take_resolve("EXEC_DEFAULT", plumb=json.dumps(lines))


classes = (VIDEO_MOCAP_OT_take_plumb,)
