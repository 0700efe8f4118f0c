"""The observation store: append-only, resumable, one process at a time."""

from __future__ import annotations

import numpy as np
import pytest

from backend.core import rotations
from backend.core.errors import MocapError
from backend.people.choice import parse_people
from backend.pipeline import asked_for
from backend.stages import OBSERVATION, Frame, Sighting
from backend.store import CORNER, CUT, EDGE, ObservationStore, RecordFile

KEY = {"video": "abc", "span": [0.0, None]}


def observation(frame: int, track: int) -> np.void:
    record = np.zeros((), OBSERVATION)
    record["frame"], record["time"], record["roi"] = frame, frame / 10, (1, 2, 100 * track, 0)
    record["consistency"] = 0.5
    return record[()]


def fill(store: ObservationStore, frames: range, tracks: tuple[int, ...] = (1, 2), cut: bool = False) -> None:
    """cut: the first of the frames begins another shot."""
    for i in frames:
        frame = Frame(i, i / 10, np.zeros((1, 1, 3), np.uint8), 1.0, cut and i == frames[0])
        store.append(frame, [Sighting(track, observation(i, track)) for track in tracks])


def test_picked_people_are_known_once_their_moment_has_passed(tmp_path):
    with ObservationStore(tmp_path / "part", KEY) as store:
        asked = asked_for(parse_people("at1.0:1,2+at2.0:9999,2"), store)  # the first, and nobody
        told = []
        for i in range(30):
            fill(store, range(i, i + 1), (1, 2, 3))  # all around (1, 2); the third is the largest
            told.append(sorted(asked()))
    assert told == [[2, 3]] * 16 + [[1, 3]] * 10 + [[1]] * 4  # the largest stand in for those not known yet


def test_a_reopened_store_continues_after_its_last_finished_frame(tmp_path):
    with ObservationStore(tmp_path / "part", KEY) as store:
        assert store.next_frame == 0 and not store.seen
        fill(store, range(0, 20, 2))
        store.warn("video-corrupt", "A gap.")
    with ObservationStore(tmp_path / "part", KEY) as store:
        assert len(store) == 10 and store.next_frame == 19
        assert store.seen[2].frames == 10 and store.seen[2].size == 1000
        assert store.last()[1]["frame"] == 18
        assert store.warnings == [("video-corrupt", "A gap.")]
        assert store.frame_rate == pytest.approx(5.0)
        assert not store.complete


def test_a_reopened_store_knows_how_far_the_camera_had_turned_though_nobody_was_seen(tmp_path):
    turn = rotations.from_axis_angle([0.0, 0.4, 0.0])
    with ObservationStore(tmp_path / "part", KEY) as store:
        np.testing.assert_array_equal(store.turned, rotations.IDENTITY)
        store.append(Frame(0, 0.0, np.zeros((1, 1, 3), np.uint8), 1.0), [], turn=turn)
    with ObservationStore(tmp_path / "part", KEY) as store:
        np.testing.assert_allclose(store.turned, turn, atol=1e-6)


@pytest.mark.parametrize("lost", [1, OBSERVATION.itemsize - 1, OBSERVATION.itemsize])
def test_what_a_killed_process_left_half_written_is_cut_off(tmp_path, lost):
    folder = tmp_path / "part"
    with ObservationStore(folder, KEY) as store:
        fill(store, range(5))
    with (folder / "person-1.bin").open("ab") as file:  # the next frame's record, maybe not all of it
        file.write(observation(5, 1).tobytes()[:lost])
    with (folder / "frames.bin").open("ab") as file:
        file.write(b"\x05\x00")
    (folder / "person-3.bin").write_bytes(observation(5, 3).tobytes())  # somebody whose first frame was not finished
    with ObservationStore(folder, KEY) as store:
        assert store.next_frame == 5 and sorted(store.seen) == [1, 2]
        fill(store, range(5, 8))
        for track in (1, 2):
            assert store.person(track).read(0, 100)["frame"].tolist() == list(range(8))


def test_what_is_known_of_the_camera_later_is_told_everywhere(tmp_path):
    turn = rotations.from_axis_angle(np.radians([0.0, 10.0, 0.0]))
    with ObservationStore(tmp_path / "part", KEY) as store:
        fill(store, range(0, 20, 2), (1,))
        fill(store, range(20, 30, 2))
        (shot,) = store.shots()
        assert not store.travels(shot) and not store.places(np.array([4, 20])).any()
        turns, places = np.tile(turn, (15, 1)), np.arange(45.0).reshape(15, 3)
        for _ in range(2):  # a killed process may do it again
            store.move_camera(turns, places)
            assert store.travels(shot)
            assert store.places(np.array([4, 20])).tolist() == [[6, 7, 8], [30, 31, 32]]
            for track, count in ((1, 15), (2, 5)):
                assert store.turns(track) == pytest.approx(np.tile(turn, (count, 1)))
                assert len(store.person(track)) == count
        assert store.camera.column("told") == pytest.approx(np.tile(rotations.IDENTITY, (15, 1)))


def test_edges_are_those_of_their_shot_and_of_finished_frames(tmp_path):
    ends = np.arange(12.0).reshape(3, 4)
    folder = tmp_path / "part"
    with ObservationStore(folder, KEY) as store:
        for i in range(5, 9):
            frame = Frame(i, i / 10, np.zeros((1, 1, 3), np.uint8), 1.0, cut=i == 7)
            store.append(frame, [], ends[: i - 5] + i)  # none in the first
        RecordFile(folder / "edges.bin", EDGE).append(np.array((9, (0, 0, 1, 1)), EDGE))  # of one that was not finished
    with ObservationStore(folder, KEY) as store:
        assert len(store.edges) == 6
        (one,), rows = store.edges_in(store.shots()[0])
        assert np.array_equal(one, ends[:1] + 6) and rows.tolist() == [1]
        two, rows = store.edges_in(store.shots()[1])
        assert [part.tolist() for part in two] == [(ends[:2] + 7).tolist(), (ends + 8).tolist()]
        assert rows.tolist() == [2, 3]


def test_corners_of_a_frame_that_was_not_finished_are_cut_off(tmp_path):
    with ObservationStore(tmp_path / "part", KEY) as store:
        for i in range(4):
            corners = np.zeros(3, CORNER)
            corners["frame"] = i
            store.corners(0).append(corners)
            if i < 3:
                fill(store, range(i, i + 1))
    with ObservationStore(tmp_path / "part", KEY) as store:
        assert store.corners(0).column("frame").tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        assert len(store.camera) == 3


def test_shots_have_people_and_corners_of_their_own(tmp_path):
    corners = np.zeros(1, CORNER)
    with ObservationStore(tmp_path / "part", KEY) as store:
        fill(store, range(2, 10), (1,))
        store.corners(0).append(corners)
        fill(store, range(10, 14), (2,), cut=True)
        for shot in (1, 2):
            corners["frame"] = (12, 14)[shot - 1]
            store.corners(shot).append(corners)
    marks = np.array((12, 1.4), CUT)
    RecordFile(tmp_path / "part" / "cuts.bin", CUT).append(marks)  # a frame that was not finished
    with ObservationStore(tmp_path / "part", KEY) as store:
        assert store.shots() == [(0, slice(0, 8)), (1, slice(8, 12))]
        assert [store.seen[track].shot for track in (1, 2)] == [0, 1] and list(store.last()) == [2]
        assert [len(store.corners(shot)) for shot in range(3)] == [1, 1, 0]
        assert [cut for *_, cut in store.replay()] == [False] * 8 + [True] + [False] * 3
        asked = asked_for(parse_people("largest"), store)
        assert asked() == {1, 2}  # of each shot


def test_another_video_or_setting_starts_anew(tmp_path):
    with ObservationStore(tmp_path / "part", KEY) as store:
        fill(store, range(5))
        store.mark_complete()
    with ObservationStore(tmp_path / "part", {**KEY, "video": "other"}) as store:
        assert len(store) == 0 and not store.seen and not store.complete
    with ObservationStore(tmp_path / "part", KEY) as store:
        assert len(store) == 0


def test_replay_gives_back_every_frame_with_its_people(tmp_path):
    with ObservationStore(tmp_path / "part", KEY) as store:
        fill(store, range(3), (1,))
        fill(store, range(3, 40), (1, 2))
        fill(store, range(40, 45), ())
        fill(store, range(45, 50), (2,))
        replayed = list(store.replay())
    assert [time for time, *_ in replayed] == pytest.approx([i / 10 for i in range(50)])
    people = [[track for track, _ in sightings] for _, sightings, _ in replayed]
    assert people == [[1]] * 3 + [[1, 2]] * 37 + [[]] * 5 + [[2]] * 5
    assert all(round(o["time"] * 10) == i for i, (_, s, _) in enumerate(replayed) for _, o in s)


def test_two_captures_do_not_share_a_folder(tmp_path):
    with ObservationStore(tmp_path / "part", KEY):
        with pytest.raises(MocapError) as failure:
            ObservationStore(tmp_path / "part", KEY)
        assert failure.value.code == "output-busy"
    with ObservationStore(tmp_path / "part", KEY) as store:
        store.remove()
    assert not (tmp_path / "part").exists()


def test_records_are_read_in_blocks(tmp_path):
    file = RecordFile(tmp_path / "numbers.bin", np.dtype("<i4"))
    assert len(file) == 0 and len(file.read(0, 5)) == 0
    file.append(np.arange(1000, dtype="<i4"))
    assert file.read(10, 13).tolist() == [10, 11, 12]
    assert len(file.read(990, 2000)) == 10
    assert max(len(block) for block in file.blocks()) < 1000
    assert np.concatenate(list(file.blocks())).tolist() == list(range(1000))
