"""Where keypoints are seen on a body: not in the joints' centres, and never quite the same.

Measured on 359 rendered clips of the training's motions (millimetres, in the axes of what carries the point; left side,
the right one mirrored): detectors see shoulders on top of the joint and ankles at the shin's end.
`assets/motion/README.md` says how such clips are made.
"""

from __future__ import annotations

import numpy as np

from ..core import keypoints, rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT

# Keypoint -> whose axes its place is told in (the joint's own or its parent's), that place (x out, y up, z ahead), and
# how far off detectors are from it (one standard deviation, share of the person's height).
_SEEN: dict[str, tuple[str, tuple[float, float, float], float]] = {
    "shoulder": ("parent", (-12.0, 25.0, -3.0), 0.02),
    "elbow": ("own", (3.0, 2.0, 12.0), 0.02),
    "wrist": ("own", (12.0, 2.0, 0.0), 0.02),
    "hip": ("parent", (-19.0, 16.0, 20.0), 0.02),
    "knee": ("own", (1.0, 8.0, -13.0), 0.02),
    "ankle": ("own", (9.0, 27.0, 6.0), 0.02),
}
NAMES = [f"{side}_{part}" for part in _SEEN for side in ("left", "right")]
JOINTS = [JOINT[name] for name in NAMES]
KEYPOINTS = [keypoints.INDEX[name] for name in NAMES]
SIGMA = np.array([_SEEN[name.partition("_")[2]][2] for name in NAMES])
CARRIERS = [
    int(sk.PARENTS[joint]) if _SEEN[name.partition("_")[2]][0] == "parent" else joint
    for name, joint in zip(NAMES, JOINTS, strict=True)
]
OFFSETS = 0.001 * np.array(
    [np.array(_SEEN[part][1]) * ((1, 1, 1) if side == "left" else (-1, 1, 1))
     for side, _, part in (name.partition("_") for name in NAMES)]
)  # fmt: skip


def seen_points(turned: Array, joints: Array) -> Array:
    """Where the keypoints NAMES are seen (T, 12, 3), metres: turned (T, 55, 4) and joints (T, 55, 3) of a pose."""
    return joints[:, JOINTS] + rotations.rotate(turned[:, CARRIERS], OFFSETS)
