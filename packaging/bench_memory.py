"""Does the backend's memory grow with the length of the clip? Called by `dev.py bench`, or by itself."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Runs in the backend's Python: the demo clip's walker, small, there and back again, for so many seconds.
_MAKE_CLIP = """
import sys
from fractions import Fraction
import av, cv2
source, target, seconds, fps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with av.open(source) as container:
    pictures = [f.to_ndarray(format="rgb24")[0:500, 330:830] for f in container.decode(video=0)][:100]
pictures = [cv2.resize(p, (240, 240), interpolation=cv2.INTER_AREA) for p in pictures]
pictures += pictures[-2:0:-1]
with av.open(target, "w") as container:
    stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
    stream.width = stream.height = 240
    stream.pix_fmt = "yuv420p"
    for i in range(seconds * fps):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pictures[i % len(pictures)], format="rgb24")))
    container.mux(stream.encode())
"""


def peak_memory(python: Path | str, clip: Path, minutes: float, fps: int = 30) -> tuple[float, float]:
    """Capture a clip of that length made from the demo clip. -> peak resident memory (MiB), seconds of the capture."""
    with tempfile.TemporaryDirectory() as folder:
        video, take = Path(folder, "loop.mp4"), Path(folder, "take.npz")
        seconds = round(minutes * 60)
        subprocess.run([python, "-c", _MAKE_CLIP, clip, video, str(seconds), str(fps)], check=True)
        started = time.monotonic()
        process = subprocess.Popen(
            [python, "-m", "backend", "capture", video, "-o", take, "--people", "largest"],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
        watcher.start()
        _, told = process.communicate()
        watcher.join()
        if process.returncode:
            raise RuntimeError(told.decode("utf-8", "replace"))
        return peak[0] / 1024, time.monotonic() - started


def _watch(process: subprocess.Popen[bytes], peak: list[int]) -> None:
    """Note the kernel's own high-water mark (KiB) for as long as the process lives."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return
        peak[0] = max([peak[0], *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
        time.sleep(0.05)


def compare(python: Path | str, clip: Path, short: float = 1.0, long: float = 10.0) -> float:
    """Print the peak memory of a short and a long clip (minutes). -> their ratio"""
    peaks = []
    for minutes in (short, long):
        peak, seconds = peak_memory(python, clip, minutes)
        peaks.append(peak)
        print(f"memory: {minutes:g} min of video: peak {peak:.0f} MiB, captured in {seconds:.0f} s", flush=True)
    print(f"memory: {long:g} min / {short:g} min = {peaks[1] / peaks[0]:.3f}", flush=True)
    return peaks[1] / peaks[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, help="the demo clip")
    parser.add_argument("--short", type=float, default=1.0, help="minutes")
    parser.add_argument("--long", type=float, default=10.0, help="minutes")
    options = parser.parse_args()
    compare(sys.executable, options.clip, options.short, options.long)
