"""All settings of a cleaning as plain data, and the motion that comes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...backend.core.rotations import Array
from ...backend.core.runs import runs
from ...backend.core.skeleton import CONTACTS
from ..retarget.model import SourceMotion
from . import hands, loop, plant, smooth, world

SHORTEST = 0.01  # seconds of a contact: one frame
INSTANT = 1e-3  # seconds by which a frame may lie outside a span that was made from it


class Span(NamedTuple):
    """A contact: index into `skeleton.CONTACTS`, first and last second."""

    track: int
    start: float
    end: float


@dataclass(frozen=True)
class Recipe:
    """What is done to a motion; the defaults do nothing. Radians, metres, seconds.

    smoothing: name in `smooth.FEEL` -> 0..1. spans: contacts; None: the motion's own. left_hand, right_hand: 0..1.
    lean, turn, lift, pivot, facing: see `world.stand`. loop: first and last second, or None. in_place: "", "SWAY",
    "FIXED".
    """

    smoothing: dict[str, float] = field(default_factory=dict)
    spans: tuple[Span, ...] | None = None
    left_hand: float = 0.0
    right_hand: float = 0.0
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    facing: float = 0.0
    lean: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    lift: float = 0.0
    loop: tuple[float, float] | None = None
    blend: float = 0.3
    in_place: str = ""


def clean(motion: SourceMotion, recipe: Recipe) -> SourceMotion:
    """The cleaned motion. It is upright and on its floor before feet are planted, because they stand on that."""
    if any(recipe.lean) or recipe.turn or recipe.lift:
        placed = np.array(recipe.pivot), recipe.facing, recipe.lean, recipe.turn, recipe.lift
        motion = world.stand(motion, *placed)
    base = motion
    strength = {limb: amount for limb, amount in recipe.smoothing.items() if amount > 0.0}
    if strength:
        motion = smooth.smooth(motion, strength)
    contacts = base.contacts if recipe.spans is None else to_contacts(base.times, recipe.spans)
    if np.any(contacts != base.contacts) or any(limb in smooth.MOVES_FEET for limb in strength):
        motion = plant.plant(base, motion, contacts)
    if recipe.left_hand or recipe.right_hand:
        motion = hands.relax(motion, recipe.left_hand, recipe.right_hand)
    if recipe.loop is not None:
        motion = loop.cut(motion, *recipe.loop, recipe.blend)
    if recipe.in_place:
        motion = loop.in_place(motion, recipe.in_place, recipe.loop is not None)
    return motion


def to_spans(times: Array, contacts: NDArray[np.uint8]) -> tuple[Span, ...]:
    """Contacts (T, 4) as spans, in the order of their beginnings."""
    spans = [
        Span(track, float(times[start]), float(times[end - 1]))
        for track in range(len(CONTACTS))
        for start, end in runs(contacts[:, track] > 0)
    ]
    return tuple(sorted(spans, key=lambda span: (span.start, span.track)))


def to_contacts(times: Array, spans: tuple[Span, ...]) -> NDArray[np.uint8]:
    """Spans as contacts (T, 4)."""
    contacts = np.zeros((len(times), len(CONTACTS)), np.uint8)
    for span in spans:
        contacts[(times >= span.start - INSTANT) & (times <= span.end + INSTANT), span.track] = 1
    return contacts
