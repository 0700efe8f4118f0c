"""The camera before anything is known about it: its lens from the file or a guess, looking level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core import rotations
from ..stages import Camera
from ..video import VideoInfo

FILM = float(np.hypot(36.0, 24.0))  # millimetres, the diagonal of a 35 mm picture
# Camera axes (x right, y down, z forward) of a level camera in the world (z up): it looks along the world's +y.
LEVEL = rotations.from_axis_angle([np.pi / 2, 0.0, 0.0])


def focal_35mm(info: VideoInfo) -> float:
    """The lens as its 35 mm equivalent, millimetres: the file's, else one as long as the picture's diagonal (53 degrees
    of view)."""
    return info.focal_35mm or FILM


def focal_pixels(info: VideoInfo) -> float:
    """Focal length in pixels."""
    return focal_35mm(info) / FILM * float(np.hypot(info.width, info.height))


def with_lens(info: VideoInfo, focal_35mm: float | None) -> VideoInfo:
    """The video as if it had been filmed with that lens; as it is when None."""
    return info if focal_35mm is None else replace(info, focal_35mm=focal_35mm)


def level_camera(info: VideoInfo) -> Camera:
    """A level camera at the world's origin."""
    size = np.array([info.width, info.height], float)
    return Camera(focal_pixels(info), 0.5 * size, size, LEVEL, np.zeros(3))
