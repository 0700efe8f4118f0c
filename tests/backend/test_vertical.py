"""The vertical from edges: pictures of posts and beams through cameras that are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from backend.core import rotations
from backend.core.rotations import IDENTITY, Array
from backend.stages import Camera, Frame
from backend.world import vertical
from backend.world.camera import LEVEL
from backend.world.ground import upright_camera
from backend.world.vertical import VerticalMeter

WIDTH, HEIGHT, FOCAL = 960, 540, 900.0
CAMERA = Camera(FOCAL, np.array([WIDTH, HEIGHT]) / 2, np.array([WIDTH, HEIGHT], float), LEVEL, np.zeros(3))


def looking(pitch: float, roll: float) -> Array:
    """World (z up) to camera: looking down by pitch, rolled; degrees."""
    turn = rotations.multiply(
        rotations.from_axis_angle([0.0, 0.0, np.radians(roll)]),
        rotations.from_axis_angle([np.radians(pitch), 0.0, 0.0]),
    )
    return rotations.multiply(turn, LEVEL)


def picture(camera: Array, posts: int, beams: int, seed: int = 0) -> Frame:
    """Upright posts and level beams in front of a camera at eye height."""
    random = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), 190, np.uint8)
    for kind in ["post"] * posts + ["beam"] * beams:
        start = np.array([random.uniform(-4, 4), random.uniform(5, 9), random.uniform(-1.5, 1.0)])
        along = [0.0, 0.0, 1.5] if kind == "post" else [*random.uniform(-1.5, 1.5, 2), 0.0]
        ends = rotations.rotate(camera, np.array([start, start + along]))
        if (ends[:, 2] > 0.5).all():
            pixels = np.rint(ends[:, :2] / ends[:, 2:] * FOCAL + CAMERA.center).astype(int)
            shade = int(random.integers(0, 120))
            cv2.line(image, pixels[0].tolist(), pixels[1].tolist(), (shade,) * 3, 5, cv2.LINE_AA)
    return Frame(0, 0.0, image, 1.0)


def found(frame: Frame, people: tuple[Array, ...] = ()) -> Array | None:
    form = VerticalMeter(CAMERA).form(frame, list(people), IDENTITY)
    return vertical.matrix(form[None])


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (15.0, -8.0), (-20.0, 4.0), (10.0, 30.0)])
def test_posts_tell_how_the_camera_is_held(pitch: float, roll: float) -> None:
    camera = looking(pitch, roll)
    edges = found(picture(camera, posts=14, beams=10))
    assert edges is not None
    down = rotations.rotate(camera, [0.0, 0.0, -1.0])
    assert np.degrees(np.arccos(abs(np.linalg.eigh(edges)[1][:, 0] @ down))) < 1.0


def test_edges_that_were_looked_at_through_another_lens_are_put_right() -> None:
    camera, longer = looking(20.0, 5.0), 1.5
    told = rotations.from_axis_angle([0.0, 0.1, 0.0])  # how the camera had turned
    meter = VerticalMeter(replace(CAMERA, focal=FOCAL / longer))
    form = meter.form(picture(camera, posts=14, beams=10), [], told)
    down = rotations.rotate(camera, [0.0, 0.0, -1.0])

    def off(forms: Array, axes: Array) -> float:
        edges = vertical.matrix(forms)
        assert edges is not None
        return float(np.degrees(np.arccos(abs(np.linalg.eigh(edges)[1][:, 0] @ rotations.rotate(axes, down)))))

    assert off(form[None], rotations.inverse(told)) > 4.0
    assert off(vertical.refocused(form[None], told[None], IDENTITY[None], longer), IDENTITY) < 1.0


def test_nothing_is_said_where_there_is_nothing() -> None:
    blank = Frame(0, 0.0, np.full((HEIGHT, WIDTH, 3), 127, np.uint8), 1.0)
    assert found(blank) is None
    everywhere = np.array([WIDTH / 2, HEIGHT / 2, 2.0 * WIDTH, 0.0])
    assert found(picture(looking(5.0, 0.0), 14, 0), (everywhere,)) is None  # all edges are a person's


def test_only_some_frames_are_looked_at_and_a_turn_is_taken_out() -> None:
    camera = looking(10.0, 5.0)
    meter = VerticalMeter(CAMERA)
    turn = rotations.from_axis_angle([0.0, np.radians(12.0), 0.0])
    seen = picture(rotations.multiply(turn, camera), posts=20, beams=0)
    forms = [meter.form(seen, [], turn) for _ in range(vertical.EVERY + 1)]
    assert [bool(form.any()) for form in forms] == [True] + [False] * (vertical.EVERY - 1) + [True]
    edges = vertical.matrix(np.array(forms))
    assert edges is not None
    down = rotations.rotate(camera, [0.0, 0.0, -1.0])
    assert np.degrees(np.arccos(abs(np.linalg.eigh(edges)[1][:, 0] @ down))) < 1.0


def test_drawn_lines_meet_in_the_vertical_whenever_they_were_drawn() -> None:
    camera = looking(12.0, -7.0)
    turns = np.stack([IDENTITY, rotations.from_axis_angle([0.0, np.radians(20.0), 0.0])])
    posts = np.array([[[-1.0, 6.0, -1.0], [-1.0, 6.0, 1.0]], [[1.5, 7.0, -1.0], [1.5, 7.0, 0.5]]])
    seen = rotations.rotate(rotations.multiply(turns, camera)[:, None], posts)
    form = vertical.drawn(seen[..., :2] / seen[..., 2:] * FOCAL + CAMERA.center, turns, CAMERA)
    values, axes = np.linalg.eigh(form)
    down = rotations.rotate(camera, [0.0, 0.0, -1.0])
    assert values[0] < 1e-12 < values[1] and abs(axes[:, 0] @ down) > 1 - 1e-12


def test_edges_that_lean_otherwise_than_people_are_not_believed() -> None:
    from backend.core import skeleton as sk
    from backend.stages import Motion

    camera = looking(4.0, 0.0)
    local = np.tile(IDENTITY, (20, sk.COUNT, 1))
    local[:, 0] = rotations.multiply(camera, sk.Y_UP_TO_Z_UP)
    pelvis = np.tile(rotations.rotate(camera, [0.0, 4.0, 0.0]), (20, 1))
    motion = Motion(np.arange(20) / 30, local, pelvis, np.ones((20, sk.COUNT)))
    people = [(sk.neutral(), motion)]

    def off(edges_of: Array) -> float:
        form = VerticalMeter(CAMERA).form(picture(edges_of, posts=14, beams=4), [], IDENTITY)
        assert form.any()
        up = rotations.rotate(upright_camera(people, CAMERA, verticals=form[None]).rotation, [0.0, 0.0, 1.0])
        return float(np.degrees(np.arccos(up @ rotations.rotate(camera, [0.0, 0.0, 1.0]))))

    without = rotations.rotate(upright_camera(people, CAMERA).rotation, [0.0, 0.0, 1.0])
    before = float(np.degrees(np.arccos(without @ rotations.rotate(camera, [0.0, 0.0, 1.0]))))
    assert off(camera) < 0.6 * before
    assert off(looking(4.0, 35.0)) == pytest.approx(before, abs=1e-6)
