"""SMPL-X's own proportions for a body of known shape, from the model file that a user has added. No package is needed.

Only arrays are read; the objects that the file also holds are never opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core import skeleton as sk
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.skeleton import Skeleton

BETAS = 10


class Shapes:
    """Rest joints as they follow from the shape."""

    def __init__(self, file: Path) -> None:
        """Raises MocapError model-unreadable or model-wrong."""
        try:
            with np.load(file, allow_pickle=False) as model:
                regressor = np.asarray(model["J_regressor"], float)[: sk.COUNT]
                template = np.asarray(model["v_template"], float)
                shapes = np.asarray(model["shapedirs"][..., :BETAS], float)
        except (OSError, ValueError, KeyError) as error:
            raise MocapError("model-unreadable", f"{file.name} cannot be read as an SMPL-X model ({error}).") from error
        if regressor.shape != (sk.COUNT, len(template)) or shapes.shape != (len(template), 3, BETAS):
            raise MocapError("model-wrong", f"{file.name} is not SMPL-X: its arrays have other shapes.")
        self._joints = regressor @ template  # (55, 3) metres, y up
        self._shapes = np.einsum("jv,vkb->jkb", regressor, shapes)

    def skeleton(self, betas: Array) -> Skeleton:
        """The skeleton of a body of shape betas (10,), metres."""
        joints = self._joints + self._shapes @ betas
        offsets: np.ndarray[Any, Any] = joints.copy()
        offsets[1:] -= joints[sk.PARENTS[1:]]
        return sk.neutral().with_offsets(offsets)
