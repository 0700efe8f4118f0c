"""Blender's rotation modes: quaternions to the channels that a bone really has, without flips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations
from ...backend.core.rotations import Array

ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
POLE = 1e-6  # cosine of the middle angle below which only the sum of the outer ones is known


def from_euler(angles: Array, order: str) -> Array:
    """Blender's Euler angles (..., 3) in radians, in x, y, z whatever the order -> quaternions (..., 4).

    The first axis of the order turns first, as in Blender ("XYZ" is the matrix Rz Ry Rx).
    """
    angles = np.asarray(angles, float)
    out: Array = rotations.IDENTITY
    for axis in ("XYZ".index(letter) for letter in order):
        out = rotations.multiply(rotations.from_axis_angle(angles[..., axis, None] * np.eye(3)[axis]), out)
    return out


def to_euler(quaternions: Array, order: str) -> Array:
    """Quaternions (T, 4) -> Euler angles (T, 3) in radians, in x, y, z, without jumps from frame to frame.

    Every rotation has two sets of angles, each of them known up to full turns: the first frame takes the smaller
    set, every other frame what is nearest to the frame before.
    """
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1.0 if order in ("XYZ", "YZX", "ZXY") else -1.0
    m = rotations.to_matrix(quaternions)
    cosine = np.hypot(m[..., i, i], m[..., j, i])
    angles = np.empty((len(m), 3))
    angles[:, i] = np.arctan2(sign * m[..., k, j], m[..., k, k])
    angles[:, j] = np.arctan2(-sign * m[..., k, i], cosine)
    angles[:, k] = np.arctan2(sign * m[..., j, i], m[..., i, i])
    # The pole itself: the last angle stays what it was, the first takes all of the turn.
    turn = np.arctan2(-sign * m[..., j, k], m[..., j, j])
    for t in np.flatnonzero(cosine < POLE):
        angles[t, k] = angles[t - 1, k] if t else 0.0
        angles[t, i] = turn[t] + np.sign(angles[t, j]) * sign * angles[t, k] if t else turn[t]
    other = np.empty_like(angles)
    other[:, i], other[:, j], other[:, k] = angles[:, i] + np.pi, np.pi - angles[:, j], angles[:, k] + np.pi
    # Changing the set costs the same from either, so that the choice is a running parity.
    stay, change = _wrapped(np.diff(angles, axis=0)), _wrapped(other[1:] - angles[:-1])
    flips = np.sum(change**2, axis=1) < np.sum(stay**2, axis=1)
    start = np.sum(_wrapped(other[:1]) ** 2) < np.sum(angles[:1] ** 2)
    chosen = np.cumsum(np.concatenate([[start], flips])) % 2 == 1
    return np.unwrap(np.where(chosen[:, None], other, angles), axis=0)


def _wrapped(angles: Array) -> Array:
    return (angles + np.pi) % (2 * np.pi) - np.pi


def to_axis_angle(quaternions: Array) -> Array:
    """Quaternions (T, 4) -> Blender's axis-angle channels (T, 4): angle in radians and axis, without jumps."""
    q = rotations.continuous(quaternions)
    sine = np.linalg.norm(q[:, 1:], axis=1)
    moving = np.flatnonzero(sine > 1e-9)
    if not len(moving):
        return np.tile([0.0, 0.0, 1.0, 0.0], (len(q), 1))
    # Through the identity the axis goes on and the angle changes its sign; frames without a turn borrow an axis.
    axes = q[moving, 1:] / sine[moving, None]
    turns = np.sum(axes[1:] * axes[:-1], axis=1) < 0
    signs = np.cumprod(np.concatenate([[1.0], np.where(turns, -1.0, 1.0)]))
    near = np.clip(np.searchsorted(moving, np.arange(len(q)), side="right") - 1, 0, None)
    axis = (axes * signs[:, None])[near]
    angle = 2.0 * np.arctan2(np.sum(q[:, 1:] * axis, axis=1), q[:, 0])
    return np.concatenate([np.unwrap(angle, period=4 * np.pi)[:, None], axis], axis=1)


def to_mode(quaternions: Array, mode: str, locked: NDArray[np.bool_] | None = None) -> tuple[str, Array]:
    """Quaternions (T, 4) -> the bone's property and its values, (T, 4) or (T, 3), for a rotation mode of Blender.

    locked: (4,) w, x, y, z: channels that are zero, as `unlocked` has left them.
    """
    if mode == "QUATERNION":
        return "rotation_quaternion", rotations.continuous(quaternions)
    if mode == "AXIS_ANGLE":
        return "rotation_axis_angle", to_axis_angle(quaternions)
    if locked is not None and locked[1:].any():
        return "rotation_euler", np.unwrap(_some_axes(rotations.continuous(quaternions), mode, ~locked[1:]), axis=0)
    return "rotation_euler", to_euler(quaternions, mode)


def unlocked(quaternions: Array, mode: str, locked: NDArray[np.bool_]) -> Array:
    """The nearest rotations (T, 4) whose locked channels are zero; locked: (4,) w, x, y, z.

    With one axis left both forms give the nearest turn about it.
    """
    free = ~locked[1:]
    if not free.any():
        return np.broadcast_to(rotations.IDENTITY, quaternions.shape).copy()
    if mode in ORDERS and free.sum() == 2:
        return from_euler(_some_axes(quaternions, mode, free), mode)
    kept = np.asarray(quaternions, float) * np.array([1.0, *free])
    length = np.linalg.norm(kept, axis=-1, keepdims=True)
    return np.where(length > 1e-9, kept / np.maximum(length, 1e-9), rotations.IDENTITY)


def _some_axes(quaternions: Array, order: str, free: NDArray[np.bool_]) -> Array:
    """Angles (T, 3) of the nearest rotations about one or two axes."""
    angles = np.zeros((len(quaternions), 3))
    axes = ["XYZ".index(letter) for letter in order if free["XYZ".index(letter)]]
    if len(axes) == 1:
        angles[:, axes[0]] = 2.0 * np.arctan2(quaternions[:, 1 + axes[0]], quaternions[:, 0])
    if len(axes) == 2:
        first, last = axes
        ex, ez = np.eye(3)[axes]
        # Exact where two angles are enough; elsewhere each angle in turn is the best for the other.
        turned = rotations.rotate(quaternions, ex)
        angles[:, last] = np.arctan2(np.cross(ex, turned) @ ez, turned @ ex)
        for _ in range(12):
            rest = rotations.multiply(rotations.from_axis_angle(-angles[:, last, None] * ez), quaternions)
            angles[:, first] = 2.0 * np.arctan2(rest[:, 1 + first], rest[:, 0])
            rest = rotations.multiply(quaternions, rotations.from_axis_angle(-angles[:, first, None] * ex))
            angles[:, last] = 2.0 * np.arctan2(rest[:, 1 + last], rest[:, 0])
    return _wrapped(angles)
