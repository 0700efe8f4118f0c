"""Corners of the background, followed from picture to picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..stages import Frame
from ..store import CORNER, ObservationStore

WIDTH = 480  # pixels of the picture that corners are followed in
MOST, SOME = 240, 80  # of them, and how few are too few
CLEAR = 0.4  # of a person's height that they stay away, if there are enough: near people, corners go along with them
APART = 8  # pixels between two
# What each must have of the best one's quality, and pixels across that it is told by: in fewer, noise makes corners of
# edges, which then slide along them.
QUALITY, BLOCK = 0.003, 7
BACK = 0.7  # pixels: followed back, a corner must come out this near to where it was
KEY = 0.2  # seconds between the frames that a camera's path is measured in
NAMES = 1000  # more than are found in one picture


class Corners:
    """What stands still behind the people. places (N, 2) pixels of the small picture, `full` full-size pixels each;
    names (N,): the same for the same corner, never used again."""

    def __init__(self) -> None:
        self.places = np.zeros((0, 2), np.float32)
        self.names = np.zeros(0, np.int64)
        self.full = 1.0
        self._gray: NDArray[np.uint8] | None = None
        self._index = 0

    def see(self, frame: Frame) -> NDArray[np.intp]:
        """Follow all corners into the next picture. -> rows of those that are still there; the others are gone."""
        before, now = self._gray, small_gray(frame.rgb)
        self._gray, self._index = now, frame.index
        self.full = frame.scale * max(frame.rgb.shape[:2]) / max(now.shape)
        rows = np.zeros(0, np.intp)
        if before is not None and before.shape == now.shape and len(self.places):
            self.places, there = followed(before, now, self.places)
            rows = np.flatnonzero(there)
        self.places, self.names = self.places[rows], self.names[rows]
        return rows

    def refill(self, people: list[Array]) -> int:
        """Look for more, away from the others and from people: boxes (left, top, right, bottom) in full-size pixels.

        -> how many were found; they are the last rows."""
        new = self._away_from(people, CLEAR)
        if len(self.places) + len(new) < SOME:  # somebody fills the picture
            new = self._away_from(people, 0.0)
        self.places = np.concatenate([self.places, new])
        self.names = np.concatenate([self.names, self._index * NAMES + np.arange(len(new))])
        return len(new)

    def _away_from(self, people: list[Array], clear: float) -> NDArray[np.float32]:
        """The best further corners (N, 2), as many as are wanted. clear: how far from a person's box, in parts of its
        longer side."""
        assert self._gray is not None
        mask = np.full(self._gray.shape, 255, np.uint8)
        for box in people:
            around = clear * float((box[2:] - box[:2]).max()) * np.array([-1, -1, 1, 1])
            left, top, right, bottom = np.maximum((box + around) / self.full, 0).astype(int)
            mask[top:bottom, left:right] = 0
        for place in self.places:
            cv2.circle(mask, (int(place[0]), int(place[1])), APART, (0,), -1)
        wanted = MOST - len(self.places)
        return found(self._gray, wanted, mask) if wanted > 0 else np.zeros((0, 2), np.float32)

    def records(self) -> NDArray[np.void]:
        """(N,) store.CORNER: where they are in the picture that was seen last."""
        records = np.empty(len(self.names), CORNER)
        records["frame"], records["name"], records["place"] = self._index, self.names, self.places * self.full
        return records


class KeyCorners:
    """Keeps the corners of each shot's key frames in the store."""

    def __init__(self, store: ObservationStore) -> None:
        self._store, self._shot = store, len(store.cuts)
        self._key, self._next = -1, -np.inf

    def keep(self, frame: Frame, corners: Corners) -> None:
        """Those of this frame, if it is time for a key frame."""
        if frame.time > self._next:
            self._store.corners(self._shot).append(corners.records())
            self._key, self._next = frame.index, frame.time + KEY - 1e-3

    def end_shot(self, corners: Corners) -> None:
        """The camera's path ends where the shot does."""
        ending = corners.records()
        self._store.corners(self._shot).append(ending[ending["frame"] > self._key])
        self._shot, self._next = self._shot + 1, -np.inf


def small_gray(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture that corners are followed in."""
    scale = min(1.0, WIDTH / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def found(gray: NDArray[np.uint8], most: int, mask: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
    """The best corners (N, 2) of a picture, where the mask is not 0."""
    best = cv2.goodFeaturesToTrack(gray, most, QUALITY, APART, mask=mask, blockSize=BLOCK)
    return np.zeros((0, 2), np.float32) if best is None else np.asarray(best, np.float32)[:, 0]


def followed(
    before: NDArray[np.uint8], now: NDArray[np.uint8], places: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where corners (N, 2) of one picture are in the next, and whether they are there: followed back, they come out
    where they were."""
    moved, there = _flow(before, now, places)
    back, here = _flow(now, before, moved)
    inside = ((moved >= 1) & (moved < np.array(now.shape[::-1]) - 1)).all(1)
    return moved, there & here & inside & (np.abs(back - places).max(1) < BACK)


def _flow(
    a: NDArray[np.uint8], b: NDArray[np.uint8], places: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where places (N, 2) of one picture are in another, and whether they were found there."""
    moved, status, _ = cv2.calcOpticalFlowPyrLK(
        a,
        b,
        places[:, None],
        None,
        winSize=(13, 13),
        maxLevel=3,  # type: ignore[call-overload]
    )
    return moved[:, 0], status[:, 0] > 0
