"""Twist bones: the roll of a limb, shared along it.

Along an upper arm or a thigh the roll grows from nothing at the body to all of it at the elbow or knee; along a
forearm or a shin the roll of the hand or foot does. Twist bones beside the chain (Unreal, Rigify's metarig) take their
share by their place; where they are links of the chain (Daz, MakeHuman, MMD), the first link takes none, the last all.
"""

from __future__ import annotations

import numpy as np

from ...backend.core import rotations
from ...backend.core.rotations import Array, inverse, multiply, normalize, rotate
from .pose import ByRow, Chain

NEXT = {"shoulder": "elbow", "elbow": "wrist", "hip": "knee", "knee": "ankle"}
UPPER = ("shoulder", "hip")


def links(chain: Chain, limb: int, end: int, twists: list[int]) -> list[int]:
    """The limb's bone and those of its twist bones that carry the next joint, downwards."""
    above = chain.above(end)
    return [limb, *sorted(set(twists) & set(above), key=lambda row: -above.index(row))]


def limbs(rows: dict[str, list[int]], twists: dict[str, list[int]]) -> dict[str, tuple[int, int, list[int]]]:
    """role -> bone of the limb, of the next joint, and twist bones, for all limbs that have them."""
    found = {}
    for role, bones in twists.items():
        side, _, joint = role.partition("_")
        end = f"{side}_{NEXT.get(joint)}"
        if bones and role in rows and end in rows:
            found[role] = (rows[role][0], rows[end][0], bones)
    return found


def rolled(chain: Chain, rows: dict[str, list[int]], twists: dict[str, list[int]], turned: ByRow) -> ByRow:
    """Global rotations (T, 4) of twist bones, and of limbs that hand their roll on to them."""
    out: ByRow = {}
    for role, (limb, end, bones) in limbs(rows, twists).items():
        upper = role.endswith(UPPER)
        axis = normalize(rotate(inverse(chain.rest[limb]), chain.heads[end] - chain.heads[limb]))
        if upper:
            roll = _angle(multiply(inverse(chain.frame(limb, turned)), turned[limb]), axis)
        else:
            relative = multiply(inverse(chain.rest[limb]), chain.rest[end])
            roll = _angle(multiply(multiply(inverse(turned[limb]), turned[end]), inverse(relative)), axis)
        inside = links(chain, limb, end, bones)
        heads = [*(chain.heads[row] for row in inside), chain.heads[end]]
        shares = {row: k / (len(inside) - 1) for k, row in enumerate(inside)} if len(inside) > 1 else {}
        axes = {row: heads[k + 1] - heads[k] for k, row in enumerate(inside)}
        along = heads[-1] - heads[0]
        for row in bones:
            if row not in shares:
                place = (chain.heads[row] - heads[0]) @ along / max(float(along @ along), 1e-12)
                shares[row] = float(np.clip(place, 0.0, 1.0))
                axes[row] = along
        for row, share in shares.items():
            # All of the roll is in the limb already, if it is an upper one; none of it, if it is a lower one.
            still = multiply(turned[limb], multiply(inverse(chain.rest[limb]), chain.rest[row]))
            own = normalize(rotate(multiply(turned[limb], inverse(chain.rest[limb])), axes[row]))
            angle = roll * (share - 1.0 if upper else share)
            out[row] = multiply(rotations.from_axis_angle(angle[:, None] * own), still)
    return out


def _angle(turn: Array, axis: Array) -> Array:
    """(T,) radians by which rotations (T, 4) roll about an axis, without jumps."""
    along = np.sum(turn[:, 1:] * axis, axis=-1)
    half = np.arctan2(along, turn[:, 0])
    # Either sign of a quaternion is the same rotation: of the two, the first frame takes the smaller angle.
    half = np.unwrap(half, period=np.pi)
    return 2.0 * (half - np.pi * np.round(half[:1] / np.pi))
