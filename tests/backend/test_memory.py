"""What happens after tracking needs no more memory for a long take than for a short one."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
from synthetic import camera_at, observe, standing

from backend import engines, pipeline
from backend.body.analytic import AnalyticSolver
from backend.core.skeleton import neutral
from backend.core.take import read_take
from backend.job import Job
from backend.output import provenance_of, write_takes
from backend.people.choice import parse_people
from backend.progress import Progress
from backend.stages import OBSERVATION
from backend.store import FRAME, ObservationStore, RecordFile
from backend.video import VideoInfo

RATE = 30


def finish_capture(folder: Path, frames: int) -> int:
    """Everything after tracking, for one standing person. -> peak memory of Python and numpy, bytes."""
    camera = camera_at(height=1.5, distance=5.0, pitch=0.0)
    second = observe(
        neutral(), standing(RATE), np.tile([0.0, 0.0, 0.95], (RATE, 1)), np.arange(RATE) / RATE, camera
    )  # fmt: skip
    part = folder / "take.npz.part"
    with ObservationStore(part, {}):
        for i in range(0, frames, RATE):
            second["frame"], second["time"] = np.arange(i, i + RATE), np.arange(i, i + RATE) / RATE
            RecordFile(part / "person-1.bin", OBSERVATION).append(second)
            marks = np.zeros(RATE, FRAME)
            marks["index"], marks["time"] = second["frame"], second["time"]
            RecordFile(part / "frames.bin", FRAME).append(marks)
    info = VideoInfo(Path("clip.mp4"), 1920, 1080, RATE, frames, frames / RATE, 0, "h264", "yuv420p", False, None)
    job, progress = Job(Path("clip.mp4"), folder / "take.npz"), Progress(lambda message: None, lambda: False)
    tracemalloc.start()
    try:
        with ObservationStore(part, {}) as store:
            chain = engines.choose({}, "cpu")
            run = pipeline.Run(job, parse_people("all"), info, chain, AnalyticSolver(), store, progress)
            grounds, skeletons = pipeline.measure(run, pipeline.choose_people(run))
            persons = pipeline.solve(run, skeletons, grounds)
            provenance = provenance_of(job, info, "", chain, [])
            write_takes(job, persons, store, provenance, info, progress)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_take_costs_only_a_few_numbers_a_frame_more(tmp_path):
    short, long = 1200, 6000
    peaks = []
    for frames in (short, long):
        folder = tmp_path / str(frames)
        folder.mkdir()
        peaks.append(finish_capture(folder, frames))
    assert len(read_take(tmp_path / str(long) / "take.npz")) == long
    each = (peaks[1] - peaks[0]) / (long - short)
    assert each < 700  # bytes; an observation alone has 2,828
