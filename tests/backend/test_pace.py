"""Slow videos: what is between their frames is filled in for the networks."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import camera_at, observe, standing

from backend.body.pace import CURVED, paced
from backend.core import rotations, skeleton
from backend.core.rotations import Array
from backend.look import BOX, record_with

CAMERA = camera_at(height=1.2, distance=4.0, pitch=0.1)


def walker(times: Array) -> np.ndarray:
    """Somebody who goes along the picture, seen at these times by a camera that turns."""
    pelvis = np.column_stack([np.sin(times), np.zeros(len(times)), np.full(len(times), 0.95)])
    observed = observe(skeleton.neutral(), standing(len(times)), pelvis, times, CAMERA)
    seen = np.zeros(len(times), record_with([BOX]))
    seen[list(observed.dtype.names)] = observed
    seen["box"] = np.tile(observed["keypoints"][:, 0, :2], 2) + [-50, -20, 50, 400]
    seen["frame"] = np.arange(len(times))
    seen["turn"] = rotations.from_axis_angle(np.outer(0.2 * times, [0.0, 1.0, 0.0]))
    return seen


@pytest.mark.parametrize("fps", [10, 15])
def test_slow_videos_are_filled_in_with_what_was_between(fps: int) -> None:
    given = walker(np.arange(2 * fps) / fps)
    filled, rows = paced(given)
    assert np.diff(filled["time"]) == pytest.approx(1 / 30, abs=1e-4)
    for name in (*CURVED, "turn"):
        np.testing.assert_allclose(filled[name][rows], given[name], atol=1e-5)
    true = walker(filled["time"].astype(float))
    assert np.abs(filled["keypoints"][..., :2] - true["keypoints"][..., :2]).max() < 2.0  # pixels
    assert np.abs(filled["box"] - true["box"]).max() < 2.0
    assert rotations.angle_between(filled["turn"], true["turn"]).max() < 1e-3


def test_quick_videos_and_gaps_stay_as_they_are() -> None:
    for times in (np.arange(30) / 24, np.arange(30) / 60, np.arange(1.0), np.array([0.0, 1 / 30, 1.0, 1 + 1 / 30])):
        given = walker(times)
        filled, rows = paced(given)
        assert filled is given and rows.tolist() == list(range(len(times)))
