"""Stage `keypoints` by RTMPose whole-body through mmpose: all 133 keypoints, hands and face too.

mmpose builds the network from its own packaged settings and does crop and decoding; the weights are read by
`checkpoints`, since mmpose would run the file. Its scores are those of SimCC, not probabilities: see `confidence`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import MocapError
from ..look import Look
from . import checkpoints, mmpose_imports
from .runtime import Batches, ahead, device_of

# Channels of the stem and bins along x -> the settings of that size.
_SETTINGS = {
    (24, 384): "rtmpose-m_8xb64-270e_coco-wholebody-256x192.py",
    (32, 384): "rtmpose-l_8xb64-270e_coco-wholebody-256x192.py",
    (32, 576): "rtmpose-l_8xb32-270e_coco-wholebody-384x288.py",
}
SEEN = 0.3  # score from which mmpose's own programs take a keypoint for seen
ONE = np.ones(1, np.float32)
_FOLDER = Path(".mim", "configs", "wholebody_2d_keypoint", "rtmpose", "coco-wholebody")


class RTMPoseLooker:
    """Replaces all keypoints by RTMPose's. See `look.Looker`."""

    def __init__(self, file: Path, device: str) -> None:
        """Raises MocapError model-wrong, model-unsafe, model-unreadable, model-missing or device-missing."""
        weights = checkpoints.read(file)
        stem, bins = weights.get("backbone.stem.0.conv.weight"), weights.get("head.cls_x.weight")
        name = None if stem is None or bins is None else _SETTINGS.get((len(stem), len(bins)))
        if name is None:
            what = f"{file.name} looks like {checkpoints.looks_like(weights)}; RTMPose-m or -l whole-body was expected."
            raise MocapError("model-wrong", what)
        mmpose_imports.apis()
        from mmengine.dataset import Compose, pseudo_collate
        from mmengine.registry import init_default_scope
        from mmpose.apis import init_model

        self._network = init_model(_settings(name), None, device=str(device_of(device)))
        checkpoints.load(self._network, weights, "RTMPose whole-body", file)
        init_default_scope("mmpose")
        self._cut, self._together = Compose(self._network.cfg.test_dataloader.dataset.pipeline), pseudo_collate
        self._batches = Batches(device_of(device))

    def look(self, looks: Sequence[Look]) -> None:
        """Write the keypoints into each record, batches across frames and people."""

        def cut(seen: Look) -> Any:
            picture = np.ascontiguousarray(seen.frame.rgb[..., ::-1])
            box = np.asarray(seen.box, np.float32)[None]
            return self._cut({"img": picture, "bbox": box, "bbox_score": ONE, **self._network.dataset_meta})

        @torch.inference_mode()
        def run(crops: list[Any]) -> list[Any]:
            return self._network.test_step(self._together(crops))

        found = (sample for batch in self._batches.work(ahead(cut, looks), run) for sample in batch)
        for seen, sample in zip(looks, found, strict=True):
            points = sample.pred_instances
            seen.record["keypoints"][:, :2] = points.keypoints[0] * seen.frame.scale
            seen.record["keypoints"][:, 2] = confidence(points.keypoint_scores[0])


def confidence(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores (...) -> confidences 0..1 that mean to the body networks what they mean to mmpose: to those, GVHMR and
    FootMR as published among them, a keypoint is seen from 0.5 on."""
    return np.clip(scores * np.float32(0.5 / SEEN), 0.0, 1.0)


def _settings(name: str) -> Any:
    """mmpose's own settings of that name."""
    from mmengine.config import Config

    package = importlib.util.find_spec("mmpose")
    assert package is not None and package.origin is not None  # the engine says what it needs
    settings = Config.fromfile(Path(package.origin).parent / _FOLDER / name)
    settings.model.backbone.pop("_scope_", None)  # mmdet's class of that name is mmpose's, too
    return settings
