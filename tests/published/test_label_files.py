"""Label files of public benchmarks as torch writes them: read safely, and evaluated from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import benchmark_files as given
import numpy as np
import pytest
import torch
from clips import backend

from backend.core import skeleton
from backend.core.errors import MocapError
from backend.published import checkpoints

NEUTRAL = skeleton.neutral()


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch touched",)


def tensors(labels: dict) -> dict:
    """Arrays as tensors, but those that MOYO has as arrays of numpy."""
    kept = ("bbx_xyxy", "img_wh")
    return {
        name: tensors(value) if isinstance(value, dict)
        else torch.from_numpy(value) if isinstance(value, np.ndarray) and name not in kept else value
        for name, value in labels.items()
    }  # fmt: skip


@pytest.mark.parametrize("legacy", [False, True])
def test_labels_are_read_as_they_are(tmp_path: Path, legacy: bool) -> None:
    labels = given.moyo(NEUTRAL)
    torch.save(tensors(labels), tmp_path / "labels.pt", _use_new_zipfile_serialization=not legacy)
    read = checkpoints.read_data(tmp_path / "labels.pt")
    assert read.keys() == labels.keys()
    for label, true in zip(read.values(), labels.values(), strict=True):
        assert label["gender"] == "female" and label["imgname"] == true["imgname"]
        for name in ("bbx_xyxy", "T_w2c", "img_wh"):
            np.testing.assert_array_equal(label[name], true[name])
        np.testing.assert_array_equal(label["smplx_params"]["body_pose"], true["smplx_params"]["body_pose"])


def test_numbers_of_numpy_and_arrays_of_text_are_read(tmp_path: Path) -> None:
    content = {"rate": np.float64(30), "names": np.array(["a.jpg", "b.jpg"]), "on": np.array([True, False])}
    torch.save(content, tmp_path / "labels.pt")
    read = checkpoints.read_data(tmp_path / "labels.pt")
    assert read["rate"] == 30 and read["names"].tolist() == ["a.jpg", "b.jpg"] and read["on"].tolist() == [True, False]


@pytest.mark.parametrize("inside", [lambda x: x, lambda x: np.array([x, None], dtype=object)])
def test_labels_that_want_to_run_something_are_refused(tmp_path: Path, inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"video": {"img_wh": inside(Hostile())}}, tmp_path / "annotations.pt")
    with pytest.raises(MocapError) as failure:
        checkpoints.read_data(tmp_path / "annotations.pt")
    assert failure.value.code == "model-unsafe"
    assert not (tmp_path / "touched").exists()


def test_from_label_files_to_the_table(tmp_path: Path) -> None:
    """MOOF, as a user runs it: the feet of a perfect take are where they are in the picture."""
    video = given.write_video(tmp_path, "spin")
    take = given.write_take(tmp_path / "take.npz", video, NEUTRAL, *given.motion())
    torch.save(tensors({"spin": given.moof(take), "gone": given.moof(take)}), tmp_path / "annotations.pt")
    made = backend("references", "moof", tmp_path, "-o", tmp_path / "references")
    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == [str(tmp_path / "references" / "spin.npz")]
    assert "1 of 2 videos" in made.stderr and "gone" in made.stderr
    measured = backend("evaluate", take, "--against", *made.stdout.split(), "--json", tmp_path / "result.json")
    assert measured.returncode == 0, measured.stderr
    overall = json.loads((tmp_path / "result.json").read_text())["overall"]
    assert overall["foot_pck"] == 100 and overall["foot_keypoints"] == pytest.approx(0.0, abs=1e-3)
    assert "PCK_F" in measured.stdout and "AJAE" not in measured.stdout


@pytest.mark.parametrize("benchmark", ["moyo", "rich"])
def test_other_benchmarks_from_label_files(tmp_path: Path, benchmark: str) -> None:
    if benchmark == "moyo":
        video, first = given.write_video(tmp_path, "yoga"), 0
        torch.save(tensors(given.moyo(NEUTRAL)), tmp_path / "moyo_smplx_test_labels.pt")
        torch.save({"v_template": torch.zeros(10475, 3)}, tmp_path / "moyo_test_gt_v_template.pt")
    else:
        name, first = "test/Gym_013_burpee4/cam_06", 5
        video = given.write_video(tmp_path, name, given.COUNT + first)
        torch.save(tensors(given.rich(NEUTRAL, np.zeros(10), {name: 0})), tmp_path / "rich_test_labels.pt")
        camera = (torch.from_numpy(given.matrix()), torch.from_numpy(given.lens(given.RICH)))
        torch.save({"Gym_6": camera}, tmp_path / "cam2params.pt")
    take = given.write_take(tmp_path / "take.npz", video, NEUTRAL, *given.motion(), first=first)
    made = backend("references", benchmark, tmp_path, "-o", tmp_path / "references")
    assert made.returncode == 0, made.stderr
    measured = backend("evaluate", take, "--against", made.stdout.strip(), "--json", tmp_path / "result.json")
    overall = json.loads((tmp_path / "result.json").read_text())["overall"]
    assert measured.returncode == 0 and overall["seen"] == 100
    assert overall["ankle_angle"] == pytest.approx(0.0, abs=0.01)
    assert overall["foot_mpjpe"] == pytest.approx(0.0, abs=0.01)
