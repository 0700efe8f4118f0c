"""World orientation: which way is down, robust to a wrong guess of the camera (W-HMR, section 3.4).

`OrientCorrect` is the published module, which needs W-HMR's own image features; `Orient` is ours, fed by the lifter.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..core.skeleton import BODY
from .kinematics import matrix_from_6d
from .lifter import STATIC, Lifted

FEATURES = 2144  # W-HMR's mesh-aligned features; 5 numbers about the box in the picture follow


class OrientCorrect(nn.Module):
    """The published module, names and shapes. It has no non-linearity: what it learns is one affine map."""

    def __init__(self, inputs: int = FEATURES + 5, hidden: int = 2048) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs + 6 + 9, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.decrot = nn.Linear(hidden, 9)

    def forward(self, features: Tensor, camera: Tensor, local: Tensor) -> Tensor:
        """features (B, inputs); camera (B, 3, 3): guessed rotation world to camera; local (B, 3, 3): orientation in
        camera space. -> (B, 9) the raw world orientation; `orthonormal` makes a rotation of it."""
        flat = local.flatten(1)
        x = torch.cat([features, camera[:, :, :2].flatten(1), flat], dim=1)
        return self.decrot(self.fc2(self.fc1(x))) + flat


def orthonormal(raw: Tensor) -> Tensor:
    """(B, 9) row-major -> rotation matrices (B, 3, 3); unbiased Gram-Schmidt, no column is preferred (W-HMR)."""
    t1, t2, t3 = raw.unflatten(1, (3, 3)).unbind(-1)
    r1 = F.normalize(torch.linalg.cross(t2, t3) + t1, dim=-1)
    r2 = torch.linalg.cross(t3, r1) + t2
    r2 = F.normalize(r2 - (r2 * r1).sum(-1, keepdim=True) * r1, dim=-1)
    return torch.stack([r1, r2, torch.linalg.cross(r1, r2)], dim=-1)


class Orient(nn.Module):
    """Gravity from a body's pose in camera space, what stands, the box and a guess of the camera; and how sure it is.

    Gravity in camera space stands for world orientation: the heading of the camera is nobody's to know, and
    `synthesis.view_from_gravity` @ camera-space orientation is the orientation in an upright world. Each frame is
    judged in the light of the whole clip: a foot that stands says more than one that flies.
    """

    def __init__(self, hidden: int = 192) -> None:
        super().__init__()
        self.fc1 = nn.Linear(9 * BODY + STATIC + 3 + 3 + 3, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(2 * hidden, hidden)
        self.decode = nn.Linear(hidden, 4)
        nn.init.zeros_(self.decode.weight)
        nn.init.constant_(self.decode.bias, 0.0)

    def forward(
        self, turned: Tensor, static: Tensor, down: Tensor, cliff_cam: Tensor, guess: Tensor
    ) -> tuple[Tensor, Tensor]:
        """turned (B, L, 22, 3, 3): global rotations, camera space; static (B, L, 6) logits; down (B, L, 3): what the
        lifter takes for down; cliff_cam (B, L, 3); guess (B, L, 3): of somebody else; unit vectors, camera space.

        -> down (B, L, 3), unit; logarithm (B, L) of its standard deviation in radians.
        """
        frame = torch.cat([turned.flatten(-3), static, down, cliff_cam, guess], dim=-1)
        frame = F.gelu(self.fc2(F.gelu(self.fc1(frame))))
        clip = frame.mean(1, keepdim=True).expand_as(frame)
        out = self.decode(F.gelu(self.fc3(torch.cat([frame, clip], dim=-1))))
        return F.normalize(down + out[..., :3], dim=-1), out[..., 3] - 2.5


def lifted_down(lifted: Lifted) -> Tensor:
    """Gravity's direction (..., 3) in camera space that the lifter's two orientations of one body imply."""
    camera, gravity = matrix_from_6d(lifted.camera), matrix_from_6d(lifted.gravity)
    return (camera @ gravity.transpose(-1, -2))[..., 1]
