"""Where an edited video cuts to another picture. Every shot has a camera, a world and people of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from .stages import Frame
from .world.corners import MOST, followed, found, small_gray

GLANCE = (64, 36)  # pixels of the pictures that are compared first
OTHER = 8.0  # of 255: they differ by so much on average where there may be a cut; cuts tried here differ by 9 to 50
SAME = 0.1  # part of the corners that moves as one plane does: pans here 0.27 and more, cuts 0.1 and less in 94 of 100
NEAR = 4.0  # pixels of the small picture
FEWEST, AGAIN = 20, 8  # corners that can tell; of them that must be found again to tell a plane
APART = 0.15  # seconds between two frames that may have little in common anyway


def marked(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same frames, one later, told which of them begin another shot.

    Flashes and whipped pans change the picture for more than one frame in a row: those are no cuts.
    """
    waiting: Frame | None = None
    seen = np.zeros(0, np.float32)
    before = changes = False  # whether the picture changed with the frame before the one that waits, and with that one
    for frame in frames:
        glance, changed = _glance(frame.rgb), False
        if waiting is not None:
            alike = frame.rgb.shape != waiting.rgb.shape or np.abs(glance - seen).mean() < OTHER
            changed = not alike and frame.time - waiting.time < APART and _another(waiting.rgb, frame.rgb)
            yield waiting._replace(cut=changes and not before and not changed)
        waiting, seen, before, changes = frame, glance, changes, changed
    if waiting is not None:
        yield waiting._replace(cut=changes and not before)


def _glance(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A tiny picture, from every fourth pixel both ways: most frames are told by it alone."""
    tiny = cv2.resize(np.ascontiguousarray(rgb[::4, ::4]), GLANCE, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(cv2.cvtColor(tiny, cv2.COLOR_RGB2GRAY), (0, 0), 1).astype(np.float32)


def _another(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether two pictures (H, W, 3) show nothing in common."""
    # Lamps and exposures change.
    a, b = (np.asarray(cv2.equalizeHist(small_gray(rgb)), np.uint8) for rgb in (one, other))
    places = found(a, MOST)
    if len(places) < FEWEST:  # a blank picture
        a, b, places = b, a, found(b, MOST)
    if len(places) < FEWEST:
        return False
    moved, there = followed(a, b, places)
    if there.sum() < AGAIN:
        return True
    _, plane = cv2.findHomography(places[there], moved[there], cv2.RANSAC, NEAR)
    return plane is None or float(plane.sum()) < SAME * len(places)
