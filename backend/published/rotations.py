"""Rotation conventions of the published code, where they differ from `motion.kinematics`.

Rotation vectors and matrices become one another by way of quaternions, as there: some results hang on the rounding of
an arc cosine near one, and agree with the published ones to all digits only on the same way.

Three readings of six numbers are in use: rows (GVHMR, FootMR; in `motion.kinematics`), columns (HMR2.0), and columns
interleaved (W-HMR, SPIN). They must never be mixed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

TINY = 1e-5  # radians; the published code takes smaller turns for none


def matrix_from_columns(x: Tensor) -> Tensor:
    """(..., 6), first and second column one after the other (HMR2.0) -> matrices (..., 3, 3)."""
    a, b = x[..., :3], x[..., 3:]
    first = F.normalize(a, dim=-1)
    second = F.normalize(b - (first * b).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def matrix_from_axis_angle(rotvec: Tensor) -> Tensor:
    """Rotation vectors (..., 3) in radians -> matrices (..., 3, 3)."""
    angle = rotvec.norm(dim=-1, keepdim=True)
    small = angle < 1e-6
    factor = torch.where(small, 0.5 - angle**2 / 48, (0.5 * angle).sin() / torch.where(small, 1.0, angle))
    return matrix_from_quaternion(torch.cat([(0.5 * angle).cos(), rotvec * factor], -1))


def matrix_from_quaternion(q: Tensor) -> Tensor:
    """Quaternions (..., 4), w x y z, of any length -> matrices (..., 3, 3)."""
    w, x, y, z = q.unbind(-1)
    two = 2.0 / (q * q).sum(-1)
    rows = [
        1 - two * (y * y + z * z), two * (x * y - z * w), two * (x * z + y * w),
        two * (x * y + z * w), 1 - two * (x * x + z * z), two * (y * z - x * w),
        two * (x * z - y * w), two * (y * z + x * w), 1 - two * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def quaternion_from_matrix(matrix: Tensor) -> Tensor:
    """Matrices (..., 3, 3) -> quaternions (..., 4), w x y z, w >= 0, from the largest of the four components.

    Sheared matrices give the quaternion that the published code gives; it is not of unit length.
    """
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    size = torch.stack(
        [
            1 + m[0][0] + m[1][1] + m[2][2],
            1 + m[0][0] - m[1][1] - m[2][2],
            1 - m[0][0] + m[1][1] - m[2][2],
            1 - m[0][0] - m[1][1] + m[2][2],
        ],
        dim=-1,
    )
    size = size.clamp_min(0).sqrt()  # twice the size of each component
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[1][0] + m[0][1], m[0][2] + m[2][0], m[1][2] + m[2][1]
    w, x, y, z = (size**2).unbind(-1)
    candidates = torch.stack(
        [
            torch.stack([w, wx, wy, wz], -1),
            torch.stack([wx, x, xy, xz], -1),
            torch.stack([wy, xy, y, yz], -1),
            torch.stack([wz, xz, yz, z], -1),
        ],
        dim=-2,
    ) / (2 * size.clamp_min(0.1)[..., None])
    best = size.argmax(-1)[..., None, None].expand(*size.shape[:-1], 1, 4)
    q = candidates.gather(-2, best)[..., 0, :]
    return torch.where(q[..., :1] < 0, -q, q)


def axis_angle_from_matrix(matrix: Tensor) -> Tensor:
    """Matrices (..., 3, 3) -> rotation vectors (..., 3) by way of the quaternion; angle in [0, pi].

    Of a sheared matrix the quaternion is not of unit length, and the vector is longer or shorter by as much.
    """
    q = quaternion_from_matrix(matrix)
    half = torch.atan2(q[..., 1:].norm(dim=-1, keepdim=True), q[..., :1])
    return q[..., 1:] * 2 / torch.sinc(half / torch.pi)


def without_tiny_turns(matrix: Tensor) -> Tensor:
    """The matrices (..., 3, 3), those that turn by less than TINY replaced by exactly none."""
    still = axis_angle_from_matrix(matrix).norm(dim=-1) < TINY
    return torch.where(still[..., None, None], torch.eye(3, dtype=matrix.dtype, device=matrix.device), matrix)


def part_of_turn(start: Tensor, end: Tensor, share: float) -> Tensor:
    """`share` (0..1) of the shortest turn from direction `start` to `end` (..., 3) -> matrices (..., 3, 3)."""
    a, b = F.normalize(start, dim=-1), F.normalize(end, dim=-1)
    axis = torch.linalg.cross(a, b)
    angle = torch.atan2(axis.norm(dim=-1, keepdim=True), (a * b).sum(-1, keepdim=True))
    return matrix_from_axis_angle(F.normalize(axis, dim=-1) * angle * share)
