"""RTMPose through mmpose, where it is installed: weights by our own reader, all 133 keypoints in a whole capture."""

from __future__ import annotations

import pkgutil
import sys
from pathlib import Path

import files
import numpy as np
import pytest
import torch

pytest.importorskip("mmpose")
sys.path.append(str(Path(__file__).parents[1] / "backend"))
from clips import person_pictures, write_video

from backend.core.errors import MocapError
from backend.core.take import read_take
from backend.job import Job
from backend.look import OBSERVATION, Look
from backend.models.library import VARIABLE, Library
from backend.pipeline import capture
from backend.published import mmpose_imports, rtmpose
from backend.published.rtmpose import confidence
from backend.stages import Frame


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RTMPose-m with random weights, as mmengine saves it while it trains."""
    network = mmpose_imports.apis().init_model(rtmpose._settings(rtmpose._SETTINGS[24, 384]), None, device="cpu")
    from mmengine.logging import HistoryBuffer

    path = tmp_path_factory.mktemp("rtmpose") / "rtmpose-m.pth"
    history = {"loss": HistoryBuffer([1.0, 2.0], [1, 1])}
    torch.save({"meta": {"epoch": 1}, "state_dict": network.state_dict(), "message_hub": history}, path)
    return path


def test_a_capture_with_it(released: Path, tmp_path: Path, demo_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_DATA_HOME", "APPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "models"))
    Library().add("rtmpose", released)
    video = write_video(tmp_path / "clip.mp4", person_pictures(demo_clip, 6))
    takes = {}
    for name in ("tracker", "rtmpose"):
        job = Job(video, tmp_path / f"{name}.npz", people="largest", engines={"keypoints": name})
        takes[name] = read_take(capture(job, lambda message: None, lambda: False)[0])
    assert takes["rtmpose"].provenance["engines"]["keypoints"]["licence"] == "Apache-2.0"
    moved = np.abs(takes["rtmpose"]["keypoints2d"] - takes["tracker"]["keypoints2d"]).max((0, 2))
    assert (moved > 0).all()  # every one of the 133 comes from the network


def test_batches_across_frames_see_what_mmpose_sees_one_by_one(released: Path, demo_clip: Path) -> None:
    looker = rtmpose.RTMPoseLooker(released, "cpu")
    pictures = person_pictures(demo_clip, 3)
    box = np.array([5.0, 10, pictures[0].shape[1] - 20, pictures[0].shape[0] - 5])
    looks = []
    for i, picture in enumerate(pictures):
        frame = Frame(i, i / 30, picture, 1.0)
        looks += [Look(frame, np.zeros(1, OBSERVATION)[0], box + shift) for shift in (0, 4.0 * i)]
    looker.look(looks)
    for seen in looks:
        bgr = np.ascontiguousarray(seen.frame.rgb[..., ::-1])
        one = mmpose_imports.apis().inference_topdown(looker._network, bgr, seen.box[None])[0].pred_instances
        np.testing.assert_allclose(seen.record["keypoints"][:, :2], one.keypoints[0], atol=0.1)
        np.testing.assert_allclose(seen.record["keypoints"][:, 2], confidence(one.keypoint_scores[0]), atol=1e-3)


def test_what_mmpose_takes_for_seen_the_body_networks_do_too() -> None:
    np.testing.assert_allclose(confidence(np.float32([-0.2, 0.0, 0.15, 0.3, 0.6, 1.4])), [0, 0, 0.25, 0.5, 1, 1])


def test_mmengine_finds_what_python_3_14_has_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pkgutil, "find_loader", raising=False)
    mmpose_imports.apis()
    from mmengine.utils.dl_utils.misc import mmcv_full_available

    assert mmcv_full_available() is False


def test_another_networks_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(MocapError, match="looks like ViTPose") as failure:
        rtmpose.RTMPoseLooker(files.vitpose(tmp_path / "vitpose.pth"), "cpu")
    assert failure.value.code == "model-wrong"
