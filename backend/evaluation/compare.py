"""Takes against references: matched by clip, person and time, measured, put into a table."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..core import keypoints, rotations, skeleton
from ..core.keypoints import LANDMARKS
from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT
from ..core.take import Take, read_index, read_take
from . import metrics

BODY = np.arange(skeleton.BODY)
HIPS = (1, 2)
CONTACT_POINTS = (2, 0, 5, 3)  # rows of `keypoints_foot` that stand for `skeleton.CONTACTS`: heel, big toe
# What the landmark model gives too, so that both can be compared: the limbs' joints, heels and big toes.
_SIDES = ("left", "right")
COMMON = [f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in _SIDES]
COMMON_FEET = [f"{side}_{part}" for part in ("heel", "big_toe") for side in _SIDES]
PAIRS = [(k, k + 1) for k in range(0, len(COMMON), 2)]  # of left and right in COMMON
NEAR = 0.25  # of the person's box: what is farther away in the picture is somebody else
APART, APART_2D = 0.06, 0.035  # metres, shares of the box between left and right from which a swap can be told

# Name in the JSON -> heading of the table. The unit is the heading's.
COLUMNS = {
    "frames": "frames", "seen": "seen %", "mpjpe": "MPJPE mm", "pa_mpjpe": "PA-MPJPE mm",
    "pa_mpjpe_common": "PA common mm", "pa_mpjpe_landmarks": "PA landm. mm", "foot_mpjpe": "N-MPJPE_F mm",
    "ankle_angle": "AJAE °", "foot_pck": "PCK_F %", "foot_keypoints": "N-FKE %", "acceleration": "accel m/s²",
    "jitter": "jitter 10m/s³", "skate": "skate cm/s", "gravity": "gravity °", "lean": "lean °",
    "world_first": "W-MPJPE mm", "world_whole": "WA-MPJPE mm", "swaps": "swaps %", "swaps_detected": "2D swaps %",
    "jaw": "jaw °",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """One person as captured and as it was: the frames that both have, T of them.

    clip, person: names; found: the take, None where nobody was captured there; rows, true_rows (T,): these frames'
    rows in the take and in the reference.
    """

    clip: str
    person: str
    found: Take | None
    true: Take
    rows: NDArray[np.int64]
    true_rows: NDArray[np.int64]

    @property
    def rate(self) -> float:
        """Frames a second of those that both have, from the timestamps: a take may have every second one."""
        return float(1.0 / np.median(np.diff(self.times if len(self.times) > 1 else self.true.times)))

    @property
    def times(self) -> Array:
        """(T,) seconds."""
        return self.true.times[self.true_rows]


def match(takes: list[Path], references: list[Path]) -> list[Pair]:
    """Every reference with the take that shows the same person.

    Files belong together when their provenance tells the same video: by its SHA-256, else by its name (or none at
    all); frames are matched by their timestamps (within half a frame), persons by the frames in which they are in the
    same place of the picture. Frames in which a take has gone over to somebody else do not count as seen. A take may be
    the index (.json) of several; a reference may know of the feet in the picture only, see `benchmarks`.
    Raises MocapError take-unreadable.
    """
    found = [read_take(file) for given in takes for file in listed(given)]
    true = [(path, _read_reference(path)) for path in references]
    known = {_video(take)[1] for take in found} & {_video(reference)[1] for _, reference in true} - {""}
    clips: dict[str, tuple[list[Take], list[tuple[Path, Take]]]] = defaultdict(lambda: ([], []))
    for take in found:
        clips[_clip(take, known)][0].append(take)
    for path, reference in true:
        clips[_clip(reference, known)][1].append((path, reference))
    pairs = [pair for mine in clips.values() for pair in _match_clip(*mine)]
    return sorted(pairs, key=lambda pair: pair.clip)


def _read_reference(path: Path) -> Take:
    reference = read_take(path, required=("timestamps",))
    return reference if "feet2d" in reference else read_take(path)


def listed(path: Path) -> list[Path]:
    """A take, or the takes of an index (.json). Raises MocapError take-unreadable."""
    return read_index(path)[0] if path.suffix.lower() == ".json" else [path]


def _video(take: Take) -> tuple[str, str]:
    """Name and SHA-256 of the video, as far as they are told."""
    told = take.provenance.get("video", {})
    return Path(told.get("name", "")).stem, told.get("sha256", "")


def _clip(take: Take, known: set[str]) -> str:
    name, sha256 = _video(take)
    return sha256 if sha256 in known else name


def _match_clip(takes: list[Take], references: list[tuple[Path, Take]]) -> list[Pair]:
    rows = [[_common_rows(take, true) for take in takes] for _, true in references]
    shared = np.array([[len(true_rows) for _, true_rows in row] for row in rows]).reshape(len(references), len(takes))
    chosen = dict(zip(*linear_sum_assignment(-shared), strict=True))
    pairs = []
    for i, (path, true) in enumerate(references):
        clip = true.provenance.get("clip") or _video(true)[0]
        person = path.stem.rpartition(".")[2] if len(references) > 1 else ""
        mine = chosen.get(i)
        if mine is None or not shared[i, mine]:
            pairs.append(Pair(clip, person, None, true, np.zeros(0, int), np.zeros(0, int)))
        else:
            pairs.append(Pair(clip, person, takes[mine], true, *rows[i][mine]))
    return pairs


def _common_rows(take: Take, true: Take) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of both that show the same moment and, by the middle of the body in the picture, the same person."""
    step = float(np.median(np.diff(true.times))) if len(true.times) > 1 else 1.0
    nearest = np.abs(true.times[:, None] - take.times).argmin(1)
    there = np.abs(take.times[nearest] - true.times) < 0.5 * step
    found, seen = (_middle(t, "box" in true) for t in (take, true))
    there &= np.linalg.norm(found[nearest] - seen, axis=-1) < NEAR * box_size(true)
    return nearest[there], np.flatnonzero(there)


def in_camera(take: Take, points: Array) -> Array:
    """World points (T, N, 3) of a take -> its camera's space."""
    return np.einsum("tab,tnb->tna", take["R"], points) + take["t"][:, None]


def project(take: Take, points: Array) -> Array:
    """World points (T, N, 3) of a take -> pixels (T, N, 2)."""
    seen = in_camera(take, points)
    return seen[..., :2] / np.maximum(seen[..., 2:], 0.05) * take["focal"] + take["center"]


def _middle(take: Take, of_box: bool) -> Array:
    """(T, 2) pixels: the middle of the body's joints in the picture, or of as much of the box as is in the picture."""
    if not of_box:
        return project(take, take["joints"][:, BODY]).mean(1)
    return np.clip(_box(take), 0, take["image_size"]).mean(1)


def _box(take: Take) -> Array:
    """(T, 2, 2) pixels: the corners of the box around the person, as told, or around joints and feet."""
    if "box" in take:
        return take["box"].reshape(-1, 2, 2)
    pixels = project(take, np.concatenate([take["joints"][:, BODY], take["keypoints_foot"]], 1))
    return np.stack([pixels.min(1), pixels.max(1)], 1)


def box_size(true: Take) -> Array:
    """(T,) pixels: the longer side of the box around the person's joints and feet in the picture."""
    return np.ptp(_box(true), axis=1).max(-1)


def common_points(take: Take) -> Array:
    """(T, 16, 3) metres, world: COMMON and COMMON_FEET of a take."""
    feet = [skeleton.FOOT_POINTS.index(name) for name in COMMON_FEET]
    return np.concatenate([take["joints"][:, [JOINT[name] for name in COMMON]], take["keypoints_foot"][:, feet]], 1)


def landmark_points(take: Take) -> Array:
    """(T, 16, 3) metres: the same points as the landmark model itself had them, camera axes."""
    names = [name.replace("big_toe", "foot_index") for name in COMMON + COMMON_FEET]
    return take["landmarks3d"][:, [LANDMARKS.index(name) for name in names], :3].astype(float)


def global_rotations(take: Take) -> Array:
    """(T, 22, 4) global rotations of the body's joints in the take's camera space."""
    still = np.zeros((len(take), 3))
    turned, _ = skeleton.forward_kinematics(skeleton.neutral(), take.rotations, still)
    return rotations.multiply(rotations.from_matrix(take["R"])[:, None], turned[:, BODY])


def measure(pair: Pair) -> dict[str, NDArray[Any]]:
    """Every metric of COLUMNS that the files allow, per frame, in the units of the table."""
    found, true = pair.found, pair.true
    if found is None or len(pair.rows) < 3:
        return {}
    if "joints" not in true:
        return _pixels(pair)
    p, g = pair.rows, pair.true_rows
    joints, truth = found["joints"][p][:, BODY].astype(float), true["joints"][g][:, BODY].astype(float)
    feet, true_feet = (in_camera(t, t["keypoints_foot"])[r] for t, r in ((found, p), (true, g)))
    seen, true_seen = in_camera(found, found["joints"])[p][:, BODY], in_camera(true, true["joints"])[g][:, BODY]
    turned, true_turned = global_rotations(found)[p], global_rotations(true)[g]
    common, true_common = (in_camera(t, common_points(t))[r] for t, r in ((found, p), (true, g)))
    out = {
        "mpjpe": 1e3 * metrics.mpjpe(seen, true_seen, HIPS),
        "pa_mpjpe": 1e3 * metrics.pa_mpjpe(joints, truth),
        "pa_mpjpe_common": 1e3 * metrics.pa_mpjpe(common, true_common),
        "foot_mpjpe": 1e3 * metrics.foot_mpjpe(feet, true_feet),
        "ankle_angle": metrics.ankle_angle_error(turned[:, skeleton.ANKLES], true_turned[:, skeleton.ANKLES]),
        "world_first": 1e3 * metrics.world_mpjpe(joints, truth, "first"),
        "world_whole": 1e3 * metrics.world_mpjpe(joints, truth, "whole"),
        "swaps": _share(*metrics.swapped(common[:, :12], true_common[:, :12], PAIRS, APART)),
    }
    if "up_axis" not in true or str(true["up_axis"]) == "z":
        up, true_up = found["R"][p, :, 2], true["R"][g, :, 2]
        root, true_root = (rotations.to_matrix(t.rotations[r, 0])[:, 2] for t, r in ((found, p), (true, g)))
        out |= {"gravity": metrics.angle_between(up, true_up), "lean": metrics.angle_between(root, true_root)}
    jaw, true_jaw = (t.rotations[r, JOINT["jaw"]] for t, r in ((found, p), (true, g)))
    if np.ptp(true_jaw, axis=0).max() > 0.01:  # most references know of no mouth
        out["jaw"] = np.degrees(rotations.angle_between(jaw, true_jaw))
    if "landmarks3d" in found:
        out["pa_mpjpe_landmarks"] = 1e3 * metrics.pa_mpjpe(landmark_points(found)[p], true_common)
    if "keypoints2d" in found and "keypoints2d" in true:
        k = [keypoints.INDEX[name] for name in COMMON]
        sizes = box_size(true)[g, None, None]
        pixels, truths = (t["keypoints2d"][r][:, k, :2] / sizes for t, r in ((found, p), (true, g)))
        out["swaps_detected"] = _share(*metrics.swapped(pixels, truths, PAIRS, APART_2D))
    out |= _pixels(pair)
    return out | _over_time(pair, joints, seen - seen[:, :1], true_seen - true_seen[:, :1])


def _over_time(pair: Pair, joints: Array, seen: Array, true_seen: Array) -> dict[str, Array]:
    """What compares frames with the next ones: joints in the world, joints in camera axes about the pelvis, and the
    take's feet in the world; nothing is computed across a gap."""
    assert pair.found is not None
    feet = pair.found["keypoints_foot"][pair.rows][:, CONTACT_POINTS].astype(float)
    out: dict[str, list[Array]] = defaultdict(lambda: [np.zeros(0)])
    for part in metrics.runs(pair.times, 1.0 / pair.rate):
        out["acceleration"].append(metrics.acceleration_error(seen[part], true_seen[part], pair.rate))
        out["jitter"].append(metrics.jitter(joints[part], pair.rate))
        if "contacts" in pair.true:
            standing = pair.true["contacts"][pair.true_rows][part]
            out["skate"].append(metrics.foot_skate(feet[part], standing, pair.rate))
    return {name: np.concatenate(arrays) for name, arrays in out.items()}


def _pixels(pair: Pair) -> dict[str, Array]:
    """PCK_F and N-FKE of the take's feet as its own camera sees them."""
    assert pair.found is not None
    found = project(pair.found, pair.found["keypoints_foot"])[pair.rows]
    if "feet2d" in pair.true:
        true, visible = (pair.true[name][pair.true_rows] for name in ("feet2d", "visible"))
    else:
        true = project(pair.true, pair.true["keypoints_foot"])[pair.true_rows]
        visible = ((true >= 0) & (true < pair.true["image_size"])).all(-1)
    size = box_size(pair.true)[pair.true_rows]
    return {
        "foot_pck": 100 * metrics.foot_pck(found, true, visible, size),
        "foot_keypoints": 100 * metrics.foot_keypoint_error(found, true, visible, size),
    }


def _share(swapped: NDArray[np.bool_], told: NDArray[np.bool_]) -> Array:
    return 100.0 * swapped[told].astype(float)


def evaluate(pairs: list[Pair]) -> dict[str, Any]:
    """-> {"clips": [{"clip", "person", metric: mean, ...}], "overall": {metric: mean over all frames, ...},
    "joints": see `by_joint`}."""
    rows: list[dict[str, Any]] = []
    everything: dict[str, list[NDArray[Any]]] = defaultdict(list)
    for pair in pairs:
        values = measure(pair)
        for name, array in values.items():
            everything[name].append(np.ravel(array))
        frames = len(pair.true.times)
        counts = {"frames": frames, "seen": 100.0 * len(pair.rows) / frames}
        rows.append({"clip": pair.clip, "person": pair.person, **counts, **{k: _mean(v) for k, v in values.items()}})
    frames = sum(row["frames"] for row in rows)
    overall: dict[str, Any] = {
        "frames": frames,
        "seen": sum(row["seen"] * row["frames"] for row in rows) / max(frames, 1),
        **{name: _mean(np.concatenate(arrays)) for name, arrays in everything.items()},
    }
    gravity = np.concatenate(everything["gravity"]) if everything["gravity"] else np.zeros(0)
    if len(gravity):
        overall["gravity_median"], overall["gravity_95"] = (float(q) for q in np.quantile(gravity, (0.5, 0.95)))
    return {"clips": rows, "overall": overall, "joints": by_joint(pairs)}


def by_joint(pairs: list[Pair]) -> dict[str, dict[str, float]]:
    """Joint (left and right together) -> mean error over all frames: `place` mm, Procrustes aligned; `turn` degrees of
    its global rotation in camera space, which also shows limbs that are twisted about themselves."""
    places, turns = [], []
    for pair in pairs:
        if pair.found is not None and "joints" in pair.true:
            joints, truth = (t["joints"][r][:, BODY].astype(float) for t, r in _both(pair))
            moved = metrics.transformed(joints, metrics.similarity(joints, truth))
            places.append(1e3 * np.linalg.norm(moved - truth, axis=-1))
            turned, true_turned = (global_rotations(t)[r] for t, r in _both(pair))
            turns.append(np.degrees(rotations.angle_between(turned, true_turned)))
    if not places:
        return {}
    place, turn = np.concatenate(places).mean(0), np.concatenate(turns).mean(0)
    groups: dict[str, list[int]] = defaultdict(list)
    for j, name in enumerate(skeleton.JOINTS[: len(BODY)]):
        groups[name.removeprefix("left_").removeprefix("right_")].append(j)
    return {name: {"place": float(place[j].mean()), "turn": float(turn[j].mean())} for name, j in groups.items()}


def _both(pair: Pair) -> tuple[tuple[Take, NDArray[np.int64]], tuple[Take, NDArray[np.int64]]]:
    assert pair.found is not None
    return (pair.found, pair.rows), (pair.true, pair.true_rows)


def _mean(values: NDArray[Any]) -> float | None:
    return float(np.mean(values)) if np.size(values) else None


def table(result: dict[str, Any]) -> str:
    """The result as Markdown: a line for each person of each clip and one over all frames; a line for each joint."""
    rows = [*result["clips"], {"clip": "all frames", "person": "", **result["overall"]}]
    names = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    lines = [["clip", *(COLUMNS[name] for name in names)]]
    for row in rows:
        shown = [row.get(name) for name in names]
        lines.append([f"{row['clip']} {row['person']}".strip(), *("–" if v is None else number(v) for v in shown)])
    joints = [[name, *map(number, row.values())] for name, row in result["joints"].items()]
    parts = [lines, [["joint", "place mm", "turn °"], *joints]] if joints else [lines]
    return "\n\n".join(map(aligned, parts))


def aligned(lines: list[list[str]]) -> str:
    """A Markdown table of cells, the first line its headings."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    text = [" | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    text.insert(1, " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]))
    return "\n".join(f"| {line} |" for line in text)


def number(value: float) -> str:
    """Three digits or so."""
    return f"{value:.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.1f}"
