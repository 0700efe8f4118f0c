"""The quick look at a clip, and choosing people by a point in one of its pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from clips import backend, person_pictures, shapes, write_video

from backend.core.errors import MocapError
from backend.core.take import read_take
from backend.scan import PICTURES, Scan, scan
from backend.video import pictures_at


@pytest.fixture(scope="module")
def two(tmp_path_factory, demo_clip):
    """A clip of two people side by side, the right one smaller."""
    folder = tmp_path_factory.mktemp("zwei é")
    pictures = person_pictures(demo_clip, 20)
    wide = [np.concatenate([p, cv2.resize(cv2.flip(p, 1), (240, 300))], axis=1) for p in pictures]
    return write_video(folder / "zwei.mp4", wide)


def look(video, folder, **span) -> list[dict]:
    messages: list[dict] = []
    files = scan(Scan(video, folder, **span), messages.append, lambda: False)
    assert all(path.stat().st_size > 500 for path in files)
    return [message for message in messages if message["type"] == "people"]


def test_everyone_in_the_pictures_gets_a_box_from_left_to_right(two, tmp_path):
    found = look(two, tmp_path / "pictures é")
    assert len(found) == PICTURES and all(message["size"] == [540, 300] for message in found)
    times = [message["time"] for message in found]
    assert times == sorted(times) and times[0] < 0.3 and times[-1] > 1.7
    best = max(found, key=lambda message: len(message["boxes"]))
    left, right = best["boxes"]
    assert left[2] < 300 < right[0] + 30 and (best["boxes"][:, 3] - best["boxes"][:, 1] > 100).all()
    picture = cv2.imdecode(np.fromfile(best["picture"], np.uint8), cv2.IMREAD_COLOR)
    face = cv2.imdecode(np.fromfile(best["faces"][1], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (300, 540, 3) and face.shape == (128, 128, 3)


def test_a_span_is_respected_and_nobody_is_nobody(two, tmp_path):
    assert all(1.0 <= message["time"] < 1.5 for message in look(two, tmp_path, start=1.0, end=1.5))
    empty = write_video(tmp_path / "empty.mp4", shapes(10))
    assert all(len(message["boxes"]) == 0 for message in look(empty, tmp_path))


def test_pictures_are_those_shown_at_the_times(tmp_path):
    greys = [np.full((64, 64, 3), 12 * i, np.uint8) for i in range(20)]
    video = write_video(tmp_path / "greys.mp4", greys)
    frames = list(pictures_at(video, [0.0, 0.55, 0.58, 1.2, 9.0]))
    assert [frame.index for frame in frames] == [0, 5, 12, 19]
    assert [round(frame.rgb.mean() / 12) for frame in frames] == [0, 5, 12, 19]


def test_whoever_is_at_a_point_is_captured(two, tmp_path):
    found = look(two, tmp_path / "pictures")
    best = max(found, key=lambda message: len(message["boxes"]))
    for name, box in zip(("left", "right"), best["boxes"], strict=True):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        where = f"at{best['time']:.3f}:{x:.1f},{y:.1f}"
        result = backend("capture", two, "-o", tmp_path / f"{name}.npz", "--people", where)
        assert result.returncode == 0, result.stderr
        middle = np.median(read_take(tmp_path / f"{name}.npz")["keypoints2d"][:, 5:13, 0])
        assert (middle < 300) == (name == "left")


def test_nobody_at_the_point(two, tmp_path):
    result = backend("capture", two, "-o", tmp_path / "take.npz", "--people", "at1:10,10")
    assert result.returncode == 3 and "person-missing" in result.stderr
    result = backend("capture", two, "-o", tmp_path / "take.npz", "--people", "at1:10,10+at1:150,150")
    assert result.returncode == 0 and "Nobody was followed at 1.00 s near pixel 10, 10" in result.stderr
    with pytest.raises(MocapError, match="no file"):
        scan(Scan(tmp_path / "none.mp4", tmp_path), lambda message: None, lambda: False)
