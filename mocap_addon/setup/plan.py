"""What has to be installed, how large it is, and what of it is there. Standard library only, as in the worker."""

from __future__ import annotations

import hashlib
import json
import platform as machine
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "packaging" / "locks" / "default.txt"  # exact versions and hashes, for every platform
UV_LOCK = LOCK.with_name("interpreter.txt")
SPARE = 100_000_000  # bytes of the drive that are left alone

_REQUIREMENT = re.compile(r"^([\w.-]+)==([^\s;]+)(?: ; (.+?))?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)
_MARKER = re.compile(r"(python_full_version|sys_platform|platform_machine) (<|>=|==|!=) '([\w.]+)'")


@dataclass(frozen=True)
class Requirement:
    """One locked package.

    marker: where it is wanted, "" for everywhere. text: its lines in the lock. download, installed: bytes, measured on
    the machine that made the lock, so about right elsewhere; 0 when unknown.
    """

    name: str
    version: str
    marker: str
    hashes: frozenset[str]
    text: str
    download: int
    installed: int
    licence: str

    def wanted(self, python: tuple[int, ...], platform: str) -> bool:
        """Whether a Python of this version needs it on `platform` (as sys.platform). Raises ValueError."""
        ways = [way.strip("()").split(" and ") for way in self.marker.split(" or ")]
        return any(all(_holds(part, python, platform) for part in way if part) for way in ways)


def _holds(condition: str, python: tuple[int, ...], platform: str) -> bool:
    found = _MARKER.fullmatch(condition)
    if not found:
        raise ValueError(f"The lock has a condition that is not understood: {condition}")
    name, relation, value = found.groups()
    if name != "python_full_version":
        here = platform if name == "sys_platform" else machine.machine()
        return (here == value) == (relation == "==")
    version = tuple(int(part) for part in value.split("."))
    return python[: len(version)] < version if relation == "<" else python[: len(version)] >= version


def read(lock: Path, python: tuple[int, ...] = sys.version_info[:3], platform: str = sys.platform) -> list[Requirement]:
    """The packages of a lock that a Python of this version needs on this platform; sizes lie in a .json beside it."""
    notes = json.loads(lock.with_suffix(".json").read_text("utf-8"))
    found = []
    for match in _REQUIREMENT.finditer(lock.read_text("utf-8")):
        name, version, marker, hashes = match.groups()
        digests = frozenset(re.findall(r"sha256:([0-9a-f]{64})", hashes))
        about = notes["packages"].get(name, {"download": 0, "installed": 0, "licence": ""})
        found.append(Requirement(name, version, marker or "", digests, match[0], **about))
    return [requirement for requirement in found if requirement.wanted(python, platform)]


def digest(lock: Path) -> str:
    """What an environment remembers of the lock that it was made from."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def environment(folder: Path) -> Path:
    """The backend's environment in the extension's user folder."""
    return folder / "backend-env"


def workshop(folder: Path) -> Path:
    """Where a set-up works; its name is short because paths are, on Windows."""
    return folder / "setup"


def interpreter(environment: Path) -> Path:
    """The Python of an environment."""
    return environment.joinpath("Scripts", "python.exe") if sys.platform == "win32" else environment / "bin" / "python"


def sites(environment: Path) -> list[Path]:
    """The folders that an environment's packages are in."""
    return [*environment.glob("lib/python3*/site-packages"), *environment.glob("Lib/site-packages")]


def stamp(folder: Path) -> dict[str, object]:
    """What the environment says about itself: lock, python, base, bytes; {} when there is none."""
    try:
        return json.loads((environment(folder) / "stamp.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def state(folder: Path, lock: Path = LOCK) -> str:
    """MISSING, BROKEN (the Python that it was made from has gone), OUTDATED (made from another lock) or READY."""
    told = stamp(folder)
    if not told:
        return "MISSING"
    if not interpreter(environment(folder)).is_file():
        return "BROKEN"
    return "READY" if told.get("lock") == digest(lock) else "OUTDATED"


def fetched(folder: Path, kept: str = "wheels-") -> int:
    """Bytes that a set-up which was broken off has downloaded already; see `Installation.kept`."""
    return sum(wheel.stat().st_size for wheel in workshop(folder).glob(f"{kept}*/*.whl"))
