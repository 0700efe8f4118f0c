"""Motion onto a rig, and a rig's motion as a source: one formula, both ways.

With all rotations in one upright frame, D(t) is how far a joint is turned from the T-pose, and a bone that follows it
is turned by D(t) from its place in the rig's own virtual T-pose (`calibration`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array, inverse, multiply, normalize, rotate
from ...backend.core.skeleton import INDEX, JOINTS, PARENTS, Y_UP_TO_Z_UP, Skeleton
from . import calibration, feet, roles, root, twists
from .calibration import SIDES, Stage
from .model import Channels, Mapping, Options, Retargeted, Rig, SourceMotion
from .pose import ByRow, Chain


class _Target:
    """A rig with all that is known about it before the first frame."""

    def __init__(self, rig: Rig, mapping: Mapping, body: Skeleton, options: Options) -> None:
        self.rig = rig
        self.rows = calibration.rows_of(rig, mapping)
        self.heads = calibration.first_heads(rig, mapping)
        self.stage = calibration.stand(rig, mapping)
        self.pose = calibration.calibrate_on(self.stage, rig, mapping, body)
        self.follows = roles.follows(self.rows, options.fingers)
        index = rig.index
        mapped = set(sum(self.rows.values(), []))
        named = {role: [index[bone] for bone in bones if bone in index] for role, bones in mapping.twists.items()}
        self.twists = {role: [row for row in bones if row not in mapped] for role, bones in named.items() if bones}
        others = {row for role, rows in self.rows.items() if role.endswith(roles.IK) for row in rows}
        if not options.fingers:  # the user's own
            others |= {row for role, rows in self.rows.items() if roles.of_finger(role) for row in rows}
        self.own = (mapped | set(sum(self.twists.values(), []))) - others
        controls = [rows[0] for role, rows in self.rows.items() if role.endswith(roles.CONTROLS)]
        self.chain = Chain(rig, [*self.follows, *sum(self.twists.values(), []), *controls])

    def leg(self, side: str) -> tuple[int, int, int] | None:
        """Rows of thigh, shin and foot."""
        names = [f"{side}_{joint}" for joint in ("hip", "knee", "ankle")]
        found = [self.rows[name][0] for name in names if name in self.rows]
        return (found[0], found[1], found[2]) if len(found) == 3 else None

    def turn_from_t_pose(self, row: int, turned: ByRow) -> Array:
        """(T, 4) D(t) of a bone in the motion's axes."""
        delta = multiply(turned[row], inverse(self.pose[row]))
        return multiply(multiply(inverse(self.stage.turn), delta), self.stage.turn)

    def middle_of_hips(self, positions: ByRow) -> Array:
        """(T, 3) armature space; without legs, the pelvis' head."""
        hips = [positions[self.rows[role][0]] for role in root.HIPS if role in self.rows]
        return np.mean(np.broadcast_arrays(*hips), axis=0) if hips else positions[self.rows["pelvis"][0]]

    def below(self, limbs: Iterable[str]) -> list[int]:
        """Rows of these roles' bones and of all below them."""
        tops = {row for role in limbs for row in self.rows.get(role, ())}
        return [row for row in self.chain.rows if tops & set(self.chain.above(row))]

    def sole(self, side: str, body: Skeleton, ratio: float) -> dict[str, tuple[str, Array]]:
        """See `feet.sole_points`."""
        ahead = np.zeros(3)
        ankle, toes = f"{side}_ankle", f"{side}_foot"
        if toes in self.heads:
            rest = self.chain.rest[self.rows[ankle][0]]
            turn = multiply(self.pose[self.rows[ankle][0]], inverse(rest))
            ahead = rotate(multiply(inverse(self.stage.body), turn), self.heads[toes] - self.heads[ankle])
        return feet.sole_points(self.stage, self.heads, side, body, ratio, ahead * self.stage.unit)


def retarget(source: SourceMotion, rig: Rig, mapping: Mapping, options: Options | None = None) -> Retargeted:
    """Bone -> channels. Only mapped bones are written, and a bone above the pelvis if the pelvis cannot be moved.

    Rotations are bases (T, 4), sign-continuous, whatever the bone's rotation mode; locations are in the bone's own
    location space. Locked channels stay at rest. A mapped bone without a task, such as the root while the hips
    carry all, has one row, at rest; fingers and IK controls are written with `options.fingers` and `ik_controls` alone.
    """
    options = options or Options()
    if "pelvis" not in calibration.rows_of(rig, mapping):
        return {}
    target = _Target(rig, mapping, source.body, options)
    stage, chain, rows = target.stage, target.chain, target.rows
    ratio = root.size(stage, target.heads, source.body)
    way = root.way_of(source, ratio, options)

    # Where every mapped bone points.
    turned_source, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    followed = {joint for what in target.follows.values() for joint in what.joints}
    into, out_of = stage.turn, multiply(inverse(Y_UP_TO_Z_UP), inverse(stage.turn))
    deltas = {joint: multiply(multiply(into, turned_source[:, INDEX[joint]]), out_of) for joint in followed}
    wanted = {row: multiply(roles.sample(deltas, what), target.pose[row]) for row, what in target.follows.items()}

    # Who carries the body.
    root_row = rows["root"][0] if "root" in rows and options.root == "bone" else None
    body_row = root.carrier(chain, rows, root_row)
    rest_hips = stage.to_world(_standing(target))
    moved: ByRow = {}
    locations: ByRow = {}
    if root_row is not None:
        wanted[root_row] = multiply(_conjugated(way.heading, stage), target.pose[root_row])
    turned, bases = chain.resolve(wanted)
    if root_row is not None and not rig.connected[root_row]:
        place = _root_place(target, root_row, way.heading, way.hips, rest_hips)
        displacement = stage.to_armature(place) - chain.positions(turned, moved)[root_row]
        _move(chain, root_row, turned, displacement, moved, locations)
    positions = chain.positions(turned, moved)
    hips = stage.to_armature(way.hips)
    displacement = hips - target.middle_of_hips(positions)

    if options.feet:
        raised = np.zeros((len(source.times), 3))
        legs = _plant(source, target, turned_source, joints, ratio, turned, positions, displacement, raised)
        displacement = displacement + rotate(stage.turn, raised) / stage.unit
        if legs:
            wanted |= legs
            turned, more = chain.resolve(wanted, target.below(root.HIPS), turned)
            bases |= more
    if body_row is not None:
        _move(chain, body_row, turned, displacement + moved.get(body_row, 0.0), moved, locations)
    # What the options take away of the way is taken from the bone that would carry it.
    lost = root.held_back(way, rest_hips, stage, rig.world, options)
    over_floor = lost * [1.0, 1.0, 0.0] if root_row in locations else np.zeros(3)
    for row, part in ((root_row, over_floor), (body_row, lost - over_floor)):
        if row is not None and row in locations and np.any(part):
            away = rotate(stage.turn, part) / stage.unit
            _move(chain, row, turned, moved[row] - away, moved, locations)

    if target.twists:
        wanted |= twists.rolled(chain, rows, target.twists, turned)
        turned, more = chain.resolve(wanted, target.below(target.twists), turned)
        bases |= more
    if options.ik_controls:
        bases |= _controls(target, turned, chain.positions(turned, moved), moved, locations)
    # A bone without a task was measured at rest: without keys it would stay as it was shown last.
    for row in target.own if body_row is None else target.own | {body_row}:
        if row not in bases:
            bases[row] = rotations.IDENTITY[None]
            locations.setdefault(row, np.zeros((1, 3)))
    return _channels(rig, bases, locations)


def _standing(target: _Target) -> Array:
    """(3,) the middle of the hips of the rest pose, stood up as the stage has it, in armature space."""
    rest = target.middle_of_hips({row: target.chain.heads[row] for row in target.chain.rows})
    up = rotate(inverse(target.stage.facing), target.stage.up)
    floor = target.stage.sole * up
    return rotate(target.stage.facing, rest - floor) + target.stage.origin


def _root_place(target: _Target, row: int, heading: Array, hips: Array, rest_hips: Array) -> Array:
    """(T, 3) motion's axes: the root bone under the hips as it is in the rest pose, at its own height."""
    stage = target.stage
    up = rotate(inverse(stage.facing), stage.up)
    own = stage.to_world(rotate(stage.facing, target.chain.heads[row] - stage.sole * up) + stage.origin)
    level = np.array([1.0, 1.0, 0.0])
    return hips * level + rotate(heading, (own - rest_hips) * level) + own * [0.0, 0.0, 1.0]


def _move(chain: Chain, row: int, turned: ByRow, displacement: Array, moved: ByRow, locations: ByRow) -> None:
    """Give a bone's location the displacement (T, 3), as far as its channels are free; note what came of it."""
    locations[row] = chain.location(row, turned, displacement)
    moved[row] = rotate(chain.location_frame(row, turned), locations[row])


def _plant(
    source: SourceMotion,
    target: _Target,
    turned_source: Array,
    joints: Array,
    ratio: float,
    turned: ByRow,
    positions: ByRow,
    displacement: Array,
    raised: Array,
) -> ByRow:
    """Rotations of the legs' bones (T, 4) that keep planted feet planted; fills `raised` (T, 3), how far the
    pelvis goes for that."""
    stage = target.stage
    found = {side: leg for side in SIDES if (leg := target.leg(side)) is not None}
    ends: dict[str, list[Array]] = {}
    goals: dict[str, Array] = {}
    out: ByRow = {}
    flags = feet.steady(source.times, source.contacts)
    touching = {side: flags[:, 2 * k : 2 * k + 2] for k, side in enumerate(SIDES)}
    for side, leg in found.items():
        ends[side] = [stage.to_world(positions[row] + displacement) for row in leg]
        ankle = ends[side][2]
        offsets = np.empty((len(ankle), len(feet.SOLE), 3))
        for k, (role, offset) in enumerate(target.sole(side, source.body, ratio).values()):
            row = target.rows[role][0]
            world = multiply(target.turn_from_t_pose(row, turned), Y_UP_TO_Z_UP)
            offsets[:, k] = stage.to_world(positions[row] + displacement) - ankle + rotate(world, offset)
        theirs = feet.source_sole(source.body, turned_source, joints, side)
        turn, shift = feet.planted(source.times, touching[side], ankle, offsets, theirs, ratio)
        goals[side] = ankle + shift
        turn = _conjugated(turn, stage)
        for role in (f"{side}_ankle", f"{side}_foot"):
            for row in target.rows.get(role, ()):
                out[row] = multiply(turn, turned[row])
    if not found:
        return {}
    planted = np.stack([touching[side].any(axis=1) for side in found], axis=1)
    shifts = np.stack([goals[side] - ends[side][2] for side in found], axis=1)
    lift = feet.lifting(source.times, planted, shifts)[:, None] * [0.0, 0.0, 1.0]
    reach = []
    for hip, knee, ankle in ends.values():
        length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
        reach.append(feet.longest(hip, ankle, length))
    hips = np.stack([ends[side][0] + lift for side in found], axis=1)
    down = feet.lowering(source.times, hips, np.stack(list(goals.values()), axis=1), np.stack(reach, axis=1))
    raised += lift - down[:, None] * [0.0, 0.0, 1.0]
    for side, (thigh, shin, _) in found.items():
        hip, knee, ankle = ends[side]
        hinge = rotate(target.turn_from_t_pose(thigh, turned), [1.0, 0.0, 0.0])
        new = feet.bend(hip, knee, ankle, hip + raised, goals[side], hinge)
        for row, before, after in ((thigh, knee - hip, new[0]), (shin, ankle - knee, new[1])):
            out[row] = multiply(_conjugated(rotations.between(before, after), stage), turned[row])
    return out


def _conjugated(turn: Array, stage: Stage) -> Array:
    """Rotations (T, 4) in the motion's axes -> the same in armature space."""
    return multiply(multiply(stage.turn, turn), inverse(stage.turn))


def _controls(target: _Target, turned: ByRow, positions: ByRow, moved: ByRow, locations: ByRow) -> ByRow:
    """Bases of IK controls that hold hands and feet where the bones have them, and of poles in front of knees and
    behind elbows; fills their locations."""
    chain, out = target.chain, {}
    for side in SIDES:
        for joint, parts in (("ankle", ("hip", "knee", "ankle")), ("wrist", ("shoulder", "elbow", "wrist"))):
            names = [f"{side}_{part}" for part in parts]
            if not all(name in target.rows for name in names):
                continue
            upper, lower, end = (target.rows[name][0] for name in names)
            hold = target.rows.get(f"{side}_{joint}_ik")
            if hold:
                row = hold[0]
                delta = multiply(turned[end], inverse(chain.rest[end]))
                place = positions[end] + rotate(delta, chain.heads[row] - chain.heads[end])
                _place(chain, row, multiply(delta, chain.rest[row]), place, turned, positions, out, moved, locations)
            pole = target.rows.get(f"{side}_{parts[1]}_pole")
            if pole:
                row = pole[0]
                hinge = target.turn_from_t_pose(upper, turned)
                away = rotate(hinge, [0.0, -1.0 if joint == "ankle" else 1.0, 0.0])
                line = positions[end] - positions[upper]
                bent = positions[lower] - positions[upper]
                line2 = np.maximum(np.sum(line * line, axis=-1, keepdims=True), 1e-12)
                bent = bent - line * np.sum(bent * line, axis=-1, keepdims=True) / line2
                # Where the limb is straight the hinge keeps the pole from swinging about.
                length = np.sqrt(line2)
                forward = rotate(target.stage.turn, away)
                forward = forward - line * np.sum(forward * line, axis=-1, keepdims=True) / line2
                side_on = normalize(bent + 0.05 * length * forward)
                rest_gap = float(np.linalg.norm(chain.heads[row] - chain.heads[lower]))
                place = positions[lower] + side_on * rest_gap
                _place(chain, row, None, place, turned, positions, out, moved, locations)
    return out


def _place(
    chain: Chain,
    row: int,
    want: Array | None,
    place: Array,
    turned: ByRow,
    positions: ByRow,
    bases: ByRow,
    moved: ByRow,
    locations: ByRow,
) -> None:
    """Put a control at a place (T, 3) of armature space, turned as wanted (T, 4)."""
    if want is not None:
        bases[row] = multiply(inverse(chain.frame(row, turned)), want)
    if not chain.rig.connected[row]:
        _move(chain, row, turned, place - positions[row], moved, locations)


def _channels(rig: Rig, bases: ByRow, locations: ByRow) -> Retargeted:
    out: Retargeted = {}
    for row in sorted(bases.keys() | locations.keys()):
        rotation = location = None
        if row in bases and not rig.locks[row, 4:].all():
            rotation = rotations.continuous(bases[row])
        if row in locations and not rig.connected[row]:
            location = locations[row]
        if rotation is not None or location is not None:
            out[rig.names[row]] = Channels(rotation, location)
    return out


def source_from_rig(rig: Rig, mapping: Mapping, times: Array, channels: Retargeted) -> SourceMotion:
    """A rig's own motion (a BVH file's, another character's) as a source; contacts are left empty.

    times: (T,) seconds. channels: bone -> channels. The floor is the stage's: for a BVH file, where the soles of its
    rest pose are.
    """
    neutral = skeleton.neutral()
    target = _Target(rig, mapping, neutral, Options())
    stage, chain = target.stage, target.chain
    turned: ByRow = {}
    moved: ByRow = {}
    for row in chain.rows:
        channel = channels.get(rig.names[row], Channels())
        frame = chain.frame(row, turned)
        turned[row] = frame if channel.rotation is None else multiply(frame, channel.rotation)
        if channel.location is not None and not rig.connected[row]:
            moved[row] = rotate(chain.location_frame(row, turned), channel.location)
    # Where a limb hands its roll on to twist bones, the last of them has all of it.
    whole = {
        limb: twists.links(chain, limb, end, bones)[-1]
        for role, (limb, end, bones) in twists.limbs(target.rows, target.twists).items()
        if role.endswith(twists.UPPER)
    }
    delta = {row: target.turn_from_t_pose(whole.get(row, row), turned) for row in target.follows}
    joints = roles.joints_from(delta, target.follows)
    spins = [np.broadcast_to(multiply(joints[joint], Y_UP_TO_Z_UP), (len(times), 4)) for joint in JOINTS]
    spun = np.stack(spins, axis=1)
    body = _body_of(target, neutral)
    hips = stage.to_world(target.middle_of_hips(chain.positions(turned, moved)))
    pelvis = hips - rotate(spun[:, 0], root.middle_of_hips(body))
    local = rotations.continuous(skeleton.to_local(spun))
    return SourceMotion(np.asarray(times, float), body, local, pelvis, np.zeros((len(times), 4), np.uint8))


def _body_of(target: _Target, neutral: Skeleton) -> Skeleton:
    """The rig's proportions as a body; what the rig lacks is the neutral body's at its size."""
    stage, chain = target.stage, target.chain
    ratio = root.size(stage, target.heads, neutral)
    offsets = neutral.offsets * ratio
    placed = chain.positions({row: target.pose[row][None] for row in chain.rows}, {})
    points = {role: rotate(inverse(stage.body), placed[rows[0]][0]) * stage.unit for role, rows in target.rows.items()}
    at = {roles.joint_of(role): point for role, point in points.items()}
    if "left_hip" in at and "right_hip" in at:
        at["pelvis"] = (at["left_hip"] + at["right_hip"]) / 2 - root.middle_of_hips(neutral) * ratio
    if spine := target.rows.get("spine"):
        line = [rotate(inverse(stage.body), placed[row][0]) * stage.unit for row in spine]
        collars = [at[c] for c in ("left_collar", "right_collar") if c in at]
        top = at.get("neck", np.mean(collars, axis=0) if collars else line[-1] + offsets[INDEX["neck"]])
        knots = np.linspace(0.0, 3.0, len(spine) + 1)
        for k, joint in enumerate(roles.SPINE[1:]):
            at[joint] = np.array([np.interp(k, knots, axis) for axis in np.transpose([*line, top])])
    for j, joint in enumerate(JOINTS):
        if j and joint in at:
            parent = JOINTS[PARENTS[j]]
            if parent in at:
                offsets[j] = at[joint] - at[parent]
        elif j and JOINTS[PARENTS[j]] in at:
            at[joint] = at[JOINTS[PARENTS[j]]] + offsets[j]
    scaled = {name: (joint, point * ratio) for name, (joint, point) in neutral.points.items()}
    for side in SIDES:
        if target.leg(side):
            for name, (role, offset) in target.sole(side, neutral, ratio).items():
                scaled[f"{side}_{name}"] = (INDEX[role], offset)
    return Skeleton(offsets, scaled)
