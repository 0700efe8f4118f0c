"""Finding a Python that the backend's packages exist for, or bringing one along. Standard library only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Versions that every locked package has wheels for; the best-tried ones first.
FITTING = ((3, 11), (3, 13), (3, 12), (3, 14))
BROUGHT = "3.13"  # brought along where there is none

_PROBE = (
    "import sys, sysconfig, json, venv, ssl; "
    "print(json.dumps([sys.version_info[:3], sys.maxsize > 2**32, bool(sysconfig.get_config_var('Py_GIL_DISABLED'))]))"
)


class Python(NamedTuple):
    """An interpreter that fits, and its version."""

    path: Path
    version: tuple[int, int, int]


def examine(path: Path) -> tuple[Python | None, str]:
    """The interpreter if it fits, else None and why it does not."""
    options = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    try:
        result = subprocess.run(
            [str(path), "-I", "-c", _PROBE], capture_output=True, stdin=subprocess.DEVNULL, timeout=30, **options
        )
        version, wide, free_threaded = json.loads(result.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None, f"{path} does not run, or lacks a part of Python's own library"
    name = f"{path} is Python {version[0]}.{version[1]}"
    if tuple(version[:2]) not in FITTING:
        return None, name
    if not wide or free_threaded:
        return None, f"{name}, {'free-threaded' if free_threaded else '32 bits'}"
    return Python(path, tuple(version)), ""


def find() -> tuple[Python | None, list[str]]:
    """The first one that fits: Blender's, then those on the path. With none: why each one does not fit."""
    reasons = []
    for path in _candidates():
        python, reason = examine(path)
        if python:
            return python, []
        reasons.append(reason)
    return None, reasons


def _candidates() -> Iterator[Path]:
    seen = set()
    for path in _named():
        if path and path not in seen:
            seen.add(path)
            yield Path(path)


def _named() -> Iterator[str | None]:
    # Blender's interpreter only lends its standard library: packages go into the environment's own folder.
    yield sys.executable
    for major, minor in FITTING:
        yield shutil.which(f"python{major}.{minor}")
    yield shutil.which("python3")
    yield shutil.which("python")
    if launcher := sys.platform == "win32" and shutil.which("py"):
        listing = subprocess.run([launcher, "-0p"], capture_output=True, stdin=subprocess.DEVNULL, timeout=30)
        for line in listing.stdout.decode("utf-8", "replace").splitlines():
            yield line.split(maxsplit=1)[-1].strip(" *")  # " -V:3.13 *  C:\...\python.exe"


def brought(folder: Path) -> Path | None:
    """The interpreter that `uv` has put into the extension's user folder."""
    names = "python.exe" if sys.platform == "win32" else f"bin/python{BROUGHT}"
    return next((path for path in sorted(folder.glob(f"python/cpython-{BROUGHT}*/{names}"))), None)


def uv_environment(folder: Path, workshop: Path) -> dict[str, str]:
    """Variables that keep everything that `uv` does inside the extension's user folder."""
    return {
        **os.environ,
        "UV_PYTHON_INSTALL_DIR": str(folder / "python"),
        "UV_PYTHON_BIN_DIR": str(workshop / "bin"),
        "UV_CACHE_DIR": str(workshop / "uv-cache"),
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_INSTALL_REGISTRY": "0",
        "UV_PYTHON_PREFERENCE": "only-managed",
    }
