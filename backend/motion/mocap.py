"""Motion capture to train on: CMU motions in SMPL-X's 22 joints at 30 frames a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..core import rotations, skeleton
from .kinematics import matrix_from_axis_angle

_MIRROR = torch.from_numpy(skeleton.MIRROR[:22].copy())


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

    def windows(self, count: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random windows, half of them mirrored: local (B, L, 22, 3, 3), trans (B, L, 3), contacts (B, L, 4).

        Every frame is as likely as any other; motions shorter than a window stand still at their end.
        """
        chances = self.length.clamp(min=1).float()
        chosen = torch.multinomial(chances, count, replacement=True, generator=generator)
        room = (self.length[chosen] - frames).clamp(min=0)
        start = (torch.rand(count, generator=generator) * (room + 1)).long()
        steps = torch.minimum(start[:, None] + torch.arange(frames), self.length[chosen][:, None] - 1)
        index = self.first[chosen][:, None] + steps
        local, trans, contacts = self.local[index], self.trans[index], self.contacts[index]
        flip = torch.rand(count, generator=generator) < 0.5
        mirrored = mirror(local[flip], trans[flip], contacts[flip])
        local[flip], trans[flip], contacts[flip] = mirrored
        return local, trans, contacts


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
    local = matrix_from_axis_angle(torch.from_numpy(pose))
    motions = Motions(*(torch.as_tensor(a) for a in (local, trans, contacts, first, length)))
    return _with_straight_legs(motions, *knees) if straighten else motions


def _with_straight_legs(motions: Motions, straight: np.ndarray, standing: np.ndarray) -> Motions:
    quaternions = rotations.from_matrix(motions.local.numpy())
    moved, lift = quaternions.copy(), np.zeros((len(quaternions), 3))
    for i, (first, length) in enumerate(zip(motions.first.tolist(), motions.length.tolist(), strict=True)):
        part = slice(first, first + length)
        moved[part], lift[part] = straighten_legs(quaternions[part], straight[i], standing[i])
    local = torch.from_numpy(rotations.to_matrix(moved)).float()
    count = len(motions.local)
    return Motions(
        torch.cat([motions.local, local]),
        torch.cat([motions.trans, motions.trans + torch.from_numpy(lift).float()]),
        motions.contacts.repeat(2, 1),
        torch.cat([motions.first, motions.first + count]),
        motions.length.repeat(2),
        motions.rate,
    )


def straighten_legs(local: np.ndarray, straight: np.ndarray, standing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the data's constant knee bend out of one motion.

    The flexion is remapped by a monotone curve: `straight` degrees become 1, `standing` become 7, 100 and more stay.
    The line from hip to ankle, the leg's plane and the foot's orientation stay; the pelvis rises so that the lower
    ankle stays where it was. local (T, 22, 4) quaternions; straight, standing (2,) degrees, left and right.
    -> local (T, 22, 4), lift (T, 3) metres to add to the pelvis, world.
    """
    body = skeleton.neutral()
    full = np.broadcast_to(rotations.IDENTITY, (len(local), skeleton.COUNT, 4)).copy()
    full[:, :22] = local
    turned, joints = skeleton.forward_kinematics(body, full, np.zeros((len(local), 3)))
    out = turned.copy()
    for side, (hip, knee, ankle) in enumerate(((1, 4, 7), (2, 5, 8))):
        thigh, shin = (float(np.linalg.norm(body.offsets[j])) for j in (knee, ankle))
        line = joints[:, ankle] - joints[:, hip]
        reach = np.linalg.norm(line, axis=-1)
        bend = np.degrees(np.arccos(np.clip((reach**2 - thigh**2 - shin**2) / (2 * thigh * shin), -1, 1)))
        low = max(float(straight[side]), 1.0)
        mid = max(float(standing[side]), low + 4.0)
        wanted = np.radians(np.interp(bend, [0, low, mid, 100, 180], [0, 1, min(7.0, mid), 100, 180]))
        longer = np.sqrt(thigh**2 + shin**2 + 2 * thigh * shin * np.cos(wanted))
        across = rotations.rotate(turned[:, hip], [1.0, 0.0, 0.0])
        along = rotations.normalize(line)
        axis = rotations.normalize(across - np.sum(across * along, -1, keepdims=True) * along)

        def opening(near: float, far: float, distance: np.ndarray) -> np.ndarray:
            """Angle between the bone `near` and the line to the other end of the leg."""
            return np.arccos(np.clip((near**2 + distance**2 - far**2) / (2 * near * distance), -1, 1))

        for joint, near, far, sign in ((hip, thigh, shin, 1.0), (knee, shin, thigh, -1.0)):
            turn = sign * (opening(near, far, reach) - opening(near, far, longer))
            out[:, joint] = rotations.multiply(rotations.from_axis_angle(axis * turn[:, None]), out[:, joint])
    moved = skeleton.to_local(out)
    _, after = skeleton.forward_kinematics(body, moved, np.zeros((len(local), 3)))
    ankles = joints[:, [7, 8]]
    weight = np.exp(-(ankles[..., 1] - ankles[..., 1].min(1, keepdims=True)) / 0.03)
    lift = ((ankles - after[:, [7, 8]]) * weight[..., None]).sum(1) / weight.sum(1)[:, None]
    return moved[:, :22], lift
