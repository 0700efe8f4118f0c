"""The path of a camera that travels: found from corners at different distances, and as large as feet say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from synthetic import standing

from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.rotations import Array
from backend.stages import Camera, Frame, Motion
from backend.store import CORNER, RecordFile
from backend.world import stride, travel
from backend.world.contacts import sideways_speed
from backend.world.corners import KEY, NAMES, Corners
from backend.world.steady import steadied

SIZE = np.array([960.0, 540.0])
CAMERA = Camera(float(np.hypot(*SIZE)), 0.5 * SIZE, SIZE, rotations.IDENTITY, np.zeros(3))
KEYS = 15


class Filmed(NamedTuple):
    """What a camera saw: CORNER records on disk, times (K,), and where it was: turn (K, 4) and place (K, 3) metres."""

    records: RecordFile
    times: Array
    turns: Array
    places: Array


def film(folder: Path, places: Array, turns: Array, moving: float = 0.1) -> Filmed:
    """Corners of a room around the first camera (8 m in all directions) as cameras at `places` (K, 3) see them; a share
    of them moves by itself."""
    random = np.random.default_rng(1)
    room = random.uniform(-8, 8, (3000, 3)) * [1, 0.25, 1]
    wall = random.integers(0, 3, len(room))
    room[wall == 0, 0], room[wall == 1, 2], room[wall == 2, 1] = 8.0, 8.0, 1.5
    drift = random.uniform(-0.3, 0.3, room.shape) * (random.random(len(room)) < moving)[:, None]
    names = np.full(len(room), -1)
    records = RecordFile(folder / "corners.bin", CORNER)
    for key, (place, turn) in enumerate(zip(places, turns, strict=True)):
        seen = rotations.rotate(turn, room + key * drift - place)
        pixels = seen[:, :2] / np.maximum(seen[:, 2:], 0.1) * CAMERA.focal + CAMERA.center
        visible = (seen[:, 2] > 0.5) & ((pixels > 0) & (pixels < SIZE)).all(1)
        names[~visible | (random.random(len(room)) < 0.05)] = -1  # lost for good: found again it is another one
        new = np.flatnonzero(visible & (names < 0))[: max(0, 150 - int((names >= 0).sum()))]
        names[new] = key * NAMES + np.arange(len(new))
        here = np.flatnonzero(names >= 0)
        rows = np.zeros(len(here), CORNER)
        rows["frame"], rows["name"] = 6 * key, names[here]
        rows["place"] = pixels[here] + random.normal(0, 0.3, (len(here), 2))
        records.append(rows)
    return Filmed(records, np.arange(len(places)) * KEY, np.asarray(turns), places)


def walked(share: float = 1.0) -> tuple[Array, Array]:
    """A walk of 4 m to the side and 1 m ahead, with steps, looking to and fro: places (K, 3), turns (K, 4)."""
    way, steps = np.linspace(0, 1, KEYS)[:, None], np.arange(KEYS)[:, None]
    places = way * [4.0, 0.0, 1.0] + 0.03 * np.sin(2 * steps + [0, 1, 2])
    turns = np.radians([2.0, 12.0, 2.0]) * np.sin(0.5 * steps + [0, 0, 1])
    return share * (places - places[0]), rotations.from_axis_angle(turns - turns[0])


def mistaken(turns: Array) -> Array:
    """As the turn is measured that takes the way for a turn: off by more and more."""
    off = np.linspace(0, 1, len(turns))[:, None] * np.radians([0.0, 25.0, 0.0])
    return rotations.multiply(rotations.from_axis_angle(off), turns)


def followed(filmed: Filmed, measured: Array) -> travel.CameraPath | None:
    return travel.camera_path(filmed.records, CAMERA, filmed.times, measured, lambda done, total: None)


def test_a_walk_is_found_up_to_its_size(tmp_path: Path) -> None:
    filmed = film(tmp_path, *walked())
    path = followed(filmed, mistaken(filmed.turns))
    assert path is not None
    size = (path.place * filmed.places).sum() / (path.place**2).sum()
    assert np.linalg.norm(size * path.place - filmed.places, axis=1).max() < 0.2  # of 4 m
    off = rotations.angle_between(rotations.from_matrix(path.turn), filmed.turns)
    assert np.degrees(off).max() < 1.0


@pytest.mark.parametrize("share", [0.0, 0.003])
def test_a_camera_that_only_turns_goes_nowhere(tmp_path: Path, share: float) -> None:
    filmed = film(tmp_path, *walked(share))
    for told in (filmed.turns, mistaken(filmed.turns)):
        path = followed(filmed, told)
        assert path is not None and not path.place.any()
        assert np.degrees(rotations.angle_between(rotations.from_matrix(path.turn), filmed.turns)).max() < 0.3


def test_a_camera_that_stands_has_no_path(tmp_path: Path) -> None:
    still = np.zeros((KEYS, 3)), np.tile(rotations.IDENTITY, (KEYS, 1))
    filmed = film(tmp_path, *still, moving=0.02)
    assert followed(filmed, filmed.turns) is None
    assert travel.lens(filmed.records, CAMERA, filmed.times, filmed.turns, lambda done, total: None) == 1.0


@pytest.mark.parametrize("longer", [0.75, 1.0, 1.4])
def test_the_lens_shows_in_what_a_travelling_camera_sees(tmp_path: Path, longer: float) -> None:
    filmed = film(tmp_path, *walked())
    taken_for = replace(CAMERA, focal=CAMERA.focal / longer)
    found = travel.lens(filmed.records, taken_for, filmed.times, mistaken(filmed.turns), lambda done, total: None)
    assert found == pytest.approx(longer, rel=0.1)


def test_a_path_that_was_missed_through_one_lens_is_found_by_way_of_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmed = film(tmp_path, *walked(0.4))
    # The first lens that is tried is the one it was taken for: nothing is found through it.
    searches = iter([lambda background, measured, *_: travel.CameraPath.resting(measured, background.count)])
    monkeypatch.setattr(travel, "_follow", lambda *given, search=travel._follow: next(searches, search)(*given))
    assert travel.lens(filmed.records, CAMERA, filmed.times, mistaken(filmed.turns), lambda done, total: None) == 1.0
    assert next(searches, None) is None


@pytest.mark.parametrize("longer", [0.7, 1.5])
def test_a_path_told_through_another_lens_is_put_right(longer: float) -> None:
    """What goes across the line of sight shrinks as the lens grows, what goes along it does not."""

    def walk(yaw: float, aside: float) -> tuple[Array, Array]:
        turns = rotations.from_axis_angle(np.arange(10)[:, None] * [0.0, yaw, 0.0])
        steps = rotations.rotate(rotations.inverse(turns[:-1]), [aside, 0.0, 0.5])
        return turns, np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])

    turns, places = travel.refocused(*walk(0.05, 0.3), longer)
    true_turns, true_places = walk(0.05 / longer, 0.3 / longer)
    assert rotations.angle_between(turns, true_turns).max() < 1e-6
    np.testing.assert_allclose(places, true_places, atol=1e-9)


def test_too_short_or_empty_clips_rest(tmp_path: Path) -> None:
    places, turns = walked()
    assert followed(film(tmp_path, places[:3], turns[:3]), turns[:3]) is None
    nothing = RecordFile(tmp_path / "none.bin", CORNER)
    assert travel.camera_path(nothing, CAMERA, np.zeros(0), np.zeros((0, 4)), print) is None


def test_frames_between_key_frames_keep_their_own_shake() -> None:
    places, turns = walked()
    path = travel.CameraPath(rotations.to_matrix(turns), places, np.ones(1))
    keys = np.arange(KEYS) * KEY
    times = np.arange(0, keys[-1], 1 / 30)
    shake = rotations.from_axis_angle(np.radians(0.5) * np.sin(40 * times)[:, None] * [1.0, 0.0, 0.0])
    off = rotations.from_axis_angle(np.radians(3.0) * keys[:, None] * [0.0, 1.0, 0.0])
    still = rotations.from_axis_angle(np.radians(3.0) * times[:, None] * [0.0, 1.0, 0.0])
    told = rotations.multiply(rotations.inverse(off), turns)
    found, where = travel.between(path, keys, told, times, shake)
    smooth, _ = travel.between(path, keys, told, times, np.tile(rotations.IDENTITY, (len(times), 1)))
    assert rotations.angle_between(found, rotations.multiply(smooth, shake)).max() < 1e-9
    assert np.degrees(rotations.angle_between(smooth, still)).max() < 0.1
    assert np.abs(where - np.stack([np.interp(times, keys, places[:, i]) for i in range(3)], -1)).max() < 0.05


def person() -> tuple[Motion, Array, Array]:
    """Somebody standing 4 m in front of where a camera begins that walks by, seen by it. -> motion in its space, its
    turns and places in metres."""
    places, turns = walked()
    frames = np.linspace(0, KEYS - 1, 8 * KEYS)
    places = np.stack([np.interp(frames, np.arange(KEYS), places[:, i]) for i in range(3)], -1)
    turns = rotations.normalize(np.stack([np.interp(frames, np.arange(KEYS), turns[:, i]) for i in range(4)], -1))
    times = np.arange(len(frames)) / 30
    local = standing(len(frames))
    local[:, 0] = rotations.from_axis_angle([np.pi, 0.0, 0.0])  # y up -> camera space
    local[:, 0] = rotations.multiply(turns, local[:, 0])
    seen = rotations.rotate(turns, [1.5, 0.0, 4.0] - places)
    return Motion(times, local, seen, np.ones((len(frames), sk.COUNT))), turns, places


def test_standing_feet_say_how_large_the_path_is() -> None:
    motion, turns, places = person()
    assert stride.unit([(sk.neutral(), motion, turns, places / 7)]) == pytest.approx(7.0, rel=0.02)
    hidden = replace(motion, confidence=np.zeros_like(motion.confidence))
    assert stride.unit([(sk.neutral(), hidden, turns, places / 7)]) == 0.0
    moved = steadied(motion, turns, places)
    assert np.ptp(moved.pelvis, axis=0).max() < 1e-9
    ankles = moved.pelvis[:, None] + np.array([[0.1, 0.9, 0.0]])
    assert sideways_speed(ankles, moved.times, moved.eye).max() < 0.05


def test_feet_that_stand_for_long_say_it_more_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow camera hardly moves within one step."""
    motion, turns, places = person()
    slow = rotations.rotate(turns, [1.5, 0.0, 4.0] - 0.2 * places)
    draws = [slow + np.random.default_rng(seed).normal(0, 0.015, slow.shape) for seed in range(8)]

    def off() -> float:
        people = [[(sk.neutral(), replace(motion, pelvis=seen), turns, 0.2 * places / 7)] for seen in draws]
        return float(np.sqrt(np.mean([(stride.unit(person) / 7 - 1) ** 2 for person in people])))

    exactly = off()
    monkeypatch.setattr(stride, "OVERLAP", 0.0)
    assert exactly < 0.8 * off() < 0.02


def test_feet_that_stand_without_a_path_refuse_it() -> None:
    motion, turns, places = person()
    still = np.zeros_like(places)
    back = replace(motion, pelvis=motion.pelvis + rotations.rotate(turns, places))  # as if the camera had not moved
    assert stride.unit([(sk.neutral(), back, turns, places / 7)]) == 0.0
    assert stride.unit([(sk.neutral(), motion, turns, still)]) == 0.0


def test_corners_keep_their_names_and_stay_off_people() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 100), np.uint8)
    wall = np.repeat(cv2.resize(noise, (1000, 600), interpolation=cv2.INTER_CUBIC)[..., None], 3, 2)
    corners = Corners()
    corners.see(Frame(0, 0.0, wall[:500, :900], 1.0))
    assert corners.refill([np.array([400.0, 200.0, 500.0, 300.0])]) > 100
    first = dict(zip(corners.names.tolist(), (corners.places * corners.full).tolist(), strict=True))
    assert all(max(abs(x - 450), abs(y - 250)) > 88 for x, y in first.values())  # not even near them
    for i in range(1, 5):
        corners.see(Frame(i, i / 30, np.ascontiguousarray(wall[3 * i : 500 + 3 * i, 4 * i : 900 + 4 * i]), 1.0))
    now = dict(zip(corners.names.tolist(), (corners.places * corners.full).tolist(), strict=True))
    assert len(now) > 0.8 * len(first)
    moved = np.array([np.subtract(now[name], first[name]) for name in now])
    assert np.abs(np.median(moved, axis=0) - [-16, -12]).max() < 0.5
    filled = Corners()
    filled.see(Frame(0, 0.0, wall[:500, :900], 1.0))
    assert filled.refill([np.array([150.0, 20.0, 750.0, 480.0])]) > 60  # somebody fills the picture
    assert (np.abs(filled.places * filled.full - [450, 250]) > [298, 228]).any(1).all()
    corners.refill([])
    records = corners.records()
    assert len(set(records["name"].tolist())) == len(records)
    assert (records["frame"] == 4).all()
