"""Numbers recorded from the published networks' own code, filled with weights that anyone can make again.

`networks.json` holds some values, the mean and the mean size of each output. Every tensor was filled from a random
stream seeded by its name, so that an implementation with the same names and shapes must give the same numbers.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "networks.json").read_text())


def stream(name: str, *shape: int) -> Tensor:
    """Uniform numbers in -1..1 that belong to a name."""
    random = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)
    return torch.from_numpy(random.uniform(-1, 1, math.prod(shape)).astype(np.float32).reshape(shape))


def filled(network: nn.Module) -> nn.Module:
    """The network with the recorded weights."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            value = stream(name, *tensor.shape)
            if name.endswith(("gate_msa", "gate_mlp")):
                value *= 0.5
            elif tensor.ndim >= 2:
                value *= math.sqrt(3.0 / math.prod(tensor.shape[1:]))
            elif name.endswith("weight") and ("norm" in name or name.endswith("imgseq_embedder.0.weight")):
                value = 1 + 0.1 * value
            else:
                value *= 0.1
            tensor.copy_(value)
    return network.eval()


def agrees(name: str, output: Tensor, tolerance: float = 2e-4) -> bool:
    """Whether an output is the recorded one."""
    recorded, found = RECORDED[name], output.double().flatten().numpy()
    assert found.size == recorded["shape_numel"]
    close = np.abs(found[recorded["idx"]] - recorded["val"]).max() < tolerance
    return bool(
        close
        and abs(found.mean() - recorded["mean"]) < tolerance
        and abs(np.abs(found).mean() - recorded["abs_mean"]) < tolerance
    )
