"""Fingers at ease."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...backend.core import rotations
from ...backend.core.rotations import Array
from ...backend.core.skeleton import FINGERS, INDEX, Skeleton
from ..retarget.model import SourceMotion

# Degrees by which a hand that hangs at ease bends its joints, from the palm outwards. Our own.
CURLS = {
    "index": (20, 24, 12), "middle": (24, 28, 14), "ring": (28, 30, 15), "pinky": (30, 30, 15), "thumb": (8, 12, 14),
}  # fmt: skip
_DOWN, _THUMB = np.array([0.0, -1.0, 0.0]), np.array([0.0, -0.7, -0.7])  # where fingers bend to in the zero pose


def relaxed(body: Skeleton, side: str) -> dict[int, Array]:
    """Joint -> parent-relative rotation (4,) of a hand at ease."""
    pose = {}
    for finger in FINGERS:
        for k, degrees in enumerate(CURLS[finger], 1):
            joint = INDEX[f"{side}_{finger}{k}"]
            along = body.offsets[joint + 1] if k < 3 else body.points[f"{side}_{finger}_tip"][1]
            axis = rotations.normalize(np.cross(along, _THUMB if finger == "thumb" else _DOWN))
            pose[joint] = rotations.from_axis_angle(axis * np.radians(degrees))
    return pose


def relax(motion: SourceMotion, left: float, right: float) -> SourceMotion:
    """Bring the fingers nearer to a hand at ease: 0 leaves them, 1 holds them there."""
    local = motion.local.copy()
    for side, amount in (("left", left), ("right", right)):
        if amount:
            for joint, pose in relaxed(motion.body, side).items():
                local[:, joint] = rotations.slerp(local[:, joint], pose, np.full(len(local), amount))
    return replace(motion, local=rotations.continuous(local))
