"""From camera space to the world: contacts, and a root path on which planted feet stand still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array, normalize
from ..core.skeleton import Skeleton
from ..core.smoothing import GAP, local_average, ties
from ..stages import Camera, Motion
from .contacts import SEEN, contact_points, find_contacts, sideways_speed, to_world
from .planted import planted_turns

# One standard deviation of what is measured and assumed, metres and seconds.
ASIDE = 0.015  # where the pelvis is seen, across the line of sight
DEPTH = 0.10  # along it, as part of the distance
BESIDE = 0.08  # a body that lies farther from its keypoints tells the less where the pelvis is
ACCELERATION = 5.0  # m/s^2, of the pelvis
SLIP = 0.0015  # a planted foot within a thirtieth of a second
LOOSE = 0.02  # one that nobody has seen, so that a person cut off at the waist goes where the rest of them is seen
FLOOR = 0.02  # a planted foot above or below the floor
FLOOR_REACH = 0.2  # feet planted this close to the floor stand on it; others on a step, a wall, a stage
JUMP = 0.7  # seconds that somebody may be in the air
SHIFT = 0.04  # a foot against where the body stage put it

BLINK = 0.2  # seconds over which it is averaged how surely feet are seen
STRETCH, OVERLAP = 2400, 600  # frames solved together, and shared by two such stretches


def place(motion: Motion, camera: Camera) -> Motion:
    """Camera space -> world (z up, floor at z = 0)."""
    turned = motion.rotations.copy()
    turned[:, 0] = rotations.multiply(rotations.inverse(camera.rotation), turned[:, 0])
    eye = np.zeros_like(motion.pelvis) if motion.eye is None else motion.eye
    return replace(motion, rotations=turned, pelvis=to_world(motion.pelvis, camera), eye=to_world(eye, camera))


@dataclass
class RootPath:
    """What the root's path depends on, for a whole take: a few numbers a frame.

    times (T,) seconds; pelvis (T, 3) metres, world, as placed; ankles (T, 2, 3) and feet (T, 4, 3), the contact
    points, seen from the pelvis, world axes; turned (T, 2, 4) the orientation of the feet; still (T, 4) 0..1 how likely
    the contact points stand, 0.5 where nobody knows; seen (T, 4) 0..1 how surely they were seen; beside (T,) metres
    from the body to its keypoints; eye (T, 3) metres, world: the camera.
    """

    times: Array
    pelvis: Array
    ankles: Array
    feet: Array
    turned: Array
    still: Array
    seen: Array
    beside: Array
    eye: Array

    @staticmethod
    def of(motion: Motion, skeleton: Skeleton) -> RootPath:
        """The path of a placed motion. Frames need not be evenly spaced in time."""
        assert motion.eye is not None
        turned, joints = sk.forward_kinematics(skeleton, motion.rotations, motion.pelvis)
        points = contact_points(skeleton, motion)
        still = np.full(points.shape[:2], 0.5) if motion.still is None else motion.still[:, : points.shape[1]]
        pelvis = motion.pelvis[:, None]
        ankles = joints[:, sk.ANKLES] - pelvis
        seen = motion.confidence[:, sk.ANKLES].repeat(2, axis=1)
        beside = np.zeros(len(points)) if motion.beside is None else motion.beside
        return RootPath(
            motion.times, motion.pelvis, ankles, points - pelvis, turned[:, sk.ANKLES], still, seen, beside, motion.eye
        )

    def rows(self, rows: slice) -> RootPath:
        """Some of the frames."""
        return RootPath(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def joined(parts: list[RootPath]) -> RootPath:
        """One path of consecutive parts."""
        return RootPath(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(RootPath)))


class Settled(NamedTuple):
    """pelvis (T, 3) metres, world; shift (T, 2, 3) metres by which the left and right foot must move beyond that, and
    turn (T, 2, 4) by which they must turn, world axes; contacts (T, 4) uint8 in `skeleton.CONTACTS` order."""

    pelvis: Array
    shift: Array
    turn: Array
    contacts: NDArray[np.uint8]

    def rows(self, rows: slice) -> Settled:
        """Some of the frames."""
        return Settled(self.pelvis[rows], self.shift[rows], self.turn[rows], self.contacts[rows])


def settle(path: RootPath) -> Settled:
    """The most likely path of the pelvis and of both feet, given that planted feet neither turn nor slip. Those that
    nobody has seen are held loosely, and are no contacts.

    Least squares (linear, banded) over stretches of frames, so that memory does not grow with the take; they overlap
    by far more time than frames know of each other and fade into one another.
    """
    frames = len(path.times)
    feet, _ = _planted(path, path.still)
    speed = np.empty_like(path.still)
    for own, around, inner in _stretches(frames):
        points, times = path.pelvis[around, None] + feet[around], path.times[around]
        speed[own] = sideways_speed(points, times, path.eye[around])[inner]
    # Seen from above, whoever is thought to be too far away seems too low, and is put right along the line of sight.
    reach = np.maximum(FLOOR_REACH, DEPTH * path.eye[:, 2])
    contacts, ground = find_contacts(path.pelvis[:, None] + feet, speed, path.still, path.times, reach)
    feet, turn = _planted(path, np.maximum(path.still, contacts))  # what stands does not turn, whoever says so
    path = replace(path, feet=feet)
    in_sight = local_average(path.seen[..., None], path.times, BLINK)[..., 0] > SEEN
    hold = contacts / np.where(in_sight, SLIP, LOOSE) ** 2
    contacts[~in_sight] = 0
    carried = _carried(path, reach, in_sight, contacts)
    pelvis, shift = np.zeros((frames, 3)), np.zeros((frames, 2, 3))
    for start in range(0, max(frames - OVERLAP, 1), STRETCH - OVERLAP):
        rows = slice(start, start + STRETCH)
        one, two = _settle_stretch(path.rows(rows), hold[rows], (contacts > 0)[rows] | carried[rows], ground[rows])
        fade = np.clip(np.arange(len(one)) / OVERLAP, 0.0, 1.0)[:, None] if start else np.ones((len(one), 1))
        pelvis[rows] += fade * (one - pelvis[rows])
        shift[rows] += fade[..., None] * (two - shift[rows])
    return Settled(pelvis, shift, turn, contacts)


def _carried(
    path: RootPath, reach: Array, in_sight: NDArray[np.bool_], contacts: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """(T, 4) the lowest contact point of who is within reach (T,) of the floor and does not stand, as far as is known,
    for longer than anybody jumps: something must carry them."""
    stands = np.flatnonzero(contacts.any(1))
    height = (path.pelvis[:, None] + path.feet)[..., 2]
    away = np.full(len(height), np.inf)
    if len(stands):
        last = np.searchsorted(stands, np.arange(len(height)), side="right")
        before = path.times - path.times[stands[np.maximum(last - 1, 0)]]
        after = path.times[stands[np.minimum(last, len(stands) - 1)]] - path.times
        away = np.minimum(np.where(last > 0, before, np.inf), np.where(last < len(stands), after, np.inf))
    lowest = np.arange(height.shape[1]) == height.argmin(1)[:, None]
    return lowest & in_sight & ((away > JUMP / 2) & (np.abs(height.min(1)) < reach))[:, None]


def _planted(path: RootPath, still: Array) -> tuple[Array, Array]:
    """-> contact points (T, 4, 3) from the pelvis, of feet that do not turn where they stand, and their turn (T, 2, 4);
    still (T, 4) 0..1 how likely the points stand."""
    feet, turn = np.empty_like(path.feet), np.empty_like(path.turned)
    for own, around, inner in _stretches(len(path.times)):
        part = path.rows(around)
        planted = planted_turns(part.turned, still[around], part.times)
        ankles = part.ankles.repeat(2, axis=1)
        held = ankles + rotations.rotate(planted.repeat(2, axis=1), part.feet - ankles)
        turn[own], feet[own] = planted[inner], held[inner]
    return feet, turn


def _stretches(frames: int) -> Iterator[tuple[slice, slice, slice]]:
    """Frames in parts, to save memory: the part, it with what is near enough to matter, and where it lies in that."""
    for start in range(0, frames, STRETCH):
        first = max(start - OVERLAP, 0)
        yield (
            slice(start, start + STRETCH),
            slice(first, start + STRETCH + OVERLAP),
            slice(start - first, start - first + STRETCH),
        )


def _settle_stretch(path: RootPath, hold: Array, stands: NDArray[np.bool_], ground: Array) -> tuple[Array, Array]:
    """-> pelvis (T, 3) and shift (T, 2, 3), all frames in one system of equations.

    hold (T, 4) 1/m^2: how firmly contact points are held between frames; stands (T, 4): at ground (T, 4) metres."""
    sight = path.pelvis - path.eye
    distance = np.linalg.norm(sight, axis=-1)
    ray = normalize(sight)
    along = ray[:, :, None] * ray[:, None, :]
    precision = (np.eye(3) - along) / ASIDE**2 + along / (DEPTH * distance[:, None, None]) ** 2
    precision /= np.maximum(1.0, path.beside / BESIDE)[:, None, None] ** 4
    pelvis = _above_floor(path.times, path.pelvis, precision, path.feet, hold, stands, ground)

    shift, here = np.zeros((len(pelvis), 2, 3)), np.zeros_like(pelvis)
    calm = np.broadcast_to(np.eye(3) / SHIFT**2, precision.shape)
    for side in (0, 1):
        pair = np.s_[:, 2 * side : 2 * side + 2]
        feet = pelvis[:, None] + path.feet[pair]
        shift[:, side] = _above_floor(path.times, here, calm, feet, hold[pair], stands[pair], ground[pair])
    return pelvis, shift


def _above_floor(
    times: Array, target: Array, precision: Array, feet: Array, hold: Array, stands: NDArray[np.bool_], ground: Array
) -> Array:
    """`_solve`, and again with every point that came out below the floor held up."""
    x = _solve(times, target, precision, feet, hold, stands, ground)
    for _ in range(2):
        low = ((x[:, None] + feet)[..., 2] < 0.0) & ~stands
        x = _solve(times, target, precision, feet, hold, stands | low, np.where(low, 0.0, ground))
    return x


def _solve(
    times: Array,
    target: Array,
    precision: Array,
    feet: Array,
    hold: Array,
    grounded: NDArray[np.bool_],
    ground: Array,
) -> Array:
    """argmin over x (T, 3) of  |x - target|^2 in `precision`  +  |slip of x + feet|^2 in `hold`
    +  |height of x + feet over the ground while grounded|^2  +  |acceleration of x|^2."""
    frames = len(times)
    blocks = [np.zeros((frames - k, 3, 3)) for k in range(min(3, frames))]  # between t and t + k
    right = np.einsum("tij,tj->ti", precision, target)
    blocks[0] += precision
    eye = np.eye(3)
    for k in range(feet.shape[1]):
        weight = grounded[:, k] / FLOOR**2
        blocks[0][:, 2, 2] += weight
        right[:, 2] += weight * (ground[:, k] - feet[:, k, 2])
        if frames > 1:
            tie = (np.minimum(hold[1:, k], hold[:-1, k]) * ties(times))[:, None]
            move = tie * -np.diff(feet[:, k], axis=0)
            blocks[0][1:] += tie[..., None] * eye
            blocks[0][:-1] += tie[..., None] * eye
            blocks[1] -= tie[..., None] * eye
            right[1:] += move
            right[:-1] -= move
    if frames > 2:
        before, after = np.diff(times)[:-1], np.diff(times)[1:]
        # Second difference on uneven steps: a x[t] + b x[t+1] + c x[t+2].
        c = 2.0 / (after * (before + after))
        a = 2.0 / (before * (before + after))
        row = np.stack([a, -(a + c), c], -1) / ACCELERATION * (np.maximum(before, after) < GAP)[:, None]
        for i in range(3):
            for j in range(i, 3):
                blocks[j - i][i : frames - 2 + i] += (row[:, i] * row[:, j])[:, None, None] * eye
    return _solve_banded(blocks, right)


def _solve_banded(blocks: list[Array], right: Array) -> Array:
    """Solve the symmetric block-banded system with 3x3 blocks[k][t] between frames t and t + k. right (T, 3)."""
    frames = len(right)
    width = 3 * len(blocks) - 1
    banded = np.zeros((width + 1, 3 * frames))
    for k, block in enumerate(blocks):
        for i in range(3):
            for j in range(3):
                offset = 3 * k + j - i
                if offset >= 0:
                    columns = 3 * (np.arange(frames - k) + k) + j
                    banded[width - offset, columns] = block[:, i, j]
    return solveh_banded(banded, right.reshape(-1)).reshape(frames, 3)
