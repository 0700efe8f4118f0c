"""Stage `look`: the published image networks at every person's crop. See `backend.look`.

Sizes are read off the files, so that smaller members of a family load the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..core import rotations
from ..core.rotations import Array
from ..look import BOX, Field, Look
from . import camcalib, checkpoints, crops, vitpose, whmr
from .checkpoints import Weights
from .hmr2 import HMR2, JOINTS, TOKEN
from .runtime import Runner, ahead, device_of
from .vit import size_of

TOKENS: Field = ("token", "<f4", (TOKEN,))  # of HMR2.0, what GVHMR knows of the picture
SMPL: Field = ("smpl", "<f4", (JOINTS, 4))  # quaternions of HMR2.0, the root before the crop's own camera
BETAS: Field = ("betas", "<f4", (10,))  # of SMPL
CAMERA: Field = ("camcalib", "<f4", (3,))  # vertical field of view, pitch, roll; radians

TOKEN_FIELDS = (BOX, TOKENS)
HMR2_FIELDS = (BOX, SMPL, BETAS)
CAMCALIB_FIELDS = (CAMERA,)
DOWN: Field = ("whmr_down", "<f4", (3,))  # gravity's direction by W-HMR, camera axes
WHMR_FIELDS = (CAMERA, DOWN)
POSITIONS = "backbone.pos_embed"  # tells the size of a vision transformer
SMPL_OF = "regressor.0.smpl."  # SMPL's own data in W-HMR's file
CALIBRATE_EVERY = 15  # frames: cameras turn slower than people move


Crop = Callable[[NDArray[np.uint8], Array], NDArray[np.float32]]


class _HMR2:
    """HMR2.0 with a user's file; `crop`: how it cuts a box out, `margin`: how much larger the box is."""

    def __init__(self, file: Path, device: str, crop: Crop, margin: float) -> None:
        weights = checkpoints.read(file)
        checkpoints.expect("hmr2", weights, file, [POSITIONS])
        network = HMR2(size_of(weights), layers=count(weights, "smpl_head.transformer.transformer.layers."))
        checkpoints.load(network, weights, "HMR2.0 (4D-Humans)", file)
        self._runner, self._network = Runner(network, device_of(device), network.backbone), network
        self._crop, self._margin = crop, margin

    def _crops(self, looks: Sequence[Look]) -> Iterator[NDArray[np.float32]]:
        return ahead(lambda look: self._crop(look.frame.rgb, crops.square(look.box, self._margin)), looks)


class TokenLooker(_HMR2):
    """Writes HMR2.0's token, of the crop that GVHMR and FootMR were trained with."""

    def __init__(self, file: Path, device: str) -> None:
        """Raises as HMR2Looker."""
        super().__init__(file, device, crops.gvhmr, crops.GVHMR_MARGIN)

    def look(self, looks: Sequence[Look]) -> None:
        """See `look.Looker`."""
        tokens = self._runner(self._crops(looks), lambda image: self._network(image).token).numpy()
        for seen, token in zip(looks, tokens, strict=True):
            seen.record["token"] = token


class HMR2Looker(_HMR2):
    """Writes HMR2.0's pose and shape, of its own crop."""

    def __init__(self, file: Path, device: str) -> None:
        """Raises MocapError model-wrong, model-unsafe, model-unreadable, model-missing or device-missing."""
        super().__init__(file, device, crops.humans4d, 1.0)

    def look(self, looks: Sequence[Look]) -> None:
        """See `look.Looker`."""

        def person(image: torch.Tensor) -> torch.Tensor:
            said = self._network(image)
            return torch.cat([said.rotations.flatten(1).float(), said.betas.float()], 1)

        found = self._runner(self._crops(looks), person).numpy()
        poses = rotations.from_matrix(found[:, :-10].reshape(-1, JOINTS, 3, 3))
        for seen, pose, betas in zip(looks, poses, found[:, -10:], strict=True):
            seen.record["smpl"], seen.record["betas"] = pose, betas


class ViTPoseLooker:
    """Replaces body keypoints, and feet where the file has them, by ViTPose's."""

    def __init__(self, file: Path, device: str, flip: bool = True) -> None:
        """flip: look at the mirrored crop, too, as published. Raises as HMR2Looker."""
        weights = checkpoints.read(file)
        checkpoints.expect("vitpose", weights, file, [POSITIONS, "keypoint_head.final_layer.weight"])
        network = vitpose.ViTPose(len(weights["keypoint_head.final_layer.weight"]), size_of(weights))
        checkpoints.load(network, weights, "ViTPose", file)
        self._runner, self._network = Runner(network, device_of(device), network.backbone), network
        self._flip = flip

    def look(self, looks: Sequence[Look]) -> None:
        """See `look.Looker`."""
        boxes = [crops.square(look.box, crops.GVHMR_MARGIN) for look in looks]
        pictures = ahead(lambda i: crops.gvhmr(looks[i].frame.rgb, boxes[i]), range(len(looks)))
        heatmaps = self._runner(pictures, lambda image: self._network(image, self._flip)).numpy()
        for seen, box, maps in zip(looks, boxes, heatmaps, strict=True):
            points = vitpose.decode(maps, box)
            points[:, :2] *= seen.frame.scale
            points[:, 2] = np.clip(points[:, 2], 0.0, 1.0)
            seen.record["keypoints"][: len(points)] = points


class CamCalibLooker:
    """Writes what CamCalib says of the whole picture, looked at twice a second and where another shot begins."""

    def __init__(self, file: Path, device: str) -> None:
        """file: CamCalib's own, or W-HMR's. Raises as HMR2Looker."""
        weights = checkpoints.read(file)
        for prefix in ("cam_model.", "model."):
            weights = checkpoints.part(weights, prefix) or weights
        stem = weights.get("backbone.conv1.weight")
        network = camcalib.CameraRegressor(64 if stem is None else len(stem))
        checkpoints.load(network, weights, "CamCalib of SPEC", file)
        self._runner, self._network = Runner(network, device_of(device)), network
        self._last: NDArray[np.float32] = np.zeros(3, np.float32)
        self._due, self._shot = -1, -1

    def look(self, looks: Sequence[Look]) -> None:
        """See `look.Looker`."""
        for seen in looks:
            if seen.shot != self._shot or seen.frame.index >= self._due:
                self._due, self._shot = seen.frame.index + CALIBRATE_EVERY, seen.shot
                self._last = self._runner([crops.camcalib(seen.frame.rgb)], self._network).numpy()[0]
            seen.record["camcalib"] = self._last


class WHMRLooker:
    """Writes where W-HMR's OrientCorrect sees down, with the camera that the CamCalib in the same file guesses."""

    def __init__(self, file: Path, markers: Path, device: str) -> None:
        """markers: W-HMR's file of vertex numbers. Raises as HMR2Looker."""
        weights = checkpoints.read(file)
        smpl = ("v_template", "shapedirs", "posedirs", "J_regressor", "lbs_weights", "parents")
        needed = [f"feature_extractor.{POSITIONS}", "global_orient.fc1.bias", *(f"{SMPL_OF}{name}" for name in smpl)]
        checkpoints.expect("whmr", weights, file, needed)
        self._calibration = CamCalibLooker(file, device)
        vertices = torch.from_numpy(np.load(markers, allow_pickle=False).astype(np.int64))
        surface = whmr.Surface.of(checkpoints.part(weights, SMPL_OF), vertices)
        inner = checkpoints.part(weights, "feature_extractor.")
        network = whmr.WHMR(surface, size_of(inner), len(weights["global_orient.fc1.bias"]))
        checkpoints.load(network, weights, "W-HMR", file)
        self._runner, self._network = Runner(network, device_of(device)), network

    def look(self, looks: Sequence[Look]) -> None:
        """See `look.Looker`."""
        self._calibration.look(looks)
        boxes = np.array([crops.square(look.box) for look in looks])
        pictures = ahead(lambda i: crops.whmr(looks[i].frame.rgb, boxes[i]), range(len(looks)))
        height, width = looks[0].frame.rgb.shape[:2]
        angles = torch.from_numpy(np.array([look.record["camcalib"] for look in looks]))
        box = torch.from_numpy(boxes).float()
        found = self._runner(
            pictures, lambda *inputs: whmr.down(self._network(*inputs)),
            whmr.place_in_picture(box, width, height), box[:, 2], camcalib.world_to_camera(angles[:, 1], angles[:, 2]),
        )  # fmt: skip
        for seen, down in zip(looks, found.numpy(), strict=True):
            seen.record["whmr_down"] = down


def count(weights: Weights, prefix: str) -> int:
    """How many numbered parts there are below a prefix."""
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})
