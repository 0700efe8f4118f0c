"""One person being followed: where they are, where they will be, what they look like."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.face import FaceLook
from ..landmarks.hands import HandLook
from ..landmarks.pose import PoseLook
from ..stages import Roi
from .appearance import torso_colours
from .body import limb_lengths, steady

LONGEST_GUESS = 0.5  # seconds that motion is extrapolated


@dataclass
class Track:
    """roi: where to look next; velocity (33, 2): of the landmarks, pixels a second; colours: of the torso;
    limbs: usual lengths of the bones; consistency: of the last look; credit: extra looks that this person may still
    cost; supported: when the detector last found them;
    hand_pause: frames since a missing hand was looked for."""

    number: int
    pose: PoseLook
    time: float
    colours: Array
    consistency: float
    roi: Roi = field(init=False)
    velocity: Array = field(default_factory=lambda: np.zeros((33, 2)))
    limbs: Array = field(init=False)
    lost: bool = False
    credit: float = 8.0
    supported: float = field(init=False)
    hands: list[HandLook | None] = field(default_factory=lambda: [None, None])
    hand_pause: list[int] = field(default_factory=lambda: [0, 0])
    face: FaceLook | None = None

    def __post_init__(self) -> None:
        self.roi, self.limbs, self.supported = self.pose.roi, limb_lengths(self.pose.world), self.time

    def drift(self, time: float) -> Array:
        """How far (2,) pixels the body as a whole should have moved since it was last seen."""
        return np.median(self.velocity, axis=0) * min(time - self.time, LONGEST_GUESS)

    def expected_roi(self, time: float) -> Roi:
        """Where the person should be."""
        x, y = np.array(self.roi[:2]) + self.drift(time)
        return self.roi._replace(x=float(x), y=float(y))

    def expected_points(self, time: float) -> Array:
        """Where (33, 2) the landmarks should be; beyond a few frames only the body as a whole is extrapolated."""
        elapsed = time - self.time
        own = np.exp(-elapsed / 0.1)
        return self.pose.points + own * self.velocity * elapsed + (1 - own) * self.drift(time)

    def advance(self, pose: PoseLook, consistency: float, time: float, rgb: NDArray[np.uint8]) -> None:
        """Take over what was seen at `time`."""
        if self.lost:
            self.velocity = np.zeros((33, 2))
            self.roi, self.hands, self.face = pose.roi, [None, None], None
        else:
            moved = (pose.points - self.pose.points) / max(1e-3, time - self.time)
            self.velocity = 0.4 * self.velocity + 0.6 * moved
            self.roi = steady(self.roi, pose.roi)
        self.pose, self.consistency, self.time, self.lost = pose, consistency, time, False
        if consistency > 0.6:
            self.colours = 0.95 * self.colours + 0.05 * torso_colours(rgb, pose.points)
            self.limbs = 0.95 * self.limbs + 0.05 * limb_lengths(pose.world)
