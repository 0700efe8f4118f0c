"""Feet to where they stand: two-bone inverse kinematics of the legs, and the feet's own turn."""

from __future__ import annotations

import numpy as np

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array, normalize
from ..core.skeleton import INDEX as JOINT
from ..core.skeleton import Skeleton

SOFT = 0.02  # of the leg's length: from here on a straightening leg slows down instead of snapping


def move_feet(local: Array, pelvis: Array, shift: Array, skeleton: Skeleton) -> Array:
    """Parent-relative rotations (T, 55, 4) with both ankles moved by shift (T, 2, 3) metres.

    The knee stays in the plane that it had, the hip takes up the rest; the pelvis (T, 3) and every other global
    orientation stay. Rotations, pelvis and shift are in one frame.
    """
    turned, joints = sk.forward_kinematics(skeleton, local, pelvis)
    out = turned.copy()
    for s, side in enumerate(("left", "right")):
        hip, knee, ankle = (JOINT[f"{side}_{n}"] for n in ("hip", "knee", "ankle"))
        target = joints[:, ankle] + shift[:, s]
        thigh, shin = joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee]
        a, b = float(np.linalg.norm(thigh[0])), float(np.linalg.norm(shin[0]))
        wanted = target - joints[:, hip]
        reach = _soft_reach(np.linalg.norm(wanted, axis=-1), a + b)
        # The bend's axis: the knee's own, kept across the new line from hip to ankle.
        line = normalize(wanted)
        axis = rotations.rotate(turned[:, hip], [1.0, 0.0, 0.0])
        axis = normalize(axis - np.sum(axis * line, -1, keepdims=True) * line)
        cosine = np.clip((a * a + reach**2 - b * b) / (2 * a * np.maximum(reach, 1e-6)), -1.0, 1.0)
        lift = rotations.from_axis_angle(-axis * np.arccos(cosine)[:, None])
        new_thigh = rotations.rotate(lift, line) * a
        new_shin = line * reach[:, None] - new_thigh
        for joint, old, new in ((hip, thigh, new_thigh), (knee, shin, new_shin)):
            out[:, joint] = rotations.multiply(rotations.between(old, new), turned[:, joint])
    return sk.to_local(out)


def turn_feet(local: Array, turn: Array) -> Array:
    """Parent-relative rotations (T, 55, 4) with the left and right foot turned by turn (T, 2, 4), which is in the axes
    that the root's rotation is in; all joints but the ankles stay."""
    turned, out = sk.to_global(local), local.copy()
    for s, side in enumerate(("left", "right")):
        knee, ankle = JOINT[f"{side}_knee"], JOINT[f"{side}_ankle"]
        wanted = rotations.multiply(turn[:, s], turned[:, ankle])
        out[:, ankle] = rotations.multiply(rotations.inverse(turned[:, knee]), wanted)
    return out


def _soft_reach(distance: Array, longest: float) -> Array:
    """Distances (T,) that never quite reach `longest`, with a smooth approach."""
    knee = longest * (1.0 - SOFT)
    over = np.maximum(distance - knee, 0.0)
    return np.where(distance > knee, knee + longest * SOFT * (1.0 - np.exp(-over / (longest * SOFT))), distance)
