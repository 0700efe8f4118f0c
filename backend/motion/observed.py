"""Synthetic clips as the pipeline would have recorded them: the way back from a `synthesis.Batch` to OBSERVATIONs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..body.landmarks import INDEX as L
from ..body.tokens import HINTS, KEYPOINTS, NO_TURN, TURN_SCALE, from_6d
from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..evaluation.chains import Clip, synthetic_camera
from ..stages import OBSERVATION
from .mocap import Motions
from .synthesis import Batch, Synthesiser

FOCAL, SIZE = 1000.0, 2000.0  # pixels; any will do, since the batch is in units of the focal length
FRAMES = 120
NOISE = (0.5, 1.0, 1.7)  # 1: as the embedded detectors err (docs/detectors.md)
HAND = 0.09  # metres from the wrist to where the landmark model would see the knuckles


@dataclass(frozen=True)
class Setting:
    """What is synthesised: detectors' noise, and the share of clips with ankles as people rarely hold them."""

    noise: float
    feet: float = 0.0

    def __str__(self) -> str:
        return f"noise {self.noise}" + (", ankles moved" if self.feet else "")


SETTINGS = (*(Setting(noise) for noise in NOISE), Setting(1.0, feet=1.0))


def synthesise(motions: Motions, setting: Setting, count: int, seed: int = 0) -> list[Clip]:
    """About `count` clips, the same each time."""
    make = Synthesiser(seed, setting.noise, feet=setting.feet)
    return clips(make(*motions.windows(count, FRAMES, torch.Generator().manual_seed(seed))))


def clips(batch: Batch, rate: float = 30.0) -> list[Clip]:
    """The clips of a batch in which the landmark model gave 3D points, as the default chain always has them."""
    return [_clip(batch, i, rate) for i in range(len(batch.obs)) if batch.hints[i, 0, -1] > 0]


def _clip(batch: Batch, i: int, rate: float) -> Clip:
    obs, cliff, turn, hints = (
        tensor[i].double().numpy() for tensor in (batch.obs, batch.cliff_cam, batch.cam_angvel, batch.hints)
    )
    out = np.zeros(len(obs), OBSERVATION)
    out["frame"], out["time"] = np.arange(len(obs)), np.arange(len(obs)) / rate
    rays = cliff[:, None, :2] + 0.5 * obs[..., :2] * cliff[:, None, 2:]
    out["keypoints"][:, :KEYPOINTS, :2] = rays * FOCAL + SIZE / 2
    out["keypoints"][:, :KEYPOINTS, 2] = obs[..., 2]
    out["roi"] = np.column_stack([cliff * FOCAL + [SIZE / 2, SIZE / 2, 0], np.zeros(len(obs))])
    out["landmarks"] = _landmarks(hints, cliff)
    out["consistency"] = 1.0
    step = from_6d(turn / TURN_SCALE + NO_TURN)
    out["turn"][0] = rotations.IDENTITY
    for t in range(1, len(obs)):
        out["turn"][t] = rotations.multiply(step[t - 1], out["turn"][t - 1].astype(float))

    offsets = sk.neutral().offsets.copy()
    offsets[: sk.BODY] = batch.offsets[i].double().numpy()
    offsets[0] = sk.neutral().offsets[0]
    local = np.tile(rotations.IDENTITY, (len(obs), sk.COUNT, 1))
    local[:, : sk.BODY] = rotations.from_matrix(batch.local[i].double().numpy())
    pelvis, down = (tensor[i].double().numpy() for tensor in (batch.joints[:, :, 0], batch.down))
    return Clip(out, synthetic_camera(FOCAL, SIZE), offsets, local, pelvis, down)


def _landmarks(hints: Array, cliff: Array) -> Array:
    """(T, 33, 4): the hints as the model would give them, looking straight at the person; and hands along forearms."""
    points = np.zeros((len(hints), len(L), 4))
    points[:, [L[name] for name in HINTS], :3] = hints[:, :-1].reshape(len(hints), -1, 3)
    for side in ("left", "right"):
        elbow, wrist = points[:, L[f"{side}_elbow"], :3], points[:, L[f"{side}_wrist"], :3]
        ahead = HAND * rotations.normalize(wrist - elbow)
        across = 0.3 * np.cross(ahead, [0.0, 0.0, 1.0])
        for name, aside in (("index", across), ("thumb", across), ("pinky", -across)):
            points[:, L[f"{side}_{name}"], :3] = wrist + ahead + aside
    ray = np.column_stack([cliff[:, :2], np.ones(len(cliff))])
    straight = rotations.inverse(rotations.between([0.0, 0.0, 1.0], ray))
    points[..., :3] = rotations.rotate(straight[:, None], points[..., :3])
    points[..., 3] = 1.0
    return points
