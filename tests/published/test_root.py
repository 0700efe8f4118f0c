"""GVHMR's root: how far it goes, by a network that is right about what it is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.core import keypoints, rotations
from backend.core import skeleton as sk
from backend.look import BOX, record_with
from backend.published import gvhmr
from backend.published.lookers import TOKENS
from backend.published.solvers import GVHMRSolver
from backend.published.world import GVHMRRoot
from backend.stages import Camera
from backend.store import RecordFile

SPEED, DISTANCE = 1.4, 5.0  # metres a second sideways past the camera, metres from it
LEVEL = rotations.inverse(rotations.from_axis_angle([-np.pi / 2, 0, 0]))
CAMERA = Camera(1000.0, np.array([960.0, 540.0]), np.array([1920.0, 1080.0]), LEVEL, np.zeros(3))
BOX_SEEN = np.array([-1000.0, 0.0, 3000.0, 1080.0])
SIDE = 1.2 * 4000 * 4 / 3  # of the square that the network sees


class Oracle:
    """Says how far the hips went from each frame that it sees to the next, as the published network does, which takes
    frames to be 1/30 s apart. The body's axes are the camera's."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, obs: Tensor, cliff_cam: Tensor, turn: Tensor, tokens: Tensor) -> gvhmr.Encoded:
        self.seen.append(obs[0])
        hips = obs[0, :, 11:13, 0].mean(1) * SIDE / 2 * DISTANCE / CAMERA.focal
        frames = len(hips)
        motion = torch.zeros(1, frames, gvhmr.ENCODED)
        motion[0, :, :126] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(21)
        motion[0, :, 136:148] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(2)
        motion[0, :-1, 148], motion[0, -1, 148] = hips.diff(), hips[-1] - hips[-2]
        mean, std = gvhmr.statistics()
        return gvhmr.Encoded((motion - mean) / std, torch.ones(1, frames, 3), torch.full((1, frames, 6), -9.0))


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> GVHMRSolver:
    monkeypatch.setattr(GVHMRSolver, "__init__", lambda self: None)
    solver = GVHMRSolver()
    solver._network, solver._keypoints, solver._device = Oracle(), 17, torch.device("cpu")
    return solver


def walker(folder, times: np.ndarray) -> RecordFile:
    seen = np.zeros(len(times), record_with([BOX, TOKENS]))
    seen["time"], seen["frame"], seen["turn"] = times, np.arange(len(times)), rotations.IDENTITY
    seen["keypoints"] = [960, 540, 1]
    seen["keypoints"][..., 0] += ((SPEED * times - 2) * CAMERA.focal / DISTANCE)[:, None]
    seen["box"] = BOX_SEEN
    records = RecordFile(folder / "person.bin", seen.dtype)
    records.append(seen)
    return records


def settled(solver: GVHMRSolver, records: RecordFile, times: np.ndarray, swapped=None, still=False) -> np.ndarray:
    """The pelvis (T, 3)."""
    pose = np.broadcast_to(rotations.IDENTITY, (len(times), sk.COUNT, 4)).copy()
    pose[:, 0] = rotations.from_axis_angle([np.pi / 2, 0, 0])
    pelvis = np.stack([SPEED * times - 2, DISTANCE + 0 * times, 1 + 0 * times], -1)
    swapped = np.zeros(len(times), bool) if swapped is None else swapped
    return GVHMRRoot(solver).settle(records, swapped, pose, pelvis, sk.neutral(), CAMERA, still, False)[0].pelvis


@pytest.mark.parametrize("still", [True, False])
@pytest.mark.parametrize("fps", [60, 30, 24, 15, 10])
def test_people_go_as_far_whatever_the_frame_rate(oracle: GVHMRSolver, tmp_path, fps: int, still: bool) -> None:
    times = np.arange(3 * fps + 1) / fps
    pelvis = settled(oracle, walker(tmp_path, times), times, still=still)
    # Its ends are smoothed, as published: three frames' way is lost.
    assert np.linalg.norm(pelvis[-1] - pelvis[0]) == pytest.approx(SPEED * 3, abs=SPEED * 3 / fps)


def test_nobody_goes_far_while_they_are_not_seen(oracle: GVHMRSolver, tmp_path) -> None:
    times = np.concatenate([np.arange(30), np.arange(330, 360)]) / 30
    pelvis = settled(oracle, walker(tmp_path, times), times)
    assert np.linalg.norm(pelvis[-1] - pelvis[0]) < SPEED * 2.5


def test_left_and_right_are_put_right_before_the_network_sees_them(oracle: GVHMRSolver, tmp_path) -> None:
    times = np.arange(10) / 30
    records = walker(tmp_path, times)
    seen, swapped = records.read(0, 10), np.arange(10) > 6
    left, right = keypoints.INDEX["left_wrist"], keypoints.INDEX["right_wrist"]
    seen["keypoints"][:, left, 1] = np.where(swapped, 700, 300)
    seen["keypoints"][:, right, 1] = np.where(swapped, 300, 700)
    records.rewrite([seen])
    settled(oracle, records, times, swapped)
    assert (oracle._network.seen[0][:, left, 1] < oracle._network.seen[0][:, right, 1]).all()
