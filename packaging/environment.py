"""The developers' environment: `.venv` with locked packages, and the system libraries that Blender's module needs."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venv"
LOCK = ROOT / "packaging" / "locks" / "dev.txt"
PYTHONS = ((3, 11), (3, 13))  # those that a Blender module exists for
PIP_WHEEL = ROOT / "assets" / "installer" / "pip-26.3-py3-none-any.whl"  # what the set-up in Blender installs with

# What the bpy wheel links and does not bring along: library -> Debian's package, Fedora's package.
LIBRARIES = {
    "libX11.so.6": ("libx11-6", "libX11"),
    "libXrender.so.1": ("libxrender1", "libXrender"),
    "libXfixes.so.3": ("libxfixes3", "libXfixes"),
    "libXi.so.6": ("libxi6", "libXi"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libSM.so.6": ("libsm6", "libSM"),
    "libICE.so.6": ("libice6", "libICE"),
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
}
# Software rendering, found by EGL at run time: needed for pictures on a machine without a graphics card.
DEBIAN_RENDERER = "libgl1-mesa-dri"


class SetupError(Exception):
    """Something that the person in front of the machine has to put right; the text says how."""


def venv_python() -> Path:
    """The interpreter inside `.venv`."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(system_packages: bool = False) -> Path:
    """Make `.venv` ready and return its Python; quick when nothing changed. Raises SetupError."""
    if sys.version_info[:2] not in PYTHONS:
        wanted = " or ".join(f"{a}.{b}" for a, b in PYTHONS)
        raise SetupError(
            f"This is Python {sys.version_info[0]}.{sys.version_info[1]}; Blender's module needs {wanted}. "
            f"Run for example: python3.11 packaging/dev.py {' '.join(sys.argv[1:])}"
        )
    _system_libraries(install=system_packages or _may_install())
    stamp = VENV / "setup-stamp"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not (venv_python().exists() and stamp.exists() and stamp.read_text() == wanted):
        _make_venv()
        stamp.write_text(wanted)
    return venv_python()


def _make_venv() -> None:
    print(f"Making {VENV.name} and installing the locked packages (about 1.7 GB with Blender's module) ...", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    # Without a pip of its own: this Python's is used, which also does where `ensurepip` is left out (Debian).
    made = subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], capture_output=True, text=True)
    if made.returncode:
        raise SetupError(f"Python could not make a virtual environment:\n{made.stdout}{made.stderr}")
    pip("install", "--require-hashes", "-r", str(LOCK), hint="Check the network connection and run it again.")


def pip(*arguments: str, hint: str, python: Path | None = None) -> None:
    """Run pip for `.venv`, or for another Python. Raises SetupError with `hint` when it fails."""
    if find_spec("pip"):
        own = ["-m", "pip"]
    elif PIP_WHEEL.is_file():  # `.venv` has none, but runs commands that fetch
        own = [str(PIP_WHEEL / "pip")]
    else:
        raise SetupError("This Python has no pip. On Debian and Ubuntu: apt-get install -y python3-pip")
    python = python or venv_python()
    command = [sys.executable, *own, "--python", str(python), "--disable-pip-version-check", "--quiet"]
    if subprocess.run([*command, *arguments]).returncode:
        raise SetupError(f"pip failed (above): {' '.join([*command, *arguments])}\n{hint}")


def _may_install() -> bool:
    """Only a throw-away machine is changed without asking."""
    return os.environ.get("CI") == "true" and _is_root()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _system_libraries(install: bool) -> None:
    if not sys.platform.startswith("linux"):
        return
    missing = missing_libraries()
    if not missing:
        return
    packages = [LIBRARIES[name][0] for name in missing]
    apt = ["apt-get", "install", "-y", "--no-install-recommends", *packages, DEBIAN_RENDERER]
    if install and _is_root() and shutil.which("apt-get"):
        print(f"Installing system libraries: {' '.join(packages)}", flush=True)
        subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([*apt, "-q"], check=False, env=environment, stdout=subprocess.DEVNULL)
        missing = missing_libraries()
    if missing:
        raise SetupError(
            f"Blender's module needs system libraries that are not here: {', '.join(missing)}\n"
            f"  Debian, Ubuntu:  sudo {' '.join(apt)}\n"
            f"  Fedora:          sudo dnf install {' '.join(LIBRARIES[name][1] for name in missing)}\n"
            "Then run the same command again (as root on Debian, --system-packages installs them itself)."
        )


def missing_libraries() -> list[str]:
    """Those of LIBRARIES that the loader does not find."""
    missing = []
    for name in LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    return missing
