"""Batches that fit into memory, devices that are there, and what half precision changes."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Iterator

import files
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backend.core.errors import MocapError
from backend.published import runtime
from backend.published.hmr2 import HMR2
from backend.published.vit import ViTSize
from backend.published.vitpose import ViTPose, decode


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
    runner.batches.size = 8
    found = runner(CROPS, network)
    assert torch.equal(found, 2 * torch.from_numpy(np.stack(CROPS)))
    assert network.batches[:3] == [8, 4, 2] and max(network.batches[3:]) == 2
    network.batches.clear()
    runner(CROPS, network)
    assert max(network.batches) == 2


def test_what_a_failed_batch_held_is_free_before_the_next_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception holds on to all that its frames do: as long as it lives, there is not more memory than before."""
    held: list[weakref.ref[Tensor]] = []
    alive: list[int] = []
    monkeypatch.setattr(runtime, "release", lambda: alive.append(sum(tensor() is not None for tensor in held)))

    def greedy(batch: Tensor) -> Tensor:
        inner = batch * 2
        held.append(weakref.ref(inner))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner.sum((1, 2, 3))

    runner = runtime.Runner(nn.Identity(), torch.device("cpu"))
    runner.batches.size = 8
    assert runner(CROPS, greedy)[3] == 72 and alive == [0, 0]


def test_crops_are_taken_as_they_are_needed_and_rows_go_with_them() -> None:
    made: list[int] = []
    seen: list[int] = []

    def making() -> Iterator[np.ndarray]:
        for i, crop in enumerate(CROPS):
            made.append(i)
            yield crop

    def run(batch: Tensor, rows: Tensor) -> Tensor:
        seen.append(len(made))
        return batch[:, 0, 0, 0] + rows

    runner = runtime.Runner(nn.Identity(), torch.device("cpu"))
    runner.batches.size = 4
    found = runner(making(), run, 100.0 * torch.arange(len(CROPS)))
    assert found.tolist() == [101.0 * i for i in range(len(CROPS))]
    assert seen == [4, 8, 11]


def test_threads_make_crops_ahead_in_order() -> None:
    together = threading.Barrier(2, timeout=20)  # passed only if two are in the making at a time

    def make(i: int) -> int:
        together.wait()
        return i

    assert list(runtime.ahead(make, range(6))) == list(range(6))


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


def test_only_products_of_the_large_part_are_in_half_precision() -> None:
    network = HMR2(files.SMALL, layers=1)
    runtime.Runner(network, torch.device("cpu"), network.backbone, torch.bfloat16)
    assert network.backbone.patch_embed.proj.weight.dtype == network.backbone.blocks[0].mlp.fc1.weight.dtype
    assert network.backbone.patch_embed.proj.weight.dtype == torch.bfloat16
    rest = [network.backbone.pos_embed, network.backbone.last_norm.weight, *network.smpl_head.parameters()]
    assert all(tensor.dtype == torch.float32 for tensor in rest)
    exact = nn.Linear(2, 2)
    assert runtime.Runner(exact, torch.device("cpu")).precision == torch.float32
    runtime.Runner(exact, torch.device("cpu"), precision=torch.float16)
    assert exact.weight.dtype == torch.float32  # nothing of it was said to be large


def test_what_overflows_in_float16_is_computed_again() -> None:
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(300.0)
        network[1].weight.fill_(100.0)
    crops = [np.ones(4, np.float32)]
    runner = runtime.Runner(network, torch.device("cpu"), network, torch.float16)
    assert runner(crops, network)[0].tolist() == [480_000.0] * 4 and runner.precision == torch.float32
    runner = runtime.Runner(network, torch.device("cpu"), network, torch.bfloat16)
    assert runner(crops, network).isfinite().all() and runner.precision == torch.bfloat16


@torch.no_grad()
@pytest.mark.parametrize(
    ("precision", "degrees", "pixels"), [(torch.bfloat16, 0.5, 0.5), (torch.float16, 0.05, 0.05)], ids=str
)
def test_half_precision_changes_little(precision: torch.dtype, degrees: float, pixels: float) -> None:
    """On a small network of random weights; joints' rotations, and keypoints in a crop of 256 pixels.

    A random network's heatmaps have many peaks alike, of which another may win: hence the median.
    """
    torch.manual_seed(0)
    person, points = HMR2(ViTSize(160, 4, 4), layers=2).eval(), ViTPose(23, ViTSize(160, 4, 4)).eval()
    person.smpl_head.decpose.weight.mul_(0.1)
    person.smpl_head.init_body_pose[:] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
    crops = list(torch.randn(4, 3, 256, 192).numpy())

    def seen(precision: torch.dtype) -> tuple[Tensor, np.ndarray]:
        bodies = runtime.Runner(person, torch.device("cpu"), person.backbone, precision)
        heatmaps = runtime.Runner(points, torch.device("cpu"), points.backbone, precision)(crops, points).numpy()
        found = [decode(maps, np.array([128.0, 128, 256])) for maps in heatmaps]
        return bodies(crops, lambda image: person(image).rotations), np.array(found)[..., :2]

    (exact, exactly), (half, roughly) = seen(torch.float32), seen(precision)
    turned = torch.rad2deg(2 * torch.asin((exact - half).double().flatten(-2).norm(dim=-1) / math.sqrt(8)))
    moved = np.linalg.norm(exactly - roughly, axis=-1)
    print(f"{precision}: {turned.mean():.4f} degrees, {turned.max():.4f} at most; {np.median(moved):.4f} pixels")
    assert 0 < turned.mean() < degrees and 0 < np.median(moved) < pixels
