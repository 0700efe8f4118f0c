"""How the camera turns, from what stands still behind the people.

Corners of the background are followed from frame to frame; the rotation that explains most of them is the camera's.
A tripod is recognised as one because its measured turn stays within the noise, not because it is assumed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core.rotations import Array
from ..stages import Camera, Frame, Motion
from .corners import WIDTH, Corners

ENOUGH, FEWEST = 160, 40  # corners that are followed; that measure the turn
NEAR = 1.5  # pixels of WIDTH: a corner that moves with the background is this close to where the turn takes it
AGREE = 0.4  # part of the corners that must do so, else nothing is said about the turn
TRIPOD = np.radians(0.25)  # a camera that never turned more than this stood on a tripod
CALM, STEP = 30, 3  # after so many frames without a turn only each third frame is looked at
_STILL = np.radians(0.05)  # a turn from frame to frame that is none
_TRIES = 60


class TurnMeter:
    """Measures the camera's turn since the first frame of its shot, frame by frame."""

    def __init__(self, camera: Camera, turned: Array = rotations.IDENTITY) -> None:
        """camera: focal length and centre in full-size pixels; turned: where an earlier run had got to."""
        self._camera = camera
        self.unsure = 0  # frames in which the background said nothing
        self._start(turned)

    def _start(self, turned: Array) -> None:
        """Nothing has been followed yet."""
        self.corners = Corners()
        self._key = np.array(turned, float)  # the turn at the key frame
        self._turn = self._key
        self._then = np.zeros((0, 2), np.float32)  # where the corners were in the key frame
        self._steady = np.zeros(0, bool)  # those that have moved with the background since
        self._calm = 0
        self._sure = True  # whether the last frame that was looked at told the turn
        self.fresh = False  # whether the last frame was looked at
        self._random = np.random.default_rng(0)

    def turn(self, frame: Frame, people: list[Array]) -> Array:
        """(4,) quaternion: a direction seen along d in the shot's first camera axes is now seen along rotate(q, d).

        people: boxes (left, top, right, bottom) in full-size pixels, which corners are kept out of.
        """
        if frame.cut:
            self._start(rotations.IDENTITY)
        self._calm += 1
        self.fresh = self._calm <= CALM or self._calm % STEP == 0
        if self.fresh:
            self._look(frame, people)
        self.unsure += not self._sure
        return self._turn

    def _look(self, frame: Frame, people: list[Array]) -> None:
        before, first = self._turn, self._calm == 1 and not len(self._then)
        rows = self.corners.see(frame)
        self._then, self._steady = self._then[rows], self._steady[rows]
        self._sure = self._measure() if self._steady.sum() >= FEWEST // 2 else first
        if len(rows) < ENOUGH:
            new = self.corners.refill(people)
            self._then = np.concatenate([self._then, self.corners.places[len(rows) :]])
            self._steady = np.concatenate([self._steady, np.zeros(new, bool)])
        if self._steady.sum() < FEWEST or self._moved() > 0.15 * WIDTH:
            self._begin()
        if rotations.angle_between(before, self._turn) > _STILL:
            self._calm = 0

    def _moved(self) -> float:
        return float(np.median(np.linalg.norm((self.corners.places - self._then)[self._steady], axis=1)))

    def _begin(self) -> None:
        """This is the key frame now."""
        self._key, self._then = self._turn, self.corners.places
        self._steady = np.ones(len(self._then), bool)

    def _measure(self) -> bool:
        """The turn since the key frame, if the background tells it."""
        steady = self._steady
        before, now = self._rays(self._then[steady]), self._rays(self.corners.places[steady])
        tolerance = NEAR * self.corners.full / self._camera.focal
        step, inliers = _common_rotation(before, now, tolerance, self._random)
        if inliers.mean() < AGREE:
            self._begin()  # start again from here
            return False
        self._turn = rotations.multiply(step, self._key)
        # What moves by itself (cars, leaves), or is near while the camera travels, has no say until the next key frame.
        self._steady = steady.copy()
        self._steady[np.flatnonzero(steady)[~inliers]] = False
        return True

    def _rays(self, corners: NDArray[np.float32]) -> Array:
        flat = (corners * self.corners.full - self._camera.center) / self._camera.focal
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


def tripod(turns: Array) -> bool:
    """Whether a camera with these turns (T, 4) stood still."""
    return bool(rotations.angle_between(rotations.IDENTITY, turns).max(initial=0.0) < TRIPOD)


def steadied(motion: Motion, turns: NDArray[Any], places: Array | None = None) -> Motion:
    """A motion in the space of the moving camera -> in that of the first frame's camera, as if it had not moved.

    turns (T, 4) as `TurnMeter` gives them; places (T, 3) metres: where the camera was, in the first frame's axes.
    """
    back = rotations.inverse(turns)
    turned = motion.rotations.copy()
    turned[:, 0] = rotations.multiply(back, turned[:, 0])
    down = None if motion.down is None else rotations.rotate(back, motion.down)
    pelvis = rotations.rotate(back, motion.pelvis)
    return replace(
        motion, rotations=turned, pelvis=pelvis if places is None else pelvis + places, down=down, eye=places
    )
