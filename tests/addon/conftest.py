"""Blender's module with the built zip installed in a throw-away profile; these tests have a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
MODULE = "bl_ext.user_default.video_mocap"

PROFILE = tempfile.TemporaryDirectory(prefix="mocap profile é ", ignore_cleanup_errors=True)
os.environ["BLENDER_USER_RESOURCES"] = PROFILE.name  # Blender reads this once, when it is imported
# The environment that runs the tests holds the backend's packages, unless another one is named.
BACKEND_PYTHON = os.environ.setdefault("VIDEO_MOCAP_PYTHON", sys.executable)

import bpy as _bpy  # noqa: E402  # pyright: ignore


@pytest.fixture(scope="session")
def extension() -> ModuleType:
    """The extension's package, installed from its zip and enabled."""
    zip_path = subprocess.run(
        [sys.executable, ROOT / "packaging" / "build_zip.py"], capture_output=True, text=True, check=True
    ).stdout.strip()
    result = _bpy.ops.extensions.package_install_files(filepath=zip_path, repo="user_default", enable_on_install=True)
    assert result == {"FINISHED"}
    return sys.modules[MODULE]


@pytest.fixture
def bpy(extension: ModuleType) -> ModuleType:
    """Blender with an empty file; the extension stays enabled, its preferences are the defaults."""
    _bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    preferences = _bpy.context.preferences.addons[MODULE].preferences
    for name in ("python", "folder", "device"):
        preferences.property_unset(name)
    return _bpy


@pytest.fixture
def addon(bpy: ModuleType, extension: ModuleType) -> ModuleType:
    """The package `mocap_addon` of the installed extension, with its modules as attributes."""
    return sys.modules[f"{MODULE}.mocap_addon"]


# Blender's module can crash or hang in the interpreter's own exit: leave once pytest has printed its summary.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.blender_exit = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    PROFILE.cleanup()
    os._exit(getattr(config, "blender_exit", 1))
