"""What tests share. Tests in Blender's module (tests/addon) run in a process of their own: see packaging/dev.py."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# Machines differ in speed by more than any deadline allows. A fresh clone tries the same examples every time; who
# works on the code gets new ones.
settings.register_profile("any machine", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository, which is also the extension's package."""
    return ROOT


@pytest.fixture(scope="session")
def demo_clip() -> Path:
    """A real clip of one walking person (230 frames, 30 fps, 1768x994), which `dev.py test` fetches."""
    clip = ROOT / ".cache" / "demo.mp4"
    assert clip.is_file(), "run `python3 packaging/dev.py test`, which fetches the demo clip"
    return clip
