"""SMPL-X kinematics in torch: rotations in the conventions of the published networks, and batched forward kinematics.

A 6D rotation comes in two readings in this field. Here it is the ROWS reading of GVHMR and FootMR: x[0:3] is the
matrix' first row, x[3:6] its second. (HMR2.0 and 4D-Humans read columns.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..core.skeleton import PARENTS


def matrix_from_6d(x: Tensor) -> Tensor:
    """(..., 6) rows reading -> rotation matrices (..., 3, 3), by Gram-Schmidt (Zhou et al. 2019)."""
    a, b = x[..., :3], x[..., 3:]
    first = F.normalize(a, dim=-1)
    second = F.normalize(b - (first * b).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def matrix_to_6d(matrix: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) -> (..., 6), rows reading."""
    return matrix[..., :2, :].flatten(-2)


def product(one: Tensor, two: Tensor) -> Tensor:
    """Matrices (..., N, 3) times matrices (..., 3, M): never rounded to ten bits, as a card's own product may be."""
    x, y, z = (one[..., :, k : k + 1] * two[..., k : k + 1, :] for k in range(3))
    return x + y + z


def matrix_from_axis_angle(rotvec: Tensor) -> Tensor:
    """Rotation vectors (..., 3) in radians -> matrices (..., 3, 3) (Rodrigues)."""
    angle = rotvec.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    x, y, z = (rotvec / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    sine, cosine = angle.sin()[..., None], angle.cos()[..., None]
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + sine * cross + (1 - cosine) * product(cross, cross)


def angle_between(one: Tensor, two: Tensor) -> Tensor:
    """Angles (...) in radians between rotation matrices (..., 3, 3)."""
    cosine = ((one * two).sum((-2, -1)) - 1) / 2
    return cosine.clamp(-1, 1).acos()


def global_rotations(local: Tensor, parents: Sequence[int] = tuple(PARENTS)) -> Tensor:
    """Parent-relative matrices (..., J, 3, 3) -> global ones, of the first J joints (22: body, 55: all)."""
    turned = [local[..., 0, :, :]]
    for j in range(1, local.shape[-3]):
        turned.append(product(turned[parents[j]], local[..., j, :, :]))
    return torch.stack(turned, dim=-3)


def forward_kinematics(local: Tensor, offsets: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Pose a skeleton.

    local (..., J, 3, 3) parent-relative, J = 22 or 55; offsets (..., J, 3) metres, each joint from its parent at rest
    (the root's own is not used); root (..., 3) metres, position of the root joint.
    -> global rotations (..., J, 3, 3) and joints (..., J, 3) metres, in the root's frame of reference.
    """
    turned = global_rotations(local)
    joints = [root]
    for j in range(1, local.shape[-3]):
        parent = int(PARENTS[j])
        step = product(turned[..., parent, :, :], offsets[..., j, :, None])[..., 0]
        joints.append(joints[parent] + step)
    return turned, torch.stack(joints, dim=-2)


def attached(turned: Tensor, joints: Tensor, carriers: Sequence[int], offsets: Tensor) -> Tensor:
    """Points (..., P, 3) metres that follow joints `carriers` (P) at rest offsets (..., P, 3) metres."""
    index = list(carriers)
    return joints[..., index, :] + product(turned[..., index, :, :], offsets[..., None])[..., 0]
