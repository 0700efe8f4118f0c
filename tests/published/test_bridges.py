"""Between our observations and what the published networks were trained on: turns, boxes, numbers, small toes."""

from __future__ import annotations

import numpy as np
import torch

from backend.body.feet import FootMR
from backend.body.tokens import tokens
from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.keypoints import INDEX as KEYPOINT
from backend.look import BOX, record_with
from backend.published import gvhmr
from backend.published.solvers import gvhmr_inputs
from backend.stages import Camera, Motion

FRAMES = 8
SMALL_TOES = [KEYPOINT["left_small_toe"], KEYPOINT["right_small_toe"]]
CAMERA = Camera(1000.0, np.array([640.0, 360.0]), np.array([1280.0, 720.0]), rotations.IDENTITY, np.zeros(3))


def standing(toes: float = 0.9) -> np.ndarray:
    """(T,) records of somebody who stands; toes: confidence of the small toes."""
    seen = np.zeros(FRAMES, record_with([BOX]))
    seen["time"], seen["frame"] = np.arange(FRAMES) / 30, np.arange(FRAMES)
    seen["turn"] = rotations.IDENTITY
    places = np.random.default_rng(0).uniform([600, 160], [680, 560], (133, 2))
    for side, x in (("left", 660), ("right", 620)):
        out = 1 if side == "left" else -1
        for point, dx, y in (
            ("ankle", 0, 540), ("heel", -4 * out, 556), ("big_toe", 12 * out, 566), ("small_toe", 22 * out, 560)
        ):  # fmt: skip
            places[KEYPOINT[f"{side}_{point}"]] = x + dx, y
    seen["keypoints"][..., :2], seen["keypoints"][..., 2] = places, 0.9
    seen["keypoints"][:, SMALL_TOES, 2] = toes
    seen["box"] = [590, 150, 690, 570]
    return seen


def test_gvhmr_is_told_turns_to_the_next_frame_as_rows() -> None:
    """R[t+1] R[t]^T of world-to-camera rotations, its first two rows, less [1 0 0 0 1 0], over [.001 .1 .1 .1 .001 .1];
    the last one twice."""
    axis = np.array([0.0, 1.0, 0.0])
    angles = np.array([0.0, 0.02, 0.05])
    turned = torch.from_numpy(rotations.to_matrix(rotations.from_axis_angle(angles[:, None] * axis))).float()
    steps = np.array([0.02, 0.03, 0.03])
    rows = np.stack([np.cos(steps), 0 * steps, np.sin(steps), 0 * steps, 1 + 0 * steps, 0 * steps], -1)
    np.testing.assert_allclose(gvhmr.camera_turn(turned), rows, atol=1e-6)
    expected = (rows - [1, 0, 0, 0, 1, 0]) / [0.001, 0.1, 0.1, 0.1, 0.001, 0.1]
    np.testing.assert_allclose(gvhmr.normalised_turn(gvhmr.camera_turn(turned)), expected, atol=1e-3)


def test_gvhmr_sees_keypoints_in_a_box_a_fifth_larger_than_the_person() -> None:
    seen = standing()
    seen["turn"] = rotations.from_axis_angle(np.arange(FRAMES)[:, None] * [0.0, 0.01, 0.0])
    for keypoints in (17, 23):
        obs, cliff, turn = gvhmr_inputs(seen, CAMERA, keypoints)
        side = 1.2 * 420  # of the box of 100 by 420 at 3:4
        xy = 2 * (seen["keypoints"][:, :keypoints, :2] - [640, 360]) / side
        assert obs.shape == (1, FRAMES, keypoints, 3)
        np.testing.assert_allclose(obs[0, ..., :2], xy, atol=1e-5)
        np.testing.assert_allclose(cliff[0], np.tile([0.0, 0.0, side / 1000], (FRAMES, 1)), atol=1e-6)
        np.testing.assert_allclose(turn[0, :, 2], np.full(FRAMES, np.sin(0.01) / 0.1), atol=1e-5)


def test_gvhmrs_numbers_are_those_of_its_training() -> None:
    """Some of the published statistics: first, of the shape, of the orientation in the camera, last."""
    mean, std = gvhmr.statistics()
    assert mean.shape == std.shape == (151,)
    np.testing.assert_allclose(mean[[0, 5, 126, 140, 150]], [0.96969, 0.10972, 0.231, -0.94419, 0.0069], atol=2e-5)
    np.testing.assert_allclose(std[[0, 5, 126, 140, 150]], [0.0612, 0.3268, 0.8831, 0.1546, 0.0138], atol=1e-4)


def test_small_toes_that_are_seen_reach_our_ankles() -> None:
    """A published keypoint engine sees small toes, the embedded one does not: the same network uses what is there."""
    motion = Motion(
        np.arange(FRAMES) / 30, np.broadcast_to(rotations.IDENTITY, (FRAMES, sk.COUNT, 4)).copy(),
        np.zeros((FRAMES, 3)), np.ones((FRAMES, sk.COUNT)),
    )  # fmt: skip
    motion.rotations[:, 0] = rotations.from_axis_angle([np.pi, 0, 0])  # upright before the camera
    refiner = FootMR()

    def ankles(toes: float, moved: float = 0.0) -> np.ndarray:
        seen = standing(toes)
        seen["keypoints"][:, SMALL_TOES, 1] += moved
        if toes:
            assert (tokens(seen, None, CAMERA).obs[:, SMALL_TOES, 2] > 0.5).all()
        return refiner.refine(motion, seen, CAMERA).rotations[:, sk.ANKLES]

    unseen = ankles(0.0)
    np.testing.assert_allclose(unseen, ankles(0.0, moved=10.0), atol=1e-5)  # wherever they are said to be
    for other in (unseen, ankles(0.9, moved=10.0)):
        assert np.degrees(rotations.angle_between(ankles(0.9), other)).max() > 0.02
