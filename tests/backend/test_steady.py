"""The camera's turn from the background: exact on pictures turned by a known amount, honest where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from synthetic import camera_at, standing, to_camera

from backend.core import rotations
from backend.core import skeleton as sk
from backend.stages import Camera, Frame, Motion
from backend.world.contacts import to_world
from backend.world.steady import TurnMeter, steadied, tripod
from backend.world.travel import refocused

SIZE, FOCAL = (640, 360), 700.0
CENTRE = np.array([320.0, 180.0])
CAMERA = Camera(FOCAL, CENTRE, np.array(SIZE, float), rotations.IDENTITY, np.zeros(3))


def background(seed: int = 0) -> np.ndarray:
    """A wall of blobs, larger than the picture."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 255, (140, 240), np.uint8)
    return cv2.GaussianBlur(cv2.resize(noise, (1440, 840), interpolation=cv2.INTER_CUBIC), (0, 0), 2)


def seen(wall: np.ndarray, turn: np.ndarray, noise: int = 0) -> np.ndarray:
    """The wall, infinitely far away, through the camera turned by a quaternion."""
    k = np.array([[FOCAL, 0, CENTRE[0]], [0, FOCAL, CENTRE[1]], [0, 0, 1]])
    from_wall = np.array([[1, 0, CENTRE[0] - 720], [0, 1, CENTRE[1] - 420], [0, 0, 1.0]])
    warp = k @ rotations.to_matrix(turn) @ np.linalg.inv(k) @ from_wall
    picture = cv2.warpPerspective(wall, warp, SIZE)
    if noise:
        grain = np.random.default_rng(int(1e6 * abs(turn[1]))).integers(-noise, noise + 1, picture.shape)
        picture = np.clip(picture.astype(int) + grain, 0, 255).astype(np.uint8)
    return np.repeat(picture[..., None], 3, 2)


def measured(pictures: list[np.ndarray], people: list[np.ndarray] | None = None) -> tuple[np.ndarray, TurnMeter]:
    meter = TurnMeter(CAMERA)
    turns = [meter.turn(Frame(i, i / 30, rgb, 1.0), people or []) for i, rgb in enumerate(pictures)]
    return np.array(turns), meter


def path(frames: int = 40) -> np.ndarray:
    """A pan with some tilt and roll, 12 degrees in all."""
    way = np.linspace(0, 1, frames)[:, None]
    return rotations.from_axis_angle(np.radians([[2.0, 12.0, 1.5]]) * way)


def test_a_pan_is_measured_to_a_tenth_of_a_degree() -> None:
    wall, truth = background(), path()
    turns, meter = measured([seen(wall, turn, noise=6) for turn in truth])
    assert np.degrees(rotations.angle_between(turns, truth)).max() < 0.1
    assert meter.unsure == 0
    assert not tripod(turns)


def test_a_tripod_is_recognised_through_noise_and_passers_by() -> None:
    wall, random = background(), np.random.default_rng(2)
    pictures = []
    for i in range(60):
        picture = seen(wall, rotations.IDENTITY) + random.integers(0, 9, (*SIZE[::-1], 3)).astype(np.uint8)
        picture[60:320, 5 * i : 5 * i + 120] = background(seed=7)[100:360, :120, None]  # somebody walks by
        pictures.append(picture)
    turns, _ = measured(pictures)
    assert tripod(turns)


def test_a_person_in_the_way_is_kept_out() -> None:
    wall, truth = background(), path()
    pictures = [seen(wall, turn) for turn in truth]
    for picture in pictures:
        picture[40:340, 120:520] = background(seed=9)[:300, :400, None]  # fills most of the picture, never moves in it
    turns, _ = measured(pictures, [np.array([110.0, 0.0, 530.0, 400.0])])
    assert np.degrees(rotations.angle_between(turns, truth)).max() < 0.15


def test_a_blank_wall_says_nothing_and_says_so() -> None:
    blank = np.full((*SIZE[::-1], 3), 90, np.uint8)
    turns, meter = measured([blank] * 5)
    assert tripod(turns)
    assert meter.unsure == 4
    scenes = [seen(background(seed=i), rotations.IDENTITY) for i in range(6)]  # a cut at every frame
    turns, meter = measured(scenes)
    assert meter.unsure == 5
    assert tripod(turns)


def test_an_earlier_run_is_continued() -> None:
    wall, truth = background(), path()
    turned = TurnMeter(CAMERA, truth[20])
    turns = [turned.turn(Frame(i, i / 30, seen(wall, truth[i]), 1.0), []) for i in range(20, 40)]
    assert np.degrees(rotations.angle_between(np.array(turns), truth[20:])).max() < 0.1


@pytest.mark.parametrize("longer", [0.7, 1.5])
def test_a_pan_told_through_another_lens_is_put_right(longer: float) -> None:
    wall, truth = background(), path()
    meter = TurnMeter(replace(CAMERA, focal=CAMERA.focal / longer))
    told = np.array([meter.turn(Frame(i, i / 30, seen(wall, turn), 1.0), []) for i, turn in enumerate(truth)])
    assert np.degrees(rotations.angle_between(told, truth)).max() > 3.0
    turns, _ = refocused(told, np.zeros((len(told), 3)), longer)
    assert np.degrees(rotations.angle_between(turns, truth)).max() < 0.5


def test_a_person_seen_by_a_turning_camera_stands_still_in_the_world() -> None:
    frames = 40
    camera, turns = camera_at(height=1.4, distance=4.0, pitch=0.1), path()
    local = standing(frames)
    local[:, 0] = sk.Y_UP_TO_Z_UP
    pelvis = np.tile([0.1, 0.2, 0.95], (frames, 1))
    root = rotations.multiply(turns, rotations.multiply(camera.rotation, local[:, 0]))
    seen_root = np.concatenate([root[:, None], local[:, 1:]], axis=1)
    seen_pelvis = rotations.rotate(turns, to_camera(pelvis, camera))
    motion = Motion(np.arange(frames) / 30, seen_root, seen_pelvis, np.ones((frames, sk.COUNT)))
    still = steadied(motion, turns)
    np.testing.assert_allclose(to_world(still.pelvis, camera), pelvis, atol=1e-9)
    upright = rotations.multiply(rotations.inverse(camera.rotation), still.rotations[:, 0])
    assert rotations.angle_between(upright, local[:, 0]).max() < 1e-6
