"""Where and how the published networks run: device, precision, batches that fit into memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core.errors import MocapError

LARGEST_BATCH = {"cuda": 64, "mps": 16, "cpu": 4}  # crops at a time, to begin with
_FULL = "out of memory", "alloc_failed"
CROPPERS = 4  # threads that cut crops: one would keep a large card waiting

Crop = NDArray[np.float32]
Item = TypeVar("Item")
Result = TypeVar("Result")


def device_of(name: str) -> torch.device:
    """cuda (also AMD's cards, through ROCm), mps or cpu. Raises MocapError device-missing."""
    if name not in _there():
        build = f"PyTorch {torch.__version__}"
        raise MocapError("device-missing", f"There is no {name} device that {build} can use.")
    return torch.device(name)


def fastest() -> str:
    """The name of the device that networks run fastest on."""
    return _there()[0]


def _there() -> list[str]:
    """The devices that can be used here, the fastest one first."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, there in found.items() if there]


def describe(name: str) -> str:
    """A device for a person: its name and memory. Raises MocapError device-missing."""
    device = device_of(name)
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        kind = "ROCm" if torch.version.hip else "CUDA"
        return f"{card.name}, {card.total_memory / 1e9:.0f} GB, {kind}"
    return "Apple GPU" if device.type == "mps" else "processor"


def precision_of(device: torch.device) -> torch.dtype:
    """What the large part of an image network computes in: bfloat16 where the card is made for it, float16 on older
    ones, else float32. What is read off its features, and everything over time, stays in float32.

    Seen with the full HMR2.0 and ViTPose-H of random weights: bfloat16 turns joints by 0.02 degrees on average and 0.04
    at most and moves keypoints by 0.02 pixels of the crop (median); float16 0.003, 0.006 and 0.002. Trained networks
    have larger activations, which float16 may not hold: see `Runner`.
    """
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def ahead(make: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What is made of each item, in order: threads make it while those before are being used."""
    with ThreadPoolExecutor(CROPPERS, "crops") as pool:
        yield from pool.map(make, items)


class Batches:
    """Work through items in batches that fit into the device's memory: when they do not, they are halved, and stay so.

    size: items at a time.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.size = LARGEST_BATCH[device.type]

    def work(self, items: Iterable[Item], do: Callable[[list[Item]], Result]) -> Iterator[Result]:
        """What `do` makes of each batch. Items are taken as they are needed: they can still be in the making.

        Raises MocapError device-memory when not even one item fits.
        """
        source, waiting = iter(items), list[Item]()
        while True:
            waiting += islice(source, max(0, self.size - len(waiting)))
            if not waiting:
                return
            result = self._tried(do, waiting[: self.size])
            if result is None:
                self._halve()
            else:
                del waiting[: self.size]
                yield result

    def _tried(self, do: Callable[[list[Item]], Result], batch: list[Item]) -> Result | None:
        """None when the memory does not suffice. What the failed try holds is free only after this has returned."""
        try:
            return do(batch)
        except RuntimeError as error:
            told = str(error).lower()  # Apple's and the linear algebra's own kinds of the same error
            if not isinstance(error, torch.OutOfMemoryError) and not any(sign in told for sign in _FULL):
                raise
            return None

    def _halve(self) -> None:
        release()
        if self.size == 1:
            raise MocapError("device-memory", f"The memory of the {self._device.type} device is full.")
        self.size //= 2


class Runner:
    """A network on its device. Crops go in as arrays, results come out as tensors on the CPU in float32."""

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        large: nn.Module | None = None,
        precision: torch.dtype | None = None,
    ) -> None:
        """large: the part of the network that may compute in half precision, or in the one given."""
        self.device = device
        self._large = large
        self._set_precision(precision or precision_of(device))
        self.network = network.to(device=device)
        self.batches = Batches(device)

    @torch.inference_mode()
    def __call__(self, crops: Iterable[Crop], run: Callable[..., Tensor], *more: Tensor) -> Tensor:
        """run: gets a batch (B, ...) on the device, and as many rows of `more`. -> its results, one row a crop.

        The device is waited for once, at the end. What overflows in float16 is computed again in float32.
        Raises MocapError device-memory when not even one crop fits.
        """
        taken: list[Crop] = []

        def numbered() -> Iterator[int]:
            for crop in crops:
                taken.append(crop)
                yield len(taken) - 1

        def do(rows: list[int]) -> Tensor:
            batch = torch.from_numpy(np.stack([taken[row] for row in rows]))
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                return run(*(self._sent(part) for part in (batch, *(part[rows] for part in more))))

        found = list(self.batches.work(numbered(), do))
        results = torch.cat(found).float().cpu() if found else torch.empty(0)
        if self.precision == torch.float16 and not bool(results.isfinite().all()):
            self._set_precision(torch.float32)
            return self(taken, run, *more)
        return results

    def _sent(self, part: Tensor) -> Tensor:
        """On the device; from pinned memory, so that nobody waits for the copy."""
        if self.device.type == "cuda":
            return part.pin_memory().to(self.device, non_blocking=True)
        return part.to(self.device)

    def _set_precision(self, precision: torch.dtype) -> None:
        """Weights of the large part's products are kept in it; sums and norms stay in float32."""
        self.precision = torch.float32 if self._large is None else precision
        for layer in self._large.modules() if self._large is not None else ():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                layer.to(self.precision)


def release() -> None:
    """Give memory of networks that nobody holds any more back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
