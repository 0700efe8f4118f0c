"""Painting people out of a picture by their landmarks, so that the landmark model sees who is behind or beside them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core.keypoints import LANDMARKS
from ..core.rotations import Array

_INDEX = {name: i for i, name in enumerate(LANDMARKS)}
# Limbs and how thick they are, in lengths of the torso: clothes and shoes included.
_LIMBS = [
    (_INDEX[f"{side}_{a}"], _INDEX[f"{side}_{b}"], thickness)
    for side in ("left", "right")
    for a, b, thickness in (
        ("shoulder", "hip", 0.4), ("shoulder", "elbow", 0.24), ("elbow", "wrist", 0.2), ("wrist", "index", 0.18),
        ("hip", "knee", 0.32), ("knee", "ankle", 0.24), ("ankle", "foot_index", 0.2), ("heel", "foot_index", 0.18),
    )
]  # fmt: skip
_TORSO = [_INDEX[name] for name in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
_HEAD = [_INDEX[name] for name in ("nose", "left_ear", "right_ear")]
_HEAD_RADIUS, _NECK = 0.3, 0.25
_SHORTEST = 0.12  # of the body's height: a torso seen from above is still as thick as this
_COARSE = 8  # pixels of the picture to one of the blurred picture that fills the gap
_SIZE = 128  # pixels of the mask that points are looked up in
_REACH = 2.0  # coarse pixels that the fill averages over


def silhouette(points: Array, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(height, width) where a body with these landmarks (33, 2; pixels) about is."""
    mask = np.zeros(size, np.uint8)
    shoulders, hips = points[_TORSO[:2]].mean(axis=0), points[_TORSO[2:]].mean(axis=0)
    length = max(float(np.hypot(*(shoulders - hips))), _SHORTEST * float(np.ptp(points, axis=0).max()), 1.0)
    at = [(int(x), int(y)) for x, y in np.clip(points, -4 * max(size), 4 * max(size))]

    def bar(start: tuple[int, int], end: tuple[int, int], thickness: float) -> None:
        cv2.line(mask, start, end, (1,), max(1, round(thickness * length)))

    hull = cv2.convexHull(np.array([at[k] for k in _TORSO], np.int32))
    cv2.fillConvexPoly(mask, np.asarray(hull, np.int32), (1,))
    for start, end, thickness in _LIMBS:
        bar(at[start], at[end], thickness)
    bar(at[_TORSO[0]], at[_TORSO[1]], _LIMBS[0][2])
    bar(at[_TORSO[2]], at[_TORSO[3]], _LIMBS[0][2])
    head, neck = np.mean([at[k] for k in _HEAD], axis=0), np.mean([at[k] for k in _TORSO[:2]], axis=0)
    middle = int(head[0]), int(head[1])
    cv2.circle(mask, middle, max(1, round(_HEAD_RADIUS * length)), (1,), -1)
    bar(middle, (int(neck[0]), int(neck[1])), _NECK)
    return mask > 0


def inside(points: Array, person: Array) -> NDArray[np.bool_]:
    """(N,) whether points (N, 2) lie on the silhouette of a person (33, 2), all in the same pixels."""
    origin, extent = person.min(axis=0), float(np.ptp(person, axis=0).max())
    scale = _SIZE / max(extent, 1.0) / 2  # with room for the thickness of limbs around the landmarks
    mask = silhouette((person - origin) * scale + _SIZE / 4, (_SIZE, _SIZE))
    at = np.floor((points - origin) * scale + _SIZE / 4).astype(int)
    within = ((at >= 0) & (at < _SIZE)).all(axis=1)
    return within & mask[tuple(np.where(within[:, None], at, 0)[:, ::-1].T)]


def without(picture: NDArray[np.float32], people: list[Array]) -> NDArray[np.float32]:
    """The picture (H, W, 3) with these people (33, 2; pixels) filled by what surrounds them.

    A soft fill: to the landmark model an even one looks like a person too."""
    height, width = picture.shape[:2]
    gone = np.zeros((height, width), bool)
    for points in people:
        gone |= silhouette(points, (height, width))
    if not gone.any() or gone.all():
        return picture
    kept = (~gone).astype(np.float32)
    small = (max(1, width // _COARSE), max(1, height // _COARSE))
    paint, weight = (
        cv2.GaussianBlur(cv2.resize(part, small, interpolation=cv2.INTER_AREA), (0, 0), _REACH)
        for part in (cv2.multiply(picture, cv2.merge([kept] * 3)), kept)
    )
    far = 1e-4  # inside, where nothing around reaches: the mean colour
    paint = (paint + far * paint.mean(axis=(0, 1))) / (weight + far * weight.mean())[..., None]
    fill = cv2.resize(paint.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    painted = picture.copy()
    painted[gone] = fill[gone]
    return painted
