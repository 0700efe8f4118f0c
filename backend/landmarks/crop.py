"""Square, rotated crops of a picture: what the landmark models look at, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..stages import Roi
from .silhouette import without


class Crop(NamedTuple):
    """A cut-out. picture: (size, size, 3) float32 in 0..1; affine (2, 3): crop pixels -> picture pixels."""

    picture: NDArray[np.float32]
    affine: Array
    roi: Roi
    mirrored: bool

    def to_picture(self, points: Array) -> Array:
        """(N, 2) crop pixels -> pixels of the whole picture."""
        return points @ self.affine[:, :2].T + self.affine[:, 2]

    def from_picture(self, points: Array) -> Array:
        """(N, 2) pixels of the whole picture -> crop pixels."""
        inverse: Array = np.linalg.inv(self.affine[:, :2])
        return (points - self.affine[:, 2]) @ inverse.T

    def to_camera(self, points: Array) -> Array:
        """(N, 3) in the crop's axes -> camera axes as seen along the ray to the crop's centre: the crop's rotation in
        the picture plane (and its mirroring) undone. x right, y down, z away from the camera; units unchanged."""
        c, s = np.cos(self.roi.angle), np.sin(self.roi.angle)
        x = -points[:, 0] if self.mirrored else points[:, 0]
        return np.stack([c * x - s * points[:, 1], s * x + c * points[:, 1], points[:, 2]], axis=1)


def cut(rgb: NDArray[np.uint8], roi: Roi, size: int, mirrored: bool = False, others: Sequence[Array] = ()) -> Crop:
    """Cut `roi` out of a picture, upright, `size` pixels a side; black outside the picture. others: landmarks (33, 2)
    of people to paint out."""
    k = roi.side / size
    c, s = np.cos(roi.angle) * k, np.sin(roi.angle) * k
    turn = np.array([[-c if mirrored else c, -s], [-s if mirrored else s, c]])
    affine = np.hstack([turn, (np.array([roi.x, roi.y]) - turn @ np.full(2, (size - 1) / 2))[:, None]])
    source, origin, factor = _reduced(rgb, roi, max(1, round(0.75 * k)))
    sampling = affine / factor
    sampling[:, 2] -= (origin + (factor - 1) / 2) / factor
    picture = cv2.warpAffine(source, sampling, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    crop = Crop(picture.astype(np.float32) * np.float32(1 / 255), affine, roi, mirrored)
    if others:
        return crop._replace(picture=without(crop.picture, [crop.from_picture(points) for points in others]))
    return crop


def _reduced(rgb: NDArray[np.uint8], roi: Roi, factor: int) -> tuple[NDArray[np.uint8], Array, int]:
    """The part of a picture around `roi`, its pixels averaged `factor` by `factor`: bilinear sampling of a crop much
    smaller than the region would skip pixels. -> picture, its top left corner (2,) in the whole one, factor."""
    height, width = rgb.shape[:2]
    reach = roi.side * np.sqrt(0.5)
    left, right = np.clip([roi.x - reach, roi.x + reach], 0, width).astype(int)
    top, bottom = np.clip([roi.y - reach, roi.y + reach], 0, height).astype(int)
    w, h = (right - left) // factor, (bottom - top) // factor
    if factor == 1 or w == 0 or h == 0:
        return rgb, np.zeros(2), 1
    part = rgb[top : top + h * factor, left : left + w * factor]
    small = np.asarray(cv2.resize(part, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.array([left, top], float), factor


def wrap(angle: float) -> float:
    """The same angle in -pi..pi."""
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def roi_along(start: Array, end: Array, side: float) -> Roi:
    """A square centred at `start` whose "up" points to `end` (both (2,) pixels)."""
    d = np.asarray(end, float) - start
    return Roi(float(start[0]), float(start[1]), float(side), wrap(np.arctan2(d[0], -d[1])))
