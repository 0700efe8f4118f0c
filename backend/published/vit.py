"""The vision transformer of ViTPose (NeurIPS 2022), which HMR2.0 and W-HMR also look at people with.

Names are those of the published checkpoints (`backbone.*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..motion.transformer import Mlp

HEIGHT, WIDTH = 256, 192  # pixels of the crop
PATCH = 16
ROWS, COLUMNS = HEIGHT // PATCH, WIDTH // PATCH  # of tokens


class ViTSize(NamedTuple):
    """How large the network is."""

    width: int
    layers: int
    heads: int


HUGE = ViTSize(1280, 32, 16)  # HMR2.0, ViTPose-H
BASE = ViTSize(768, 12, 12)  # W-HMR


_HEADS = {1280: 16, 1024: 16, 768: 12, 384: 12}  # by width, of ViTPose's family


def size_of(weights: Mapping[str, Tensor]) -> ViTSize:
    """The size of the network that weights below `backbone.` are of."""
    width = weights["backbone.pos_embed"].shape[-1]
    layers = {name.split(".")[2] for name in weights if name.startswith("backbone.blocks.")}
    return ViTSize(width, len(layers), _HEADS.get(width, max(1, width // 16)))


class ViT(nn.Module):
    """Crop -> a grid of features, one for each patch of 16 by 16 pixels."""

    def __init__(self, size: ViTSize = HUGE) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(size.width)
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, ROWS * COLUMNS + 1, size.width))
        self.blocks = nn.ModuleList(Block(size.width, size.heads) for _ in range(size.layers))
        self.last_norm = nn.LayerNorm(size.width, eps=1e-6)

    def forward(self, image: Tensor) -> Tensor:
        """image (B, 3, 256, 192), normalised as `crops` does. -> (B, width, 16, 12)"""
        x = self.patch_embed(image)
        x = x + self.pos_embed[:, 1:] + self.pos_embed[:, :1]  # the class token's place is kept, the token is not
        for block in self.blocks:
            x = block(x)
        return self.last_norm(x).transpose(1, 2).unflatten(2, (ROWS, COLUMNS))


class PatchEmbed(nn.Module):
    """Patches to tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 256, 192) -> (B, 192, width), row by row"""
        return self.proj(image).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Every token looks at every other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)"""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))


class Block(nn.Module):
    """Attention and MLP, each on a normalised input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, width)"""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))
