"""Rotations as unit quaternions (w, x, y, z) and 3x3 matrices, over any leading shape.

Matrices act on column vectors. All functions are pure and vectorised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


def normalize(v: ArrayLike) -> Array:
    """(..., N) -> the same directions with length 1; zero vectors stay zero."""
    v = np.asarray(v, float)
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.where(length > 1e-12, length, 1.0)


def multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """Hamilton product (..., 4): first b, then a."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a, float), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b, float), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def inverse(q: ArrayLike) -> Array:
    """Inverse of unit quaternions (..., 4)."""
    return np.asarray(q, float) * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(q: ArrayLike, v: ArrayLike) -> Array:
    """Vectors (..., 3) turned by unit quaternions (..., 4)."""
    q, v = np.asarray(q, float), np.asarray(v, float)
    t = 2.0 * np.cross(q[..., 1:], v)
    return v + q[..., :1] * t + np.cross(q[..., 1:], t)


def from_axis_angle(rotvec: ArrayLike) -> Array:
    """Rotation vectors (..., 3) in radians -> quaternions (..., 4)."""
    rotvec = np.asarray(rotvec, float)
    half = 0.5 * np.linalg.norm(rotvec, axis=-1, keepdims=True)
    return np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * rotvec], axis=-1)


def to_axis_angle(q: ArrayLike) -> Array:
    """Quaternions (..., 4) -> rotation vectors (..., 3) with an angle in [0, pi]."""
    q = np.asarray(q, float)
    q = np.where(q[..., :1] < 0, -q, q)
    s = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(s, q[..., :1])
    return q[..., 1:] * np.where(s > 1e-9, angle / np.maximum(s, 1e-9), 2.0)


def to_matrix(q: ArrayLike) -> Array:
    """Quaternions (..., 4) -> matrices (..., 3, 3)."""
    w, x, y, z = np.moveaxis(np.asarray(q, float), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(m: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) -> quaternions (..., 4), w >= 0.

    Of the four candidate solutions the one with the largest divisor is taken, so no angle loses precision.
    """
    m = np.asarray(m, float)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = np.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], axis=-1)
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = np.stack(
        [
            np.stack([squares[..., 0], wx, wy, wz], axis=-1),
            np.stack([wx, squares[..., 1], xy, xz], axis=-1),
            np.stack([wy, xy, squares[..., 2], yz], axis=-1),
            np.stack([wz, xz, yz, squares[..., 3]], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(squares, axis=-1)[..., None, None]
    q = normalize(np.take_along_axis(candidates, np.broadcast_to(best, (*best.shape[:-1], 4)), axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0, -q, q)


def between(a: ArrayLike, b: ArrayLike) -> Array:
    """The least rotation that turns direction a (..., 3) into direction b (..., 3)."""
    a, b = np.broadcast_arrays(normalize(a), normalize(b))
    half = a + b  # by which nearly opposite directions are told exactly
    w = 0.5 * np.sum(half**2, axis=-1, keepdims=True)
    q = np.concatenate([w, np.cross(a, half)], axis=-1)
    # Opposite directions: half a turn about any axis across a.
    helper = np.where(np.abs(a[..., :1]) < 0.7, np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    half_turn = np.concatenate([np.zeros_like(w), normalize(np.cross(a, helper))], axis=-1)
    return np.where(w > 1e-14, normalize(q), half_turn)


def slerp(a: ArrayLike, b: ArrayLike, weight: ArrayLike) -> Array:
    """From a (weight 0) to b (weight 1) along the shorter arc; weight broadcasts over the leading shape."""
    step = to_axis_angle(multiply(inverse(a), b))
    return multiply(a, from_axis_angle(step * np.asarray(weight, float)[..., None]))


def swing_twist(q: ArrayLike, axis: ArrayLike) -> tuple[Array, Array]:
    """q = swing * twist, the twist being about `axis` (unit vectors, (..., 3)). -> swing, twist (..., 4)"""
    q, axis = np.asarray(q, float), np.asarray(axis, float)
    along = np.sum(q[..., 1:] * axis, axis=-1, keepdims=True) * axis
    twist = np.concatenate([q[..., :1], along], axis=-1)
    length = np.linalg.norm(twist, axis=-1, keepdims=True)
    twist = np.where(length > 1e-9, twist / np.maximum(length, 1e-9), IDENTITY)
    return multiply(q, inverse(twist)), twist


def continuous(q: ArrayLike) -> Array:
    """(T, ..., 4) with signs chosen so that neighbours in time never point apart: curves without jumps."""
    q = np.array(q, float)
    if len(q) > 1:
        flips = np.sum(q[1:] * q[:-1], axis=-1) < 0
        signs = np.cumprod(np.where(flips, -1.0, 1.0), axis=0)
        q[1:] *= signs[..., None]
    return q


def angle_between(a: ArrayLike, b: ArrayLike) -> Array:
    """Angle of the rotation between quaternions (..., 4), radians in [0, pi]."""
    return np.linalg.norm(to_axis_angle(multiply(inverse(a), b)), axis=-1)


def frame_from(x: ArrayLike, y: ArrayLike) -> Array:
    """Right-handed frames (..., 3, 3) whose first column is along x and whose second is as near to y as it can be."""
    ex = normalize(x)
    ez = normalize(np.cross(ex, np.asarray(y, float)))
    return np.stack([ex, np.cross(ez, ex), ez], axis=-1)
