"""Bone lengths from the picture: with the pose known, which body is seen at these keypoints in all frames together?

Linear least squares in the lengths. How large a person is as a whole cannot be seen; that is the 3D landmarks' guess.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT
from ..core.skeleton import Skeleton
from ..stages import Camera
from . import seen

# Bones that are longer or shorter together.
PARTS = (
    ("left_hip", "right_hip"),
    ("left_knee", "right_knee"),
    ("left_ankle", "right_ankle"),
    ("spine1", "spine2", "spine3"),
    ("left_collar", "right_collar", "left_shoulder", "right_shoulder"),
    ("left_elbow", "right_elbow"),
    ("left_wrist", "right_wrist"),
)
USUAL = 0.08  # by which people's proportions differ, one standard deviation
ALIKE = 30.0  # neighbouring frames are wrong in the same way: so many tell as much as one
ROBUST = 0.06  # metres from which on a keypoint loses its say
ROUNDS = 3


def measured(turned: Array, observations: NDArray[Any], camera: Camera, size: float) -> Skeleton:
    """The neutral skeleton, `size` times as large, with the person's own proportions.

    turned (T, 55, 4): global rotations in camera space of a pose that is about right; (T,) OBSERVATIONs.
    """
    body = sk.neutral().scaled(size)
    fixed, grows = _points(turned, body)
    found = observations["keypoints"][:, seen.KEYPOINTS].astype(float)
    rays = (found[..., :2] - camera.center) / camera.focal
    change = np.zeros(len(PARTS))
    weights = found[..., 2] ** 2
    for _ in range(ROUNDS):
        # (x + T_x) - u (z + T_z) = 0 and the same for y: in the change of the parts and in the place T of each frame.
        design = grows[..., :2, :] - rays[..., None] * grows[..., 2:, :]
        target = rays * fixed[..., 2:] - fixed[..., :2]
        place = np.zeros((*rays.shape, 3))
        place[..., 0, 0] = place[..., 1, 1] = 1.0
        place[..., 2] = -rays
        rows = (len(turned), -1)
        change, left_over = _solve(
            design.reshape(*rows, len(PARTS)),
            place.reshape(*rows, 3),
            target.reshape(rows),
            np.repeat(weights, 2, axis=1),
        )
        off = np.linalg.norm(left_over.reshape(*rays.shape), axis=-1)
        weights = found[..., 2] ** 2 / (1 + (off / ROBUST) ** 2) ** 2
    scale = np.ones(sk.COUNT)
    for part, more in zip(PARTS, change, strict=True):
        scale[[JOINT[name] for name in part]] = 1 + more
    return body.with_offsets(body.offsets * scale[:, None])


def _points(turned: Array, body: Skeleton) -> tuple[Array, Array]:
    """Keypoints seen from the pelvis (T, points, 3), metres, and how they move when a part grows by itself
    (T, points, 3, parts)."""
    bones = np.zeros((len(turned), sk.COUNT, 3))
    for joint in range(1, sk.COUNT):
        bones[:, joint] = rotations.rotate(turned[:, sk.PARENTS[joint]], body.offsets[joint])
    fixed = rotations.rotate(turned[:, seen.CARRIERS], seen.OFFSETS)
    grows = np.zeros((len(turned), len(seen.JOINTS), 3, len(PARTS)))
    part_of = {JOINT[name]: k for k, part in enumerate(PARTS) for name in part}
    for row, start in enumerate(seen.JOINTS):
        joint = start
        while joint:
            fixed[:, row] += bones[:, joint]
            if joint in part_of:
                grows[:, row, :, part_of[joint]] += bones[:, joint]
            joint = int(sk.PARENTS[joint])
    return fixed, grows


def _solve(design: Array, place: Array, target: Array, weights: Array) -> tuple[Array, Array]:
    """Least squares over the parts' change (parts,), which is 0 on average, and each frame's place.

    design (T, n, parts), place (T, n, 3), target (T, n), weights (T, n). -> the change, what is left over (T, n)
    """
    heavy = weights[..., None]
    inner = np.einsum("tki,tkj->tij", place, heavy * place) + 1e-9 * np.eye(3)
    cross = np.einsum("tki,tkj->tij", place, heavy * design)
    pull = np.einsum("tki,tk->ti", place, weights * target)
    left = np.einsum("tki,tkj->ij", design, heavy * design) - np.einsum(
        "tij,tik->jk", cross, np.linalg.solve(inner, cross)
    )
    right = np.einsum("tki,tk->i", design, weights * target) - np.einsum(
        "tij,ti->j", cross, np.linalg.solve(inner, pull[..., None])[..., 0]
    )
    noise = 0.03**2 * ALIKE  # of a keypoint, m^2
    left, right = left / noise + np.eye(len(right)) / USUAL**2, right / noise
    left = left + 1e6 * np.ones_like(left)  # the parts' mean stays
    change = np.linalg.solve(left, right)
    there = np.linalg.solve(inner, (pull - cross @ change)[..., None])[..., 0]
    return change, target - design @ change - np.einsum("tki,ti->tk", place, there)
