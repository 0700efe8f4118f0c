"""The face: 468 mesh points, of which we keep the 68 of the iBUG scheme."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..stages import Roi
from .crop import cut, roi_along
from .litert import Model, sigmoid
from .pose import INDEX, PoseLook

SIZE = 192
SMALLEST = 24.0  # pixels; below this side a region shows no features
_PRESENT = 0.5
_SEED_SCALE = 4.5  # region to look at first, in distances from the eyes to the mouth
_ROI_SCALE = 1.5  # region of the next look, in sides of the mesh's bounding square
_FAR = 0.35  # of the region's side: a face farther from the body's nose is another one
_FOREHEAD, _CHIN = 10, 152  # of the mesh

# Mesh points that lie where iBUG has its 68: jaw from the person's right ear over the chin to the left, right and
# left brow, bridge and base of the nose, right and left eye, outer and inner lips.
IBUG = np.array(
    [127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356]
    + [70, 63, 105, 66, 107, 336, 296, 334, 293, 300]
    + [168, 197, 5, 4, 98, 97, 2, 326, 327]
    + [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380]
    + [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181]
    + [78, 81, 13, 311, 308, 402, 14, 178]
)


class FaceLook(NamedTuple):
    """points (68, 2) pixels, iBUG order; confidence 0..1; roi: where to look next."""

    points: Array
    confidence: float
    roi: Roi


class FaceModel:
    """face_landmark.tflite"""

    def __init__(self) -> None:
        self._model = Model("face_landmark.tflite")

    def look(self, rgb: NDArray[np.uint8], pose: PoseLook, last: FaceLook | None) -> FaceLook | None:
        """The face of a body; last: the same face in the frame before. None when it is too small, hidden or away."""
        nose = pose.points[INDEX["nose"]]
        if last is not None:
            found = self._landmarks(rgb, last.roi)
            if found.confidence >= _PRESENT and np.hypot(*(found.points[30] - nose)) < _FAR * found.roi.side:
                return found
        eyes, mouth = (
            pose.points[[INDEX[a], INDEX[b]]].mean(axis=0)
            for a, b in (("left_eye", "right_eye"), ("mouth_left", "mouth_right"))
        )
        seed = roi_along((eyes + mouth) / 2, eyes, _SEED_SCALE * float(np.hypot(*(eyes - mouth))))
        height, width = rgb.shape[:2]
        if seed.side < SMALLEST or not (0 <= seed.x < width and 0 <= seed.y < height):
            return None
        found = self._landmarks(rgb, seed)
        if found.confidence < _PRESENT:
            return None
        return self._landmarks(rgb, found.roi)

    def _landmarks(self, rgb: NDArray[np.uint8], roi: Roi) -> FaceLook:
        crop = cut(rgb, roi, SIZE)
        screen, logit = self._model(crop.picture)
        mesh = crop.to_picture(screen.reshape(468, 3)[:, :2].astype(float))
        up = mesh[_FOREHEAD] - mesh[_CHIN]
        middle = (mesh.min(axis=0) + mesh.max(axis=0)) / 2
        side = _ROI_SCALE * float(np.ptp(mesh, axis=0).max())
        return FaceLook(mesh[IBUG], float(sigmoid(logit).item()), roi_along(middle, middle + up, side))
