"""Weights on disk: what a training leaves to go on from, and what ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor


def read_weights(path: Path) -> dict[str, Tensor]:
    """A network's tensors by name, single precision.

    path: .safetensors, or a training's checkpoint, whose averaged weights are meant.
    """
    if path.suffix == ".safetensors":
        return {name: tensor.float() for name, tensor in load_file(path).items()}
    weights: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")["average"]
    return weights


def save(state: dict[str, Any], path: Path) -> None:
    """Written beside and renamed: a run that is killed while it saves loses nothing."""
    beside = path.with_suffix(".tmp")
    torch.save(state, beside)
    beside.replace(path)
