"""Training of the motion networks, resumable: `python -m backend train lifter|footmr --data ... --folder ...`.

No trained weights ship yet: the default body engine is `analytic`.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from . import footmr, mocap
from .kinematics import forward_kinematics, matrix_from_6d, matrix_to_6d
from .lifter import Lifter
from .synthesis import Batch, Synthesiser

SAVE_EVERY = 120.0  # seconds
KEEP = 0.999  # of the averaged weights at each step (EMA)


@dataclass(frozen=True)
class Plan:
    """How to train. hours end the training; the learning rate falls to nothing over them."""

    data: Path
    folder: Path
    hours: float
    clips: int = 16
    frames: int = 80
    rate: float = 1e-3
    seed: int = 1
    device: str = "cpu"


def lifter_loss(network: Lifter, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Rotations, joints and their motion, velocity, contacts; and honest uncertainty."""
    out = network(batch.obs, batch.cliff_cam, batch.cam_angvel, batch.hints)
    pose, camera, gravity = matrix_from_6d(out.pose), matrix_from_6d(out.camera), matrix_from_6d(out.gravity)
    local = torch.cat([camera[:, :, None], pose], 2)
    offsets = batch.offsets[:, None].expand(-1, local.shape[1], -1, -1)
    _, joints = forward_kinematics(local, offsets, torch.zeros_like(out.velocity))
    truth = batch.joints - batch.joints[:, :, :1]
    distance = (joints - truth).norm(dim=-1)
    speed = torch.diff(joints, dim=1) - torch.diff(truth, dim=1)
    spread = out.error.exp()
    parts = {
        "pose": 2.0 * F.mse_loss(pose, batch.local[:, :, 1:]),
        "camera": 1.0 * F.mse_loss(camera, batch.local[:, :, 0]),
        "gravity": 1.0 * F.mse_loss(gravity, batch.gravity),
        "joints": 2.0 * distance.mean(),
        "speed": 5.0 * speed.norm(dim=-1).mean(),
        "velocity": 0.1 * F.smooth_l1_loss(out.velocity, batch.velocity, beta=0.1),
        "static": 0.05 * F.binary_cross_entropy_with_logits(out.static, batch.static),
        "error": 0.02 * (distance.detach() / spread + out.error).mean(),
    }
    told = {name: part.item() for name, part in parts.items()}
    told["mpjpe"] = 1000 * distance.mean().item()
    return torch.stack(list(parts.values())).sum(), told


def footmr_loss(network: footmr.FootEncoderRoPE, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Global ankle rotations, from ankles that are wrong (FootMR, section 3.3)."""
    truth = footmr.condition(batch.local)
    out = network(batch.foot_obs, batch.cliff_cam, spoiled(truth))
    found, wanted = (matrix_from_6d(x[..., -12:].unflatten(-1, (2, 6))) for x in (out, truth))
    loss = F.mse_loss(found, wanted) + 2.0 * F.mse_loss(torch.diff(found, dim=1), torch.diff(wanted, dim=1))
    cosine = ((found.transpose(-1, -2) @ wanted).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return loss, {"degrees": math.degrees(cosine.clamp(-1, 1).acos().mean().item())}


def spoiled(condition: Tensor) -> Tensor:
    """The condition as a body engine would give it: knees a little off, ankles at rest on them (its usual mistake)."""
    knees = matrix_from_6d(condition[..., :12].unflatten(-1, (2, 6)))
    ankles = matrix_from_6d(condition[..., 12:].unflatten(-1, (2, 6)))
    share = torch.rand(len(condition), 1, 1, 1, 1, device=condition.device)
    mixed = share * knees + (1 - share) * ankles
    return torch.cat([matrix_to_6d(knees), matrix_to_6d(matrix_from_6d(matrix_to_6d(mixed)))], -2).flatten(-2)


Loss = Callable[[nn.Module, Batch], tuple[Tensor, dict[str, float]]]
NETWORKS: dict[str, tuple[type[nn.Module], Loss]] = {
    "lifter": (Lifter, lifter_loss),
    "footmr": (footmr.FootEncoderRoPE, footmr_loss),
}


def train(name: str, plan: Plan) -> None:
    """Train until the plan's hours are over; goes on from the newest checkpoint in the plan's folder."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    kind, loss_of = NETWORKS[name]
    torch.manual_seed(plan.seed)
    network, average = kind().to(plan.device), kind().to(plan.device)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.01, betas=(0.9, 0.98))
    motions = mocap.load(plan.data)
    step, spent = _resume(plan.folder / f"{name}.pt", network, average, optimiser)
    synthesise = Synthesiser(plan.seed + step)
    random = torch.Generator().manual_seed(plan.seed + step)
    began = saved = time.monotonic()
    with (plan.folder / f"{name}.csv").open("a", newline="") as file:
        log = csv.writer(file)
        while (now := spent + time.monotonic() - began) < 3600 * plan.hours:
            part = now / (3600 * plan.hours)
            for group in optimiser.param_groups:
                group["lr"] = plan.rate * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * part))
            batch = synthesise(*motions.windows(plan.clips, plan.frames, random), motions.rate).to(plan.device)
            loss, told = loss_of(network, batch)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            step += 1
            with torch.no_grad():
                for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                    mean.lerp_(value, 1 - min(KEEP, step / (step + 10)))
            if step % 50 == 0:
                told = {"step": step, "hours": round(now / 3600, 4), "loss": loss.item(), **told}
                if step == 50:
                    log.writerow(told)
                log.writerow([f"{value:.5g}" for value in told.values()])
                file.flush()
            if time.monotonic() - saved > SAVE_EVERY:
                saved = time.monotonic()
                _save(plan, name, network, average, optimiser, step, spent + saved - began)
    _save(plan, name, network, average, optimiser, step, 3600 * plan.hours)


def _resume(path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    """-> steps done and seconds spent."""
    if not path.is_file():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return state["step"], state["seconds"]


def _save(
    plan: Plan,
    name: str,
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    """Written beside and renamed: a run that is killed while it saves loses nothing."""
    told = {key: str(value) for key, value in asdict(plan).items()}
    state = {
        "network": network.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict(),
        "step": step, "seconds": seconds, "plan": json.dumps(told),
    }  # fmt: skip
    path = plan.folder / f"{name}.pt"
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)
