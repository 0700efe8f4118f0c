"""What HMR2.0 and ViTPose cost on a device: python packaging/bench_published.py [--network vitpose] [--video VIDEO]

For each precision and batch size: crops a second through `runtime.Runner` (crops in memory -> results in memory), peak
memory of the device, and the share of what the device reaches in one large matrix product of that precision. Then how
far each precision is from float32, how many crops a second the processor cuts, and with --video how many frames a
second a whole capture with the models that were added takes. Weights are random unless --file names a checkpoint.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.core.errors import MocapError
from backend.engines import DEVICES
from backend.published import checkpoints, crops, vitpose
from backend.published.hmr2 import HMR2
from backend.published.runtime import Runner, ahead, describe, device_of, release
from backend.published.vit import HUGE, ViTSize, size_of

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BATCHES = (1, 4, 16, 32, 64, 128, 256)
SMALL = ViTSize(160, 4, 4)
SECONDS = 2.0  # of measuring each
SIDE = 8192  # of the matrices that stand for the device's limit


def main(arguments: list[str]) -> int:
    """Print the figures; -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    parser.add_argument("--device", choices=DEVICES, default=best)
    parser.add_argument("--network", choices=("hmr2", "vitpose"), default="hmr2")
    parser.add_argument("--file", type=Path, help="its checkpoint (default: random weights)")
    parser.add_argument("--small", action="store_true", help="a small network: to see that everything runs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of measuring each (default: {SECONDS:g})")
    parser.add_argument("--video", type=Path, help="also capture this with body=NETWORK (or keypoints=NETWORK)")
    options = parser.parse_args(arguments)
    device = device_of(options.device)
    print(f"{describe(options.device)}; PyTorch {torch.__version__}")

    network, run = _network(options.network, options.file, options.small)
    images = [np.random.default_rng(i).standard_normal((3, 256, 192), np.float32) for i in range(max(BATCHES))]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(torch.from_numpy(images[0])[None])
    work = counter.get_total_flops()
    parameters = sum(tensor.numel() for tensor in network.parameters())
    print(f"{options.network}: {parameters / 1e6:.0f} million parameters, {work / 1e9:.1f} GFLOP a crop\n")

    original = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    exact = None
    print("precision  batch  crops/s  TFLOP/s  of the limit  peak memory")
    for name, precision in PRECISIONS.items():
        if device.type == "cpu" and not options.small and name != "float32":
            continue  # a processor has little to gain from them, and takes minutes
        limit = _limit(device, precision, SIDE if device.type != "cpu" else 1024, options.seconds)
        network.float().load_state_dict(original)  # the precision before has rounded them
        runner = Runner(network, device, network.backbone, precision)
        for batch in BATCHES if device.type != "cpu" else BATCHES[:3]:
            try:
                rate, peak = _measured(runner, images[:batch], run, options.seconds)
            except MocapError:
                break
            if runner.batches.size < batch:
                print(f"{name:9}{batch:7}  does not fit")
                break
            speed = rate * work
            share = f"{100 * speed / limit:9.0f} %"
            print(f"{name:9}{batch:7}{rate:9.1f}{speed / 1e12:9.3g}  {share:>12}  {peak}", flush=True)
        seen = runner(images[:4], run)
        exact = seen if exact is None else exact
        print(f"{name:9}{'':7}  {_apart(options.network, seen, exact)}; limit {limit / 1e12:.3g} TFLOP/s", flush=True)
    _cropping(options.seconds)
    if options.video:
        _capturing(options.video, options.network, options.device)
    return 0


def _network(name: str, file: Path | None, small: bool) -> tuple[HMR2 | vitpose.ViTPose, Callable[[Tensor], Tensor]]:
    """A network and what is wanted of it: HMR2.0's rotations, or ViTPose's heatmaps."""
    torch.manual_seed(0)
    weights = checkpoints.read(file) if file else None
    size = size_of(weights) if weights else SMALL if small else HUGE
    network: HMR2 | vitpose.ViTPose = HMR2(size) if name == "hmr2" else vitpose.ViTPose(133, size)
    if file and weights:
        checkpoints.load(network, weights, name, file)
    elif isinstance(network, HMR2):  # near the mean person, as a trained one is
        with torch.no_grad():
            network.smpl_head.decpose.weight.mul_(0.1)
            network.smpl_head.init_body_pose[:] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
    network.requires_grad_(False).eval()
    if name == "hmr2":
        return network, lambda image: network(image).rotations
    return network, network


def _measured(
    runner: Runner, images: list[np.ndarray], run: Callable[[Tensor], Tensor], seconds: float
) -> tuple[float, str]:
    """Crops a second in batches of all the images, and the peak memory for a person to read."""
    runner.batches.size = len(images)
    release()
    if runner.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    runner(images, run)  # the first run chooses kernels
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        runner(images, run)  # waits for its results
        done += len(images)
    rate = done / (time.perf_counter() - began)
    if runner.device.type == "cuda":
        return rate, f"{torch.cuda.max_memory_allocated() / 1e9:.2f} GB"
    return rate, "not measured"


def _limit(device: torch.device, precision: torch.dtype, side: int, seconds: float) -> float:
    """Operations a second of one large matrix product."""
    a, b = (torch.randn(side, side, device=device, dtype=precision) for _ in range(2))
    torch.mm(a, b)  # the first one loads libraries and chooses kernels
    spent = 0.0
    rounds = 1
    while spent < seconds / 4:
        rounds *= 2
        _wait(device)
        began = time.perf_counter()
        for _ in range(rounds):
            torch.mm(a, b)
        _wait(device)
        spent = time.perf_counter() - began
    return 2 * side**3 * rounds / spent


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def _apart(name: str, seen: Tensor, exact: Tensor) -> str:
    """How far results are from those in float32, for a person to read."""
    if name == "hmr2":
        turned = torch.rad2deg(2 * torch.asin((seen - exact).double().flatten(-2).norm(dim=-1) / math.sqrt(8)))
        return f"{turned.mean():.4f} degrees from float32, {turned.max():.4f} at most"
    box = np.array([128.0, 128, 256])
    points, truth = (np.array([vitpose.decode(maps, box)[:, :2] for maps in each.numpy()]) for each in (seen, exact))
    moved = np.linalg.norm(points - truth, axis=-1)
    return f"{np.median(moved):.3f} pixels of the crop from float32, {moved.max():.3f} at most"


def _cropping(seconds: float) -> None:
    """How fast people are cut out of 1920 x 1080 pictures, by the threads that a Runner is fed by."""
    picture = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    box = np.array([960.0, 540, 900])
    for name, crop in (("4D-Humans", crops.humans4d), ("GVHMR, ViTPose", crops.gvhmr)):
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            done += len(list(ahead(lambda _, crop=crop: crop(picture, box), range(64))))
        print(f"\ncrops as {name} cuts them, 1920 x 1080: {done / (time.perf_counter() - began):.0f} a second", end="")
    print()


def _capturing(video: Path, network: str, device: str) -> None:
    """Frames a second of a whole capture, with the model that was added."""
    from backend.core.take import read_take
    from backend.job import Job
    from backend.pipeline import capture

    stage = "body" if network == "hmr2" else "keypoints"
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        job = Job(video, Path(folder, "take.npz"), people="largest", device=device, engines={stage: network})
        takes = capture(job, lambda message: None, lambda: False)
        spent = time.perf_counter() - began
        frames = len(read_take(takes[0], ("poses",)))
    print(f"a capture with {stage}={network}: {frames} frames in {spent:.1f} s, {frames / spent:.1f} a second")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
