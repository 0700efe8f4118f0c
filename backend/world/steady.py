"""How the camera turns, from what stands still behind the people.

Corners of the background are followed from frame to frame; the rotation that explains most of them is the camera's.
A tripod is recognised as one because its measured turn stays within the noise, not because it is assumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core.rotations import Array
from ..stages import Camera, Frame, Motion

WIDTH = 480  # pixels of the picture that corners are followed in
CORNERS, FEWEST = 240, 40
NEAR = 1.5  # pixels of WIDTH: a corner that moves with the background is this close to where the turn takes it
AGREE = 0.4  # part of the corners that must do so, else nothing is said about the turn
TRIPOD = np.radians(0.25)  # a camera that never turned more than this stood on a tripod
CALM, STEP = 30, 3  # after so many frames without a turn only each third frame is looked at
_STILL = np.radians(0.05)  # a turn from frame to frame that is none
_TRIES = 60


class TurnMeter:
    """Measures the camera's turn since the first frame, frame by frame."""

    def __init__(self, camera: Camera, turned: Array = rotations.IDENTITY) -> None:
        """camera: focal length and centre in full-size pixels; turned: where an earlier run had got to."""
        self._camera = camera
        self._key = np.array(turned, float)  # the turn when the corners were chosen
        self._turn = self._key
        self._gray: NDArray[np.uint8] | None = None
        self._chosen = self._corners = np.zeros((0, 2), np.float32)
        self._random = np.random.default_rng(0)
        self._calm = 0
        self.unsure = 0  # frames in which the background said nothing

    def turn(self, frame: Frame, people: list[Array]) -> Array:
        """(4,) quaternion: a direction seen along d in the first frame's camera axes is now seen along rotate(q, d).

        people: regions (x, y, side, angle) in full-size pixels, which corners are kept out of.
        """
        self._calm += 1
        if self._calm > CALM and self._calm % STEP:
            return self._turn
        before = self._turn
        height, width = frame.rgb.shape[:2]
        scale = min(1.0, WIDTH / max(height, width))
        small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        full = frame.scale / scale  # full-size pixels in one of ours
        if self._gray is not None and self._gray.shape == gray.shape and len(self._corners) >= FEWEST // 2:
            self._follow(gray, full)
        if len(self._corners) < FEWEST or self._moved() > 0.15 * WIDTH:
            self._choose(gray, people, full)
        self._gray = gray
        if rotations.angle_between(before, self._turn) > _STILL:
            self._calm = 0
        return self._turn

    def _moved(self) -> float:
        return float(np.median(np.linalg.norm(self._corners - self._chosen, axis=1)))

    def _choose(self, gray: NDArray[np.uint8], people: list[Array], full: float) -> None:
        """New corners, away from people."""
        mask = np.full(gray.shape, 255, np.uint8)
        for x, y, side, _ in people:
            half = 0.5 * side / full
            low = np.maximum(np.array([x, y]) / full - half, 0).astype(int)
            high = np.maximum(np.array([x, y]) / full + half, 0).astype(int)
            mask[low[1] : high[1], low[0] : high[0]] = 0
        found = cv2.goodFeaturesToTrack(gray, CORNERS, 0.01, 8, mask=mask)
        self._corners = np.zeros((0, 2), np.float32) if found is None else np.asarray(found, np.float32)[:, 0]
        self._chosen, self._key = self._corners, self._turn

    def _follow(self, gray: NDArray[np.uint8], full: float) -> None:
        """Find the corners again and the turn since they were chosen."""
        moved, status, _ = cv2.calcOpticalFlowPyrLK(
            self._gray,
            gray,
            self._corners[:, None],
            None,
            winSize=(13, 13),
            maxLevel=3,  # type: ignore[call-overload]
        )
        alive = status[:, 0] > 0
        self._chosen, self._corners = self._chosen[alive], moved[alive, 0]
        before, now = self._rays(self._chosen, full), self._rays(self._corners, full)
        tolerance = NEAR * full / self._camera.focal
        step, inliers = _common_rotation(before, now, tolerance, self._random)
        if len(now) < FEWEST // 2 or inliers.mean() < AGREE:
            self.unsure += 1
            self._corners = self._corners[:0]  # start again from here
            self._chosen = self._corners
            return
        self._turn = rotations.multiply(step, self._key)
        # What moves by itself (cars, leaves) leaves the set for good.
        self._chosen, self._corners = self._chosen[inliers], self._corners[inliers]

    def _rays(self, corners: NDArray[np.float32], full: float) -> Array:
        flat = (corners * full - self._camera.center) / self._camera.focal
        return rotations.normalize(np.column_stack([flat, np.ones(len(flat))]))


def _common_rotation(
    before: Array, now: Array, tolerance: float, random: np.random.Generator
) -> tuple[Array, NDArray[np.bool_]]:
    """The rotation that takes most directions `before` (N, 3) to `now` within `tolerance` radians (RANSAC on pairs).

    -> quaternion (4,), which of them it explains (N,).
    """
    count = len(before)
    if count < 2:
        return rotations.IDENTITY, np.ones(count, bool)
    pairs = random.integers(0, count, (_TRIES, 2))
    guesses = rotations.from_matrix(
        rotations.frame_from(now[pairs[:, 0]], now[pairs[:, 1]])
        @ np.swapaxes(rotations.frame_from(before[pairs[:, 0]], before[pairs[:, 1]]), -1, -2)
    )
    guesses = np.concatenate([rotations.IDENTITY[None], guesses[pairs[:, 0] != pairs[:, 1]]])
    errors = np.linalg.norm(rotations.rotate(guesses[:, None], before) - now, axis=-1)
    best = int((errors < tolerance).sum(1).argmax())
    rotation, inliers = guesses[best], errors[best] < tolerance
    for _ in range(2):
        if inliers.sum() >= 3:
            rotation = _fitted(before[inliers], now[inliers])
            inliers = np.linalg.norm(rotations.rotate(rotation, before) - now, axis=-1) < tolerance
    return rotation, inliers


def _fitted(before: Array, now: Array) -> Array:
    """Least-squares rotation (Kabsch) from directions (N, 3) to directions (N, 3). -> quaternion (4,)"""
    u, _, vt = np.linalg.svd(now.T @ before)
    return rotations.from_matrix(u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt)


def latest_turn(last: dict[int, np.void]) -> Array:
    """(4,) the turn in the newest of everybody's last observations; none when there are none."""
    newest = max(last.values(), key=lambda record: record["time"], default=None)
    return rotations.IDENTITY if newest is None else np.asarray(newest["turn"], float)


def tripod(turns: Array) -> bool:
    """Whether a camera with these turns (T, 4) stood still."""
    return bool(rotations.angle_between(rotations.IDENTITY, turns).max(initial=0.0) < TRIPOD)


def steadied(motion: Motion, turns: NDArray[Any]) -> Motion:
    """A motion in the space of the turning camera -> in that of the first frame's camera, as if it had not turned.

    turns (T, 4) as `TurnMeter` gives them.
    """
    back = rotations.inverse(turns)
    turned = motion.rotations.copy()
    turned[:, 0] = rotations.multiply(back, turned[:, 0])
    down = None if motion.down is None else rotations.rotate(back, motion.down)
    return replace(motion, rotations=turned, pelvis=rotations.rotate(back, motion.pelvis), down=down)
