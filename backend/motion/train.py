"""Training of the motion networks, resumable: `python -m backend train lifter|footmr|orient --config FILE.toml`."""

from __future__ import annotations

import csv
import math
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter

from ..core.errors import MocapError
from . import mocap, watched
from .checkpoint import read_weights, save
from .recorded import Recorded
from .synthesis import Batch
from .tasks import TASKS, Task, Told

SAVE_EVERY = 120.0  # seconds
LOG_EVERY = 50  # steps
KEEP = 0.999  # of the averaged weights at each step (EMA)
AHEAD = 16  # batches made at a time
PACES = 20  # of the learning rate: a card records the training step anew for each
MUON = 2.0  # its learning rate beside AdamW's
VALIDATION = 64  # clips, always the same


@dataclass(frozen=True)
class Plan:
    """How to train one network.

    data, validation: files of motions, with no person in both; folder: checkpoints, log, TensorBoard; lifter: weights
    that footmr and orient build on; watched: a folder of rendered clips' takes with their truth, to learn from too;
    start: weights to begin with, to fine-tune them; hours end the training, and the learning rate falls to nothing over
    them; clips of so many frames make a step; rate of learning.
    """

    data: Path
    validation: Path
    folder: Path
    hours: float
    lifter: Path | None = None
    watched: Path | None = None
    start: Path | None = None
    clips: int = 12
    frames: int = 120
    rate: float = 1e-3
    seed: int = 1
    device: str = "cpu"

    @staticmethod
    def read(config: Path, **others: Any) -> Plan:
        """A plan from a TOML file and, where they are not None, from `others`. Raises MocapError bad-request."""
        try:
            values = tomllib.loads(config.read_text("utf-8")) | {k: v for k, v in others.items() if v is not None}
            for name in ("data", "validation", "folder", "lifter", "watched", "start"):
                if name in values:
                    values[name] = Path(values[name])
            return Plan(**values)
        except (OSError, ValueError, TypeError) as error:
            what = f"{config} cannot be read as a plan ({error})."
            raise MocapError("bad-request", what, "Plans are in assets/motion.") from error


class Training:
    """A network, the average of its weights over time, and how far it has come."""

    def __init__(self, task: Task, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.network = task.network().to(plan.device)
        if plan.start is not None:
            self.network.load_state_dict(read_weights(plan.start))
        self.average = task.network().to(plan.device)
        self.average.load_state_dict(self.network.state_dict())
        self.optimisers = _optimisers(self.network, plan)
        self.step, self.seconds = 0, 0.0
        self._recorded: Recorded | None = None

    def learn(self, task: Task, batch: Batch, pace: float) -> Told:
        """One step at `pace` (0..1) of the learning rate, which falls in `PACES` steps. -> figures for the log"""
        pace = math.ceil(PACES * pace) / PACES
        groups = [group for optimiser in self.optimisers for group in optimiser.param_groups]
        same = all(group["lr"] == pace * group["initial_lr"] for group in groups)
        if self._recorded is not None and same:
            told = self._recorded(batch)
        else:
            self._recorded = None  # its memory goes first
            for group in groups:
                group["lr"] = pace * group["initial_lr"]
            if batch.obs.is_cuda:
                self._recorded = Recorded(partial(self._learn, task), batch)
                told = self._recorded.told
            else:
                told = self._learn(task, batch)
        self.step += 1
        return told

    def _learn(self, task: Task, batch: Batch) -> Told:
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        with _tensor_cores():
            loss, told = task.loss(self.network, batch)
            loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        follow = get_ema_multi_avg_fn(min(KEEP, (self.step + 1) / (self.step + 11)))
        follow(list(self.average.parameters()), list(self.network.parameters()), self.step + 1)
        return {"loss": loss.detach(), **told}

    def save(self, path: Path, plan: Plan) -> None:
        """All that `resume` needs, and the plan as a record."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "seconds": self.seconds,
            "plan": {name: str(value) for name, value in asdict(plan).items()},
        }
        save(state, path)

    def resume(self, path: Path) -> None:
        """Go on from where `save` was last called."""
        state = torch.load(path, weights_only=True, map_location="cpu")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.step, self.seconds = state["step"], state["seconds"]


@contextmanager
def _tensor_cores() -> Iterator[None]:
    """What a network multiplies may be rounded to ten bits (TF32) on cards that are faster so; kinematics may not."""
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


def train(name: str, plan: Plan) -> None:
    """Train until the plan's hours are over, or until interrupted (Ctrl-C: what is there is saved); goes on from the
    newest checkpoint in the plan's folder."""
    with torch.device(plan.device):
        _train(name, plan)


def _train(name: str, plan: Plan) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    checkpoint = plan.folder / f"{name}.pt"
    training = Training(TASKS[name](plan.seed, None, plan.lifter), plan)
    if checkpoint.is_file():
        training.resume(checkpoint)
    motions = mocap.load(plan.data).to(plan.device)
    # After a break: other random numbers than those that were used before it.
    seen = watched.load(plan.watched).to(plan.device) if plan.watched else None
    task: Task = TASKS[name](plan.seed + training.step, None, plan.lifter, seen)
    random = torch.Generator(plan.device).manual_seed(plan.seed + training.step)
    batches = _batches(task, motions, plan, random)
    exam = _validation(name, plan)

    began, before = time.monotonic(), training.seconds
    saved = began
    with (plan.folder / f"{name}.csv").open("a", newline="") as file, SummaryWriter(str(plan.folder / name)) as board:
        with suppress(KeyboardInterrupt):
            while training.seconds < 3600 * plan.hours:
                part = training.seconds / (3600 * plan.hours)
                pace = min(1.0, (training.step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * part))
                told = training.learn(task, next(batches), pace)
                training.seconds = before + time.monotonic() - began
                if training.step % LOG_EVERY:
                    continue
                if not told["loss"].isfinite():
                    raise FloatingPointError(f"No loss in step {training.step}; the last checkpoint is sound.")
                _log(file, board, training, {f"train/{key}": value for key, value in told.items()})
                if time.monotonic() - saved > SAVE_EVERY:
                    saved = time.monotonic()
                    training.save(checkpoint, plan)
                    _log(file, board, training, _examine(exam, training.average))
        training.save(checkpoint, plan)
        _log(file, board, training, _examine(exam, training.average))


def _batches(task: Task, motions: mocap.Motions, plan: Plan, random: torch.Generator) -> Iterator[Batch]:
    """Batches without end, made several at a time: a card does that in the time of one."""
    while True:
        stock = task.batch(motions, AHEAD * plan.clips, plan.frames, random)
        for k in range(AHEAD):
            yield stock.rows(slice(k * plan.clips, (k + 1) * plan.clips))


def _optimisers(network: nn.Module, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for all else: in the same minutes it gets farther than AdamW alone
    (113 against 128 mm MPJPE after 110 seconds of the lifter). Muon computes in bfloat16, which many processors have to
    imitate (20 seconds a step): there AdamW does it all."""
    inside: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        matrix = name.startswith("blocks.") and parameter.ndim == 2
        (inside if matrix and plan.device != "cpu" else others).append(parameter)
    recorded = plan.device.startswith("cuda")
    adam = torch.optim.AdamW(others, lr=plan.rate, weight_decay=0.01, betas=(0.9, 0.98), capturable=recorded)
    found: list[torch.optim.Optimizer] = [adam]
    if inside:
        muon = torch.optim.Muon(inside, lr=MUON * plan.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        found.append(muon)
    for optimiser in found:
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return found


def _validation(name: str, plan: Plan) -> tuple[Task, Batch]:
    """People whom the training never sees, in front of the same cameras each time."""
    task = TASKS[name](0, 1.0, plan.lifter)
    random = torch.Generator(plan.device).manual_seed(0)
    return task, task.batch(mocap.load(plan.validation).to(plan.device), VALIDATION, plan.frames, random)


@torch.no_grad()
def _examine(exam: tuple[Task, Batch], network: nn.Module) -> Told:
    task, batch = exam
    loss, told = task.loss(network, batch)
    return {f"validation/{key}": value for key, value in {"loss": loss, **told}.items()}


def _log(file: TextIO, board: SummaryWriter, training: Training, told: Told) -> None:
    row = csv.writer(file)
    for key, figure in told.items():
        value = float(figure)
        row.writerow([training.step, f"{training.seconds:.0f}", key, f"{value:.5g}"])
        board.add_scalar(key, value, training.step)
    file.flush()
