"""Stages `body`, `feet` and `orient` by the published networks, from what `lookers` wrote into the records.

What these networks do not tell (fingers, the person's size and place) is done as the default engines do it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..body.analytic import AnalyticSolver, filtered, joint_confidence, place_skeleton, seen_points
from ..body.face import with_jaw
from ..body.lifter import with_hands
from ..body.tokens import RATE, in_strands
from ..core import rotations
from ..core import skeleton as sk
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.skeleton import BODY, Skeleton
from ..motion import footmr
from ..stages import Camera, Motion
from . import camcalib, checkpoints, crops, gvhmr
from .lookers import CAMERA, DOWN, SMPL, TOKENS, count
from .runtime import device_of
from .smplx import Shapes

GVHMR_SPREAD = np.radians(5.0)  # how far its gravity may be off, and CamCalib's: taken, not measured
CAMCALIB_SPREAD = np.radians(6.0)
WHMR_SPREAD = np.radians(8.0)  # of a single frame


class HMR2Solver(AnalyticSolver):
    """Body engine `hmr2`: SMPL's rotations frame by frame. See `stages.BodySolver`."""

    def solve(self, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
        """Pose and place `skeleton` in every frame; camera space. Raises MocapError engine-unavailable."""
        local = _standing(len(observations))
        local[:, :BODY] = _field(observations, SMPL[0])[:, :BODY]
        # The network takes the crop's middle for the middle of the view; in the picture that is a slanted ray.
        centre = observations["box"].astype(float).reshape(-1, 2, 2).mean(1)
        ray = np.column_stack([(centre - camera.center) / camera.focal, np.ones(len(centre))])
        local[:, 0] = rotations.multiply(rotations.between([0.0, 0.0, 1.0], ray), local[:, 0])
        return _motion(local, observations, skeleton, camera)


class GVHMRSolver(AnalyticSolver):
    """Body engines `gvhmr` and `gvhmr23`: SMPL-X's rotations over time, and gravity. See `stages.BodySolver`."""

    def __init__(self, file: Path, device: str, body: Path | None = None) -> None:
        """file: GVHMR's, or FootMR's with its GVHMR for 23 keypoints; body: SMPL-X's model, for its proportions.

        Raises MocapError model-wrong, model-unsafe, model-unreadable, model-missing or device-missing.
        """
        weights = checkpoints.read(file)
        inner = checkpoints.part(weights, "pipeline.denoiser3d.") or weights
        params = inner.get("learned_pos_params")
        self._keypoints = 17 if params is None else len(params)
        network = gvhmr.NetworkEncoderRoPE(self._keypoints, layers=count(inner, "blocks.") or 12)
        checkpoints.load(network, inner, "GVHMR", file)
        self._device = device_of(device)
        self._network = network.to(self._device)
        self._shapes = None if body is None else Shapes(body)

    def measure(self, observations: NDArray[Any], camera: Camera) -> Skeleton:
        """The person's proportions: those of the shape that the network sees, where SMPL-X's model is there to tell
        them, else as the landmarks show them."""
        if self._shapes is None:
            return super().measure(observations, camera)
        return self._shapes.skeleton(np.median(self.run(observations, camera)["betas"], axis=0).astype(float))

    def solve(self, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
        """Pose and place `skeleton` in every frame; camera space. Raises MocapError engine-unavailable."""
        times = observations["time"].astype(float)
        found = self.run(observations, camera)
        local = _standing(len(observations))
        local[:, 0] = rotations.from_matrix(found["in_camera"])
        local[:, 1:BODY] = rotations.from_matrix(found["pose"])
        down = np.swapaxes(found["in_gravity_view"] @ np.swapaxes(found["in_camera"], -1, -2), -1, -2)[..., 1]
        return replace(
            _motion(local, observations, skeleton, camera),
            down=down.astype(float),
            spread=np.full(len(times), GVHMR_SPREAD),
            still=1.0 / (1.0 + np.exp(-found["static"].astype(float))),
        )

    def run(self, observations: NDArray[Any], camera: Camera) -> dict[str, NDArray[np.float32]]:
        """What the network says of (T,) records: fields of `gvhmr.Decoded`, the velocity in metres a second, and the
        logits `static`, (T, ...) each.

        Raises MocapError engine-unavailable.
        """
        return in_strands(observations["time"].astype(float), lambda rows: self._run(observations[rows], camera))

    @torch.inference_mode()
    def _run(self, observations: NDArray[Any], camera: Camera) -> dict[str, NDArray[np.float32]]:
        """The network over one clip of frames at 30 a second."""
        seen = gvhmr_inputs(observations, camera, self._keypoints)
        tokens = torch.from_numpy(_field(observations, TOKENS[0]).astype(np.float32))[None]
        encoded = self._network(*(x.to(self._device) for x in (*seen, tokens)))
        decoded = gvhmr.decode(encoded.motion)
        # What it saw move from one frame to the next took as long as these frames are apart, not a thirtieth.
        steps = following(observations["time"].astype(float))
        pace = torch.from_numpy(np.where(steps > 0, steps, 1 / RATE)).to(decoded.velocity)
        out = {
            "in_camera": decoded.in_camera, "in_gravity_view": decoded.in_gravity_view, "pose": decoded.pose,
            "velocity": decoded.velocity / pace[:, None], "betas": decoded.betas, "static": encoded.static,
        }  # fmt: skip
        return {name: value[0].cpu().numpy() for name, value in out.items()}


class PublishedFootMR:
    """Foot engine `footmr-published`: the official refiner. See `stages.FootRefiner`."""

    def __init__(self, file: Path, device: str) -> None:
        """file: FootMR's. Raises as GVHMRSolver."""
        weights = checkpoints.read(file)
        inner = checkpoints.part(weights, "pipeline.foot_motion_refiner.") or weights
        network = footmr.FootEncoderRoPE(layers=count(inner, "blocks.") or 6)
        checkpoints.load(network, inner, "FootMR", file)
        self._device = device_of(device)
        self._network = network.to(self._device)

    def refine(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion with refined ankles; (T,) records with the looker's box."""

        @torch.inference_mode()
        def run(rows: NDArray[np.intp]) -> dict[str, NDArray[np.float32]]:
            obs, cliff_cam, _ = gvhmr_inputs(observations[rows], camera, 23)
            local = torch.from_numpy(rotations.to_matrix(motion.rotations[rows, :BODY])).float()[None]
            condition = footmr.condition(local)
            feet = obs[:, :, list(footmr.FOOT_KEYPOINTS)]
            ankles = self._network(*(x.to(self._device) for x in (feet, cliff_cam, condition))).cpu()
            return {"local": footmr.with_ankles(local, ankles)[0][:, list(footmr.ANKLES)].numpy()}

        refined = motion.rotations.copy()
        refined[:, list(footmr.ANKLES)] = rotations.from_matrix(in_strands(motion.times, run)["local"])
        return replace(motion, rotations=refined)


class CamCalibOrienter:
    """Orientation engine `camcalib`: down is where CamCalib sees it, and the body is turned with the camera: the
    geometric correction. See `stages.Orienter`."""

    def orient(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion with `down` and `spread`. Raises MocapError engine-unavailable."""
        _, pitch, roll = torch.from_numpy(_field(observations, CAMERA[0]).astype(float)).unbind(-1)
        spread = np.full(len(motion.times), CAMCALIB_SPREAD)
        return replace(motion, down=camcalib.down(pitch, roll).numpy(), spread=spread)


class WHMROrienter:
    """Orientation engine `whmr`: down is where W-HMR's OrientCorrect says that the body is upright; pose and shape stay
    those of the body engine. See `stages.Orienter`."""

    def orient(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion with `down` and `spread`. Raises MocapError engine-unavailable."""
        down = rotations.normalize(_field(observations, DOWN[0]))
        return replace(motion, down=down, spread=np.full(len(motion.times), WHMR_SPREAD))


def gvhmr_inputs(observations: NDArray[Any], camera: Camera, keypoints: int) -> tuple[Tensor, Tensor, Tensor]:
    """What GVHMR and FootMR see of (L,) records beside the tokens: obs (1, L, J, 3), cliff_cam (1, L, 3) and the
    normalised turn of the camera (1, L, 6)."""
    boxes = crops.square(_field(observations, "box").astype(float), crops.GVHMR_MARGIN)
    box = torch.from_numpy(boxes).float()
    seen = torch.from_numpy(observations["keypoints"][:, :keypoints].astype(np.float32))
    turn = torch.from_numpy(rotations.to_matrix(observations["turn"])).float()
    centre = float(camera.center[0]), float(camera.center[1])
    return (
        gvhmr.box_keypoints(seen, box)[None],
        gvhmr.cliff_camera(box, float(camera.focal), centre)[None],
        gvhmr.normalised_turn(gvhmr.camera_turn(turn))[None],
    )


def following(times: Array) -> Array:
    """(T,) seconds from each frame to the next one; the last is taken to last as long as the one before."""
    steps = np.diff(times)
    return np.append(steps, steps[-1:] if len(steps) else 1 / RATE)


def _field(observations: NDArray[Any], name: str) -> NDArray[Any]:
    """A field that a looker wrote. Raises MocapError engine-unavailable where none looked."""
    if name not in (observations.dtype.names or ()):
        raise MocapError("engine-unavailable", f"The keypoints were taken without what this engine sees ({name}).")
    return observations[name]


def _standing(frames: int) -> Array:
    """(T, 55, 4) no rotation anywhere."""
    return np.broadcast_to(rotations.IDENTITY, (frames, sk.COUNT, 4)).copy()


def _motion(local: Array, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
    """The body's rotations (T, 55, 4) with jaw and hands from face and hand landmarks, placed where the person is."""
    times = observations["time"].astype(float)
    points, weights = seen_points(observations, camera)
    turned = sk.to_global(local)
    pelvis = place_skeleton(turned, skeleton, observations, camera)
    with_jaw(turned, observations, camera)
    with_hands(turned, filtered(points, weights, times), weights, observations["hands"], times, skeleton)
    return Motion(times, sk.to_local(turned), pelvis, joint_confidence(weights, observations["hands"][..., 3]))
