"""Where and how the published networks run: device, precision, batches that fit into memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.errors import MocapError

LARGEST_BATCH = {"cuda": 64, "mps": 16, "cpu": 4}  # crops at a time, to begin with


def device_of(name: str) -> torch.device:
    """cuda (also AMD's cards, through ROCm), mps or cpu. Raises MocapError device-missing."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name, False):
        build = f"PyTorch {torch.__version__}"
        raise MocapError("device-missing", f"There is no {name} device that {build} can use.")
    return torch.device(name)


def describe(name: str) -> str:
    """A device for a person: its name and memory. Raises MocapError device-missing."""
    device = device_of(name)
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        kind = "ROCm" if torch.version.hip else "CUDA"
        return f"{card.name}, {card.total_memory / 1e9:.0f} GB, {kind}"
    return "Apple GPU" if device.type == "mps" else "processor"


def precision_of(device: torch.device) -> torch.dtype:
    """What image networks compute in: bfloat16 where the card is made for it, float16 on older ones, else float32.

    Only the image networks: their results are read off by networks that stay in float32, as does everything over time.
    With random weights and 16 layers, bfloat16 turns HMR2.0's joints by 0.1 degrees on average and 0.25 at most;
    float16 by 0.005, but large activations may overflow in it.
    """
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


class Runner:
    """A network on its device. Crops go in as arrays, results come out as tensors on the CPU in float32."""

    def __init__(self, network: nn.Module, device: torch.device, precision: torch.dtype | None = None) -> None:
        self.device = device
        self.precision = precision or precision_of(device)
        self.network = network.to(device=device)
        self.batch = LARGEST_BATCH[device.type]

    @torch.inference_mode()
    def __call__(self, crops: Sequence[NDArray[np.float32]], run: Callable[[Tensor], Tensor]) -> Tensor:
        """run: gets a batch (B, ...) on the device. -> its results, one row a crop.

        When the memory does not suffice, batches are halved, and stay so. The device is waited for once, at the end.
        Raises MocapError device-memory when not even one crop fits.
        """
        found: list[Tensor] = []
        start = 0
        while start < len(crops):
            try:
                found.append(self._one(crops[start : start + self.batch], run))
                start += self.batch
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not isinstance(error, torch.OutOfMemoryError) and "out of memory" not in str(error).lower():
                    raise
                if self.batch == 1:
                    raise MocapError(
                        "device-memory", f"The memory of the {self.device.type} device is full."
                    ) from error
                self.batch = max(1, self.batch // 2)
                release()
        return torch.cat(found).float().cpu()

    def _one(self, crops: Sequence[NDArray[np.float32]], run: Callable[[Tensor], Tensor]) -> Tensor:
        batch = torch.from_numpy(np.stack(crops))
        if self.device.type == "cuda":
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        else:
            batch = batch.to(self.device)
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            return run(batch)


def release() -> None:
    """Give memory of networks that nobody holds any more back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
