"""The stages between observations and the world, as one: body, then feet, then which way is down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..core.skeleton import Skeleton
from ..stages import BodySolver, Camera, FootRefiner, Motion, Orienter
from .pace import paced


@dataclass(frozen=True)
class BodyChain:
    """A `stages.BodySolver` of a body engine and what comes after it, where there is any."""

    body: BodySolver
    feet: FootRefiner | None = None
    orienter: Orienter | None = None

    def measure(self, observations: NDArray[Any], camera: Camera) -> Skeleton:
        """The person's proportions from (T,) OBSERVATIONs."""
        return self.body.measure(paced(observations)[0], camera)

    def solve(self, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
        """Pose and place the skeleton in every frame, in camera space."""
        observations, rows = paced(observations)
        motion = self.body.solve(observations, skeleton, camera)
        if self.feet is not None:
            motion = self.feet.refine(motion, observations, camera)
        if self.orienter is not None:
            motion = self.orienter.orient(motion, observations, camera)
        return motion if len(rows) == len(motion.times) else motion.rows(rows)
