"""The add-on's tests in every Blender that it is made for.

    python3 packaging/dev.py matrix                         bpy 4.2, 4.5, 5.0 and 5.2, each in a process of its own
    python3 packaging/dev.py matrix --only 4.2 -k cleaning        one of them; further arguments go to pytest
    python3 packaging/dev.py matrix --python 4.2=PYTHON           an interpreter that has that Blender already
    python3 packaging/dev.py matrix --no-modules --blender BLENDER [...]   the window scripts on real Blenders

An environment is made for each version that a fitting Python is there for (about 1.5 GB each, in .venv-bpy-*; .venv
serves for its own); the others are named and left out. Real Blenders need a display (Xvfb will do). Logs and pictures:
out/matrix. Exit status 1 when something failed, 0 otherwise; what could not be run is said, and is no failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from build_zip import build
from downloads import fetch_clip, fetch_rigs, fetch_wheels
from environment import ROOT, SetupError

# Blender -> its module and the Python that it is built for.
MODULES = {"4.2": ("4.2.23", "3.11"), "4.5": ("4.5.15", "3.11"), "5.0": ("5.0.1", "3.11"), "5.2": ("5.2.3", "3.13")}
TOOLS = ("pytest>=9,<10", "hypothesis>=6.170,<7")
WINDOW_SCRIPTS = {"drive.py": "clip", "takes.py": "clip", "cleaning.py": "take"}  # tests/window -> what it is given
LONGEST = 1800  # seconds that a window script may take
OUT = ROOT / "out" / "matrix"


def main(arguments: list[str]) -> int:
    """Run what can be run; -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MODULES, default=list(MODULES), metavar="VERSION")
    parser.add_argument("--no-modules", action="store_true", help="only the window scripts")
    parser.add_argument("--python", action="append", default=[], metavar="VERSION=PYTHON")
    parser.add_argument("--blender", action="append", default=[], type=Path, metavar="BLENDER")
    parser.add_argument("--script", nargs="+", choices=WINDOW_SCRIPTS, default=list(WINDOW_SCRIPTS))
    options, rest = parser.parse_known_args(arguments)
    OUT.mkdir(parents=True, exist_ok=True)
    if not options.no_modules:
        fetch_clip()
        fetch_rigs()
    given = dict(text.split("=", 1) for text in options.python)
    results: dict[str, str] = {}
    for version in [] if options.no_modules else options.only:
        results[f"bpy {version}"] = in_module(version, given.get(version), rest)
    for blender in options.blender:
        for script in options.script:
            results[f"{blender.parent.name}/{blender.name} {script}"] = in_window(blender.absolute(), script)
    print("== matrix")
    for name, result in results.items():
        print(f"{name:<40} {result}")
    return int(any(result.startswith("FAILED") for result in results.values()))


def in_module(version: str, given: str | None, arguments: list[str]) -> str:
    """The tests of the add-on in one of Blender's modules."""
    try:
        python = given or environment(version)
    except SetupError as error:
        return f"not run: {error}"
    paths = [argument for argument in arguments if argument.startswith("tests/")] or ["tests/addon"]
    options = [argument for argument in arguments if argument not in paths]
    fetch_wheels(python)
    log = OUT / f"bpy-{version}.log"
    print(f"== bpy {version} (log: {log.relative_to(ROOT)})", flush=True)
    with log.open("w") as file:
        status = subprocess.run(
            [str(python), "-m", "pytest", "-q", *options, *paths], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        ).returncode
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if " in " in line), lines[-1] if lines else "no output")
    return f"{'FAILED' if status else 'passed'}: {last.strip('= ')}"


def environment(version: str) -> Path:
    """An interpreter with that Blender and the tests' tools; made when missing. Raises SetupError."""
    module, wanted = MODULES[version]
    if find_spec("bpy") and metadata.version("bpy") == module:  # the developers' environment has that one
        return Path(sys.executable)
    folder = ROOT / f".venv-bpy-{version}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "ready"
    told = f"{module} {(ROOT / 'packaging/locks/default.txt').stat().st_size}"
    if stamp.is_file() and stamp.read_text() == told:
        return python
    base = interpreter(wanted)
    print(f"== making {folder.name} ...", flush=True)
    pip = [base, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet", "install"]
    for command in (
        [base, "-m", "venv", "--clear", "--without-pip", str(folder)],
        [*pip, "--require-hashes", "-r", "packaging/locks/default.txt"],
        [*pip, f"bpy=={module}", *TOOLS],
    ):
        if subprocess.run(command, cwd=ROOT).returncode:
            raise SetupError(f"`{' '.join(command)}` failed")
    stamp.write_text(told)
    return python


def interpreter(wanted: str) -> str:
    """A Python of that version. Raises SetupError when there is none that starts."""
    own = Path(sys.base_prefix) / ("python.exe" if os.name == "nt" else "bin/python3")
    for candidate in (shutil.which(f"python{wanted}"), str(own)):
        ask = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if candidate and subprocess.run(ask, capture_output=True, text=True).stdout.strip() == wanted:
            return candidate
    raise SetupError(f"there is no Python {wanted} on the path")


def in_window(blender: Path, script: str) -> str:
    """One script of tests/window in a real Blender, with a profile of its own; its pictures are kept."""
    out = OUT / f"{blender.parent.name}-{Path(script).stem}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    given = fetch_clip() if WINDOW_SCRIPTS[script] == "clip" else take()
    print(f"== {blender} {script} (pictures: {out.relative_to(ROOT)})", flush=True)
    with tempfile.TemporaryDirectory(prefix="mocap-profile-") as profile, (out / "log.txt").open("w") as log:
        settings = os.environ | {"BLENDER_USER_RESOURCES": profile, "VIDEO_MOCAP_PYTHON": sys.executable}
        command = [str(blender), "--python", f"tests/window/{script}", "--", str(build()), str(given), str(out)]
        try:
            status = subprocess.run(
                command, cwd=ROOT, env=settings, stdout=log, stderr=subprocess.STDOUT, timeout=LONGEST
            ).returncode
        except subprocess.TimeoutExpired:
            return f"FAILED: not done after {LONGEST} s"
    pictures = len(list(out.glob("*.png")))
    held = "all held" in (out / "log.txt").read_text("utf-8", "replace")
    return f"{'passed' if held and not status else 'FAILED'}: status {status}, {pictures} pictures"


def take() -> Path:
    """A take of the demo clip, captured once."""
    path = OUT / "demo.npz"
    if not path.is_file():
        print("== capturing the demo clip ...", flush=True)
        command = ["-m", "backend", "capture", str(fetch_clip()), "-o", str(path), "--people", "largest"]
        subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
