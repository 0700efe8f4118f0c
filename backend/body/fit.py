"""What a network leaves, taken out: all frames of a window fitted together to the keypoints in the picture.

Gauss-Newton over small corrections of the pose: keypoints (robust), the network's pose as prior, and corrections that
change slowly. Bone lengths stay. In the manner of SMPLify (Bogo et al. 2016), with time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT
from ..core.skeleton import Skeleton
from ..core.smoothing import ties
from ..stages import Camera
from . import seen

# Joints that may be corrected, and how far off the network may have left them (one standard deviation, degrees).
TURNED = {
    "pelvis": 3.0, "spine2": 5.0,
    "left_hip": 10.0, "right_hip": 10.0, "left_knee": 10.0, "right_knee": 10.0,
    "left_shoulder": 15.0, "right_shoulder": 15.0, "left_elbow": 15.0, "right_elbow": 15.0,
}  # fmt: skip
STEADY = np.radians(1.25)  # how much a correction may change in a thirtieth of a second
ASIDE, DEPTH, MOVED = 0.05, 0.10, 0.01  # the pelvis: metres across, part of the distance along, metres a thirtieth
ROBUST = 3.0  # standard deviations from which on a keypoint loses its say
ROUNDS = 3

_TURNED = [JOINT[name] for name in TURNED]


def _carries() -> NDArray[np.bool_]:
    """(points, turned joints): whether a joint moves a point."""
    out = np.zeros((len(seen.NAMES), len(_TURNED)), bool)
    for row, carrier in enumerate(seen.CARRIERS):
        joint = carrier
        while joint >= 0:
            if joint in _TURNED:
                out[row, _TURNED.index(joint)] = True
            joint = int(sk.PARENTS[joint]) if joint else -1
    return out


_CARRIES = _carries()
_FREE = 3 * len(_TURNED) + 3  # unknowns a frame: rotation vectors, then the pelvis


def fitted(
    local: Array, pelvis: Array, skeleton: Skeleton, observations: NDArray[Any], camera: Camera, doubt: Array
) -> tuple[Array, Array]:
    """Corrected parent-relative rotations (T, 55, 4) and pelvis (T, 3) metres, both in camera space.

    local and pelvis: what the network and the first placement say; (T,) OBSERVATIONs; doubt (T,): how many times
    farther off than usual the network takes itself to be.
    """
    times = observations["time"].astype(float)
    found = observations["keypoints"][:, seen.KEYPOINTS].astype(float)
    height = float(np.linalg.norm(skeleton.offsets[[1, 4, 7, 3, 6, 9, 12, 15]], axis=1).sum())
    prior, tie = _prior(pelvis, doubt), ties(times)
    change = np.zeros((len(times), _FREE))
    for _ in range(ROUNDS):
        turned, joints = sk.forward_kinematics(skeleton, local, pelvis)
        left, right = _pull(seen.seen_points(turned, joints), joints, found, height, camera, doubt)
        diagonal = left + prior
        right -= np.einsum("tij,tj->ti", prior, change)
        # Corrections change slowly: |change[t + 1] - change[t]|^2 in `tie`.
        pace = tie[:, None] * _PACE
        step = np.diff(change, axis=0) * pace
        right[:-1] += step
        right[1:] -= step
        rows = np.arange(_FREE)
        diagonal[:-1, rows, rows] += pace
        diagonal[1:, rows, rows] += pace
        more = _solve(diagonal, -pace, right)
        change += more
        turn = more[:, :-3].reshape(len(times), -1, 3)
        own = rotations.rotate(rotations.inverse(turned[:, _TURNED]), turn)  # in the joints' own axes
        local = local.copy()
        local[:, _TURNED] = rotations.multiply(local[:, _TURNED], rotations.from_axis_angle(own))
        pelvis = pelvis + more[:, -3:]
    return local, pelvis


def beside(local: Array, pelvis: Array, skeleton: Skeleton, observations: NDArray[Any], camera: Camera) -> Array:
    """(T,) metres across the line of sight: how far the pose lies from the keypoints on average; see `fitted`."""
    found = observations["keypoints"][:, seen.KEYPOINTS].astype(float)
    points = seen.seen_points(*sk.forward_kinematics(skeleton, local, pelvis))
    weight = found[..., 2] + 1e-6
    apart = np.linalg.norm(_apart(points, found, camera), axis=-1)
    return np.asarray((weight * apart).sum(1) / weight.sum(1))


def _apart(points: Array, found: Array, camera: Camera) -> Array:
    """(T, points, 2) metres from points (T, points, 3), camera space, to the rays of the keypoints, across the view."""
    return (found[..., :2] - camera.center) / camera.focal * np.maximum(points[..., 2:], 0.1) - points[..., :2]


_PACE = np.concatenate([np.full(3 * len(_TURNED), 1 / STEADY**2), np.full(3, 1 / MOVED**2)])


def _prior(pelvis: Array, doubt: Array) -> Array:
    """(T, free, free): precision of the network's pose and of the first placement."""
    out = np.zeros((len(pelvis), _FREE, _FREE))
    rows = np.arange(_FREE - 3)
    out[:, rows, rows] = np.repeat(1 / np.radians(list(TURNED.values())) ** 2, 3) / doubt[:, None] ** 2
    distance = np.linalg.norm(pelvis, axis=-1)
    ray = pelvis / distance[:, None]
    along = ray[:, :, None] * ray[:, None, :]
    out[:, -3:, -3:] = (np.eye(3) - along) / ASIDE**2 + along / (DEPTH * distance[:, None, None]) ** 2
    return out


def _pull(
    points: Array, joints: Array, found: Array, height: float, camera: Camera, doubt: Array
) -> tuple[Array, Array]:
    """Normal equations of the keypoints: (T, free, free) and (T, free).

    points (T, points, 3) where they should be seen and joints (T, 55, 3), metres, camera space; found (T, points, 3)
    pixels and confidence; height in metres.
    """
    depth = np.maximum(points[..., 2:], 0.1)
    off = _apart(points, found, camera)
    sigma = seen.SIGMA * height
    far = np.linalg.norm(off, axis=-1) / (ROBUST * sigma * doubt[:, None])
    weight = found[..., 2] ** 2 / (1 + far**2) ** 2 / sigma**2

    # A turn w of joint j moves point k by w x (k - j); the picture moves by the part across the line of sight.
    arm = points[:, :, None] - joints[:, None, _TURNED]
    arm = arm * _CARRIES[..., None]
    x, y, z = (arm[..., axis] for axis in range(3))
    zero = np.zeros_like(x)
    move = np.stack([np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1), np.stack([y, -x, zero], -1)], -2)
    move = np.concatenate([move.transpose(0, 1, 3, 2, 4).reshape(*points.shape[:2], 3, -1), _shift(points)], -1)
    slant = (points[..., :2] / depth)[..., None]
    across = move[..., :2, :] - slant * move[..., 2:, :]
    flat = across.reshape(len(points), -1, _FREE)
    heavy = np.repeat(weight, 2, axis=1)
    left = np.einsum("tki,tk,tkj->tij", flat, heavy, flat, optimize=True)
    right = np.einsum("tki,tk->ti", flat, heavy * off.reshape(len(points), -1))
    return left, right


def _shift(points: Array) -> Array:
    return np.broadcast_to(np.eye(3), (*points.shape[:2], 3, 3))


def _solve(diagonal: Array, beside: Array, right: Array) -> Array:
    """Solve the symmetric system of blocks diagonal (T, n, n) and, between neighbouring frames, diagonal ones
    beside (T - 1, n). right (T, n) -> (T, n)"""
    frames, n = right.shape
    banded = np.zeros((n + 1, frames * n))  # lower form: banded[i - j, j]
    for k in range(n):
        banded[k].reshape(frames, n)[:, : n - k] = np.diagonal(diagonal, -k, 1, 2)
    banded[n, : (frames - 1) * n] = beside.reshape(-1)
    return np.asarray(solveh_banded(banded, right.reshape(-1), lower=True)).reshape(frames, n)
