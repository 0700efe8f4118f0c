"""Less jitter, limb by limb; fast moves are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...backend.core import rotations
from ...backend.core.rotations import Array
from ...backend.core.skeleton import FINGERS, INDEX
from ...backend.core.smoothing import local_average, local_quadratic, without_spikes
from ..retarget.model import SourceMotion


def _both(side: str, *parts: str) -> tuple[int, ...]:
    return tuple(INDEX[f"{side}_{part}"] for part in parts)


# What is smoothed together -> joints. Toes are left alone: with the ankle they make a foot that stands still.
LIMBS = {
    "trunk": tuple(INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")),
    "left_arm": _both("left", "collar", "shoulder", "elbow", "wrist"),
    "right_arm": _both("right", "collar", "shoulder", "elbow", "wrist"),
    "left_leg": _both("left", "hip", "knee", "ankle"),
    "right_leg": _both("right", "hip", "knee", "ankle"),
    "hands": sum((_both(s, *(f"{f}{k}" for f in FINGERS for k in (1, 2, 3))) for s in ("left", "right")), ()),
}
PATH = "path"  # the pelvis' way through the room
FEEL = (*LIMBS, PATH)
MOVES_FEET = ("trunk", "left_leg", "right_leg", PATH)

WIDEST = 0.15  # seconds, the kernel at full strength
NOISE = np.radians(3.0)  # what may be taken off a rotation at full strength
PATH_NOISE = 0.02  # metres, likewise
LASTING = 0.05  # seconds over which it is judged whether something is fast


def smooth(motion: SourceMotion, strength: dict[str, float]) -> SourceMotion:
    """strength: name in FEEL -> 0 (leave it) to 1. Feet slip afterwards: `plant.plant` holds them again."""
    local, pelvis = motion.local.copy(), motion.pelvis
    for limb, joints in LIMBS.items():
        if amount := strength.get(limb, 0.0):
            columns = list(joints)
            steady = keep_fast(rotations.continuous(local[:, columns]), motion.times, amount, amount * NOISE / 2)
            local[:, columns] = rotations.normalize(steady)
    if amount := strength.get(PATH, 0.0):
        pelvis = keep_fast(pelvis[:, None], motion.times, amount, amount * PATH_NOISE)[:, 0]
    return replace(motion, local=rotations.continuous(local), pelvis=pelvis)


def keep_fast(values: Array, times: Array, strength: float, noise: float) -> Array:
    """Values (T, N, D) without what is smaller than `noise` and quicker than the kernel; no lag, peaks stay.

    What a wide fit leaves over is jitter where it is as small as the noise and motion where it is larger: it is kept
    in the proportion that a Wiener filter would keep. A single frame that jumps out and back counts for nothing.
    """
    if len(values) < 3:
        return values.copy()
    each = np.full(values.shape[-1], noise)
    weights = without_spikes(values, np.ones(values.shape[:-1]), each) + 1e-6
    wide = local_quadratic(values, times, weights, 0.04 + (WIDEST - 0.04) * strength)
    detail = (values - wide) * np.minimum(weights, 1.0)[..., None]
    size = np.sum((detail / noise) ** 2, axis=-1, keepdims=True) / values.shape[-1]
    energy = local_average(size, times, LASTING, weights)
    return wide + detail * (energy / (1.0 + energy))
