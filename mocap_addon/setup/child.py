"""One set-up (or removal), from the child process to its end, as a generator. No bpy here.

`Setup.steps` does a little at each step. The timer in the window, the command line and the tests all drive the same
generator.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ...backend.core.errors import MocapError
from ..job import ROOT, clean_environment, open_log, popen_options
from . import plan

STAGES = {
    "prepare": "Preparing",
    "python": "Finding a Python",
    "download": "Downloading",
    "install": "Installing",
    "check": "Checking",
    "remove": "Removing",
}
PATIENCE = 0.7  # seconds from asking the child to stop until it is killed


class Setup:
    """A set-up that waits, runs or has ended.

    stage, done, total, detail: what it does; bytes while downloading, packages while installing. error: why it failed.
    """

    def __init__(
        self,
        folder: Path,
        task: str = "install",
        wheels: Path | None = None,
        python: Path | None = None,
        lock: Path = plan.LOCK,
        group: str = "",
        build: str = "",
    ) -> None:
        """folder: the extension's user folder. task: install or remove everything, add or drop a group.

        wheels: a folder to take the packages from instead of the index. python: makes the environment; else one is
        found. group, build: of `groups`.
        """
        self.task, self.group = task, group
        self.state = "QUEUED"  # then RUNNING, then ENDED
        self.stage, self.done, self.total, self.detail = "prepare", 0, 0, ""
        self.error: MocapError | None = None
        self.seconds = 0.0
        self.log = folder / "logs" / "setup.log"
        self._folder = folder
        self._arguments = ["--pip", str(_pip_wheel())] if task in ("install", "add") else []
        self._arguments += ["--lock", str(lock)] if task == "install" else []
        for name, value in (("--wheels", wheels), ("--python", python), ("--group", group), ("--build", build)):
            if value:
                self._arguments += [name, str(value)]
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: queue.SimpleQueue[dict[str, object]] = queue.SimpleQueue()
        self._cancelled = False

    @property
    def pid(self) -> int | None:
        """Process number of the child, which is also that of its process group."""
        return self._process and self._process.pid

    def text(self) -> str:
        """What it is doing, for people."""
        if self.stage == "download" and self.total:
            return f"Downloading: {self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB"
        if self.stage == "install":
            return f"Installing: {self.done} of {self.total} packages"
        return f"{STAGES[self.stage]} ..."

    def share(self) -> float:
        """How much of the whole is done, 0..1, going by the usual times of the stages."""
        begins, ends = {"download": (0.03, 0.75), "install": (0.75, 0.93), "check": (0.93, 1.0)}.get(
            self.stage, (0, 0.03)
        )
        return begins + (ends - begins) * min(1.0, self.done / self.total if self.total else 0.0)

    def cancel(self) -> None:
        """Stop soon. Returns at once; what has been downloaded is kept."""
        self._cancelled = True
        if self._process and self._process.poll() is None:
            threading.Thread(target=self._end, daemon=True).start()

    def run(self) -> None:
        """Do it all, waiting: for scripts and tests."""
        for _ in self.steps():
            time.sleep(0.02)

    def steps(self) -> Iterator[None]:
        """Do it, a moment at each step. Errors end up in `error`, never outside."""
        self.state = "RUNNING"
        began = time.monotonic()
        try:
            self._start()
            final = None
            while final is None:
                final = self._receive()
                yield
            if self._cancelled:
                raise MocapError("cancelled", "The set-up was cancelled.", "Set up again to continue where it stopped.")
            if final["type"] == "error":
                raise MocapError.from_message(final)
        except MocapError as error:
            self.error = error
        finally:
            if self._process:
                self._end(patience=0.0)  # it has said its last word, or nobody listens any more
            self.seconds = time.monotonic() - began
            self.state = "ENDED"

    def _start(self) -> None:
        self.log, log = open_log(self.log)
        # Blender's own interpreter: it is there, and the worker needs nothing but the standard library.
        command = [sys.executable, "-m", "mocap_addon.setup.worker", self.task, str(self._folder), *self._arguments]
        try:
            with log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=ROOT,
                    env=clean_environment(),
                    **popen_options(),
                )
        except OSError as error:
            raise MocapError("setup-failed", f"Blender's Python does not run: {sys.executable} ({error}).") from error
        threading.Thread(target=self._listen, name="mocap-setup", daemon=True).start()

    def _receive(self) -> dict[str, object] | None:
        """Take in what the child has said; -> its last message once it is there."""
        while not self._messages.empty():
            message = self._messages.get_nowait()
            if message["type"] != "progress":
                return message
            self.stage, self.done, self.total = message["stage"], message["done"], message["total"]
            self.detail = message["detail"]
        return None

    def _listen(self) -> None:
        """Thread: child's lines -> messages, ended by exactly one that is not `progress`."""
        for line in self._process.stdout:
            message = json.loads(line)
            self._messages.put(message)
            if message["type"] != "progress":
                return
        status = self._process.wait()
        words = self.log.read_text("utf-8", "replace").strip().splitlines()[-1:] or [""]
        what = f"The set-up ended with status {status} before it was done. {words[0]}"
        self._messages.put({"type": "error", "code": "setup-failed", "what": what.strip(), "fix": ""})

    def _end(self, patience: float = PATIENCE) -> None:
        """The end of its stdin asks the worker to stop; insist after a while."""
        with suppress(OSError):  # it has gone
            self._process.stdin.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            if sys.platform == "win32":
                self._process.kill()
            else:
                with suppress(ProcessLookupError):  # it ended in between
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _pip_wheel() -> Path:
    """pip as it comes in the extension's zip. Raises MocapError setup-failed."""
    found = sorted((ROOT / "assets" / "installer").glob("pip-*.whl"))
    if not found:
        raise MocapError(
            "setup-failed", "The extension lacks its installer.", "Install the extension from its release zip."
        )
    return found[-1]
