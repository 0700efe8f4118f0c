"""Planted feet stay planted on the target's own legs, and no foot goes through the floor.

Everything here is in the motion's axes: metres, z up, floor at z = 0.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...backend.core import skeleton
from ...backend.core.rotations import (
    Array,
    between,
    continuous,
    frame_from,
    from_axis_angle,
    from_matrix,
    inverse,
    multiply,
    normalize,
    rotate,
    to_axis_angle,
)
from ...backend.core.runs import runs
from ...backend.core.skeleton import INDEX, Skeleton
from .calibration import Stage
from .root import ankle_height

SOLE = ("heel", "big_toe", "small_toe")
EASE = 0.3  # s in which a foot comes and goes from where it is planted
RAISED = 0.12  # m: a foot planted higher up in the source stands on something
SETTLE = 0.15  # s in which the pelvis comes down so that both feet can be reached
FLAT = np.cos(np.radians(30.0))  # a foot that is tilted more while its heel and toes touch does not stand flat
BRIEF = 0.06  # s between the first and the last frame of the shortest contact
FOLLOW = 0.4  # s in which it follows its feet up and down
LOWEST = 0.25  # of the leg: the pelvis never comes down further than that
REACH = 0.99  # of the leg: from here on a straightening leg slows down, unless the source's is as straight
STABLE = 0.1  # of the leg: with the knee nearer to the line from hip to ankle, the hinge has a say in where it goes
LEAN = 0.03  # of the leg, how much
MOVED = 0.005  # m by which the ankle moves for all of that


def sole_points(
    stage: Stage, heads: dict[str, Array], side: str, body: Skeleton, ratio: float, ahead: Array
) -> dict[str, tuple[str, Array]]:
    """Points under a rig's foot in T-pose: name -> (role of the bone that carries it, (3,) metres from its joint in
    body axes). Lengths are measured on the rig, the rest is `body`'s at its size (`ratio`).

    ahead: (3,) from ankle to toes in body axes, metres, in the virtual T-pose (zeros: the rig has no toes).
    """
    flat = np.array([1.0, 0.0, 1.0])
    theirs = body.offsets[INDEX[f"{side}_foot"]]
    has_toes = f"{side}_foot" in heads
    scale = ratio
    if has_toes and np.linalg.norm(ahead * flat) > 0.2 * ratio * np.linalg.norm(theirs * flat):
        scale = float(np.linalg.norm(ahead * flat) / np.linalg.norm(theirs * flat))
    height = ankle_height(stage, heads, side)
    out = {}
    for name in SOLE:
        joint, offset = body.points[f"{side}_{name}"]
        down = np.array([0.0, -height, 0.0])
        role = f"{side}_ankle"
        if joint == INDEX[f"{side}_foot"]:
            if has_toes:
                role, down = f"{side}_foot", np.array([0.0, -height - ahead[1], 0.0])
            else:
                offset = offset + theirs
        out[name] = (role, offset * flat * scale + down)
    return out


def source_sole(body: Skeleton, turned: Array, joints: Array, side: str) -> Array:
    """(T, 3, 3) metres, the points `SOLE` of the source's foot."""
    return skeleton.posed_points(body, turned, joints, tuple(f"{side}_{name}" for name in SOLE))


def steady(times: Array, contacts: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Contacts (T, C) without those, and without gaps, that are too short for a foot to be put down or lifted."""
    touching = contacts > 0
    for column in touching.T:
        for state in (False, True):
            for start, end in runs(column == state):
                inside = state or (start > 0 and end < len(times))
                if inside and times[end - 1] - times[start] < BRIEF:
                    column[start:end] = not state
    return touching


def planted(
    times: Array, touching: NDArray[np.bool_], ankle: Array, offsets: Array, source: Array, ratio: float
) -> tuple[Array, Array]:
    """What keeps one foot planted: a turn (T, 4) of the foot and a shift (T, 3) of its ankle.

    While heel and toes touch, the foot lies flat and does not turn; while one of them touches, that one stands still;
    nothing is ever below the floor. In between, both corrections ease in and out.

    touching: (T, 2) heel and toes. ankle: (T, 3), offsets: (T, 3, 3) from there to the target's `SOLE`.
    source: (T, 3, 3) the source's, which says on which level it stands.
    """
    steps = runs(touching.any(axis=1))
    raised = np.zeros(len(times))
    for start, end in steps:
        stood_on = float(np.median(source[start:end, :, 2].min(axis=1)))
        raised[start:end] = ratio * stood_on if stood_on > RAISED else 0.0
    turn = _flat(times, touching, offsets)
    offsets = rotate(turn[:, None], offsets)
    points = ankle[:, None] + offsets
    pair = np.stack([points[:, 0], points[:, 1:].mean(axis=1)], axis=1)
    lowest = points[..., 2].min(axis=1)
    shift = np.zeros((len(times), 3))
    for start, end in steps:
        rows = slice(start, end)
        shift[rows, :2] = _still(touching[rows], pair[rows, :, :2])
        shift[rows, 2] = raised[rows] - lowest[rows]
    _ease(times, steps, shift)
    shift[:, 2] += np.maximum(0.0, -(lowest + shift[:, 2]))
    return turn, shift


def _flat(times: Array, touching: NDArray[np.bool_], offsets: Array) -> Array:
    """Turn (T, 4) that holds the foot in one place, flat, wherever heel and toes touch."""
    vectors = np.zeros((len(times), 3))
    flat = runs(touching.all(axis=1))
    heel, big, small = np.moveaxis(offsets, 1, 0)
    frame = continuous(from_matrix(frame_from((big + small) / 2 - heel, big - small)))
    for start, end in flat:
        held = normalize(frame[start:end].sum(axis=0))
        normal = rotate(held, [0.0, 0.0, 1.0])
        level = [0.0, 0.0, np.sign(normal[2])]
        if abs(normal[2]) > FLAT:
            held = multiply(between(normal, level), held)
        vectors[start:end] = to_axis_angle(multiply(held, inverse(frame[start:end])))
    _ease(times, flat, vectors)
    return from_axis_angle(vectors)


def _still(touching: NDArray[np.bool_], points: Array) -> Array:
    """(n, 2) shift over the floor that stops the points while they touch, around the place where they are on average.

    From frame to frame the points that touch in both are stopped; when the weight goes from heel to toes at once,
    both are.
    """
    if len(points) < 2:
        return np.zeros((len(points), 2))
    both = touching[1:] & touching[:-1]
    both = np.where(both.any(axis=1, keepdims=True), both, touching[1:] | touching[:-1]).astype(float)
    steps = np.einsum("tp,tpk->tk", both / both.sum(axis=1, keepdims=True), np.diff(points, axis=0))
    shift = -np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    return shift - shift.mean(axis=0)


def _ease(times: Array, runs: NDArray[np.int_], shift: Array) -> None:
    """Between stretches the shift of one fades and that of the next grows, never both at once at full."""
    if not len(runs):
        return
    edges = [(0, runs[0, 0], None, runs[0, 0])]
    edges += [(a[1], b[0], a[1] - 1, b[0]) for a, b in pairwise(runs)]
    edges += [(runs[-1, 1], len(times), runs[-1, 1] - 1, None)]
    for start, end, before, after in edges:
        span = times[start:end]
        if not len(span):
            continue
        ends = [times[k] for k in (before, after) if k is not None]
        length = min(EASE, ends[1] - ends[0]) if len(ends) == 2 else EASE
        for edge in (before, after):
            if edge is not None:
                shift[start:end] += _smooth(1.0 - np.abs(span - times[edge]) / length)[:, None] * shift[edge]


def _smooth(x: Array) -> Array:
    """0 to 1 without a jerk at either end."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (x * (6.0 * x - 15.0) + 10.0)


def lifting(times: Array, touching: NDArray[np.bool_], shift: Array) -> Array:
    """(T,) metres by which the pelvis goes along with what the planted feet do, slowly: otherwise the knees would take
    all of it, and a straight knee takes a centimetre with twenty degrees.

    touching: (T, L), shift: (T, L, 3) of each foot.
    """
    count = touching.sum(axis=1)
    known = np.flatnonzero(count)
    if not len(known):
        return np.zeros(len(times))
    mean = np.sum(np.where(touching, shift[..., 2], 0.0), axis=1)[known] / count[known]
    return _blurred(times, np.interp(times, times[known], mean), FOLLOW)


def lowering(times: Array, hips: Array, targets: Array, reach: Array) -> Array:
    """(T,) metres by which the pelvis comes down so that each leg can reach its foot, without jerks.

    hips, targets: (T, L, 3) where the legs begin and where their ankles shall be. reach: (T, L) metres.
    """
    away = hips - targets
    level2 = np.sum(away[..., :2] ** 2, axis=-1)
    need = away[..., 2] - np.sqrt(np.maximum(reach**2 - level2, 0.0))
    need = np.clip(need, 0.0, LOWEST * reach).max(axis=1)
    if not need.any():
        return need
    half = _half(times, SETTLE)
    padded = np.pad(need, half, mode="edge")
    return _blurred(times, np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=-1), SETTLE)


def _half(times: Array, width: float) -> int:
    """Frames in `width` seconds."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return max(1, round(width / max(step, 1e-6)))


def _blurred(times: Array, values: Array, width: float) -> Array:
    """Values (T,) averaged over `width` seconds to both sides, the nearest most."""
    half = _half(times, width)
    weights = np.hanning(2 * half + 3)[1:-1]
    return np.convolve(np.pad(values, half, mode="edge"), weights / weights.sum(), mode="valid")


def longest(hip: Array, ankle: Array, length: Array) -> Array:
    """(T,) how far the ankle may be from the hip: what keeps a bend in the knee, or what the leg does anyway."""
    return np.minimum(np.maximum(REACH * length, np.linalg.norm(ankle - hip, axis=-1)), length)


def bend(hip: Array, knee: Array, ankle: Array, new_hip: Array, target: Array, hinge: Array) -> tuple[Array, Array]:
    """Directions (T, 3) of thigh and shin that bring the ankle from where it is to `target`; all (T, 3).

    The knee keeps its side of the line from hip to ankle; where the leg is straight, the hinge (unit vectors, the
    knee bends by turning the shin about it) says which. Without a shift nothing changes.
    """
    thigh, shin = knee - hip, ankle - knee
    a, b = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (thigh, shin))
    length = a + b
    old_line, wanted = ankle - hip, target - new_hip
    before, after = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (old_line, wanted))
    reach = _soft_reach(after, before, length)
    line = normalize(wanted)
    swung = between(old_line, line)
    pole = rotate(swung, thigh)
    pole = pole - np.sum(pole * line, axis=-1, keepdims=True) * line
    out = np.linalg.norm(pole, axis=-1, keepdims=True)
    moved = np.clip(np.linalg.norm(wanted - old_line, axis=-1, keepdims=True) / MOVED, 0.0, 1.0)
    forward = normalize(np.cross(line, rotate(swung, hinge)))
    pole = normalize(pole + forward * LEAN * length * moved * _smooth(1.0 - out / (STABLE * length)))
    along = (a * a + reach**2 - b * b) / (2.0 * np.maximum(reach, 1e-6))
    along = np.clip(along, -a, a)
    new_thigh = line * along + pole * np.sqrt(np.maximum(a * a - along * along, 0.0))
    return new_thigh, line * reach - new_thigh


def _soft_reach(wanted: Array, before: Array, length: Array) -> Array:
    """Distances from hip to ankle that never pass the leg's length and come near it slowly; what the leg did before
    is not touched."""
    start = np.clip(np.maximum(REACH * length, before), 0.0, length)
    left = np.maximum(length - start, 1e-9)
    over = np.maximum(wanted - start, 0.0)
    return np.where(wanted > start, start + left * (1.0 - np.exp(-over / left)), wanted)
