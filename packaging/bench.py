"""Speed as ratios, so that machines and days can be compared: python packaging/bench.py VIDEO [--seconds N]

Everything is measured in one run on the same clip. The bare landmark loop decodes the clip and calls the pose, two
hand and face models once a frame with the same runtime and threads, and does nothing else: what cannot be saved.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

LOOP_MODELS = ("pose_landmark_full", "hand_landmark_full", "hand_landmark_full", "face_landmark")
QUARTER_HD = 540  # lines; the size that the latency is promised for


class Cost(NamedTuple):
    """What a process took: seconds of wall-clock and of all its cores, and the most memory in MB."""

    wall: float
    cpu: float
    memory: float


def main(arguments: list[str]) -> int:
    """Print the figures; -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--seconds", type=float, help="of the clip; the whole clip when not given")
    parser.add_argument("--loop", action="store_true", help=argparse.SUPPRESS)  # the bare loop, in its own process
    options = parser.parse_args(arguments)
    if options.loop:
        landmark_loop(options.video, options.seconds)
        return 0
    bench_capture(options.video, options.seconds)
    bench_latency(options.video)
    for name, *given in (("bench_keys.py",), ("bench_memory.py", str(options.video.absolute()))):
        if (script := ROOT / "packaging" / name).exists():
            wait = "  (captures eleven minutes of video; Ctrl-C leaves it out)" if given else ""
            print(f"\n== {name}{wait}", flush=True)
            subprocess.run([sys.executable, str(script), *given], cwd=ROOT, check=False)
    return 0


def bench_capture(video: Path, seconds: float | None) -> None:
    """Whole capture against the bare loop, which runs before and after: other work on the machine comes and goes."""
    from backend.video import probe

    info = probe(video)
    frames = round((min(seconds, info.duration) if seconds else info.duration) * info.fps)
    limit = ["--seconds", str(seconds)] if seconds else []
    end = ["--end", str(seconds)] if seconds else []
    loop = [sys.executable, __file__, str(video), "--loop", *limit]
    print(f"{video.name}: {info.width}x{info.height}, {frames} frames, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        before = measured(loop)
        capture = [sys.executable, "-m", "backend", "capture", str(video.absolute()), "--people", "largest"]
        whole = measured([*capture, "-o", f"{folder}/take.npz", *end])
        best = measured([*capture, "-o", f"{folder}/best.npz", *end, "--engine", "track=blazepose-heavy"])
        after = measured(loop)
    bare = Cost(*(sum(pair) / 2 for pair in zip(before, after, strict=True)))
    for name, cost in (("bare landmark loop", bare), ("whole capture, the largest", whole), ("the same, Best", best)):
        print(
            f"  {name:28}{cost.wall:7.1f} s  {frames / cost.wall:6.1f} fps  {cost.cpu:7.1f} s CPU {cost.memory:6.0f} MB"
        )
    print(f"  whole / bare: {whole.wall / bare.wall:.2f} in time (promise: 1.5), {whole.cpu / bare.cpu:.2f} in CPU")
    print(f"  Best / whole: {best.wall / whole.wall:.2f} in time")


def measured(command: list[str]) -> Cost:
    """Run a command and measure it. Raises CalledProcessError when it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command, stderr=said.decode())
    unit = 1e6 if sys.platform == "darwin" else 1e3  # maxrss: bytes there, kilobytes elsewhere
    return Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def landmark_loop(video: Path, seconds: float | None) -> None:
    """Decode and call the models on every frame, nothing else."""
    import av
    import cv2
    import numpy as np

    from backend.landmarks.litert import Model

    models = [Model(f"{name}.tflite") for name in LOOP_MODELS]
    sizes = [256, 224, 224, 192]
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if seconds is not None and frame.time is not None and frame.time >= seconds:
                break
            rgb = frame.to_ndarray(format="rgb24")
            for model, size in zip(models, sizes, strict=True):
                model(cv2.resize(rgb, (size, size)).astype(np.float32) / 255)


def bench_latency(video: Path) -> None:
    """Seconds from starting the backend to the first live poses, model loading taken off."""
    from backend.core import protocol

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "quarter-hd.mp4"
        shrink(video, clip)
        loading = "from backend.people.tracker import BlazePoseTracker as T; T('largest')"
        loaded = measured([sys.executable, "-c", loading]).wall
        request = dict.fromkeys(protocol.REQUESTS["capture"]) | {
            "type": "capture", "video": str(clip), "output": f"{folder}/take.npz", "people": "largest",
            "device": "cpu", "engines": {}, "plumb": [],
        }  # fmt: skip
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", "serve"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdin and process.stdout
        process.stdin.write(protocol.encode(request, protocol.REQUESTS))
        process.stdin.flush()
        first = None
        for line in process.stdout:
            if json.loads(line)["type"] == "frames":
                first = time.monotonic() - began
                break
        process.kill()
        process.wait()
    if first is None:
        print("  no live poses came")
        return
    print(f"  first live poses after {first:.1f} s, of which starting Python and loading models {loaded:.1f} s")
    print(f"  -> {first - loaded:.1f} s once models are loaded  (promise: 5 s, 960x540, one person)")


def shrink(video: Path, clip: Path, seconds: float = 4.0) -> None:
    """The beginning of a video, QUARTER_HD lines high."""
    import av

    with av.open(str(video)) as source, av.open(str(clip), "w") as target:
        picture = source.streams.video[0]
        width = round(picture.width * QUARTER_HD / picture.height / 2) * 2
        output = target.add_stream(
            "mpeg4", rate=picture.average_rate, width=width, height=QUARTER_HD, bit_rate=8_000_000
        )
        for frame in source.decode(picture):
            if frame.time is not None and frame.time >= seconds:
                break
            target.mux(output.encode(frame.reformat(width, QUARTER_HD, "yuv420p")))
        target.mux(output.encode(None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
