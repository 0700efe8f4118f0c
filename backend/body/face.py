"""Where the head is turned, from the face: what five body keypoints tell is off by twice as much."""

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
_NECK = [JOINT["neck"]]
_MOVED = [JOINT[name] for name in ("head", "jaw", "left_eye_smplhf", "right_eye_smplhf")]

SEEN = 0.5  # confidence from which on the face counts
SIGMA = 0.011  # metres by which all of these points are off together, as if each were off by itself
ROBUST = 0.012  # metres from which on a point loses its say; all of them, where a face is seen on the back of a head
PRIOR = np.radians(20.0)  # what was known of the head before is off by this much
STEADY, FADE = 0.08, 0.06  # seconds
ROUNDS = 8


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


def looking(head: Array, face: Array) -> Array:
    """Rotations (T, 4) near `head` (T, 4), camera space, that put POINTS where they are seen; face (T, points, 2): x/z
    and y/z of their rays.

    Gauss-Newton on a scaled orthographic view along the ray to the face: it may lie anywhere and be of any size.
    """
    ahead = np.concatenate([face.mean(1), np.ones((len(face), 1))], -1)
    straight = rotations.between(ahead, [0.0, 0.0, 1.0])
    rays = rotations.rotate(straight[:, None], np.concatenate([face, np.ones((*face.shape[:2], 1))], -1))
    seen = rays[..., :2] / rays[..., 2:]
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


def _centred(points: Array, weight: Array) -> Array:
    """(T, points, 2) about their weighted mean."""
    mean = (weight[..., None] * points).sum(1, keepdims=True) / weight.sum(1)[:, None, None]
    return np.asarray(points - mean)
