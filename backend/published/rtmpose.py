"""Stage `keypoints` by RTMPose whole-body through mmpose: all 133 keypoints, hands and face too.

mmpose builds the network from its own packaged settings and does crop and decoding; the weights are read by
`checkpoints`, since mmpose would run the file. Its scores are those of SimCC, not probabilities.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import MocapError
from ..look import Look
from . import checkpoints, mmpose_imports
from .runtime import device_of

# Channels of the stem and bins along x -> the settings of that size.
_SETTINGS = {
    (24, 384): "rtmpose-m_8xb64-270e_coco-wholebody-256x192.py",
    (32, 384): "rtmpose-l_8xb64-270e_coco-wholebody-256x192.py",
    (32, 576): "rtmpose-l_8xb32-270e_coco-wholebody-384x288.py",
}
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
        self._apis = mmpose_imports.apis()
        self._network = self._apis.init_model(_settings(name), None, device=str(device_of(device)))
        checkpoints.load(self._network, weights, "RTMPose whole-body", file)

    def look(self, looks: Sequence[Look]) -> None:
        """Write the keypoints into each record, frame by frame: mmpose takes all people of a picture at once."""
        frames: dict[int, list[Look]] = {}
        for seen in looks:
            frames.setdefault(seen.frame.index, []).append(seen)
        for people in frames.values():
            picture = np.ascontiguousarray(people[0].frame.rgb[..., ::-1])
            boxes = np.array([seen.box for seen in people], np.float32)
            found = self._apis.inference_topdown(self._network, picture, boxes)
            for seen, sample in zip(people, found, strict=True):
                points = sample.pred_instances
                seen.record["keypoints"][:, :2] = points.keypoints[0] * seen.frame.scale
                seen.record["keypoints"][:, 2] = np.clip(points.keypoint_scores[0], 0.0, 1.0)


def _settings(name: str) -> Any:
    """mmpose's own settings of that name."""
    from mmengine.config import Config

    package = importlib.util.find_spec("mmpose")
    assert package is not None and package.origin is not None  # the engine says what it needs
    settings = Config.fromfile(Path(package.origin).parent / _FOLDER / name)
    settings.model.backbone.pop("_scope_", None)  # mmdet's class of that name is mmpose's, too
    return settings
