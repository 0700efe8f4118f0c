"""Metrics: the recorded outputs of the field's own code, and cases whose answer is known on paper."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from backend import cli
from backend.body import seen
from backend.core import rotations, skeleton
from backend.core.errors import MocapError
from backend.core.take import NpzWriter, read_take
from backend.evaluation import alone, compare, detectors, metrics

RANDOM = np.random.default_rng(3)
RATE = 30.0


def recorded(root: Path, name: str, values: np.ndarray) -> None:
    told = json.loads((root / "tests" / "golden" / "metrics.json").read_text("utf-8"))[name]
    assert values.size == told["shape_numel"]
    np.testing.assert_allclose(values.ravel()[told["idx"]], told["val"], rtol=2e-6)
    np.testing.assert_allclose(values.mean(), told["mean"], rtol=1e-5)


def uniform(key: str, *shape: int) -> np.ndarray:
    state = np.random.RandomState(zlib.crc32(key.encode()) & 0xFFFFFFFF)
    return state.uniform(-1, 1, int(np.prod(shape))).astype(np.float32).reshape(shape)


def test_feet_as_footmr_computes_them(root: Path) -> None:
    found = uniform("met.p", 20, 6, 3)
    true = 0.5 * found + 0.2 * uniform("met.g", 20, 6, 3)
    recorded(root, "metric.n_mpjpe_f_mm", 1e3 * metrics.foot_mpjpe(found, true))


def test_ankles_as_footmr_computes_them(root: Path) -> None:
    found, true = (rotations.from_axis_angle(uniform(key, 20, 2, 3)) for key in ("met.ra", "met.rb"))
    recorded(root, "metric.ajae_deg_per_ankle", metrics.ankle_angle_error(found, true))


def turned_and_scaled(points: np.ndarray) -> np.ndarray:
    turn = rotations.to_matrix(rotations.from_axis_angle([0.3, -1.2, 0.7]))
    return 1.7 * points @ turn.T + [1.0, -2.0, 0.5]


def test_procrustes_sees_through_a_similarity_and_not_through_a_reflection() -> None:
    true = RANDOM.normal(size=(5, 22, 3))
    np.testing.assert_allclose(metrics.pa_mpjpe(turned_and_scaled(true), true), 0.0, atol=1e-9)
    assert metrics.pa_mpjpe(true * [-1, 1, 1], true).min() > 0.1


def test_mpjpe_ignores_where_the_root_is_and_nothing_else() -> None:
    true = RANDOM.normal(size=(4, 22, 3))
    found = true + [3.0, 1.0, 2.0]
    np.testing.assert_allclose(metrics.mpjpe(found, true, (1, 2)), 0.0, atol=1e-9)
    found[:, 5, 0] += 0.22
    np.testing.assert_allclose(metrics.mpjpe(found, true, (1, 2)), 0.01)


def test_world_metrics_align_the_beginning_or_the_whole() -> None:
    true = RANDOM.normal(size=(250, 22, 3))
    for align in ("first", "whole"):
        np.testing.assert_allclose(metrics.world_mpjpe(turned_and_scaled(true), true, align), 0.0, atol=1e-8)
    drifting = true + np.linspace(0, 1, 250)[:, None, None] * [1.0, 0, 0]
    first, whole = (metrics.world_mpjpe(drifting, true, align) for align in ("first", "whole"))
    assert first[0] < 0.01 and first[99] > 0.3 and first[100] < 0.01  # every stretch begins anew
    assert whole.mean() < first.mean()


def test_motion_over_time() -> None:
    t = np.arange(40)[:, None, None] / RATE
    still = np.zeros((40, 4, 3))
    falling = still + np.array([0, 0, -0.5 * 9.81]) * t**2
    np.testing.assert_allclose(metrics.acceleration_error(falling, still, RATE), 9.81)
    np.testing.assert_allclose(metrics.jitter(still + np.array([1.0, 0, 0]) * t**3, RATE), 0.6)
    sliding = still + np.array([0.05, 0, 0]) * t
    contacts = np.zeros((40, 4), np.uint8)
    contacts[10:20, 1] = 1
    np.testing.assert_allclose(metrics.foot_skate(sliding, contacts, RATE), np.full(9, 5.0))


def test_gaps_split_a_take() -> None:
    times = np.array([0, 1, 2, 5, 6]) / RATE
    assert metrics.runs(times, 1 / RATE) == [slice(0, 3), slice(3, 5)]


def test_directions_are_compared_by_their_angle() -> None:
    up = np.array([[0.0, 0, 1], [0, 0, 1], [0, 0, 1]])
    tilted = np.array([[0.0, 0, 1], [0, np.sin(0.2), np.cos(0.2)], [0, 0, -1]])
    np.testing.assert_allclose(metrics.angle_between(tilted, up), [0, np.degrees(0.2), 180])


def test_feet_in_the_picture() -> None:
    true = RANDOM.uniform(100, 200, (3, 6, 2))
    found = true.copy()
    found[0, 0] += [6.0, 0.0]
    visible = np.ones((3, 6), bool)
    visible[1, 4] = False
    size = np.full(3, 100.0)
    hits = metrics.foot_pck(found, true, visible, size)
    assert len(hits) == 17 and hits.sum() == 16
    errors = metrics.foot_keypoint_error(1.3 * found + 40, true, visible, size)
    assert len(errors) == 15  # the foot with a hidden point does not count
    assert (errors > 1e-6).sum() == 3


def test_swaps_are_told_where_the_sides_are_apart() -> None:
    true = np.array([[[-0.2, 0.0], [0.2, 0.0]], [[-0.2, 0.0], [0.2, 0.0]], [[-0.01, 0.0], [0.01, 0.0]]])
    found = np.stack([true[0], true[1, ::-1], true[2, ::-1]])
    swapped, told = metrics.swapped(found, true, [(0, 1)], 0.06)
    assert swapped.tolist() == [False, True, False] and told.tolist() == [True, True, False]


def write_take(path: Path, video: str, turn: float = 0.0, aside: float = 0.0, frames: slice = slice(0, 60)) -> Path:
    """A person waving; `turn` tilts the camera's idea of the world (radians), `aside` moves the person (metres)."""
    body, count = skeleton.neutral(), 60
    local = np.tile(rotations.IDENTITY, (count, skeleton.COUNT, 1))
    wave = np.zeros((count, 3))
    wave[:, 2] = np.sin(np.arange(count) / 5)
    local[:, skeleton.INDEX["left_shoulder"]] = rotations.from_axis_angle(wave)
    local[:, 0] = rotations.multiply(rotations.from_axis_angle([0.1, 0, 0.3]), skeleton.Y_UP_TO_Z_UP)
    pelvis = np.tile([aside, 0.0, 0.95], (count, 1))
    turned, joints = skeleton.forward_kinematics(body, local, pelvis)
    feet = skeleton.posed_points(body, turned, joints, skeleton.FOOT_POINTS)
    looking = rotations.to_matrix(rotations.from_axis_angle([np.pi / 2 + turn, 0, 0]))
    arrays = {
        "poses": rotations.to_axis_angle(local).reshape(count, -1), "trans": pelvis - body.offsets[0], "joints": joints,
        "keypoints_foot": feet, "contacts": np.ones((count, 4), np.uint8), "R": np.tile(looking, (count, 1, 1)),
        "t": np.tile([0.0, 0.9, 4.0], (count, 1)), "timestamps": np.arange(count) / RATE,
    }  # fmt: skip
    with NpzWriter(path) as file:
        for name, value in arrays.items():
            file.put(name, value[frames])
        for name, value in {
            "mocap_frame_rate": RATE, "rest_offsets": body.offsets, "focal": 1000.0, "center": np.array([480.0, 270.0]),
            "image_size": np.array([960.0, 540.0]), "provenance": json.dumps({"video": {"name": video}}),
        }.items():  # fmt: skip
            file.put(name, value)
    return path


def test_a_take_against_itself_is_without_error(tmp_path: Path) -> None:
    truth = write_take(tmp_path / "a.npz", "a.mp4")
    result = compare.evaluate(compare.match([truth], [truth]))["overall"]
    for name in ("mpjpe", "pa_mpjpe", "ankle_angle", "foot_mpjpe", "acceleration", "skate", "gravity", "lean", "swaps"):
        assert result[name] == pytest.approx(0.0, abs=1e-4), name
    assert result["foot_pck"] == 100 and result["seen"] == 100


def test_a_take_of_every_second_frame_is_measured_over_time(tmp_path: Path) -> None:
    truth = write_take(tmp_path / "a.npz", "a.mp4")
    half = write_take(tmp_path / "b.npz", "a.mp4", frames=slice(0, 60, 2))
    whole, thinned = (compare.evaluate(compare.match([take], [truth]))["overall"] for take in (truth, half))
    assert thinned["acceleration"] == pytest.approx(0.0, abs=1e-4) == thinned["skate"]
    assert 0 < thinned["jitter"] == pytest.approx(whole["jitter"], rel=0.1)


def test_a_wrong_horizon_is_measured(tmp_path: Path) -> None:
    truth, take = write_take(tmp_path / "a.npz", "a.mp4"), write_take(tmp_path / "b.npz", "a.mp4", turn=0.1)
    measured = compare.evaluate(compare.match([take], [truth]))
    result = measured["overall"]
    assert measured["joints"]["ankle"]["turn"] == pytest.approx(np.degrees(0.1), abs=1e-3)
    assert result["gravity"] == pytest.approx(np.degrees(0.1), abs=1e-3)
    assert result["ankle_angle"] == pytest.approx(np.degrees(0.1), abs=1e-3)
    assert result["pa_mpjpe"] == pytest.approx(0.0, abs=1e-3)


def test_takes_find_their_clip_their_person_and_their_frames(tmp_path: Path) -> None:
    left, right = (write_take(tmp_path / f"t.{n}.npz", "a.mp4", aside=x) for n, x in ((1, -1.0), (2, 1.0)))
    other = write_take(tmp_path / "other.npz", "b.mp4")
    takes = [
        write_take(tmp_path / "x.npz", "b.mp4"),
        write_take(tmp_path / "y.npz", "a.mp4", aside=1.02, frames=slice(20, 50)),
    ]
    pairs = {(pair.clip, pair.person): pair for pair in compare.match(takes, [left, right, other])}
    assert pairs["a", "1"].found is None
    assert pairs["a", "2"].true_rows.tolist() == list(range(20, 50))
    assert len(pairs["b", ""].rows) == 60
    text = compare.table(compare.evaluate(list(pairs.values())))
    clips, joints = (part.splitlines() for part in text.split("\n\n"))
    assert len({len(line) for line in clips}) == 1 and "all frames" in clips[-1]
    assert len(joints) == 2 + 14


def test_an_index_stands_for_its_takes(tmp_path: Path) -> None:
    truths = [write_take(tmp_path / f"t.{n}.npz", "a.mp4", aside=x) for n, x in ((1, -1.0), (2, 1.0))]
    index = tmp_path / "t.json"
    index.write_text(json.dumps({"takes": [{"file": path.name} for path in truths]}))
    assert [pair.found is not None for pair in compare.match([index], truths)] == [True, True]
    for text in ("{}", "[1, 2]", '{"takes": []}'):
        index.write_text(text)
        with pytest.raises(MocapError) as caught:
            compare.match([index], truths)
        assert caught.value.code == "take-unreadable"


def test_a_take_by_itself_tells_how_feet_slide_and_how_well_it_fits_the_picture(tmp_path: Path) -> None:
    path = write_take(tmp_path / "a.npz", "a.mp4")
    with np.load(path) as data:
        arrays = dict(data)
    slid = np.arange(60)[:, None, None] / RATE * [0.04, 0.0, 0.0]  # 4 cm/s
    arrays |= {"joints": arrays["joints"] + slid, "keypoints_foot": arrays["keypoints_foot"] + slid}
    arrays["contacts"] = np.tile(np.array([1, 1, 1, 0], np.uint8), (60, 1))
    take = read_take(path)
    turned, _ = skeleton.forward_kinematics(skeleton.neutral(), take.rotations, np.zeros((60, 3)))
    take.arrays.update(arrays)
    places = compare.project(take, seen.seen_points(turned, arrays["joints"]))
    arrays["keypoints2d"] = np.zeros((60, 133, 3))
    arrays["keypoints2d"][:, seen.KEYPOINTS, :2] = places + [0.02 * compare.box_size(take).mean(), 0.0]
    arrays["keypoints2d"][:, seen.KEYPOINTS, 2] = 0.9
    arrays["keypoints2d"][:30, seen.KEYPOINTS[0]] = 0.0  # not seen: not compared
    with NpzWriter(path) as file:
        for name, value in arrays.items():
            file.put(name, value)
    figures = alone.measure(read_take(path))
    assert figures["standing %"] == 75.0
    assert figures["slide cm/s, median"] == pytest.approx(4.0, abs=0.01)
    assert figures["mean"] == pytest.approx(4.0, abs=0.01)
    assert figures["reprojection %"] == pytest.approx(2.0, abs=0.1)
    (tmp_path / "before").mkdir()
    other = write_take(tmp_path / "before" / "a.npz", "a.mp4")
    with pytest.raises(MocapError) as caught:  # it has no keypoints
        alone.evaluate([other])
    assert caught.value.code == "take-unreadable"
    path.replace(other)
    shutil.copy(other, path)
    assert alone.table(alone.evaluate([path, other])).count("| a ") == 2

    arrays["contacts"] = np.zeros_like(arrays["contacts"])
    with NpzWriter(path) as file:
        for name, value in arrays.items():
            file.put(name, value)
    assert cli.main(["evaluate", str(other), str(path), "--json", str(tmp_path / "a.json")]) == 0
    one, two = json.loads((tmp_path / "a.json").read_text("utf-8"))["takes"]
    assert one == {"take": str(other), **figures}
    assert two["take"] == str(path) and two["standing %"] == 0.0 and two["mean"] is None
    assert cli.main(["evaluate", str(path), "--json", str(tmp_path / "nowhere" / "a.json")]) == 4


def test_a_table_that_cannot_be_written_is_no_bug(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = str(write_take(tmp_path / "a.npz", "a.mp4"))
    assert cli.main(["evaluate", truth, "--against", truth, "--json", str(tmp_path / "nowhere" / "a.json")]) == 4
    assert "[output-unwritable]" in capsys.readouterr().err


def test_detectors_need_somebody_to_look_at() -> None:
    with pytest.raises(MocapError):
        detectors.measure([])


def test_noise_is_split_into_its_parts() -> None:
    count, memory = 4000, 0.8
    series = []
    for bias in (0.02, -0.02):
        drift = np.zeros((count, 2))
        for t in range(1, count):
            drift[t] = memory * drift[t - 1] + np.sqrt(1 - memory**2) * 0.01 * RANDOM.normal(size=2)
        series.append((bias + drift + 0.004 * RANDOM.normal(size=(count, 2)), np.ones(count, bool)))
    found = detectors._noise(series)
    assert found["bias"] == pytest.approx(0.02, rel=0.1)
    assert found["correlated"] == pytest.approx(0.01, rel=0.15)
    assert found["memory"] == pytest.approx(memory, abs=0.06)
    assert found["white"] == pytest.approx(0.004, rel=0.25)
