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
    picture: NDArray[np.uint8] | None = None
    before = changes = False  # whether the picture changed with the frame before the one that waits, and with that one
    for frame in frames:
        following, changed = small_gray(frame.rgb), False
        if waiting is not None and picture is not None and frame.time - waiting.time < APART:
            changed = _another(picture, following)
        if waiting is not None:
            yield waiting._replace(cut=changes and not before and not changed)
        waiting, picture, before, changes = frame, following, changes, changed
    if waiting is not None:
        yield waiting._replace(cut=changes and not before)


def _another(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether two pictures show nothing in common."""
    glances = [cv2.GaussianBlur(cv2.resize(p, GLANCE, interpolation=cv2.INTER_AREA), (0, 0), 1) for p in (a, b)]
    if a.shape != b.shape or float(cv2.absdiff(*glances).mean()) < OTHER:
        return False
    a, b = (np.asarray(cv2.equalizeHist(p), np.uint8) for p in (a, b))  # lamps and exposures change
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
