"""The process that makes or removes the backend's environment. Standard library only; it runs in Blender's Python.

    python -m mocap_addon.setup.worker install FOLDER --pip WHEEL [--lock FILE] [--wheels FOLDER] [--python PATH]
    python -m mocap_addon.setup.worker remove FOLDER

Work goes on in FOLDER/setup; FOLDER/backend-env is replaced at the very end, in one step. Whole wheels that were
downloaded before the set-up was broken off are not downloaded again. One JSON object a line goes to stdout
(`progress`, then `done` or `error`), everything else to stderr. The end of stdin ends it: Blender has gone.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from . import plan, pythons
from .pip import Pip, Processes, SetupError
from .plan import Requirement
from .pythons import Python

BATCH = 15_000_000  # bytes that are downloaded in one go; a set-up that is broken off loses at most about that much
LONGEST = 135  # characters of the longest path inside the packages
PATIENCE = 10.0  # seconds: virus scanners hold new files open for a while, and Windows then refuses to move them


def say(kind: str, **fields: object) -> None:
    """One line to the parent."""
    print(json.dumps({"type": kind, **fields}), flush=True)


def progress(stage: str, done: int = 0, total: int = 0, detail: str = "") -> None:
    """What is being done; done and total in bytes or packages, 0 when unknown."""
    say("progress", stage=stage, done=done, total=total, detail=detail)


class Installation:
    """One set-up."""

    def __init__(self, folder: Path, options: argparse.Namespace, processes: Processes) -> None:
        self.folder = folder
        self.workshop = plan.workshop(folder)
        self.new = self.workshop / "env"
        self.options = options
        self.processes = processes

    def run(self) -> None:
        """Raises SetupError, OSError."""
        progress("prepare")
        _remove(self.new)
        self._check_room(plan.read(self.options.lock))
        self.pip = Pip(self.options.pip, self.workshop, self.processes)
        base = self._python()
        requirements = plan.read(self.options.lock, base.version)
        self._make(base)
        wheels = self.options.wheels or self._download(requirements, base)
        self._install(requirements, wheels)
        self._check()
        size = sum(file.stat().st_size for file in self.new.rglob("*") if file.is_file() and not file.is_symlink())
        told = {
            "lock": plan.digest(self.options.lock),
            "python": ".".join(map(str, base.version)),
            "base": str(base.path),
            "bytes": size,
        }
        (self.new / "stamp.json").write_text(json.dumps(told), "utf-8")
        self._swap()

    def _check_room(self, requirements: list[Requirement]) -> None:
        """Refuse at once what would fail at the end. The largest wheel lies on the drive twice for a moment."""
        down = 0 if self.options.wheels else sum(each.download for each in requirements) - plan.fetched(self.folder)
        largest = max(each.download for each in requirements)
        needed = max(0, down) + largest + sum(each.installed for each in requirements) + plan.SPARE
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise SetupError(
                "disk-full",
                f"The set-up needs {needed / 1e6:.0f} MB, only {free / 1e6:.0f} MB are free where {self.folder} is.",
                "Free some space, then set up again.",
            )
        site = len(str(plan.environment(self.folder))) + len(r"\Lib\site-packages") + 1
        if sys.platform == "win32" and site + LONGEST > 259 and not _long_paths():
            raise SetupError(
                "setup-failed",
                f"The folder's path is too long for Windows: {self.folder}.",
                "Enable long paths (search for 'Enable Win32 long paths' in Windows' settings), then set up again.",
            )

    def _python(self) -> Python:
        progress("python")
        if self.options.python:
            python, reason = pythons.examine(self.options.python)
            if python is None:
                raise SetupError(
                    "python-broken", f"{reason}; the packages exist for Python {_fitting()}.", _NAME_ANOTHER
                )
            return python
        found, reasons = pythons.find()
        if found is None and (path := pythons.brought(self.folder)):
            found, _ = pythons.examine(path)
        if found is None and self.options.wheels:
            raise SetupError(
                "python-missing", f"No Python {_fitting()} was found ({'; '.join(reasons)}).", _NAME_ANOTHER
            )
        return found or self._bring(reasons)

    def _bring(self, reasons: list[str]) -> Python:
        """Let `uv` fetch an interpreter into the user folder."""
        progress("python", detail=f"bringing Python {pythons.BROUGHT} along")
        tools = self.workshop / "uv"
        arguments = ("--target", str(tools), "--require-hashes", "--only-binary=:all:", "-r", str(plan.UV_LOCK))
        self.pip.run(Path(sys.executable), "install", *arguments)
        uv = tools / "bin" / ("uv.exe" if sys.platform == "win32" else "uv")
        variables = pythons.uv_environment(self.folder, self.workshop)
        status, said = self.processes.run([str(uv), "python", "install", pythons.BROUGHT], variables)
        path = pythons.brought(self.folder)
        python, reason = pythons.examine(path) if path else (None, "")
        if python is None:
            last = reason or (said.strip().splitlines() or [f"status {status}"])[-1].strip()
            raise SetupError(
                "python-missing",
                f"No Python {_fitting()} was found ({'; '.join(reasons)}), and GitHub gave none: {last}",
                f"Install Python {pythons.BROUGHT} from python.org, then set up again.",
            )
        return python

    def _make(self, base: Python) -> None:
        progress("python", detail=f"{base.path} ({'.'.join(map(str, base.version))})")
        # Without pip: ours is used. This also works where Python comes without `ensurepip` (Debian).
        command = [str(base.path), "-I", "-m", "venv", "--without-pip", str(self.new)]
        status, said = self.processes.run(command, dict(os.environ))
        if status or not plan.interpreter(self.new).is_file():
            last = (said.strip().splitlines() or [f"status {status}"])[-1]
            raise SetupError("python-broken", f"{base.path} could not make an environment: {last}", _NAME_ANOTHER)

    def _download(self, requirements: list[Requirement], base: Python) -> Path:
        """Fetch the wheels that are not there yet; -> their folder, whose name holds the Python they are for."""
        wheels = self.workshop / f"wheels-{base.version[0]}{base.version[1]}"
        wheels.mkdir(exist_ok=True)
        there = {_digest(wheel) for wheel in wheels.glob("*.whl")}
        missing = [requirement for requirement in requirements if not requirement.hashes & there]
        done = sum(requirement.download for requirement in requirements if requirement not in missing)
        total = sum(requirement.download for requirement in requirements)
        for batch in _batches(missing):
            count = len(requirements) - len(missing)
            last = f" to {count + len(batch)}" if len(batch) > 1 else ""
            detail = f"Package {count + 1}{last} of {len(requirements)}: {batch[0].name}"
            wanted = self.workshop / "wanted.txt"
            wanted.write_text("\n".join(requirement.text for requirement in batch) + "\n", "utf-8")
            size = sum(requirement.download for requirement in batch)
            passed, latest = 0, 0  # bytes of this batch's finished wheels, and of the running one

            def on_bytes(now: int, before: int = done, size: int = size, detail: str = detail) -> None:
                nonlocal passed, latest
                if now < latest:  # the next file of the batch has begun
                    passed += latest
                latest = now
                progress("download", before + min(size, passed + now), total, detail)

            on_bytes(0)
            arguments = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--dest", str(wheels))
            self.pip.run(plan.interpreter(self.new), "download", *arguments, "-r", str(wanted), on_bytes=on_bytes)
            missing = [requirement for requirement in missing if requirement not in batch]
            done += size
        return wheels

    def _install(self, requirements: list[Requirement], wheels: Path) -> None:
        def on_tick() -> None:
            # pip itself is silent while it unpacks; it writes this file when a package is complete.
            count = sum(1 for site in plan.sites(self.new) for _ in site.glob("*.dist-info/INSTALLER"))
            progress("install", count, len(requirements))

        progress("install", 0, len(requirements))
        arguments = ("--no-index", "--find-links", str(wheels), "--only-binary=:all:", "--require-hashes", "--no-deps")
        # Compiling is left to the first run: it would double the time.
        arguments += ("--no-compile", "-r", str(self.options.lock))
        self.pip.run(plan.interpreter(self.new), "install", *arguments, on_tick=on_tick)
        on_tick()

    def _check(self) -> None:
        """The backend's own check-up, before the new environment replaces one that may have worked."""
        progress("check")
        command = [str(plan.interpreter(self.new)), "-m", "backend", "doctor", "--json"]
        status, said = self.processes.run(command, dict(os.environ))
        if status:
            what = (said.strip().splitlines() or [f"status {status}"])[-1]
            try:
                what = json.loads(said[said.index("{") :])["self_test"]["what"]
            except (ValueError, KeyError):
                pass
            raise SetupError("setup-failed", f"The packages are installed, but do not run: {what}.")

    def _swap(self) -> None:
        """Put the new environment in the old one's place."""
        place, old = plan.environment(self.folder), self.workshop / "old"
        _remove(old)
        if place.exists():
            _patiently(place, old)
        try:
            _patiently(self.new, place)
        except OSError:
            if old.exists():
                old.rename(place)
            raise


_NAME_ANOTHER = "Name another Python, or install one from python.org."


def _fitting() -> str:
    versions = sorted(pythons.FITTING)
    return f"{versions[0][0]}.{versions[0][1]} to {versions[-1][0]}.{versions[-1][1]}"


def _batches(requirements: list[Requirement]) -> Iterator[list[Requirement]]:
    """In pieces worth a start of pip each: a large package by itself, small ones together."""
    batch: list[Requirement] = []
    for requirement in sorted(requirements, key=lambda each: -each.download):
        batch.append(requirement)
        if sum(each.download for each in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _patiently(source: Path, target: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            source.rename(target)
            return
        except PermissionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def _long_paths() -> bool:
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Hold the folder for this process and its children; a lock of the system's, so none is ever left behind."""
    with path.open("a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError("setup-busy", f"Another set-up is working in {path.parent}.") from error
        yield file


def _tidy(workshop: Path, everything: bool) -> None:
    """Clear the workshop away; the lock file goes last, and stays where the system does not let go of it."""
    for entry in workshop.iterdir():
        if entry.name != "lock" and (everything or not entry.name.startswith("wheels-")):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def _work(options: argparse.Namespace) -> None:
    folder, workshop = options.folder, plan.workshop(options.folder)
    workshop.mkdir(parents=True, exist_ok=True)
    with _locked(workshop / "lock") as lock:
        processes = Processes([lock.fileno()])
        threading.Thread(target=_watch_parent, args=(processes,), daemon=True).start()
        if options.task == "remove":
            progress("remove")
            for each in (plan.environment(folder), folder / "python"):
                _remove(each)
            _tidy(workshop, everything=True)
            say("done")
            return
        finished = False
        try:
            Installation(folder, options, processes).run()
            finished = True
        finally:
            _tidy(workshop, everything=finished)
        say("done")


def _watch_parent(processes: Processes) -> None:
    """Thread: when the parent closes our stdin, or has died, nothing goes on."""
    os.read(sys.stdin.fileno(), 1)
    processes.stop()


def _told(error: OSError) -> SetupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError("disk-full", f"The drive of {error.filename} is full.", "Free some space, then set up again.")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return SetupError(
            "output-unwritable",
            f"{error.filename} cannot be written or moved ({error.strerror}).",
            "Close other Blenders and check who may write there, then set up again.",
        )
    return SetupError("setup-failed", f"{error}.")


def main(arguments: list[str]) -> int:
    """-> exit status; what went wrong has been said on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("install", "remove"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pip", type=Path)
    parser.add_argument("--lock", type=Path, default=plan.LOCK)
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--python", type=Path)
    try:
        _work(parser.parse_args(arguments))
    except SetupError as failure:
        say("error", code=failure.code, what=failure.what, fix=failure.fix)
        return 1
    except OSError as error:
        failure = _told(error)
        say("error", code=failure.code, what=failure.what, fix=failure.fix)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
