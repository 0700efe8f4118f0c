"""Who does the work: for every stage its engines by name, the default one first.

An engine says what it needs, so that `doctor` and the add-on can tell whether it can run without starting it, and
under which licence its weights are, so that every take can say what it was made with.
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from . import embedded
from . import networks as motion_networks
from .body.chain import BodyChain
from .core.errors import MocapError
from .engine import Engine
from .job import Job
from .look import Looker, record_with
from .published.registry import ENGINES as PUBLISHED
from .stages import BodySolver, FootRefiner, Orienter, Tracker

OURS = "GPL-3.0-or-later"  # where nothing runs but code


def _blazepose(size: str) -> Callable[[Job], Tracker]:
    def make(job: Job) -> Tracker:
        from .people.tracker import BlazePoseTracker

        return BlazePoseTracker(people=job.people, threads=threads(), pose=size)

    return make


def _lifter(job: Job) -> BodySolver:
    from .body.lifter import LifterSolver

    return LifterSolver(threads())


def _analytic(job: Job) -> BodySolver:
    from .body.analytic import AnalyticSolver

    return AnalyticSolver()


def _nothing(job: Job) -> None:
    return None


def _footmr(job: Job) -> FootRefiner:
    from .body.feet import FootMR

    return FootMR(threads())


def _orient(job: Job) -> Orienter:
    from .world.orient import OrientCorrect

    return OrientCorrect(threads())


_BLAZEPOSE = Engine(
    what="people, their tracks and whole-body keypoints by the embedded BlazePose, hand and face models",
    licence=embedded.LICENCE,
    make=_blazepose(embedded.FULL),
    packages=("numpy", "cv2", "av", "ai_edge_litert"),
    models=embedded.models_with(embedded.FULL),
)
ENGINES: dict[str, dict[str, Engine]] = {
    "track": {
        "blazepose": _BLAZEPOSE,
        "blazepose-heavy": replace(
            _BLAZEPOSE,
            what="the same with the large BlazePose: bodies seen more exactly, a capture takes almost twice as long",
            make=_blazepose(embedded.HEAVY),
            models=embedded.models_with(embedded.HEAVY),
        ),
    },
    "keypoints": {
        "tracker": Engine(what="the keypoints that the tracker found", licence=embedded.LICENCE, make=_nothing),
    },
    "body": {
        "lifter": Engine(
            what="our temporal transformer: keypoints over time to joint rotations",
            licence=motion_networks.LICENCE,
            make=_lifter,
            packages=("numpy", "onnxruntime"),
            networks=("lifter",),
        ),
        "analytic": Engine(
            what="joint rotations straight from the 3D landmarks",
            licence=OURS,
            make=_analytic,
            packages=("numpy",),
        ),
    },
    "feet": {
        "footmr": Engine(
            what="ankles from foot keypoints and knees by our FootMR",
            licence=motion_networks.LICENCE,
            make=_footmr,
            packages=("numpy", "onnxruntime"),
            networks=("footmr",),
        ),
        "none": Engine(what="ankles as the body engine gives them", licence=OURS, make=_nothing),
    },
    "orient": {
        "orientcorrect": Engine(
            what="which way is down from pose and orientation, by our OrientCorrect",
            licence=motion_networks.LICENCE,
            make=_orient,
            packages=("numpy", "onnxruntime"),
            networks=("orient",),
        ),
        "none": Engine(
            what="which way is down from standing bodies and planted feet",
            licence=OURS,
            make=_nothing,
        ),
    },
    "root": {
        "planted": Engine(
            what="where the picture shows the person, with planted feet that do not slip",
            licence=OURS,
            make=_nothing,
        ),
    },
}
for _stage, _named in PUBLISHED.items():
    ENGINES[_stage].update(_named)

DEVICES = ("cpu", "cuda", "mps")  # where published networks may run; all else runs on the processor
AUTO = "auto"  # the fastest of them that is there


@dataclass(frozen=True)
class Chain:
    """The engines of one capture, chosen and able to run. seen: of stages that are over and not run again, what their
    engines said of themselves (`describe`)."""

    names: dict[str, str] = field(default_factory=dict)
    seen: Mapping[str, Any] = field(default_factory=dict)

    def make(self, stage: str, job: Job) -> Any:
        """Build the engine of a stage; this may take seconds."""
        return ENGINES[stage][self.names[stage]].make(job)

    def body(self, job: Job) -> BodySolver:
        """Everything between observations and the world."""
        return BodyChain(self.make("body", job), self.make("feet", job), self.make("orient", job))

    def lookers(self, job: Job) -> list[Looker]:
        """Build the networks that look at people's pictures, in the order of the stages; this may take a minute."""
        looks = dict.fromkeys(engine.look for engine in self._engines().values() if engine.look is not None)
        return [look(job) for look in looks]

    def record(self) -> np.dtype[Any]:
        """What is kept of one person in one frame."""
        return record_with(field for engine in self._engines().values() for field in engine.fields)

    def device(self, asked: str) -> str:
        """The device of DEVICES to compute on, of those or AUTO."""
        if asked != AUTO:
            return asked
        if all("torch" not in engine.packages for engine in self._engines().values()):
            return DEVICES[0]
        from .published.runtime import fastest

        return fastest()

    def warnings(self) -> list[tuple[str, str]]:
        """Those of all engines that are still to work, see `Engine.warnings`."""
        working = [engine for stage, engine in self._engines().items() if stage not in self.seen]
        return [warning for engine in working for warning in engine.warnings()]

    def describe(self) -> dict[str, Any]:
        """What a take says about the engines it was made with."""
        told = {stage: engine for stage, engine in self._engines().items() if stage not in self.seen}
        return {**self.seen, **{stage: {"name": self.names[stage], **told[stage].describe()} for stage in told}}

    def lookers_described(self) -> dict[str, Any]:
        """The part of `describe` that observations depend on: who tracks, and who looks at the pictures."""
        told = self.describe()
        return {stage: told[stage] for stage, engine in self._engines().items() if stage == "track" or engine.look}

    def _engines(self) -> dict[str, Engine]:
        return {stage: ENGINES[stage][name] for stage, name in self.names.items()}


def choose(engines: Mapping[str, str], device: str, seen: Mapping[str, Any] | None = None) -> Chain:
    """The chain with the user's choices in it, defaults elsewhere. seen: see `Chain`.

    Raises MocapError bad-request, package-missing, models-missing, engine-unavailable or device-missing.
    """
    if device not in (AUTO, *DEVICES):
        raise MocapError("bad-request", f"There is no device {device!r}; there is {', '.join((AUTO, *DEVICES))}.")
    if device not in (AUTO, *devices()):
        raise MocapError("device-missing", f"The device {device} needs PyTorch, which is not installed.")
    for stage, name in engines.items():
        if stage not in ENGINES:
            raise MocapError("bad-request", f"There is no stage {stage!r}; the stages are {', '.join(ENGINES)}.")
        if name not in ENGINES[stage]:
            known = ", ".join(ENGINES[stage])
            raise MocapError("engine-unavailable", f"Stage {stage} has no engine {name!r}; it has {known}.")
    chain = Chain({stage: engines.get(stage, next(iter(ENGINES[stage]))) for stage in ENGINES}, seen or {})
    for stage, name in chain.names.items():
        if stage not in chain.seen and (obstacle := ENGINES[stage][name].obstacle()):
            raise obstacle
    return chain


def capabilities() -> dict[str, Any]:
    """What a peer may ask for: engines of every stage that can run here, and devices."""
    return {
        "engines": {
            stage: [name for name, engine in named.items() if engine.obstacle() is None]
            for stage, named in ENGINES.items()
        },
        "devices": devices(),
    }


def devices() -> list[str]:
    """The devices that may be asked for here. Whether there is such a card only PyTorch knows: see `doctor`."""
    return list(DEVICES) if importlib.util.find_spec("torch") else ["cpu"]


def threads() -> int:
    """How many threads the models may keep busy: the cores we may use, up to the point where more do not help."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, 4))


@cache
def version() -> str:
    """The extension's version, from its manifest."""
    manifest = Path(__file__).parents[1] / "blender_manifest.toml"
    return str(tomllib.loads(manifest.read_text("utf-8"))["version"])
