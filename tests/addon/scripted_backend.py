"""A backend for what the real one cannot be made to do on demand: python scripted_backend.py MODE.

It sends a person and a second of poses, and then, by MODE: `silent` sends nothing more, `deaf` lives on and ignores
every request to stop, `garbage` sends a line that is no message. `old` speaks another protocol from the start; `pair`
has two people.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from backend.core import protocol, skeleton

FRAMES = 30


def send(**message: object) -> None:
    sys.stdout.write(protocol.encode(message, protocol.REPLIES))
    sys.stdout.flush()


def main(mode: str) -> None:
    send(type="hello", protocol=999 if mode == "old" else protocol.PROTOCOL, version="0", capabilities={})
    offsets = skeleton.neutral().offsets.astype(np.float32)
    rotations = np.zeros((FRAMES, skeleton.COUNT, 4), np.float32)
    rotations[..., 0] = 1.0
    rotations[:, 0] = skeleton.Y_UP_TO_Z_UP
    for track in (1, 2) if mode == "pair" else (1,):
        send(type="track", track=track, name=f"Person {track}", rest_offsets=offsets)
        send(
            type="frames",
            track=track,
            index=np.arange(FRAMES, dtype=np.int32),
            times=np.arange(FRAMES) / 30.0,
            rotations=rotations,
            translations=np.tile(np.float32([0.0, 0.0, 0.9]), (FRAMES, 1)),
            contacts=np.zeros((FRAMES, 4), np.uint8),
            confidence=np.ones((FRAMES, skeleton.COUNT), np.float32),
        )
    if mode == "garbage":
        print("Segmentation fault (core dumped)", flush=True)
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.2)
        if mode == "deaf":
            send(type="heartbeat", seconds=0.0)


if __name__ == "__main__":
    main(sys.argv[1])
