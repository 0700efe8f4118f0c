"""SMPL-X's 55 joints and our own neutral body proportions for them.

Zero pose: T-pose, y up, facing +z, metres; every joint's frame is axis-aligned, so a joint's local rotation is
parent-relative in the body's own axes (the SMPL-X convention).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from . import rotations
from .keypoints import mirrored
from .rotations import Array

FINGERS = ("index", "middle", "pinky", "ring", "thumb")  # SMPL-X's own order
JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "jaw", "left_eye_smplhf",
    "right_eye_smplhf",
    *(f"{side}_{finger}{k}" for side in ("left", "right") for finger in FINGERS for k in (1, 2, 3)),
)  # fmt: skip
PARENTS = np.array(
    [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15]
    + [20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38]
    + [21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53]
)
INDEX = {name: i for i, name in enumerate(JOINTS)}
COUNT = len(JOINTS)
BODY = 22  # the first of them, without face and hands
ANKLES = [INDEX["left_ankle"], INDEX["right_ankle"]]
MIRROR = np.array(mirrored(JOINTS))

# Surface points that follow a joint: the ends of feet, fingers, head and jaw.
FOOT_POINTS = (
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
CONTACTS = ("left_heel", "left_toe", "right_heel", "right_toe")

# From body axes (y up, facing +z) to the world's and Blender's (z up, facing -y): a quarter turn about x.
Y_UP_TO_Z_UP = rotations.from_axis_angle([np.pi / 2, 0.0, 0.0])


@dataclass(frozen=True)
class Skeleton:
    """Rest pose of one body.

    offsets: (55, 3) metres, each joint seen from its parent in the zero pose; the pelvis' own row is its position
        in SMPL-X's template, so that AMASS' rule `pelvis = offsets[0] + trans` holds.
    points: name -> (joint index, (3,) metres from that joint in the zero pose).
    """

    offsets: Array
    points: dict[str, tuple[int, Array]]

    def joints(self) -> Array:
        """(55, 3) rest positions in metres, y up, pelvis at the origin."""
        rest = np.zeros((COUNT, 3))
        for j in range(1, COUNT):
            rest[j] = rest[PARENTS[j]] + self.offsets[j]
        return rest

    def with_offsets(self, offsets: Array) -> Skeleton:
        """The same body with other joint offsets (55, 3); points scale with the bone that carries them."""
        scale = np.linalg.norm(offsets, axis=1) / np.maximum(np.linalg.norm(self.offsets, axis=1), 1e-9)
        points = {name: (j, p * (scale[j] if j else 1.0)) for name, (j, p) in self.points.items()}
        return replace(self, offsets=np.asarray(offsets, float), points=points)

    def scaled(self, factor: float) -> Skeleton:
        """The same body, larger or smaller (the pelvis keeps its place in SMPL-X's template)."""
        return self.with_offsets(np.concatenate([self.offsets[:1], self.offsets[1:] * factor]))


@cache
def neutral() -> Skeleton:
    """The neutral skeleton of `assets/skeleton.json`."""
    data = json.loads((Path(__file__).parents[2] / "assets" / "skeleton.json").read_text("utf-8"))
    offsets = np.array([data["offsets"][name] for name in JOINTS], float)
    points = {name: (INDEX[p["joint"]], np.array(p["offset"], float)) for name, p in data["points"].items()}
    return Skeleton(offsets, points)


def forward_kinematics(skeleton: Skeleton, local: Array, pelvis: Array) -> tuple[Array, Array]:
    """Pose the skeleton.

    local: (T, 55, 4) parent-relative quaternions; the first one is the body's orientation in the target frame.
    pelvis: (T, 3) metres, position of the pelvis joint in the target frame (world or camera).
    -> global rotations (T, 55, 4), joints (T, 55, 3) metres, both in the target frame.
    """
    turned = to_global(local)
    joints = np.empty((len(turned), COUNT, 3))
    joints[:, 0] = pelvis
    for j in range(1, COUNT):
        p = PARENTS[j]
        joints[:, j] = joints[:, p] + rotations.rotate(turned[:, p], skeleton.offsets[j])
    return turned, joints


def posed_points(skeleton: Skeleton, turned: Array, joints: Array, names: tuple[str, ...]) -> Array:
    """Positions (T, len(names), 3) in metres of surface points of the posed skeleton, in the joints' frame."""
    out = np.empty((len(joints), len(names), 3))
    for k, name in enumerate(names):
        joint, offset = skeleton.points[name]
        out[:, k] = joints[:, joint] + rotations.rotate(turned[:, joint], offset)
    return out


def to_local(turned: Array) -> Array:
    """Global rotations (T, J, 4) of the first J joints -> parent-relative ones."""
    local = np.array(turned, float)
    local[:, 1:] = rotations.multiply(rotations.inverse(turned[:, PARENTS[1 : turned.shape[1]]]), turned[:, 1:])
    return local


def to_global(local: Array) -> Array:
    """Parent-relative rotations (T, J, 4) of the first J joints -> global ones."""
    turned = np.array(local, float)
    for j in range(1, turned.shape[1]):
        turned[:, j] = rotations.multiply(turned[:, PARENTS[j]], turned[:, j])
    return turned
