"""The camera before anything is known about it: its lens from the file or a guess, looking level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core import rotations
from ..stages import Camera
from ..video import VideoInfo

# Camera axes (x right, y down, z forward) of a level camera in the world (z up): it looks along the world's +y.
LEVEL = rotations.from_axis_angle([np.pi / 2, 0.0, 0.0])


def focal_pixels(info: VideoInfo) -> float:
    """Focal length in pixels: from the file's 35 mm equivalent, else the picture's diagonal (53 degrees of view)."""
    diagonal = float(np.hypot(info.width, info.height))
    if info.focal_35mm:
        return info.focal_35mm * diagonal / float(np.hypot(36.0, 24.0))
    return diagonal


def with_lens(info: VideoInfo, focal_35mm: float | None) -> VideoInfo:
    """The video as if it had been filmed with that lens; as it is when None."""
    return info if focal_35mm is None else replace(info, focal_35mm=focal_35mm)


def level_camera(info: VideoInfo) -> Camera:
    """A level camera at the world's origin."""
    size = np.array([info.width, info.height], float)
    return Camera(focal_pixels(info), 0.5 * size, size, LEVEL, np.zeros(3))
