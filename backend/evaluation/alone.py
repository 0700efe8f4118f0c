"""What takes tell of themselves, where nobody knows the truth: feet that should stand still, and the person in the
picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..body import seen
from ..core import skeleton as sk
from ..core.take import REQUIRED, Take, read_take
from . import metrics
from .compare import BODY, CONTACT_POINTS, aligned, box_size, listed, number, project

NEEDED = (*REQUIRED, "timestamps", "joints", "keypoints_foot", "contacts", "keypoints2d")
SURE = 0.5  # confidence from which on a keypoint is compared


def measure(take: Take) -> dict[str, float | int]:
    """Heading, with its unit -> figure, over all frames of a take.

    slide: of heels and toes over each step between two frames in which the take has them standing. reprojection: from
    where the take's body would show shoulders, elbows, wrists, hips, knees and ankles to the detected ones, share of
    the person's box; median.
    """
    rate = float(1.0 / np.median(np.diff(take.times)))
    feet, joints = take["keypoints_foot"][:, CONTACT_POINTS].astype(float), take["joints"].astype(float)
    stretches = metrics.runs(take.times, 1.0 / rate)
    slide = np.concatenate([metrics.foot_skate(feet[part], take["contacts"][part], rate) for part in stretches])
    jitter = np.concatenate([metrics.jitter(joints[part][:, BODY], rate) for part in stretches])

    turned, _ = sk.forward_kinematics(sk.neutral(), take.rotations, np.zeros((len(take), 3)))
    pixels = project(take, seen.seen_points(turned, joints))
    found = take["keypoints2d"][:, seen.KEYPOINTS].astype(float)
    off = np.linalg.norm(pixels - found[..., :2], axis=-1) / box_size(take)[:, None]
    off = off[found[..., 2] > SURE]
    return {
        "frames": len(take),
        "standing %": 100.0 * float((take["contacts"] > 0).mean()),
        "slide cm/s, median": float(np.median(slide)) if len(slide) else np.nan,
        "mean": float(slide.mean()) if len(slide) else np.nan,
        "reprojection %": 100.0 * float(np.median(off)) if len(off) else np.nan,
        "jitter 10m/s³": float(jitter.mean()) if len(jitter) else np.nan,
    }


def evaluate(paths: list[Path]) -> list[dict[str, Any]]:
    """The figures of takes, or of all takes of an index (.json), each with its path as `take`; None where a take has
    nothing to tell. Raises MocapError take-unreadable."""
    takes = [path for given in paths for path in listed(given)]
    figures = [measure(read_take(path, required=NEEDED)) for path in takes]
    told = [{name: None if np.isnan(value) else value for name, value in row.items()} for row in figures]
    return [{"take": str(path), **row} for path, row in zip(takes, told, strict=True)]


def table(result: list[dict[str, Any]]) -> str:
    """The result as Markdown, a line for each take."""
    lines = [list(result[0])]
    for row in result:
        take, *figures = row.values()
        lines.append([Path(take).stem, *("–" if value is None else number(value) for value in figures)])
    return aligned(lines)
