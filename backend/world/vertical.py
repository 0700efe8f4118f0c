"""The vertical from straight edges behind the people: those of walls, doors and lamp posts meet where gravity points.

Each frame gives a quadratic form over directions: how far a direction is from the planes through the eye and the
edges that agree on one vertical. Forms of several frames add up.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core.rotations import Array, normalize
from ..stages import Camera, Frame

EVERY = 45  # frames
WIDTH = 720  # pixels of the picture that edges are looked for in
SHORTEST = 0.04  # of the width: shorter edges say little
MOST = 120  # edges that are looked at, the longest
FEWEST = 5  # edges that must agree
TILT = np.cos(np.radians(50.0))  # no camera leans more than this against what it was taken for
AGREE = np.sin(np.radians(1.2))  # an edge's plane is this close to the vertical that it belongs to
USUAL = np.radians(25.0)  # how far cameras usually lean: of two families of edges the more upright one is vertical

FORM = 6  # numbers of a symmetric 3 x 3 matrix
_ROWS, _COLUMNS = np.triu_indices(3)


class VerticalMeter:
    """Looks for the vertical in some of a clip's frames."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._detector = cv2.createLineSegmentDetector()
        self._random = np.random.default_rng(0)
        self._count = 0

    def form(self, frame: Frame, people: list[Array], turn: Array) -> Array:
        """(6,) upper triangle of the frame's form in the shot's first camera axes; zeros where nothing was found or
        the frame was left out.

        people: regions (x, y, side, angle) in full-size pixels, whose edges do not count; turn (4,): see `TurnMeter`.
        """
        self._count = 1 if frame.cut else self._count + 1
        if (self._count - 1) % EVERY:
            return np.zeros(FORM)
        planes, lengths = self._edges(frame, people)
        guess = rotations.rotate(self._camera.rotation, [0.0, 0.0, 1.0])
        agreeing = _vertical_edges(planes, lengths, guess, self._random)
        if agreeing.sum() < FEWEST:
            return np.zeros(FORM)
        planes = rotations.rotate(rotations.inverse(turn), planes[agreeing])
        weights = lengths[agreeing] / lengths[agreeing].sum()
        form = (planes * weights[:, None]).T @ planes
        return np.asarray(form[_ROWS, _COLUMNS])

    def _edges(self, frame: Frame, people: list[Array]) -> tuple[Array, Array]:
        """-> normals (N, 3) of the planes through the eye and the edges, and the edges' lengths (N,)."""
        height, width = frame.rgb.shape[:2]
        scale = min(1.0, WIDTH / max(height, width))
        small = cv2.resize(frame.rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found = self._detector.detect(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))[0]
        if found is None:
            return np.zeros((0, 3)), np.zeros(0)
        ends = found.reshape(-1, 2, 2).astype(float) * (frame.scale / scale)  # full-size pixels
        lengths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
        keep = lengths > SHORTEST * max(height, width) * frame.scale
        middle = ends.mean(1)
        for x, y, side, _ in people:
            keep &= np.abs(middle - [x, y]).max(-1) > 0.5 * side
        chosen = np.flatnonzero(keep)[np.argsort(-lengths[keep])[:MOST]]
        return _planes(ends[chosen], self._camera), lengths[chosen]


def _planes(ends: Array, camera: Camera) -> Array:
    """Normals (N, 3), camera space, of the planes through the eye and lines with these ends (N, 2, 2), full-size
    pixels."""
    flat = (ends - camera.center) / camera.focal
    rays = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], -1)
    return normalize(np.cross(rays[:, 0], rays[:, 1]))


def _vertical_edges(planes: Array, lengths: Array, guess: Array, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which edges (N,) meet in the best vertical that is not too far from the guess (RANSAC on pairs)."""
    none = np.zeros(len(planes), bool)
    if len(planes) < FEWEST:
        return none
    pairs = random.integers(0, len(planes), (400, 2))
    candidates = np.cross(planes[pairs[:, 0]], planes[pairs[:, 1]])
    candidates = normalize(candidates[np.linalg.norm(candidates, axis=-1) > 0.02])
    lean = np.abs(candidates @ guess)
    candidates, lean = candidates[lean > TILT], lean[lean > TILT]
    if not len(candidates):
        return none
    agree = np.abs(candidates @ planes.T) < AGREE
    score = (agree * lengths).sum(1) * np.exp(-0.5 * (np.arccos(np.minimum(lean, 1.0)) / USUAL) ** 2)
    return np.asarray(agree[int(score.argmax())])


def drawn(ends: Array, turns: Array, camera: Camera) -> Array:
    """(3, 3) the form of lines that somebody drew along vertical things, in the first frame's camera axes: each counts
    as one.

    ends (N, 2, 2) full-size pixels; turns (N, 4): the camera's turn, see `TurnMeter`, when each was drawn.
    """
    planes = rotations.rotate(rotations.inverse(turns), _planes(ends, camera))
    return planes.T @ planes


def turned(forms: Array, turns: Array) -> Array:
    """Forms (F, 6) in axes that are turned by (F, 4)."""
    matrices = np.zeros((len(forms), 3, 3))
    matrices[:, _ROWS, _COLUMNS] = matrices[:, _COLUMNS, _ROWS] = forms
    turn = rotations.to_matrix(turns)
    return np.asarray((turn @ matrices @ np.swapaxes(turn, -1, -2))[:, _ROWS, _COLUMNS])


def refocused(forms: Array, told: Array, turns: Array, longer: float) -> Array:
    """Forms (F, 6) of frames that were looked at through a lens, as they are through one so many times longer; in the
    first frame's axes. told, turns (F, 4): the camera's turn as it was taken for then, and as it is known now."""
    own = turned(forms, told)
    scale = np.array([longer, longer, 1.0])  # of a plane's normal: x and y of its rays become shorter
    return turned(own * (scale[_ROWS] * scale[_COLUMNS]), rotations.inverse(turns))


def matrix(forms: Array) -> Array | None:
    """(3, 3) the mean form of frames (F, 6), those without one left out; None when there is none."""
    told = forms[np.abs(forms).sum(-1) > 0]
    if not len(told):
        return None
    out = np.zeros((3, 3))
    out[_ROWS, _COLUMNS] = told.mean(0)
    return out + np.triu(out, 1).T
