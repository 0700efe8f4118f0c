"""The lifter: keypoints of a person over time -> pose, orientation, velocity, contacts (after GVHMR, section 3).

One token a frame from 2D keypoints, box and camera information and, where the landmark model gives them, its 3D points
as a hint. Small enough to be free beside the landmark models on a laptop.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..body.tokens import HINTS, KEYPOINTS, NO_TURN
from ..core.skeleton import BODY
from .kinematics import matrix_from_6d
from .transformer import Block, Mlp, embed_keypoints, two_layers, window_mask

STATIC = 6  # heels and toes of `skeleton.CONTACTS`, then left and right wrist


class Lifted(NamedTuple):
    """What the lifter says of each frame. All rotations as 6D, rows reading.

    pose (B, L, 21, 6) parent-relative, joints 1..21; camera (B, L, 6) and gravity (B, L, 6): the root in camera space
    and in gravity-view coordinates (y along gravity, z where the camera looks, level); velocity (B, L, 3) m/s of the
    root in its own axes; static (B, L, 6) logits; bones (B, L, 21): logarithm of each bone's length beside the neutral
    body's of the same size, joints 1..21; error (B, L, 22): logarithm of the expected joint error in metres, without
    meaning for the root.
    """

    pose: Tensor
    camera: Tensor
    gravity: Tensor
    velocity: Tensor
    static: Tensor
    bones: Tensor
    error: Tensor

    def local(self) -> Tensor:
        """Parent-relative rotations (B, L, 22, 3, 3), the root in camera space."""
        return matrix_from_6d(torch.cat([self.camera[:, :, None], self.pose], 2))


class Lifter(nn.Module):
    """Temporal transformer; the output is added to a mean pose so that training starts from a person, not a knot."""

    def __init__(self, width: int = 256, layers: int = 8, heads: int = 8) -> None:
        super().__init__()
        self.learned_pos_params = nn.Parameter(0.02 * torch.randn(KEYPOINTS, 32))
        self.learned_pos_linear = nn.Linear(2, 32)
        self.embed_noisyobs = Mlp(32 * KEYPOINTS, 2 * width, width)
        self.cliffcam_embedder = two_layers(3, width)
        self.cam_angvel_embedder = two_layers(6, width)
        self.hint_embedder = two_layers(3 * len(HINTS) + 1, width)
        self.blocks = nn.ModuleList(Block(width, heads, ratio=2) for _ in range(layers))
        self.final_norm = nn.LayerNorm(width, eps=1e-6)
        self.final_layer = Mlp(width, 2 * width, 6 * 23 + 3 + STATIC + 21 + BODY)
        identity = torch.tensor(NO_TURN)
        # A body seen from the front by a level camera stands the other way up in camera axes (y down).
        facing = torch.tensor([1.0, 0, 0, 0, -1, 0])
        self.register_buffer("mean_rotations", torch.cat([identity.repeat(21), facing, facing]))
        for block in self.blocks:
            nn.init.constant_(block.gate_msa, 0.3)
            nn.init.constant_(block.gate_mlp, 0.3)
        nn.init.normal_(self.final_layer.fc2.weight, std=0.01)
        nn.init.zeros_(self.final_layer.fc2.bias)

    def forward(self, obs: Tensor, cliff_cam: Tensor, cam_angvel: Tensor, hints: Tensor) -> Lifted:
        """obs (B, L, 23, 3) keypoints in box units with confidence; cliff_cam (B, L, 3); cam_angvel (B, L, 6): 6D of
        the camera's turn to the next frame, less the identity, times 10; hints (B, L, 58): HINTS in metres, camera
        axes, about the middle of the hips, for a body of neutral size; last 1 where there are any, else all 0."""
        x = (
            embed_keypoints(self, obs)
            + self.cliffcam_embedder(cliff_cam)
            + self.cam_angvel_embedder(cam_angvel)
            + self.hint_embedder(hints)
        )
        mask = window_mask(x.shape[1], device=x.device)
        for block in self.blocks:
            x = block(x, mask)
        out = self.final_layer(self.final_norm(x))
        rotations, velocity, static, bones, error = out.split([6 * 23, 3, STATIC, 21, BODY], dim=-1)
        rotations = (rotations + self.mean_rotations).unflatten(-1, (23, 6))
        pose, camera, gravity = rotations[..., :21, :], rotations[..., 21, :], rotations[..., 22, :]
        return Lifted(pose, camera, gravity, velocity, static, 0.1 * bones, error - 3.0)
