"""Where the head is turned and how far the mouth is open, from the face. What five body keypoints tell of the head is
off by twice as much, and of the mouth they tell nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import keypoints, rotations
from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT
from ..core.smoothing import local_average, local_quadratic
from ..stages import Camera

# Where the face model sees nose and right eye (iBUG number; millimetres in the head joint's axes: x to the person's
# left, y up, z ahead), measured on rendered clips of the training's motions: 6,249 frames of 131 bodies. Mouth, brows
# and jaw are left out: they move.
_RIGHT = {
    27: (0, 47, 101), 28: (0, 31, 112), 29: (0, 18, 122), 30: (0, 10, 127), 31: (-16, -1, 104), 32: (-7, -3, 110),
    33: (0, -3, 112), 36: (-44, 43, 78), 37: (-37, 45, 84), 38: (-27, 45, 86), 39: (-17, 42, 88), 40: (-25, 39, 87),
    41: (-35, 39, 85),
}  # fmt: skip
_LEFT = {34: 32, 35: 31, 42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40}  # mirror images
POINTS = [*_RIGHT, *_LEFT]
PLACES = 0.001 * np.array([*_RIGHT.values(), *((-_RIGHT[k][0], *_RIGHT[k][1:]) for k in _LEFT.values())])
_KEYPOINTS = keypoints.FACE.start + np.array(POINTS)
_NECK, _JAW = [JOINT["neck"]], JOINT["jaw"]
_MOVED = [JOINT[name] for name in ("head", "jaw", "left_eye_smplhf", "right_eye_smplhf")]

SEEN = 0.5  # confidence from which on the face counts
SIGMA = 0.011  # metres by which all of these points are off together, as if each were off by itself
ROBUST = 0.012  # metres from which on a point loses its say; all of them, where a face is seen on the back of a head
PRIOR = np.radians(20.0)  # what was known of the head before is off by this much
STEADY, FADE = 0.08, 0.06  # seconds
ROUNDS = 8

_LIPS = keypoints.FACE.start + np.array([62, 66])  # the middle of their inner edges
LIPS = np.array([0.0, -0.036, 0.088])  # where they meet, metres, seen from the jaw's joint
CLOSED, SHARE = np.radians(1.5), 0.7  # of closed lips; of the way that the face model sees lips open (rendered clips)
FLAT = 0.01  # metres: what lips move in the picture when one looks along their way
WIDEST = np.radians(40.0)
SPEECH = 0.04  # seconds


def with_face(turned: Array, observations: NDArray[Any], camera: Camera) -> None:
    """Turn the heads of global rotations (T, 55, 4), camera space, to where the faces of (T,) OBSERVATIONs look.

    Where no face was seen, heads stay as they are. The neck goes half of the way.
    """
    times, head = observations["time"].astype(float), turned[:, _MOVED[0]]
    face = observations["keypoints"][:, _KEYPOINTS].astype(float)
    seen = (face[..., 2].mean(1) > SEEN).astype(float)[:, None]
    if not seen.any():
        return
    found = head.copy()
    rows = seen[:, 0] > 0
    found[rows] = looking(head[rows], (face[rows, :, :2] - camera.center) / camera.focal)
    more = rotations.to_axis_angle(rotations.multiply(found, rotations.inverse(head)))[:, None]
    more = local_quadratic(more, times, seen + 1e-6, STEADY) * local_average(seen[..., None], times, FADE)
    turned[:, _NECK] = rotations.multiply(rotations.from_axis_angle(0.5 * more), turned[:, _NECK])
    turned[:, _MOVED] = rotations.multiply(rotations.from_axis_angle(more), turned[:, _MOVED])


def with_jaw(turned: Array, observations: NDArray[Any], camera: Camera) -> None:
    """Open the jaws of global rotations (T, 55, 4), camera space, as the faces of (T,) OBSERVATIONs do.

    Where no face was seen, mouths are closed.
    """
    times, points = observations["time"].astype(float), observations["keypoints"].astype(float)
    rows = points[:, _KEYPOINTS, 2].mean(1) > SEEN
    rays = (points[..., :2] - camera.center) / camera.focal
    angle = np.zeros((len(times), 1, 1))
    angle[rows, 0, 0] = opening(turned[rows, _MOVED[0]], rays[rows][:, _KEYPOINTS], rays[rows][:, _LIPS])
    angle = np.maximum(local_quadratic(angle, times, rows[:, None] + 1e-6, SPEECH), 0.0)
    angle *= local_average(rows.astype(float)[:, None, None], times, SPEECH)
    turned[:, _JAW] = rotations.multiply(turned[:, _JAW], rotations.from_axis_angle(angle[:, 0] * [1.0, 0.0, 0.0]))


def opening(head: Array, face: Array, lips: Array) -> Array:
    """Angles (T,) radians by which jaws are open, of heads (T, 4), camera space; face (T, points, 2), lips (T, 2, 2),
    upper and lower: x/z and y/z of the rays to POINTS and to the inner edges of the lips.

    The face tells the scale, the way that the lower lip takes round the jaw's joint the rest.
    """
    straight = _straight(face)
    view = rotations.multiply(straight, head)
    flat = rotations.rotate(view[:, None], PLACES)[..., :2]
    flat, seen = (points - points.mean(1, keepdims=True) for points in (flat, _seen(straight, face)))
    upper, lower = np.moveaxis(_seen(straight, lips), 1, 0)
    apart = (lower - upper) * ((flat**2).sum((1, 2)) / np.maximum((flat * seen).sum((1, 2)), 1e-9))[:, None]
    angle = np.zeros(len(head))
    for _ in range(3):
        jaw = rotations.from_axis_angle(angle[:, None] * [1.0, 0.0, 0.0])
        place = rotations.rotate(jaw, LIPS)
        onward = rotations.rotate(view, np.cross([1.0, 0.0, 0.0], place))[:, :2]
        left = apart - rotations.rotate(view, place - LIPS)[:, :2]
        angle = np.clip(angle + (onward * left).sum(1) / ((onward**2).sum(1) + FLAT**2), 0.0, SHARE * WIDEST)
    return np.asarray(np.maximum(angle - CLOSED, 0.0) / SHARE)


def looking(head: Array, face: Array) -> Array:
    """Rotations (T, 4) near `head` (T, 4), camera space, that put POINTS where they are seen; face (T, points, 2): x/z
    and y/z of their rays.

    Gauss-Newton on a scaled orthographic view along the ray to the face: it may lie anywhere and be of any size.
    """
    straight = _straight(face)
    seen = _seen(straight, face)
    before = now = rotations.multiply(straight, head)
    weight = np.ones(seen.shape[:2])
    for _ in range(ROUNDS):
        points = rotations.rotate(now[:, None], PLACES)
        flat, wanted = _centred(points[..., :2], weight), _centred(seen, weight)
        w = weight[..., None]
        scale = (w * flat * wanted).sum((1, 2)) / (w * flat**2).sum((1, 2))
        # As long as the head is thought to look elsewhere the two hardly agree, and say nothing about the size.
        least = 0.5 * np.sqrt((w * wanted**2).sum((1, 2)) / (w * flat**2).sum((1, 2)))
        off = wanted / np.maximum(scale, least)[:, None, None] - flat  # metres
        # A turn r moves a point p by r x p.
        x, y, z = np.moveaxis(points, -1, 0)
        zero = np.zeros_like(x)
        move = np.stack([np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1)], 2)
        move = move - (move * w[..., None]).sum(1, keepdims=True) / w.sum(1)[:, None, None]
        left = np.einsum("tkai,tk,tkaj->tij", move, weight, move) / SIGMA**2 + np.eye(3) / PRIOR**2
        right = np.einsum("tkai,tk,tka->ti", move, weight, off) / SIGMA**2
        right += rotations.to_axis_angle(rotations.multiply(before, rotations.inverse(now))) / PRIOR**2
        turn = np.linalg.solve(left, right[..., None])[..., 0]
        now = rotations.multiply(rotations.from_axis_angle(turn), now)
        weight = 1 / (1 + (np.linalg.norm(off, axis=-1) / ROBUST) ** 2) ** 2
    return rotations.multiply(rotations.inverse(straight), now)


def _straight(face: Array) -> Array:
    """(T, 4) what turns the rays to faces (T, points, 2) onto the optical axis."""
    ahead = np.concatenate([face.mean(1), np.ones((len(face), 1))], -1)
    return rotations.between(ahead, [0.0, 0.0, 1.0])


def _seen(straight: Array, points: Array) -> Array:
    """(T, points, 2) x/z and y/z of rays (T, points, 2) that are turned by (T, 4)."""
    rays = rotations.rotate(straight[:, None], np.concatenate([points, np.ones((*points.shape[:2], 1))], -1))
    return np.asarray(rays[..., :2] / rays[..., 2:])


def _centred(points: Array, weight: Array) -> Array:
    """(T, points, 2) about their weighted mean."""
    mean = (weight[..., None] * points).sum(1, keepdims=True) / weight.sum(1)[:, None, None]
    return np.asarray(points - mean)
