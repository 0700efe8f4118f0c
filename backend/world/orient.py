"""Stage `orient`: which way is down, from pose and orientation and a guess of the camera (after W-HMR, section 3.4).

`motion.orient` trains it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..body.tokens import in_strands, tokens
from ..core import rotations
from ..core import skeleton as sk
from ..onnx import Network
from ..stages import Camera, Motion


class OrientCorrect:
    """See `stages.Orienter`. The guess of the camera is the one that `camera.rotation` holds."""

    def __init__(self, threads: int = 1) -> None:
        self._network = Network("orient", threads)

    def orient(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion (T frames, camera space) with `down` and `spread`; unchanged where the body engine gave no
        `down`. (T,) OBSERVATIONs."""
        if motion.down is None or motion.still is None:
            return motion
        turned = rotations.to_matrix(sk.to_global(motion.rotations)[:, :sk.BODY])
        still = np.clip(motion.still, 1e-4, 1 - 1e-4)
        cliff = tokens(observations, None, camera).cliff_cam
        guess = np.broadcast_to(rotations.rotate(camera.rotation, [0.0, 0.0, -1.0]), (len(turned), 3))
        inputs = {
            "turned": turned, "static": np.log(still / (1 - still)), "down": motion.down, "cliff_cam": cliff,
            "guess": guess,
        }  # fmt: skip
        found = in_strands(
            motion.times, lambda rows: self._network(**{name: value[rows] for name, value in inputs.items()})
        )
        return replace(motion, down=found["direction"].astype(float), spread=np.exp(found["spread"].astype(float)))
