"""How sure a take is: a curve for each limb, and where to look for yourself.

The curves are keyed custom properties of the armature, 0 (a guess) to 1 (seen clearly), so that they can be looked at
in the graph editor and drive things.
"""

from __future__ import annotations

from typing import NamedTuple

import bpy
import numpy as np

from ..backend.core.rotations import Array
from ..backend.core.skeleton import INDEX
from . import compat, keys

UNSURE = 0.3  # below this a limb is a guess
SHORTEST = 0.2  # seconds; briefer doubts are not worth a look
JOINED = 0.3  # seconds between two doubts that make them one
LONGEST = 63  # bytes of a marker's name
CUT = "…".encode()  # in a longer one

_BODY = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot")
LIMBS = {
    "body": _BODY,
    **{f"{side} arm": tuple(f"{side}_{joint}" for joint in _ARM) for side in ("left", "right")},
    **{f"{side} leg": tuple(f"{side}_{joint}" for joint in _LEG) for side in ("left", "right")},
}
OVERALL = "confidence"


class Span(NamedTuple):
    """A stretch of scene frames in which something is a guess. limbs: which, most doubtful first."""

    start: float
    end: float
    limbs: tuple[str, ...]


def curve_name(limb: str) -> str:
    """The custom property of a limb."""
    return f"{OVERALL} {limb}"


def curves(confidence: Array) -> dict[str, Array]:
    """Confidence (T, 55) -> custom property's name -> (T,): each limb's least sure joint, and the least of all."""
    limbs = {
        curve_name(limb): confidence[:, [INDEX[joint] for joint in joints]].min(axis=1)
        for limb, joints in LIMBS.items()
    }
    return {OVERALL: np.min(list(limbs.values()), axis=0), **limbs}


def declare(armature: bpy.types.Object) -> None:
    """Give the armature its custom properties."""
    for name in (OVERALL, *map(curve_name, LIMBS)):
        if name not in armature:
            armature[name] = 1.0
            about = "How sure the capture is: 0 is a guess, 1 was seen clearly"
            armature.id_properties_ui(name).update(min=0.0, max=1.0, description=about)


def path(name: str) -> str:
    """The data path of a custom property."""
    return f'["{name}"]'


def spans(frames: Array, limbs: dict[str, Array], rate: float) -> list[Span]:
    """The doubtful stretches of a take, in order.

    frames: (T,) scene frames; limbs: limb -> (T,) confidence; rate: scene frames a second.
    """
    if not len(frames):
        return []
    least = np.min(list(limbs.values()), axis=0)
    found: list[list[int]] = []
    for row in np.flatnonzero(least < UNSURE):
        if found and frames[row] - frames[found[-1][1]] <= JOINED * rate:
            found[-1][1] = int(row)
        else:
            found.append([int(row), int(row)])
    result = []
    for first, last in found:
        if frames[last] - frames[first] >= SHORTEST * rate:
            means = {limb: float(values[first : last + 1].mean()) for limb, values in limbs.items()}
            lowest = {limb: float(values[first : last + 1].min()) for limb, values in limbs.items()}
            named = sorted((limb for limb in limbs if lowest[limb] < UNSURE), key=means.__getitem__)
            result.append(Span(float(frames[first]), float(frames[last]), tuple(named)))
    return result


def spans_of(action: bpy.types.Action, owner: bpy.types.Object, rate: float) -> list[Span]:
    """The doubtful stretches that an action's own curves of an armature tell; edited curves count as they are."""
    wanted = {path(curve_name(limb)): limb for limb in LIMBS}
    limbs: dict[str, Array] = {}
    frames = np.empty(0)
    for curve in compat.curves(action, owner):
        if limb := wanted.get(curve.data_path):
            points = keys.of(curve)
            if not len(frames):
                frames = points[:, 0]
            limbs[limb] = np.interp(frames, *points.T)
    return spans(frames, limbs, rate) if limbs else []


def next_span(found: list[Span], frame: float, back: bool = False) -> Span | None:
    """The first span that starts after a frame (before it when going back); round the end to the other one."""
    if back:
        return next((span for span in reversed(found) if span.start < frame - 0.5), found[-1] if found else None)
    return next((span for span in found if span.start > frame + 0.5), found[0] if found else None)


# --- markers ---------------------------------------------------------------------------------------------------------


def marker_name(take: str, limb: str) -> str:
    """What the marker of a doubtful span is called. A name that is too long is cut before its end, which tells the
    people of a clip apart."""
    about, told = f"? {limb.removeprefix('? ')} · ".encode(), take.encode()
    if (room := LONGEST - len(about)) < len(told):
        head = room // 4
        told = told[:head] + CUT + told[head + len(CUT) - room :]
    return (about + told).decode(errors="ignore")


def mark(scene: bpy.types.Scene, take: str, found: list[Span]) -> None:
    """Put a marker at the start of every span, instead of those that were there."""
    unmark(scene, take)
    for span in found:
        scene.timeline_markers.new(marker_name(take, span.limbs[0]), frame=round(span.start))


def retime(scene: bpy.types.Scene, take: str, factor: float) -> None:
    """Move a take's markers as `keys.retime` moves its keys."""
    for marker in marked(scene, take):
        marker.frame = round(1.0 + (marker.frame - 1.0) * factor)


def unmark(scene: bpy.types.Scene, take: str) -> None:
    """Take a take's markers away."""
    for marker in marked(scene, take):
        scene.timeline_markers.remove(marker)


def marked(scene: bpy.types.Scene, take: str) -> list[bpy.types.TimelineMarker]:
    """A take's markers."""
    ours = [m for m in scene.timeline_markers if m.name.startswith("? ")]
    return [m for m in ours if m.name == marker_name(take, m.name.split(" · ")[0])]
