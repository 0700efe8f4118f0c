"""YOLO of Ultralytics, where it is installed: the file is not run, boxes come back in the picture's pixels, and a whole
capture goes through it.

Random weights find nobody. Here the network's last layers are set so that one large box is found in every picture.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("ultralytics")
sys.path.append(str(Path(__file__).parents[1] / "backend"))
from clips import person_pictures, write_video

from backend.core.errors import MocapError
from backend.core.take import read_take
from backend.job import Job
from backend.models.library import VARIABLE, Library
from backend.pipeline import capture
from backend.published import pickled_modules, yolo


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("XDG_DATA_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    return tmp_path


def saved(path: Path, name: str) -> Path:
    """A detector as Ultralytics saves it, that sees one person who fills the picture."""
    yolo._keep_quiet()
    from ultralytics import YOLO

    model = YOLO(f"{name}.yaml")
    head = model.model.model[-1]
    with torch.no_grad():
        for level in range(3):
            box, kind = head.cv2[level][-1], head.cv3[level][-1]
            box.weight.zero_()
            kind.weight.zero_()
            kind.bias.fill_(-12.0)
            if level == 2:
                box.bias.zero_()
                box.bias.view(4, -1)[:, -1] = 12.0  # as far as it can be to every side
                kind.bias[yolo.PERSON] = 3.0
    model.save(str(path))
    return path


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_weights_are_read_without_running_the_file(tmp_path: Path, name: str) -> None:
    yolo._keep_quiet()
    from ultralytics import YOLO

    model = YOLO(f"{name}.yaml")
    model.save(str(tmp_path / "any.pt"))
    found = pickled_modules.read(tmp_path / "any.pt")
    for key, tensor in model.model.state_dict().items():
        torch.testing.assert_close(found.weights[key], tensor.float().half().float(), rtol=1e-3, atol=1e-4)
    assert len(yolo.YoloDetector(tmp_path / "any.pt", "cpu").detect([np.zeros((90, 160, 3), np.uint8)])) == 1


def test_a_hostile_file_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'touched'}",)

    torch.save({"model": Hostile()}, tmp_path / "hostile.pt")
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "other.pt")
    for name, code in (("hostile", "model-unsafe"), ("other", "model-wrong")):
        with pytest.raises(MocapError) as failure:
            Library().add("yolo", tmp_path / f"{name}.pt")
        assert failure.value.code == code
    assert not (tmp_path / "touched").exists()


def test_pictures_are_letterboxed_as_ultralytics_does() -> None:
    from ultralytics.data.augment import LetterBox

    picture = np.random.default_rng(0).integers(0, 256, (994, 1768, 3), np.uint8)
    expected = LetterBox(640, auto=True, stride=32)(image=picture).transpose(2, 0, 1) / 255
    planes, scale, corner = yolo.letterboxed([picture])
    np.testing.assert_allclose(planes[0], expected, atol=1e-6)
    assert scale == pytest.approx(640 / 1768) and corner.tolist() == [0, 12]


@pytest.mark.parametrize("engine", ["yolo", "yolo-botsort"])
def test_a_capture_with_it(tmp_path: Path, demo_clip: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    monkeypatch.setattr(yolo, "OVERLAP", 0.01)  # the one large box is found around many places at once
    Library().add("yolo", saved(tmp_path / "one.pt", "yolov8n"))
    video = write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, 12))
    job = Job(video, tmp_path / "take.npz", engines={"track": engine})
    take = read_take(capture(job, lambda message: None, lambda: False)[0])
    assert len(take) >= 10 and take.provenance["engines"]["track"]["name"] == engine
    assert "AGPL" in take.provenance["engines"]["track"]["licence"]
    assert take.provenance["engines"]["track"]["models"]["yolo"] == Library().added["yolo"].sha256
    seen = take["keypoints2d"][:, :17]
    assert np.median(seen[..., 2]) > 0.5  # the landmark models found the man in the box
