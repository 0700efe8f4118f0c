"""Which of the source's joints each bone follows: one to one, or spread along a chain of another length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from ...backend.core.skeleton import INDEX, JOINTS, PARENTS

SPINE = ("pelvis", "spine1", "spine2", "spine3")
NECK = ("spine3", "neck", "head")
CHAINS = {"spine": SPINE, "neck": NECK}
LEVER = 0.4  # between two joints: a bone nearer to the first says too little about the second
IK = ("_ik", "_pole")  # endings of the roles of IK controls
CONTROLS = ("root", *IK)  # of roles that no joint turns


class Follows(NamedTuple):
    """A bone follows the joints of a chain at a place between them (0: the first joint)."""

    joints: tuple[str, ...]
    at: float


def joint_of(role: str) -> str:
    """SMPL-X's name of the joint."""
    return role + "_smplhf" if role.endswith("_eye") else role


def of_finger(role: str) -> bool:
    """Whether a role is that of a finger's bone."""
    return role[:-1].endswith(skeleton.FINGERS)


def follows(rows: dict[str, list[int]], fingers: bool = True) -> dict[int, Follows]:
    """Row of each mapped bone -> what it follows. rows: role -> rows of its bones.

    The last bone of the spine is the chest and turns with it; the bones of a finger of another count take the
    directions that the finger has at their middles.
    """
    out: dict[int, Follows] = {}
    for role, found in rows.items():
        count = len(found)
        if role.endswith(CONTROLS) or of_finger(role):
            continue
        for k, row in enumerate(found):
            if role == "spine":
                out[row] = Follows(SPINE, 3.0 * (k + 1) / count)
            elif role == "neck":
                out[row] = Follows(NECK, 2.0 * (k + 1) / (count + 1))
            elif joint_of(role) in INDEX:
                out[row] = Follows((joint_of(role),), 0.0)
    for side in ("left", "right") if fingers else ():
        for finger in skeleton.FINGERS:
            joints = tuple(f"{side}_{finger}{k}" for k in (1, 2, 3))
            bones = [row for joint in joints for row in rows.get(joint, ())]
            for k, row in enumerate(bones):
                place = float(np.clip((k + 0.5) * 3 / len(bones) - 0.5, 0.0, 2.0))
                out[row] = Follows(joints, place)
    return out


def sample(turned: dict[str, Array], what: Follows) -> Array:
    """Rotation (T, 4) at a place along a chain of joints with these rotations."""
    k = min(int(what.at + 1e-9), len(what.joints) - 1)
    share = what.at - k
    if share < 1e-9:
        return turned[what.joints[k]]
    return rotations.slerp(turned[what.joints[k]], turned[what.joints[k + 1]], np.array(share))


def joints_from(bones: dict[int, Array], what: dict[int, Follows]) -> dict[str, Array]:
    """The inverse of `sample`: rotations (T, 4) of all 55 joints from those of the bones that follow them.

    A joint that no bone follows stays as its parent is.
    """
    known: dict[tuple[str, ...], list[tuple[float, Array]]] = {}
    for row, place in what.items():
        known.setdefault(place.joints, []).append((place.at, bones[row]))
    chain_of = {joint: chain for chain in (SPINE, NECK) if chain in known for joint in chain[1:3]}
    chain_of |= {SPINE[3]: SPINE} if SPINE in known else {}
    chain_of |= {joint: chain for chain in known if len(chain) == 3 and chain != NECK for joint in chain}
    exact = {JOINTS[0], SPINE[3]}  # joints whose rotation the bones fully tell
    out: dict[str, Array] = {}
    for joint, parent in zip(JOINTS, PARENTS, strict=True):
        if (joint,) in known:
            out[joint] = known[(joint,)][0][1]
        elif joint in chain_of:
            chain = chain_of[joint]
            places = list(known[chain])
            if chain in (SPINE, NECK):
                places.append((0.0, out[chain[0]]))
            if chain == NECK and ("head",) in known:
                places.append((2.0, known[("head",)][0][1]))
            place = chain.index(joint)
            above = out[chain[place - 1]] if place and chain[place - 1] in exact else None
            out[joint], found = _at(sorted(places, key=lambda known: known[0]), place, above)
            exact |= {joint} if found else set()
        else:
            out[joint] = out[JOINTS[parent]] if parent >= 0 else rotations.IDENTITY[None]
    return out


def _at(places: list[tuple[float, Array]], place: int, above: Array | None) -> tuple[Array, bool]:
    """Rotation of the joint at a place among known ones in order, and whether that is all it can be.

    above: rotation of the joint before it, if that is known: with a bone between both, it is extrapolated.
    """
    for at, turn in places:
        if abs(at - place) < 1e-9:
            return turn, True
    before = [(at, turn) for at, turn in places if at < place]
    after = [(at, turn) for at, turn in places if at > place]
    if above is not None and before and before[-1][0] - (place - 1) > LEVER:
        at, turn = before[-1]
        return rotations.slerp(above, turn, np.array(1.0 / (at - (place - 1)))), True
    if not before or not after:
        return (before or after)[-1 if before else 0][1], False
    (a, turn), (b, following) = before[-1], after[0]
    return rotations.slerp(turn, following, np.array((place - a) / (b - a))), False
