"""Stage `feet`: FootMR turns foot keypoints and knees into better ankles (FootMR, section 3).

`motion.footmr` is the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.skeleton import INDEX as JOINT
from ..core.smoothing import smooth_in_view
from ..onnx import Network
from ..stages import Camera, Motion
from .tokens import FOOT, from_6d, in_strands, to_6d, tokens

# How far ankles go from the body engine's to FootMR's: each errs in its own way, and what lies between them errs less
# than both (docs/evaluation.md).
SAY = 0.8
KNEES = [JOINT["left_knee"], JOINT["right_knee"]]


class FootMR:
    """See `stages.FootRefiner`. All in global rotations, camera space: how the leg lies does not matter."""

    def __init__(self, threads: int = 1) -> None:
        self._network = Network("footmr", threads)

    def refine(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion (T frames, camera space) with refined ankles; (T,) OBSERVATIONs."""
        turned = sk.to_global(motion.rotations)
        legs = to_6d(rotations.to_matrix(turned[:, KNEES + sk.ANKLES])).reshape(len(turned), -1)

        def network(rows: NDArray[np.intp]) -> dict[str, NDArray[np.float32]]:
            seen = tokens(observations[rows], None, camera)
            return self._network(obs=seen.obs[:, FOOT], cliff_cam=seen.cliff_cam, global_rot6d=legs[rows])

        ankles = from_6d(in_strands(motion.times, network)["ankles"].reshape(-1, 2, 6))
        ankles = rotations.slerp(turned[:, sk.ANKLES], ankles, SAY)
        ankles = smooth_in_view(ankles, observations["turn"].astype(float), motion.times)
        local = motion.rotations.copy()
        local[:, sk.ANKLES] = rotations.multiply(rotations.inverse(turned[:, KNEES]), ankles)
        return replace(motion, rotations=local)
