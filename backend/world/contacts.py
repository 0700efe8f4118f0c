"""Which heels and toes stand on the floor, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import Skeleton
from ..smoothing import local_quadratic
from ..stages import Camera, Motion

SPEED = (0.35, 0.60)  # m/s: a contact begins below the first and ends above the second
HEIGHT = (0.07, 0.11)  # m above the floor, likewise


def contact_points(skeleton: Skeleton, motion: Motion) -> Array:
    """(T, 4, 3) metres in the motion's frame: the points of `skeleton.CONTACTS` (heel, middle of the toes)."""
    turned, joints = sk.forward_kinematics(skeleton, motion.rotations, motion.pelvis)
    feet = sk.posed_points(skeleton, turned, joints, sk.FOOT_POINTS)
    left, right = feet[:, :3], feet[:, 3:]
    return np.stack([left[:, 2], left[:, :2].mean(1), right[:, 2], right[:, :2].mean(1)], axis=1)


def sideways_speed(points: Array, times: Array) -> Array:
    """(T, N) m/s at which points (T, N, 3), camera space, move across the line of sight.

    A planted foot stands still in the picture of a still camera; its depth, on the other hand, is mostly noise.
    """
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    ones = np.ones(points.shape[:2])
    in_picture = local_quadratic(points[..., :2] / points[..., 2:], times, ones, 0.04)
    velocity = np.gradient(in_picture, times, axis=0)
    return np.linalg.norm(velocity, axis=-1) * np.median(points[..., 2])


def hysteresis(on: NDArray[np.bool_], off: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T, N): True from a frame with `on` until the first with `off`."""
    out = np.zeros_like(on)
    state = np.zeros(on.shape[1], bool)
    for t in range(len(on)):
        state = (state | on[t]) & ~off[t]
        out[t] = state
    return out


def find_contacts(points: Array, speed: Array) -> NDArray[np.uint8]:
    """points (T, 4, 3) metres, world (floor at z = 0); speed (T, 4) m/s. -> (T, 4) uint8"""
    height = points[..., 2]
    on = (speed < SPEED[0]) & (height < HEIGHT[0])
    off = (speed > SPEED[1]) | (height > HEIGHT[1])
    return hysteresis(on, off).astype(np.uint8)


def to_camera(points: Array, camera: Camera) -> Array:
    """World (..., 3) -> camera space."""
    return rotations.rotate(camera.rotation, points) + camera.t


def to_world(points: Array, camera: Camera) -> Array:
    """Camera space (..., 3) -> world."""
    return rotations.rotate(rotations.inverse(camera.rotation), points - camera.t)
