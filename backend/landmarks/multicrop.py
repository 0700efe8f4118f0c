"""Several looks at one person, fused: on hard poses a single crop fails where most of a handful do not.

The looks differ in rotation, scale and mirroring of the crop, so their errors are largely independent. Views that
disagree with the majority are dropped; the others are averaged point by point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..stages import Roi
from .crop import wrap
from .pose import INDEX, PoseLook, PoseModel

TORSO = [INDEX[name] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]
# The points that make a pose; face and finger points would outvote them.
_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
JOINTS = np.array([INDEX[f"{side}_{part}"] for part in _PARTS for side in ("left", "right")])

# Rotation (degrees), scale and mirroring of the extra crops, against the region that the tracker expects.
VIEWS = ((0, 1.0, True), (25, 1.1, False), (-25, 1.1, True), (0, 1.3, False))
_CERTAIN, _SAME = 0.9, 0.1  # flags and disagreement (torso lengths) of two looks that need no third
_OUTLIER = 0.35  # torso lengths from the consensus at which a look is dropped
_PRIOR_WEIGHT = 0.5  # of the expected pose, against 1 of a certain look


class Fused(NamedTuple):
    """The fused look, how well the looks agree (0..1), and how many more were taken."""

    look: PoseLook
    agreement: float
    cost: int


def torso_length(points: Array, side: float) -> float:
    """Pixels from the shoulders to the hips of (33, 2) points; foreshortened, the region's side stands in."""
    shoulders, hips = points[TORSO[:2]].mean(axis=0), points[TORSO[2:]].mean(axis=0)
    return max(float(np.hypot(*(shoulders - hips))), 0.15 * side, 1.0)


def disagreement(a: Array, b: Array, weights: Array, length: float) -> float:
    """Weighted mean distance of the joints of two looks (33, 2), in lengths of the torso, each capped at one."""
    apart = np.minimum(np.linalg.norm(a[JOINTS] - b[JOINTS], axis=1) / length, 1.0)
    w = weights[JOINTS] + 1e-3
    return float((apart * w).sum() / w.sum())


def agreement(apart: float) -> float:
    """0..1 from a disagreement: 1 at none, 0.37 where a look counts as an outlier."""
    return float(np.exp(-((apart / _OUTLIER) ** 2)))


def fused(
    model: PoseModel,
    rgb: NDArray[np.uint8],
    first: PoseLook,
    expected: Array | None = None,
    others: Sequence[Array] = (),
) -> Fused:
    """Look again from several sides. first: the single look; expected: (33, 2) pixels predicted from the frames
    before; others: landmarks of people who shall not be seen. While a person is followed, a mirrored look that says
    the same as the first one is enough."""
    base = first.used
    looks = [first]
    for degrees, scale, mirrored in VIEWS:
        roi = Roi(base.x, base.y, base.side * scale, wrap(base.angle + np.radians(degrees)))
        looks.append(model.look(rgb, roi, mirrored, others))
        if expected is not None and len(looks) == 2 and min(first.flag, looks[1].flag) > _CERTAIN:
            if _apart(first, looks[1], torso_length(first.points, base.side)) < _SAME:
                break
    flags = np.array([look.flag for look in looks])
    length = torso_length(looks[int(flags.argmax())].points, base.side)

    def support(a: PoseLook) -> float:
        """How many others see the same as this look."""
        votes = sum(b.flag * agreement(_apart(a, b, length)) for b in looks if b is not a)
        if expected is not None:
            votes += _PRIOR_WEIGHT * agreement(disagreement(a.points, expected, a.visibility, length))
        return a.flag * votes

    best = max(looks, key=support)
    kept = [look for look in looks if look.flag > 0.3 and _apart(look, best, length) < _OUTLIER] or [best]
    spread = float(np.mean([_apart(look, best, length) for look in kept]))
    share = sum(look.flag for look in kept) / len(looks)
    return Fused(_average(kept, best), share * agreement(spread), len(looks) - 1)


def _apart(a: PoseLook, b: PoseLook, length: float) -> float:
    return disagreement(a.points, b.points, np.minimum(a.visibility, b.visibility), length)


def _average(looks: list[PoseLook], best: PoseLook) -> PoseLook:
    """Point by point the median, weighted by how well each look sees the point."""
    weights = np.stack([(look.flag + 0.01) * (look.visibility * look.presence + 0.01) for look in looks])
    points = weighted_median(np.stack([look.points for look in looks]), weights)
    world = weighted_median(np.stack([look.world for look in looks]), weights)
    shift = np.median([np.subtract(look.roi[:2], best.roi[:2]) for look in looks], axis=0)
    return best._replace(
        points=points,
        world=world,
        visibility=np.mean([look.visibility for look in looks], axis=0),
        presence=np.max([look.presence for look in looks], axis=0),
        flag=float(np.median([look.flag for look in looks])),
        roi=best.roi._replace(
            x=best.roi.x + float(shift[0]),
            y=best.roi.y + float(shift[1]),
            side=float(np.median([look.roi.side for look in looks])),
        ),
    )


def weighted_median(values: Array, weights: Array) -> Array:
    """Over the first axis: values (K, N, D), weights (K, N) -> (N, D), each coordinate on its own.

    Interpolated between the two middle values, so that few looks do not make it jump."""
    order = np.argsort(values, axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    w = np.take_along_axis(np.broadcast_to(weights[..., None], values.shape), order, axis=0)
    reached = (np.cumsum(w, axis=0) - 0.5 * w) / w.sum(axis=0)
    above = np.clip((reached < 0.5).sum(axis=0), 1, len(values) - 1) if len(values) > 1 else None
    if above is None:
        return values[0]
    low, high = (np.take_along_axis(reached, above[None] - k, axis=0)[0] for k in (1, 0))
    a, b = (np.take_along_axis(ranked, above[None] - k, axis=0)[0] for k in (1, 0))
    t = np.clip((0.5 - low) / np.maximum(high - low, 1e-9), 0, 1)
    return a + t * (b - a)
