"""The keypoints of the takes over the picture: drawn in the 3D view while it looks through their camera.

Green was seen clearly, red is a guess. They are the network's own points, before any solving: where the armature is
elsewhere, the solving is to blame; where they are off the person, the detection is.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..backend.core import keypoints
from ..backend.core.errors import MocapError
from ..backend.core.rotations import Array
from ..backend.core.take import read_take
from . import paths, takes

_K = keypoints.INDEX
_PAIRS = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("nose", "left_eye"), ("nose", "right_eye"),
    ("left_eye", "left_ear"), ("right_eye", "right_ear"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle"),
        ("ankle", "heel"), ("ankle", "big_toe"), ("heel", "big_toe"))),
)  # fmt: skip
_FINGERS = [
    (root if joint == 0 else root + 4 * finger + joint, root + 4 * finger + joint + 1)
    for root in (keypoints.LEFT_HAND.start, keypoints.RIGHT_HAND.start)
    for finger in range(5)
    for joint in range(4)
]
LINES = np.array([(_K[a], _K[b]) for a, b in _PAIRS] + _FINGERS)
SEEN = 0.05  # keypoints below this confidence are not drawn
WIDTH = 2.0  # pixels, at a resolution scale of 1
NAMES = ("timestamps", "keypoints2d", "focal", "center")


@dataclass(frozen=True)
class Points:
    """The 2D keypoints of one take: times (T,) seconds; picture (T, 133, 3) pixels and confidence; pinhole camera."""

    times: Array
    picture: Array
    focal: float
    center: Array

    def at(self, time: float) -> Array | None:
        """(133, 3) at the frame nearest to a time; None where the person is not seen."""
        i = int(np.argmin(np.abs(self.times - time)))
        step = float(np.median(np.diff(self.times))) if len(self.times) > 1 else 0.1
        return self.picture[i] if abs(self.times[i] - time) <= 1.5 * step else None

    def rays(self, points: Array) -> Array:
        """(133, 3) directions in Blender's camera space (x right, y up, looking along -z)."""
        x, y = ((points[:, :2] - self.center) / self.focal).T
        return np.stack([x, -y, -np.ones_like(x)], axis=1)


_loaded: dict[Path, Points | None] = {}  # None: being read, or unreadable
_reading: list[threading.Thread] = []
_handle: Any = None


def load(path: Path) -> Points | None:
    """A take's keypoints. Read in a thread at first: None until they are there."""
    if path not in _loaded:
        _loaded[path] = None
        _reading.append(threading.Thread(target=_read, args=(path,), name="mocap-keypoints", daemon=True))
        _reading[-1].start()
        if not bpy.app.timers.is_registered(_redraw):
            bpy.app.timers.register(_redraw, first_interval=0.1)
    return _loaded[path]


def _redraw() -> float | None:
    """Timer: show what was read as soon as it is there."""
    if any(thread.is_alive() for thread in _reading):
        return 0.1
    _reading.clear()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return None


def _read(path: Path) -> None:
    try:
        take = read_take(path, NAMES)
        _loaded[path] = Points(take["timestamps"], take["keypoints2d"], float(take["focal"]), take["center"])
    except (MocapError, KeyError):
        pass  # nothing to show; the list says that the file is missing


def project(rays: Array, camera_world: Array, perspective: Array, width: int, height: int) -> Array:
    """(N, 2) pixels of a region. rays: (N, 3) from `Points.rays`; camera_world, perspective: (4, 4) matrices."""
    world = rays @ camera_world[:3, :3].T + camera_world[:3, 3]
    clip = world @ perspective[:3, :3].T + perspective[:3, 3]
    w = world @ perspective[3, :3] + perspective[3, 3]
    return (clip[:, :2] / w[:, None] + 1.0) * 0.5 * np.array([width, height])


def shapes(points: Array, pixels: Array, size: float) -> tuple[Array, Array, Array, Array]:
    """What is drawn: ends of lines (2M, 3) with colours (2M, 4), corners of triangles (6N, 3) with colours (6N, 4).

    points: (133, 3); pixels: (133, 2) in the region; size: half the side of a point.
    """
    sure = np.clip(points[:, 2], 0.0, 1.0)
    colours = np.stack([1.0 - sure, sure, np.full_like(sure, 0.15), np.full_like(sure, 0.9)], axis=1)
    lines = LINES[(points[LINES, 2] > SEEN).all(axis=1)].ravel()
    seen = np.flatnonzero(points[:, 2] > SEEN)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)], float) * size
    small = np.where((seen >= 23)[:, None, None], 0.5, 1.0)  # face and hands have many
    squares = (pixels[seen, None] + corners * small).reshape(-1, 2)
    flat = lambda xy: np.column_stack([xy, np.zeros(len(xy))])  # noqa: E731
    return flat(pixels[lines]), colours[lines], flat(squares), np.repeat(colours[seen], 6, axis=0)


def _draw() -> None:
    context = bpy.context
    space, region, scene = context.space_data, context.region, context.scene
    view = context.region_data  # of this one of a quad view
    if view is None or view.view_perspective != "CAMERA":
        return
    seen_by = space.camera if space.use_local_camera else scene.camera
    if seen_by is None:
        return
    standing = np.array(seen_by.evaluated_get(context.evaluated_depsgraph_get()).matrix_world)
    perspective = np.array(view.perspective_matrix)
    for entry in scene.video_mocap.takes:
        if entry.camera != seen_by or not entry.path or not entry.visible:
            continue
        data = load(paths.absolute(entry.path))
        time = (scene.frame_current_final - 1.0) / takes.rate(entry)
        points = data.at(time) if data else None
        if points is not None:
            pixels = project(data.rays(points), standing, perspective, region.width, region.height)
            _draw_shapes(shapes(points, pixels, 2.0 * context.preferences.system.ui_scale), region)


def _draw_shapes(drawn: tuple[Array, Array, Array, Array], region: bpy.types.Region) -> None:
    import gpu  # there is none without a window in some builds
    from gpu_extras.batch import batch_for_shader

    ends, end_colours, corners, corner_colours = (part.astype(np.float32) for part in drawn)
    gpu.state.blend_set("ALPHA")
    if len(ends):
        shader = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
        batch = batch_for_shader(shader, "LINES", {"pos": ends, "color": end_colours})
        shader.bind()
        shader.uniform_float("viewportSize", (region.width, region.height))
        shader.uniform_float("lineWidth", WIDTH * bpy.context.preferences.system.ui_scale)
        batch.draw(shader)
    if len(corners):
        shader = gpu.shader.from_builtin("FLAT_COLOR")
        batch_for_shader(shader, "TRIS", {"pos": corners, "color": corner_colours}).draw(shader)
    gpu.state.blend_set("NONE")


def refresh() -> None:
    """Draw, or stop drawing, as the scenes of the open file want it."""
    global _handle
    wanted = any(scene.video_mocap.show_keypoints for scene in bpy.data.scenes)
    if wanted and _handle is None:
        _handle = bpy.types.SpaceView3D.draw_handler_add(_guarded, (), "WINDOW", "POST_PIXEL")
    elif not wanted and _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
        _loaded.clear()


def _guarded() -> None:
    if bpy.context.scene.video_mocap.show_keypoints and bpy.context.space_data.overlay.show_overlays:
        _draw()


def shown() -> bool:
    """Whether the draw handler is there."""
    return _handle is not None


@persistent
def _after_load(*_: object) -> None:
    _loaded.clear()
    refresh()


@persistent
def _after_undo(*_: object) -> None:
    refresh()


_HANDLERS = (
    (bpy.app.handlers.load_post, _after_load),
    (bpy.app.handlers.undo_post, _after_undo),
    (bpy.app.handlers.redo_post, _after_undo),
)


def register() -> None:
    """Follow the files that are opened, and undo."""
    for handlers, handler in _HANDLERS:
        handlers.append(handler)
    bpy.app.timers.register(refresh, first_interval=0.0)  # enabled with a file open, which cannot be looked at yet


def unregister() -> None:
    """Stop drawing."""
    global _handle
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
    for timer in (refresh, _redraw):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None
    _loaded.clear()
