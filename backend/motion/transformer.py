"""The temporal transformer that GVHMR, FootMR and our lifter share (GVHMR, SIGGRAPH Asia 2024, section 3).

One token a frame, rotary positions, gated residual branches, attention within a window of 120 frames, so that a clip
of any length passes at once. Module names are those of the published checkpoints.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

WINDOW = 120  # frames that a frame sees, itself in the middle


def window_mask(frames: int, window: int = WINDOW, device: torch.device | None = None) -> Tensor:
    """(L, L) True where row i may look at column j: everything up to 120 frames, else 120 frames around i."""
    i = torch.arange(frames, device=device)[:, None]
    j = torch.arange(frames, device=device)[None]
    half = window // 2
    first = (i - half).clamp(min=0).clamp(max=max(frames - window, 0))
    last = (i + half).clamp(min=window, max=max(frames, window))
    return (j >= first) & (j < last)


def rotary(x: Tensor) -> Tensor:
    """Rotary position embedding of (B, H, L, D): pairs (2i, 2i+1) turn by t * 10000^(-2i/D)."""
    length, size = x.shape[-2], x.shape[-1]
    rate = 10000.0 ** (-torch.arange(0, size, 2, device=x.device, dtype=torch.float32) / size)
    angle = torch.arange(length, device=x.device, dtype=torch.float32)[:, None] * rate
    sine, cosine = angle.sin().to(x.dtype), angle.cos().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, L, D), mask (L, L) or (B, 1, L, L), True: may look. -> (B, L, D)"""
        layers = (self.query, self.key, self.value)
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in layers)
        out = F.scaled_dot_product_attention(rotary(q), rotary(k), v, attn_mask=mask)
        return self.proj(out.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    """Two layers with a GELU between them; `approximate` as torch's GELU names it."""

    def __init__(self, width: int, hidden: int, out: int, approximate: str = "none") -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = nn.GELU(approximate)
        self.fc2 = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., out)"""
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each on a normalised input and scaled by a learned gate."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, ratio * width, width, approximate="tanh")
        self.gate_msa = nn.Parameter(torch.zeros(1, 1, width))
        self.gate_mlp = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, L, D); mask as in Attention. -> (B, L, D)"""
        x = x + self.gate_msa * self.attn(self.norm1(x), mask)
        return x + self.gate_mlp * self.mlp(self.norm2(x))


def embed_keypoints(module: nn.Module, obs: Tensor) -> Tensor:
    """obs (B, L, J, 3): x, y in box units (-1..1), confidence; seen means confidence > 0.5. -> (B, L, D)

    module has `learned_pos_linear`, `learned_pos_params` and `embed_noisyobs`, as the published networks do.
    """
    seen = obs[..., 2:] > 0.5
    embedded = torch.where(seen, module.learned_pos_linear(obs[..., :2]), module.learned_pos_params)
    return module.embed_noisyobs(embedded.flatten(-2))


def two_layers(inputs: int, width: int) -> nn.Sequential:
    """Linear, SiLU, Linear with the index names 0 and 3 of the published checkpoints (2 was dropout)."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Identity(), nn.Linear(width, width))
