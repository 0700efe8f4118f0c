"""OrientCorrect: camera-space orientation -> world orientation, robust to a wrong guess of the camera (W-HMR, 3.4)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

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
