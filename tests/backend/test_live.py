"""The preview: early, every frame once, bounded, whoever comes and goes."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import camera_at, observe, standing

from backend.body.analytic import AnalyticSolver
from backend.core.skeleton import neutral
from backend.live import HALO, LOOKAHEAD, STEP, LiveView
from backend.progress import Progress
from backend.stages import Sighting

RATE = 30
CAMERA = camera_at(height=1.5, distance=5.0, pitch=0.0)


@pytest.fixture(scope="module")
def sightings():
    """One person for seven seconds, standing; (T,) observations."""
    times = np.arange(7 * RATE) / RATE
    pelvis = np.tile([0.0, 0.0, 0.95], (len(times), 1))
    records = observe(neutral(), standing(len(times)), pelvis, times, CAMERA)
    records["frame"] = np.arange(len(times))
    return records


def play(records, present, wanted=lambda: {1, 2}):
    """Show the frames to a LiveView; present: track -> frames it is seen in. -> per frame, the messages it caused."""
    messages: list[dict] = []
    view = LiveView(AnalyticSolver(), CAMERA, wanted, Progress(messages.append, lambda: False))
    caused, most = [], 0
    for i, record in enumerate(records):
        before = len(messages)
        view.add(float(record["time"]), [Sighting(track, record) for track, frames in present.items() if i in frames])
        most = max([most, *(len(person.window) for person in view._people.values())])
        caused.append(messages[before:])
    before = len(messages)
    view.finish()
    return [*caused, messages[before:]], most


def every(caused):
    return [message for messages in caused for message in messages]


def shown(caused, track):
    return [int(i) for m in every(caused) if m["type"] == "frames" and m["track"] == track for i in m["index"]]


def test_every_frame_is_shown_once_and_in_time(sightings):
    caused, most = play(sightings, {1: range(len(sightings))})
    assert shown(caused, 1) == list(range(len(sightings)))
    assert any(message["type"] == "frames" for message in every(caused[: round(STEP * RATE) + 2]))  # early
    so_far = 0
    for now, messages in enumerate(caused[:-1]):
        so_far += len(shown([messages], 1))
        assert so_far >= now - (LOOKAHEAD + STEP) * RATE - 1
    assert most <= (HALO + LOOKAHEAD + STEP) * RATE + 2  # what is kept does not grow


def test_whoever_comes_back_is_shown_again_with_the_same_bones(sightings):
    frames = [*range(0, 80), *range(140, 200)]
    caused, _ = play(sightings, {1: frames})
    assert shown(caused, 1) == frames
    assert not [m for messages in caused[130:] for m in messages if m["type"] == "track"]


def test_a_glimpse_is_not_shown(sightings):
    caused, _ = play(sightings, {1: range(len(sightings)), 2: range(60, 66)})
    assert shown(caused, 2) == []
    assert {m["track"] for m in every(caused)} == {1}


def test_only_those_asked_for_are_shown_and_nothing_piles_up(sightings):
    caused, most = play(sightings, {1: range(len(sightings))}, wanted=set)
    assert every(caused) == []
    assert most <= (HALO + STEP) * RATE + 2


def test_whoever_turns_out_not_to_be_asked_for_leaves_and_may_come_back(sightings):
    now = 0.0
    seen_until_two = {1: range(210), 2: range(210), 3: range(60)}

    def wanted():
        return {1, *([] if 3.0 <= now < 5.0 else [2]), *([3] if now < 3.0 else [])}

    messages: list[dict] = []
    view = LiveView(AnalyticSolver(), CAMERA, wanted, Progress(messages.append, lambda: False))
    for i, record in enumerate(sightings):
        now = float(record["time"])
        view.add(now, [Sighting(track, record) for track, frames in seen_until_two.items() if i in frames])
    assert [m["track"] for m in messages if m["type"] == "leave"] == [2, 3]  # once each, also who was out of sight
    left = next(i for i, m in enumerate(messages) if m["type"] == "leave")
    after = [float(time) for m in messages[left:] if m["type"] == "frames" and m["track"] == 2 for time in m["times"]]
    assert after and min(after) > 5.0 - HALO - STEP
    assert shown([messages], 1) == list(range(shown([messages], 1)[-1] + 1))


def test_the_preview_stands_on_a_floor_and_still(sightings):
    caused, _ = play(sightings, {1: range(len(sightings))})
    places = np.concatenate([m["translations"] for m in every(caused) if m["type"] == "frames"])
    assert abs(np.median(places[:, 2]) - 0.95) < 0.1  # the pelvis' height over the floor
    assert np.ptp(places, axis=0).max() < 0.1
