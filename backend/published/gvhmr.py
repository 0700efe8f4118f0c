"""GVHMR (SIGGRAPH Asia 2024): SMPL-X motion from keypoints, camera turn and HMR2.0's tokens over time.

One network of 12 blocks; everything in it is written down once a frame. 17 keypoints in the release, 23 with feet in
FootMR's. Names are those of the checkpoint (`pipeline.denoiser3d.*`).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..motion.kinematics import matrix_from_6d, matrix_to_6d
from ..motion.transformer import Block, Mlp, embed_keypoints, two_layers, window_mask
from .hmr2 import TOKEN

STATIC = (7, 10, 8, 11, 20, 21)  # joints whose standing still is predicted: ankle and foot, left and right; wrists
ENCODED = 151
CAMERA_MEAN, CAMERA_STD = (1.0606, -0.0027, 0.2702), (0.1784, 0.0956, 0.0764)
TURN_MEAN, TURN_STD = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.001, 0.1, 0.1, 0.1, 0.001, 0.1)
SMALLEST_SCALE = 0.25  # of the weak-perspective camera


class Encoded(NamedTuple):
    """What the network gives. motion (B, L, 151) normalised, the shape the same in every frame; camera (B, L, 3):
    scale and shift over the box; static (B, L, 6): logits of STATIC."""

    motion: Tensor
    camera: Tensor
    static: Tensor


class Decoded(NamedTuple):
    """The same in everybody's units. pose (B, L, 21, 3, 3) parent-relative; betas (B, L, 10) of SMPL-X; in_camera and
    in_gravity_view (B, L, 3, 3): the root's orientation; velocity (B, L, 3): metres a frame at 30 Hz, body axes."""

    pose: Tensor
    betas: Tensor
    in_camera: Tensor
    in_gravity_view: Tensor
    velocity: Tensor


class NetworkEncoderRoPE(nn.Module):
    """The published network."""

    def __init__(self, keypoints: int = 17, width: int = 512, layers: int = 12, heads: int = 8) -> None:
        super().__init__()
        self.learned_pos_params = nn.Parameter(0.02 * torch.randn(keypoints, 32))
        self.learned_pos_linear = nn.Linear(2, 32)
        self.embed_noisyobs = Mlp(32 * keypoints, 2 * width, width)
        self.cliffcam_embedder = two_layers(3, width)
        self.cam_angvel_embedder = two_layers(6, width)
        self.imgseq_embedder = nn.Sequential(nn.LayerNorm(TOKEN), nn.Linear(TOKEN, width))
        self.blocks = nn.ModuleList(Block(width, heads, ratio=4) for _ in range(layers))
        self.final_layer = Mlp(width, width, ENCODED)
        self.pred_cam_head = Mlp(width, width, 3)
        self.static_conf_head = Mlp(width, width, len(STATIC))

    def forward(self, obs: Tensor, cliff_cam: Tensor, turn: Tensor, tokens: Tensor) -> Encoded:
        """obs (B, L, J, 3) of `box_keypoints`; cliff_cam (B, L, 3) of `cliff_camera`; turn (B, L, 6) of
        `normalised_turn`; tokens (B, L, 1024) of HMR2.0. Frames are 1/30 s apart."""
        x = embed_keypoints(self, obs) + self.cliffcam_embedder(cliff_cam)
        x = x + self.cam_angvel_embedder(turn) + self.imgseq_embedder(tokens)
        mask = window_mask(x.shape[1], device=x.device)
        for block in self.blocks:
            x = block(x, mask)
        motion = self.final_layer(x)
        betas = motion[..., 126:136].mean(1, keepdim=True).expand(-1, x.shape[1], -1)
        camera = self.pred_cam_head(x) * x.new_tensor(CAMERA_STD) + x.new_tensor(CAMERA_MEAN)
        return Encoded(
            torch.cat([motion[..., :126], betas, motion[..., 136:]], -1),
            torch.cat([camera[..., :1].clamp_min(SMALLEST_SCALE), camera[..., 1:]], -1),
            self.static_conf_head(x),
        )


@cache
def statistics() -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (151,) of what the network learned; they are not in the checkpoint."""
    file = json.loads((Path(__file__).parent / "gvhmr_statistics.json").read_text("utf-8"))
    return torch.tensor(file["mean"]), torch.tensor(file["std"])


def decode(motion: Tensor) -> Decoded:
    """Encoded.motion (B, L, 151) -> rotations and metres."""
    mean, std = (numbers.to(motion) for numbers in statistics())
    x = motion * std + mean
    return Decoded(
        pose=matrix_from_6d(x[..., :126].unflatten(-1, (21, 6))),
        betas=x[..., 126:136],
        in_camera=matrix_from_6d(x[..., 136:142]),
        in_gravity_view=matrix_from_6d(x[..., 142:148]),
        velocity=x[..., 148:],
    )


def box_keypoints(keypoints: Tensor, box: Tensor) -> Tensor:
    """Keypoints in units of the box, -1..1; what lies outside was not seen.

    keypoints (..., J, 3): x, y pixels, confidence; box (..., 3): centre x, y and side in pixels. -> (..., J, 3)
    """
    xy = 2 * (keypoints[..., :2] - box[..., None, :2]) / box[..., None, 2:]
    inside = (xy.abs() <= 1).all(-1, keepdim=True)
    return torch.cat([xy, keypoints[..., 2:] * inside], -1)


def cliff_camera(box: Tensor, focal: float, centre: tuple[float, float]) -> Tensor:
    """Where the box (..., 3) is in the picture, in units of the focal length (CLIF, ECCV 2022). -> (..., 3)"""
    return (box - box.new_tensor([*centre, 0.0])) / focal


def camera_turn(world_to_camera: Tensor) -> Tensor:
    """Rotations (..., L, 3, 3) world to camera -> (..., L, 6), rows 6D of the turn to the next frame; the last one is
    repeated."""
    following = world_to_camera[..., 1:, :, :] @ world_to_camera[..., :-1, :, :].transpose(-1, -2)
    if not following.shape[-3]:
        following = torch.eye(3).to(world_to_camera).expand_as(world_to_camera)
        return matrix_to_6d(following)
    return matrix_to_6d(torch.cat([following, following[..., -1:, :, :]], -3))


def normalised_turn(turn: Tensor) -> Tensor:
    """`camera_turn` (..., 6) as the network wants it."""
    return (turn - turn.new_tensor(TURN_MEAN)) / turn.new_tensor(TURN_STD)


def translation(camera: Tensor, box: Tensor, focal: float, centre: tuple[float, float]) -> Tensor:
    """Weak-perspective camera (..., 3) over the box (..., 3) -> translation (..., 3) metres in camera space.

    The pelvis is there plus its place in SMPL-X's rest pose, which the shape decides.
    """
    scale = camera[..., :1] * box[..., 2:] + 1e-9
    shift = 2 * (box[..., :2] - box.new_tensor(centre)) / scale
    return torch.cat([camera[..., 1:] + shift, 2 * focal / scale], -1)
