"""A skeleton as joints, and what mapped bones say about the body: which way it stands and faces, and what cannot be.

All vectors are in armature space; nothing is assumed about axes, rolls or the bones' own directions (importers often
point bones anywhere): joints are the heads of bones.
"""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass

import numpy as np

from ...backend.core.rotations import Array, normalize
from .family import SIDES
from .model import Rig

SURE = 0.5  # certainty of `facing` from which it overrules names

Bones = dict[str, list[int]]  # role -> bones, from the body outwards


@dataclass(frozen=True)
class Axes:
    """Unit vectors of a body, armature space. certainty: 0 .. 1, how far the cues for `forward` agree."""

    up: Array
    left: Array
    forward: Array
    certainty: float


class Tree:
    """A rig's joints with what is asked of them again and again."""

    def __init__(self, rig: Rig) -> None:
        count = len(rig.names)
        self.parents = [int(p) for p in rig.parents]
        self.joints = np.asarray(rig.rest, float)[:, :3, 3]
        self.tails = self.joints + np.asarray(rig.rest, float)[:, :3, 1] * np.asarray(rig.lengths, float)[:, None]
        self.children: list[list[int]] = [[] for _ in range(count)]
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                self.children[parent].append(bone)
        self.weight = np.ones(count, int)  # bones in the subtree
        self.reach = np.zeros(count)  # longest way along joints to a leaf
        self.towards = [-1] * count  # the child on that way
        for bone in range(count - 1, -1, -1):
            for child in self.children[bone]:
                self.weight[bone] += self.weight[child]
                way = self.reach[child] + float(np.linalg.norm(self.joints[child] - self.joints[bone]))
                if self.towards[bone] < 0 or way > self.reach[bone]:
                    self.reach[bone], self.towards[bone] = way, child
        self.size = float(np.ptp(self.joints, axis=0).max()) if count else 0.0

    def chain(self, bone: int) -> list[int]:
        """The bone and its descendants on the longest way to a leaf."""
        way = [bone]
        while self.towards[way[-1]] >= 0:
            way.append(self.towards[way[-1]])
        return way

    def ancestors(self, bone: int) -> list[int]:
        """Parent, grandparent, ... up to the root."""
        way = []
        while (bone := self.parents[bone]) >= 0:
            way.append(bone)
        return way

    def subtree(self, bone: int) -> list[int]:
        found = [bone]
        for item in found:
            found += self.children[item]
        return found


def facing(tree: Tree, bones: Table[str, list[int]], up: Array, left: Array) -> tuple[Array, float]:
    """Forward (3,) and the certainty 0 .. 1 of its sign, from toes, eyes, thumbs and the bend of the knees.

    up, left: unit vectors; left may be wrong by its sign. Roles of both sides are used together, so that it does not
    matter which is which.
    """
    ahead = normalize(np.cross(left, up))

    def mean(role: str, points: Array) -> Array | None:
        found = [points[bones[f"{side}_{role}"][0]] for side in SIDES if bones.get(f"{side}_{role}")]
        return np.mean(found, axis=0) if found else None

    def offset(role: str, origin: str, points: Array) -> float | None:
        a, b = mean(role, points), mean(origin, tree.joints)
        return None if a is None or b is None else float((a - b) @ ahead)

    hip, knee, ankle = (mean(role, tree.joints) for role in ("hip", "knee", "ankle"))
    if hip is None or knee is None or ankle is None:
        return ahead, 0.0
    leg = float(np.linalg.norm(ankle - hip)) or 1.0
    cues: list[tuple[float, float, float | None]] = [  # weight, what counts as clear (shares of the leg), offset
        (1.0, 0.06, offset("foot", "ankle", tree.joints)),
        (0.4, 0.01, float((knee - 0.5 * (hip + ankle)) @ ahead)),
    ]
    if cues[0][2] is None:
        cues.append((0.6, 0.06, offset("ankle", "ankle", tree.tails)))
    eyes = mean("eye", tree.joints)
    if eyes is not None and bones.get("head"):
        cues.append((0.6, 0.04, float((eyes - tree.joints[bones["head"][0]]) @ ahead)))
    if mean("thumb1", tree.joints) is not None:
        cues.append((0.5, 0.02, offset("thumb1", "middle1", tree.joints) or offset("thumb1", "index1", tree.joints)))
    seen = [(weight, value / (clear * leg)) for weight, clear, value in cues if value is not None]
    total = sum(weight * float(np.clip(value, -1, 1)) for weight, value in seen)
    certainty = abs(total) / max(1.0, sum(weight for weight, _ in seen))
    return (ahead if total >= 0 else -ahead), certainty


def axes(tree: Tree, bones: Table[str, list[int]]) -> Axes | None:
    """The body's axes from mapped bones; None without hips and ankles of both sides.

    `left` is where the body's left is by the way it faces, not by its bones' names.
    """
    if not all(bones.get(f"{side}_{role}") for side in SIDES for role in ("hip", "ankle")):
        return None
    at = {role: tree.joints[found[0]] for role, found in bones.items() if found}
    hips, ankles = (0.5 * (at[f"left_{role}"] + at[f"right_{role}"]) for role in ("hip", "ankle"))
    ways = [hips - ankles]  # one bone in a wrong place must not turn the body over
    ways += [at[role] - hips for role in ("head", "left_shoulder", "right_shoulder") if role in at]
    up = normalize(normalize(ways).sum(axis=0))
    across = at["left_hip"] - at["right_hip"]
    if "left_shoulder" in at and "right_shoulder" in at:
        across = across + (at["left_shoulder"] - at["right_shoulder"])
    across = normalize(across - (across @ up) * up)
    forward, certainty = facing(tree, bones, up, across)
    return Axes(up, normalize(np.cross(up, forward)), forward, certainty)


def faults(tree: Tree, bones: Table[str, list[int]]) -> dict[str, str]:
    """Roles whose bones lie where that part of a body cannot be -> what is wrong."""
    body = axes(tree, bones)
    if body is None:
        return {}
    found: dict[str, str] = {}
    at = {role: tree.joints[b[0]] for role, b in bones.items() if b}
    hips = 0.5 * (at["left_hip"] + at["right_hip"])
    across = at["left_hip"] - at["right_hip"]
    leg = max(float(np.linalg.norm(at[f"{side}_hip"] - at[f"{side}_ankle"])) for side in SIDES)
    slack = 0.02 * leg * float(np.linalg.norm(across))
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        if (at[f"{side}_hip"] - at[f"{side}_ankle"]) @ body.up < 0.5 * leg:
            found[f"{side}_ankle"] = "the leg does not go down"
        for role in ("collar", "shoulder", "hip", "knee", "ankle"):
            point = at.get(f"{side}_{role}")
            if point is not None and sign * float((point - hips) @ across) < -slack:
                found[f"{side}_{role}"] = "it is on the other side of the body"
    for role in ("head", "neck", "left_shoulder", "right_shoulder"):
        if role in at and (at[role] - hips) @ body.up < 0.1 * leg:
            found[role] = "it is not above the hips"
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        ends = [(at.get(f"{side}_{a}"), at.get(f"{side}_{b}")) for side in SIDES]
        lengths = [0.0 if p is None or q is None else float(np.linalg.norm(p - q)) for p, q in ends]
        if min(lengths) > 0 and max(lengths) > 1.6 * min(lengths):
            found |= {f"{side}_{b}": "left and right differ in length" for side in SIDES}
        if any(p is not None and q is not None for p, q in ends) and max(lengths) < 0.02 * leg:
            found |= {f"{side}_{b}": "the limb has no length" for side in SIDES}
    return found


def uprightness(tree: Tree, bones: Table[str, list[int]]) -> float:
    """1 where mapped bones stand on two legs under an upright trunk, towards 0 for creatures on four; 1 if unknown."""
    at = {role: tree.joints[b[0]] for role, b in bones.items() if b}

    def middle(role: str) -> Array | None:
        both = [at.get(f"{side}_{role}") for side in SIDES]
        return None if both[0] is None or both[1] is None else 0.5 * (both[0] + both[1])

    hips, ankles, wrists, shoulders = middle("hip"), middle("ankle"), middle("wrist"), middle("shoulder")
    top = at.get("head") if shoulders is None else shoulders
    if hips is None or ankles is None or top is None:
        return 1.0
    up, leg = normalize(hips - ankles), max(float(np.linalg.norm(hips - ankles)), 1e-9)
    upright = ramp(float(normalize(top - hips) @ up), 0.6, 0.85)
    return upright if wrists is None else upright * ramp(float((wrists - ankles) @ up) / leg, 0.1, 0.3)


def ramp(value: float, zero: float, one: float) -> float:
    """0 up to `zero`, 1 from `one` on (which may be the smaller one), in between in proportion."""
    return float(np.clip((value - zero) / (one - zero), 0.0, 1.0))
