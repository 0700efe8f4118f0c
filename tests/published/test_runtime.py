"""Batches that fit into memory, devices that are there, and what half precision changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backend.core.errors import MocapError
from backend.published import runtime
from backend.published.hmr2 import HMR2
from backend.published.vit import ViTSize


class Crowded(nn.Module):
    """A device whose memory takes `room` crops at a time."""

    def __init__(self, room: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.room, self.error, self.batches = room, error, []

    def forward(self, batch: Tensor) -> Tensor:
        self.batches.append(len(batch))
        if len(batch) > self.room:
            raise self.error("CUDA error: out of memory")
        return batch * 2


CROPS = [np.full((3, 2, 2), i, np.float32) for i in range(11)]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_batches_become_smaller_until_they_fit_and_stay_so(error: type[Exception]) -> None:
    network = Crowded(2, error)
    runner = runtime.Runner(network, torch.device("cpu"))
    runner.batch = 8
    found = runner(CROPS, network)
    assert torch.equal(found, 2 * torch.from_numpy(np.stack(CROPS)))
    assert network.batches[:3] == [8, 4, 2] and max(network.batches[3:]) == 2
    network.batches.clear()
    runner(CROPS, network)
    assert max(network.batches) == 2


def test_not_even_one_crop_fits() -> None:
    network = Crowded(0)
    with pytest.raises(MocapError) as failure:
        runtime.Runner(network, torch.device("cpu"))(CROPS, network)
    assert failure.value.code == "device-memory"


def test_other_failures_are_not_taken_for_full_memory() -> None:
    def broken(batch: Tensor) -> Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        runtime.Runner(nn.Identity(), torch.device("cpu"))(CROPS, broken)


@pytest.mark.parametrize("name", ["cuda", "mps", "quantum"])
def test_devices_that_are_not_there(name: str) -> None:
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if there.get(name):
        assert runtime.describe(name)
        return
    with pytest.raises(MocapError) as failure:
        runtime.device_of(name)
    assert failure.value.code == "device-missing"


def test_half_precision_turns_joints_by_less_than_a_degree() -> None:
    """bfloat16, on a small network of random weights; the head stays in float32. Seen: 0.1 degrees on average."""
    torch.manual_seed(0)
    network = HMR2(ViTSize(160, 4, 4), layers=2).eval()
    crops = list(torch.randn(4, 3, 256, 192).numpy())

    def rotations(precision: torch.dtype) -> Tensor:
        runner = runtime.Runner(network, torch.device("cpu"), precision)
        return runner(crops, lambda image: network(image).rotations)

    exact, half = rotations(torch.float32), rotations(torch.bfloat16)
    cosine = ((exact.transpose(-1, -2) @ half).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    assert torch.rad2deg(cosine.clamp(-1, 1).acos()).mean() < 1.0
