"""Motion capture to train on: CMU motions in SMPL-X's 22 joints at 30 frames a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..core import rotations, skeleton
from .cmu import hinged_elbows, straighten_legs
from .kinematics import matrix_from_6d, matrix_to_6d

_MIRROR = torch.from_numpy(skeleton.MIRROR[: skeleton.BODY].copy())


@dataclass
class Motions:
    """Many motions laid end to end, N frames. World: y up, floor at y = 0, metres.

    local (N, 22, 3, 3) parent-relative, root in the world; trans (N, 3) the pelvis; contacts (N, 4) float in
    `skeleton.CONTACTS` order; first, length (S,) of each motion; rate frames a second.
    """

    local: Tensor
    trans: Tensor
    contacts: Tensor
    first: Tensor
    length: Tensor
    rate: float = 30.0

    def to(self, device: str) -> Motions:
        """The same motions on another device."""
        moved = {name: x.to(device) for name, x in vars(self).items() if isinstance(x, Tensor)}
        return replace(self, **moved)

    def windows(
        self, count: int, frames: int, generator: torch.Generator, stretch: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Random windows, half of them mirrored.

        Every frame is as likely as any other; motions shorter than a window stand still at their end. stretch: the
        frame rate is up to this many times higher or lower.
        -> local (B, L, 22, 3, 3), trans (B, L, 3), contacts (B, L, 4), rate (B,) frames a second.
        """
        chances = self.length.clamp(min=1).float()
        chosen = torch.multinomial(chances, count, replacement=True, generator=generator)
        pace = stretch ** (2 * torch.rand(count, generator=generator) - 1)  # frames of the data from one to the next
        last = (self.length[chosen] - 1).float()
        start = torch.rand(count, generator=generator) * (last - pace * (frames - 1)).clamp(min=0)
        place = torch.minimum(start[:, None] + pace[:, None] * torch.arange(frames), last[:, None])
        step = place.long()
        part = place - step
        index = self.first[chosen][:, None] + step
        after = self.first[chosen][:, None] + (step + 1).clamp(max=last.long()[:, None])
        local = between(self.local[index], self.local[after], part[..., None, None, None])
        trans = torch.lerp(self.trans[index], self.trans[after], part[..., None])
        contacts = self.contacts[index]
        flip = torch.rand(count, generator=generator) < 0.5
        mirrored = mirror(local[flip], trans[flip], contacts[flip])
        local[flip], trans[flip], contacts[flip] = mirrored
        return local, trans, contacts, self.rate / pace


def between(one: Tensor, two: Tensor, part: Tensor) -> Tensor:
    """Rotation matrices `part` of the way from one to two, which are close."""
    return matrix_from_6d(matrix_to_6d(torch.lerp(one, two, part)))


def mirror(local: Tensor, trans: Tensor, contacts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mirror image in the plane x = 0 of local (..., 22, 3, 3), trans (..., 3), contacts (..., 4)."""
    reflect = torch.tensor([-1.0, 1.0, 1.0])
    turned = reflect[:, None] * local[..., _MIRROR, :, :] * reflect
    return turned, trans * reflect, contacts[..., [2, 3, 0, 1]]


def load(path: Path, straighten: bool = True) -> Motions:
    """Read a file of motions.

    straighten: add a copy of every motion with its legs straightened: CMU's skeletons keep knees bent by 10 to 30
    degrees even in quiet standing, which people do not.
    """
    with np.load(path) as data:
        pose = np.concatenate([data["root_orient"][:, None], data["body_pose"]], 1).astype(np.float32)
        trans, contacts = data["trans"].astype(np.float32), data["contacts"].astype(np.float32)
        first, length = data["seq_start"].astype(np.int64), data["seq_length"].astype(np.int64)
        knees = data["seq_knee_straight_deg"], data["seq_knee_standing_deg"]
    local = matrix_from_quaternions(hinged_elbows(rotations.from_axis_angle(pose)))
    motions = Motions(local, *(torch.from_numpy(array) for array in (trans, contacts, first, length)))
    return _with_straight_legs(motions, *knees) if straighten else motions


def matrix_from_quaternions(quaternions: np.ndarray) -> Tensor:
    """(..., 4) -> matrices (..., 3, 3), single precision."""
    return torch.from_numpy(rotations.to_matrix(quaternions).astype(np.float32))


def _with_straight_legs(motions: Motions, straight: np.ndarray, standing: np.ndarray) -> Motions:
    quaternions = rotations.from_matrix(motions.local.numpy())
    moved, lift = quaternions.copy(), np.zeros((len(quaternions), 3))
    for i, (first, length) in enumerate(zip(motions.first.tolist(), motions.length.tolist(), strict=True)):
        part = slice(first, first + length)
        moved[part], lift[part] = straighten_legs(quaternions[part], straight[i], standing[i])
    local = matrix_from_quaternions(moved)
    count = len(motions.local)
    return Motions(
        torch.cat([motions.local, local]),
        torch.cat([motions.trans, motions.trans + torch.from_numpy(lift).float()]),
        motions.contacts.repeat(2, 1),
        torch.cat([motions.first, motions.first + count]),
        motions.length.repeat(2),
        motions.rate,
    )
