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
from .body import limb_lengths

LONGEST_GUESS = 0.5  # seconds that motion is extrapolated
_TRUST, _TRUST_MET = 0.6, 0.2  # weight of the newest motion in the velocity, alone and with somebody in the way
_FASTEST = 6.0  # of the region's side a second, as a whole: what seems faster was seen wrong
_STILL = 0.04  # of the region's side: motion from frame to frame that the region has room for


@dataclass(eq=False)
class Track:
    """pose: as last seen; velocity (33, 2): of the landmarks, pixels a second; colours: of the torso;
    limbs: usual lengths of the bones; consistency: of the last look; size: over all looks, as in `store.Seen`;
    credit: extra looks that this person may still cost; supported: when the detector last found them;
    hand_pause: frames since a missing hand was looked for."""

    number: int
    pose: PoseLook
    time: float
    colours: Array
    consistency: float
    velocity: Array = field(default_factory=lambda: np.zeros((33, 2)))
    limbs: Array = field(init=False)
    size: float = field(init=False)
    lost: bool = False
    credit: float = 8.0
    supported: float = field(init=False)
    hands: list[HandLook | None] = field(default_factory=lambda: [None, None])
    hand_pause: list[int] = field(default_factory=lambda: [0, 0])
    face: FaceLook | None = None

    def __post_init__(self) -> None:
        self.limbs, self.supported = limb_lengths(self.pose.world), self.time
        self.size = self.pose.roi.side * self.consistency

    def drift(self, time: float) -> Array:
        """How far (2,) pixels the body as a whole should have moved since it was last seen."""
        return np.median(self.velocity, axis=0) * min(time - self.time, LONGEST_GUESS)

    def expected_roi(self, time: float) -> Roi:
        """Where the person should be."""
        roi, (x, y) = self.pose.roi, self.drift(time)
        if np.hypot(x, y) < _STILL * roi.side:
            return roi  # the landmarks jitter: following their velocity would make the region jitter more
        return roi._replace(x=roi.x + float(x), y=roi.y + float(y))

    def off_course(self, x: float, y: float, time: float) -> float:
        """Pixels from the way that the person should have gone since: who falls or turns round stops on it."""
        to, way = np.array([x - self.pose.roi.x, y - self.pose.roi.y]), self.drift(time)
        gone = float(np.clip(to @ way / max(1e-9, way @ way), 0.0, 1.0))
        return float(np.hypot(*(to - gone * way)))

    def expected_points(self, time: float) -> Array:
        """Where (33, 2) the landmarks should be; beyond a few frames only the body as a whole is extrapolated."""
        elapsed = time - self.time
        own = np.exp(-elapsed / 0.1)
        return self.pose.points + own * self.velocity * elapsed + (1 - own) * self.drift(time)

    def advance(
        self, pose: PoseLook, consistency: float, time: float, rgb: NDArray[np.uint8], met: bool = False
    ) -> None:
        """Take over what was seen at `time`. met: somebody is in the way, who must not rub off on this person."""
        if self.lost:
            away = time - self.time  # who was covered for a moment walks on; limbs have done something else since
            self.velocity = np.tile(np.median(self.velocity, axis=0), (33, 1)) * float(away < LONGEST_GUESS)
            self.hands, self.face = [None, None], None
        else:
            moved = (pose.points - self.pose.points) / max(1e-3, time - self.time)
            moved *= min(1.0, _FASTEST * self.pose.roi.side / max(1e-9, float(np.hypot(*np.median(moved, axis=0)))))
            share = _TRUST_MET if met else _TRUST
            self.velocity = (1 - share) * self.velocity + share * moved
        self.pose, self.consistency, self.time, self.lost = pose, consistency, time, False
        self.size += pose.roi.side * consistency
        if consistency > 0.6 and not met:
            self.colours = 0.95 * self.colours + 0.05 * torso_colours(rgb, pose.points)
            self.limbs = 0.95 * self.limbs + 0.05 * limb_lengths(pose.world)

    def exchange(self, other: Track) -> None:
        """Each of the two was taken for the other: what is seen where stays, who it is changes."""
        for name in ("number", "colours", "limbs"):
            own, others = getattr(self, name), getattr(other, name)
            setattr(self, name, others)
            setattr(other, name, own)
