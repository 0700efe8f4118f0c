"""One capture's child process: started, listened to, watched and ended. No bpy here, and no thread touches it."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..backend.core import protocol
from ..backend.core.errors import MocapError
from ..backend.core.protocol import Message

ROOT = Path(__file__).resolve().parents[1]

# Seconds without a sign of life after which the child counts as stuck; it sends a heartbeat every second.
SILENCE = 20.0
# After a polite request to stop: seconds until the child is told by signal, and then until it is killed.
PATIENCE = (0.7, 0.5)


def clean_environment() -> dict[str, str]:
    """The environment of a child: nothing of Blender's own Python may leak into the backend's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}


def command(python: Path, *arguments: str) -> list[str]:
    """The backend's command line. It must be run in ROOT, from where `-m` finds the package."""
    return [str(python), "-m", "backend", *arguments]


def popen_options() -> dict[str, object]:
    """A process group of its own, so that a signal for Blender's terminal does not reach the child."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def open_log(log: Path) -> tuple[Path, IO[bytes]]:
    """Begin a log file; -> where it is and the file. One that cannot be written goes to a temporary folder, so that
    work goes on."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log, log.open("wb")
    except OSError:
        log = Path(tempfile.mkdtemp(prefix="video-mocap-"), log.name)
        return log, log.open("wb")


@contextmanager
def on_interrupt(react: Callable[..., object]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `react` meanwhile: Blender takes them for itself, and Python would never hear of them.

    Only in the main thread, which alone may ask for that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, react) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: it was Blender's own


class Job:
    """A running backend. `receive` gives its messages; the last one is always one `done` or one `error`,
    also when the child dies, hangs, talks nonsense or is cancelled.
    """

    def __init__(self, python: Path, request: Mapping[str, object], log: Path) -> None:
        """Start the child and send it the request. Raises MocapError python-missing or python-broken."""
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._verdict: MocapError | None = None  # why we ended the child ourselves
        self._greeted = self._finished = False
        self.log, errors = open_log(log)
        try:
            with errors:
                self._process = subprocess.Popen(
                    command(python, "serve"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=ROOT,
                    env=clean_environment(),
                    **popen_options(),
                )
        except FileNotFoundError as error:
            raise MocapError("python-missing", f"The backend's Python was not found: {python}.") from error
        except OSError as error:
            raise MocapError("python-broken", f"The backend's Python does not run: {python} ({error}).") from error
        self._heard = self._looked = time.monotonic()
        self._send(request)
        threading.Thread(target=self._listen, name="mocap-backend", daemon=True).start()

    @property
    def pid(self) -> int:
        """Process number of the child, which is also that of its process group."""
        return self._process.pid

    def receive(self) -> Iterator[Message]:
        """What the child has said since the last call, oldest first. Never waits."""
        # Anything already read is looked at before silence is judged: Blender itself may have been busy.
        while True:
            try:
                message = self._messages.get_nowait()
            except queue.Empty:
                break
            self._finished = message["type"] in protocol.FINAL
            yield message
            if self._finished:
                return
        now = time.monotonic()
        if now - self._looked > SILENCE / 4:  # Blender was busy, or the machine asleep: the child may have been, too
            self._heard = now
        self._looked = now
        if now - self._heard > SILENCE:
            self._end(MocapError("backend-silent", f"Nothing was heard from the backend for {SILENCE:.0f} s."))

    def cancel(self) -> None:
        """Ask the child to stop; insist after a while. Returns at once."""
        if self._verdict is None and not self._finished:
            self._verdict = MocapError("cancelled", "The capture was cancelled.")
            self._send({"type": "cancel"})
            threading.Thread(target=self._insist, name="mocap-cancel", daemon=True).start()

    def close(self) -> None:
        """End the child now, if it still runs, and wait until it is gone."""
        self._signal(kill=True)
        self._process.wait()

    def _end(self, verdict: MocapError) -> None:
        self._verdict = self._verdict or verdict
        self._signal(kill=True)

    def _insist(self) -> None:
        for patience, kill in zip(PATIENCE, (False, True), strict=True):
            try:
                self._process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                self._signal(kill)

    def _signal(self, kill: bool) -> None:
        if self._process.poll() is not None:
            return
        if sys.platform == "win32":
            self._process.kill()
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        except ProcessLookupError:
            pass  # it ended in between

    def _send(self, message: Message) -> None:
        try:
            self._process.stdin.write(protocol.encode(message, protocol.REQUESTS).encode())
            self._process.stdin.flush()
        except OSError:
            pass  # it has gone: the listener tells why

    def _listen(self) -> None:
        """Thread: child's lines -> messages, ended by exactly one final message."""
        final = None
        try:
            for line in self._process.stdout:
                self._heard = time.monotonic()
                message = protocol.decode(line.decode("utf-8", "replace"), protocol.REPLIES)
                if message is None:
                    continue
                self._greet(message)
                if message["type"] in protocol.FINAL:
                    final = message
                    break
                self._messages.put(message)
        except MocapError as error:
            self._end(error)
        try:
            status = self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._signal(kill=True)
            status = self._process.wait()
        if self._verdict:  # ended by us: whatever it said last does not count
            final = None
        if final is None:
            error = self._verdict or self._death(status)
            final = {"type": "error", "code": error.code, "what": error.what, "fix": error.fix}
        self._messages.put(final)

    def _greet(self, message: Message) -> None:
        """Check that the child opens with a `hello` of our protocol."""
        if self._greeted:
            return
        if message["type"] != "hello" or message["protocol"] != protocol.PROTOCOL:
            told = message.get("protocol", "none")
            raise MocapError("protocol-mismatch", f"The backend speaks protocol {told}, not {protocol.PROTOCOL}.")
        self._greeted = True

    def _death(self, status: int) -> MocapError:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        if self._greeted:
            return MocapError("backend-died", f"The backend ended {how} before it was done.")
        return MocapError("python-broken", f"The backend did not start: it ended {how}. {self._last_words()}")

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""
