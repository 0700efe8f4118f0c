"""ViTPose (NeurIPS 2022): keypoints from one crop; COCO's 17, or COCO-WholeBody's 133 of which the first 23 are used.

The ViT is `vit.ViT`. Names are those of the checkpoint (`backbone.*`, `keypoint_head.*`).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..core import keypoints as names
from ..core.rotations import Array
from .vit import HUGE, ViT, ViTSize

BLUR = 11  # pixels of the heatmap, of the Gaussian that training drew: see `decode`
_LEAST, _MOST = 0.001, 50.0

# Which keypoint of a mirrored picture is which: the body's and feet's names with left and right exchanged.
MIRRORED = np.array(names.mirrored(tuple(names.INDEX)))


class ViTPose(nn.Module):
    """Crop -> heatmaps."""

    def __init__(self, keypoints: int, size: ViTSize = HUGE) -> None:
        super().__init__()
        self.backbone = ViT(size)
        self.keypoint_head = HeatmapHead(size.width, keypoints)

    def forward(self, image: Tensor, flip: bool = False) -> Tensor:
        """image (B, 3, 256, 192), normalised as `crops` does; flip: look at the mirrored crop, too, as the published
        pipelines do: twice the work. -> (B, J, 64, 48) heatmaps of the first 23 keypoints at most"""
        heatmaps = self._look(image)
        if flip:
            back = self._look(image.flip(-1)).flip(-1)
            heatmaps = (heatmaps + back[:, MIRRORED[: heatmaps.shape[1]]]) / 2
        return heatmaps

    def _look(self, image: Tensor) -> Tensor:
        features = self.backbone(image)
        with torch.autocast(image.device.type, enabled=False):  # half precision is for the large part
            return self.keypoint_head(features.float())[:, : len(MIRRORED)]


class HeatmapHead(nn.Module):
    """Two deconvolutions, and one number per keypoint and pixel."""

    def __init__(self, width: int, keypoints: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (width, 256):
            layers += [
                nn.ConvTranspose2d(inputs, 256, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(256), nn.ReLU()
            ]  # fmt: skip
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(256, keypoints, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, 16, 12) -> (B, keypoints, 64, 48)"""
        return self.final_layer(self.deconv_layers(features))


def decode(heatmaps: NDArray[np.float32], box: Array) -> NDArray[np.float32]:
    """Heatmaps (J, 64, 48) of a crop -> keypoints (J, 3): x, y in pixels of the picture, confidence.

    The peak to a fraction of a pixel: one Newton step on the logarithm of the blurred heatmap (DARK, CVPR 2020; UDP's
    unbiased way back to the picture). box (3,): centre x, y and side of the square in pixels.
    """
    count, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, -1)
    peak = flat.argmax(1)
    y, x = np.divmod(peak, width)
    blurred = np.stack([cv2.GaussianBlur(heatmap, (BLUR, BLUR), 0) for heatmap in heatmaps])
    log = np.pad(np.log(np.clip(blurred, _LEAST, _MOST)), ((0, 0), (1, 1), (1, 1)), mode="edge")

    def at(dx: int, dy: int) -> NDArray[np.float32]:
        return log[np.arange(count), y + 1 + dy, x + 1 + dx]

    slope = 0.5 * np.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], -1)
    xx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    yy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    xy = 0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1))
    curvature = np.stack([xx, xy, xy, yy], -1).reshape(count, 2, 2) + np.finfo(np.float32).eps * np.eye(2)
    found = np.stack([x, y], -1) - np.linalg.solve(curvature, slope[..., None])[..., 0]

    centre, side = np.asarray(box[:2], float), float(box[2])
    extent = np.array([0.75 * side, side])
    pixels = found / [width - 1, height - 1] * extent + centre - extent / 2
    return np.concatenate([pixels, flat[np.arange(count), peak, None]], -1).astype(np.float32)
