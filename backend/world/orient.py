"""Stage `orient`: which way is down, from pose and orientation and a guess of the camera (after W-HMR, section 3.4).

`motion.orient` trains it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..body.tokens import in_strands, to_6d, tokens
from ..core import rotations
from ..core.rotations import normalize
from ..onnx import Network
from ..stages import Camera, Motion

BODY = slice(1, 22)


class OrientCorrect:
    """See `stages.Orienter`. The guess of the camera is the one that `camera.rotation` holds."""

    def __init__(self, threads: int = 1) -> None:
        self._network = Network("orient", threads)

    def orient(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion (T frames, camera space) with `down` and `spread`; unchanged where the body engine gave no
        `down`. (T,) OBSERVATIONs."""
        if motion.down is None or motion.still is None:
            return motion
        pose = to_6d(rotations.to_matrix(motion.rotations[:, BODY]))
        root = rotations.to_matrix(motion.rotations[:, 0])
        upright = gravity_view(motion.down) @ root
        cliff = tokens(observations, None, camera).cliff_cam
        guess = np.broadcast_to(rotations.rotate(camera.rotation, [0.0, 0.0, -1.0]), (len(pose), 3))
        still = np.clip(motion.still, 1e-4, 1 - 1e-4)
        inputs = {
            "pose": pose, "camera": to_6d(root), "gravity": to_6d(upright), "static": np.log(still / (1 - still)),
            "cliff_cam": cliff, "guess": guess,
        }  # fmt: skip
        found = in_strands(
            motion.times, lambda rows: self._network(**{name: value[rows] for name, value in inputs.items()})
        )
        return replace(motion, down=found["down"].astype(float), spread=np.exp(found["spread"].astype(float)))


def gravity_view(down: NDArray[Any]) -> NDArray[Any]:
    """Camera to gravity-view coordinates (T, 3, 3): y along gravity `down` (T, 3), z level and ahead (GVHMR, 3.1)."""
    x = np.cross(down, [0.0, 0.0, 1.0])
    x = normalize(np.where(np.linalg.norm(x, axis=-1, keepdims=True) > 1e-3, x, [1.0, 0.0, 0.0]))
    return np.stack([x, down, np.cross(x, down)], axis=-2)
