"""Picking people on a picture of the clip: it fills the 3D view, with a numbered box around everyone to click."""

from __future__ import annotations

from typing import Any, NamedTuple

import bpy
import numpy as np

from ..backend.core.rotations import Array
from . import compat, paths, people
from .translations import tr

PICKED, OTHER = (0.25, 0.9, 0.35, 1.0), (1.0, 1.0, 1.0, 0.8)
MARGIN = 20  # pixels around the picture
NUMBERS = {  # keys -> number in the picture, from 0
    key: number
    for number, word in enumerate("ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split())
    for key in (word, f"NUMPAD_{number + 1}")
}
PASSED = ("MOUSEMOVE", "INBETWEEN_MOUSEMOVE", "TIMER", "WINDOW", "ESC")  # beginnings of what is not for the scene below

_active: Picker | None = None


class Room(NamedTuple):
    """The part of a region that nothing lies over, pixels of the region."""

    left: float
    bottom: float
    right: float
    top: float


def room_of(area: bpy.types.Area, region: bpy.types.Region) -> Room:
    """What sidebars and headers leave of a main region of a 3D view, which they may lie over."""
    left, bottom, right, top = 0, 0, region.width, region.height
    for other in area.regions:
        x0, y0 = other.x - region.x, other.y - region.y
        inside = x0 < region.width and y0 < region.height and x0 + other.width > 0 and y0 + other.height > 0
        if other.type == "TOOLS" and inside and other.width > 1:
            left = max(left, x0 + other.width)
        elif other.type == "UI" and inside and other.width > 1:
            right = min(right, x0)
        elif other.type in ("HEADER", "TOOL_HEADER") and inside and other.height > 1:
            if y0 > region.height / 2:
                top = min(top, y0)
            else:
                bottom = max(bottom, y0 + other.height)
    return Room(left, bottom, right, top)


def on_screen(area: bpy.types.Area) -> bool:
    """Whether a 3D view still is where it was: it goes when one is shown full size, or another workspace."""
    windows = bpy.context.window_manager.windows
    return any(area == other for window in windows for other in window.screen.areas) and area.type == "VIEW_3D"


def under_mouse(part: bpy.types.Area | bpy.types.Region, event: bpy.types.Event) -> bool:
    """Whether the mouse is over an editor or a region of it."""
    return 0 <= event.mouse_x - part.x < part.width and 0 <= event.mouse_y - part.y < part.height


def over_view(area: bpy.types.Area, event: bpy.types.Event) -> bool:
    """Whether the mouse is over a 3D view's main region, and not over a sidebar or header that lies over it."""
    return [region.type for region in area.regions if under_mouse(region, event)] == ["WINDOW"]


def confirms(area: bpy.types.Area, event: bpy.types.Event) -> bool:
    """Whether Enter is pressed, and not for another editor than that 3D view."""
    return event.type in {"RET", "NUMPAD_ENTER"} and event.value == "PRESS" and under_mouse(area, event)


def cancels(area: bpy.types.Area, event: bpy.types.Event) -> bool:
    """Whether Esc or the right button is pressed, not for something else: Esc also stops playback, a right click
    elsewhere opens a menu."""
    if event.type == "ESC":
        return event.value == "PRESS" and under_mouse(area, event) and not bpy.context.screen.is_animation_playing
    return event.type == "RIGHTMOUSE" and event.value == "PRESS" and over_view(area, event)


def fitted(size: tuple[int, int], room: Room) -> tuple[float, float, float]:
    """How a picture fills the room: left and bottom edge in pixels of the region, and the factor of its size."""
    width, height = room.right - room.left, room.top - room.bottom
    factor = min(max(width - 2 * MARGIN, 1) / size[0], max(height - 4 * MARGIN, 1) / size[1])
    return room.left + (width - factor * size[0]) / 2, room.bottom + (height - factor * size[1]) / 2, factor


def to_picture(x: float, y: float, size: tuple[int, int], room: Room) -> tuple[float, float]:
    """A point of the region (y up) in pixels of the picture (y down)."""
    left, bottom, factor = fitted(size, room)
    return (x - left) / factor, size[1] - (y - bottom) / factor


def to_region(box: Array, size: tuple[int, int], room: Room) -> tuple[float, float, float, float]:
    """A box of the picture as left, bottom, right, top in the region."""
    left, bottom, factor = fitted(size, room)
    x0, y0, x1, y1 = (float(v) for v in box)
    return left + factor * x0, bottom + factor * (size[1] - y1), left + factor * x1, bottom + factor * (size[1] - y0)


def caption(text: str, room: Room, low: float) -> None:
    """Write a text into the middle of the room, on as many lines as that takes. low: where the last one stands, pixels
    of the region, if there is room above."""
    import blf

    scale = bpy.context.preferences.system.ui_scale
    blf.size(0, 14 * scale)
    line = blf.dimensions(0, text)[1]
    for option in (blf.SHADOW, blf.WORD_WRAP):
        blf.enable(0, option)
    blf.word_wrap(0, max(int(room.right - room.left) - 2 * MARGIN, 1))
    wide, high = blf.dimensions(0, text)
    blf.shadow(0, 5, 0.0, 0.0, 0.0, 1.0)
    blf.color(0, 1.0, 1.0, 1.0, 1.0)
    first = min(low + high - line, room.top - line - 4 * scale)
    blf.position(0, (room.left + room.right - wide) / 2, first, 0)
    blf.draw(0, text)
    for option in (blf.SHADOW, blf.WORD_WRAP):
        blf.disable(0, option)


class Picker:
    """What is drawn while people are picked, in one region."""

    def __init__(self, area: bpy.types.Area, region: bpy.types.Region, scan: people.Scan) -> None:
        self.scan = scan
        self.area = area
        self._region = region.as_pointer()
        self._textures: dict[str, Any] = {}
        self._handle = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")

    def close(self) -> None:
        """Take it off the view."""
        if self._handle:
            bpy.types.SpaceView3D.draw_handler_remove(self._handle, "WINDOW")
            self._handle = None
            self._textures.clear()

    def _texture(self, file: str) -> Any:
        import gpu

        if file not in self._textures:
            image = bpy.data.images.load(file)
            self._textures[file] = gpu.texture.from_image(image)
            bpy.data.images.remove(image)
        return self._textures[file]

    def _draw(self) -> None:
        import blf
        import gpu
        from gpu_extras.batch import batch_for_shader
        from gpu_extras.presets import draw_texture_2d

        region, picture = bpy.context.region, self.scan.picture
        if not on_screen(self.area) or region.as_pointer() != self._region or picture is None:
            return
        size, room = picture.size, room_of(self.area, region)
        left, bottom, factor = fitted(size, room)
        gpu.state.blend_set("ALPHA")
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")

        def fill(x0: float, y0: float, x1: float, y1: float, colour: tuple[float, ...]) -> None:
            corners = [(x0, y0, 0.0), (x1, y0, 0.0), (x1, y1, 0.0), (x0, y1, 0.0)]
            shader.uniform_float("color", colour)
            batch_for_shader(shader, "TRIS", {"pos": corners}, indices=[(0, 1, 2), (0, 2, 3)]).draw(shader)

        w, h = region.width, region.height
        fill(0, 0, w, h, (0.0, 0.0, 0.0, 0.7))
        texture = self._texture(str(picture.file))
        draw_texture_2d(texture, (left, bottom), factor * size[0], factor * size[1], **compat.PICTURE_COLOURS)
        scale = bpy.context.preferences.system.ui_scale
        picks = bpy.context.scene.video_mocap.picks
        line = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
        line.uniform_float("viewportSize", (w, h))
        gpu.state.blend_set("ALPHA")
        for person, box in enumerate(picture.boxes):
            mine = people.picked(picks, picture, person) is not None
            colour = PICKED if mine else OTHER
            x0, y0, x1, y1 = to_region(box, size, room)
            line.uniform_float("lineWidth", (4.0 if mine else 2.0) * scale)
            line.uniform_float("color", colour)
            loop = np.array([(x0, y0, 0), (x1, y0, 0), (x1, y1, 0), (x0, y1, 0), (x0, y0, 0)], np.float32)
            batch_for_shader(line, "LINE_STRIP", {"pos": loop}).draw(line)
            blf.size(0, 22 * scale)
            wide = blf.dimensions(0, str(person + 1))[0] + 12 * scale
            fill(x0, y1 - 30 * scale, x0 + wide, y1, colour)  # a plate: numbers are to be read on any picture
            blf.color(0, 0.0, 0.0, 0.0, 1.0)
            blf.position(0, x0 + 6 * scale, y1 - 24 * scale, 0)
            blf.draw(0, str(person + 1))
        number, count = self.scan.shown + 1, len(self.scan.pictures)
        where = tr("picture {number} of {count}, at {time} s", number=number, count=count, time=f"{picture.time:.1f}")
        parts = tr("Click whom to capture, or press the number"), where, tr("arrow keys or wheel: others, Enter: done")
        caption("   ·   ".join(parts), room, bottom + factor * size[1] + 8 * scale)
        gpu.state.blend_set("NONE")


def close() -> None:
    """End picking."""
    global _active
    if _active:
        _active.close()
        _active = None


class VIDEO_MOCAP_OT_people_pick(bpy.types.Operator):
    """Show a picture of the clip in this view and click the people to capture"""

    bl_idname = "video_mocap.people_pick"
    bl_label = "Pick on the picture"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        scan = people.of(paths.absolute(context.scene.video_mocap.video))
        if scan is None or not scan.pictures:
            cls.poll_message_set(tr("Find the people first"))
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        global _active
        close()
        region = next((r for r in context.area.regions if r.type == "WINDOW"), None) if context.area else None
        if region is None or context.area.type != "VIEW_3D":
            return {"CANCELLED"}
        _active = Picker(context.area, region, people.latest)
        context.window_manager.modal_handler_add(self)
        context.area.tag_redraw()
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if _active is None or people.latest is not _active.scan or not _active.scan.pictures:
            close()
            return {"CANCELLED"}
        if not on_screen(_active.area):
            close()
            return {"CANCELLED"}
        area = _active.area
        if confirms(area, event) or cancels(area, event):
            close()
            area.tag_redraw()
            return {"FINISHED"}
        if not over_view(area, event) or event.type.startswith(PASSED):
            return {"PASS_THROUGH"}
        if event.value == "PRESS":
            self._press(context, event)
            area.tag_redraw()
        return {"RUNNING_MODAL"}  # the scene below is not to be seen, so no key is meant for it

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it: another file is opened."""
        close()

    def _press(self, context: bpy.types.Context, event: bpy.types.Event) -> None:
        """Another picture, or somebody by click or number."""
        picture, person = _active.scan.picture, NUMBERS.get(event.type)
        turns = {"LEFT_ARROW": -1, "WHEELUPMOUSE": -1, "RIGHT_ARROW": 1, "WHEELDOWNMOUSE": 1}
        if event.type in turns:
            _active.scan.turn(turns[event.type])
        elif event.type == "LEFTMOUSE":
            region = next(r for r in _active.area.regions if r.type == "WINDOW")
            room = room_of(_active.area, region)
            person = picture.hit(*to_picture(event.mouse_x - region.x, event.mouse_y - region.y, picture.size, room))
        if person is not None and person < len(picture.boxes):
            settings = context.scene.video_mocap
            people.toggle(settings.picks, picture, person)
            settings.people = "PICKED"


classes = (VIDEO_MOCAP_OT_people_pick,)
