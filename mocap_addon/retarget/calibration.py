"""Where a rig stands, and the virtual pose in which it looks like the source's T-pose.

The virtual pose is never applied to the rig: it says how each bone is turned when the source's bone is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array, between, inverse, multiply, normalize, rotate, swing_twist
from ...backend.core.skeleton import INDEX, Skeleton
from .model import Mapping, Rig

SIDES = ("left", "right")
KNUCKLES = ("index", "middle", "ring", "pinky")
UPRIGHT = np.cos(np.radians(30.0))  # a rest pose that stands this straight in the world is meant to stand
STRAIGHT = np.cos(np.radians(15.0))  # a body axis this near to an axis of the armature is meant to be that axis
SQUARE = np.cos(np.radians(2.0))  # and left this near to one, however the sides differ
BENT = np.radians([5.0, 15.0])  # a limb bent by more than the second shows where its hinge is, below the first not
SOLE_REACH = (-0.02, 0.15)  # of the leg: lowest joint of the feet over the armature's origin, if that is on the floor


@dataclass(frozen=True)
class Stage:
    """How the world, in which motion is z up on a floor at z = 0, lies in a rig's armature space.

    A character that was moved or turned takes the motion with it, as the armature of a capture does: the motion's
    origin is the object's, and its front, where a T-pose looks, is that of the rest pose. A tilt of the object, or a
    rest pose that lies, is undone. What a non-uniform scale or a mirror does to the character it does to its motion.

    turn: (4,) from the motion's axes to armature space. up: (3,) the floor's normal in armature space.
    origin: (3,) the motion's origin in armature space. unit: metres of the world in one unit of armature space.
    facing: (4,) stands the rest pose up, in armature space: the identity for most rigs.
    sole: height of the soles over the origin of armature space in the rest pose, in its units.
    """

    turn: Array
    up: Array
    origin: Array
    unit: float
    facing: Array
    sole: float

    @property
    def body(self) -> Array:
        """(4,) from SMPL-X's body axes (y up, facing z) in T-pose to armature space."""
        return multiply(self.turn, skeleton.Y_UP_TO_Z_UP)

    def to_world(self, points: Array) -> Array:
        """Points (..., 3) of armature space -> motion's axes, metres, floor at z = 0."""
        return rotate(inverse(self.turn), points - self.origin) * self.unit

    def to_armature(self, points: Array) -> Array:
        """Back again."""
        return rotate(self.turn, points / self.unit) + self.origin


def rows_of(rig: Rig, mapping: Mapping) -> dict[str, list[int]]:
    """role -> rows of its bones, as far as the rig has them."""
    index = rig.index
    found = {role: [index[b] for b in bones if b in index] for role, bones in mapping.bones.items()}
    return {role: rows for role, rows in found.items() if rows}


def first_heads(rig: Rig, mapping: Mapping) -> dict[str, Array]:
    """role -> rest position (3,) of its first bone's head in armature space."""
    return {role: rig.rest[rows[0], :3, 3] for role, rows in rows_of(rig, mapping).items()}


def stand(rig: Rig, mapping: Mapping) -> Stage:
    """Find out from the rest pose of the mapped bones and the object's matrix how the rig stands in the world."""
    heads = first_heads(rig, mapping)
    matrix = np.asarray(rig.world[:3, :3], float)
    normal = normalize(matrix[2])
    left = _left(heads)
    up = _up(heads, left, normal)
    left = _square(normalize(left - np.dot(left, up) * up))
    facing = between(up, normal) if np.dot(up, normal) > -0.999 else rotations.from_axis_angle(left * np.pi)
    left = rotate(facing, normalize(left - np.dot(left, up) * up))
    turn = rotations.from_matrix(np.stack([left, np.cross(normal, left), normal], axis=-1))

    unit = float(np.linalg.norm(matrix[2]))
    sole, on_origin = _sole(rig, mapping, heads, up)
    place = np.asarray(rig.world[:3, 3], float)
    origin = np.zeros(3)
    if not on_origin:
        origin = np.linalg.solve(matrix, [0.0, 0.0, -place[2]])
    return Stage(turn, normal, origin, unit, facing, sole)


def _left(heads: dict[str, Array]) -> Array:
    """Direction (3,) from the body's right to its left in armature space."""
    pairs = [f"{{}}_{joint}" for joint in ("hip", "shoulder", "collar", "knee", "ankle")]
    found = [
        normalize(heads[pair.format("left")] - heads[pair.format("right")])
        for pair in pairs
        if pair.format("left") in heads and pair.format("right") in heads
    ]
    whole = np.sum(found[:3], axis=0) if found else np.zeros(3)
    return normalize(whole) if np.linalg.norm(whole) > 1e-6 else np.array([1.0, 0.0, 0.0])


def _up(heads: dict[str, Array], left: Array, normal: Array) -> Array:
    """Direction (3,) of the standing rest pose's up in armature space, across `left`."""

    def middle(*joints: str) -> Array | None:
        found = [heads[r] for j in joints for r in (j, f"left_{j}", f"right_{j}") if r in heads]
        return np.mean(found, axis=0) if found else None

    low = next(p for p in (middle(j) for j in ("ankle", "knee", "hip", "pelvis")) if p is not None)
    high = next(
        (p for p in (middle(j) for j in ("head", "neck", "collar", "shoulder", "spine")) if p is not None), None
    )
    if high is None:
        return normalize(normal - np.dot(normal, left) * left)
    raw = high - low
    raw = normalize(raw - np.dot(raw, left) * left)
    if np.dot(raw, normal) > UPRIGHT:
        return normal
    axis = np.round(raw)
    return axis if np.linalg.norm(axis) == 1.0 and np.dot(raw, axis) > STRAIGHT else raw


def _square(direction: Array) -> Array:
    """A direction that is almost an axis is that axis: small asymmetries of the rest pose do not turn the rig."""
    axis = np.round(direction)
    return axis if np.dot(direction, axis) > SQUARE and np.linalg.norm(axis) == 1.0 else direction


def _sole(rig: Rig, mapping: Mapping, heads: dict[str, Array], up: Array) -> tuple[float, bool]:
    """Height of the soles along `up` in the rest pose, and whether the armature's origin is on the floor."""
    ankles, toes = ([heads[f"{s}_{j}"] @ up for s in SIDES if f"{s}_{j}" in heads] for j in ("ankle", "foot"))
    hips = [heads[f"{s}_hip"] @ up for s in SIDES if f"{s}_hip" in heads]
    if not ankles or not hips:
        return 0.0, True
    leg = float(np.mean(hips) - np.mean(ankles))
    lowest = float(min(ankles + toes))
    if SOLE_REACH[0] * leg <= lowest <= SOLE_REACH[1] * leg:
        return 0.0, True
    # The origin is elsewhere (at the hips, in many BVH files): the soles are as far down as on our own body.
    body = skeleton.neutral()
    below = -body.points["left_heel"][1][1]
    if toes:
        below = -body.points["left_big_toe"][1][1]
    own = -(body.offsets[INDEX["left_knee"]] + body.offsets[INDEX["left_ankle"]])[1]
    return float(min(toes or ankles)) - below * leg / own, False


def calibrate(rig: Rig, mapping: Mapping, body: Skeleton | None = None) -> Array:
    """(N, 4) rotations of all bones in armature space in the virtual T-pose: limbs and fingers point as those of
    `body` do in its zero pose, the soles are flat, head and torso are the character's own."""
    return calibrate_on(stand(rig, mapping), rig, mapping, body or skeleton.neutral())


def calibrate_on(stage: Stage, rig: Rig, mapping: Mapping, body: Skeleton) -> Array:
    """As `calibrate`, on a known stage."""
    rest = rotations.from_matrix(rig.rest[:, :3, :3])
    rows = rows_of(rig, mapping)
    turns = _turns(stage, rig, rows, body)
    of_row = {row: turns[role, k] for role, found in rows.items() for k, row in enumerate(found) if (role, k) in turns}
    carried = np.tile(stage.facing, (len(rig.names), 1))
    for i, parent in enumerate(rig.parents):
        carried[i] = of_row[i] if i in of_row else carried[parent] if parent >= 0 else stage.facing
    pose = multiply(carried, rest)
    index = rig.index
    for bone, correction in mapping.corrections.items():
        if bone in index:
            pose[index[bone]] = multiply(pose[index[bone]], normalize(correction))
    return pose


def _turns(stage: Stage, rig: Rig, rows: dict[str, list[int]], body: Skeleton) -> dict[tuple[str, int], Array]:
    """(role, k) -> how the k-th bone of a role is turned, in armature space, from rest to the virtual T-pose."""
    heads = {role: rig.rest[found[0], :3, 3] for role, found in rows.items()}
    out = {(role, k): stage.facing for role, found in rows.items() for k in range(len(found))}

    def put(role: str, turn: Array) -> None:
        for k in range(len(rows.get(role, ()))):
            out[role, k] = turn

    for side in SIDES:
        sign = 1.0 if side == "left" else -1.0
        names = {j: f"{side}_{j}" for j in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")}
        limbs = (
            (names["shoulder"], names["elbow"], names["wrist"], [0.0, -sign, 0.0]),
            (names["hip"], names["knee"], names["ankle"], [1.0, 0.0, 0.0]),
        )
        for upper, lower, end, hinge in limbs:
            turn = stage.facing
            wants = [rotate(stage.body, body.offsets[INDEX[role]]) for role in (lower, end)]
            turn = _swing(turn, heads, upper, lower, wants[0])
            turn = _hinge(turn, heads, upper, lower, end, rotate(stage.body, hinge))
            put(upper, turn)
            turn = _swing(turn, heads, lower, end, wants[1])
            put(lower, turn)
        hand = _hand(out.get((names["elbow"], 0), stage.facing), stage, rig, rows, side, body)
        if hand is not None and names["elbow"] in rows:
            forearm = out[names["elbow"], 0]
            along = normalize(rotate(stage.body, body.offsets[INDEX[names["wrist"]]]))
            _, roll = swing_twist(multiply(hand, inverse(forearm)), along)
            put(names["elbow"], multiply(roll, forearm))
        hand = out.get((names["elbow"], 0), stage.facing) if hand is None else hand
        put(names["wrist"], hand)
        foot = _foot(stage, heads, side, body)
        put(names["ankle"], foot)
        put(names["foot"], foot)
        for finger in skeleton.FINGERS:
            for key, turn in _finger(hand, stage, rig, rows, f"{side}_{finger}", body).items():
                out[key] = turn
    return out


def _swing(turn: Array, heads: dict[str, Array], bone: str, child: str, want: Array) -> Array:
    """`turn` and then the least rotation that makes the bone, from its joint to the next one, point as wanted."""
    if bone not in heads or child not in heads:
        return turn
    along = heads[child] - heads[bone]
    if np.linalg.norm(along) < 1e-9:
        return turn
    return multiply(between(rotate(turn, along), want), turn)


def _hinge(turn: Array, heads: dict[str, Array], upper: str, lower: str, end: str, want: Array) -> Array:
    """`turn` rolled about the upper bone, so that a limb that is bent at rest has its hinge where the source has it."""
    if not all(role in heads for role in (upper, lower, end)):
        return turn
    a, b = normalize(heads[lower] - heads[upper]), normalize(heads[end] - heads[lower])
    bend = float(np.arctan2(np.linalg.norm(np.cross(a, b)), np.dot(a, b)))
    weight = float(np.clip((bend - BENT[0]) / (BENT[1] - BENT[0]), 0.0, 1.0))
    axis, hinge = rotate(turn, a), rotate(turn, normalize(np.cross(a, b)))
    want = normalize(want - np.dot(want, axis) * axis)
    angle = float(np.arctan2(np.dot(np.cross(hinge, want), axis), np.dot(hinge, want)))
    if abs(angle) > np.pi / 2:  # bent the wrong way at rest: that is no hinge
        return turn
    return multiply(rotations.from_axis_angle(axis * angle * weight), turn)


def _hand(
    forearm: Array, stage: Stage, rig: Rig, rows: dict[str, list[int]], side: str, body: Skeleton
) -> Array | None:
    """How the hand is turned: its knuckles lie as the source's. None: nothing to see it by."""
    wrist = f"{side}_wrist"
    if wrist not in rows:
        return None
    head = rig.rest[rows[wrist][0], :3, 3]
    found = [f"{side}_{finger}1" for finger in KNUCKLES if f"{side}_{finger}1" in rows]
    if not found:
        return forearm  # the bone's end says little: imported bones often end anywhere
    own = np.array([rig.rest[rows[role][0], :3, 3] - head for role in found])
    theirs = rotate(stage.body, body.offsets[[INDEX[role] for role in found]])
    if len(found) == 1:
        return multiply(between(rotate(forearm, own[0]), theirs[0]), forearm)
    frames = [rotations.frame_from(k.mean(axis=0), k[0] - k[-1]) for k in (own, theirs)]
    return multiply(rotations.from_matrix(frames[1]), inverse(rotations.from_matrix(frames[0])))


def _foot(stage: Stage, heads: dict[str, Array], side: str, body: Skeleton) -> Array:
    """How a foot is turned: flat as at rest, and heading as the source's."""
    ankle, toes = f"{side}_ankle", f"{side}_foot"
    if ankle not in heads or toes not in heads:
        return stage.facing
    own = rotate(stage.facing, heads[toes] - heads[ankle])
    want = rotate(stage.body, body.offsets[INDEX[toes]])
    flat_own, flat_want = (v - np.dot(v, stage.up) * stage.up for v in (own, want))
    if np.linalg.norm(flat_own) < 0.3 * np.linalg.norm(own):
        return stage.facing  # a foot that points down has no heading
    angle = float(np.arctan2(np.dot(np.cross(flat_own, flat_want), stage.up), np.dot(flat_own, flat_want)))
    return multiply(rotations.from_axis_angle(stage.up * angle), stage.facing)


def _finger(
    hand: Array, stage: Stage, rig: Rig, rows: dict[str, list[int]], finger: str, body: Skeleton
) -> dict[tuple[str, int], Array]:
    """How the bones of one finger are turned, each of them carried by the one before."""
    roles = [f"{finger}{k}" for k in (1, 2, 3) if f"{finger}{k}" in rows]
    if not roles:
        return {}
    joints = [rotate(stage.body, body.offsets[INDEX[f"{finger}{k}"]]) for k in (2, 3)]
    joints.append(rotate(stage.body, body.points[f"{finger}_tip"][1]))
    out, turn = {}, hand
    chain = [(role, k, row) for role in roles for k, row in enumerate(rows[role])]
    for number, (role, k, row) in enumerate(chain):
        if number + 1 < len(chain):
            along = rig.rest[chain[number + 1][2], :3, 3] - rig.rest[row, :3, 3]
        else:
            along = rig.rest[row, :3, 1]
            before = rig.rest[row, :3, 3] - rig.rest[chain[number - 1][2], :3, 3] if number else along
            if np.dot(normalize(along), normalize(before)) < 0.5:
                along = before  # the end of this bone says nothing: imported bones often end anywhere
        want = joints[int((number + 0.5) * 3 / len(chain))]
        if np.linalg.norm(along) > 1e-9:
            turn = multiply(between(rotate(turn, along), want), turn)
        out[role, k] = turn
    return out
