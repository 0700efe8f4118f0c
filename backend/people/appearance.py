"""What a person looks like, coarsely: the colours of the torso, to know them again after an occlusion."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.pose import INDEX

_TORSO = [INDEX[name] for name in ("left_shoulder", "right_shoulder", "left_hip")]
_SIZE = 24
_BINS = (8, 4, 4)  # hue, saturation, value


def torso_colours(rgb: NDArray[np.uint8], points: Array) -> Array:
    """(128,) colour distribution of the torso between shoulders and hips, sums to 1. points: (33, 2) pixels."""
    corners = np.array([[_SIZE, 0], [0, 0], [_SIZE, _SIZE]], np.float32)
    patch = cv2.warpAffine(
        rgb,
        cv2.getAffineTransform(points[_TORSO].astype(np.float32), corners),
        (_SIZE, _SIZE),
        borderMode=cv2.BORDER_REPLICATE,
    )
    hsv = cv2.cvtColor(patch, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(_BINS), [0, 180, 0, 256, 0, 256]).ravel()
    return counts / max(1.0, float(counts.sum()))


def similarity(a: Array, b: Array) -> float:
    """Bhattacharyya coefficient of two colour distributions: 1 the same, 0 nothing in common."""
    return float(np.sqrt(a * b).sum())
