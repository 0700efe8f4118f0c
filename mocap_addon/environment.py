"""Finding the Python that runs the backend. Never Blender's own: nothing is installed into that."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path

from ..backend.core.errors import MocapError
from .job import clean_environment, popen_options
from .setup import plan

VARIABLE = "VIDEO_MOCAP_PYTHON"
PACKAGES = ("numpy", "cv2", "av", "ai_edge_litert")

# Stage -> engines that can run, as the backend last told.
engines: dict[str, list[str]] = {}

_PROBE = (
    "import sys, json, importlib.util as u; "
    "print(json.dumps([list(sys.version_info[:2]), [n for n in sys.argv[1:] if u.find_spec(n) is None]]))"
)


def managed_python(folder: Path) -> Path:
    """The interpreter of the environment that the set-up makes in the extension's user folder."""
    return plan.interpreter(plan.environment(folder))


def is_managed(preference: str, folder: Path) -> bool:
    """Whether that environment is the one to use: the user has named no other Python that is there."""
    named = os.environ.get(VARIABLE)
    return not preference and not (named and Path(named).is_file())


def locate(preference: str, folder: Path) -> list[Path]:
    """The interpreters that are there, best first; nothing is run. One set by the user is the only candidate.

    preference: path from the preferences, or "". folder: the extension's user folder.
    Raises MocapError python-missing when there is none.
    """
    named = os.environ.get(VARIABLE)
    wanted = [Path(preference)] if preference else [*([Path(named)] if named else []), managed_python(folder)]
    found = [path for path in wanted if path.is_file()]
    if not found:
        if preference:
            raise MocapError("python-missing", f"The preferences name a Python that is not there: {preference}.")
        raise MocapError("python-missing", "The capture is not set up yet.")
    return found


def find(preference: str, folder: Path) -> Path:
    """The first Python that can run the backend; see `locate`.

    Raises MocapError python-missing when there is none, python-broken when none of those found will do.
    """
    problems = []
    for python in locate(preference, folder):
        problem = _problem(python, python.stat().st_mtime)
        if not problem:
            return python
        problems.append(problem)
    forget()  # the user will mend it and try again
    raise MocapError("python-broken", problems[0])


def forget() -> None:
    """Look at interpreters anew: something about them has changed."""
    _problem.cache_clear()


@cache
def _problem(python: Path, modified: float) -> str:
    """What is wrong with an interpreter; "" when nothing is. Packages are looked up, not imported: about 0.1 s."""
    try:
        result = subprocess.run(
            [str(python), "-c", _PROBE, *PACKAGES],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
            env=clean_environment(),
            **popen_options(),
        )
        version, missing = json.loads(result.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return f"{python} does not run as a Python ({type(error).__name__})."
    if version < [3, 11]:
        return f"{python} is Python {version[0]}.{version[1]}; the backend needs 3.11 or later."
    return f"{python} lacks {', '.join(missing)}." if missing else ""
