"""What each network is trained on, and how wrong it is: one class a network, for `train`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor, nn

from ..core.errors import MocapError
from . import footmr
from .checkpoint import read_weights
from .kinematics import (
    angle_between,
    forward_kinematics,
    global_rotations,
    matrix_from_6d,
    matrix_to_6d,
    product,
)
from .lifter import Lifted, Lifter
from .mocap import Motions
from .orient import Orient, lifted_down
from .synthesis import Batch, Synthesiser
from .watched import Watched

LENS = 0.2  # videos seldom tell their lens: the pipeline takes the picture's diagonal for its focal length
STRETCH = 1.3  # videos have 24 to 30 frames a second; faster ones are thinned out

WATCHED = 0.35  # of a batch, where there are clips that detectors have watched

USUAL, SPUN = slice(0, None, 2), slice(1, None, 2)  # clips of a batch for FootMR
SUREST = -5.0  # logarithm of metres: nobody is surer of a joint than 7 mm

Network = Callable[..., Any]  # a module, or what calls one
Told = dict[str, Tensor]


class Task(Protocol):
    """One network's training."""

    def network(self) -> nn.Module:
        """An untrained one."""
        ...

    def batch(self, motions: Motions, clips: int, frames: int, random: Generator) -> Batch:
        """Something new to learn from."""
        ...

    def loss(self, network: Network, batch: Batch) -> tuple[Tensor, Told]:
        """How wrong the network is, and figures for the log."""
        ...


class LifterTask:
    """Rotations, joints and their motion, velocity, contacts, bones; and honest uncertainty."""

    def __init__(self, seed: int, noise: float | None, lifter: Path | None, watched: Watched | None = None) -> None:
        self._watched = watched
        self._synthesise = Synthesiser(seed, noise, feet=0.25, mixed=0.25, spun=0.06, loose=0.3, lens=LENS)

    def network(self) -> Lifter:
        return Lifter()

    def batch(self, motions: Motions, clips: int, frames: int, random: Generator) -> Batch:
        return _seen(self._synthesise, self._watched, motions, clips, frames, random)

    def loss(self, network: Network, batch: Batch) -> tuple[Tensor, Told]:
        out: Lifted = network(batch.obs, batch.cliff_cam, batch.cam_angvel, batch.hints)
        local = out.local()
        offsets = batch.offsets[:, None].expand(-1, local.shape[1], -1, -1)
        turned, joints = forward_kinematics(local, offsets, torch.zeros_like(out.velocity))
        truth = batch.joints - batch.joints[:, :, :1]
        distance = (joints - truth).norm(dim=-1)
        speed = torch.diff(joints, dim=1) - torch.diff(truth, dim=1)
        apart = distance[..., 1:].detach()  # the root is where it is: nothing to be unsure of
        unsure = out.error[..., 1:].clamp(min=SUREST)
        parts = {
            "pose": 1.0 * F.mse_loss(local[:, :, 1:], batch.local[:, :, 1:]),
            "turned": 1.0 * F.mse_loss(turned, global_rotations(batch.local)),
            "gravity": 3.0 * F.mse_loss(matrix_from_6d(out.gravity), batch.gravity),
            "joints": 2.0 * distance.mean(),
            "speed": 5.0 * speed.norm(dim=-1).mean(),
            "velocity": 0.1 * F.smooth_l1_loss(out.velocity, batch.velocity, beta=0.1),
            "static": 0.3 * F.binary_cross_entropy_with_logits(out.static, batch.static),
            "bones": 2.0 * F.smooth_l1_loss(out.bones, batch.bones[:, None].expand_as(out.bones), beta=0.02),
            "error": 0.02 * (apart / unsure.exp() + unsure).mean(),
        }
        with torch.no_grad():
            told = {name: part.detach() for name, part in parts.items()}
            told["mpjpe"] = 1000 * distance.mean()
            told["gravity degrees"] = _degrees(_between(lifted_down(out), batch.down))
        return torch.stack(list(parts.values())).sum(), told


class FootMRTask:
    """Global ankle rotations, from what the lifter makes of them (FootMR, section 3.3).

    Every other clip is as the lifter sees it, a quarter of them without feet, as in the paper. Between them are bodies
    turned any way at all, which no lifter understands: their conditions are the truth, wrong in the ways in which the
    lifter is wrong on the others.
    """

    def __init__(self, seed: int, noise: float | None, lifter: Path | None, watched: Watched | None = None) -> None:
        self._watched = watched
        self._usual = Synthesiser(seed, noise, feet=0.5, mixed=0.25, loose=0.3, lens=LENS)
        self._spun = Synthesiser(seed + 1, noise, feet=0.5, mixed=0.25, spun=1.0, loose=0.3, lens=LENS)
        self._lifter = trained_lifter(lifter)

    def network(self) -> footmr.FootEncoderRoPE:
        return footmr.FootEncoderRoPE()

    def batch(self, motions: Motions, clips: int, frames: int, random: Generator) -> Batch:
        usual = _seen(self._usual, self._watched, motions, clips // 2, frames, random)
        return Batch.interleaved(usual, _seen(self._spun, None, motions, clips // 2, frames, random))

    def loss(self, network: Network, batch: Batch) -> tuple[Tensor, Told]:
        truth = _rotations(footmr.condition(batch.local))
        with torch.no_grad():
            lifted = _rotations(footmr.condition(self._lift(batch.rows(USUAL)).local()))
        error = product(truth[USUAL].transpose(-1, -2), lifted)
        before = torch.stack([lifted, product(truth[SPUN], error)], 1).flatten(0, 1)
        out = network(batch.foot_obs, batch.cliff_cam, matrix_to_6d(before).flatten(-2))
        found, wanted = matrix_from_6d(out.unflatten(-1, (2, 6))), truth[..., 2:, :, :]
        apart = (found - wanted).flatten(-2)  # its norm grows with the angle, as what the evaluation measures
        loss = apart.norm(dim=-1).mean() + 2.0 * torch.diff(apart, dim=1).norm(dim=-1).mean()
        with torch.no_grad():
            after, was = angle_between(found, wanted), angle_between(before[..., 2:, :, :], wanted)
        told = {"before": was[USUAL], "after": after[USUAL], "spun before": was[SPUN], "spun after": after[SPUN]}
        return loss, {name: _degrees(angles) for name, angles in told.items()}

    def _lift(self, batch: Batch) -> Lifted:
        blind = (torch.arange(len(batch.obs), device=batch.obs.device) % 4 == 0)[:, None, None]
        less = batch.without_feet()
        obs = torch.where(blind[..., None], less.obs, batch.obs)
        return lift(self._lifter, replace(batch, obs=obs, hints=torch.where(blind, less.hints, batch.hints)))


class OrientTask:
    """The direction of gravity and how sure it is, from the lifter's view of it and a guess of the camera."""

    def __init__(self, seed: int, noise: float | None, lifter: Path | None, watched: Watched | None = None) -> None:
        self._watched = watched
        self._synthesise = Synthesiser(seed, noise, feet=0.25, mixed=0.1, spun=0.05, loose=0.3, lens=LENS)
        self._lifter = trained_lifter(lifter)

    def network(self) -> Orient:
        return Orient()

    def batch(self, motions: Motions, clips: int, frames: int, random: Generator) -> Batch:
        return _seen(self._synthesise, self._watched, motions, clips, frames, random)

    def loss(self, network: Network, batch: Batch) -> tuple[Tensor, Told]:
        with torch.no_grad():
            lifted = lift(self._lifter, batch)
        turned, seen = global_rotations(lifted.local()), lifted_down(lifted)
        down, spread = network(turned, lifted.static, seen, batch.cliff_cam, batch.guess)
        error = _between(down, batch.down)
        # Negative logarithm of a normal density over the two directions in which gravity can be wrong.
        loss = (0.5 * (error / spread.exp()) ** 2 + 2 * spread).mean()
        return loss, {"before": _degrees(_between(seen, batch.down)), "after": _degrees(error)}


def _seen(
    synthesise: Synthesiser, watched: Watched | None, motions: Motions, clips: int, frames: int, random: Generator
) -> Batch:
    """So many clips, some of them watched, in any order."""
    count = round(WATCHED * clips) if watched else 0
    made = synthesise(*motions.windows(clips - count, frames, random, STRETCH))
    if watched is None:
        return made
    both = made.with_more(watched.windows(count, frames, random))
    return both.rows(torch.randperm(clips, generator=random))


def trained_lifter(path: Path | None) -> Lifter:
    """The lifter that another network builds on, not to be trained any more. Raises MocapError bad-request."""
    if path is None:
        raise MocapError("bad-request", "This network builds on a trained lifter.", "Name its weights with --lifter.")
    lifter = Lifter()
    lifter.load_state_dict(read_weights(path))
    return lifter.eval().requires_grad_(False)


def lift(lifter: Lifter, batch: Batch) -> Lifted:
    """What the lifter makes of a batch."""
    found: Lifted = lifter(batch.obs, batch.cliff_cam, batch.cam_angvel, batch.hints)
    return found


def _rotations(condition: Tensor) -> Tensor:
    return matrix_from_6d(condition.unflatten(-1, (4, 6)))


def _between(one: Tensor, two: Tensor) -> Tensor:
    """Angles (...) in radians between unit vectors (..., 3); exact and differentiable for small ones."""
    return 2 * torch.asin((0.5 * (one - two).norm(dim=-1)).clamp(max=1 - 1e-6))


def _degrees(angles: Tensor) -> Tensor:
    return angles.mean().rad2deg()


TASKS: dict[str, type[LifterTask] | type[FootMRTask] | type[OrientTask]] = {
    "lifter": LifterTask,
    "footmr": FootMRTask,
    "orient": OrientTask,
}
