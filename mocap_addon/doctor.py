"""The backend's own check-up, run beside Blender so that nothing freezes."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import bpy

from ..backend.core.errors import MocapError
from . import environment, job

INTERVAL = 0.2  # seconds between two looks at the check-up


class Checkup:
    """A running or finished check-up. lines: (fine, text) to show."""

    def __init__(self, preference: str, folder: Path) -> None:
        self.lines: list[tuple[bool, str]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, args=(preference, folder), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the result is still to come."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.kill()

    def _run(self, preference: str, folder: Path) -> None:
        try:
            python = environment.find(preference, folder)
            self._process = subprocess.Popen(
                job.command(python, "doctor", "--json"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                cwd=job.ROOT,
                env=job.clean_environment(),
                **job.popen_options(),
            )
            out, err = self._process.communicate(timeout=120)
            report = json.loads(out)
        except MocapError as error:
            self.lines = [(False, error.what), (False, error.fix)]
        except subprocess.TimeoutExpired:
            self.stop()
            self.lines = [(False, "The check did not end within two minutes.")]
        except (OSError, ValueError):
            words = err.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no answer"]
            self.lines = [(False, f"{python}: {words[0]}")]
        else:
            self.lines = [(True, str(python)), *lines_of(report)]
            for stage, named in report["engines"].items():
                environment.engines[stage] = [name for name, engine in named.items() if engine["can_run"]]


def lines_of(report: dict[str, Any]) -> list[tuple[bool, str]]:
    """The report of `python -m backend doctor --json` as lines to show, what is wrong first."""
    packages = [(found is not None, f"{name} {found or 'is missing'}") for name, found in report["packages"].items()]
    models = [(state == "ok", f"Model {name}: {state}") for name, state in report["models"].items()]
    engines = [
        (engine["can_run"], f"Engine {stage}: {name}" + (f". {engine['why']}" if engine["why"] else ""))
        for stage, named in report["engines"].items()
        for name, engine in named.items()
    ]
    wrong = [line for line in (*packages, *models) if not line[0]]
    fine = (f"Video Mocap {report['version']} on Python {report['python']['version']}, {', '.join(report['devices'])}",)
    return [
        (report["ok"], *fine),
        *wrong,
        *engines,
        (report["self_test"]["ok"], f"Self-test: {report['self_test']['what']}"),
    ]


latest: Checkup | None = None


def start(preference: str, folder: Path) -> None:
    """Begin a check-up; `latest` is its result."""
    global latest
    if latest and latest.running:
        return
    latest = Checkup(preference, folder)
    bpy.app.timers.register(_redraw, first_interval=INTERVAL)


def _redraw() -> float | None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
    return INTERVAL if latest and latest.running else None


def stop() -> None:
    """End a running check-up: the extension is disabled."""
    if latest:
        latest.stop()
    if bpy.app.timers.is_registered(_redraw):
        bpy.app.timers.unregister(_redraw)
