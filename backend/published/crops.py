"""What the published networks look at: crops and pictures cut, smoothed and normalised exactly as each was trained.

They differ in how boxes map to pixels, how large pictures are smoothed before, and in the box's margin. A box is
(centre x, centre y, side) in pixels; pictures are RGB, uint8.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..core.rotations import Array

SIZE = 256  # pixels of the square crop
COLUMNS = slice(32, 224)  # of it that the networks look at
MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet
STD = np.array([0.229, 0.224, 0.225], np.float32)
GVHMR_MARGIN = 1.2
GVHMR_SHRUNK = 0.5  # of the picture that its crops are cut from
CALIBRATION_SIDE = 600  # pixels of the shorter side that CamCalib looks at
_WHOLE = 1 << 22  # Pillow's weights are whole parts of it
_SMOOTH = 1.1  # a crop shrunk by more than twice this is smoothed before

Picture = NDArray[np.uint8]
Planes = NDArray[np.float32]  # (3, 256, 192) or (3, height, width), normalised


def square(corners: Array, margin: float = 1.0) -> Array:
    """Boxes (..., 4) left, top, right, bottom -> squares (..., 3) that hold them at the networks' ratio of 3:4."""
    low, high = corners[..., :2], corners[..., 2:]
    width, height = np.moveaxis(high - low, -1, 0)
    side = margin * np.maximum(height, width * 4 / 3)
    return np.concatenate([(low + high) / 2, side[..., None]], -1)


def humans4d(rgb: Picture, box: Array) -> Planes:
    """The crop of 4D-Humans: the box (no margin) maps onto 256 pixels, its centre to (128, 128)."""
    x, y, side = (float(v) for v in box)
    scale = SIZE / side
    source: NDArray[Any] = rgb
    left = top = 0
    if (shrunk := side / SIZE / 2) > _SMOOTH:
        source, left, top = _smoothed(rgb, box, sigma=(shrunk - 1) / 2)
    return _normalised(_warped(source, scale, SIZE / 2 - scale * (x - left), SIZE / 2 - scale * (y - top)))


def gvhmr(rgb: Picture, box: Array) -> Planes:
    """The crop of GVHMR and FootMR, for HMR2.0's token and for ViTPose: from the picture at half its size, the box
    (with GVHMR_MARGIN) maps onto 255 pixels."""
    half = cv2.resize(rgb, None, fx=GVHMR_SHRUNK, fy=GVHMR_SHRUNK, interpolation=cv2.INTER_AREA)
    x, y, side = (GVHMR_SHRUNK * float(v) for v in box)
    if (shrunk := side / SIZE / 2) > _SMOOTH:
        half = cv2.GaussianBlur(half, (5, 5), (shrunk - 1) / 2)
    scale = (SIZE - 1) / side
    return _normalised(_warped(half, scale, scale * (side / 2 - x), scale * (side / 2 - y)))


def camcalib(rgb: Picture) -> Planes:
    """The whole picture as CamCalib sees it: its shorter side 600 pixels, shrunk as Pillow does it."""
    shorter = min(rgb.shape[:2])
    height, width = (CALIBRATION_SIDE * side // shorter for side in rgb.shape[:2])
    return planes(resized(rgb, width, height))


def resized(picture: Picture, width: int, height: int) -> Picture:
    """A picture (H, W, 3) by Pillow's `BILINEAR`: every pixel is a mean under a triangle that is as wide as shrinking
    asks for, first along the rows, then along the columns. Number for number the same."""
    found: NDArray[Any] = picture
    for side in (width, height):
        lines = found.swapaxes(0, 1)  # on its side; the second time, back
        weights = csr_array(_triangles(len(lines), side))
        found = np.floor(weights @ lines.reshape(len(lines), -1) + 0.5).reshape(side, *lines.shape[1:])
    return found.astype(np.uint8)


def _triangles(source: int, target: int) -> Array:
    """(target, source) how much each pixel of a line counts for each of another length."""
    scale = source / target
    apart = np.arange(source) + 0.5 - scale * (np.arange(target)[:, None] + 0.5)
    weights = np.maximum(0.0, 1 - np.abs(apart) / max(scale, 1.0))
    return np.rint(weights / weights.sum(1, keepdims=True) * _WHOLE) / _WHOLE


def whmr(rgb: Picture, box: Array) -> Planes:
    """The crop of W-HMR: as 4D-Humans', without smoothing."""
    x, y, side = (float(v) for v in box)
    scale = SIZE / side
    return _normalised(_warped(rgb, scale, SIZE / 2 - scale * x, SIZE / 2 - scale * y))


def planes(picture: NDArray[Any]) -> Planes:
    """(H, W, 3) in 0..255 -> (3, H, W), normalised with ImageNet's mean and deviation."""
    scaled = (picture.astype(np.float32) / 255 - MEAN) / STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)


def _normalised(crop: NDArray[Any]) -> Planes:
    return planes(crop[:, COLUMNS])


def _warped(source: NDArray[Any], scale: float, right: float, down: float) -> NDArray[Any]:
    """The square crop; black beyond the picture. A pixel p of the picture goes to scale * p + (right, down)."""
    matrix = np.array([[scale, 0.0, right], [0.0, scale, down]])
    return np.asarray(cv2.warpAffine(source, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR))


def _smoothed(rgb: Picture, box: Array, sigma: float) -> tuple[NDArray[Any], int, int]:
    """The picture where the box is, smoothed by a Gaussian cut off at 4 sigma, as scikit-image does it; and where in
    the picture that part begins."""
    radius = int(4 * sigma + 0.5)
    height, width = rgb.shape[:2]
    reach = float(box[2]) / 2 + radius + 2
    left, right = (int(v) for v in np.clip([box[0] - reach, box[0] + reach + 1], 0, width))
    top, bottom = (int(v) for v in np.clip([box[1] - reach, box[1] + reach + 1], 0, height))
    if right <= left or bottom <= top:
        return rgb, 0, 0
    part, size = rgb[top:bottom, left:right].astype(np.float32), 2 * radius + 1
    return cv2.GaussianBlur(part, (size, size), sigma, borderType=cv2.BORDER_REPLICATE), left, top
