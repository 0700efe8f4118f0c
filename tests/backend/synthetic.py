"""What the landmark stage would see of a known motion through a known camera: exact input for the later stages."""

from __future__ import annotations

import numpy as np

from backend.body.landmarks import HAND_CHAINS
from backend.body.landmarks import INDEX as L
from backend.core import keypoints, rotations
from backend.core import skeleton as sk
from backend.core.rotations import Array
from backend.core.skeleton import INDEX as JOINT
from backend.core.skeleton import Skeleton
from backend.stages import OBSERVATION, Camera

EARS = np.array([[0.075, 0.06, 0.0], [-0.075, 0.06, 0.0], [0.0, 0.053, 0.1]])  # left, right, nose; from the head joint


def standing(frames: int) -> Array:
    """(T, 55, 4) local rotations: arms hanging, elbows and knees a little bent, facing +z in y-up axes."""
    local = np.broadcast_to(rotations.IDENTITY, (frames, sk.COUNT, 4)).copy()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        local[:, JOINT[f"{side}_shoulder"]] = rotations.from_axis_angle([0, 0, -sign * 1.2])
        local[:, JOINT[f"{side}_elbow"]] = rotations.from_axis_angle([0, -sign * 0.5, 0])
        local[:, JOINT[f"{side}_hip"]] = rotations.from_axis_angle([-0.15, 0, 0])
        local[:, JOINT[f"{side}_knee"]] = rotations.from_axis_angle([0.3, 0, 0])
        local[:, JOINT[f"{side}_ankle"]] = rotations.from_axis_angle([-0.15, 0, 0])
    return local


def landmarks(body: Skeleton, local: Array, pelvis: Array) -> tuple[Array, Array]:
    """BlazePose's points (T, 33, 3), in the frame of the root, and both hands (T, 2, 21, 4), wrist-centred."""
    turned, joints = sk.forward_kinematics(body, local, pelvis)
    points = np.zeros((len(local), 33, 3))
    hands = np.ones((len(local), 2, 21, 4))
    for s, side in enumerate(("left", "right")):
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            points[:, L[f"{side}_{name}"]] = joints[:, JOINT[f"{side}_{name}"]]
        names = tuple(f"{side}_{n}" for n in ("heel", "big_toe", "small_toe"))
        heel, big, small = np.moveaxis(sk.posed_points(body, turned, joints, names), 1, 0)
        points[:, L[f"{side}_heel"]] = heel
        points[:, L[f"{side}_foot_index"]] = 0.7 * big + 0.3 * small
        for name, joint in (("index", "index1"), ("pinky", "pinky1"), ("thumb", "thumb2")):
            points[:, L[f"{side}_{name}"]] = joints[:, JOINT[f"{side}_{joint}"]]
        tips = sk.posed_points(body, turned, joints, tuple(f"{side}_{finger}_tip" for finger in HAND_CHAINS))
        wrist = joints[:, JOINT[f"{side}_wrist"]]
        hands[:, s, 0, :3] = 0.0
        for k, (finger, chain) in enumerate(HAND_CHAINS.items()):
            for j in range(3):
                hands[:, s, chain[j], :3] = joints[:, JOINT[f"{side}_{finger}{j + 1}"]] - wrist
            hands[:, s, chain[3], :3] = tips[:, k] - wrist
    for name, offset in zip(("left_ear", "right_ear", "nose"), EARS, strict=True):
        points[:, L[name]] = joints[:, JOINT["head"]] + rotations.rotate(turned[:, JOINT["head"]], offset)
    return points, hands


def observe(body: Skeleton, local: Array, pelvis: Array, times: Array, camera: Camera) -> np.ndarray:
    """(T,) OBSERVATIONs of a motion in the world (z up; root rotations and pelvis in the world)."""
    points, hands = landmarks(body, local, pelvis)
    seen = rotations.rotate(camera.rotation, points) + camera.t
    pixels = seen[..., :2] / seen[..., 2:] * camera.focal + camera.center
    hips = 0.5 * (seen[:, L["left_hip"]] + seen[:, L["right_hip"]])

    out = np.zeros(len(times), OBSERVATION)
    out["frame"], out["time"] = np.arange(len(times)), times
    for name, k in keypoints.INDEX.items():
        landmark = {"left_big_toe": "left_foot_index", "right_big_toe": "right_foot_index"}.get(name, name)
        if landmark in L and np.any(points[:, L[landmark]]):
            out["keypoints"][:, k, :2], out["keypoints"][:, k, 2] = pixels[:, L[landmark]], 0.95
    centre = hips[:, :2] / hips[:, 2:] * camera.focal + camera.center
    out["roi"][:, :2], out["roi"][:, 2] = centre, 2.2 * camera.focal / hips[:, 2]
    # The model sees the crop as if the camera looked straight at it.
    ray = np.column_stack([(centre - camera.center) / camera.focal, np.ones(len(centre))])
    straight = rotations.inverse(rotations.between([0.0, 0.0, 1.0], ray))
    out["landmarks"][..., :3] = rotations.rotate(straight[:, None], seen - hips[:, None])
    out["landmarks"][..., 3] = 0.95
    out["hands"][..., :3] = rotations.rotate(camera.rotation, hands[..., :3])
    out["hands"][..., 3] = hands[..., 3]
    out["consistency"] = 1.0
    out["turn"] = rotations.IDENTITY
    return out


def camera_at(height: float, distance: float, pitch: float, roll: float = 0.0) -> Camera:
    """A camera `distance` metres in front of the world's origin (on its -y side), `height` metres above the floor;
    pitch > 0 looks down; radians."""
    level = rotations.from_axis_angle([np.pi / 2, 0.0, 0.0])
    down = rotations.from_axis_angle([pitch, 0.0, 0.0])
    rolled = rotations.from_axis_angle([0.0, 0.0, roll])
    rotation = rotations.multiply(rolled, rotations.multiply(down, level))
    t = -rotations.rotate(rotation, [0.0, -distance, height])
    return Camera(1500.0, np.array([960.0, 540.0]), np.array([1920.0, 1080.0]), rotation, t)


def to_camera(points: Array, camera: Camera) -> Array:
    """World (..., 3) -> camera space."""
    return rotations.rotate(camera.rotation, points) + camera.t
