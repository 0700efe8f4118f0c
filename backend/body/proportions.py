"""The person's own bone lengths, constant over a take, from all frames together."""

from __future__ import annotations

import numpy as np

from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT
from ..core.skeleton import Skeleton, neutral
from .landmarks import INDEX as L

# Parts whose length is measured: name -> (landmark pairs, joints whose offset from the parent scales with it).
# Left and right are measured together, so that both sides come out equal.
PARTS: dict[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]] = {
    "thigh": ((("left_hip", "left_knee"), ("right_hip", "right_knee")), ("left_knee", "right_knee")),
    "shin": ((("left_knee", "left_ankle"), ("right_knee", "right_ankle")), ("left_ankle", "right_ankle")),
    "upper_arm": ((("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow")), ("left_elbow", "right_elbow")),
    "forearm": ((("left_elbow", "left_wrist"), ("right_elbow", "right_wrist")), ("left_wrist", "right_wrist")),
    "shoulders": ((("left_shoulder", "right_shoulder"),), ("left_shoulder", "right_shoulder")),
    "hips": ((("left_hip", "right_hip"),), ("left_hip", "right_hip")),
}
SPREAD = (0.8, 1.25)  # how far a part may be from the body's overall scale


def part_lengths(points: Array) -> Array:
    """(T, 33, 3) landmarks in metres -> (T, 7) lengths of PARTS and, last, hips to shoulders."""
    lengths = [
        np.mean([np.linalg.norm(points[:, L[a]] - points[:, L[b]], axis=-1) for a, b in pairs], axis=0)
        for pairs, _ in PARTS.values()
    ]
    return np.stack([*lengths, np.linalg.norm(middle(points, "shoulder") - middle(points, "hip"), axis=-1)], -1)


def middle(points: Array, name: str) -> Array:
    """(..., 3) halfway between the left and the right landmark of that name."""
    return 0.5 * (points[..., L[f"left_{name}"], :] + points[..., L[f"right_{name}"], :])


def _neutral_lengths(skeleton: Skeleton) -> Array:
    rest = skeleton.joints()
    lengths = [np.linalg.norm(rest[JOINT[pairs[0][0]]] - rest[JOINT[pairs[0][1]]]) for pairs, _ in PARTS.values()]
    shoulders = 0.5 * (rest[JOINT["left_shoulder"]] + rest[JOINT["right_shoulder"]])
    hips = 0.5 * (rest[JOINT["left_hip"]] + rest[JOINT["right_hip"]])
    return np.array([*lengths, np.linalg.norm(shoulders - hips)])


def proportioned(points: Array, weights: Array) -> Skeleton:
    """The neutral skeleton with this person's lengths: medians over the frames in which the body is well seen.

    points (T, 33, 3) metres; weights (T, 33) visibility.
    """
    body = neutral()
    seen = weights[:, L["left_shoulder"] : L["right_ankle"] + 1].mean(1)
    good = seen >= np.quantile(seen, 0.5)
    ratio = np.median(part_lengths(points[good]), axis=0) / _neutral_lengths(body)
    overall = float(np.median(ratio))
    ratio = np.clip(ratio, SPREAD[0] * overall, SPREAD[1] * overall)

    scale = np.full(len(body.offsets), overall)
    for (_, joints), r in zip(PARTS.values(), ratio[:-1], strict=True):
        scale[[JOINT[j] for j in joints]] = r
    for name in ("spine1", "spine2", "spine3", "left_collar", "right_collar", "neck"):
        scale[JOINT[name]] = ratio[-1]
    offsets = body.offsets * scale[:, None]
    offsets[0] = body.offsets[0]
    return body.with_offsets(offsets)


def size_of(skeleton: Skeleton) -> float:
    """How much larger than the neutral body a skeleton is: the median over its measured parts."""
    return float(np.median(_neutral_lengths(skeleton) / _neutral_lengths(neutral())))
