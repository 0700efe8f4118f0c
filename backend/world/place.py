"""From camera space to the world: contacts, and a root path on which planted feet stand still."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from ..core import rotations
from ..core.rotations import Array, normalize
from ..core.skeleton import Skeleton
from ..stages import Camera, Motion
from .contacts import contact_points, find_contacts, sideways_speed, to_world

# One standard deviation of what is measured and assumed, metres and seconds.
ASIDE = 0.015  # where the pelvis is seen, across the line of sight
DEPTH = 0.10  # along it, as part of the distance
ACCELERATION = 8.0  # m/s^2, of the pelvis
SLIP = 0.002  # a planted foot between two frames
FLOOR = 0.02  # a planted foot above or below the floor
STRETCH, OVERLAP = 2400, 600  # frames
SHIFT = 0.04  # a foot against where the body stage put it


def place(motion: Motion, skeleton: Skeleton, camera: Camera, level: float = 0.0) -> Motion:
    """Camera space -> world (z up, floor at z = 0), contacts filled in. Frames need not be evenly spaced in time.

    level: metres above the floor of what the person stands on.
    """
    points = contact_points(skeleton, motion)
    speed = sideways_speed(points, motion.times)
    to_upright = rotations.inverse(camera.rotation)
    turned = motion.rotations.copy()
    turned[:, 0] = rotations.multiply(to_upright, turned[:, 0])
    contacts = find_contacts(to_world(points, camera) - [0.0, 0.0, level], speed)
    return replace(motion, rotations=turned, pelvis=to_world(motion.pelvis, camera), contacts=contacts)


@dataclass
class RootPath:
    """What the root's path depends on, for a whole take: a few numbers a frame.

    times (T,) seconds; pelvis (T, 3) metres, world, as placed; feet (T, 4, 3) the contact points seen from the
    pelvis, world axes; contacts (T, 4) uint8; level: metres above the floor of what the person stands on.
    """

    times: Array
    pelvis: Array
    feet: Array
    contacts: NDArray[np.uint8]
    level: float = 0.0

    @staticmethod
    def of(motion: Motion, skeleton: Skeleton, level: float = 0.0) -> RootPath:
        """The path of a placed motion."""
        feet = contact_points(skeleton, motion) - motion.pelvis[:, None]
        return RootPath(motion.times, motion.pelvis, feet, motion.contacts, level)

    @staticmethod
    def joined(parts: list[RootPath]) -> RootPath:
        """One path of consecutive parts."""
        times, pelvis, feet, contacts = (
            np.concatenate([getattr(p, name) for p in parts]) for name in ("times", "pelvis", "feet", "contacts")
        )
        return RootPath(times, pelvis, feet, contacts, parts[0].level)

    def part(self, span: slice) -> RootPath:
        """Some of the frames."""
        return RootPath(self.times[span], self.pelvis[span], self.feet[span], self.contacts[span], self.level)


def settle(path: RootPath, camera: Camera) -> tuple[Array, Array]:
    """The most likely path of the pelvis and of both feet, given that planted feet do not slip.

    Least squares (linear, banded) over stretches of frames, so that memory does not grow with the take; they overlap
    by far more time than frames know of each other and fade into one another.
    -> pelvis (T, 3) metres, world; shift (T, 2, 3) metres by which the left and right foot must move beyond that.
    """
    frames = len(path.times)
    pelvis, shift = np.zeros((frames, 3)), np.zeros((frames, 2, 3))
    for start in range(0, max(frames - OVERLAP, 1), STRETCH - OVERLAP):
        span = slice(start, start + STRETCH)
        one, two = _settle_stretch(path.part(span), camera)
        fade = np.clip(np.arange(len(one)) / OVERLAP, 0.0, 1.0)[:, None] if start else np.ones((len(one), 1))
        pelvis[span] += fade * (one - pelvis[span])
        shift[span] += fade[..., None] * (two - shift[span])
    return pelvis, shift


def _settle_stretch(path: RootPath, camera: Camera) -> tuple[Array, Array]:
    """`settle` with all frames in one system of equations."""
    eye = to_world(np.zeros(3), camera)
    sight = path.pelvis - eye
    distance = np.linalg.norm(sight, axis=-1)
    ray = normalize(sight)
    along = ray[:, :, None] * ray[:, None, :]
    precision = (np.eye(3) - along) / ASIDE**2 + along / (DEPTH * distance[:, None, None]) ** 2
    feet = path.feet - [0.0, 0.0, path.level]
    pelvis = _above_floor(path.times, path.pelvis, precision, feet, path.contacts)

    shift = np.zeros((len(pelvis), 2, 3))
    calm = np.broadcast_to(np.eye(3) / SHIFT**2, precision.shape)
    for side in (0, 1):
        pair = slice(2 * side, 2 * side + 2)
        settled = pelvis[:, None] + feet[:, pair]
        shift[:, side] = _above_floor(path.times, np.zeros_like(pelvis), calm, settled, path.contacts[:, pair])
    return pelvis, shift


def _above_floor(times: Array, target: Array, precision: Array, feet: Array, contacts: NDArray[np.uint8]) -> Array:
    """`_solve`, and again with every point that came out below the floor held up."""
    x = _solve(times, target, precision, feet, contacts, contacts > 0)
    for _ in range(2):
        low = (x[:, None] + feet)[..., 2] < 0.0
        x = _solve(times, target, precision, feet, contacts, low | (contacts > 0))
    return x


def _solve(
    times: Array,
    target: Array,
    precision: Array,
    feet: Array,
    contacts: NDArray[np.uint8],
    on_floor: NDArray[np.bool_],
) -> Array:
    """argmin over x (T, 3) of  |x - target|^2 in `precision`  +  |slip of x + feet while in contact|^2
    +  |height of x + feet while on the floor|^2  +  |acceleration of x|^2."""
    frames = len(times)
    blocks = [np.zeros((frames - k, 3, 3)) for k in range(min(3, frames))]  # between t and t + k
    right = np.einsum("tij,tj->ti", precision, target)
    blocks[0] += precision
    eye = np.eye(3)
    for k in range(feet.shape[1]):
        held, height = contacts[:, k].astype(float), on_floor[:, k] / FLOOR**2
        blocks[0][:, 2, 2] += height
        right[:, 2] -= height * feet[:, k, 2]
        if frames > 1:
            near = np.diff(times) < 0.25  # nothing is known across a gap
            tie = (held[1:] * held[:-1] * near / SLIP**2)[:, None]
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
        row = np.stack([a, -(a + c), c], -1) / ACCELERATION * (np.maximum(before, after) < 0.25)[:, None]
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
