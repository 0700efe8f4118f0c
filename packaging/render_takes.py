"""Rendered views of takes for the contact sheet: starts Blender's module in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
from sheet_drawing import Image, color_of

SCRIPT = Path(__file__).with_name("render_in_blender.py")


def render_views(
    paths: list[Path], frames: list[int], size: tuple[int, int], folder: Path, blend: Path | None = None
) -> list[list[Image]]:
    """For each frame of the video two pictures: from the solved camera and from the camera's right.

    size: width and height in pixels of the first. blend: the file with the captured armatures and camera; without
    it the scene is built from the takes by the add-on's own code.
    """
    job = {
        "takes": [str(path.absolute()) for path in paths],
        "frames": frames,
        "size": size,
        "colors": [{side: color_of(k, side) for side in ("left", "right", "")} for k in range(len(paths))],
        "blend": str(blend.absolute()) if blend else None,
        "folder": str(folder),
    }
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder / "blender")}
    result = subprocess.run(
        [sys.executable, str(SCRIPT)], input=json.dumps(job), capture_output=True, text=True, env=environment
    )
    if result.returncode:
        raise RuntimeError(f"Blender could not render the takes:\n{result.stdout[-1000:]}{result.stderr[-3000:]}")
    return [[_read(folder / f"{frame}-{view}.png") for view in ("camera", "side")] for frame in frames]


def _read(path: Path) -> Image:
    return cv2.imread(str(path))[..., ::-1].copy()
