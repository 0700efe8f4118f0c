"""Who does the work: for every stage its engines by name, the default one first.

An engine says what it needs, so that `doctor` and the add-on can tell whether it can run without starting it, and
under which licence its weights are, so that every take can say what it was made with.
"""

from __future__ import annotations

import importlib.util
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from . import embedded
from . import networks as motion_networks
from .body.chain import BodyChain
from .core.errors import MocapError
from .job import Job
from .stages import BodySolver, FootRefiner, Orienter, Tracker


@dataclass(frozen=True)
class Engine:
    """One implementation of a stage.

    packages: import names that it needs; models: its files in the embedded models; networks: our own that
    it runs; make: builds it for a job.
    """

    what: str
    licence: str
    make: Callable[[Job], Any]
    packages: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()

    def obstacle(self) -> MocapError | None:
        """Why it cannot run here; None when it can."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                return MocapError("package-missing", f"The Python package {package} is not installed.")
        for model in self.models:
            try:
                embedded.model_path(model)
            except MocapError as error:
                return error
        for network in self.networks:
            try:
                motion_networks.model_path(network)
            except MocapError as error:
                return error
        return None


def _blazepose(job: Job) -> Tracker:
    from .people.tracker import BlazePoseTracker

    return BlazePoseTracker(people=job.people, threads=threads())


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


ENGINES: dict[str, dict[str, Engine]] = {
    "track": {
        "blazepose": Engine(
            what="people, their tracks and whole-body keypoints by the embedded BlazePose, hand and face models",
            licence=embedded.LICENCE,
            make=_blazepose,
            packages=("numpy", "cv2", "av", "ai_edge_litert"),
            models=tuple(embedded.MODELS),
        ),
    },
    "body": {
        "analytic": Engine(
            what="joint rotations straight from the 3D landmarks",
            licence="GPL-3.0-or-later",
            make=_analytic,
            packages=("numpy",),
        ),
        "lifter": Engine(
            what="our temporal transformer: keypoints over time to joint rotations",
            licence=motion_networks.LICENCE,
            make=_lifter,
            packages=("numpy", "onnxruntime"),
            networks=("lifter",),
        ),
    },
    "feet": {
        "none": Engine(what="ankles as the body engine gives them", licence=motion_networks.LICENCE, make=_nothing),
        "footmr": Engine(
            what="ankles from foot keypoints and knees by our FootMR",
            licence=motion_networks.LICENCE,
            make=_footmr,
            packages=("numpy", "onnxruntime"),
            networks=("footmr",),
        ),
    },
    "orient": {
        "none": Engine(
            what="which way is down from standing bodies and planted feet",
            licence=motion_networks.LICENCE,
            make=_nothing,
        ),
        "orientcorrect": Engine(
            what="which way is down from pose and orientation, by our OrientCorrect",
            licence=motion_networks.LICENCE,
            make=_orient,
            packages=("numpy", "onnxruntime"),
            networks=("orient",),
        ),
    },
}
DEVICES = ("cpu",)


@dataclass(frozen=True)
class Chain:
    """The engines of one capture, chosen and able to run."""

    names: dict[str, str] = field(default_factory=dict)

    def make(self, stage: str, job: Job) -> Any:
        """Build the engine of a stage; this may take seconds."""
        return ENGINES[stage][self.names[stage]].make(job)

    def body(self, job: Job) -> BodySolver:
        """Everything between observations and the world."""
        return BodyChain(self.make("body", job), self.make("feet", job), self.make("orient", job))

    def describe(self) -> dict[str, Any]:
        """What a take says about the engines it was made with."""
        return {
            stage: {
                "name": name,
                "licence": ENGINES[stage][name].licence,
                "models": {model: embedded.MODELS[model] for model in ENGINES[stage][name].models},
            }
            for stage, name in self.names.items()
        }


def choose(engines: Mapping[str, str], device: str) -> Chain:
    """The chain with the user's choices in it, defaults elsewhere.

    Raises MocapError bad-request, package-missing, models-missing or engine-unavailable.
    """
    if device not in DEVICES:
        raise MocapError("bad-request", f"There is no device {device!r}; there is {', '.join(DEVICES)}.")
    for stage, name in engines.items():
        if stage not in ENGINES:
            raise MocapError("bad-request", f"There is no stage {stage!r}; the stages are {', '.join(ENGINES)}.")
        if name not in ENGINES[stage]:
            known = ", ".join(ENGINES[stage])
            raise MocapError("engine-unavailable", f"Stage {stage} has no engine {name!r}; it has {known}.")
    chain = Chain({stage: engines.get(stage, next(iter(ENGINES[stage]))) for stage in ENGINES})
    for stage, name in chain.names.items():
        if obstacle := ENGINES[stage][name].obstacle():
            raise obstacle
    return chain


def capabilities() -> dict[str, Any]:
    """What a peer may ask for: engines of every stage that can run here, and devices."""
    return {
        "engines": {
            stage: [name for name, engine in named.items() if engine.obstacle() is None]
            for stage, named in ENGINES.items()
        },
        "devices": list(DEVICES),
    }


def threads() -> int:
    """How many threads the models may keep busy: the cores we may use, up to the point where more do not help."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, 4))


@cache
def version() -> str:
    """The extension's version, from its manifest."""
    manifest = Path(__file__).parents[1] / "blender_manifest.toml"
    return str(tomllib.loads(manifest.read_text("utf-8"))["version"])
