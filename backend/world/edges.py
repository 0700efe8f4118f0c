"""Straight edges of what stands behind the people: walls, doors, furniture, roads."""

from __future__ import annotations

import cv2
import numpy as np

from ..core.rotations import Array
from ..stages import Frame

EVERY = 45  # frames: the picture changes little between two
WIDTH = 720  # pixels of the picture that edges are looked for in
SHORTEST = 0.03  # of the width: shorter edges say little
MOST = 150  # edges of a picture, the longest


class EdgeFinder:
    """Looks for edges in some of a clip's frames."""

    def __init__(self) -> None:
        self._detector = cv2.createLineSegmentDetector()
        self._count = 0

    def find(self, frame: Frame, people: list[Array]) -> Array:
        """(N, 4) x and y of both ends of edges, full-size pixels; none where the frame is left out.

        people: boxes (left, top, right, bottom) in full-size pixels, whose edges do not count.
        """
        self._count = 1 if frame.cut else self._count + 1
        if (self._count - 1) % EVERY:
            return np.zeros((0, 4))
        height, width = frame.rgb.shape[:2]
        scale = min(1.0, WIDTH / max(height, width))
        small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = self._detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))[0]
        if found is None:
            return np.zeros((0, 4))
        ends = found.reshape(-1, 4).astype(float) * (frame.scale / scale)
        long, middle = lengths(ends), 0.5 * (ends[:, :2] + ends[:, 2:])
        keep = long > SHORTEST * max(height, width) * frame.scale
        for left, top, right, bottom in people:
            keep &= ~((middle > [left, top]) & (middle < [right, bottom])).all(-1)
        return np.asarray(ends[np.flatnonzero(keep)[np.argsort(-long[keep])[:MOST]]])


def lengths(ends: Array) -> Array:
    """(N,) pixels, of edges with these ends (N, 4)."""
    return np.asarray(np.linalg.norm(ends[:, 2:] - ends[:, :2], axis=-1))


def shares(ends: Array) -> Array:
    """(N,) what part each is of all edges (N, 4), by their lengths."""
    return np.asarray(lengths(ends) / lengths(ends).sum())
