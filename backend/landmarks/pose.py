"""BlazePose: 33 body landmarks of the person inside a square region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.keypoints import LANDMARKS, mirrored
from ..core.rotations import Array
from ..embedded import FULL
from ..stages import Roi
from .crop import cut, roi_along
from .litert import Model, sigmoid

SIZE = 256
ROI_SCALE = 1.25  # region of interest: this much larger than the circle around the body
INDEX = {name: i for i, name in enumerate(LANDMARKS)}
MIRROR = np.array(mirrored(LANDMARKS))
REACH, SHARP = 4, 3.0  # cells of a heat map around a point that are looked at, and the power that favours the hottest
COLD = 0.1  # a heat map that is nowhere hotter there shows nothing


class PoseLook(NamedTuple):
    """What the model says about one crop.

    points (33, 2) pixels; visibility, presence (33,) 0..1 (unoccluded; inside the crop); world (33, 3) metres,
    hip-centred, camera axes as seen along the ray to the crop's centre; flag 0..1: whether there is a person;
    roi: the region that the landmarks suggest for the next look; used: the region looked at.
    """

    points: Array
    visibility: Array
    presence: Array
    world: Array
    flag: float
    roi: Roi
    used: Roi


class PoseModel:
    """BlazePose's landmark model. size: `embedded.FULL`, or `embedded.HEAVY`, which is surer and three times slower."""

    def __init__(self, size: str = FULL) -> None:
        self._model = Model(size)

    def look(self, rgb: NDArray[np.uint8], roi: Roi, mirrored: bool = False, others: Sequence[Array] = ()) -> PoseLook:
        """Find the landmarks of the person in `roi` (pixels of `rgb`); mirrored: let the model see the crop mirrored,
        which gives an independent opinion (left and right are put back); others: landmarks (33, 2) of people that the
        model shall not see."""
        crop = cut(rgb, roi, SIZE, mirrored, others)
        # Outputs: 39 x (x, y, z, visibility, presence) in crop pixels, flag, mask, heat maps, 39 x metres. Points 33
        # and 34 are the centre and a point on the circle around the body.
        screen, flag, _, heat, world = self._model(crop.picture)
        screen, world = screen.reshape(39, 5).astype(float), world.reshape(39, 3).astype(float)
        points = crop.to_picture(sharpened(screen[:, :2], heat[0]))
        confidence = sigmoid(screen[:33, 3:])
        metres = crop.to_camera(world[:33])
        order = MIRROR if mirrored else slice(None)
        return PoseLook(
            points[:33][order],
            confidence[order, 0],
            confidence[order, 1],
            metres[order],
            float(flag.ravel()[0]),
            body_roi(points[33], points[34]),
            roi,
        )


def sharpened(points: Array, heat: NDArray[np.float32]) -> Array:
    """(N, 2) crop pixels, each moved to the middle of what its heat map (cells, cells, N; logits) shows around it.

    The points come from a regression that sees the whole crop; the heat maps see where a joint is: frame to frame they
    err by a third less (docs/evaluation.md). BlazePose (Bazarevsky et al. 2020) has both.
    """
    cells = len(heat)
    around = np.arange(-REACH, REACH + 1)
    places = np.floor(points * cells / SIZE).astype(int)[..., None] + around  # (N, 2, K): columns, rows
    inside = (places >= 0) & (places < cells)
    columns, rows = np.clip(places, 0, cells - 1).swapaxes(0, 1)
    spot = sigmoid(heat[rows[:, :, None], columns[:, None, :], np.arange(len(points))[:, None, None]])
    spot = spot * (inside[:, 1, :, None] & inside[:, 0, None, :])
    shown = spot.max((1, 2)) > COLD
    weight = spot**SHARP / np.maximum((spot**SHARP).sum((1, 2), keepdims=True), 1e-12)
    middle = np.stack([(weight.sum(1) * columns).sum(1), (weight.sum(2) * rows).sum(1)], 1) * (SIZE / cells)
    return np.where(shown[:, None], middle, points)


def body_roi(center: Array, rim: Array) -> Roi:
    """The region of a person whose hips are at `center` and whose surrounding circle passes through `rim`, up."""
    return roi_along(center, rim, 2 * ROI_SCALE * max(1.0, float(np.hypot(*(rim - center)))))
