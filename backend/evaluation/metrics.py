"""The field's metrics, as the papers' own code computes them.

Points are (T, N, 3) metres, frames T in time; every function gives its value per frame (or per frame and part), so that
a mean over many clips weights every frame alike. Rotations are quaternions (w, x, y, z).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core.rotations import Array

CHUNK = 100  # frames aligned together for world metrics


def similarity(points: Array, target: Array) -> tuple[Array, Array, Array]:
    """The similarity transform that takes points (..., N, 3) closest to target: scale (...), R (..., 3, 3), t (..., 3).

    Least squares, no reflection: Umeyama, "Least-squares estimation of transformation parameters", PAMI 1991.
    """
    a, b = points.mean(-2, keepdims=True), target.mean(-2, keepdims=True)
    p, q = points - a, target - b
    u, s, vt = np.linalg.svd(np.swapaxes(q, -1, -2) @ p)
    sign = np.ones_like(s)
    sign[..., -1] = np.sign(np.linalg.det(u @ vt))
    rotation = u @ (sign[..., None] * vt)
    scale = (s * sign).sum(-1) / np.maximum((p**2).sum((-1, -2)), 1e-12)
    shift = b - scale[..., None, None] * a @ np.swapaxes(rotation, -1, -2)
    return scale, rotation, shift[..., 0, :]


def transformed(points: Array, fit: tuple[Array, Array, Array]) -> Array:
    """Points (..., N, 3) moved by a transform of `similarity`."""
    scale, rotation, shift = fit
    return scale[..., None, None] * points @ np.swapaxes(rotation, -1, -2) + shift[..., None, :]


def mpjpe(found: Array, true: Array, root: tuple[int, ...] = (0,)) -> Array:
    """(T,) metres: mean distance of joints, the mean of the `root` points laid on each other.

    Ionescu et al., "Human3.6M", PAMI 2014; GVHMR's and FootMR's root is the mean of the hips.
    """
    moved = found - found[:, list(root)].mean(1, keepdims=True) + true[:, list(root)].mean(1, keepdims=True)
    return np.linalg.norm(moved - true, axis=-1).mean(-1)


def pa_mpjpe(found: Array, true: Array) -> Array:
    """(T,) metres: mean distance of joints after the best similarity transform of each frame ("Procrustes aligned").

    Protocol 2 of Human3.6M as HMR (Kanazawa et al., CVPR 2018) fixed it.
    """
    return np.linalg.norm(transformed(found, similarity(found, true)) - true, axis=-1).mean(-1)


def foot_mpjpe(found: Array, true: Array) -> Array:
    """N-MPJPE_F, (T,) metres: shape of the feet. Points (T, 6, 3) as `skeleton.FOOT_POINTS`, one frame of reference.

    Per foot: about its mean, scaled by s = sum(p.g) / sum(p.p), mean of its three distances; then the mean of both.
    FootMR's evaluation code.
    """
    p, g = (points.reshape(*points.shape[:-2], 2, 3, points.shape[-1]) for points in (found, true))
    return _foot_errors(p, g).mean((-1, -2))


def _foot_errors(p: Array, g: Array) -> Array:
    """(T, 2, 3) distances between the feet's points (T, 2, 3, D), found and true, each foot about its mean and p scaled
    by least squares."""
    p, g = p - p.mean(-2, keepdims=True), g - g.mean(-2, keepdims=True)
    scale = (p * g).sum((-1, -2), keepdims=True) / np.maximum((p * p).sum((-1, -2), keepdims=True), 1e-12)
    return np.linalg.norm(scale * p - g, axis=-1)


def ankle_angle_error(found: Array, true: Array) -> Array:
    """AJAE, (T, 2) degrees: angle between global rotations (T, 2, 4) of the left and right ankle, camera space.

    FootMR's evaluation code: the angle of R_found R_true^T.
    """
    return np.degrees(rotations.angle_between(found, true))


def foot_pck(found: Array, true: Array, visible: NDArray[np.bool_], size: Array, threshold: float = 0.05) -> Array:
    """PCK_F, 0 or 1 for every visible point: seen pixels (T, 6, 2) closer to the true ones than a share of `size`.

    size (T,): the longer side of the person's box, pixels. MOOF's protocol (FootMR): mean of all visible points, x 100.
    """
    distance = np.linalg.norm(found - true, axis=-1) / size[:, None]
    return (distance < threshold)[visible].astype(float)


def foot_keypoint_error(found: Array, true: Array, visible: NDArray[np.bool_], size: Array) -> Array:
    """N-FKE in 2D, share of the box for every point of a foot that is seen whole; arguments as `foot_pck`.

    Per foot: about its mean and scaled by least squares, as in `foot_mpjpe`. MOOF's protocol (FootMR): mean x 100.
    """
    p, g = (points.reshape(-1, 2, 3, 2) / size[:, None, None, None] for points in (found, true))
    whole = visible.reshape(-1, 2, 3).all(-1)
    return _foot_errors(p, g)[whole].ravel()


def runs(times: Array, interval: float) -> list[slice]:
    """The stretches of times (T,) without a gap: steps of at most 1.5 intervals (seconds)."""
    breaks = np.flatnonzero(np.diff(times) > 1.5 * interval) + 1
    edges = [0, *breaks.tolist(), len(times)]
    return [slice(a, b) for a, b in pairwise(edges)]


def acceleration_error(found: Array, true: Array, rate: float) -> Array:
    """(T - 2,) m/s^2: mean difference of the joints' accelerations, of consecutive frames at `rate` a second.

    Second differences, as in HMMR (Kanazawa et al., CVPR 2019), in m/s^2 as in GVHMR.
    """
    return np.linalg.norm(np.diff(found - true, 2, axis=0), axis=-1).mean(-1) * rate**2


def jitter(found: Array, rate: float) -> Array:
    """(T - 3,) in 10 m/s^3: mean length of the joints' jerk, world. Third differences, as in GVHMR and TransPose."""
    return np.linalg.norm(np.diff(found, 3, axis=0), axis=-1).mean(-1) * rate**3 / 10.0


def foot_skate(found: Array, contacts: NDArray[np.uint8], rate: float) -> Array:
    """cm/s of every point (T, N, 3) of the feet, world, over each step between two frames in which it truly stands.

    contacts (T, N). The foot sliding of GVHMR and WHAM, as a speed instead of millimetres a frame.
    """
    standing = (contacts[1:] > 0) & (contacts[:-1] > 0)
    return np.linalg.norm(np.diff(found, axis=0), axis=-1)[standing] * rate * 100.0


def angle_between(found: Array, true: Array) -> Array:
    """(T,) degrees between directions (T, 3), as found and in truth: of "up" in some axes, of bones."""
    cross = np.linalg.norm(np.cross(found, true), axis=-1)
    return np.degrees(np.arctan2(cross, (found * true).sum(-1)))


def world_mpjpe(found: Array, true: Array, align: str) -> Array:
    """(T,) metres, world: joints after one similarity transform for a stretch of 100 frames.

    align "first": fitted to the stretch's first two frames (W-MPJPE); "whole": to all of it (WA-MPJPE). WHAM (Shin et
    al., CVPR 2024) and GVHMR. A last stretch shorter than half of that joins the one before.
    """
    count = max(1, round(len(found) / CHUNK))
    errors = []
    for part in (slice(k * CHUNK, (k + 1) * CHUNK if k < count - 1 else len(found)) for k in range(count)):
        fitted = slice(part.start, part.start + 2) if align == "first" else part
        fit = similarity(found[fitted].reshape(-1, 3), true[fitted].reshape(-1, 3))
        errors.append(np.linalg.norm(transformed(found[part], fit) - true[part], axis=-1).mean(-1))
    return np.concatenate(errors)


def swapped(found: Array, true: Array, pairs: list[tuple[int, int]], least: float) -> tuple[NDArray[np.bool_], ...]:
    """Which frames have left and right exchanged, and for which frames that can be told: two (T,) of bool.

    Exchanged: the pairs (left, right) of points (T, N, D) about their mean fit better the other way round. It can be
    told where the two sides truly lie `least` apart on average (the points' unit). Ours; the field has no such metric.
    """
    left, right = (list(side) for side in zip(*pairs, strict=True))
    both, other = left + right, right + left
    p, q, g = (points - points.mean(1, keepdims=True) for points in (found[:, both], found[:, other], true[:, both]))
    same, cross = (np.linalg.norm(points - g, axis=-1).mean(-1) for points in (p, q))
    apart = np.linalg.norm(true[:, left] - true[:, right], axis=-1).mean(-1)
    return (cross < same) & (apart > least), apart > least
