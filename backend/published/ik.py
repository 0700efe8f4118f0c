"""GVHMR's post-processing of the pose: limbs follow their static ends by cyclic coordinate descent.

The published arithmetic is kept: rotations on the way are sheared a little, which only the last step to quaternions
takes out. Putting them right in between differs by up to 0.02 in extreme poses.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..motion.kinematics import forward_kinematics
from .gvhmr import STATIC
from .rotations import (
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    matrix_from_quaternion,
    part_of_turn,
    quaternion_from_matrix,
)

SWEEPS = 2
# Joints of a limb from its root, and which of them have targets.
CHAINS = (
    ((0, 1, 4, 7, 10), (3, 4)),
    ((0, 2, 5, 8, 11), (3, 4)),
    ((9, 13, 16, 18, 20), (4,)),
    ((9, 14, 17, 19, 21), (4,)),
)
ANKLES, FEET = (7, 8), (10, 11)


class Limb(NamedTuple):
    """A chain of N joints. local (..., N, 3, 3), the first one global; offsets (..., N, 3) metres from the joint
    before; root (..., 3) metres."""

    local: Tensor
    offsets: Tensor
    root: Tensor

    def posed(self) -> tuple[Tensor, Tensor]:
        """-> global rotations (..., N, 3, 3) and joints (..., N, 3)"""
        turned, joints = [self.local[..., 0, :, :]], [self.root]
        for i in range(1, self.local.shape[-3]):
            joints.append(joints[-1] + (turned[-1] @ self.offsets[..., i, :, None])[..., 0])
            turned.append(_columns(turned[-1] @ self.local[..., i, :, :]))
        return torch.stack(turned, -3), torch.stack(joints, -2)


def settle_limbs(local: Tensor, offsets: Tensor, pelvis: Tensor, static: Tensor, ankles: bool = True) -> Tensor:
    """The pose (B, L, 22, 3, 3) whose static joints stand still in the world as well as its limbs allow.

    local (B, L, 22, 3, 3); offsets (22, 3) metres; pelvis (B, L, 3) metres; static (B, L, 6): logits of `gvhmr.STATIC`.
    ankles: whether they may turn. With FootMR they must not: fine motion of a foot is easily called static, and what
    the refiner saw would be taken out again. Hips and knees then still place the ankle, and feet keep their
    orientation in the world.
    """
    turned, joints = forward_kinematics(local, offsets, pelvis)
    goals = dict(zip(STATIC, _held(joints[:, :, list(STATIC)], static).unbind(2), strict=True))
    out = local.clone()
    chain: tuple[int, ...]
    ends: tuple[int, ...]
    for chain, ends in CHAINS:
        limb = Limb(
            torch.cat([turned[:, :, chain[:1]], local[:, :, chain[1:]]], 2),
            offsets[list(chain)],
            joints[:, :, chain[0]],
        )
        if not ankles:
            ends = tuple(end for end in ends if chain[end] not in FEET)
        settled = _descend(limb, {end: goals[chain[end]] for end in ends})
        out[:, :, chain[1:]] = matrix_from_axis_angle(axis_angle_from_matrix(settled[:, :, 1:]))
    return out if ankles else _feet_as_before(out, local, offsets, pelvis)


def _held(joints: Tensor, static: Tensor) -> Tensor:
    """(B, L, 6, 3) where the joints should be: each stays as far as it is static, else follows the pose."""
    stay = static.sigmoid()[..., None]
    goal = [joints[:, 0]]
    for i in range(1, joints.shape[1]):
        goal.append(torch.lerp(joints[:, i], goal[-1], stay[:, i - 1]))
    return torch.stack(goal, 1)


def _descend(limb: Limb, goals: dict[int, Tensor]) -> Tensor:
    """The limb's local matrices (..., N, 3, 3) after SWEEPS sweeps from its root to its end.

    goals: index in the chain -> where (..., 3) that joint should be. A joint turns so that each goal beyond it comes
    nearer, the more the further out it is itself.
    """
    count = limb.local.shape[-3]
    for _ in range(SWEEPS):
        for i in range(1, count - 1):
            turned, joints = limb.posed()
            here, now = joints[..., i, :], matrix_from_quaternion(quaternion_from_matrix(turned[..., i, :, :]))
            wanted = [
                part_of_turn(joints[..., end, :] - here, goal - here, (i + 1) / count) @ now
                for end, goal in goals.items()
                if end > i
            ]
            if not wanted:
                continue
            x, y = (F.normalize(sum(w[..., axis] for w in wanted), dim=-1) for axis in (0, 1))
            solved = torch.stack([x, y, torch.linalg.cross(x, y)], -1)
            local = limb.local.clone()
            local[..., i, :, :] = _columns(_columns(torch.linalg.inv(turned[..., i - 1, :, :])) @ solved)
            limb = limb._replace(local=local)
    return limb.local


def _feet_as_before(settled: Tensor, local: Tensor, offsets: Tensor, pelvis: Tensor) -> Tensor:
    """The settled pose with the ankles' global rotations, and the forefeet upon them, of the pose before."""
    before, _ = forward_kinematics(local, offsets, pelvis)
    after, _ = forward_kinematics(settled, offsets, pelvis)
    out = settled.clone()
    for ankle, knee, foot in zip(ANKLES, (4, 5), FEET, strict=True):
        out[:, :, ankle] = after[:, :, knee].transpose(-1, -2) @ before[:, :, ankle]
        out[:, :, foot] = local[:, :, foot]
    return out


def _columns(matrix: Tensor) -> Tensor:
    """The matrices with columns of length 1."""
    return F.normalize(matrix, dim=-2)
