"""The keypoints over the clip: where they are drawn, and that the drawing comes and goes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from test_registration import MODULE


@pytest.fixture
def points(addon):
    """Keypoints of two frames of a camera with a 1000 pixel lens, 1000 x 500 pixels."""
    picture = np.zeros((2, 133, 3))
    picture[..., 2] = 0.8
    picture[:, 0, :2] = 500, 250  # the nose in the middle
    picture[:, 1, :2] = 600, 200
    picture[1, 2, 2] = 0.0
    return addon.overlay.Points(np.array([1.0, 1.1]), picture, 1000.0, np.array([500.0, 250.0]))


def test_points_are_found_by_time(points):
    assert points.at(1.04) is not None and points.at(1.1)[2, 2] == 0.0
    assert points.at(0.5) is None and points.at(2.0) is None


def test_a_pixel_of_the_clip_is_drawn_where_the_camera_sees_it(bpy, addon, points):
    """Against Blender's own projection through a turned, shifted camera."""
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Matrix, Vector

    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1000, 500
    data = bpy.data.cameras.new("view")
    data.sensor_fit, data.sensor_width, data.lens = "HORIZONTAL", 36.0, 36.0  # 1000 pixels
    body = bpy.data.objects.new("view", data)
    scene.collection.objects.link(body)
    body.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(1.1, 4, "X") @ Matrix.Rotation(0.3, 4, "Z")
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    perspective = np.array(body.calc_matrix_camera(depsgraph, x=1000, y=500) @ body.matrix_world.inverted())
    rays = points.rays(points.at(1.0))
    pixels = addon.overlay.project(rays, np.array(body.matrix_world), perspective, 1000, 500)
    assert np.allclose(pixels[0], (500, 250), atol=0.01) and np.allclose(pixels[1], (600, 300), atol=0.01)
    x, y, _ = world_to_camera_view(scene, body, body.matrix_world @ Vector(rays[1]))
    assert np.allclose(pixels[1], (1000 * x, 500 * y), atol=0.01)


def test_what_was_not_seen_is_not_drawn(addon, points):
    pixels = np.random.default_rng(1).uniform(0, 500, (133, 2))
    lines, _, squares, colours = addon.overlay.shapes(points.at(1.0), pixels, 3.0)
    fewer, _, squares_less, _ = addon.overlay.shapes(points.at(1.1), pixels, 3.0)
    assert len(squares) == 6 * 133 and len(squares_less) == 6 * 132
    assert len(fewer) < len(lines) == 2 * len(addon.overlay.LINES)
    assert (colours[:, 1] > colours[:, 0]).all()  # sure is green
    assert np.isin(lines[:, :2], pixels).all()


def test_the_drawing_follows_the_choice_the_file_and_the_extension(bpy, addon, tmp_path):
    import addon_utils

    overlay = addon.overlay
    assert not overlay.shown()
    bpy.context.scene.video_mocap.show_keypoints = True
    assert overlay.shown()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "on.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert not overlay.shown()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "on.blend"))
    assert overlay.shown()
    for shown in (True, False):  # undo and redo bring the choice back
        bpy.context.scene.video_mocap.show_keypoints = shown
        bpy.ops.ed.undo_push(message="Keypoints")
    for step, shown in ((bpy.ops.ed.undo, True), (bpy.ops.ed.redo, False), (bpy.ops.ed.undo, True)):
        assert step() == {"FINISHED"} and overlay.shown() == shown
    addon_utils.disable(MODULE)
    assert not overlay.shown()
    addon_utils.enable(MODULE, default_set=True)
    assert bpy.app.timers.is_registered(overlay.refresh)  # as soon as the open file can be looked at


def test_keypoints_are_read_in_the_background(addon, tmp_path):
    path = tmp_path / "take.npz"
    empty = {name: np.zeros(1) for name in ("poses", "trans", "mocap_frame_rate")}
    np.savez(
        path, timestamps=np.arange(3) / 10, keypoints2d=np.ones((3, 133, 3)), focal=900.0, center=np.ones(2), **empty
    )
    addon.overlay.load(path)
    deadline = time.monotonic() + 20
    while addon.overlay.load(path) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert addon.overlay.load(path).focal == 900.0
    assert addon.overlay.load(tmp_path / "none.npz") is None
