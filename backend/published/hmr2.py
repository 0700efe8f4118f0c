"""HMR2.0 of 4D-Humans (ICCV 2023): SMPL pose, shape and camera from one crop; also its fine-tunes.

A ViT looks at the crop; a decoder of six layers asks it one question, the token, and reads pose, shape and camera off
the answer. The token is also what GVHMR and FootMR know of the picture. Names are those of the checkpoint
(`backbone.*`, `smpl_head.*`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .rotations import matrix_from_columns
from .vit import HUGE, ViT, ViTSize

JOINTS = 24  # of SMPL; the first 22 turn as those of SMPL-X do, the last two are hands that SMPL-X has fingers for
TOKEN = 1024


class Person(NamedTuple):
    """What HMR2.0 says of B crops. token (B, 1024); rotations (B, 24, 3, 3) parent-relative, the root in the camera;
    betas (B, 10) of SMPL; camera (B, 3): scale and shift of the weak perspective over the crop."""

    token: Tensor
    rotations: Tensor
    betas: Tensor
    camera: Tensor


class HMR2(nn.Module):
    """Crop -> Person."""

    def __init__(self, size: ViTSize = HUGE, width: int = TOKEN, layers: int = 6) -> None:
        super().__init__()
        self.backbone = ViT(size)
        self.smpl_head = SMPLHead(size.width, width, layers)

    def forward(self, image: Tensor) -> Person:
        """image (B, 3, 256, 192), normalised as `crops` does."""
        features = self.backbone(image)
        with torch.autocast(image.device.type, enabled=False):  # half precision is for the large part
            return self.smpl_head(features.float())


class SMPLHead(nn.Module):
    """The decoder and its three read-outs, each an offset from the mean person of the checkpoint.

    The mean pose is interleaved in another way than the network's output. That is as trained: never put it right.
    """

    init_body_pose: Tensor
    init_betas: Tensor
    init_cam: Tensor

    def __init__(self, context: int, width: int = TOKEN, layers: int = 6) -> None:
        super().__init__()
        self.transformer = Decoder(context, width, layers)
        self.decpose = nn.Linear(width, 6 * JOINTS)
        self.decshape = nn.Linear(width, 10)
        self.deccam = nn.Linear(width, 3)
        self.register_buffer("init_body_pose", torch.zeros(1, 6 * JOINTS))
        self.register_buffer("init_betas", torch.zeros(1, 10))
        self.register_buffer("init_cam", torch.tensor([[0.9, 0.0, 0.0]]))

    def forward(self, features: Tensor) -> Person:
        """features (B, C, 16, 12) of the ViT."""
        token = self.transformer(features.flatten(2).transpose(1, 2))
        pose = self.decpose(token) + self.init_body_pose
        return Person(
            token,
            matrix_from_columns(pose.unflatten(-1, (JOINTS, 6))),
            self.decshape(token) + self.init_betas,
            self.deccam(token) + self.init_cam,
        )


class Decoder(nn.Module):
    """One token that looks at the ViT's features."""

    def __init__(self, context: int, width: int, layers: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, width)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.transformer = nn.Module()
        self.transformer.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Normed(width, SelfAttention(width)),
                    Normed(width, CrossAttention(width, context)),
                    Normed(width, FeedForward(width)),
                ]
            )
            for _ in range(layers)
        )

    def forward(self, context: Tensor) -> Tensor:
        """context (B, N, C) -> the token (B, width)"""
        x = (self.to_token_embedding.bias + self.pos_embedding).expand(len(context), -1, -1)  # its input is zero
        for itself, picture, feed in self.transformer.layers:
            x = x + itself(x)
            x = x + picture(x, context)
            x = x + feed(x)
        return x[:, 0]


class Normed(nn.Module):
    """A layer on a normalised input."""

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = layer

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """x (B, 1, width)"""
        return self.fn(self.norm(x), *context)


class SelfAttention(nn.Module):
    """Of one token to itself: whatever query and key are, it gets its own value back. 8 heads x 64."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(width, 3 * 512, bias=False)
        self.to_out = nn.Sequential(nn.Linear(512, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, width) -> (B, 1, width)"""
        return self.to_out(F.linear(x, self.to_qkv.weight[-512:]))


class CrossAttention(nn.Module):
    """Of the token to the picture, 8 heads x 64."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, 512, bias=False)
        self.to_kv = nn.Linear(context, 2 * 512, bias=False)
        self.to_out = nn.Sequential(nn.Linear(512, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (B, 1, width), context (B, N, C) -> (B, 1, width)"""
        k, v = self.to_kv(context).chunk(2, dim=-1)
        q, k, v = (y.unflatten(-1, (8, 64)).transpose(1, 2) for y in (self.to_q(x), k, v))
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))


class FeedForward(nn.Module):
    """Two layers; the index names 0 and 3 are those of the checkpoint (2 was dropout)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Identity(), nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, width) -> (B, 1, width)"""
        return self.net(x)
