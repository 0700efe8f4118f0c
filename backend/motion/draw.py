"""Random numbers for a batch of synthetic clips."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

SWAY = 8  # frames: how quickly limbs change their mind where motion is made up


@dataclass
class Draw:
    """Random numbers for a batch of B."""

    random: Generator
    count: int

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """(B, ...) uniform from low to high."""
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.random)

    def normal(self, *shape: int) -> Tensor:
        """(B, ...) of unit variance."""
        return torch.randn(self.count, *shape, generator=self.random)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """(B, ...) bool, True with that probability."""
        return torch.rand(self.count, *shape, generator=self.random) < probability

    def span(self, frames: int, shortest: int, longest: int) -> Tensor:
        """(B, L) bool: one random stretch of frames each."""
        length = self.between(shortest, longest)[:, None]
        start = self.between(-0.2, 1.0)[:, None] * frames
        step = torch.arange(frames)[None]
        return (step >= start) & (step < start + length)

    def sway(self, frames: int, *shape: int) -> Tensor:
        """What a limb does (B, L, ...), of unit variance: partly held, partly moved as smoothly as people move."""
        reach = torch.arange(-3 * SWAY, 3 * SWAY + 1)
        kernel = torch.exp(-0.5 * (reach / SWAY) ** 2)
        moved = self._filtered(torch.randn(self.count, frames + 6 * SWAY, *shape, generator=self.random), kernel)
        return 0.6 * self.normal(1, *shape) + 0.8 * moved

    def wander(self, frames: int, *shape: int, memory: float) -> Tensor:
        """Noise (B, L, ...) of unit variance that is alike from frame to frame (first-order autoregressive); without a
        shape (B, L, 1)."""
        shape = shape or (1,)
        # The impulse response of the filter, all frames at once: far quicker than a loop.
        reach = min(frames, max(2, int(4 / (1 - memory))))
        white = torch.randn(self.count, frames + reach - 1, *shape, generator=self.random)
        return self._filtered(white, memory ** torch.arange(reach).flip(0).float())

    def _filtered(self, white: Tensor, kernel: Tensor) -> Tensor:
        """White noise (B, L + K - 1, ...) through a filter (K,) over time, of unit variance again. -> (B, L, ...)"""
        frames = white.shape[1] - len(kernel) + 1
        place = torch.arange(white.shape[1])[:, None] - torch.arange(frames)
        taps = (kernel / kernel.norm())[place.clamp(0, len(kernel) - 1)]
        taps = torch.where((place >= 0) & (place < len(kernel)), taps, 0.0)
        return torch.tensordot(white, taps, dims=([1], [0])).movedim(-1, 1)
