"""Humanoids found by the shape of their skeleton, whatever its bones are called.

A humanoid has two mirrored chains that reach down, above them two mirrored chains that do not, and a chain that goes on
up between those. `limbs` tells the joints along them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...backend.core.rotations import Array, normalize
from .limbs import Pair, complete
from .model import Rig
from .shape import Bones, Tree, ramp

MIN_LIMB = 0.12  # shortest limb, as a share of the skeleton's size: what is smaller is hair, a pouch, a face


@dataclass(frozen=True)
class Structure:
    """A humanoid found by shape. score: 0 .. 1; with less than about 0.5 it is none."""

    bones: Bones
    score: float


def analyse(rig: Rig, tree: Tree | None = None) -> Structure:
    """The humanoid in a rig by its shape alone, with as many roles as can be told."""
    tree = tree or Tree(rig)
    best = Structure({}, 0.0)
    linear = np.asarray(rig.world, float)[:3, :3]
    world_up = normalize(np.linalg.pinv(linear) @ np.array([0.0, 0.0, 1.0]))
    ups = [world_up, *np.eye(3), *-np.eye(3)]
    mirrored = _mirrored_pairs(tree)
    for i, up in enumerate(ups):
        if i and abs(float(up @ world_up)) > 0.99 and up @ world_up > 0:
            continue
        for legs, arms, score in _bodies(tree, mirrored, up):
            if score * (1.0 if i == 0 else 0.97) > best.score + 1e-6:
                bones, quality = complete(tree, legs, arms, up)
                if score * quality > best.score + 1e-6:
                    best = Structure(bones, score * quality)
    return best


def _mirrored_pairs(tree: Tree) -> list[Pair]:
    """Siblings that begin two mirrored limbs."""
    found = []
    shortest = MIN_LIMB * tree.size
    for siblings in tree.children:
        long = [bone for bone in siblings if tree.reach[bone] > shortest]
        for a, b in combinations(long, 2):
            reach, weight = sorted((tree.reach[a], tree.reach[b])), sorted((tree.weight[a], tree.weight[b]))
            if reach[0] < 0.85 * reach[1] or weight[0] < 0.6 * weight[1]:
                continue
            ends = [tree.joints[tree.chain(bone)[-1]] for bone in (a, b)]
            across = normalize(ends[0] - ends[1])
            along = [end - tree.joints[bone] for end, bone in zip(ends, (a, b), strict=True)]
            apart = float(np.linalg.norm(ends[0] - ends[1]))
            if apart < 0.05 * reach[1] or abs(float((along[0] + along[1]) @ across)) > 0.35 * reach[1]:
                continue
            found.append((a, b))
    return found


def _bodies(tree: Tree, pairs: list[Pair], up: Array) -> list[tuple[Pair, Pair, float]]:
    """Pairs of legs with pairs of arms that could belong to one upright body, the likeliest first."""
    heights = tree.joints @ up
    longest = max((tree.reach[bone] for pair in pairs for bone in pair), default=0.0)
    found = []
    for legs in pairs:
        starts = 0.5 * (tree.joints[legs[0]] + tree.joints[legs[1]])
        ends = [tree.chain(bone)[-1] for bone in legs]
        low = min(float(heights[tree.subtree(bone)].min()) for bone in legs)
        leg = float(starts @ up) - low
        if leg < 0.2 * np.ptp(heights) or leg < 0.6 * max(tree.reach[b] for b in legs):
            continue  # they do not go down
        across = normalize(tree.joints[ends[0]] - tree.joints[ends[1]])
        if abs(float(across @ up)) > 0.3:
            continue
        inside = set(tree.subtree(legs[0])) | set(tree.subtree(legs[1]))
        for arms in pairs:
            if arms[0] in inside or arms[1] in inside or set(arms) & set(legs):
                continue
            chest = tree.parents[arms[0]]
            shoulders = 0.5 * (tree.joints[arms[0]] + tree.joints[arms[1]])
            torso = shoulders - starts
            upright = float(normalize(torso) @ up)
            arm = max(tree.reach[b] for b in arms)
            arm_ends = [tree.joints[tree.chain(bone)[-1]] for bone in arms]
            sideways = abs(float(normalize(arm_ends[0] - arm_ends[1]) @ across))
            hands = min(float(end @ up) for end in arm_ends) - low
            score = ramp(upright, 0.6, 0.85) * ramp(sideways, 0.7, 0.9) * ramp(hands / leg, 0.15, 0.35)
            score *= ramp(arm / leg, 0.3, 0.5) * ramp(leg / max(float(np.linalg.norm(torso)), 1e-9), 0.35, 0.6)
            score *= ramp(1.0 - float(starts @ up - low) / max(float(np.ptp(heights)), 1e-9), 0.1, 0.25)
            score *= ramp(min(tree.reach[b] for b in legs) / longest, 0.3, 0.5)
            limbs = inside | set(tree.subtree(arms[0])) | set(tree.subtree(arms[1]))
            rest = [bone for bone in tree.subtree(chest) if bone not in limbs]
            top = tree.joints[max(rest, key=lambda bone: float(heights[bone]))] - shoulders
            score *= ramp(float(top @ up) / leg, 0.0, 0.1) * ramp(abs(float(normalize(top) @ across)), 0.5, 0.3)
            if chest == tree.parents[legs[0]]:
                score *= 0.4  # no trunk
            if score > 0.2:
                found.append((legs, arms, score))
    return sorted(found, key=lambda item: -item[2] * (tree.reach[item[0][0]] + tree.reach[item[1][0]]))[:6]
