"""Contacts that were changed: the root and the legs are solved again around them, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from ...backend.core.runs import runs
from ...backend.core.skeleton import INDEX
from ..retarget import feet
from ..retarget.model import SourceMotion
from .curves import accelerations, fit
from .motion import UP, dilated

EASE = 0.5  # seconds around a changed contact in which a foot comes and goes
BLEND = 0.35  # seconds more in which the pelvis may come down for it
STEP = 0.2  # metres: what is planted that far over the floor stands on something

# One standard deviation of what is known and expected.
PINNED, FREE, LOOSE = 1e-5, 0.04, 10.0  # metres: planted; in the air, against the motion as it was; let go
FORCE, SWING = 2.0, 8.0  # m/s^2: of a correction; of a foot that has been let go
ROOT, STANDS, HANGS = 0.06, 0.03, 0.15  # metres: the pelvis against where it was, and against a foot's correction
TURN_FREE, TURN_FORCE = 0.3, 20.0  # radians, rad/s^2


@dataclass(frozen=True)
class _Foot:
    """turn (T, 4) about the ankle, world axes; shift (T, 3) metres of the ankle; stands (T,) whether it is planted."""

    turn: Array
    shift: Array
    stands: NDArray[np.bool_]


def plant(base: SourceMotion, motion: SourceMotion, contacts: NDArray[np.uint8]) -> SourceMotion:
    """Let feet stand where `contacts` (T, 4) says.

    base: the motion whose own contacts hold. motion: the same, perhaps smoothed: wherever a contact of the base is
    kept, its foot comes back to where the base has it. Added contacts are held in one place: where the foot stood
    already beside them, else where it is on average, on the floor or on what it stands on. From removed ones the foot
    is let go and swings through. Frames far from any change are the motion's own, to the last bit.
    """
    old, new = base.contacts > 0, np.asarray(contacts) > 0
    out = replace(motion, contacts=new.astype(np.uint8))
    if motion.local is not base.local or motion.pelvis is not base.pelvis:
        return _planted(base, out, old, np.ones(len(new), bool))
    inner = dilated(motion.times, (old != new).any(axis=1), EASE)
    if not inner.any():
        return out
    local, pelvis = motion.local.copy(), motion.pelvis.copy()
    for start, end in runs(dilated(motion.times, inner, BLEND)):  # one stretch after the other: takes are long
        rows = slice(max(start - 1, 0), end + 1)
        part = SourceMotion(out.times[rows], out.body, out.local[rows], out.pelvis[rows], out.contacts[rows])
        solved = _planted(part, part, old[rows], inner[rows])
        local[rows], pelvis[rows] = solved.local, solved.pelvis
    return replace(out, local=local, pelvis=pelvis)


def _planted(
    base: SourceMotion, motion: SourceMotion, old: NDArray[np.bool_], inner: NDArray[np.bool_]
) -> SourceMotion:
    """The same for one stretch. old: (T, 4) contacts of the base; inner: (T,) where feet may be corrected."""
    new = motion.contacts > 0
    turned, joints = skeleton.forward_kinematics(motion.body, motion.local, motion.pelvis)
    smoothed = motion.local is not base.local or motion.pelvis is not base.pelvis
    before = skeleton.forward_kinematics(base.body, base.local, base.pelvis) if smoothed else (turned, joints)
    found = []
    for side, name in enumerate(("left", "right")):
        ankle, tracks = INDEX[f"{name}_ankle"], slice(2 * side, 2 * side + 2)
        back = None
        if smoothed:
            back = rotations.to_axis_angle(rotations.multiply(before[0][:, ankle], rotations.inverse(turned[:, ankle])))
        sole = feet.source_sole(motion.body, turned, joints, name) - joints[:, None, ankle]
        stood = _pair(feet.source_sole(base.body, *before, name))
        found.append(_foot(motion.times, old[:, tracks], new[:, tracks], inner, joints[:, ankle], sole, stood, back))
    return _with_legs(motion, turned, joints, inner, found)


def _pair(sole: Array) -> Array:
    """Heel and middle of the toes (T, 2, 3) of `feet.SOLE` (T, 3, 3)."""
    return np.stack([sole[:, 0], sole[:, 1:].mean(axis=1)], axis=1)


def _foot(
    times: Array,
    old: NDArray[np.bool_],
    new: NDArray[np.bool_],
    inner: NDArray[np.bool_],
    ankle: Array,
    sole: Array,
    stood: Array,
    back: Array | None,
) -> _Foot:
    """old, new: (T, 2) contacts of heel and toes. ankle: (T, 3), sole: (T, 3, 3) from there. stood: (T, 2, 3) heel and
    toes in the base. back: (T, 3) rotation vectors that turn the foot as it is in the base; None: it is so already."""
    stands = new.any(axis=1)
    goal, sigma = np.zeros_like(ankle), np.full(len(times), TURN_FREE)
    if back is not None:
        goal = np.where(stands[:, None], back, 0.0)
    sigma[stands | ~inner] = PINNED
    flat, flat_before = new.all(axis=1), old.all(axis=1)
    for start, end in runs(flat):
        rows = slice(start, end)
        if not flat_before[rows].all():
            goal[rows] = np.where(flat_before[rows, None], goal[rows], _flat(sole, flat_before, rows))
    turn = rotations.from_axis_angle(fit(times, goal, sigma, TURN_FORCE))
    points = ankle[:, None] + _pair(rotations.rotate(turn[:, None], sole))

    goal, sigma = np.zeros_like(ankle), np.full(len(times), FREE)
    each = new[..., None] * (_places(old, new, stood) - points)
    goal[stands] = (each.sum(axis=1) / np.maximum(new.sum(axis=1), 1)[:, None])[stands]
    sigma[stands | ~inner] = PINNED
    loose = old.any(axis=1) & ~stands
    sigma[loose] = LOOSE
    force, drive = np.full(len(times), FORCE), np.zeros_like(ankle)
    if loose.any():  # there it is the foot's whole way that shall be smooth, not a correction of it
        swing = dilated(np.arange(len(times)), loose, 1)
        swing[[0, -1]] = False
        force[swing] = SWING
        way = np.zeros_like(ankle)
        way[1:-1] = np.einsum("tk,tkc->tc", accelerations(times), np.stack([ankle[:-2], ankle[1:-1], ankle[2:]], 1))
        drive[swing] = -way[swing]
    shift = fit(times, goal, sigma, force, drive)
    for _ in range(2):  # what the correction pushed into the floor is held up
        height = points[..., 2].min(axis=1)
        sunk = inner & ~stands & (height + shift[:, 2] < np.minimum(height, 0.0) - 1e-4)
        goal[sunk, 2], goal[sunk, :2] = np.maximum(0.0, -height)[sunk], shift[sunk, :2]
        sigma[sunk] = 0.002
        shift = fit(times, goal, sigma, force, drive)
    shift[~inner], turn[~inner] = 0.0, rotations.IDENTITY
    return _Foot(turn, shift, stands)


def _flat(sole: Array, flat_before: NDArray[np.bool_], rows: slice) -> Array:
    """Rotation vectors (n, 3) that hold the foot as it stands beside these rows already, else flat on the ground."""
    heel, big, small = np.moveaxis(sole[rows], 1, 0)
    frame = rotations.from_matrix(rotations.frame_from((big + small) / 2 - heel, big - small))
    frame = rotations.continuous(frame)
    known = np.flatnonzero(flat_before[rows])
    if len(known):
        held = frame[known[np.abs(np.arange(len(frame))[:, None] - known).argmin(axis=1)]]
    else:
        held = rotations.normalize(frame.sum(axis=0))
        normal = rotations.rotate(held, UP)
        if abs(normal[2]) > feet.FLAT:
            held = rotations.multiply(rotations.between(normal, np.sign(normal[2]) * UP), held)
    return rotations.to_axis_angle(rotations.multiply(held, rotations.inverse(frame)))


def _places(old: NDArray[np.bool_], new: NDArray[np.bool_], stood: Array) -> Array:
    """(T, 2, 3) where heel and toes stand while `new` says so."""
    places = stood.copy()
    for k in range(2):
        for start, end in runs(new[:, k]):
            rows = np.arange(start, end)
            known = rows[old[rows, k]]
            if len(known):
                for axis in range(3):
                    places[rows, k, axis] = np.interp(rows, known, stood[known, k, axis])
            else:
                place = np.median(stood[rows, k], axis=0)
                place[2] = place[2] if place[2] > STEP else 0.0
                places[rows, k] = place
    return places


def _with_legs(
    motion: SourceMotion, turned: Array, joints: Array, inner: NDArray[np.bool_], found: list[_Foot]
) -> SourceMotion:
    """The motion with its feet corrected: the pelvis takes what it can, hips and knees the rest."""
    times = motion.times
    sigma = np.array([np.where(foot.stands, STANDS, HANGS) for foot in found])
    weight = 1.0 / sigma**2
    total = weight.sum(axis=0) + 1.0 / ROOT**2
    goal = np.einsum("kt,ktc->tc", weight, np.array([foot.shift for foot in found])) / total[:, None]
    way = fit(times, goal, np.where(inner, 1.0 / np.sqrt(total), PINNED), FORCE)
    way[~inner] = 0.0

    legs = [[INDEX[f"{name}_{part}"] for part in ("hip", "knee", "ankle", "foot")] for name in ("left", "right")]
    hips = joints[:, [leg[0] for leg in legs]]
    ankles = joints[:, [leg[2] for leg in legs]]
    targets = ankles + np.stack([foot.shift for foot in found], axis=1)
    lengths = np.array([np.linalg.norm(motion.body.offsets[leg[1:3]], axis=1).sum() for leg in legs])
    reach = feet.longest(hips, ankles, lengths)
    way[:, 2] -= feet.lowering(times, hips + way[:, None], targets, reach)
    rows = np.flatnonzero(dilated(times, inner, BLEND) & (np.any(way != 0.0, axis=1) | inner))

    out = turned.copy()
    for (hip, knee, ankle, toes), foot in zip(legs, found, strict=True):
        hinge = rotations.rotate(turned[rows, hip], [1.0, 0.0, 0.0])
        old = joints[rows, hip], joints[rows, knee], joints[rows, ankle]
        thigh, shin = feet.bend(*old, old[0] + way[rows], old[2] + foot.shift[rows], hinge)
        for joint, was, now in ((hip, old[1] - old[0], thigh), (knee, old[2] - old[1], shin)):
            out[rows, joint] = rotations.multiply(rotations.between(was, now), turned[rows, joint])
        for joint in (ankle, toes):
            out[rows, joint] = rotations.multiply(foot.turn[rows], turned[rows, joint])
    local, pelvis = motion.local.copy(), motion.pelvis.copy()
    solved = skeleton.to_local(out[rows])
    moved = [joint for leg in legs for joint in leg]
    local[np.ix_(rows, moved)] = _same_sign(solved[:, moved], local[np.ix_(rows, moved)])
    pelvis[rows] += way[rows]
    return replace(motion, local=local, pelvis=pelvis)


def _same_sign(q: Array, like: Array) -> Array:
    """Quaternions with the signs of others that are near them: the curves go on without a jump."""
    return np.where(np.sum(q * like, axis=-1, keepdims=True) < 0, -q, q)
