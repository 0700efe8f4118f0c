"""Cuts of an edited video: found, and never bridged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import PEOPLE, Picture, backend, person_pictures, write_video

from backend.core.errors import MocapError
from backend.core.take import read_take, working_folder
from backend.job import Job
from backend.pipeline import capture
from backend.shots import marked
from backend.stages import Frame
from backend.store import FRAME, RecordFile

FRAMES = 24


def walls(count: int) -> list[Picture]:
    """Large pictures full of edges."""
    random = np.random.default_rng(2)
    walls = []
    for _ in range(count):
        wall = np.full((600, 1600, 3), 120, np.uint8)
        for x, y, side in random.integers(0, (1600, 600, 90), (400, 3)):
            color = random.integers(0, 255, 3).tolist()
            cv2.rectangle(wall, (int(x), int(y)), (int(x + side + 10), int(y + side)), color, -1)
        walls.append(wall)
    return walls


def cuts(pictures: list[Picture], apart: float = 1 / 30) -> list[int]:
    frames = [Frame(i, i * apart, np.ascontiguousarray(picture), 1.0) for i, picture in enumerate(pictures)]
    told = list(marked(frames))
    assert [frame.index for frame in told] == list(range(len(pictures)))
    return [frame.index for frame in told if frame.cut]


def panned(wall: Picture, steps: list[int]) -> list[Picture]:
    return [wall[:480, x : x + 640] for x in np.cumsum(steps)]


def test_a_cut_is_told_where_it_is_and_a_pan_is_none() -> None:
    one, other, third = walls(3)
    shots = panned(one, [8] * 6) + panned(other, [20] * 5) + panned(third, [0] * 4)
    assert cuts(shots) == [6, 11]
    assert cuts(shots, apart=0.2) == []  # pictures so far apart may have little in common anyway


def test_lamps_flashes_and_whipped_pans_are_no_cuts() -> None:
    (wall,) = walls(1)
    lamp = panned(wall, [0] * 4) + [picture // 3 for picture in panned(wall, [0] * 4)]
    assert cuts(lamp) == []
    flash = panned(wall, [0] * 8)
    flash[4] = np.full_like(flash[4], 255)
    assert cuts(flash) == []
    assert cuts(panned(wall, [0, 0, 0, 300, 300, 300, 0, 0])) == []


def test_blank_pictures() -> None:
    black, white = (np.full((480, 640, 3), value, np.uint8) for value in (0, 255))
    assert cuts([black] * 3 + [white] * 3) == cuts([black]) == cuts([]) == []
    assert cuts([black] * 3 + panned(*walls(1), [0] * 3)) == [3]


@pytest.fixture(scope="module")
def edited(demo_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A man, and then the same man mirrored, before a camera that leans to the side."""
    pictures = list(person_pictures(demo_clip, 2 * FRAMES))
    lean = cv2.getRotationMatrix2D((150, 150), 14, 1.25)
    second = [cv2.warpAffine(picture[:, ::-1], lean, (300, 300)) for picture in pictures[FRAMES:]]
    return write_video(tmp_path_factory.mktemp("edited") / "clip.mp4", pictures[:FRAMES] + second)  # type: ignore[arg-type]


def test_each_shot_has_a_camera_and_people_of_its_own(edited: Path) -> None:
    done = backend("capture", edited, "-o", edited.with_suffix(".npz"), *PEOPLE)
    assert done.returncode == 0 and "video-cut" in done.stderr and "2.40 s" in done.stderr
    one, other = takes = [read_take(edited.with_name(f"clip.{track}.npz")) for track in (1, 2)]
    assert [(int(take["frames"][0]), int(take["frames"][-1])) for take in takes] == [(0, 23), (24, 47)]
    assert [take.provenance["shot"] for take in takes] == [0, 1]
    up, leaning = (take["R"][0].astype(float)[:, 2] for take in takes)
    assert 9 < np.degrees(np.arccos(up @ leaning)) < 19
    standing = np.median(one["joints"][:, 0, 2]), np.median(other["joints"][:, 0, 2])
    assert standing[0] == pytest.approx(standing[1], abs=0.1)

    again = backend("resolve", edited.with_suffix(".keypoints"), "-o", edited.with_name("again.npz"))
    assert again.returncode == 0
    for track, take in enumerate(takes, 1):
        solved = read_take(edited.with_name(f"again.{track}.npz"))
        assert solved["R"] == pytest.approx(take["R"], abs=1e-4) and solved.provenance["shot"] == track - 1
    assert len(json.loads(edited.with_name("again.json").read_text("utf-8"))["takes"]) == 2


def test_a_capture_that_was_ended_right_before_a_cut_sees_it(edited: Path) -> None:
    job = Job(edited, edited.with_name("continued.npz"), people="largest")
    finished = RecordFile(working_folder(job.output) / "frames.bin", FRAME)
    with pytest.raises(MocapError, match="cancelled"):
        capture(job, lambda message: None, lambda: len(finished) == FRAMES)
    assert len(finished) == FRAMES
    assert len(capture(job, lambda message: None, lambda: False)) == 2
