"""Making the backend's environment, step by step. Standard library only; it runs in the worker."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from . import groups, plan, pythons
from .pip import Pip, Processes, SetupError, last_line
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

    kept = "wheels-"  # what folders of downloaded packages begin with, in the workshop

    def __init__(self, folder: Path, options: argparse.Namespace, processes: Processes) -> None:
        self.folder = folder
        self.workshop = plan.workshop(folder)
        self.new = self.workshop / "env"
        self.python = plan.interpreter(self.new)  # that the packages are for
        self.options = options
        self.processes = processes

    def run(self) -> None:
        """Raises SetupError, OSError."""
        progress("prepare")
        remove(self.new)
        self._check_room(plan.read(self.options.lock))
        self.pip = Pip(self.options.pip, self.workshop, self.processes)
        base = self._python()
        requirements = plan.read(self.options.lock, base.version)
        self._make(base)
        wheels = self.options.wheels or self._download(requirements, base)
        self._install(requirements, wheels)
        self._check()
        self._stamp(lock=plan.digest(self.options.lock), python=".".join(map(str, base.version)), base=str(base.path))
        self._swap(plan.environment(self.folder))
        groups.link(self.folder)

    def _stamp(self, **told: object) -> None:
        size = sum(file.stat().st_size for file in self.new.rglob("*") if file.is_file() and not file.is_symlink())
        (self.new / "stamp.json").write_text(json.dumps({**told, "bytes": size}), "utf-8")

    def _check_room(self, requirements: list[Requirement]) -> None:
        """Refuse at once what would fail at the end. The largest wheel lies on the drive twice for a moment."""
        here = plan.fetched(self.folder, self.kept)
        down = 0 if self.options.wheels else sum(each.download for each in requirements) - here
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
        status, said = self._uv("python", "install", pythons.BROUGHT)
        path = pythons.brought(self.folder)
        python, reason = pythons.examine(path) if path else (None, "")
        if python is None:
            last = reason or last_line(said, status)
            raise SetupError(
                "python-missing",
                f"No Python {_fitting()} was found ({'; '.join(reasons)}), and GitHub gave none: {last}",
                f"Install Python {pythons.BROUGHT} from python.org, then set up again.",
            )
        return python

    def _uv(self, *arguments: str) -> tuple[int, str]:
        """Run `uv`, fetched for it; -> exit status and what it said."""
        tools = self.workshop / "uv"
        uv = tools / "bin" / ("uv.exe" if sys.platform == "win32" else "uv")
        if not uv.is_file():
            options = ("--target", str(tools), "--require-hashes", "--only-binary=:all:", "-r", str(plan.UV_LOCK))
            self.pip.run(Path(sys.executable), "install", *options)
        return self.processes.run([str(uv), *arguments], pythons.uv_environment(self.folder, self.workshop))

    def _make(self, base: Python) -> None:
        progress("python", detail=f"{base.path} ({'.'.join(map(str, base.version))})")
        # Without pip: ours is used. This also works where Python comes without `ensurepip` (Debian).
        command = [str(base.path), "-I", "-m", "venv", "--without-pip", str(self.new)]
        status, said = self.processes.run(command, dict(os.environ))
        if status or not plan.interpreter(self.new).is_file():
            last = last_line(said, status)
            raise SetupError("python-broken", f"{base.path} could not make an environment: {last}", _NAME_ANOTHER)

    def _download(self, requirements: list[Requirement], base: Python, later: int = 0) -> Path:
        """Fetch the wheels that are not there yet; -> their folder, whose name holds the Python they are for.

        later: bytes that come after these.
        """
        wheels = self.workshop / f"{self.kept}{base.version[0]}{base.version[1]}"
        wheels.mkdir(exist_ok=True)
        there = {digest(wheel) for wheel in wheels.glob("*.whl")}
        missing = [requirement for requirement in requirements if not requirement.hashes & there]
        done = sum(requirement.download for requirement in requirements if requirement not in missing)
        total = sum(requirement.download for requirement in requirements) + later
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
            self.pip.run(self.python, "download", *arguments, "-r", str(wanted), on_bytes=on_bytes)
            missing = [requirement for requirement in missing if requirement not in batch]
            done += size
        return wheels

    def _install(self, requirements: list[Requirement], wheels: Path, *where: str) -> None:
        wanted = self.workshop / "wanted.txt"
        wanted.write_text("\n".join(requirement.text for requirement in requirements) + "\n", "utf-8")

        def on_tick() -> None:
            # pip itself is silent while it unpacks; it writes this file when a package is complete.
            count = sum(1 for site in plan.sites(self.new) for _ in site.glob("*.dist-info/INSTALLER"))
            progress("install", count, len(requirements))

        progress("install", 0, len(requirements))
        arguments = ("--no-index", "--find-links", str(wheels), "--only-binary=:all:", "--require-hashes", "--no-deps")
        # Compiling is left to the first run: it would double the time.
        arguments += ("--no-compile", *where, "-r", str(wanted))
        self.pip.run(self.python, "install", *arguments, on_tick=on_tick)
        on_tick()

    def _check(self, **variables: str) -> None:
        """The backend's own check-up, before what is new replaces what may have worked."""
        progress("check")
        command = [str(self.python), "-m", "backend", "doctor", "--json"]
        status, said = self.processes.run(command, {**os.environ, **variables})
        if status:
            what = last_line(said, status)
            try:
                what = json.loads(said[said.index("{") :])["self_test"]["what"]
            except (ValueError, KeyError):
                pass
            raise SetupError("setup-failed", f"The packages are installed, but do not run: {what}.")

    def _swap(self, place: Path) -> None:
        """Put what is new in the old one's place."""
        old = self.workshop / "old"
        remove(old)
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


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(folder: Path) -> None:
    """Delete a folder, where it is there."""
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
