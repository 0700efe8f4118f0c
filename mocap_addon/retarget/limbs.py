"""The joints along a body whose legs and arms are known: hips to toes, collars to fingers, seat to head."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...backend.core.rotations import Array, normalize
from .family import SIDES, swapped
from .shape import Bones, Tree, facing

ANKLE = 0.2  # the ankle is the first joint below this share of the hip's height
HAND = 0.45  # a hand with fingers is at most this share of the arm from shoulder to wrist
ELBOW = 0.53  # where the elbow is between shoulder and wrist
TIP = 0.08  # a last joint that far from the one before it is the end of the head, not the head; share of the body
TOES = 0.45  # toes begin at the first joint beyond this share of the foot
LONG_FINGER = 3
HOLDER = 0.012  # bones nearer to the next one, as a share of the body, only hold it

Pair = tuple[int, int]  # first bones of two mirrored limbs


def complete(tree: Tree, legs: Pair, arms: Pair, up: Array) -> tuple[Bones, float]:
    """Roles of all bones that can be told, and how well the joints' proportions fit, 0 .. 1."""
    across = tree.joints[tree.chain(legs[0])[-1]] - tree.joints[tree.chain(legs[1])[-1]]
    left = normalize(across - (across @ up) * up)
    hands = [tree.joints[tree.chain(bone)[-1]] for bone in arms]
    if (hands[0] - hands[1]) @ left < 0:
        arms = (arms[1], arms[0])
    lower = [_leg(tree, leg, up) for leg in legs]
    if not all(lower):
        return {}, 0.0
    middle = 0.5 * (tree.joints[arms[0]] + tree.joints[arms[1]])
    hips = 0.5 * abs(float((tree.joints[lower[0]["hip"]] - tree.joints[lower[1]["hip"]]) @ left))
    upper = [_arm(tree, arm, np.abs((tree.joints - middle) @ left) - hips) for arm in arms]
    if not all(upper):
        return {}, 0.0
    bones = _trunk(tree, legs, arms, [found["shoulder"] for found in upper], up)
    sides = [a | b for a, b in zip(lower, upper, strict=True)]
    for side, found in zip(SIDES, sides, strict=True):
        bones |= {f"{side}_{role}": [bone] for role, bone in found.items()}
    quality = min(map(len, sides)) / max(map(len, sides))
    for a, b, c in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
        for found in sides:
            over, under = _apart(tree, found[a], found[b]), _apart(tree, found[b], found[c])
            share = over / max(over + under, 1e-9)
            quality *= float(np.clip(1.4 - abs(share - 0.5) / 0.3, 0.0, 1.0))
    forward, certainty = facing(tree, bones, up, left)
    if np.cross(up, forward) @ left < 0:
        bones = swapped(bones)
    return bones, quality * (0.85 + 0.15 * min(1.0, 2 * certainty)) * (1.0 if bones.get("spine") else 0.9)


def _trunk(tree: Tree, legs: Pair, arms: Pair, shoulders: list[int], up: Array) -> Bones:
    seat, chest = tree.parents[legs[0]], tree.parents[arms[0]]
    above = [chest, *tree.ancestors(chest)]
    below = [seat, *tree.ancestors(seat)]
    pelvis = next((bone for bone in below if bone in above), seat)
    heights = tree.joints @ up
    starts = float(np.mean(heights[list(legs)]))
    floor = float(min(heights[tree.subtree(leg)].min() for leg in legs))
    if heights[pelvis] < floor + 0.3 * (starts - floor) and pelvis != seat:
        pelvis = seat  # what they share is only a root on the floor
    spine = above[: above.index(pelvis)][::-1] if pelvis in above else [chest]
    spine, head_way = _joints(tree, spine), _head_way(tree, chest, {*arms, *legs}, heights)
    collars = float(np.mean(heights[list(arms)]))
    while len(head_way) > 1 and heights[head_way[1]] <= collars and len(tree.children[head_way[0]]) < 3:
        spine.append(head_way.pop(0))  # the spine goes on above where the arms hang
    hangs_from_neck = bool(heights[chest] >= np.mean(heights[shoulders]))
    neck, head = _neck_and_head(tree, head_way, neck_below=hangs_from_neck)
    if not neck and len(spine) > 2 and hangs_from_neck:
        neck = [spine.pop()]
    bones: Bones = {"pelvis": [pelvis], "spine": spine, "neck": neck, "head": head}
    roots = tree.ancestors(pelvis)
    if roots and heights[roots[-1]] < floor + 0.25 * (starts - floor):
        bones["root"] = [roots[-1]]
    return {role: found for role, found in bones.items() if found}


def _head_way(tree: Tree, chest: int, limbs: set[int], heights: Array) -> list[int]:
    """From above the chest to the top of the head: always on to the child with the highest joint below it."""
    way: list[int] = []
    bone = chest
    while children := [child for child in tree.children[bone] if child not in limbs]:
        bone = max(children, key=lambda child: float(heights[tree.subtree(child)].max()))
        if heights[tree.subtree(bone)].max() < heights[chest]:
            break
        way.append(bone)
    return way


def _neck_and_head(tree: Tree, way: list[int], neck_below: bool) -> tuple[list[int], list[int]]:
    """The head is where a face branches off, else the last joint that is not the end of the head.

    neck_below: the arms hang from a bone so high that it is the neck.
    """
    if not way:
        return [], []
    face = next((i for i, bone in enumerate(way) if i and len(tree.children[bone]) >= 3), None)
    if face is None:
        tip = len(way) > (1 if neck_below else 2) and _apart(tree, way[-1], way[-2]) > TIP * tree.size
        face = len(way) - (2 if tip else 1)
    while face > 1 and _apart(tree, way[face], way[face - 1]) < 0.01 * tree.size:
        face -= 1  # what carries the face sits where the head does
    return _joints(tree, way[: face + 1])[:-1], [way[face]]


def _joints(tree: Tree, way: list[int]) -> list[int]:
    """A chain without bones that only hold the next one, in the same place."""
    held = {
        bone
        for bone, below in pairwise(way)
        if len(tree.children[bone]) == 1 and _apart(tree, bone, below) < HOLDER * tree.size
    }
    return [bone for bone in way if bone not in held]


def _leg(tree: Tree, start: int, up: Array) -> dict[str, int]:
    way = _joints(tree, tree.chain(start))
    heights = tree.joints[way] @ up
    floor = float((tree.joints[tree.subtree(start)] @ up).min())
    ankle = next(i for i, h in enumerate(heights) if h <= floor + ANKLE * (heights[0] - floor))
    hip = 0
    while hip + 2 < ankle:  # a bone from the middle out to the hip comes before the thigh
        step = tree.joints[way[hip + 1]] - tree.joints[way[hip]]
        if -(step @ up) > 0.5 * np.linalg.norm(step):
            break
        hip += 1
    if ankle < hip + 2:
        return {}
    lengths = [_apart(tree, way[hip], way[i]) - _apart(tree, way[i], way[ankle]) for i in range(hip + 1, ankle)]
    knee = hip + 1 + int(np.argmin(np.abs(lengths)))
    found = {"hip": way[hip], "knee": way[knee], "ankle": way[ankle]}
    foot = [_apart(tree, way[ankle], bone) for bone in way[ankle + 1 :]]
    if foot:
        found["foot"] = next(b for b, far in zip(way[ankle + 1 :], foot, strict=True) if far >= TOES * max(foot))
    return found


def _arm(tree: Tree, start: int, outwards: Array) -> dict[str, int]:
    """outwards: (N,) how much further from the middle a joint is than the hips: collars are not, shoulders are."""
    way = _joints(tree, tree.chain(start))
    wrist = next(
        (
            i
            for i, bone in enumerate(way)
            if i > 1 and tree.reach[bone] < HAND * tree.reach[start] and len(_digit_branches(tree, bone)) > 1
        ),
        None,
    )
    best: tuple[float, int, int, int] | None = None
    for shoulder in range(len(way) - 2):
        last = wrist
        if last is None:  # without fingers: the first joint that leaves less than a hand
            last = next(
                i
                for i in range(shoulder + 2, len(way))
                if tree.reach[way[i]] <= HAND * _apart(tree, way[shoulder], way[i]) or i == len(way) - 1
            )
        for elbow in range(shoulder + 1, last):
            a, b = tree.reach[way[shoulder]] - tree.reach[way[elbow]], tree.reach[way[elbow]] - tree.reach[way[last]]
            # the elbow in the middle, and as much of the arm as can be
            badness = abs(a / max(a + b, 1e-9) - ELBOW) + 0.1 * (1 - (a + b) / max(tree.reach[start], 1e-9))
            if outwards[way[shoulder]] < 0 or (shoulder and outwards[way[shoulder - 1]] > 0.25 * a):
                badness += 0.2
            if best is None or badness < best[0]:
                best = (badness, shoulder, elbow, last)
    if best is None:
        return {}
    _, shoulder, elbow, last = best
    found = {"shoulder": way[shoulder], "elbow": way[elbow], "wrist": way[last]}
    if shoulder:
        found["collar"] = way[0]
    return found | _fingers(tree, way[last])


def _apart(tree: Tree, a: int, b: int) -> float:
    return float(np.linalg.norm(tree.joints[a] - tree.joints[b]))


def _digit_branches(tree: Tree, bone: int) -> list[int]:
    return [child for child in tree.children[bone] if _digits(tree, child)]


def _digits(tree: Tree, start: int) -> list[list[int]]:
    """Chains of two bones or more that end in a leaf, beginning where they leave the palm."""
    way = [start]
    while len(tree.children[way[-1]]) == 1:
        way.append(tree.children[way[-1]][0])
    branches = [digit for child in tree.children[way[-1]] for digit in _digits(tree, child)]
    if branches:
        return branches
    return [tree.chain(start)] if len(tree.chain(start)) > 1 else []


def _fingers(tree: Tree, wrist: int) -> dict[str, int]:
    """Thumb, then index to pinky from the thumb's side on; what a hand lacks is left out."""
    digits = [digit for child in tree.children[wrist] for digit in _digits(tree, child)]
    if not digits:
        return {}
    palm = tree.joints[wrist]
    hand = max(float(np.linalg.norm(tree.joints[digit[-1]] - palm)) for digit in digits)
    found: dict[str, int] = {}
    if len(digits) > 1:
        ways = normalize([tree.joints[digit[-1]] - tree.joints[digit[0]] for digit in digits])
        bases = np.array([tree.joints[digit[0]] for digit in digits])
        near = 1 - np.linalg.norm(bases - palm, axis=1) / hand
        rest = [normalize(np.delete(ways, i, axis=0).sum(axis=0)) for i in range(len(digits))]
        odd = np.arccos(np.clip(np.sum(ways * rest, axis=1), -1, 1)) + near
        thumb = int(np.argmax(odd))
        across = np.delete(bases, thumb, axis=0).mean(axis=0) - bases[thumb]
        across = across - (across @ rest[thumb]) * rest[thumb]
        found |= {f"thumb{k}": bone for k, bone in enumerate(digits[thumb][:LONG_FINGER], 1)}
        del digits[thumb]
    else:
        across = np.zeros(3)
    palms = [len(digit) > LONG_FINGER and _apart(tree, wrist, digit[0]) < 0.35 * hand for digit in digits]
    others = [digit[1:] if palm else digit for digit, palm in zip(digits, palms, strict=True)]
    others.sort(key=lambda digit: float(tree.joints[digit[0]] @ across))
    for finger, digit in zip(("index", "middle", "ring", "pinky"), others, strict=False):
        found |= {f"{finger}{k}": bone for k, bone in enumerate(digit[:LONG_FINGER], 1)}
    return found
