"""The repository is the extension's package; its Blender-free modules import as `video_mocap...` without Blender."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

if "video_mocap" not in sys.modules:
    extension = ModuleType("video_mocap")
    extension.__path__ = [str(Path(__file__).parents[2])]
    sys.modules["video_mocap"] = extension
