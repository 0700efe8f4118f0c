"""Packages that are added to the environment by a second choice: what the published networks need.

Each group lies in a folder of its own beside the environment, which a .pth file tells about it: the default packages
are never touched, and an environment that is made anew still has its groups. Standard library only, as in the worker.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from . import plan
from .plan import Requirement

CUDA = "cu130"  # the build for cards, as PyTorch's own index and `uv` call it
DRIVER = 580  # the oldest driver of NVIDIA that runs CUDA 13
BUILDS = {"cpu": "CPU", "cuda": "NVIDIA GPU", "mps": "Apple GPU"}
PTH = "video_mocap_groups.pth"

_FROM_INDEX = ("torch", "torchvision")  # come in builds
_OF_CUDA = ("nvidia-", "cuda-", "triton")  # what only PyTorch's build for cards needs
# PyTorch for processors alone: bytes to download and installed, measured on Linux.
_CPU_BUILD = {"torch": (192_000_000, 699_000_000), "torchvision": (2_000_000, 8_000_000)}


class Group(NamedTuple):
    """needs: groups that have to be there first; modules: what is there with it."""

    title: str
    licence: str
    needs: tuple[str, ...]
    modules: tuple[str, ...]


GROUPS = {
    "gpu": Group("PyTorch", "BSD-3-Clause", (), ("torch",)),
    "yolo": Group("YOLO", "AGPL-3.0", ("gpu",), ("ultralytics", "lap")),
    "rtmpose": Group("RTMPose", "Apache-2.0", ("gpu",), ("mmpose", "mmcv", "mmengine")),
}


def lock(name: str) -> Path:
    """Exact versions and hashes of a group, without what groups that it needs have."""
    return plan.LOCK.with_name(f"{name}.txt")


def place(folder: Path, name: str) -> Path:
    """Where a group is, in the extension's user folder."""
    return folder / "groups" / name


def builds(platform: str = sys.platform) -> tuple[str, ...]:
    """The builds of PyTorch that there are for a system."""
    return ("mps",) if platform == "darwin" else ("cpu", "cuda")


def detected(
    platform: str = sys.platform,
    driver: Path = Path("/proc/driver/nvidia/version"),
) -> tuple[str, str]:
    """The build that fits this machine, and why: apple, found, none or old (the driver). Nothing is run."""
    if platform == "darwin":
        return "mps", "apple"
    if platform == "win32":
        found = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll").is_file()
        return ("cuda", "found") if found else ("cpu", "none")
    try:
        version = re.search(r"NVRM version.*?(\d{3,})\.", driver.read_text("utf-8", "replace"))
    except OSError:
        return "cpu", "none"
    if version and int(version[1]) < DRIVER:
        return "cpu", "old"
    return "cuda", "found"


def label(build: str, platform: str = sys.platform) -> str:
    """What PyTorch's index calls a build; "" for the one that PyPI has."""
    on_pypi = {"win32": "cpu", "darwin": "mps"}.get(platform, "cuda")
    return "" if build == on_pypi else {"cpu": "cpu", "cuda": CUDA}[build]


def requirements(
    name: str, build: str, python: tuple[int, ...] = sys.version_info[:3], platform: str = sys.platform
) -> list[Requirement]:
    """The packages of a group. Those that come from PyTorch's index have no hashes: the lock cannot know them, they
    are checked against what that index says."""
    found = plan.read(lock(name), python, platform)
    wanted = label(build, platform)
    if name == "gpu" and build == "cpu":
        found = [each for each in found if not each.name.startswith(_OF_CUDA)]
    if not wanted:
        return found
    return [_built(each, wanted, build) if each.name in _FROM_INDEX else each for each in found]


def _built(package: Requirement, wanted: str, build: str) -> Requirement:
    version = f"{package.version}+{wanted}"
    down, installed = _CPU_BUILD[package.name] if build == "cpu" else (package.download, package.installed)
    text = f"{package.name}=={version}"
    return replace(package, version=version, hashes=frozenset(), text=text, download=down, installed=installed)


def stamp(folder: Path, name: str) -> dict[str, object]:
    """What a group says about itself: lock, python, build, bytes; {} when it is not there."""
    try:
        return json.loads((place(folder, name) / "stamp.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def state(folder: Path, name: str) -> str:
    """MISSING, OUTDATED (made from another lock or for another Python) or READY."""
    told = stamp(folder, name)
    if not told:
        return "MISSING"
    same_python = _minor(told) == _minor(plan.stamp(folder))
    return "READY" if same_python and told.get("lock") == plan.digest(lock(name)) else "OUTDATED"


def _minor(told: dict[str, object]) -> list[str]:
    return str(told.get("python", "")).split(".")[:2]


def dependents(name: str) -> list[str]:
    """The groups that need a group."""
    return [other for other, group in GROUPS.items() if name in group.needs]


def link(folder: Path) -> None:
    """Tell the environment about the groups that fit it, and about no others."""
    ready = [name for name in GROUPS if state(folder, name) == "READY"]
    for site in plan.sites(plan.environment(folder)):
        # Relative: these lines are read in whatever encoding the system has, and folders are called anything.
        lines = [os.path.relpath(each, site) for name in ready for each in plan.sites(place(folder, name))]
        (site / PTH).write_text("".join(f"{line}\n" for line in lines), "ascii")
