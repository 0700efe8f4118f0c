"""How long the extension holds up Blender at a time while a capture streams: python packaging/bench_streaming.py

Runs in Blender's module with the extension's zip installed. A stand-in for the backend sends five people of 3,000
frames as fast as they are taken, and then their takes; every step of the timer that drives a capture is timed. (POSIX.)

What it cannot see, because Blender keeps no history without a window: the undo step that closes a capture. Blender
copies what is new for it in one go, 0.65 s for five people of 3,000 frames (4.3.2), once.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from pathlib import Path

PEOPLE, FRAMES, BLOCK, RATE = 5, 3_000, 15, 30.0
PROMISE = 50.0  # milliseconds
MODULE = "bl_ext.user_default.video_mocap.mocap_addon"


def main() -> None:
    """Print milliseconds by stage."""
    import bpy
    from build_zip import build

    bpy.ops.extensions.package_install_files(filepath=str(build()), repo="user_default", enable_on_install=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    folder = Path(os.environ["BLENDER_USER_RESOURCES"], "bench")
    folder.mkdir()
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).absolute()}" --child "{folder}"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    capture, runner = sys.modules[f"{MODULE}.capture"], sys.modules[f"{MODULE}.runner"]

    request = capture.Request(video=folder / "crowd.mp4", output=folder / "crowd.npz")
    job = capture.Capture(python, request, bpy.context.scene)
    runner.add(job)
    ticks: dict[str, list[tuple[float, float]]] = {}
    began = time.perf_counter()
    while runner.queue:
        stage, wall, busy = job.stage or "start", time.perf_counter(), time.thread_time()
        runner.tick()
        spent = 1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - busy)
        ticks.setdefault(stage, []).append(spent)
        time.sleep(runner.INTERVAL)
    assert job.error is None, job.error
    keyed = len(bpy.data.actions)
    print(f"Blender {bpy.app.version_string}, {PEOPLE} people x {FRAMES} frames, {keyed} actions")
    print(f"milliseconds that Blender waits at a time (promise: {PROMISE:.0f}), and of these our own work")
    print(f"{'stage':8}{'steps':>8}{'median':>10}{'99 %':>10}{'longest':>10}{'own work, longest':>22}")
    for stage, spent in ticks.items():
        walls = sorted(wall for wall, _ in spent)
        middle, late = walls[len(walls) // 2], walls[int(0.99 * (len(walls) - 1))]
        print(f"{stage:8}{len(walls):8}{middle:10.1f}{late:10.1f}{walls[-1]:10.1f}{max(own for _, own in spent):22.1f}")
    print(f"{time.perf_counter() - began:.1f} s in all")


def child(folder: Path) -> None:
    """The stand-in: people walk in circles."""
    import numpy as np

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from backend.core import protocol, rotations, skeleton
    from backend.core.take import NpzWriter

    def send(**message: object) -> None:
        sys.stdout.write(protocol.encode(message, protocol.REPLIES))
        sys.stdout.flush()

    random = np.random.default_rng(0)
    body = skeleton.neutral()
    times = np.arange(FRAMES) / RATE
    swing = np.sin(2 * np.pi * times)[:, None, None] * random.normal(0, 0.3, (PEOPLE, 1, skeleton.COUNT, 3))
    send(type="hello", protocol=protocol.PROTOCOL, version="0", capabilities={})
    motions = []
    for person in range(PEOPLE):
        local = rotations.from_axis_angle(swing[person]).astype(np.float32)
        local[:, 0] = skeleton.Y_UP_TO_Z_UP
        around = np.stack([np.cos(times + person), np.sin(times + person), np.full(FRAMES, 0.9)], axis=1)
        motions.append((local, around.astype(np.float32)))
        offsets = body.offsets.astype(np.float32)
        send(type="track", track=person + 1, name=f"Person {person + 1}", rest_offsets=offsets)
    sure = np.full((FRAMES, skeleton.COUNT), 0.8, np.float32)
    for start in range(0, FRAMES, BLOCK):
        rows = slice(start, start + BLOCK)
        send(type="stage", name="track", done=start, total=FRAMES)
        for person, (local, around) in enumerate(motions):
            send(
                type="frames", track=person + 1, index=np.arange(FRAMES, dtype=np.int32)[rows], times=times[rows],
                rotations=local[rows], translations=around[rows], contacts=np.zeros((BLOCK, 4), np.uint8),
                confidence=sure[rows],
            )  # fmt: skip
    takes = []
    for person, (local, around) in enumerate(motions):
        takes.append(folder / f"crowd.{person + 1}.npz")
        send(type="stage", name="write", done=person, total=PEOPLE)
        with NpzWriter(takes[-1]) as file:
            file.put("poses", rotations.to_axis_angle(local).reshape(FRAMES, -1).astype(np.float32))
            file.put("trans", around - body.offsets[0])
            file.put("mocap_frame_rate", RATE)
            file.put("rest_offsets", body.offsets)
            file.put("timestamps", times)
            file.put("fps", RATE)
            file.put("confidence", sure)
            file.put("R", np.tile(np.eye(3), (FRAMES, 1, 1)))
            file.put("t", around)
            file.put("focal", 1000.0)
            file.put("image_size", np.array([1920.0, 1080.0]))
            file.put("provenance", f'{{"track": {person + 1}, "name": "Person {person + 1}"}}')
    send(type="done", takes=[str(path) for path in takes], seconds=0.0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory(prefix="mocap-bench-", ignore_cleanup_errors=True) as profile:
            os.environ["BLENDER_USER_RESOURCES"] = profile
            main()
        sys.stdout.flush()
        os._exit(0)  # Blender's module may hang in the interpreter's own exit
