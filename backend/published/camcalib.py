"""CamCalib of SPEC (ICCV 2021): field of view, pitch and roll of the camera from one whole picture.

A ResNet-50 and three read-outs of 256 bins each. Names are those of the checkpoint. Its world is y down and has the
camera's heading: positive pitch looks down, and only angles up to 34 degrees can be told.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BINS = 256
VIEW, PITCH, ROLL = (0.2617, 2.1), (-0.6, 0.6), (-0.6, 0.6)  # radians that the bins span
STAGES = (3, 4, 6, 3)  # blocks of the ResNet-50


class CameraRegressor(nn.Module):
    """Picture -> vertical field of view, pitch, roll."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.backbone = ResNet(width)
        for name in ("fc_vfov", "fc_pitch", "fc_roll"):
            setattr(self, name, nn.Linear(32 * width, BINS))

    def forward(self, image: Tensor) -> Tensor:
        """image (B, 3, H, W) of `crops.camcalib`. -> (B, 3) radians"""
        x = self.backbone(image).mean((-2, -1))
        spans = (self.fc_vfov, VIEW), (self.fc_pitch, PITCH), (self.fc_roll, ROLL)
        return torch.stack([expected(layer(x), *span) for layer, span in spans], -1)


def expected(logits: Tensor, low: float, high: float) -> Tensor:
    """The angle (...) that the bins (..., 256) expect: a soft argmax."""
    place = torch.arange(BINS, device=logits.device, dtype=torch.float32)
    return low + (logits.float().softmax(-1) * place).sum(-1) / (BINS - 1) * (high - low)


def down(pitch: Tensor, roll: Tensor) -> Tensor:
    """Gravity's direction (..., 3) in camera space (x right, y down, z forward)."""
    return torch.stack([-roll.sin(), roll.cos() * pitch.cos(), roll.cos() * pitch.sin()], -1)


def world_to_camera(pitch: Tensor, roll: Tensor) -> Tensor:
    """Rotations (..., 3, 3): by roll about z, then by pitch about x."""
    zero, one = torch.zeros_like(pitch), torch.ones_like(pitch)
    p, q, r, s = pitch.cos(), pitch.sin(), roll.cos(), roll.sin()
    about_x = torch.stack([one, zero, zero, zero, p, -q, zero, q, p], -1).unflatten(-1, (3, 3))
    about_z = torch.stack([r, -s, zero, s, r, zero, zero, zero, one], -1).unflatten(-1, (3, 3))
    return about_x @ about_z


def focal(view: Tensor, height: float) -> Tensor:
    """Focal length in pixels of a picture `height` pixels high, from the vertical field of view (...)."""
    return height / 2 / (view / 2).tan()


class ResNet(nn.Module):
    """ResNet-50 without its last layer; `width` channels after the first one."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = width
        for stage, blocks in enumerate(STAGES):
            inner = width << stage
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(inputs, inner, 2 if stage and not block else 1))
                inputs = 4 * inner
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layers))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 32 width, H / 32, W / 32)"""
        x = self.maxpool(self.bn1(self.conv1(image)).relu())
        for stage in range(len(STAGES)):
            x = getattr(self, f"layer{stage + 1}")(x)
        return x


class Bottleneck(nn.Module):
    """Narrow, look around, widen; added to what came in."""

    def __init__(self, inputs: int, inner: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, 4 * inner, 1, bias=False), nn.BatchNorm2d(4 * inner)
        self.downsample: nn.Module | None = None
        if stride > 1 or inputs != 4 * inner:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, 4 * inner, 1, stride, bias=False), nn.BatchNorm2d(4 * inner)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 4 inner, H / stride, W / stride)"""
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x))).relu()
