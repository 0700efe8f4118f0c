"""What the steps of cleaning share. Motions are `SourceMotion`: metres, z up, the floor at z = 0, seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from ...backend.core.runs import runs
from ..retarget.model import SourceMotion

UP = np.array([0.0, 0.0, 1.0])


def contact_points(motion: SourceMotion) -> Array:
    """(T, 4, 3) metres, the points of `skeleton.CONTACTS`: heels, and the middle of the toes."""
    turned, joints = skeleton.forward_kinematics(motion.body, motion.local, motion.pelvis)
    return feet_of(motion, turned, joints)


def feet_of(motion: SourceMotion, turned: Array, joints: Array) -> Array:
    """`contact_points` of a motion whose global rotations (T, 55, 4) and joints (T, 55, 3) are known already."""
    feet = skeleton.posed_points(motion.body, turned, joints, skeleton.FOOT_POINTS)
    return np.stack([feet[:, 2], feet[:, :2].mean(1), feet[:, 5], feet[:, 3:5].mean(1)], axis=1)


def heading(root: Array) -> Array:
    """Where bodies face: the angle (...) in radians by which the root rotations (..., 4) are turned about z from the
    front view's direction, -y; the direction of the chest, or of the crown for somebody who lies."""
    forward = rotations.rotate(root, [0.0, 0.0, 1.0])
    crown = rotations.rotate(root, [0.0, 1.0, 0.0])
    level = np.hypot(forward[..., 0], forward[..., 1])[..., None]
    ahead = np.where(level > 0.3, forward, -np.sign(forward[..., 2:]) * crown)
    return np.arctan2(ahead[..., 0], -ahead[..., 1])


def about_z(angle: Array | float) -> Array:
    """Rotations (..., 4) about the vertical by angles (...) in radians."""
    return rotations.from_axis_angle(np.asarray(angle, float)[..., None] * UP)


def moved(motion: SourceMotion, turn: Array, pivot: Array, lift: float) -> SourceMotion:
    """The whole motion turned by (4,) about the point pivot (3,), then lifted by metres."""
    local = motion.local.copy()
    local[:, 0] = rotations.multiply(turn, local[:, 0])
    pelvis = rotations.rotate(turn, motion.pelvis - pivot) + pivot + lift * UP
    return replace(motion, local=rotations.continuous(local), pelvis=pelvis)


def dilated(times: Array, on: NDArray[np.bool_], seconds: float) -> NDArray[np.bool_]:
    """Rows (T,) no further than `seconds` from one that is on."""
    out = on.copy()
    for start, end in runs(on):
        out |= (times >= times[start] - seconds) & (times <= times[end - 1] + seconds)
    return out
