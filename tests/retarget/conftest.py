"""The repository as the package it is, the extension: its halves import each other relatively."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

if "video_mocap" not in sys.modules:
    spec = importlib.util.spec_from_file_location(
        "video_mocap", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec and spec.loader
    package = importlib.util.module_from_spec(spec)
    sys.modules["video_mocap"] = package
    spec.loader.exec_module(package)
