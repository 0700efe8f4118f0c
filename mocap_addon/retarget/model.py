"""What retargeting works on: a rig, which bone does what on it, and the motion that is put onto it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...backend.core import skeleton
from ...backend.core.rotations import Array


@dataclass(frozen=True)
class Rig:
    """An armature's rest pose and what its bones can do; N bones, parents before children.

    names: bone names.
    parents: (N,) index of the parent or -1.
    rest: (N, 4, 4) rest matrices in armature space, object units, no scale; y runs along the bone.
    lengths: (N,) object units.
    inherit_rotation, local_location, connected: (N,) bool; the location of a connected bone cannot be keyed.
    rotation_modes: "QUATERNION", "AXIS_ANGLE", "XYZ", ...
    locks: (N, 7) bool, location xyz and rotation wxyz (w is unused by Euler modes).
    world: (4, 4) the object's matrix_world: rotation, scale, also non-uniform or mirrored parents.
    """

    names: tuple[str, ...]
    parents: NDArray[np.int_]
    rest: Array
    lengths: Array
    inherit_rotation: NDArray[np.bool_]
    local_location: NDArray[np.bool_]
    connected: NDArray[np.bool_]
    rotation_modes: tuple[str, ...]
    locks: NDArray[np.bool_]
    world: Array


# A role is what a bone is for, in SMPL-X's words: "pelvis", "spine" (chain), "neck" (chain), "head", "left_collar",
# "left_shoulder" (upper arm), "left_elbow" (forearm), "left_wrist" (hand), "left_hip" (thigh), "left_knee" (shin),
# "left_ankle" (foot), "left_foot" (toes), "left_index1" ..., "left_thumb1" ..., "jaw", "left_eye", and the same right;
# "root": the bone that carries root motion (may be missing: then the pelvis carries it).
@dataclass
class Mapping:
    """Which bones of a rig play which role.

    family: "rigify", "mixamo", ..., "unknown" (a humanoid found by its structure), "none" (no humanoid).
    bones: role -> bones from the body outwards (chains: several; else one).
    twists: role -> twist bones that share its roll.
    confidence: bone -> 0 .. 1.
    corrections: bone -> quaternion (4,), the user's correction of the virtual calibration pose.
    unmapped: bones without a role.
    """

    family: str
    bones: dict[str, list[str]]
    twists: dict[str, list[str]]
    confidence: dict[str, float]
    corrections: dict[str, Array]
    unmapped: list[str]


@dataclass(frozen=True)
class SourceMotion:
    """What is put onto a rig: T frames; world z up, metres, floor at z = 0.

    times: (T,) seconds.
    body: the source's rest pose, SMPL-X joints.
    local: (T, 55, 4) parent-relative quaternions as in backend.core.skeleton.
    pelvis: (T, 3) metres.
    contacts: (T, 4) uint8, see skeleton.CONTACTS.
    """

    times: Array
    body: skeleton.Skeleton
    local: Array
    pelvis: Array
    contacts: NDArray[np.uint8]
