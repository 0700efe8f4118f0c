"""Bundle adjustment: where a camera has been, and how far corners of the background are, that are seen where they are.

A corner is where it was first seen, at 1 / distance `near`: one that is infinitely far has 0 and shows turns only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..core import rotations
from ..core.rotations import Array

# One standard deviation of what is assumed; lengths in distances of the background.
TAIL = 2.0  # from which on a corner has moved by itself
ACCELERATION = 3.0  # /s^2, of the camera
TURN = np.radians(5.0)  # what the measured turn between two frames is off
SPREAD = 1.0  # 1 / distance of a corner, about 1
ROUNDS, ENOUGH = 12, 1e-3  # steps, and the share of all squares that the last one takes away


@dataclass(frozen=True)
class SeenCorners:
    """Where corners are seen in key frames, M times: key, corner, host (M,) the frame, the corner, and the frame that
    it was first seen in; ray, first (M, 3) the direction now and then, camera axes (x, y, 1); sigma: of a place."""

    key: NDArray[np.intp]
    corner: NDArray[np.intp]
    host: NDArray[np.intp]
    ray: Array
    first: Array
    sigma: float


@dataclass
class CameraPath:
    """turn (K, 3, 3) from the first key frame's camera axes; place (K, 3) in these; near (N,) 1 / distance of the
    corners from where they were first seen."""

    turn: Array
    place: Array
    near: Array

    @staticmethod
    def resting(measured: Array, corners: int) -> CameraPath:
        """Of a camera that only turns, as measured (K, 3, 3); so many corners."""
        return CameraPath(measured.copy(), np.zeros((len(measured), 3)), np.ones(corners))

    def inside_out(self) -> CameraPath:
        """What is near taken for far, which looks much the same as long as the path is short."""
        return CameraPath(self.turn, -self.place, np.clip(2 - self.near, 0.1, 2.0))

    def reversed(self) -> CameraPath:
        """The same from its end on, in that key frame's axes; the corners, now first seen elsewhere, are left alone."""
        turn, place = self.turn[::-1], self.place[::-1]
        return CameraPath(turn @ turn[0].T, (place - place[0]) @ turn[0].T, self.near)


@dataclass(frozen=True)
class Window:
    """Some key frames that are to be adjusted: free, a range of all K; seen: what is seen in these and somewhat before;
    freedom: 6, or 3 for a camera that only turns; measured (K, 3, 3): how it had turned, if it only turned; times (K,)
    seconds."""

    free: slice
    seen: SeenCorners
    freedom: int
    measured: Array
    times: Array

    @cached_property
    def corners(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Those that are seen (C,), and (M,) which of them each is."""
        found, local = np.unique(self.seen.corner, return_inverse=True)
        return found, local


def adjusted(path: CameraPath, window: Window, tails: Sequence[float]) -> tuple[CameraPath, float]:
    """The path with the free key frames, and the corners seen, where all squares together are least, and these squares.

    tails: for each of these in turn, beginning where the one before has led to; see TAIL.
    """
    least = 0.0
    for tail in tails:
        path, least = _least(path, window, tail)
    return path, least


def _least(path: CameraPath, window: Window, tail: float) -> tuple[CameraPath, float]:
    """The same for one: Levenberg-Marquardt with the corners eliminated (Schur complement)."""
    corners, _ = window.corners
    damping, least = 1e-3, _total(path, window, tail)
    for _ in range(ROUNDS):
        of_poses, of_corners, off = _linear(path, window, tail)
        prior, prior_off = _prior(path, window)
        poses = (of_poses.T @ of_poses).toarray() + prior.T @ prior
        slope = of_poses.T @ off + prior.T @ prior_off
        mixed = (of_poses.T @ of_corners).toarray()
        near = np.asarray(of_corners.multiply(of_corners).sum(0)).ravel() + SPREAD**-2
        near_slope = of_corners.T @ off + (path.near[corners] - 1) / SPREAD**2
        while damping < 1e3:
            stiff = near * (1 + damping)
            reduced = poses + damping * np.diag(poses.diagonal() + 1e-9) - (mixed / stiff) @ mixed.T
            step = np.linalg.solve(reduced, mixed @ (near_slope / stiff) - slope)
            trial = _moved(path, window, step, -(near_slope + mixed.T @ step) / stiff)
            total = _total(trial, window, tail)
            if total < least:
                break
            damping *= 10
        else:
            break
        gain = (least - total) / least
        path, least, damping = trial, total, max(damping / 10, 1e-7)
        if gain < ENOUGH:
            break
    return path, least


def _moved(path: CameraPath, window: Window, step: Array, nearer: Array) -> CameraPath:
    """The path by a step (freedom F,) of the free key frames and (C,) of the corners on."""
    turn, place, near = path.turn.copy(), path.place.copy(), path.near.copy()
    step = step.reshape(-1, window.freedom)
    turn[window.free] = rotations.to_matrix(rotations.from_axis_angle(step[:, :3])) @ turn[window.free]
    place[window.free, : window.freedom - 3] += step[:, 3:]
    corners, _ = window.corners
    near[corners] = np.maximum(near[corners] + nearer, 0.0)
    return CameraPath(turn, place, near)


def _total(path: CameraPath, window: Window, tail: float) -> float:
    """All squares: of what is seen, of the assumptions about the path, of the corners' distances."""
    _, off = _prior(path, window)
    near = path.near[window.corners[0]]
    return float(squares(path, window.seen, tail).sum() + off @ off + (((near - 1) / SPREAD) ** 2).sum())


def _linear(path: CameraPath, window: Window, tail: float) -> tuple[sparse.csr_array, sparse.csr_array, Array]:
    """What is seen, near the path: d off / d (turn, place) of the free key frames (2M, freedom F), d off / d near
    (2M, C), off (2M,); all weighed as the robust squares want it."""
    seen, free, freedom = window.seen, window.free, window.freedom
    looks, away = _looks(path, seen), path.near[seen.corner][:, None, None]
    off = _off(looks, seen)
    weight = 1 / np.sqrt(1 + (off**2).sum(1) / tail**2)
    z = np.maximum(looks[:, 2], 0.05)
    lens = np.zeros((len(z), 2, 3))
    lens[:, 0, 0] = lens[:, 1, 1] = 1 / z
    lens[:, :, 2] = -looks[:, :2] / z[:, None] ** 2
    lens *= (weight / seen.sigma)[:, None, None]
    turn, host = path.turn[seen.key], path.turn[seen.host]
    by_place = away * (lens @ turn)
    by_key = np.concatenate([-lens @ _cross(looks), -by_place], -1)
    by_host = np.concatenate([lens @ turn @ np.swapaxes(host, -1, -2) @ _cross(seen.first), by_place], -1)
    by_near = np.einsum("mij,mj->mi", lens @ turn, path.place[seen.host] - path.place[seen.key])

    count, frames = len(z), free.stop - free.start
    row = np.arange(2 * count).reshape(-1, 2, 1)
    parts = []
    for key, slope in ((seen.key, by_key), (seen.host, by_host)):
        mine = key >= free.start
        column = freedom * (key[mine] - free.start)[:, None, None] + np.arange(freedom)
        entries = np.broadcast_arrays(slope[mine, :, :freedom], row[mine], column)
        parts.append([entry.ravel() for entry in entries])
    value, rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    of_poses = sparse.csr_array((value, (rows, columns)), shape=(2 * count, freedom * frames))
    corners, local = window.corners
    by_corner = (by_near.ravel(), (row.ravel(), local.repeat(2)))
    of_corners = sparse.csr_array(by_corner, shape=(2 * count, len(corners)))
    return of_poses, of_corners, (weight[:, None] * off).ravel()


def _prior(path: CameraPath, window: Window) -> tuple[Array, Array]:
    """The same for what is assumed: the turn is about as measured, and nobody flings a camera about. -> slopes
    (P, freedom F), off (P,)"""
    free, freedom, measured, times = window.free, window.freedom, window.measured, window.times
    frames = free.stop - free.start
    own, rows = np.arange(frames), slice(free.start - 1, free.stop)
    step = path.turn[free] @ np.swapaxes(path.turn[rows][:-1], -1, -2)
    told = measured[free] @ np.swapaxes(measured[rows][:-1], -1, -2)
    off = rotations.to_axis_angle(rotations.from_matrix(step @ np.swapaxes(told, -1, -2))) / TURN
    slopes = np.zeros((frames, 3, frames, freedom))
    slopes[own, :, own, :3] = np.eye(3) / TURN
    slopes[own[1:], :, own[:-1], :3] = -step[1:] / TURN
    if freedom == 3:
        return slopes.reshape(3 * frames, -1), off.ravel()

    ends = np.arange(max(free.start, 2), free.stop)
    before, after = times[ends - 1] - times[ends - 2], times[ends] - times[ends - 1]
    share = np.stack([1 / before, -1 / before - 1 / after, 1 / after]) * 2 / (before + after) / ACCELERATION
    jolt = np.zeros((len(ends), 3, frames, freedom))
    for i, part in enumerate(share):
        column = ends - 2 + i - free.start
        mine = np.flatnonzero(column >= 0)
        jolt[mine, :, column[mine], 3:] = part[mine, None, None] * np.eye(3)
    thrown = sum(part[:, None] * path.place[ends - 2 + i] for i, part in enumerate(share))
    return np.concatenate([slopes.reshape(3 * frames, -1), jolt.reshape(3 * len(ends), -1)]), np.append(off, thrown)


def _cross(v: Array) -> Array:
    """(..., 3) -> (..., 3, 3): matrices of the cross product v x."""
    zero = np.zeros(v.shape[:-1])
    x, y, z = np.moveaxis(v, -1, 0)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*v.shape, 3)


def _looks(path: CameraPath, seen: SeenCorners) -> Array:
    """(M, 3) where the corners must be seen, camera axes; of any length."""
    world = np.einsum("mba,mb->ma", path.turn[seen.host], seen.first)
    away = path.near[seen.corner][:, None] * (path.place[seen.host] - path.place[seen.key])
    return np.einsum("mab,mb->ma", path.turn[seen.key], world + away)


def _off(looks: Array, seen: SeenCorners) -> Array:
    """(M, 2) how far from there they are seen, in standard deviations."""
    return (looks[:, :2] / np.maximum(looks[:, 2:], 0.05) - seen.ray[:, :2]) / seen.sigma


def squares(path: CameraPath, seen: SeenCorners, tail: float = TAIL) -> Array:
    """(M,) their squares, robust (Cauchy)."""
    return tail**2 * np.log1p((_off(_looks(path, seen), seen) ** 2).sum(1) / tail**2)
