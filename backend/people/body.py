"""Geometry of bodies in a picture: are two looks at one person, how long are their limbs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.multicrop import JOINTS, TORSO, torso_length
from ..landmarks.pose import INDEX, PoseLook
from ..stages import Detection

SMALLEST_SIDE = 48.0  # pixels of a region; smaller people show no pose
_BONES = np.array(
    [
        (INDEX[a], INDEX[b])
        for side in ("left", "right")
        for a, b in (
            (f"{side}_shoulder", f"{side}_elbow"), (f"{side}_elbow", f"{side}_wrist"), (f"{side}_hip", f"{side}_knee"),
            (f"{side}_knee", f"{side}_ankle"), (f"{side}_shoulder", f"{side}_hip"),
        )
    ]
    + [(INDEX["left_shoulder"], INDEX["right_shoulder"]), (INDEX["left_hip"], INDEX["right_hip"])]
)  # fmt: skip


class Body(NamedTuple):
    """A look at a person and how far to trust it, 0..1."""

    look: PoseLook
    consistency: float


def visible(look: PoseLook, rgb: NDArray[np.uint8]) -> bool:
    """Whether enough of the person is inside the picture, and they are large enough."""
    height, width = rgb.shape[:2]
    inside = ((look.points >= 0) & (look.points < (width, height))).all(axis=1)
    return bool(look.roi.side >= SMALLEST_SIDE and inside[TORSO].sum() >= 2)


def same_person(a: PoseLook, b: PoseLook) -> bool:
    """Whether two looks landed on one body, or one of them on a part of the other's body."""
    return covers(a, b) or covers(b, a)


def covers(a: PoseLook, b: PoseLook) -> bool:
    """Whether the joints of `b` lie along the limbs of `a`."""
    length = torso_length(a.points, a.roi.side)
    start, end = a.points[_BONES[:, 0]], a.points[_BONES[:, 1]]
    along = end - start
    points = b.points[JOINTS][:, None]
    t = ((points - start) * along).sum(axis=-1) / np.maximum((along**2).sum(axis=-1), 1e-6)
    nearest = start + np.clip(t, 0, 1)[..., None] * along
    apart = np.linalg.norm(points - nearest, axis=-1).min(axis=1) / length
    return bool(np.median(apart) < 0.16 and apart.mean() < 0.3)


def agrees(detection: Detection, look: PoseLook) -> bool:
    """Whether a detection is the person of a look: the same hips, about the same size."""
    apart = float(np.hypot(detection.roi.x - look.roi.x, detection.roi.y - look.roi.y))
    sizes = detection.roi.side / look.roi.side
    return apart < 0.12 * max(detection.roi.side, look.roi.side) and 0.5 < sizes < 2.0


def limb_lengths(world: Array) -> Array:
    """(33, 3) metres -> lengths of the bones; they do not change while a person moves."""
    return np.linalg.norm(world[_BONES[:, 0]] - world[_BONES[:, 1]], axis=-1)
