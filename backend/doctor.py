"""What is installed, what can run and why not, and whether it does: `python -m backend doctor`."""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import Any

import numpy as np

from . import embedded
from .core.errors import MocapError
from .engines import ENGINES, devices, threads, version
from .models.library import Library

# The groups of pyproject.toml can all live in one environment. What cannot, comes along when one of their packages is
# installed with everything that it declares.
OTHER_OPENCV = ("opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless")
CLASH = (
    "{0} writes over opencv-python-headless, whose version the landmarks depend on: `pip uninstall {0}`, then "
    "`pip install --force-reinstall --no-deps opencv-python-headless`, or another environment for what needs {0}"
)
PACKAGES = ("numpy", "opencv-python-headless", "av", "ai-edge-litert", "onnxruntime", "scipy")


def examine() -> dict[str, Any]:
    """Everything that decides whether a capture can run here, as JSON. `ok`: the default chain can."""
    packages = {name: _installed(name) for name in PACKAGES}
    models = {name: _model_state(name) for name in embedded.MODELS}
    engines = {stage: {name: _engine(engine) for name, engine in named.items()} for stage, named in ENGINES.items()}
    test = _self_test()
    return {
        "ok": test["ok"] and all(next(iter(named.values()))["can_run"] for named in engines.values()),
        "version": version(),
        "python": {"version": platform.python_version(), "path": sys.executable},
        "system": platform.platform(),
        "devices": {name: _device(name) for name in devices()},
        "packages": packages,
        "clashes": [CLASH.format(name) for name in OTHER_OPENCV if _installed(name)],
        "models": models,
        "engines": engines,
        "published": Library().describe(),
        "self_test": test,
    }


def render(findings: dict[str, Any]) -> str:
    """The findings for a person to read."""
    python = findings["python"]
    lines = [
        f"Video Mocap {findings['version']}",
        f"Python {python['version']} at {python['path']}",
        findings["system"],
        *(f"device {name}: {what}" for name, what in findings["devices"].items()),
        "",
        *(f"package {name:24}{found or 'missing'}" for name, found in findings["packages"].items()),
        *(f"clash: {what}" for what in findings["clashes"]),
        *(f"model   {name:28}{state}" for name, state in findings["models"].items()),
        "",
    ]
    for stage, named in findings["engines"].items():
        for name, engine in named.items():
            state = "can run" if engine["can_run"] else f"cannot run: {engine['why']}"
            lines.append(f"engine  {stage}={name}: {state} ({engine['what']}; {engine['licence']})")
    published = findings["published"]
    added = [name for name, model in published["models"].items() if model["added"]]
    lines += ["", f"published models: {', '.join(added) or 'none added'}, in {published['folder']}"]
    lines += ["", f"self-test: {findings['self_test']['what']}", "", "All is well." if findings["ok"] else "Not ready."]
    return "\n".join(lines)


def _installed(package: str) -> str | None:
    try:
        return package_version(package)
    except PackageNotFoundError:
        return None


def _model_state(name: str) -> str:
    """ok, missing or changed."""
    try:
        return "ok" if embedded.is_genuine(name) else "changed"
    except MocapError:
        return "missing"


def _engine(engine: Any) -> dict[str, Any]:
    obstacle = engine.obstacle()
    return {
        "can_run": obstacle is None,
        "why": "" if obstacle is None else f"{obstacle.what} {obstacle.fix}",
        "what": engine.what,
        "licence": engine.licence,
        "needs": {"group": engine.group, "models": list(engine.published), "memory": engine.memory},
    }


def _self_test() -> dict[str, Any]:
    """Run the models for real, on a made-up picture: their numbers must be finite."""
    started = time.monotonic()
    try:
        from .landmarks.pose import PoseModel
        from .people.detector import PoseDetector
        from .stages import Roi

        picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
        PoseDetector().detect(picture)
        look = PoseModel().look(picture, Roi(160.0, 120.0, 240.0, 0.0))
        if not (np.isfinite(look.points).all() and np.isfinite(look.world).all()):
            return {"ok": False, "what": "the pose model gives numbers that are not finite"}
    except Exception as error:  # whatever it is, the doctor must tell it
        return {"ok": False, "what": f"the models do not run: {type(error).__name__}: {error}"}
    return {"ok": True, "what": f"detector and pose model ran in {time.monotonic() - started:.2f} s"}


def _device(name: str) -> str:
    """What a device is, or that there is none."""
    if name == "cpu":
        return f"{platform.processor() or platform.machine()}, models on {threads()} threads"
    from .published.runtime import describe

    try:
        return describe(name)
    except MocapError as error:
        return error.what
