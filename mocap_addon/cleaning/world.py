"""Where the motion stands: its floor, what is upright, and where it faces."""

from __future__ import annotations

import numpy as np

from ...backend.core import rotations
from ...backend.core.rotations import Array
from ..retarget.model import SourceMotion
from .motion import UP, about_z, contact_points, heading, moved

FACING = 0.25  # seconds to both sides over which a facing is averaged
STEP = 0.25  # metres: feet planted that far from the lower ones stand on something else than the floor
SPREAD = 0.25  # metres over which planted feet must lie apart before their slope says something
STEEPEST = np.radians(20.0)


def stand(
    motion: SourceMotion, pivot: Array, facing: float, lean: tuple[float, float], turn: float, lift: float
) -> SourceMotion:
    """The motion turned as a whole about a point of its floor, then lifted.

    pivot: (3,) metres. facing: radians, what "forwards" means for lean (forwards, to the left), radians.
    turn: radians about the vertical. lift: metres.
    """
    ahead = rotations.rotate(about_z(facing), [0.0, -1.0, 0.0])
    leaning = rotations.from_axis_angle(lean[0] * np.cross(UP, ahead) - lean[1] * ahead)
    return moved(motion, rotations.multiply(about_z(turn), leaning), pivot, lift)


def turn_of(pivot: Array, facing: float, lean: tuple[float, float], turn: float, lift: float) -> tuple[Array, Array]:
    """The same for anything in the motion's world: turn (4,) and shift (3,), x -> turn x + shift."""
    ahead = rotations.rotate(about_z(facing), [0.0, -1.0, 0.0])
    leaning = rotations.from_axis_angle(lean[0] * np.cross(UP, ahead) - lean[1] * ahead)
    whole = rotations.multiply(about_z(turn), leaning)
    return whole, pivot - rotations.rotate(whole, pivot) + lift * UP


def facing_at(motion: SourceMotion, time: float) -> float:
    """Where the body faces about that second, radians as `heading` has them."""
    near = np.abs(motion.times - time) <= FACING
    near[np.argmin(np.abs(motion.times - time))] = True
    angles = heading(motion.local[near, 0])
    return float(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()))


def lowest_at(motion: SourceMotion, time: float) -> Array:
    """(3,) metres, the lowest point of the feet at the frame nearest to that second."""
    points = contact_points(motion)[np.argmin(np.abs(motion.times - time))]
    return points[points[:, 2].argmin()]


def floor_under_feet(motion: SourceMotion) -> float:
    """Metres, the level on which planted feet stand; under the lowest foot when none is planted."""
    points = contact_points(motion)
    heights = points[..., 2][motion.contacts > 0]
    if not len(heights):
        return float(np.percentile(points[..., 2].min(axis=1), 5))
    low = np.percentile(heights, 20)
    return float(np.median(heights[heights < low + STEP]))


def slope_under_feet(motion: SourceMotion, facing: float) -> tuple[float, float] | None:
    """Lean (forwards, to the left) in radians that levels the plane of the planted feet; None when they lie too near
    to each other, or on levels that make no plane of a floor."""
    points = contact_points(motion)[motion.contacts > 0]
    if len(points) < 12:
        return None
    center = np.median(points, axis=0)
    points = points[np.abs(points[:, 2] - center[2]) < STEP] - center
    ahead = rotations.rotate(about_z(facing), [0.0, -1.0, 0.0])
    left = np.cross(UP, ahead)
    flat = np.stack([points @ ahead, points @ left], axis=1)
    spread = flat.std(axis=0)
    if spread.max() < SPREAD:
        return None
    # A little ridge: a direction in which the feet are close together says next to nothing about its slope.
    ridge = np.eye(2) * len(flat) * (0.1 * SPREAD) ** 2
    slope = np.linalg.solve(flat.T @ flat + ridge, flat.T @ points[:, 2])
    angles = np.arctan(slope)
    if np.abs(angles).max() > STEEPEST:
        return None
    # A floor that rises ahead is levelled by leaning forwards.
    return float(angles[0]), float(angles[1])
