"""Hands: 21 landmarks each, looked for where the body landmarks say that the hand is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..stages import Roi
from .crop import cut, roi_along
from .litert import Model
from .pose import INDEX, PoseLook

SIZE = 224
RECROP_SIZE = 256
SMALLEST = 20.0  # pixels; below this side a region shows no fingers
_PRESENT = 0.5  # of the model's presence: the hand is there
_SEED_SCALE = 2 * 2.7  # region to search for a hand, in distances from the wrist to the middle of the knuckles
_ROI_SCALE = 2.0  # region around a hand, in sides of its knuckles' bounding square
_ROI_SHIFT = -0.1  # of that square, towards the wrist's opposite: fingers need the room
_KNUCKLES = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)  # points that move little when the fingers bend
_FAR = 0.6  # of the region's side: a "hand" whose wrist is farther from the body's is someone else's
_OTHER, _SURELY_OTHER = 0.5, 0.05  # of the model's handedness: below this it takes the hand for the other one
SIDES = ("left", "right")


class HandLook(NamedTuple):
    """One hand. points (21, 2) pixels; world (21, 3) metres, wrist-centred, camera axes as seen along the ray to the
    crop's centre; presence 0..1: whether there is a hand; confidence 0..1: also how sure it is which way it faces;
    roi: where to look next."""

    points: Array
    world: Array
    presence: float
    confidence: float
    roi: Roi


class HandModel:
    """hand_recrop.tflite finds the hand near the wrist, hand_landmark_full.tflite its landmarks."""

    def __init__(self) -> None:
        self._recrop = Model("hand_recrop.tflite")
        self._model = Model("hand_landmark_full.tflite")

    def look(self, rgb: NDArray[np.uint8], pose: PoseLook, side: int, last: HandLook | None) -> HandLook | None:
        """Hand `side` (0 left, 1 right: the person's own) of a body; last: the same hand in the frame before.

        None when the hand is too small, hidden, or not there."""
        wrist, other = (pose.points[INDEX[f"{SIDES[k]}_wrist"]] for k in (side, 1 - side))
        if last is not None:
            found = self._landmarks(rgb, last.roi, side, wrist, other)
            if found and np.hypot(*(found.points[0] - wrist)) < _FAR * found.roi.side:
                return found
        pinky, index = (pose.points[INDEX[f"{SIDES[side]}_{name}"]] for name in ("pinky", "index"))
        knuckles = (pinky + 2 * index) / 3
        seed = roi_along(knuckles, 2 * knuckles - wrist, _SEED_SCALE * float(np.hypot(*(knuckles - wrist))))
        height, width = rgb.shape[:2]
        if seed.side < SMALLEST or not (0 <= seed.x < width and 0 <= seed.y < height):
            return None
        return self._landmarks(rgb, self._search(rgb, seed), side, wrist, other)

    def _search(self, rgb: NDArray[np.uint8], seed: Roi) -> Roi:
        """A close region around the hand somewhere in `seed`."""
        crop = cut(rgb, seed, RECROP_SIZE)
        # The model gives the hand's centre and a point on the circle around it, towards the wrist.
        center, rim = crop.to_picture(self._recrop(crop.picture)[0].reshape(2, 2).astype(float))
        return roi_along(center, 2 * center - rim, 2 * float(np.hypot(*(rim - center))))

    def _landmarks(self, rgb: NDArray[np.uint8], roi: Roi, side: int, wrist: Array, other: Array) -> HandLook | None:
        """The hand in `roi`; None when there is none, or it is the other one: surely, or since it is at the `other`
        wrist (2,) pixels.

        A left palm looks like the back of a right hand. Whoever takes one for the other sees the points in the right
        places of the picture, and what is near far: the depth is turned round then.
        """
        crop = cut(rgb, roi, SIZE)
        # Outputs: 21 x (x, y, z) in crop pixels, presence, handedness (1: right), 21 x metres.
        screen, presence, right, world = self._model(crop.picture)
        points = crop.to_picture(screen.reshape(21, 3)[:, :2].astype(float))
        metres = crop.to_camera(world.reshape(21, 3).astype(float))
        there, this_side = float(presence.item()), float(right.item() if side else 1 - right.item())
        if there < _PRESENT:
            return None
        if this_side < _OTHER:
            if this_side < _SURELY_OTHER or np.hypot(*(points[0] - other)) < np.hypot(*(points[0] - wrist)):
                return None
            metres[:, 2] *= -1
        return HandLook(points, metres - metres[0], there, there * abs(2 * this_side - 1), _around(points))


def _around(points: Array) -> Roi:
    """The region for the next look: a square along the hand, around its knuckles."""
    wrist = points[0]
    ahead = 0.5 * (0.5 * (points[5] + points[13]) + points[9]) - wrist  # towards the fingers' roots
    up = ahead / max(1e-6, float(np.hypot(*ahead)))
    axes = np.stack([np.array([-up[1], up[0]]), -up])  # right and down of the upright hand
    along = points[list(_KNUCKLES)] @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    box = high - low
    center = (low + high) / 2 + np.array([0.0, _ROI_SHIFT * box[1]])
    middle = center @ axes
    return roi_along(middle, middle + up, _ROI_SCALE * float(box.max()))
