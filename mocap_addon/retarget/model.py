"""What retargeting works on: a rig as numbers, what its bones are for, and the motion that is put onto it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...backend.core.rotations import Array
from ...backend.core.skeleton import Skeleton


@dataclass(frozen=True)
class Rig:
    """An armature's rest pose and what its bones can do; N bones. Parents come before their children.

    names: bone names.
    parents: (N,) row of the parent, or -1. The parent that really moves the bone: where a constraint replaces it
        (the sockets of control rigs), the bone that the constraint follows.
    rest: (N, 4, 4) rest matrices in armature space, object units, without scale; y along the bone.
    lengths: (N,) object units.
    inherit_rotation: (N,) `use_inherit_rotation`, as it really works on the bone.
    local_location: (N,) `use_local_location`.
    connected: (N,) the location of a connected bone cannot be keyed.
    rotation_modes: "QUATERNION", "AXIS_ANGLE", "XYZ", ...
    locks: (N, 7) location x, y, z and rotation w, x, y, z (w is not used by Euler angles).
    world: (4, 4) the object's `matrix_world`.
    """

    names: tuple[str, ...]
    parents: NDArray[np.integer]
    rest: Array
    lengths: Array
    inherit_rotation: NDArray[np.bool_]
    local_location: NDArray[np.bool_]
    connected: NDArray[np.bool_]
    rotation_modes: tuple[str, ...]
    locks: NDArray[np.bool_]
    world: Array

    @property
    def index(self) -> dict[str, int]:
        """Row of each bone."""
        return {name: i for i, name in enumerate(self.names)}


@dataclass
class Mapping:
    """What the bones of one rig are for.

    A role is SMPL-X's word for a bone: "pelvis", "spine" (chain, without the pelvis, up to the chest), "neck" (chain),
    "head", "left_collar", "left_shoulder" (upper arm), "left_elbow" (forearm), "left_wrist" (hand), "left_hip" (thigh),
    "left_knee" (shin), "left_ankle" (foot), "left_foot" (toes), "left_index1" to "left_index3" and so on for middle,
    ring, pinky and thumb, "jaw", "left_eye", the same on the right, and "root", the bone that carries root motion.
    IK controls, all of them optional: "left_ankle_ik", "left_knee_pole", "left_wrist_ik", "left_elbow_pole".

    family: "rigify", "mixamo", ..., "unknown" (a humanoid found by its structure), "none" (no humanoid).
    bones: role -> bones from the body outwards; one bone, except for chains.
    twists: role -> twist bones that share the roll of its bone ("left_elbow": ["forearm_twist_01.L"]).
    confidence: bone -> 0..1.
    corrections: bone -> quaternion (4,), the user's correction of the virtual calibration pose in the bone's own axes;
        it turns that bone alone.
    unmapped: names of the other bones.
    """

    family: str = "unknown"
    bones: dict[str, list[str]] = field(default_factory=dict)
    twists: dict[str, list[str]] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    corrections: dict[str, Array] = field(default_factory=dict)
    unmapped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceMotion:
    """What is put onto a rig; T frames. World: z up, metres, the floor at z = 0.

    times: (T,) seconds.
    body: proportions of the source, SMPL-X's zero pose.
    local: (T, 55, 4) parent-relative quaternions, the first one in the world (`skeleton.forward_kinematics`).
    pelvis: (T, 3) metres.
    contacts: (T, 4) `skeleton.CONTACTS`; zeros if nothing is known.
    """

    times: Array
    body: Skeleton
    local: Array
    pelvis: Array
    contacts: NDArray[np.uint8]


@dataclass(frozen=True)
class Channels:
    """Values of one bone's channels, as Blender has them: seen from the bone's rest. T is 1 for what stays there.

    rotation: (T, 4) unit quaternions, sign-continuous, whatever the bone's rotation mode (`euler.to_mode`); None: not
        keyed.
    location: (T, 3) object units in the bone's own location space; None: not keyed.
    """

    rotation: Array | None = None
    location: Array | None = None


Retargeted = dict[str, Channels]


@dataclass(frozen=True)
class Options:
    """What the user chooses.

    root: "bone": the root bone carries the way over the floor and the heading; "hips": the pelvis carries all;
        "in_place": the character stays where it is.
    lock: world axes x, y, z along which the character keeps its first position.
    scale: "hip_height", or metres of the character's way for each metre of the source's.
    feet: planted feet stay planted and the floor is not crossed.
    fingers: fingers are mapped.
    ik_controls: IK controls follow the limbs.
    """

    root: str = "hips"
    lock: tuple[bool, bool, bool] = (False, False, False)
    scale: str | float = "hip_height"
    feet: bool = True
    fingers: bool = True
    ik_controls: bool = False
