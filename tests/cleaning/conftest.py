"""The walk of the retargeting tests; and the extension's Blender-free modules as `video_mocap...`."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

if "video_mocap" not in sys.modules:
    extension = ModuleType("video_mocap")
    extension.__path__ = [str(Path(__file__).parents[2])]
    sys.modules["video_mocap"] = extension
if (motions := str(Path(__file__).parents[1] / "retarget")) not in sys.path:
    sys.path.append(motions)
