"""A capture that was killed continues; what is on disk is complete or not there, whenever the kill came."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import backend, person_pictures, start_serve, write_video

from backend import engines, pipeline
from backend.core.protocol import REPLIES, REQUESTS, decode, encode
from backend.core.take import read_take
from backend.job import Job
from backend.stages import Frame
from backend.store import FRAME, RecordFile

FRAMES = 24


@pytest.fixture
def video(tmp_path, demo_clip) -> Path:
    return write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, FRAMES))


def capture_until(video: Path, output: Path, stage: str, done: int) -> None:
    """Capture in a child process and kill it as soon as it has told of `done` in `stage`."""
    child = start_serve()
    job = {"video": str(video), "output": str(output), "start": None, "end": None}
    rest = {"people": "largest", "fps": None, "device": "cpu", "engines": {}, "focal": None, "tilt": None, "plumb": []}
    child.stdin.write(encode({"type": "capture", **job, **rest}, REQUESTS).encode())
    child.stdin.flush()
    for line in child.stdout:
        message = decode(line.decode(), REPLIES)
        if message["type"] == "stage" and message["name"] == stage and message["done"] >= done:
            break
    child.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    child.communicate()


def watch_tracker(monkeypatch) -> list[int]:
    """The numbers of the frames that reach the real tracker from now on."""
    seen: list[int] = []
    engine = engines.ENGINES["track"]["blazepose"]

    def make(job: Job):
        tracker = engine.make(job)
        track = tracker.track

        def counted(frames: Iterator[Frame]):
            def passed():
                for frame in frames:
                    seen.append(frame.index)
                    yield frame

            return track(passed())

        tracker.track = counted
        return tracker

    monkeypatch.setitem(engines.ENGINES["track"], "blazepose", replace(engine, make=make))
    return seen


def test_a_killed_capture_continues_where_it_stopped(video, tmp_path, monkeypatch):
    output = tmp_path / "take.npz"
    capture_until(video, output, "track", FRAMES // 3)
    assert not output.exists()
    finished = RecordFile(tmp_path / "take.npz.part" / "frames.bin", FRAME)
    before = finished.read(0, len(finished))["index"].tolist()
    assert FRAMES // 3 <= len(before) < FRAMES

    seen, messages = watch_tracker(monkeypatch), []
    paths = pipeline.capture(Job(video, output, people="largest"), messages.append, lambda: False)
    assert seen == list(range(len(before), FRAMES))  # nothing was looked at twice, nothing left out
    assert paths == [output] and not (tmp_path / "take.npz.part").exists()
    assert read_take(output)["frames"].tolist() == list(range(FRAMES))
    shown = np.concatenate([m["index"] for m in messages if m["type"] == "frames"])
    assert sorted(shown) == list(range(FRAMES))  # the preview has the earlier frames as well


@pytest.mark.parametrize("stage", ["prepare", "measure", "solve", "write"])
def test_a_kill_in_any_stage_leaves_nothing_half_made(video, tmp_path, stage, monkeypatch):
    output = tmp_path / "take.npz"
    capture_until(video, output, stage, 0)
    if output.exists():  # the kill came too late to stop it
        assert len(read_take(output)) == FRAMES
    seen = watch_tracker(monkeypatch)
    pipeline.capture(Job(video, output, people="largest"), lambda message: None, lambda: False)
    assert len(read_take(output)) == FRAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "take.keypoints", "take.npz"]
    if stage != "prepare" and not output.exists():
        assert seen == []


def test_a_cancelled_capture_continues(video, tmp_path, monkeypatch):
    output, seen = tmp_path / "take.npz", watch_tracker(monkeypatch)
    with pytest.raises(pipeline.MocapError) as stopped:
        pipeline.capture(Job(video, output, people="largest"), lambda message: None, lambda: len(seen) >= 10)
    assert stopped.value.code == "cancelled"
    first = len(seen)
    pipeline.capture(Job(video, output, people="largest"), lambda message: None, lambda: False)
    assert len(read_take(output)) == FRAMES
    assert len(seen) - first < FRAMES - 5


def test_takes_and_keypoints_of_an_earlier_capture_stay_together(video, tmp_path):
    output, stages = tmp_path / "take.npz", []
    pipeline.capture(Job(video, output, people="largest"), lambda message: None, lambda: False)
    files = [output, output.with_suffix(".keypoints")]
    before = [path.read_bytes() for path in files]
    with pytest.raises(pipeline.MocapError, match="cancelled"):
        other = Job(video, output, people="largest", end=1.5)
        pipeline.capture(other, lambda message: stages.append(message.get("name")), lambda: "write" in stages)
    assert [path.read_bytes() for path in files] == before


def test_a_continued_capture_gives_the_same_take(video, tmp_path):
    """Up to the tracker's memory: it goes on from its last landmarks, not from its whole past."""
    whole, parts = tmp_path / "whole.npz", tmp_path / "parts.npz"
    assert backend("capture", video, "-o", whole, "--people", "largest").returncode == 0
    capture_until(video, parts, "track", FRAMES // 2)
    assert backend("capture", video, "-o", parts, "--people", "largest").returncode == 0
    one, two = read_take(whole), read_take(parts)
    assert np.array_equal(one["timestamps"], two["timestamps"])
    apart = np.linalg.norm(one["keypoints2d"][:, :17, :2] - two["keypoints2d"][:, :17, :2], axis=-1)
    assert np.median(apart) < 2.0  # pixels of a 300 pixel picture


def test_after_a_wrong_choice_of_people_nothing_is_looked_at_again(video, tmp_path, monkeypatch):
    output = tmp_path / "take.npz"
    with pytest.raises(pipeline.MocapError, match="id7"):
        pipeline.capture(Job(video, output, people="id7"), lambda message: None, lambda: False)
    seen = watch_tracker(monkeypatch)
    assert pipeline.capture(Job(video, output, people="id1"), lambda message: None, lambda: False) == [output]
    assert seen == [] and not (tmp_path / "take.npz.part").exists()


def test_other_settings_do_not_continue(video, tmp_path, monkeypatch):
    output = tmp_path / "take.npz"
    capture_until(video, output, "track", 10)
    seen = watch_tracker(monkeypatch)
    pipeline.capture(Job(video, output, people="largest", end=1.2), lambda message: None, lambda: False)
    assert seen == list(range(12))
