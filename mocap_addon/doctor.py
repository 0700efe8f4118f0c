"""The doctor: what decides whether a capture can run here, as green and red lines with a way to put each right.

What can be seen at once is looked at whenever it is shown; the backend's own check-up runs beside Blender.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import bpy

from ..backend.core.errors import MocapError
from . import environment, files, job, preferences, runner
from .setup import plan
from .translations import N_, tr

INTERVAL = 0.2  # seconds between two looks at the check-up
LITTLE = 1_000_000_000  # bytes; less than that on a drive is worth a warning
FRESH = 3.0  # seconds that what was seen is taken to hold
LOG_LINES = 25  # of the newest log, in the report


class Finding(NamedTuple):
    """One line. what: in English, with {names} of values in it. fix: the operator that puts it right, "" when the text
    says what to do; button: what it says there. spare: nobody needs it, and it is not there."""

    fine: bool
    what: str
    values: Mapping[str, object] = MappingProxyType({})
    fix: str = ""
    button: str = ""
    spare: bool = False

    @property
    def text(self) -> str:
        """In English, for reports."""
        return self.what.format(**self.values) if self.values else self.what

    @property
    def said(self) -> str:
        """In the user's language."""
        return tr(self.what, **self.values)

    @property
    def icon(self) -> str:
        """How it looks in the list."""
        return "DOT" if self.spare else "CHECKMARK" if self.fine else "ERROR"


class Checkup:
    """A running or finished check-up of the backend."""

    def __init__(self, preference: str, folder: Path) -> None:
        self.findings: list[Finding] = []
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
        out = err = b""
        managed = environment.is_managed(preference, folder)
        repair = {"fix": "video_mocap.set_up", "button": "Repair"} if managed else {}
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
            self.findings = [Finding(False, f"{error.what} {error.fix}", **repair)]
        except subprocess.TimeoutExpired:
            self.stop()
            self.findings = [Finding(False, "The backend's check did not end within two minutes.")]
        except (OSError, ValueError):
            words = err.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no answer"]
            self.findings = [Finding(False, f"{python}: {words[0]}", **repair)]
        else:
            self.findings = [finding if finding.fine else finding._replace(**repair) for finding in findings_of(report)]
            for stage, named in report["engines"].items():
                environment.engines[stage] = [name for name, engine in named.items() if engine["can_run"]]


def findings_of(report: dict[str, Any]) -> list[Finding]:
    """The report of `python -m backend doctor --json`, what is wrong before the engines."""
    packages = [Finding(bool(found), "{name} is missing", {"name": name}) for name, found in report["packages"].items()]
    models = [
        Finding(state == "ok", "Model {name}: {state}", {"name": name, "state": state})
        for name, state in report["models"].items()
    ]
    engines: list[Finding] = []
    lacking: dict[str, list[str]] = {}
    for stage, named in report["engines"].items():
        first = next(iter(named))  # what everybody uses; others that the user has not added are no fault
        if not named[first]["can_run"]:
            told = {"stage": stage, "name": first, "why": named[first]["why"]}
            engines.append(Finding(False, "Engine {stage}: {name}. {why}", told))
        elif can := [name for name, engine in named.items() if engine["can_run"]]:
            engines.append(Finding(True, "Engines for {stage}: {names}", {"stage": stage, "names": ", ".join(can)}))
        for name, engine in named.items():
            if not engine["can_run"] and name != first:
                group = engine["needs"]["group"] if "Python package" in engine["why"] else ""
                lacking.setdefault(group, []).append(name)
    for group, names in lacking.items():
        told = {"group": group, "names": ", ".join(names)}
        engines.append(
            Finding(True, "Published models whose packages (group {group}) are not added: {names}", told, spare=True)
            if group
            else Finding(True, "Published models whose files are not added: {names}", told, spare=True)
        )
    said = f"Video Mocap {report['version']} on Python {report['python']['version']}, {', '.join(report['devices'])}"
    test = report["self_test"]
    return [
        Finding(report["ok"], said),
        *(finding for finding in (*packages, *models) if not finding.fine),
        Finding(test["ok"], "Self-test: {what}", {"what": test["what"]}),
        *engines,
    ]


latest: Checkup | None = None
_seen: tuple[float, list[Finding]] = (0.0, [])  # what was seen here last, and when


def findings() -> list[Finding]:
    """Everything that is known now, what is wrong first; starts nothing."""
    global _seen
    if time.monotonic() - _seen[0] > FRESH:  # panels ask at every redraw, and a drive may be slow
        _seen = time.monotonic(), _here()
    known = [*_seen[1], *(latest.findings if latest and not latest.running else ())]
    return sorted(known, key=lambda finding: (finding.fine, finding.spare))


def _here() -> list[Finding]:
    """What can be seen without starting anything."""
    prefs, folder = preferences.get(), files.user_folder()
    found = []
    try:
        python = environment.locate(prefs.python, folder)[0]
    except MocapError as error:
        mine = environment.is_managed(prefs.python, folder)
        fix = {"fix": "video_mocap.set_up", "button": "Set up capture"} if mine else {}
        found.append(Finding(False, error.what, **fix))
        if mine and not bpy.app.online_access:
            allow = {"fix": "extensions.userpref_allow_online", "button": N_("Allow")}
            found.append(Finding(False, "Blender is not allowed to use the network", **allow))
    else:
        told = {"python": python}
        if environment.is_managed(prefs.python, folder) and plan.state(folder) == "OUTDATED":
            what = N_("Python of the backend: {python}, of an older version of the extension")
            found.append(Finding(False, what, told, "video_mocap.set_up", "Update"))
        else:
            found.append(Finding(True, "Python of the backend: {python}", told))
    for what, place in ((N_("extension"), folder), (N_("takes"), files.takes_folder(prefs.folder))):
        there = next(path for path in (place, *place.parents) if path.exists())  # takes: made with the first capture
        free = shutil.disk_usage(there).free
        told = {"what": tr(what), "place": place, "free": free / 1e9}
        if not os.access(there, os.W_OK):
            found.append(Finding(False, "The folder of the {what} cannot be written: {place}", told))
        elif free < LITTLE:
            found.append(Finding(False, "Only {free:.1f} GB are free in the folder of the {what}: {place}", told))
        else:
            found.append(Finding(True, "Folder of the {what}: {place}, {free:.0f} GB free", told))
    return found


def start(preference: str, folder: Path) -> None:
    """Begin a check-up; `latest` is its result."""
    global latest
    if latest and latest.running:
        return
    latest = Checkup(preference, folder)
    bpy.app.timers.register(_watch, first_interval=INTERVAL)


def forget() -> None:
    """What the last check-up found, or is about to find, is no longer true."""
    global latest, _seen
    stop()
    latest, _seen = None, (0.0, [])


def redraw() -> None:
    """Bring the preferences up to date."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


def _watch() -> float | None:
    if latest and latest.running:
        return INTERVAL
    redraw()
    runner.redraw()
    return None


def stop() -> None:
    """End a running check-up: the extension is disabled."""
    if latest:
        latest.stop()
    if bpy.app.timers.is_registered(_watch):
        bpy.app.timers.unregister(_watch)


def report() -> str:
    """Everything that a bug report needs, as text; the home folder's name is left out."""
    lines = [
        f"Blender {bpy.app.version_string}, {platform.platform()}, Python {platform.python_version()}",
        f"online access: {bpy.app.online_access}",
        *(f"[{'ok' if finding.fine else 'WRONG'}] {finding.text}" for finding in findings()),
    ]
    if runner.last and runner.last.error:
        lines.append(f"last capture: {runner.last.error}")
    logs = sorted((files.user_folder() / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    if logs:
        lines += ["", f"end of {logs[-1].name}:", *logs[-1].read_text("utf-8", "replace").splitlines()[-LOG_LINES:]]
    return "\n".join(lines).replace(str(Path.home()), "~")


class VIDEO_MOCAP_OT_check(bpy.types.Operator):
    """Run the backend's own check-up: packages, models, engines, devices"""

    bl_idname = "video_mocap.check"
    bl_label = "Check"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not (latest and latest.running)

    def execute(self, context: bpy.types.Context) -> set[str]:
        start(preferences.get().python, files.user_folder())
        return {"FINISHED"}


class VIDEO_MOCAP_OT_copy_report(bpy.types.Operator):
    """Copy versions, findings and the end of the newest log to the clipboard, for a bug report"""

    bl_idname = "video_mocap.copy_report"
    bl_label = "Copy report"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = report()
        self.report({"INFO"}, tr("The report is in the clipboard"))
        return {"FINISHED"}


classes = (VIDEO_MOCAP_OT_check, VIDEO_MOCAP_OT_copy_report)
