"""Model files in the layout of the published ones, small and with random weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from backend.motion.footmr import FootEncoderRoPE
from backend.published.camcalib import CameraRegressor
from backend.published.gvhmr import NetworkEncoderRoPE
from backend.published.hmr2 import HMR2
from backend.published.vit import ViTSize
from backend.published.vitpose import ViTPose
from backend.published.whmr import WHMR, Surface

sys.path.append(str(Path(__file__).parents[1] / "backend"))
from smplx_file import write as smplx  # noqa: F401

SMALL = ViTSize(width=32, layers=1, heads=2)
GVHMR_LAYERS = 1


def named(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors below a prefix."""
    return {prefix + name: tensor for name, tensor in network.state_dict().items()}


@contextmanager
def foreign(module: str, name: str, **more: Any) -> Iterator[type]:
    """A class of a package that need not be installed, so that its objects can be pickled; gone afterwards."""
    steps = module.split(".")
    stand_ins = {".".join(steps[: i + 1]): ModuleType(steps[i]) for i in range(len(steps))}
    kind = type(name, more.pop("bases", (dict,)), {"__module__": module, **more})
    setattr(stand_ins[module], name, kind)
    with patch.dict(sys.modules, stand_ins):
        yield kind


def hmr2(path: Path) -> Path:
    """As 4D-Humans' Lightning leaves it: settings of yacs, SMPL's own data and a discriminator beside the network."""
    network = HMR2(SMALL)
    with torch.no_grad():
        network.smpl_head.decpose.weight.mul_(0.1)  # near the mean person
        network.smpl_head.init_body_pose[:] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(24)
    weights = {
        **named("", network),
        "discriminator.conv1.weight": torch.rand(4, 4),
        "smpl.v_template": torch.rand(10, 3),
        "initialized": torch.tensor(True),
    }
    with foreign("yacs.config", "CfgNode") as settings:
        told = {"hyper_parameters": settings(MODEL={"BACKBONE": "vit"}), "epoch": 35, "callbacks": {}}
        torch.save({"state_dict": weights, **told}, path)
    return path


def gvhmr(path: Path, feet: bool = False) -> Path:
    """GVHMR's release; with feet: FootMR's, which has its own GVHMR for 23 keypoints."""
    weights = named("pipeline.denoiser3d.", NetworkEncoderRoPE(23 if feet else 17, layers=GVHMR_LAYERS))
    if feet:
        weights |= named("pipeline.foot_motion_refiner.", FootEncoderRoPE(layers=2))
    torch.save({"state_dict": weights, "pytorch-lightning_version": "2.3.0"}, path)
    return path


def vitpose(path: Path, keypoints: int = 133) -> Path:
    """As mmpose leaves it: a history of numpy numbers with bound methods in it."""

    def mean(self: Any) -> float:
        return 0.0

    network = ViTPose(keypoints, SMALL)
    with torch.no_grad():
        network.keypoint_head.final_layer.bias.fill_(0.9)  # sure of whatever it sees
    with foreign("mmengine.logging.history_buffer", "HistoryBuffer", bases=(object,), mean=mean) as buffer:
        history = buffer()
        history.loss, history.methods = np.arange(3.0), {"mean": history.mean}
        content = {"meta": {"epoch": 210}, "state_dict": named("", network), "loss": history}
        torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


def rtmpose(path: Path, bias: float = 0.0) -> Path:
    """The names by which mmpose's file is told, in the container that it publishes; not the whole network, which mmpose
    itself makes."""
    weights = {
        "backbone.stem.0.conv.weight": torch.zeros(4, 3, 3, 3) + bias,
        "head.final_layer.weight": torch.rand(133, 8, 7, 7),
    }
    told = {"dataset_meta": {"sigmas": np.ones(133, np.float32), "flip_pairs": [[1, 2]], "name": np.str_("any")}}
    torch.save({"meta": told, "state_dict": weights}, path, _use_new_zipfile_serialization=False)
    return path


def whmr(path: Path) -> Path:
    """W-HMR with SMPL's buffers (of a small made-up body) and CamCalib in it."""
    joints, vertices = 24, 90
    smpl = {
        "v_template": torch.rand(vertices, 3),
        "shapedirs": 0.01 * torch.randn(vertices, 3, 10),
        "posedirs": 0.01 * torch.randn(207, 3 * vertices),
        "J_regressor": torch.rand(joints, vertices).softmax(-1),
        "lbs_weights": torch.rand(vertices, joints).softmax(-1),
        "parents": torch.tensor([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]),
    }
    network = WHMR(Surface.of(smpl, torch.arange(67)), SMALL, hidden=16)
    weights = named("", network) | named("cam_model.", CameraRegressor(width=8))
    weights |= {f"regressor.0.smpl.{name}": tensor for name, tensor in smpl.items()}
    torch.save({"model": weights}, path)
    return path


def camcalib(path: Path) -> Path:
    """As SPEC's Lightning leaves it."""
    torch.save({"state_dict": named("model.", CameraRegressor(width=8))}, path)
    return path
