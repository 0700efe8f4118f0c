"""Which heels and toes stand on something, frame by frame, and how high that is."""

from __future__ import annotations

from itertools import starmap

import numpy as np
from numpy.typing import NDArray

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.runs import runs
from ..core.skeleton import Skeleton
from ..core.smoothing import local_quadratic
from ..stages import Camera, Motion

SPEED = (0.35, 0.60)  # m/s: a contact begins below the first and ends above the second
LIFT = (0.07, 0.11)  # m above the lowest point of both feet, likewise
SEEN = 0.3  # confidence of a foot that is in sight
LONG = 0.3  # s: who stands that long shows that there is something to stand on; the top of a jump is shorter
SAME_LEVEL = 0.1  # m
FALLS, SOON = 0.02, 0.15  # m, s: the top of a hop is so much higher than what is shortly before or after


def contact_points(skeleton: Skeleton, motion: Motion) -> Array:
    """(T, 4, 3) metres in the motion's frame: the points of `skeleton.CONTACTS` (heel, middle of the toes)."""
    turned, joints = sk.forward_kinematics(skeleton, motion.rotations, motion.pelvis)
    feet = sk.posed_points(skeleton, turned, joints, sk.FOOT_POINTS)
    left, right = feet[:, :3], feet[:, 3:]
    return np.stack([left[:, 2], left[:, :2].mean(1), right[:, 2], right[:, :2].mean(1)], axis=1)


def sideways_speed(points: Array, times: Array, eye: Array | None) -> Array:
    """(T, N) m/s at which points (T, N, 3) move across the line of sight of a camera at eye (T, 3), at the origin if
    None.

    A planted foot stands still in the picture of a camera that stands; its depth, on the other hand, is mostly noise.
    """
    if len(points) < 2:
        return np.zeros(points.shape[:2])
    ones = np.ones(points.shape[:2])
    eye = np.zeros((len(points), 3)) if eye is None else eye
    seen = points - eye[:, None]
    sight = local_quadratic(rotations.normalize(seen), times, ones, 0.04)
    turning = np.gradient(sight, times, axis=0) * np.linalg.norm(seen, axis=-1, keepdims=True)
    travel = np.gradient(eye, times, axis=0)[:, None]
    across = travel - sight * np.sum(travel * sight, -1, keepdims=True)
    return np.linalg.norm(turning + across, axis=-1)


def hysteresis(on: NDArray[np.bool_], off: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(T, N): True from a frame with `on` until the first with `off`."""
    out = np.zeros_like(on)
    state = np.zeros(on.shape[1], bool)
    for t in range(len(on)):
        state = (state | on[t]) & ~off[t]
        out[t] = state
    return out


def find_contacts(
    points: Array, speed: Array, still: Array, times: Array, reach: Array
) -> tuple[NDArray[np.uint8], Array]:
    """points (T, N, 3) metres, world (floor at z = 0); speed (T, N) m/s; still (T, N) 0..1, how likely a point stands
    for all that a network knows (0.5: nothing): it makes the limits stricter or wider; times (T,) seconds; reach (T,)
    metres: feet planted this close to the floor stand on it.

    -> contacts (T, N) uint8 and, where there is one, the height of what is stood on (T, N) metres.
    """
    height = points[..., 2]
    lift = height - height.min(1, keepdims=True)
    width = 0.5 + still
    held = hysteresis(
        (speed < width * SPEED[0]) & (lift < width * LIFT[0]), (speed > width * SPEED[1]) | (lift > width * LIFT[1])
    )
    spans = [
        (k, span, float(np.median(height[span, k])))
        for k in range(held.shape[1])
        for span in starmap(slice, runs(held[:, k]))
        if not _top_of_a_hop(height[:, k], span, times)
    ]
    supports = [0.0] + [h for _, span, h in spans if _lasts(span, times)]

    contacts, ground = np.zeros(held.shape, np.uint8), np.zeros(height.shape)
    for k, span, level in spans:
        floor = float(np.median(reach[span]))
        near = [floor] + [SAME_LEVEL] * (len(supports) - 1)
        if any(abs(level - support) < r for support, r in zip(supports, near, strict=True)):
            contacts[span, k] = 1
            ground[span, k] = 0.0 if abs(level) < floor else level
    return contacts, ground


def _lasts(span: slice, times: Array) -> bool:
    return bool(times[span.stop - 1] - times[span.start] >= LONG)


def _top_of_a_hop(height: Array, span: slice, times: Array) -> bool:
    """Whether a point of height (T,) is in the air there, slow only because it is about to fall."""
    before = height[np.searchsorted(times, times[span.start] - SOON) : span.start + 1]
    after = height[span.stop - 1 : np.searchsorted(times, times[span.stop - 1] + SOON, side="right")]
    level = np.median(height[span])
    return not _lasts(span, times) and bool(max(before.min(), after.min()) < level - FALLS)


def to_world(points: Array, camera: Camera) -> Array:
    """Camera space (..., 3) -> world."""
    return rotations.rotate(rotations.inverse(camera.rotation), points - camera.t)
