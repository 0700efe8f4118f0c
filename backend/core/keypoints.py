"""The COCO-WholeBody keypoint layout: 133 points of one person.

0-16 body, 17-22 feet, 23-90 face (the 68 points of the iBUG scheme), 91-111 left hand, 112-132 right hand.
A keypoint is (x, y, confidence): pixels of the upright frame, x right, y down; confidence 0 means "not seen".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BODY = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
INDEX = {name: i for i, name in enumerate(BODY + FEET)}

COUNT = 133
FACE = slice(23, 91)
LEFT_HAND = slice(91, 112)
RIGHT_HAND = slice(112, 133)

# BlazePose's own 33 body landmarks, from which the body and foot keypoints are made.
LANDMARKS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index",
    "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_heel", "right_heel", "left_foot_index", "right_foot_index",
)  # fmt: skip


def mirrored(names: Sequence[str]) -> list[int]:
    """For each name the index of the same thing on the other side."""
    swap = {"left": "right", "right": "left"}
    return [names.index(re.sub("left|right", lambda side: swap[side[0]], name)) for name in names]
