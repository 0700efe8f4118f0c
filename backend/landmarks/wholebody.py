"""From what the models saw to one OBSERVATION record in the COCO-WholeBody layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..core import keypoints
from ..core.rotations import Array
from ..stages import OBSERVATION, Frame, Roi
from .face import FaceLook
from .hands import HandLook
from .pose import INDEX, PoseLook

_OUTSIDE = 0.1  # confidence of a point beyond the picture's edge is at most this: it is a guess

# COCO-WholeBody's body and feet (0-22) among BlazePose's 33; small toes have no counterpart.
_RENAMED = {
    "left_big_toe": "left_foot_index",
    "right_big_toe": "right_foot_index",
    "left_small_toe": "left_foot_index",
    "right_small_toe": "right_foot_index",
}
_BODY = np.array([INDEX[_RENAMED.get(name, name)] for name in keypoints.INDEX])
_WRISTS = [keypoints.INDEX["left_wrist"], keypoints.INDEX["right_wrist"]]
_SMALL_TOES = [keypoints.INDEX["left_small_toe"], keypoints.INDEX["right_small_toe"]]


def observe(
    frame: Frame,
    pose: PoseLook,
    hands: Sequence[HandLook | None],
    face: FaceLook | None,
    consistency: float,
) -> np.void:
    """One person in one frame as a record of OBSERVATION, in full-size pixels. hands: left, right."""
    record = np.zeros(1, OBSERVATION)[0]
    record["frame"], record["time"], record["consistency"] = frame.index, frame.time, consistency
    roi = pose.used
    record["roi"] = roi.x * frame.scale, roi.y * frame.scale, roi.side * frame.scale, roi.angle
    points = record["keypoints"]
    points[: len(_BODY), :2] = pose.points[_BODY]
    points[: len(_BODY), 2] = (pose.visibility * pose.presence)[_BODY] * pose.flag
    points[_SMALL_TOES, 2] = 0
    if face is not None:
        points[keypoints.FACE, :2], points[keypoints.FACE, 2] = face.points, face.confidence
    for side, (part, hand) in enumerate(zip((keypoints.LEFT_HAND, keypoints.RIGHT_HAND), hands, strict=True)):
        if hand is not None:
            points[part, :2], points[part, 2] = hand.points, hand.presence
            record["hands"][side, :, :3], record["hands"][side, :, 3] = hand.world, hand.confidence
            # Both models see the wrist, each a little elsewhere: their middle trembles a quarter less.
            points[_WRISTS[side], :2] = 0.5 * (points[_WRISTS[side], :2] + hand.points[0])
    height, width = frame.rgb.shape[:2]
    points[:, 2] = np.where(_inside(points, width, height), points[:, 2], np.minimum(points[:, 2], _OUTSIDE))
    points[:, :2] *= frame.scale
    record["landmarks"][:, :3] = pose.world
    seen = pose.visibility * pose.flag
    inside = _inside(pose.points, width, height)
    record["landmarks"][:, 3] = np.where(inside, seen, np.minimum(seen, _OUTSIDE))
    return record


def recall(record: np.void, scale: float) -> PoseLook:
    """The body that `observe` wrote down, in pixels of a `Frame.rgb` of that scale; points that the layout does not
    have lie on a near one."""
    x, y, side, angle = (float(v) for v in record["roi"])
    roi = Roi(x / scale, y / scale, side / scale, angle)
    points = record["keypoints"][_STAND_INS, :2].astype(float) / scale
    world, seen = record["landmarks"][:, :3].astype(float), record["landmarks"][:, 3].astype(float)
    return PoseLook(points, seen, np.ones(len(keypoints.LANDMARKS)), world, 1.0, roi, roi)


def _stand_in(name: str) -> int:
    """The keypoint that a BlazePose landmark is, or lies next to."""
    side, _, part = name.partition("_")
    part = {"foot_index": "big_toe", "pinky": "wrist", "index": "wrist", "thumb": "wrist"}.get(part, part)
    return keypoints.INDEX.get(f"{side}_{part}", keypoints.INDEX["nose"])


_STAND_INS = np.array([_stand_in(name) for name in keypoints.LANDMARKS])


def _inside(points: Array, width: int, height: int) -> NDArray[np.bool_]:
    """(N, 2+) pixels -> whether each lies in the picture."""
    return (points[:, 0] >= 0) & (points[:, 1] >= 0) & (points[:, 0] < width) & (points[:, 1] < height)
