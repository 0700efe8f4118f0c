"""Finding and following people on the real clip: a man on a wall, a woman who walks in from behind a tree."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from backend.core.errors import MocapError
from backend.core.keypoints import INDEX
from backend.people.choice import PeopleChoice, choose_tracks, parse_people
from backend.people.detector import PoseDetector, tiles
from backend.people.tracker import BlazePoseTracker
from backend.stages import Frame, Sighting
from backend.video import VideoReader

HIPS = [INDEX["left_hip"], INDEX["right_hip"]]


@pytest.fixture(scope="module")
def frames(demo_clip: Path) -> list[Frame]:
    """One second, half size, both people in sight all the time."""
    with VideoReader(demo_clip, first_frame=60, fps=15) as reader:
        return [
            Frame(frame.index, frame.time, np.ascontiguousarray(frame.rgb[::2, ::2]), 2.0)
            for frame in islice(reader, 16)
        ]


def follow(tracker: BlazePoseTracker, frames: Iterable[Frame]) -> list[tuple[Frame, list[Sighting]]]:
    return list(tracker.track(frames))


def hips(sighting: Sighting) -> np.ndarray:
    return sighting.observation["keypoints"][HIPS, :2].mean(axis=0)


def people(followed: list[tuple[Frame, list[Sighting]]]) -> dict[int, list[int]]:
    """track -> the frames it is seen in."""
    seen: dict[int, list[int]] = {}
    for frame, sightings in followed:
        for sighting in sightings:
            seen.setdefault(sighting.track, []).append(frame.index)
    return seen


def test_which_people() -> None:
    assert parse_people("all") == PeopleChoice()
    assert parse_people(" Largest ") == PeopleChoice(most=1)
    assert parse_people("3") == PeopleChoice(most=3)
    assert parse_people("id12") == PeopleChoice(track=12)
    for bad in ("", "0", "-1", "id", "id0", "some", "1.5", "all 2"):
        with pytest.raises(MocapError) as caught:
            parse_people(bad)
        assert caught.value.code == "bad-request"


def test_largest_is_who_fills_most_of_the_clip() -> None:
    summary = {1: (300, 100.0), 2: (290, 400.0), 3: (5, 900.0), 4: (300, 200.0)}
    assert choose_tracks(PeopleChoice(), summary) == [1, 2, 3, 4]
    assert choose_tracks(PeopleChoice(most=1), summary) == [2]
    assert choose_tracks(PeopleChoice(most=2), summary) == [2, 4]
    assert choose_tracks(PeopleChoice(track=3), summary) == [3]
    with pytest.raises(MocapError) as caught:
        choose_tracks(PeopleChoice(track=9), summary)
    assert caught.value.code == "person-missing"


@pytest.mark.parametrize("shape", [(1080, 1920), (1920, 1080), (500, 500), (1, 1)])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_tiles_cover_the_picture(shape: tuple[int, int], count: int) -> None:
    covered = np.zeros(shape, bool)
    for tile in tiles(np.zeros((*shape, 3), np.uint8), count):
        left, top = (round(v - tile.side / 2) for v in tile[:2])
        covered[max(0, top) : round(top + tile.side) + 1, max(0, left) : round(left + tile.side) + 1] = True
    assert covered.all()


def test_the_detector_finds_each_person_once(frames: list[Frame]) -> None:
    found = [d for d in PoseDetector().detect(frames[0].rgb) if d.score > 0.6]
    man, woman = sorted(found, key=lambda detection: detection.roi.x)
    assert man.roi.y < woman.roi.y and abs(man.roi.angle) < 0.3 and abs(woman.roi.angle) < 0.3
    assert man.box[0] < man.box[2] and man.box[1] < man.box[3]


def test_two_people_two_tracks(frames: list[Frame]) -> None:
    followed = follow(BlazePoseTracker(), frames)
    assert [frame.index for frame, _ in followed] == [frame.index for frame in frames]
    everywhere = [frame.index for frame in frames]
    assert people(followed) == {1: everywhere, 2: everywhere}
    for (_, before), (_, after) in pairwise(followed):
        for a, b in zip(before, after, strict=True):
            assert np.hypot(*(hips(a) - hips(b))) < 40  # full-size pixels in 1/15 s
            assert b.observation["consistency"] > 0.3
    first = followed[0][1]
    assert hips(first[0])[0] < hips(first[1])[0]  # numbered from left to right
    assert np.median([s[1].observation["consistency"] for _, s in followed]) > 0.8


def hide(frame: Frame, left: int, right: int) -> Frame:
    rgb = frame.rgb.copy()
    rgb[:, left:right] = (90, 110, 90)
    return frame._replace(rgb=rgb)


def test_identity_survives_an_occlusion(frames: list[Frame]) -> None:
    """A post as wide as the picture's right half passes for 0.4 s before the woman."""
    hidden = {frame.index for frame in frames[5:11]}
    passing = [hide(frame, 500, 884) if frame.index in hidden else frame for frame in frames]
    seen = people(follow(BlazePoseTracker(), passing))
    assert set(seen) == {1, 2}
    assert seen[1] == [frame.index for frame in frames]
    assert not hidden & set(seen[2])
    assert {frame.index for frame in frames[-2:]} <= set(seen[2])


def test_the_largest_and_a_resumed_capture_keep_their_numbers(frames: list[Frame]) -> None:
    first = follow(BlazePoseTracker("largest"), frames[:4])
    last = {sighting.track: sighting.observation for sighting in first[-1][1]}
    tracker = BlazePoseTracker("largest")
    tracker.resume(last)
    rest = follow(tracker, frames[4:8])
    for number, observation in last.items():
        after = {sighting.track: sighting for sighting in rest[0][1]}[number]
        assert np.hypot(*(hips(after) - hips(Sighting(number, observation)))) < 40
    assert set(people(rest)) == set(people(first))


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (240, 320)])
def test_an_empty_scene_has_nobody(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    scene = [Frame(k, k / 10, noise, 1.0) for k in range(3)]
    assert [sightings for _, sightings in follow(BlazePoseTracker(), scene)] == [[], [], []]


def test_closing_ends_the_threads(frames: list[Frame]) -> None:
    running = BlazePoseTracker().track(frames)
    next(running)
    assert any(thread.name.startswith("landmarks") for thread in threading.enumerate())
    running.close()
    assert not any(thread.name.startswith("landmarks") for thread in threading.enumerate())


def test_people_are_chosen_by_points_of_the_picture():
    assert parse_people("at1.5:640,360").points == ((1.5, 640.0, 360.0),)
    assert parse_people("at0:10,20+at12.25:-3.5,7").points == ((0.0, 10.0, 20.0), (12.25, -3.5, 7.0))
    for text in ("at", "at1", "at1:2", "at1:2,3+", "at1:2,3+largest", "at-1:2,3"):
        with pytest.raises(MocapError) as refused:
            parse_people(text)
        assert refused.value.code == "bad-request"
