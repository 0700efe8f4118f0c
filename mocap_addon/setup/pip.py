"""Running the pip that comes in the extension's zip; why it failed, in plain words. Standard library only."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

# What the user may have set about the way to the packages. Other PIP_ variables would change what gets installed.
CONNECTION = (
    "INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "TRUSTED_HOST", "PROXY", "CERT", "CLIENT_CERT", "DEFAULT_TIMEOUT",
    "TIMEOUT", "CONFIG_FILE", "KEYRING_PROVIDER",
)  # fmt: skip
ALWAYS = ("--disable-pip-version-check", "--no-input", "--no-cache-dir", "--progress-bar", "raw", "--retries", "3")
TICK = 0.2  # seconds between two looks at what has come

_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")


class SetupError(Exception):
    """Why the set-up cannot go on.

    code: of backend.core.errors. what: what happened. fix: what to do, "" for what the code itself advises.
    """

    def __init__(self, code: str, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.code, self.what, self.fix = code, what, fix


class Processes:
    """Runs one child process at a time, and can end it from another thread."""

    def __init__(self, inherited: Collection[int] = ()) -> None:
        """inherited: file descriptors that the children share (the lock, which has to last as long as they do)."""
        self._inherited = inherited
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(
        self,
        command: list[str],
        environment: dict[str, str],
        on_line: Callable[[str], None] = lambda line: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> tuple[int, str]:
        """-> exit status and everything it said, on both streams; also copied to our stderr, which is the log.

        Raises SetupError when it was stopped.
        """
        options = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
        if sys.platform != "win32":
            options["pass_fds"] = tuple(self._inherited)
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()
        said: list[str] = []
        try:
            while not self._stopped:
                try:
                    line = lines.get(timeout=TICK)
                except queue.Empty:
                    on_tick()
                    continue
                if line is None:
                    return self._process.wait(), "\n".join(said)
                on_line(line)
                if not _PROGRESS.match(line):
                    said.append(line)
                    print(line, file=sys.stderr, flush=True)
        finally:  # also when nobody can be told any more: Blender has gone, and our stdout with it
            self._process.kill()
            self._process.wait()
        raise SetupError("cancelled", "The set-up was cancelled.")

    def stop(self) -> None:
        """End the running child, and let none start any more."""
        self._stopped = True

    def _read(self, lines: queue.SimpleQueue[str | None]) -> None:
        for line in self._process.stdout:
            lines.put(line.decode("utf-8", "replace").rstrip())
        lines.put(None)


def last_line(said: str, status: int) -> str:
    """The last that a child process said, which most often is why it failed."""
    return (said.strip().splitlines() or [f"status {status}"])[-1].strip()


class Pip:
    """pip for one interpreter, run from the unpacked wheel; nothing is asked of that interpreter's own pip."""

    def __init__(self, wheel: Path, workshop: Path, processes: Processes) -> None:
        self._program = workshop / "pip"
        self._temporary = workshop / "tmp"
        self._processes = processes
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self._program)

    def run(
        self,
        python: Path,
        *arguments: str,
        on_bytes: Callable[[int], None] = lambda done: None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """on_bytes: bytes of the running download. Raises SetupError, in plain words."""
        self._temporary.mkdir(exist_ok=True)

        def on_line(line: str) -> None:
            if found := _PROGRESS.match(line):
                on_bytes(int(found[1]))

        command = [str(python), "-I", "-X", "utf8", str(self._program / "pip"), *arguments, *ALWAYS]
        status, said = self._processes.run(command, self._environment(), on_line, on_tick)
        if status:
            version = "import sys; print('Python %d.%d' % sys.version_info[:2])"
            raise explain(said, self._processes.run([str(python), "-I", "-c", version], dict(os.environ))[1])

    def _environment(self) -> dict[str, str]:
        kept = {f"PIP_{name}" for name in CONNECTION}
        own = {name: value for name, value in os.environ.items() if not name.startswith("PIP_") or name in kept}
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._temporary))  # on the drive that was measured
        return {**own, **temporary, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}


# Found in what pip said -> code, what happened, what to do. The first one that is found counts.
_REASONS: tuple[tuple[str, str, str, str], ...] = (
    (r"No space left|not enough space|Disk quota exceeded", "disk-full", "The drive became full.",
     "Free some space and set up again: what has been downloaded is kept."),
    (r"DO NOT MATCH THE HASHES", "setup-hash", "A package is not the one that this extension was made with.", ""),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", "setup-download",
     "The connection's certificate is not trusted.",
     "Is there a company proxy that looks into connections? Let its certificate be trusted by the system, or name it "
     "in the variable PIP_CERT."),
    (r"ProxyError|Cannot connect to proxy|407 Proxy", "setup-download", "The proxy refused the connection.",
     "Check the variable HTTPS_PROXY, or `proxy` in pip's configuration."),
    (r"ConnectionError|NewConnectionError|NameResolutionError|Max retries exceeded|ReadTimeout|ConnectTimeout|"
     r"connection broken|IncompleteRead|HTTPError|HTTP error|Could not install packages due to an OSError: HTTPS?",
     "setup-download", "The package index does not answer.", ""),
    (r"(?:No matching distribution found for|Could not find a version that satisfies the requirement) "
     r"(\S+)", "setup-unsupported", "There is no ready-made {0} for {python} on this computer.", ""),
    # Everything is pinned and asked for alone: only a constraint of the user's can be in its way.
    (r"Cannot install (\S+) because these package versions have conflicting", "setup-unsupported",
     "There is no ready-made {0} here that pip's own configuration allows.",
     "Look for `constraint` in pip's configuration (`pip config list`)."),
)  # fmt: skip


def explain(said: str, python: str = "this Python") -> SetupError:
    """What pip's output means. python: its name and version, for which the packages have to be."""
    for pattern, code, what, fix in _REASONS:
        if found := re.search(pattern, said):
            return SetupError(code, what.format(*found.groups(), python=python), fix)
    last = [line for line in said.splitlines() if line.strip()][-1:] or ["it said nothing"]
    return SetupError("setup-failed", f"pip failed: {last[0].removeprefix('ERROR: ')}")
