"""What straight edges tell: pictures of rooms through cameras that are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.keypoints import LANDMARKS
from backend.core.rotations import IDENTITY, Array
from backend.stages import Camera, Frame, Motion
from backend.world import edges, manhattan, vertical
from backend.world.camera import LEVEL
from backend.world.ground import upright_camera

WIDTH, HEIGHT, FOCAL = 960, 540, 900.0
CAMERA = Camera(FOCAL, np.array([WIDTH, HEIGHT]) / 2, np.array([WIDTH, HEIGHT], float), LEVEL, np.zeros(3))
LEVEL_UP = np.array([0.0, -1.0, 0.0])


def looking(pitch: float, roll: float, yaw: float = 25.0) -> Array:
    """World (z up) to camera: looking down by pitch, rolled; degrees. Walls of a room are seen at an angle."""
    turn = rotations.multiply(
        rotations.from_axis_angle([0.0, 0.0, np.radians(roll)]),
        rotations.from_axis_angle([np.radians(pitch), 0.0, 0.0]),
    )
    return rotations.multiply(rotations.multiply(turn, LEVEL), rotations.from_axis_angle([0.0, 0.0, np.radians(yaw)]))


def picture(camera: Array, posts: int, beams: int = 0, sticks: int = 0, seed: int = 0) -> Frame:
    """Upright posts, beams along two walls and sticks that lie anyhow, in front of a camera at eye height."""
    random = np.random.default_rng(seed)
    image = np.full((HEIGHT, WIDTH, 3), 190, np.uint8)
    ahead = rotations.rotate(rotations.inverse(camera), [0.0, 0.0, 1.0])
    aside = rotations.rotate(rotations.inverse(camera), [1.0, 0.0, 0.0])
    for k, kind in enumerate(["post"] * posts + ["beam"] * beams + ["stick"] * sticks):
        start = random.uniform(5, 9) * ahead + random.uniform(-3, 3) * aside + [0.0, 0.0, random.uniform(-1.5, 1.0)]
        along = {"post": np.eye(3)[2], "beam": np.eye(3)[k % 2], "stick": rotations.normalize(random.normal(size=3))}
        ends = rotations.rotate(camera, np.array([start, start + 1.5 * along[kind]]))
        if (ends[:, 2] > 0.5).all():
            pixels = np.rint(16 * (ends[:, :2] / ends[:, 2:] * FOCAL + CAMERA.center)).astype(int)
            shade = int(random.integers(0, 120))
            cv2.line(image, pixels[0].tolist(), pixels[1].tolist(), (shade,) * 3, 3, cv2.LINE_AA, 4)
    return Frame(0, 0.0, image, 1.0)


def found(frame: Frame, people: tuple[Array, ...] = ()) -> Array:
    return edges.EdgeFinder().find(frame, list(people))


def off(form: Array, camera: Array) -> float:
    """Degrees between the vertical that a form tells and that of a camera."""
    down = rotations.rotate(camera, [0.0, 0.0, -1.0])
    return float(np.degrees(np.arccos(abs(np.linalg.eigh(form)[1][:, 0] @ down))))


def seen(ends: list[Array], turns: Array = IDENTITY[None], up: Array = LEVEL_UP) -> Array:
    return vertical.seen(vertical.Edges(ends, turns), CAMERA, up)


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (15.0, -8.0), (-20.0, 4.0), (10.0, 30.0)])
@pytest.mark.parametrize("beams", [0, 24])
def test_edges_tell_how_the_camera_is_held(pitch: float, roll: float, beams: int) -> None:
    camera = looking(pitch, roll)
    people = rotations.rotate(looking(pitch + 8.0, roll - 6.0), [0.0, 0.0, 1.0])  # they are wrong by ten degrees
    assert off(seen([found(picture(camera, 16, beams, sticks=6))], up=people), camera) < (0.5 if beams else 1.2)


def test_nothing_is_said_where_there_is_nothing() -> None:
    blank = found(Frame(0, 0.0, np.full((HEIGHT, WIDTH, 3), 127, np.uint8), 1.0))
    assert not len(blank) and not seen([blank]).any() and manhattan.lens([(blank, LEVEL_UP)], CAMERA) == 1.0
    everywhere = np.array([-10.0, -10.0, WIDTH + 10.0, HEIGHT + 10.0])
    assert not len(found(picture(looking(5.0, 0.0), 14), (everywhere,)))  # all edges are a person's
    beside = np.array([0.0, 0.0, WIDTH / 2, HEIGHT])
    some = found(picture(looking(5.0, 0.0), 24), (beside,))
    assert len(some) and (some[:, ::2].mean(1) >= WIDTH / 2).all()


def test_only_some_frames_are_looked_at_and_a_turn_is_taken_out() -> None:
    camera, finder = looking(10.0, 5.0), edges.EdgeFinder()
    turn = rotations.from_axis_angle([0.0, np.radians(12.0), 0.0])
    frame = picture(rotations.multiply(turn, camera), posts=20)
    ends = [finder.find(frame, []) for _ in range(edges.EVERY + 1)]
    assert [len(some) > 0 for some in ends] == [True] + [False] * (edges.EVERY - 1) + [True]
    assert off(seen([ends[0], ends[-1]], np.stack([turn, turn])), camera) < 0.7


@pytest.mark.parametrize("longer", [0.55, 0.75, 1.0, 1.4, 1.9])
def test_a_room_shows_how_long_the_lens_is(longer: float) -> None:
    frames = [found(picture(looking(12.0, 4.0, yaw), 20, 40, 12, seed=int(yaw))) for yaw in (25.0, 50.0)]
    taken = replace(CAMERA, focal=FOCAL / longer)
    told = manhattan.lens([(ends, LEVEL_UP) for ends in frames], taken)
    assert told == pytest.approx(longer, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_posts_alone_and_sticks_tell_nothing_of_the_lens(seed: int) -> None:
    camera = looking(12.0, 4.0)
    few, many = ({"sticks": sticks, "seed": seed} for sticks in (14, 60))
    for frame in (picture(camera, 30, seed=seed), picture(camera, 0, **few), picture(camera, 0, **many)):
        assert manhattan.lens([(found(frame), LEVEL_UP)], replace(CAMERA, focal=FOCAL / 1.4)) == 1.0


def test_drawn_lines_meet_in_the_vertical_whenever_they_were_drawn() -> None:
    camera = looking(12.0, -7.0)
    turns = np.stack([IDENTITY, rotations.from_axis_angle([0.0, np.radians(20.0), 0.0])])
    posts = np.array([[[-1.0, 6.0, -1.0], [-1.0, 6.0, 1.0]], [[1.5, 7.0, -1.0], [1.5, 7.0, 0.5]]])
    through = rotations.rotate(rotations.multiply(turns, camera)[:, None], posts)
    ends = (through[..., :2] / through[..., 2:] * FOCAL + CAMERA.center).reshape(2, 4)
    form = vertical.drawn(ends, turns, CAMERA)
    assert np.linalg.eigvalsh(form)[0] < 1e-12 < np.linalg.eigvalsh(form)[1] and off(form, camera) < 1e-4


def test_people_who_stand_tell_about_where_up_is_whichever_way_the_camera_has_turned() -> None:
    camera, turn = looking(20.0, 15.0), rotations.from_axis_angle([0.0, np.radians(30.0), 0.0])
    up = rotations.rotate(camera, [0.0, 0.0, 1.0])
    landmarks = np.zeros((3, 33, 4))
    for k, axes in enumerate((camera, rotations.multiply(turn, camera))):  # the third has none
        for name, height in (("shoulder", 0.5), ("ankle", -0.8)):
            for side, aside in (("left", 0.2), ("right", -0.2)):
                landmarks[k, LANDMARKS.index(f"{side}_{name}"), :3] = rotations.rotate(axes, [aside, 0.1, height])
    turns = np.stack([IDENTITY, turn, IDENTITY])
    told = vertical.stood(landmarks, turns, LEVEL_UP)
    assert np.arccos(told @ up) < 0.5 * np.arccos(LEVEL_UP @ up)  # cameras are held level, too
    np.testing.assert_array_equal(vertical.stood(landmarks[2:], turns[2:], LEVEL_UP), LEVEL_UP)


def test_edges_that_lean_otherwise_than_people_are_not_believed() -> None:
    camera = looking(4.0, 0.0, 0.0)
    local = np.tile(IDENTITY, (20, sk.COUNT, 1))
    local[:, 0] = rotations.multiply(camera, sk.Y_UP_TO_Z_UP)
    pelvis = np.tile(rotations.rotate(camera, [0.0, 4.0, 0.0]), (20, 1))
    people = [(sk.neutral(), Motion(np.arange(20) / 30, local, pelvis, np.ones((20, sk.COUNT))))]

    def wrong(background: vertical.Edges | None) -> float:
        up = rotations.rotate(upright_camera(people, CAMERA, edges=background).rotation, [0.0, 0.0, 1.0])
        return float(np.degrees(np.arccos(up @ rotations.rotate(camera, [0.0, 0.0, 1.0]))))

    def leaning(axes: Array) -> vertical.Edges:
        return vertical.Edges([found(picture(axes, posts=20))], IDENTITY[None])

    assert wrong(leaning(camera)) < 0.6 * wrong(None)
    assert wrong(leaning(looking(4.0, 50.0))) < wrong(None) + 0.5
