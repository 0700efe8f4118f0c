"""How the detectors err on clips whose truth is known: what a synthesiser of training data has to imitate.

Errors of keypoints are shares of the person's box (its longer side, median over the clip). The error of one point in
one clip is taken as bias + a part that is alike from frame to frame (first-order autoregressive) + white noise.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import keypoints, rotations
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.runs import runs
from . import metrics
from .compare import APART_2D, COMMON, COMMON_FEET, PAIRS, Pair, box_size, common_points, in_camera, landmark_points

CONFIDENCES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
SEEN = 0.1  # confidence from which on a keypoint's error counts as noise; below it is a guess
LOST = 0.12  # of the box: what is farther off is a limb that was not found, no noise
LONG = 10  # frames: shorter takes tell nothing
LAGS = 6  # frames over which the memory of errors is fitted
GROUPS = ("nose", "eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "big_toe")
_SWAPS = {"all": PAIRS, "arms": PAIRS[:3], "legs": PAIRS[3:]}
_BONES = {
    "upper arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"), "foot": ("heel", "big_toe"),
}  # fmt: skip
_ARMS, _LEGS = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "toe", "heel")
_OTHER = np.array(keypoints.mirrored(keypoints.BODY + keypoints.FEET))


Swaps = tuple[dict[str, NDArray[np.bool_]], NDArray[np.bool_]]


def measure(pairs: list[Pair]) -> dict[str, Any]:
    """Figures for every group of keypoints, for confidences, the model's own 3D points ("hints") and swaps.

    Raises MocapError bad-request when there is nothing to tell them from.
    """
    long = [pair for pair in pairs if len(pair.rows) >= LONG and "keypoints2d" in pair.true]
    if not long:
        raise MocapError("bad-request", f"No take shows anybody of the references for {LONG} frames.")
    swaps = [_swaps(pair) for pair in long]
    points, confidence = _keypoint_figures(long, swaps)
    return {
        "clips": len(long),
        "frames": sum(len(pair.rows) for pair in long),
        "keypoints": points,
        "confidence": confidence,
        "hints": _hint_figures(long, swaps),
        "swaps": _swap_figures(swaps),
    }


def _keypoint_figures(pairs: list[Pair], swaps: list[Swaps]) -> tuple[dict[str, Any], list[dict[str, float]]]:
    series: dict[str, list[tuple[Array, NDArray[np.bool_]]]] = defaultdict(list)
    lost: dict[str, list[NDArray[np.bool_]]] = defaultdict(list)
    confidence: list[Array] = []
    sizes: list[Array] = []
    for pair, (swapped, _) in zip(pairs, swaps, strict=True):
        errors, seen = _keypoint_errors(pair, swapped)
        size, in_view = np.linalg.norm(errors, axis=-1), seen[..., 1] > 0
        for name, k in keypoints.INDEX.items():
            if group := _group(name):
                counted = in_view[:, k] & (seen[:, k, 0] > SEEN)
                series[group].append((errors[:, k], counted & (size[:, k] < LOST)))
                lost[group].append(size[counted, k] >= LOST)
                confidence.append(seen[in_view[:, k], k, 0])
                sizes.append(size[in_view[:, k], k])
    figures = {g: {**_noise(series[g]), "lost": float(np.concatenate(lost[g]).mean())} for g in GROUPS}
    return figures, _by_confidence(np.concatenate(confidence), np.concatenate(sizes))


def _hint_figures(pairs: list[Pair], swaps: list[Swaps]) -> dict[str, Any]:
    depth: dict[str, list[tuple[Array, NDArray[np.bool_]]]] = defaultdict(list)
    across: dict[str, list[Array]] = defaultdict(list)
    directions: dict[str, list[Array]] = defaultdict(list)
    leans: list[Array] = []
    scales: list[float] = []
    slopes: list[float] = []
    for pair, (swapped, _) in zip(pairs, swaps, strict=True):
        points, truth, lean, scale = _hints(pair, swapped["all"])
        leans.append(lean)
        scales.append(scale)
        slopes.append(float((points[..., 2] * truth[..., 2]).sum() / (truth[..., 2] ** 2).sum()))
        for bone, (start, end) in _BONES.items():
            for side in ("left", "right"):
                directions[bone].append(_direction_errors(points, truth, f"{side}_{start}", f"{side}_{end}"))
        trusted, off = ~(swapped["all"] | swapped["arms"] | swapped["legs"]), points - truth
        for k, name in enumerate(COMMON + COMMON_FEET):
            group = name.partition("_")[2]
            depth[group].append((off[:, k, 2:], trusted))
            across[group].append(np.linalg.norm(off[trusted, k, :2], axis=-1))
    return {
        "points": {g: {**_noise(depth[g]), "across": _rms(np.concatenate(across[g]))} for g in depth},
        "directions": {bone: _angles(np.concatenate(parts)) for bone, parts in directions.items()},
        "lean_deg": _lean(leans),
        "scale_mean": float(np.mean(scales)),
        "scale_std": float(np.std(scales)),
        "depth_slope": float(np.mean(slopes)),
    }


def _swap_figures(swaps: list[Swaps]) -> dict[str, dict[str, float]]:
    told = max(sum(int(told.sum()) for _, told in swaps), 1)
    figures = {}
    for kind in _SWAPS:
        lengths = [length for swapped, _ in swaps for length in np.diff(runs(swapped[kind]))[:, 0]]
        figures[kind] = {
            "share": sum(lengths) / told,
            "spans": len(lengths),
            "frames_median": float(np.median(lengths)) if lengths else 0.0,
            "frames_longest": max(lengths, default=0),
        }
    return figures


def _group(name: str) -> str | None:
    part = name.partition("_")[2] or name
    return part if part in GROUPS else None


def _swaps(pair: Pair) -> Swaps:
    """Kind of swap -> frames (T,) that have it (arms, legs: those alone), and in which frames it can be told."""
    assert pair.found is not None
    k = [keypoints.INDEX[name] for name in COMMON]
    sizes = box_size(pair.true)[pair.true_rows, None, None]
    pixels = pair.found["keypoints2d"][pair.rows][:, k, :2] / sizes
    truth = pair.true["keypoints2d"][pair.true_rows][:, k, :2] / sizes
    found = {kind: metrics.swapped(pixels, truth, pairs, APART_2D) for kind, pairs in _SWAPS.items()}
    everything, told = found["all"]
    both = everything & (found["arms"][0] | ~found["arms"][1]) & (found["legs"][0] | ~found["legs"][1])
    return {"all": both, "arms": found["arms"][0] & ~both, "legs": found["legs"][0] & ~both}, told


def _keypoint_errors(pair: Pair, swapped: dict[str, NDArray[np.bool_]]) -> tuple[Array, Array]:
    """Errors (T, 23, 2), shares of the box, swaps undone; and (T, 23, 2): confidence, 1 where the truth is in view."""
    assert pair.found is not None
    count = len(keypoints.INDEX)
    found = pair.found["keypoints2d"][pair.rows][:, :count].astype(float)
    true = pair.true["keypoints2d"][pair.true_rows][:, :count].astype(float)
    arms, legs = (np.array([any(part in n for part in parts) for n in keypoints.INDEX]) for parts in (_ARMS, _LEGS))
    for kind, mine in (("all", np.ones(count, bool)), ("arms", arms), ("legs", legs)):
        order = np.where(mine, _OTHER, np.arange(count))
        found = np.where(swapped[kind][:, None, None], found[:, order], found)
    size = float(np.median(box_size(pair.true)[pair.true_rows]))
    return (found - true)[..., :2] / size, np.stack([found[..., 2], true[..., 2]], -1)


def _direction_errors(points: Array, true: Array, start: str, end: str) -> Array:
    """(T,) degrees between where a bone of points (T, 16, 3) goes and where it truly goes."""
    i, j = ((COMMON + COMMON_FEET).index(name) for name in (start, end))
    return metrics.angle_between(points[:, j] - points[:, i], true[:, j] - true[:, i])


def _angles(degrees: Array) -> dict[str, float]:
    median, p95 = np.quantile(degrees, (0.5, 0.95))
    return {"median_deg": float(median), "p95_deg": float(p95), "reversed": float((degrees > 90).mean())}


def _hints(pair: Pair, swapped: NDArray[np.bool_]) -> tuple[Array, Array, Array, float]:
    """The landmark model's points against the truth as seen straight on, both about the middle of the hips.

    -> points and truth (T, 16, 3) metres at the person's true size (z: depth), lean (T, 3) rotation vector of the best
    fit, scale of the points against the truth.
    """
    assert pair.found is not None
    names = COMMON + COMMON_FEET
    points = landmark_points(pair.found)[pair.rows]
    other = keypoints.mirrored(names)
    points = np.where(swapped[:, None, None], points[:, other], points)
    true = in_camera(pair.true, common_points(pair.true))[pair.true_rows]
    hips = [names.index("left_hip"), names.index("right_hip")]
    middle = true[:, hips].mean(1)
    straight = rotations.between(middle, [0.0, 0.0, 1.0])  # the model sees a crop as if it looked straight at it
    true = rotations.rotate(straight[:, None], true - middle[:, None])
    points = points - points[:, hips].mean(1, keepdims=True)
    scale = float((points * true).sum() / (true * true).sum())
    points = points / scale
    _, turn, _ = metrics.similarity(points, true)
    return points, true, rotations.to_axis_angle(rotations.from_matrix(turn)), scale


def _noise(series: list[tuple[Array, NDArray[np.bool_]]]) -> dict[str, float]:
    """Splits errors (T, D) of many series, valid where told, into bias, correlated and white parts (each a standard
    deviation per axis) and the correlation from frame to frame of the middle one."""
    biases: list[Array] = []
    left: list[Array] = []
    covariance: dict[int, list[Array]] = defaultdict(list)
    for errors, valid in series:
        if valid.sum() < 10:
            continue
        bias = np.median(errors[valid], axis=0)
        rest = errors - bias
        biases.append(bias)
        left.append(np.linalg.norm(errors[valid], axis=-1))
        for lag in range(LAGS + 1):
            both = valid[: len(valid) - lag] & valid[lag:]
            covariance[lag].append((rest[: len(rest) - lag] * rest[lag:])[both].ravel())
    if not biases:
        return {}
    c = np.array([np.concatenate(covariance[lag]).mean() for lag in range(LAGS + 1)])
    lags = np.flatnonzero(c[1:] > 0.02 * c[0]) + 1
    memory = float(np.exp(np.polyfit(lags, np.log(c[lags]), 1)[0])) if len(lags) > 1 else 0.0
    memory = min(memory, 0.99)
    alike = min(c[1] / memory, c[0]) if memory > 0 else 0.0
    errors = np.concatenate(left)
    return {
        "bias": _rms(np.array(biases)),
        "correlated": float(np.sqrt(max(alike, 0.0))),
        "memory": memory,
        "white": float(np.sqrt(max(c[0] - alike, 0.0))),
        "median": float(np.median(errors)),
        "p95": float(np.quantile(errors, 0.95)),
    }


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _lean(leans: list[Array]) -> dict[str, list[float]]:
    """Degrees about the camera's x, y, z: how clips differ (bias), and how frames differ within a clip."""
    means = np.array([np.median(lean, axis=0) for lean in leans])
    within = np.concatenate([lean - np.median(lean, axis=0) for lean in leans])
    return {
        "mean": np.degrees(means.mean(0)).tolist(),
        "bias": np.degrees(np.sqrt((means**2).mean(0))).tolist(),
        "within": np.degrees(np.sqrt((within**2).mean(0))).tolist(),
    }


def _by_confidence(confidence: Array, errors: Array) -> list[dict[str, float]]:
    rows = []
    for low, high in pairwise(CONFIDENCES):
        mine = errors[(confidence >= low) & ((confidence < high) | (high == 1.0))]
        if len(mine):
            median, high_error = np.quantile(mine, (0.5, 0.9))
            share = len(mine) / len(errors)
            rows.append({"from": low, "to": high, "share": share, "median": float(median), "p90": float(high_error)})
    return rows


def render(measured: dict[str, Any]) -> str:
    """The figures as Markdown tables; keypoints in % of the box, hints in mm."""
    hints = measured["hints"]
    lean = {name: ", ".join(f"{v:.1f}" for v in values) for name, values in hints["lean_deg"].items()}
    return "\n".join(
        [
            f"{measured['clips']} persons in clips, {measured['frames']} frames.",
            "",
            *_table(measured["keypoints"], "keypoint, % of the box", {**_NOISE, "lost": "lost %"}, 100),
            *_table(
                {f"{row['from']}–{row['to']}": row for row in measured["confidence"]},
                "confidence, % of the box", {"share": "share %", "median": "median", "p90": "90th"}, 100,
            ),
            *_table(hints["points"], "hint, mm: depth", {**_NOISE, "across": "across, rms"}, 1000),
            *_table(
                {bone: {**row, "reversed": 100 * row["reversed"]} for bone, row in hints["directions"].items()},
                "direction of a hint's", {"median_deg": "median °", "p95_deg": "95th °", "reversed": "reversed %"}, 1,
            ),
            f"Hints lean, degrees about the camera's x, y, z: mean over clips {lean['mean']}; rms over clips "
            f"{lean['bias']}; within a clip {lean['within']}. Their scale is {hints['scale_mean']:.2f} ± "
            f"{hints['scale_std']:.2f} of the truth, their depth {hints['depth_slope']:.2f} of that.",
            "",
            *_table(
                {kind: {**row, "share": 100 * row["share"]} for kind, row in measured["swaps"].items()},
                "swapped", {"share": "share %", "spans": "spans", "frames_median": "median frames",
                            "frames_longest": "longest"}, 1,
            ),
        ]
    )  # fmt: skip


_NOISE = {name: name for name in ("bias", "correlated", "memory", "white", "median")} | {"p95": "95th"}


def _table(rows: dict[str, dict[str, float]], head: str, columns: dict[str, str], factor: float) -> list[str]:
    cells = [[head, *columns.values()], ["---", *["---:"] * len(columns)]]
    for name, row in rows.items():
        if row:  # a point that was never seen has no figures
            values = ((row[key] if key == "memory" else row[key] * factor) for key in columns)
            cells.append([name, *(f"{value:.0f}" if abs(value) >= 20 else f"{value:.2f}" for value in values)])
    return ["| " + " | ".join(row) + " |" for row in cells] + [""]
