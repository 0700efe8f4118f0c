"""Public benchmarks: labels in their layouts against takes whose errors are known. The files: tests/published."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import benchmark_files as given
import numpy as np
import pytest
import smplx_file
from clips import backend

from backend.core import rotations, skeleton
from backend.core.errors import MocapError
from backend.core.skeleton import INDEX
from backend.core.take import read_take
from backend.evaluation import benchmarks, compare
from backend.evaluation.benchmarks import Bodies
from backend.published.smplx import Shapes

NEUTRAL = skeleton.neutral()
BETAS = np.array([1.5, -2.0, 0.5, 1.0, -0.7, 0.3, 2.0, -1.0, 0.1, 0.8])
ERRORS = ("mpjpe", "pa_mpjpe", "foot_mpjpe", "ankle_angle", "acceleration", "world_whole")


def result(takes: list[Path], references: list[Path]) -> dict[str, Any]:
    return compare.evaluate(compare.match(takes, references))


def moyo_reference(folder: Path, labels: dict, template: Any = None, bodies: Bodies = Bodies()) -> Path:  # noqa: B008
    (path,), missing = benchmarks.write(benchmarks.moyo(labels, template, bodies), folder, folder / "references")
    assert not missing
    return path


def same_in_the_picture(take: Path, reference: Path) -> None:
    """Whether both are in the same place of the picture, which no metric that aligns them would tell."""
    found, true = (compare.project(t, t["joints"]) for t in map(read_take, (take, reference)))
    np.testing.assert_allclose(found, true, atol=0.01)


def test_a_take_that_is_the_truth_has_no_error(tmp_path: Path) -> None:
    video = given.write_video(tmp_path, "yoga")
    reference = moyo_reference(tmp_path, given.moyo(NEUTRAL))
    take = given.write_take(tmp_path / "take.npz", video, NEUTRAL, *given.motion())
    same_in_the_picture(take, reference)
    measured = result([take], [reference])["overall"]
    for name in ERRORS:
        assert measured[name] == pytest.approx(0.0, abs=0.01), name
    assert measured["seen"] == 100 and measured["frames"] == given.COUNT
    assert "gravity" not in measured and "lean" not in measured  # nobody says which way is up in MOYO's world


def test_a_turned_ankle_is_measured_as_it_was_turned(tmp_path: Path) -> None:
    video = given.write_video(tmp_path, "yoga")
    reference = moyo_reference(tmp_path, given.moyo(NEUTRAL))
    local, pelvis = given.motion()
    ankle = INDEX["left_ankle"]
    local[:, ankle] = rotations.multiply(local[:, ankle], rotations.from_axis_angle([0.0, np.radians(24), 0.0]))
    take = given.write_take(tmp_path / "take.npz", video, NEUTRAL, local, pelvis)
    measured = result([take], [reference])["overall"]
    assert measured["ankle_angle"] == pytest.approx(12.0, abs=0.01)  # the mean of 24 degrees and none
    assert measured["foot_mpjpe"] > 5 and measured["mpjpe"] < 5


def test_without_the_body_model_angles_are_exact_and_lengths_are_not(tmp_path: Path) -> None:
    """The template of the person is in the labels; the model tells the joints in it."""
    shapes = Shapes(smplx_file.write(tmp_path / "SMPLX_FEMALE.npz"))
    with np.load(tmp_path / "SMPLX_FEMALE.npz", allow_pickle=True) as model:
        template = {"v_template": model["v_template"] + model["shapedirs"][..., :10] @ BETAS}
    body = shapes.skeleton(BETAS)
    video = given.write_video(tmp_path, "yoga")
    take = given.write_take(tmp_path / "take.npz", video, body, *given.motion())
    reference = moyo_reference(tmp_path, given.moyo(body), template, Bodies(tmp_path))
    np.testing.assert_allclose(read_take(reference)["rest_offsets"], body.offsets, atol=1e-9)
    exact = result([take], [reference])["overall"]
    rough = result([take], [moyo_reference(tmp_path, given.moyo(body), template)])["overall"]
    assert exact["mpjpe"] == pytest.approx(0.0, abs=0.01) and rough["mpjpe"] > 5
    for measured in (exact, rough):
        assert measured["ankle_angle"] == pytest.approx(0.0, abs=0.01)


RICH = {"test/Gym_013_burpee4/cam_06": 0, "test/BBQ_001_cooking/cam_06": 1}
CAMERAS = {name: (given.matrix(), given.lens(given.RICH)) for name in ("Gym_6", "BBQ_6")}


def rich_references(folder: Path, upright: dict[str, np.ndarray]) -> list[Path]:
    truths = benchmarks.rich(given.rich(NEUTRAL, BETAS, RICH), CAMERAS, upright, Bodies())
    return benchmarks.write(truths, folder, folder / "references")[0]


def test_videos_of_the_same_name_find_their_own_takes(tmp_path: Path) -> None:
    """RICH calls them all cam_00.mp4 to cam_07.mp4, and its labels begin somewhere in the video."""
    videos = {name: given.write_video(tmp_path, name, given.COUNT + 5) for name in RICH}
    references = rich_references(tmp_path, {})
    assert [path.name for path in references] == [f"{name.replace('/', '.')}.npz" for name in RICH]
    takes = [
        given.write_take(tmp_path / f"{k}.npz", videos[name], NEUTRAL, *given.motion(k), first=5)
        for name, k in RICH.items()
    ]
    measured = result(takes[::-1], references)
    assert [row["clip"] for row in measured["clips"]] == sorted(RICH)
    for row in measured["clips"]:
        assert row["seen"] == 100
        assert max(row[name] for name in ERRORS) < 0.01


def test_up_is_measured_where_the_scans_tell_it(tmp_path: Path) -> None:
    video = given.write_video(tmp_path, "test/Gym_013_burpee4/cam_06", given.COUNT + 5)
    take = given.write_take(tmp_path / "take.npz", video, NEUTRAL, *given.motion(), first=5)
    tilted = rotations.to_matrix(rotations.from_axis_angle([0.05, 0.0, 0.0]))
    upright = np.linalg.inv(given.matrix(given.TAKES)) @ given.matrix()  # the take's world, which is the true one
    upright[:3] = tilted @ upright[:3]
    told = {"Gym_scan_camcoord": upright.tolist(), "BBQ_scan_camcoord": np.eye(4).tolist()}
    (tmp_path / "w2az_sahmr.json").write_text(json.dumps(told))
    rows = ["sequence_name\tcapture_name\tscan_name\tid", "Gym_013_burpee4\tGym\tscan_camcoord\t013"]
    (tmp_path / "test.txt").write_text("\n".join(rows))
    references = rich_references(tmp_path, benchmarks.upright_rich(tmp_path))
    same_in_the_picture(take, references[0])
    measured = result([take], references)["overall"]
    assert measured["gravity"] == pytest.approx(np.degrees(0.05), abs=1e-3)
    assert measured["mpjpe"] == pytest.approx(0.0, abs=0.01)


def test_feet_in_the_picture_as_counted_by_hand(tmp_path: Path) -> None:
    takes, labels, size = [], {}, 200.0
    for name, count in (("spin", given.COUNT), ("step", 10)):
        local, pelvis = given.motion()
        video = given.write_video(tmp_path, name, count)
        takes.append(given.write_take(tmp_path / f"{name}.npz", video, NEUTRAL, local[:count], pelvis[:count]))
        labels[name] = given.moof(takes[-1])
    feet = labels["spin"]["gt_feet_kpts"]
    feet[0, 0, 0] += 0.049 * size  # still right
    feet[1, 0, 1] += 0.051 * size  # wrong
    feet[2:, 1, 2] = 0.0  # hidden small toes: neither right nor wrong, and nothing of that foot's shape can be told
    feet[2:, 1, :2] += 500.0
    feet[:2, :3, 2] = [1, 1, 0]  # so that no left foot of this video is seen whole
    right = feet[:, 3:, :2] - feet[:, 3:, :2].mean(1, keepdims=True)
    feet[5, 3:, :2] += right[5] @ [[0.0, 1.0], [-1.0, 0.0]] - right[5]  # a quarter turn: the best scale is zero
    feet[6, 3:, :2] += 0.3 * right[6]  # larger: the same shape
    references, _ = benchmarks.write(benchmarks.moof(labels), tmp_path, tmp_path / "references")
    measured = result(takes, references)
    spin, step = measured["clips"]
    assert (spin["seen"], step["seen"]) == (100, 100)
    visible = int((feet[..., 2] == 1).sum())
    away = int((np.linalg.norm(right[5] @ [[0.0, 1.0], [-1.0, 0.0]] - right[5], axis=-1) >= 0.05 * size).sum())
    wrong = 1 + away
    assert spin["foot_pck"] == pytest.approx(100 * (1 - wrong / visible))
    turned = 100 * np.linalg.norm(right[5], axis=-1).sum() / size
    assert spin["foot_keypoints"] == pytest.approx(turned / (3 * given.COUNT), rel=1e-4)
    assert step["foot_pck"] == 100 and step["foot_keypoints"] == pytest.approx(0.0, abs=1e-4)
    # videos weigh as much as points of them count: 6 a frame, 3 a foot seen whole
    assert measured["overall"]["foot_pck"] == pytest.approx(100 * (1 - wrong / (visible + 60)))
    assert measured["overall"]["foot_keypoints"] == pytest.approx(turned / (3 * given.COUNT + 60), rel=1e-4)
    assert set(spin) == {"clip", "person", "frames", "seen", "foot_pck", "foot_keypoints"}
    text = compare.table(measured)
    assert "PCK_F" in text and "AJAE" not in text and "joint" not in text


def test_somebody_else_in_the_picture_is_not_taken_for_the_person(tmp_path: Path) -> None:
    video = given.write_video(tmp_path, "spin")
    local, pelvis = given.motion()
    take = given.write_take(tmp_path / "take.npz", video, NEUTRAL, local, pelvis)
    aside = given.write_take(tmp_path / "aside.npz", video, NEUTRAL, local, pelvis + [1.5, 0.0, 0.0])
    references, _ = benchmarks.write(benchmarks.moof({"spin": given.moof(take)}), tmp_path, tmp_path / "references")
    (pair,) = compare.match([aside, take], references)
    assert pair.found is not None and np.allclose(pair.found["joints"], read_take(take)["joints"])
    (pair,) = compare.match([aside], references)
    assert pair.found is None


def without(labels: dict, *path: str) -> dict:
    copy = part = deepcopy(labels)
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return copy


GOOD = given.moyo(NEUTRAL)
KEY = next(iter(GOOD))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1, 2], "does not name videos"),
        ({"weight": np.ones(3)}, "does not name videos"),
        (without(GOOD, KEY, "smplx_params"), "no smplx_params"),
        (without(GOOD, KEY, "smplx_params", "transl"), "no transl"),
        (
            {KEY: GOOD[KEY] | {"smplx_params": {name: np.zeros((0, 3)) for name in GOOD[KEY]["smplx_params"]}}},
            "no picture",
        ),
        (without(GOOD, KEY, "T_w2c"), r"no T_w2c of the shape \(4, 4\)"),
        (given.moyo(NEUTRAL) | {KEY: GOOD[KEY] | {"img_wh": [500, 500]}}, "its labels are for 500 x 500"),
    ],
)
def test_labels_of_another_kind_are_told(tmp_path: Path, labels: Any, said: str) -> None:
    given.write_video(tmp_path, "yoga")
    with pytest.raises(MocapError, match=said) as failure:
        moyo_reference(tmp_path, labels)
    assert failure.value.code == "motion-unreadable" and "docs/evaluation.md" in failure.value.fix


def test_videos_that_do_not_fit_or_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(MocapError, match=r"none of the 1 videos of the labels, such as yoga\.mp4"):
        moyo_reference(tmp_path, GOOD)
    given.write_video(tmp_path, "yoga", 20)
    with pytest.raises(MocapError, match="has 20 pictures; its labels go on to number 39"):
        moyo_reference(tmp_path, GOOD)
    with pytest.raises(MocapError, match=r"cam2params\.pt has no camera for test/BBQ"):
        list(benchmarks.rich(given.rich(NEUTRAL, BETAS, RICH), {"Gym_6": CAMERAS["Gym_6"]}, {}, Bodies()))
    with pytest.raises(MocapError, match=r"SMPLX_MALE\.npz is not there"):
        list(benchmarks.rich(given.rich(NEUTRAL, BETAS, RICH), CAMERAS, {}, Bodies(tmp_path)))


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    made = backend("references", "rich", tmp_path, "-o", tmp_path / "references")
    assert made.returncode == 3
    assert "has no rich_test_labels.pt" in made.stderr and "[motion-unreadable]" in made.stderr
