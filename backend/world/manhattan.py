"""What straight edges tell of the camera. In rooms and streets most of them run in three directions at right angles,
one of them vertical ("Manhattan world", Coughlan and Yuille 1999): that shows how the camera is held, and, since the
angles are right through the right lens only, how long its lens is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array, normalize
from ..stages import Camera
from .edges import shares

FEWEST, SURE = 12, 24  # edges that tell something, and so many that chance does not lay half of them along axes
PAIRS, BEST = 500, 24  # of edges, whose planes meet in what may be vertical; of these, those that are looked at closely
FADE, UNLIKELY = np.radians(8.0), 0.3  # a vertical is the less likely the farther off it is
AGREE = np.sin(np.radians(0.7))  # an edge's plane is this close to the direction that it belongs to

PICTURES = 6  # that are asked about the lens
ROUGH = np.radians(18.0)  # how far off up may be
LENSES = 1.1 ** np.arange(-8.0, 11.0)  # times the guess: from half of it to 2.6 times
NEAR = 1.25  # lenses that differ by less can hardly be told apart
MANY, CLEAR = 0.5, 0.03  # part of all edges that the right lens explains at least, and beyond every other one


class Axes(NamedTuple):
    """score 0..1: part of the edges, by their length, that run along one of the directions (3, 3), rows: the vertical,
    up, and two level ones; runs (3, N): which of the edges run along each."""

    score: float
    directions: Array
    runs: NDArray[np.bool_]


def planes(ends: Array, camera: Camera) -> Array:
    """Normals (N, 3), camera space, of the planes through the eye and edges with ends (N, 4), full-size pixels."""
    flat = (ends.reshape(-1, 2, 2) - camera.center) / camera.focal
    rays = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], -1)
    return normalize(np.cross(rays[:, 0], rays[:, 1]))


def find_axes(ends: Array, camera: Camera, up: Array, within: float) -> Axes | None:
    """The three directions, camera space, that most edges run in. None where edges are few or run anyhow.

    ends (N, 4) full-size pixels; up (3,), camera space: about where the vertical is; within: radians by
    which it may be off, and hardly by more.
    """
    if len(ends) < FEWEST:
        return None
    normals, share = planes(ends, camera), shares(ends)
    pairs = np.random.default_rng(0).integers(0, len(normals), (PAIRS, 2))
    verticals = np.cross(normals[pairs[:, 0]], normals[pairs[:, 1]])
    verticals = normalize(verticals[np.linalg.norm(verticals, axis=-1) > 0.02])
    verticals *= np.where(verticals @ up < 0, -1.0, 1.0)[:, None]
    beyond = np.maximum(np.arccos(np.minimum(verticals @ up, 1.0)) - within, 0.0)
    likely = np.exp(-0.5 * (beyond / FADE) ** 2)
    verticals, likely = verticals[likely > UNLIKELY], likely[likely > UNLIKELY]
    closely = np.argsort((_run(verticals, normals) @ share) * likely)[::-1][:BEST]
    best: Axes | None = None
    for vertical, weight in zip(verticals[closely], likely[closely], strict=True):
        level = np.cross(vertical, normals)  # where an edge points, if it is level
        level = normalize(level[np.linalg.norm(level, axis=-1) > 0.1])
        directions = np.stack([np.broadcast_to(vertical, level.shape), level, np.cross(vertical, level)], 1)
        scores = weight * (_run(directions, normals).any(1) @ share)
        if len(level) and (best is None or scores.max() > best.score):
            k = int(scores.argmax())
            best = Axes(float(scores[k]), directions[k], _run(directions[k], normals))
    return best


def _run(directions: Array, normals: Array) -> NDArray[np.bool_]:
    """(..., N) whether edges with these planes (N, 3) run in directions (..., 3)."""
    return np.asarray(np.abs(directions @ normals.T) < AGREE)


def lens(pictures: list[tuple[Array, Array]], camera: Camera) -> float:
    """How many times longer the lens is than it was taken for; 1 where edges do not tell.

    pictures: the edges' ends (N, 4), full-size pixels, and about where up is, (3,), camera space.
    """
    telling = [picture for picture in pictures if len(picture[0]) >= SURE]
    if not telling:
        return 1.0
    asked = [telling[k] for k in spread(len(telling), PICTURES)]
    explained = np.array([_explained(asked, camera, longer) for longer in LENSES])
    best = int(explained.argmax())
    others = explained[np.abs(np.log(LENSES / LENSES[best])) > 0.99 * np.log(NEAR)]
    if explained[best] < max(MANY, others.max() + CLEAR) or best in (0, len(LENSES) - 1):
        return 1.0
    low, middle, high = explained[best - 1 : best + 2]
    aside = 0.5 * (high - low) / max(2 * middle - low - high, 1e-9)  # where a parabola is highest
    return float(LENSES[best] * (LENSES[1] / LENSES[0]) ** aside)


def spread(count: int, most: int) -> list[int]:
    """Of 0..count, so many at most, evenly."""
    return np.unique(np.linspace(0, count - 1, most).astype(int)).tolist() if count else []


def _explained(pictures: list[tuple[Array, Array]], camera: Camera, longer: float) -> float:
    """Part of the edges that run along axes, seen through a lens so many times longer."""
    through = replace(camera, focal=longer * camera.focal)
    found = [find_axes(ends, through, up, ROUGH) for ends, up in pictures]
    return float(np.mean([0.0 if axes is None else axes.score for axes in found]))
