"""What the motion networks cost beside the landmark models: python packaging/bench_networks.py VIDEO

One run, one person, the same threads: the ratio is what counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from backend.body import fit, lifter
from backend.body.feet import FootMR
from backend.engines import threads
from backend.people.tracker import BlazePoseTracker
from backend.stages import OBSERVATION
from backend.video import VideoReader, probe
from backend.world.camera import level_camera
from backend.world.orient import OrientCorrect


def main(arguments: list[str]) -> int:
    """Print the figures; -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    options = parser.parse_args(arguments)
    camera = level_camera(probe(options.video))

    seen: list[np.void] = []
    tracker = BlazePoseTracker(people="largest", threads=threads())
    with VideoReader(options.video, None, None, None, 0) as reader:
        began = time.perf_counter()
        for _, sightings in tracker.track(reader):
            seen += [sighting.observation for sighting in sightings[:1]]
        landmarks = time.perf_counter() - began
    observations = np.array(seen, OBSERVATION)

    body, feet, orient = lifter.LifterSolver(threads()), FootMR(threads()), OrientCorrect(threads())
    skeleton = body.measure(observations, camera)
    sure = np.ones(len(observations))
    motion, lifting = _timed(lambda: body.solve(observations, skeleton, camera))
    _, fitting = _timed(lambda: fit.fitted(motion.rotations, motion.pelvis, skeleton, observations, camera, sure))
    refined, refining = _timed(lambda: feet.refine(motion, observations, camera))
    _, orienting = _timed(lambda: orient.orient(refined, observations, camera))
    print(f"{len(observations)} frames, {threads()} threads")
    print(f"{'decoding and landmark models':34}{1000 * landmarks / len(observations):8.2f} ms a frame")
    for name, seconds in (
        ("body (lifter, fit, hands)", lifting), ("  of that the fit", fitting), ("FootMR", refining),
        ("OrientCorrect", orienting), ("all of these", lifting + refining + orienting),
    ):  # fmt: skip
        share = 100 * seconds / landmarks
        print(f"{name:34}{1000 * seconds / len(observations):8.2f} ms a frame, {share:5.1f} % of the landmark models")
    return 0


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """-> the result, and the seconds of the second of two runs."""
    work()
    began = time.perf_counter()
    return work(), time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
