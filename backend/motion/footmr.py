"""FootMR: ankle rotations from foot keypoints and knee rotations (FootMR, section 3; shapes and names as published).

Input and output are GLOBAL rotations in camera space, which is why the network can be trained on uniformly turned
bodies: feet seen from below cost nothing extra.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .kinematics import global_rotations, matrix_from_6d, matrix_to_6d
from .transformer import Block, Mlp, embed_keypoints, two_layers, window_mask

# Rows of the first 23 COCO-WholeBody keypoints that the network looks at: ankles, then the six foot points.
FOOT_KEYPOINTS = (15, 16, 17, 18, 19, 20, 21, 22)
CONDITION = (4, 5, 7, 8)  # left and right knee, left and right ankle
ANKLES = (7, 8)
# Pairs of FOOT_KEYPOINTS that tell how a foot lies: toes and heel from the ankle, along it, and across.
SPANS = tuple((2 + 3 * side + a, side if b is None else 2 + 3 * side + b)
              for side in (0, 1) for a, b in ((0, None), (1, None), (2, None), (0, 2), (1, 0)))  # fmt: skip
ENLARGED = 3.5  # a foot's length in the units of the hidden layer; ten times what the box makes of it
SHARE = 0.3  # of the hidden units that look at each pair


class FootEncoderRoPE(nn.Module):
    """The published refiner: 6 blocks of width 256."""

    def __init__(self, width: int = 256, layers: int = 6, heads: int = 4) -> None:
        super().__init__()
        self.learned_pos_params = nn.Parameter(0.02 * torch.randn(len(FOOT_KEYPOINTS), 32))
        self.learned_pos_linear = nn.Linear(2, 32)
        self.embed_noisyobs = Mlp(32 * len(FOOT_KEYPOINTS), 2 * width, width)
        self.cliffcam_embedder = two_layers(3, width)
        self.rot6d_embedder = two_layers(24, width)
        self.blocks = nn.ModuleList(Block(width, heads, ratio=2) for _ in range(layers))
        self.final_layer = Mlp(width, width, 12)
        self._begin()

    def forward(self, obs: Tensor, cliff_cam: Tensor, global_rot6d: Tensor) -> Tensor:
        """Refined global ankle rotations (B, L, 12), 6D rows, left then right.

        obs (B, L, 8, 3): FOOT_KEYPOINTS in box units with confidence; cliff_cam (B, L, 3); global_rot6d (B, L, 24):
        6D rows of the global camera-space rotations of CONDITION.
        """
        x = embed_keypoints(self, obs) + self.cliffcam_embedder(cliff_cam) + self.rot6d_embedder(global_rot6d)
        mask = window_mask(x.shape[1], device=x.device)
        for block in self.blocks:
            x = block(x, mask)
        return self.final_layer(x) + global_rot6d[..., 12:]

    @torch.no_grad()
    def _begin(self) -> None:
        """First weights from which training gets somewhere.

        A foot is a twentieth of the box that its points are told in. Hidden units that begin as random mixtures of
        toes and heels *seen from their ankle*, enlarged to the units of everything else, learn in two hundred steps
        what unprepared ones have not learnt in seven hundred: to look at the feet at all.
        """
        for block in self.blocks:
            nn.init.constant_(block.gate_msa, 0.3)
            nn.init.constant_(block.gate_mlp, 0.3)
        self.final_layer.fc2.weight *= 0.1  # near the ankles that are given
        nn.init.zeros_(self.final_layer.fc2.bias)
        back_to_xy = torch.linalg.pinv(self.learned_pos_linear.weight)
        hidden = self.embed_noisyobs.fc1.weight.unflatten(1, (len(FOOT_KEYPOINTS), -1))
        for point, other in SPANS:
            mixture = ENLARGED * torch.randn(len(hidden), 2) * (torch.rand(len(hidden), 1) < SHARE)
            hidden[:, point] += mixture @ back_to_xy
            hidden[:, other] -= mixture @ back_to_xy


def condition(local: Tensor) -> Tensor:
    """Camera-space pose (..., J, 3, 3), parent-relative -> `global_rot6d` (..., 24)."""
    turned = global_rotations(local[..., :9, :, :])
    return torch.cat([matrix_to_6d(turned[..., joint, :, :]) for joint in CONDITION], dim=-1)


def with_ankles(local: Tensor, ankles6d: Tensor) -> Tensor:
    """The pose (..., J, 3, 3) with its ankles replaced by the refined global ones (..., 12); all else stays."""
    turned = global_rotations(local[..., :9, :, :])
    refined = matrix_from_6d(ankles6d.unflatten(-1, (2, 6)))
    out = local.clone()
    for side, (ankle, knee) in enumerate(zip(ANKLES, (4, 5), strict=True)):
        out[..., ankle, :, :] = turned[..., knee, :, :].transpose(-1, -2) @ refined[..., side, :, :]
    return out
