"""BlazePose's person detector over a whole picture, with tiles for small people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.crop import cut
from ..landmarks.litert import Model, sigmoid
from ..landmarks.pose import body_roi
from ..stages import Detection, Roi

SIZE = 224
TILE_OVERLAP = 0.25
_SAME_BOX = 0.3  # intersection over union above which two boxes are of one person
_SAME_HIPS = 0.35  # hips nearer than this part of the body's radius are one person's


def _anchors() -> NDArray[np.float64]:
    """(2254, 2) centres in pixels of the model's SSD grid: two a cell at strides 8 and 16, six at stride 32."""
    layers = []
    for stride, copies in ((8, 2), (16, 2), (32, 6)):
        cells = (np.arange(SIZE // stride) + 0.5) * stride
        y, x = np.meshgrid(cells, cells, indexing="ij")
        layers.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), copies, axis=0))
    return np.concatenate(layers)


class PoseDetector:
    """pose_detection.tflite

    The model looks at 224 x 224 pixels, so a person must fill about a quarter of them to be found: `tiles` cut a
    picture into overlapping squares, each looked at on its own.
    """

    def __init__(self, threshold: float = 0.4) -> None:
        self._model = Model("pose_detection.tflite")
        self._anchors = _anchors()
        self._threshold = threshold

    def detect(
        self,
        rgb: NDArray[np.uint8],
        windows: list[Roi] | None = None,
        each: Callable[..., Iterable[Any]] = map,
        others: Sequence[Array] = (),
    ) -> list[Detection]:
        """Every person in the picture, or in `windows` of it, most certain first. each: `map`, or a thread pool's;
        others: landmarks (33, 2) of people who shall not be seen, for who is behind them."""
        if windows is None:
            windows = tiles(rgb, 1) + tiles(rgb, 2)
        found = each(lambda window: self._look(rgb, window, others), windows)
        return _merge(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _look(self, rgb: NDArray[np.uint8], window: Roi, others: Sequence[Array]) -> tuple[Array, Array, Array]:
        """One pass over a window -> boxes (N, 4), four points each (N, 4, 2), scores (N,); pixels of the picture."""
        crop = cut(rgb, window, SIZE, others=others)
        values, logits = self._model(crop.picture * 2 - 1)
        scores = sigmoid(logits[0, :, 0])
        sure = scores >= self._threshold
        values, anchors = values[0][sure].astype(float), self._anchors[sure]
        points = crop.to_picture((values[:, 4:].reshape(-1, 4, 2) + anchors[:, None]).reshape(-1, 2)).reshape(-1, 4, 2)
        centers = crop.to_picture(values[:, :2] + anchors)
        half = values[:, 2:4] * (window.side / SIZE / 2)
        return np.concatenate([centers - half, centers + half], axis=1), points, scores[sure].astype(float)


def tiles(rgb: NDArray[np.uint8], count: int) -> list[Roi]:
    """The overlapping squares that cover a picture, `count` of them along its long side."""
    height, width = rgb.shape[:2]
    side = max(height, width) / (count - (count - 1) * TILE_OVERLAP)

    def middles(length: int) -> list[float]:
        if length <= side:
            return [length / 2]
        steps = int(np.ceil((length - side) / (side * (1 - TILE_OVERLAP)) - 0.01)) + 1
        return [float(v) for v in np.linspace(side / 2, length - side / 2, steps)]

    return [Roi(x, y, side, 0.0) for y in middles(height) for x in middles(width)]


def _merge(boxes: Array, points: Array, scores: Array) -> list[Detection]:
    """Weighted non-maximum suppression: overlapping boxes are averaged, then seen as one where their hips coincide."""
    people: list[Detection] = []
    order = np.argsort(-scores)
    while len(order):
        best = order[0]
        same = _overlap(boxes[best], boxes[order]) > _SAME_BOX
        same[0] = True
        group, order = order[same], order[~same]
        weight = scores[group] / scores[group].sum()
        box = np.einsum("n,nk->k", weight, boxes[group])
        hips, rim = np.einsum("n,nkc->kc", weight, points[group])[:2]
        roi = body_roi(hips, rim)
        if not any(
            np.hypot(roi.x - other.roi.x, roi.y - other.roi.y) < _SAME_HIPS * max(roi.side, other.roi.side) / 2.5
            for other in people
        ):
            people.append(Detection(box, float(scores[best]), roi))
    return people


def _overlap(box: Array, boxes: Array) -> Array:
    """Intersection over union of one box with many, each left, top, right, bottom."""
    size = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.clip(size, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / np.maximum(areas - shared, 1e-9)
