"""Which way is up, from straight edges behind the people and from lines that somebody drew.

Each source gives a quadratic form over directions: how far a direction is from being square to all that the vertical is
square to, namely level edges, and the planes through the eye and vertical ones. Forms add up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..core import rotations
from ..core.keypoints import LANDMARKS
from ..core.rotations import Array, normalize
from ..stages import Camera
from . import manhattan
from .edges import shares

PICTURES = 24  # that are asked
OFF = np.radians(12.0)  # how far people may be wrong about up
CHANCE, SURE = 0.05, 0.15  # part of all edges that run in some direction anyhow, and that do so where it is an axis
ANYHOW, ROOM = 0.45, 0.6  # part of them that run along some three axes anyhow, and that do so in rooms
EDGES = 2.0, 14.0  # what the upright ones count as anyway, and what each axis counts as besides in rooms
STRAIGHT, HELD = np.radians(15.0), np.radians(25.0)  # how far people lean, as landmarks have them, and cameras

_ENDS = [[LANDMARKS.index(f"{side}_{part}") for side in ("left", "right")] for part in ("shoulder", "ankle")]


class Edges(NamedTuple):
    """The straight edges of some of a shot's frames: their ends (N, 4), full-size pixels, and the camera's turn (4,) in
    each since the shot's first frame, see `TurnMeter`."""

    ends: list[Array]
    turns: Array


def seen(edges: Edges, camera: Camera, up: Array) -> Array:
    """(3, 3) what edges say of the vertical, which is about up (3,), in the first frame's camera axes; zeros where they
    say nothing."""
    form, asked = np.zeros((3, 3)), manhattan.spread(len(edges.ends), PICTURES)
    for ends, turn in ((edges.ends[k], edges.turns[k]) for k in asked):
        axes = manhattan.find_axes(ends, camera, rotations.rotate(turn, up), OFF)
        if axes is not None:
            back = rotations.inverse(turn)
            form += _square_to(axes, rotations.rotate(back, manhattan.planes(ends, camera)), ends, back)
    return form / max(len(asked), 1)


def _square_to(axes: manhattan.Axes, planes: Array, ends: Array, back: Array) -> Array:
    """One picture's form."""
    share = shares(ends)
    along = axes.runs @ share
    weights = axes.runs[0] * share / max(along[0], 1e-9)
    form = (planes * weights[:, None]).T @ planes
    anyway, besides = EDGES
    besides *= _between(axes.score, ANYHOW, ROOM) * _between(len(ends), manhattan.FEWEST, manhattan.SURE)
    form *= anyway + besides
    for sure, direction in zip(_between(along[1:], CHANCE, SURE), axes.directions[1:], strict=True):
        level = rotations.rotate(back, direction)
        form += besides * sure * np.outer(level, level)
    return form


def _between(share: Any, none: float, all_: float) -> Any:
    return np.clip((share - none) / (all_ - none), 0.0, 1.0)


def stood(landmarks: Array, turns: Array, level: Array) -> Array:
    """(3,) about which way is up in the shot's first camera axes: people stand rather than lie, cameras are held level.

    landmarks (n, 33, 4): of `stages.OBSERVATION`, everyone's; zeros where the engine has none; turns (n, 4): the
    camera's, see `TurnMeter`; level (3,): up, if it is held level.
    """
    top, bottom = (landmarks[:, ends, :3].mean(1) for ends in _ENDS)
    known = landmarks.any((1, 2))
    straight = rotations.rotate(rotations.inverse(turns[known]), normalize((top - bottom)[known]))
    mean = straight.mean(0) if known.any() else np.zeros(3)
    return normalize(mean / STRAIGHT**2 + level / HELD**2)


def drawn(ends: Array, turns: Array, camera: Camera) -> Array:
    """(3, 3) the form of lines that somebody drew along vertical things, in the first frame's camera axes: each counts
    as one.

    ends (N, 4) full-size pixels; turns (N, 4): the camera's turn, see `TurnMeter`, when each was drawn.
    """
    planes = rotations.rotate(rotations.inverse(turns), manhattan.planes(ends, camera))
    return planes.T @ planes
