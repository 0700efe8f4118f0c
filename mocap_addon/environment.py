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
    """Whether that environment is the one to use: the user has named no other Python."""
    return not preference and not os.environ.get(VARIABLE)


def locate(preference: str, folder: Path, option: str = "") -> list[Path]:
    """The interpreters that are there, best first; nothing is run. One named by the user is the only candidate.

    preference: path from the preferences, or "". folder: the extension's user folder. option: of the command line.
    Raises MocapError python-missing when there is none.
    """
    for named, who in (
        (option, "The option --python names"),
        (preference, "The preferences name"),
        (os.environ.get(VARIABLE), f"The variable {VARIABLE} names"),
    ):
        if named:
            python = Path(named).absolute()  # the backend runs in a folder of its own; never resolved: venvs are links
            if not python.is_file():
                raise MocapError("python-missing", f"{who} a Python that is not there: {python}.", "Correct the path.")
            return [python]
    if not managed_python(folder).is_file():
        raise MocapError("python-missing", "The capture is not set up yet.")
    return [managed_python(folder)]


def find(preference: str, folder: Path, option: str = "") -> Path:
    """The first Python that can run the backend; see `locate`.

    Raises MocapError python-missing when there is none, python-broken when none of those found will do.
    """
    problems = []
    for python in locate(preference, folder, option):
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
