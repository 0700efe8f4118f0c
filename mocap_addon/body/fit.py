"""A body's surface in SMPL-X's zero pose, and the same body with other bone lengths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations, skeleton
from ...backend.core.rotations import Array
from ...backend.core.skeleton import COUNT, INDEX, Skeleton

ASSET = Path(__file__).parents[2] / "assets" / "body" / "body.npz"

# Bones that point to one joint each: the surface around them is stretched along them, and turned with them.
_ENDS = {
    **{f"{side}_{joint}": f"{side}_{end}" for side in ("left", "right") for joint, end in (
        ("hip", "knee"), ("knee", "ankle"), ("collar", "shoulder"), ("shoulder", "elbow"), ("elbow", "wrist"),
        ("wrist", "middle1"),
        *((f"{finger}{k}", f"{finger}{k + 1}") for finger in skeleton.FINGERS for k in (1, 2)))},
    "pelvis": "spine1", "spine1": "spine2", "spine2": "spine3", "spine3": "neck", "neck": "head",
}  # fmt: skip
THICKER = 0.5  # of how much longer a bone is, the surface around it is thicker; the rest follows the whole body's size


@dataclass(frozen=True)
class Surface:
    """V vertices in the zero pose: y up, facing +z, metres, the pelvis at the origin.

    vertices: (V, 3). faces: (F, 3). bones: (V, 4) joints that a vertex follows. shares: (V, 4), rows add up to 1.
    body: the skeleton that fits it.
    """

    vertices: Array
    faces: NDArray[np.int64]
    bones: NDArray[np.int64]
    shares: Array
    body: Skeleton


@cache
def neutral() -> Surface:
    """The body of `assets/body`."""
    with np.load(ASSET, allow_pickle=False) as data:
        points = {
            str(name): (int(row[0]), row[1:].astype(float))
            for name, row in zip(data["names"], data["points"], strict=True)
        }
        shares = data["shares"].astype(float)
        return Surface(
            data["vertices"] / 1e4,
            data["faces"].astype(int),
            data["bones"].astype(int),
            shares / shares.sum(axis=1, keepdims=True),
            Skeleton(data["offsets"].astype(float), points),
        )


def fitted(surface: Surface, body: Skeleton) -> Surface:
    """The surface on another skeleton: every bone's part is moved, turned and stretched with its bone, feet are as
    high as the skeleton's, and everything else grows with the whole body."""
    own, theirs = surface.body.joints(), body.joints()
    size = _height(theirs) / _height(own)
    parts = np.tile(np.eye(3) * size, (COUNT, 1, 1))
    for name, end in _ENDS.items():
        j, e = INDEX[name], INDEX[end]
        before, after = own[e] - own[j], theirs[e] - theirs[j]
        length = np.linalg.norm(after) / max(float(np.linalg.norm(before)), 1e-6)
        thick = size * (length / size) ** THICKER
        along = rotations.normalize(before)
        stretch = thick * np.eye(3) + (length - thick) * np.outer(along, along)
        parts[j] = rotations.to_matrix(rotations.between(before, after)) @ stretch
    hips = [INDEX["left_hip"], INDEX["right_hip"]]
    wide = np.linalg.norm(np.subtract(*theirs[hips])) / np.linalg.norm(np.subtract(*own[hips]))
    parts[0][:, 0] *= wide / size  # the pelvis is as wide as the hips lie apart
    for side in ("left", "right"):
        for finger in skeleton.FINGERS:
            parts[INDEX[f"{side}_{finger}3"]] = parts[INDEX[f"{side}_{finger}2"]]
        _feet(parts, surface.body, body, side)
    head = INDEX["head"]
    for name in ("jaw", "left_eye_smplhf", "right_eye_smplhf"):
        parts[INDEX[name]] = parts[head]
    vertices = np.zeros_like(surface.vertices)
    for k in range(surface.bones.shape[1]):
        j = surface.bones[:, k]
        moved = np.einsum("vab,vb->va", parts[j], surface.vertices - own[j]) + theirs[j]
        vertices += surface.shares[:, k, None] * moved
    return replace(surface, vertices=vertices, body=body)


def _height(joints: Array) -> float:
    """From the ankles to the head, along the bones: bent bodies are as tall as straight ones."""
    chain = ("left_ankle", "left_knee", "left_hip", "pelvis", "spine1", "spine2", "spine3", "neck", "head")
    rows = joints[[INDEX[name] for name in chain]]
    return float(np.linalg.norm(np.diff(rows, axis=0), axis=1).sum())


def _feet(parts: Array, own: Skeleton, theirs: Skeleton, side: str) -> None:
    """Feet as long and as high over the sole as the skeleton's."""
    ankle, foot = INDEX[f"{side}_ankle"], INDEX[f"{side}_foot"]
    before, after = own.offsets[foot], theirs.offsets[foot]
    long = np.hypot(*after[[0, 2]]) / np.hypot(*before[[0, 2]])
    yaw = np.arctan2(after[0], after[2]) - np.arctan2(before[0], before[2])
    turn = rotations.to_matrix(rotations.from_axis_angle([0.0, yaw, 0.0]))
    for joint, point in ((ankle, "heel"), (foot, "big_toe")):
        high = theirs.points[f"{side}_{point}"][1][1] / own.points[f"{side}_{point}"][1][1]
        parts[joint] = turn @ np.diag([long, np.clip(high, 0.5, 2.0), long])


def in_rest_pose(surface: Surface) -> Array:
    """Vertices (V, 3) as the take's armature rests: z up, facing -y, the soles on the floor."""
    points = skeleton.posed_points(
        surface.body,
        np.tile(rotations.IDENTITY, (1, COUNT, 1)),
        surface.body.joints()[None],
        skeleton.FOOT_POINTS,
    )
    lifted = surface.vertices - [0.0, points[..., 1].min(), 0.0]
    return rotations.rotate(skeleton.Y_UP_TO_Z_UP, lifted)
