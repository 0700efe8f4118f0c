"""Poses fitted to keypoints: what is seen is matched, what is not seen stays as the network said."""

from __future__ import annotations

import numpy as np
import pytest

from backend.body import fit, seen
from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.rotations import IDENTITY, Array
from backend.stages import OBSERVATION, Camera

FRAMES = 40
CAMERA = Camera(1000.0, np.array([500.0, 500.0]), np.array([1000.0, 1000.0]), IDENTITY, np.zeros(3))
BODY = sk.neutral()


@pytest.fixture
def truth() -> tuple[Array, Array]:
    """Somebody who swings an arm, four metres away: local (T, 55, 4) in camera space, pelvis (T, 3)."""
    local = np.tile(IDENTITY, (FRAMES, sk.COUNT, 1))
    local[:, 0] = rotations.from_axis_angle([np.pi, 0.0, 0.0])
    swing = np.sin(np.arange(FRAMES) / 6.0)
    local[:, sk.INDEX["left_shoulder"]] = rotations.from_axis_angle(np.outer(swing, [0.0, 0.0, 0.8]))
    local[:, sk.INDEX["right_elbow"]] = rotations.from_axis_angle([0.0, 0.7, 0.0])
    return local, np.tile([0.0, 0.0, 4.0], (FRAMES, 1))


def observe(local: Array, pelvis: Array) -> np.ndarray:
    """Perfect keypoints of a pose."""
    out = np.zeros(FRAMES, OBSERVATION)
    out["time"] = np.arange(FRAMES) / 30
    out["keypoints"][:, seen.KEYPOINTS, :2] = _pixels(local, pelvis)
    out["keypoints"][:, seen.KEYPOINTS, 2] = 1.0
    return out


def _pixels(local: Array, pelvis: Array) -> Array:
    points = seen.seen_points(*sk.forward_kinematics(BODY, local, pelvis))
    return points[..., :2] / points[..., 2:] * CAMERA.focal + CAMERA.center


def spoiled(local: Array) -> Array:
    out = local.copy()
    for name in ("left_shoulder", "right_elbow", "left_hip", "right_knee"):
        wrong = rotations.from_axis_angle([0.1, 0.1, 0.2])
        out[:, sk.INDEX[name]] = rotations.multiply(out[:, sk.INDEX[name]], wrong)
    return out


def test_a_wrong_pose_is_put_right_and_a_right_one_stays(truth: tuple[Array, Array]) -> None:
    local, pelvis = truth
    observed = observe(local, pelvis)
    before = np.linalg.norm(_pixels(spoiled(local), pelvis) - _pixels(local, pelvis), axis=-1).mean()
    fitted, placed = fit.fitted(spoiled(local), pelvis, BODY, observed, CAMERA, np.ones(FRAMES))
    after = np.linalg.norm(_pixels(fitted, placed) - _pixels(local, pelvis), axis=-1).mean()
    assert after < 0.25 * before
    same, there = fit.fitted(local, pelvis, BODY, observed, CAMERA, np.ones(FRAMES))
    assert np.degrees(rotations.angle_between(same, local)).max() < 0.01
    np.testing.assert_allclose(there, pelvis, atol=1e-4)


def test_what_is_not_seen_stays_as_it_was(truth: tuple[Array, Array]) -> None:
    local, pelvis = truth
    observed = observe(local, pelvis)
    observed["keypoints"][..., 2] = 0.0
    wrong = spoiled(local)
    fitted, placed = fit.fitted(wrong, pelvis, BODY, observed, CAMERA, np.ones(FRAMES))
    np.testing.assert_allclose(fitted, wrong, atol=1e-9)
    np.testing.assert_allclose(placed, pelvis, atol=1e-9)


def test_one_keypoint_far_off_has_little_say(truth: tuple[Array, Array]) -> None:
    local, pelvis = truth
    observed = observe(local, pelvis)
    wrist = seen.KEYPOINTS[seen.NAMES.index("left_wrist")]
    observed["keypoints"][20:24, wrist, 0] += 400.0
    fitted, placed = fit.fitted(local, pelvis, BODY, observed, CAMERA, np.ones(FRAMES))
    off = np.linalg.norm(_pixels(fitted, placed) - _pixels(local, pelvis), axis=-1)
    assert off.max() < 12.0


def test_how_far_a_body_lies_from_its_keypoints(truth: tuple[Array, Array]) -> None:
    local, pelvis = truth
    observed = observe(local, pelvis)
    aside = np.zeros(FRAMES)
    aside[10:20] = 0.3  # metres
    moved = pelvis + np.column_stack([aside, np.zeros((FRAMES, 2))])
    np.testing.assert_allclose(fit.beside(local, moved, BODY, observed, CAMERA), aside, atol=1e-4)


def test_frames_far_apart_in_time_know_nothing_of_each_other(truth: tuple[Array, Array]) -> None:
    local, pelvis = truth
    observed = observe(local, pelvis)
    observed["time"][20:] += 5.0
    observed["keypoints"][20:, :, 2] = 0.0
    fitted, _ = fit.fitted(spoiled(local), pelvis, BODY, observed, CAMERA, np.ones(FRAMES))
    np.testing.assert_allclose(fitted[20:], spoiled(local)[20:], atol=1e-9)
    alone, _ = fit.fitted(spoiled(local)[:20], pelvis[:20], BODY, observed[:20], CAMERA, np.ones(20))
    np.testing.assert_allclose(fitted[:20], alone, atol=1e-9)


def test_one_frame_is_enough(truth: tuple[Array, Array]) -> None:
    local, pelvis = truth
    fitted, placed = fit.fitted(spoiled(local)[:1], pelvis[:1], BODY, observe(local, pelvis)[:1], CAMERA, np.ones(1))
    assert fitted.shape == (1, sk.COUNT, 4) and placed.shape == (1, 3)
