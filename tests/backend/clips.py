"""Small videos made for a test, and the backend run as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
PEOPLE = ("--people", "largest")

Picture = NDArray[np.uint8]


@cache
def person_pictures(clip: Path, count: int) -> tuple[Picture, ...]:
    """The first pictures (300, 300, 3) of the man who stands on a roof in the demo clip."""
    pictures = []
    with av.open(str(clip)) as container:
        for frame in islice(container.decode(video=0), count):
            rgb = frame.to_ndarray(format="rgb24")[0:500, 330:830]
            pictures.append(cv2.resize(rgb, (300, 300), interpolation=cv2.INTER_AREA))
    return tuple(pictures)


def shapes(count: int, height: int = 240, width: int = 320) -> list[Picture]:
    """Moving blobs on noise: things happen, but nobody is there."""
    rng = np.random.default_rng(3)
    pictures = []
    for i in range(count):
        picture = rng.integers(90, 130, (height, width, 3), np.uint8)
        cv2.circle(picture, (20 + 7 * i % width, height // 2), height // 6, (200, 40, 40), -1)
        cv2.rectangle(picture, (width - 9 * i % width, 20), (width, 60), (30, 60, 220), -1)
        pictures.append(picture)
    return pictures


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    fps: int = 10,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Iterable[float] | None = None,
) -> Path:
    """Encode pictures; times: their seconds, evenly spaced at `fps` when not given."""
    pictures = list(pictures)
    clock = Fraction(1, 1000)
    stamps = [i / fps for i in range(len(pictures))] if times is None else list(times)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = clock
        stream.codec_context.gop_size = 10
        for picture, stamp in zip(pictures, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(stamp / clock), clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    """A file with a tone and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        tone = np.sin(np.arange(int(44100 * seconds)) * 0.05).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def backend_environment() -> dict[str, str]:
    """The environment that the add-on gives its child: nothing of another Python."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def backend(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `python -m backend ...` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "backend", *map(str, arguments)],
        cwd=ROOT, env=backend_environment(), capture_output=True, text=True, encoding="utf-8", timeout=timeout,
    )  # fmt: skip


def start_serve() -> subprocess.Popen[bytes]:
    """Start `python -m backend serve` in a process group of its own, unbuffered pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend", "serve"],
        cwd=ROOT, env=backend_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
