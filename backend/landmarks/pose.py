"""BlazePose: 33 body landmarks of the person inside a square region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.keypoints import LANDMARKS, mirrored
from ..core.rotations import Array
from ..stages import Roi
from .crop import cut, roi_along
from .litert import Model, sigmoid

SIZE = 256
ROI_SCALE = 1.25  # region of interest: this much larger than the circle around the body
INDEX = {name: i for i, name in enumerate(LANDMARKS)}
MIRROR = np.array(mirrored(LANDMARKS))


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
    """pose_landmark_full.tflite"""

    def __init__(self) -> None:
        self._model = Model("pose_landmark_full.tflite")

    def look(self, rgb: NDArray[np.uint8], roi: Roi, mirrored: bool = False, others: Sequence[Array] = ()) -> PoseLook:
        """Find the landmarks of the person in `roi` (pixels of `rgb`); mirrored: let the model see the crop mirrored,
        which gives an independent opinion (left and right are put back); others: landmarks (33, 2) of people that the
        model shall not see."""
        crop = cut(rgb, roi, SIZE, mirrored, others)
        # Outputs: 39 x (x, y, z, visibility, presence) in crop pixels, flag, mask, heat maps, 39 x metres. Points 33
        # and 34 are the centre and a point on the circle around the body.
        screen, flag, _, _, world = self._model(crop.picture)
        screen, world = screen.reshape(39, 5).astype(float), world.reshape(39, 3).astype(float)
        points = crop.to_picture(screen[:, :2])
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


def body_roi(center: Array, rim: Array) -> Roi:
    """The region of a person whose hips are at `center` and whose surrounding circle passes through `rim`, up."""
    return roi_along(center, rim, 2 * ROI_SCALE * max(1.0, float(np.hypot(*(rim - center)))))
