"""Finding and following people on the real clip: a man on a wall, a woman who walks in from behind a tree."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.core.errors import MocapError
from backend.core.keypoints import INDEX
from backend.landmarks.pose import INDEX as LANDMARK
from backend.landmarks.pose import PoseLook
from backend.landmarks.silhouette import inside, silhouette, without
from backend.landmarks.wholebody import recall
from backend.people.appearance import torso_colours
from backend.people.choice import PeopleChoice, choose_tracks, parse_people
from backend.people.detector import PoseDetector, tiles
from backend.people.doubt import Doubts
from backend.people.meeting import groups
from backend.people.track import Track
from backend.people.tracker import BlazePoseTracker
from backend.stages import Earlier, Frame, Roi, Sighting
from backend.video import VideoReader

Picture = np.ndarray
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


def earlier(followed: list[tuple[Frame, list[Sighting]]]) -> Earlier:
    """What a capture that was broken off after these frames goes on from."""
    last = {sighting.track: sighting.observation for _, sightings in followed for sighting in sightings}
    seen = [frame for frame, _ in followed]
    return Earlier(last, seen[-1].time, max(last) + 1, lambda times: [frame for frame in seen if frame.time in times])


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


def test_who_is_hidden_when_a_capture_is_broken_off_is_known_again(frames: list[Frame]) -> None:
    passing = [hide(frame, 500, 884) if 5 <= k < 11 else frame for k, frame in enumerate(frames)]
    first = follow(BlazePoseTracker(), passing[:8])
    tracker = BlazePoseTracker()
    tracker.resume(earlier(first))
    seen = people([*first, *follow(tracker, passing[8:])])
    assert set(seen) == {1, 2}
    assert seen[1] == [frame.index for frame in frames]
    assert {frame.index for frame in frames[-2:]} <= set(seen[2])


def test_when_there_is_no_room_for_all_the_largest_are_followed() -> None:
    def somebody(side: float) -> Track:
        track = tracked(0, 150.0, stage((150.0, RED)))
        track.pose = track.pose._replace(roi=Roi(150.0, 200.0, side, 0.0))
        return track

    tracker = BlazePoseTracker("largest")
    room = tracker._most or 0
    small, tall = [somebody(60.0 + k) for k in range(room + 1)], somebody(150.0)
    assert tracker._admitted([*small, tall]) == [*small[2:], tall]
    tracker._tracks = small[:room]
    small[0].size = 1000.0  # who has been there for long leads, however small
    assert tracker._admitted([somebody(65.0)]) == [] and tracker._tracks == small[:room]
    assert tracker._admitted([tall]) == [tall] and tracker._tracks == [small[0], *small[2:room]]


@pytest.fixture(scope="module")
def walk(demo_clip: Path) -> list[tuple[Frame, np.void]]:
    """The woman in the middle of the clip, 1.3 s, half size, and what is seen of her in each frame."""
    with VideoReader(demo_clip, first_frame=96, fps=15) as reader:
        frames = [
            Frame(frame.index, frame.time, np.ascontiguousarray(frame.rgb[::2, ::2]), 2.0)
            for frame in islice(reader, 20)
        ]
    return [
        (frame, max(sightings, key=lambda s: hips(s)[1]).observation)
        for frame, sightings in follow(BlazePoseTracker(), frames)
    ]


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("dyed", [(1, 2, 0), (0, 1, 2)])
def test_two_who_cross_stay_who_they_are(
    walk: list[tuple[Frame, np.void]], dyed: tuple[int, ...], behind: bool
) -> None:
    """The woman meets her mirror image, before or behind it, which wears other colours or the same."""
    crossing, true = [], []
    for frame, record in walk:
        rgb, width = frame.rgb.copy(), frame.rgb.shape[1]
        mask = cv2.dilate(silhouette(recall(record, 2.0).points, rgb.shape[:2]).astype(np.uint8), np.ones((7, 7))) > 0
        rgb[mask[:, ::-1]] = frame.rgb[:, ::-1][mask[:, ::-1]][:, dyed]
        if behind:
            rgb[mask] = frame.rgb[mask]
        crossing.append(frame._replace(rgb=rgb))
        x = float(record["keypoints"][HIPS, 0].mean())
        true.append((x, 2 * width - x))
    followed = follow(BlazePoseTracker(), crossing)
    seen: dict[int, list[tuple[int, float]]] = {}
    for k, (_, sightings) in enumerate(followed):
        for sighting in sightings:
            if hips(sighting)[1] > 500:  # not the man on the wall
                seen.setdefault(sighting.track, []).append((k, float(hips(sighting)[0])))
    lasting = [track for track in seen.values() if len(track) > 3]  # a glimpse behind somebody may be nobody
    assert len(lasting) == 2
    for track in lasting:
        off = np.array([[abs(x - true[k][who]) for who in (0, 1)] for k, x in track])
        own = off[:, int(off[0, 1] < off[0, 0])]
        # Full-size pixels; a stride is 140. Where one covers the other, a few frames are a guess.
        assert (own < 60).sum() >= len(own) - 2 and (own[-4:] < 40).all()
        assert len(own) > 14


def standing(x: float, height: float = 200.0) -> PoseLook:
    """A look at somebody who stands upright with the hips at (x, 240)."""
    sides = {"left": 0.08, "right": -0.08}
    levels = {"eye": -0.45, "ear": -0.45, "mouth": -0.42, "shoulder": -0.32, "elbow": -0.15, "wrist": 0.0, "hip": 0.0,
              "knee": 0.25, "ankle": 0.45, "heel": 0.48, "foot_index": 0.48}  # fmt: skip
    points = np.empty((33, 2))
    for name, k in LANDMARK.items():
        side, _, part = name.partition("_")
        part = next((known for known in levels if known in part), "wrist")
        points[k] = x + sides.get(side, 0.0) * height, 240 + height * (levels[part] if side in sides else -0.43)
    world = np.c_[(points - [x, 240]) / height * 1.7, np.zeros(33)]
    roi = Roi(x, 240.0, 1.25 * height, 0.0)
    return PoseLook(points, np.ones(33), np.ones(33), world, 1.0, roi, roi)


def stage(*people: tuple[float, tuple[int, int, int]]) -> Picture:
    """A grey picture (480, 640) with people at these places in these colours."""
    rgb = np.full((480, 640, 3), 128, np.uint8)
    for x, colour in people:
        rgb[silhouette(standing(x).points, rgb.shape[:2])] = colour
    return rgb


def tracked(number: int, x: float, rgb: Picture) -> Track:
    return Track(number, standing(x), 0.0, torso_colours(rgb, standing(x).points), 1.0)


RED, BLUE = (200, 30, 30), (30, 30, 200)


def test_who_overlaps_is_looked_at_together() -> None:
    rgb = stage()
    tracks = [tracked(number, x, rgb) for number, x in ((1, 100.0), (2, 300.0), (3, 330.0), (4, 362.0), (5, 560.0))]
    assert [[track.number for track in group] for group in groups(tracks, 0.0)] == [[1], [2, 3, 4], [5]]
    tracks[0].velocity[:, 0] = 600.0  # pixels a second
    assert [track.number for track in groups(tracks, 0.3)[0]] == [1, 2, 3, 4]


def test_who_stops_is_as_little_off_course_as_who_goes_on() -> None:
    track = tracked(1, 100.0, stage())
    track.velocity[:, 0] = 600.0
    off = {x: track.off_course(x, 240.0, time=0.2) for x in (70.0, 100.0, 160.0, 220.0, 260.0)}
    assert off == pytest.approx({70.0: 30.0, 100.0: 0.0, 160.0: 0.0, 220.0: 0.0, 260.0: 40.0})
    assert track.off_course(160.0, 255.0, time=0.2) == pytest.approx(15.0)
    assert track.off_course(160.0, 240.0, time=0.0) == pytest.approx(60.0)


def test_nobody_is_expected_farther_away_than_people_get() -> None:
    rgb = stage()
    track = tracked(1, 100.0, rgb)
    track.advance(standing(160.0), 1.0, 0.1, rgb)
    assert track.drift(0.2)[0] == pytest.approx(0.6 * 60.0)  # it takes a while to be believed
    track.advance(standing(1e5), 1.0, 0.11, rgb)
    track.advance(standing(-1e5), 1.0, 0.12, rgb)
    assert np.abs(track.drift(0.62)).max() < 3.0 * track.pose.roi.side


def test_painting_a_person_out_leaves_what_is_beside_them() -> None:
    rgb = stage((300.0, RED), (345.0, BLUE))
    points = standing(300.0).points
    mask = silhouette(points, rgb.shape[:2])
    painted = without(rgb.astype(np.float32) / 255, [points])
    np.testing.assert_array_equal(painted[~mask], (rgb.astype(np.float32) / 255)[~mask])
    assert (painted[mask][:, 0] < 0.6).all()  # nothing as red as they were
    blue = silhouette(standing(345.0).points, rgb.shape[:2]) & ~mask
    assert blue.sum() > 1000 and np.allclose(painted[blue][:, 2], 200 / 255)
    assert inside(points, points).mean() > 0.9 and not inside(points + [150.0, 0.0], points).any()


@pytest.mark.parametrize("covered", [False, True])
def test_who_was_taken_for_another_gets_their_number_back(covered: bool) -> None:
    before, after = stage((150.0, RED), (450.0, BLUE)), stage((150.0, BLUE), (450.0, RED))
    tracks = [tracked(1, 150.0, before), tracked(2, 450.0, before)]
    doubts = Doubts()
    doubts.met(tracks)
    tracks[1].lost = covered
    for _ in range(10):
        doubts.settle(tracks, [], before)
    assert [track.number for track in tracks] == [1, 2] and not doubts.about(tracks[0])
    doubts.met(tracks)
    for _ in range(10):
        doubts.settle(tracks, tracks, after)  # still in each other's way: nothing can be told
    assert [track.number for track in tracks] == [1, 2] and doubts.about(tracks[0])
    for _ in range(10):
        doubts.settle(tracks, [], after)
    assert [track.number for track in tracks] == [2, 1]
    assert tracks[0].colours @ torso_colours(after, standing(150.0).points) > 0.5  # blue is number 2


def test_those_who_look_alike_keep_their_numbers() -> None:
    rgb = stage((150.0, RED), (450.0, RED))
    tracks = [tracked(1, 150.0, rgb), tracked(2, 450.0, rgb)]
    doubts = Doubts()
    doubts.met(tracks)
    for _ in range(10):
        doubts.settle(tracks, [], rgb)
    assert [track.number for track in tracks] == [1, 2] and not doubts.about(tracks[1])


def test_the_largest_and_a_resumed_capture_keep_their_numbers(frames: list[Frame]) -> None:
    first = follow(BlazePoseTracker("largest"), frames[:4])
    last = {sighting.track: sighting.observation for sighting in first[-1][1]}
    tracker = BlazePoseTracker("largest")
    tracker.resume(earlier(first))
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
