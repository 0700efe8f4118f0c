"""`python -m backend serve`: one capture, or solving one again, for a parent process, over the wire of `core.protocol`.

Standard output carries the protocol and nothing else: what libraries print goes to standard error. A line on standard
input, its end (the parent is gone), or a signal cancels the job.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import IO, BinaryIO

from .cancel import Cancel
from .core.errors import CODES, MocapError
from .core.protocol import FINAL, PROTOCOL, REPLIES, REQUESTS, Message, decode, encode
from .engines import capabilities, version
from .job import Job, Resolve

HEARTBEAT = 1.0  # seconds


class Wire:
    """Writes replies, one line each, from any thread; nothing after a final one."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._closed = False

    def send(self, message: Message, patience: float = -1) -> None:
        """Send a message; wait at most `patience` seconds for a peer that does not read (-1: as long as it takes)."""
        line = encode(message, REPLIES)
        if not self._lock.acquire(timeout=patience):
            return
        try:
            if not self._closed:
                self._closed = message["type"] in FINAL
                self._stream.write(line)
                self._stream.flush()
        finally:
            self._lock.release()


def serve() -> int:
    """Serve one capture. -> the exit status of `errors.CODES`."""
    wire = Wire(_claim_stdout())
    started = time.monotonic()
    cancel = Cancel(lambda: _abort(wire))
    try:
        wire.send({"type": "hello", "protocol": PROTOCOL, "version": version(), "capabilities": capabilities()})
        # Unbuffered: a buffered reader that a thread waits in cannot be shut down with the interpreter.
        stdin = open(0, "rb", buffering=0, closefd=False)
        request = _read_request(stdin)
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: cancel.request())
        threading.Thread(target=_listen, args=(stdin, cancel), daemon=True).start()
        threading.Thread(target=_beat, args=(wire, started), daemon=True).start()
        takes = _run(request, wire, cancel)
        wire.send({"type": "done", "takes": [str(path) for path in takes], "seconds": time.monotonic() - started})
        return 0
    except BrokenPipeError:
        return CODES["cancelled"][0]  # nobody reads any more
    except Exception as error:
        failure = as_failure(error)
        wire.send(_error(failure))
        return failure.exit_status
    finally:
        cancel.finish()


def as_failure(error: Exception) -> MocapError:
    """Any exception as an error that the user can act on; the traceback of a bug goes to standard error."""
    if isinstance(error, MocapError):
        return error
    traceback.print_exception(error)
    if isinstance(error, ImportError):
        return MocapError("package-missing", f"A Python package cannot be used: {error}.")
    return MocapError("internal", f"Something unexpected happened: {type(error).__name__}: {error}.")


def _claim_stdout() -> IO[str]:
    """Take standard output for the wire; whatever else writes to it, also from C, goes to standard error."""
    sys.stdout.flush()
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return wire


def _run(request: Message, wire: Wire, cancel: Cancel) -> list[Path]:
    """Do what was asked for. Imports late: hello must not wait for the packages, and one may be missing."""
    if request["type"] == "resolve":
        from .resolve import resolve

        return resolve(Resolve.from_request(request), wire.send, cancel.requested)
    if request["type"] == "scan":
        from .scan import Scan, scan

        scan(Scan.from_request(request), wire.send, cancel.requested)
        return []
    from .pipeline import capture

    return capture(Job.from_request(request), wire.send, cancel.requested)


def _read_request(stdin: BinaryIO) -> Message:
    line = stdin.readline().decode("utf-8", errors="replace")
    if not line:
        raise MocapError("cancelled", "Nothing was asked for.")
    request = decode(line, REQUESTS)
    if request is None or request["type"] == "cancel":
        raise MocapError("protocol-mismatch", f"The first line must be a request, not {line[:80]!r}.")
    return request


def _listen(stdin: BinaryIO, cancel: Cancel) -> None:
    """Wait for a cancel on standard input, or for its end."""
    for line in stdin:
        try:
            request = decode(line.decode("utf-8", errors="replace"), REQUESTS)
        except MocapError as error:
            print(error, file=sys.stderr)
            continue
        if request is not None and request["type"] == "cancel":
            break
    cancel.request()


def _beat(wire: Wire, started: float) -> None:
    try:
        while True:
            time.sleep(HEARTBEAT)
            wire.send({"type": "heartbeat", "seconds": time.monotonic() - started})
    except (OSError, ValueError):
        pass  # the wire is gone, and the capture notices by itself


def _error(failure: MocapError) -> Message:
    return {"type": "error", "code": failure.code, "what": failure.what, "fix": failure.fix}


def _abort(wire: Wire) -> None:
    """End the process in the middle of a long call."""
    failure = MocapError("cancelled", "The capture was cancelled.")
    try:
        wire.send(_error(failure), patience=0.2)
    finally:
        os._exit(failure.exit_status)
