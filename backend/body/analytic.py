"""Body engine `analytic`: joint rotations straight from 3D landmarks, no network.

Directions come from pairs of landmarks, twists from the planes of bent elbows and knees and from hands and feet,
lengths from the whole take. It is the fallback of every other body engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import keypoints, rotations
from ..core import skeleton as sk
from ..core.rotations import Array
from ..core.skeleton import INDEX as JOINT
from ..core.skeleton import Skeleton
from ..core.smoothing import keep_fast
from ..stages import Camera, Motion
from . import hands, landmarks
from .landmarks import INDEX as L
from .proportions import middle, proportioned
from .twist import about, settled_angle, signed_angle

NOISE = np.array([0.008, 0.008, 0.022])  # metres; depth is the landmark model's weak side
FOOT_DEPTH = 1.5  # the landmark model flattens feet along the line of sight: chosen on the clips of docs/evaluation.md
HEAD_PITCH = np.radians(4.0)  # the nose lies a little below the line through the ears of a level head
SIDES = (("left", 1.0), ("right", -1.0))


class AnalyticSolver:
    """Stage `body` without a network. See `stages.BodySolver`."""

    def measure(self, observations: NDArray[Any], camera: Camera) -> Skeleton:
        """The person's proportions from (T,) OBSERVATIONs."""
        return proportioned(*_metric(observations))

    def solve(self, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
        """Pose and place `skeleton` in every frame; camera space."""
        points, weights = seen_points(observations, camera)
        times = observations["time"].astype(float)
        points = filtered(points, weights, times)
        turned = pose(points, weights, observations["hands"], times, skeleton)
        local = sk.to_local(turned)
        pelvis = place_skeleton(turned, skeleton, observations, camera)
        confidence = joint_confidence(weights, observations["hands"][..., 3])
        return Motion(times, local, pelvis, confidence)


def _metric(observations: NDArray[Any]) -> tuple[Array, Array]:
    """-> the landmark model's points (T, 33, 3) in metres and their visibility (T, 33)."""
    return observations["landmarks"][..., :3].astype(float), observations["landmarks"][..., 3].astype(float)


def seen_points(observations: NDArray[Any], camera: Camera) -> tuple[Array, Array]:
    """Landmarks with the model's depth and the picture's exactness: (T, 33, 3) metres, camera axes, about the hips;
    and weights (T, 33) in 0..1."""
    points, weights = _metric(observations)
    points = landmarks.along_ray(points, observations["roi"].astype(float), camera)
    mine, theirs = landmarks.IN_KEYPOINTS.T
    seen = observations["keypoints"][:, theirs].astype(float)
    place = landmarks.place_points(points[:, mine], seen[..., :2], seen[..., 2] ** 2 + 1e-3, camera)
    points[:, mine] = landmarks.on_rays(points[:, mine], place, seen[..., :2], seen[..., 2], camera)
    return points - middle(points, "hip")[:, None], weights


def filtered(points: Array, weights: Array, times: Array) -> Array:
    """Points (T, 33, 3) of `seen_points` without jitter, feet as deep as they are."""
    points = points.copy()
    for side, _ in SIDES:
        ankle, foot = L[f"{side}_ankle"], [L[f"{side}_heel"], L[f"{side}_foot_index"]]
        points[:, foot, 2] += (FOOT_DEPTH - 1.0) * (points[:, foot, 2] - points[:, [ankle], 2])
    return keep_fast(points, times, weights, NOISE)


def pose(points: Array, weights: Array, hand_points: Array, times: Array, skeleton: Skeleton) -> Array:
    """Landmarks -> global rotations (T, 55, 4), body axes -> the points' frame.

    points (T, 33, 3) metres, any right-handed frame; weights (T, 33); hand_points (T, 2, 21, 4); times (T,) seconds.
    """
    turned = np.broadcast_to(rotations.IDENTITY, (len(points), sk.COUNT, 4)).copy()
    rest = skeleton.joints()
    _trunk(turned, points, rest)
    _head(turned, points)
    for side, _ in SIDES:
        _leg(turned, points, weights, times, rest, skeleton, side)
    for s, (side, sign) in enumerate(SIDES):
        _arm(turned, points, weights, hand_points[:, s], times, rest, side, sign)
        hands.fingers(turned, hand_points[:, s], times, skeleton, side)
    return turned


def _aligned(x: Array, y: Array, rest_x: Array, rest_y: Array) -> Array:
    """Quaternions that turn the rest directions (3,) onto the seen ones (T, 3): x exactly, y as well as possible."""
    return rotations.from_matrix(rotations.frame_from(x, y) @ rotations.frame_from(rest_x, rest_y).T)


def _trunk(turned: Array, points: Array, rest: Array) -> None:
    """Pelvis from the hip line, chest from the shoulder line, the spine between them bent so that the shoulders end
    up where they were seen from the hips."""
    across_hips = points[:, L["left_hip"]] - points[:, L["right_hip"]]
    across_shoulders = points[:, L["left_shoulder"]] - points[:, L["right_shoulder"]]
    up = middle(points, "shoulder") - middle(points, "hip")
    rest_up = rest[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(0) - rest[[1, 2]].mean(0)
    pelvis = _aligned(across_hips, up, np.array([1.0, 0, 0]), rest_up)
    chest = _aligned(across_shoulders, up, np.array([1.0, 0, 0]), rest_up)

    spine1, spine2, spine3 = JOINT["spine1"], JOINT["spine2"], JOINT["spine3"]
    lower, upper = rest[spine2] - rest[spine1], rest[spine3] - rest[spine2]
    top = rest[[JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(0) - rest[spine3]
    base = rest[spine1] - rest[[1, 2]].mean(0)
    bends = [rotations.slerp(pelvis, chest, np.array(w)) for w in (1 / 3, 2 / 3)]
    for _ in range(3):
        reach = (
            rotations.rotate(pelvis, base)
            + rotations.rotate(bends[0], lower)
            + rotations.rotate(bends[1], upper)
            + rotations.rotate(chest, top)
        )
        swing = rotations.between(reach, up)
        bends = [rotations.multiply(swing, b) for b in bends]
    turned[:, :] = pelvis[:, None]
    turned[:, spine1], turned[:, spine2] = bends
    above = [spine3, JOINT["neck"], JOINT["left_collar"], JOINT["right_collar"]]
    turned[:, above] = chest[:, None]


def _head(turned: Array, points: Array) -> None:
    """Head from the ears and the nose; the neck goes halfway."""
    ears = points[:, L["left_ear"]] - points[:, L["right_ear"]]
    forward = points[:, L["nose"]] - middle(points, "ear")
    seen = rotations.from_matrix(
        rotations.frame_from(ears, np.cross(forward, ears))
        @ rotations.to_matrix(rotations.from_axis_angle([-HEAD_PITCH, 0, 0]))
    )
    chest = turned[:, JOINT["spine3"]]
    head = _within(chest, seen, np.radians(85.0))
    turned[:, JOINT["neck"]] = rotations.slerp(chest, head, np.array(0.5))
    for name in ("head", "jaw", "left_eye_smplhf", "right_eye_smplhf"):
        turned[:, JOINT[name]] = head


def _within(parent: Array, child: Array, limit: float) -> Array:
    """`child` brought back towards `parent` so far that they differ by at most `limit` radians."""
    angle = rotations.angle_between(parent, child)
    return rotations.slerp(parent, child, np.minimum(1.0, limit / np.maximum(angle, 1e-9)))


def _leg(
    turned: Array, points: Array, weights: Array, times: Array, rest: Array, skeleton: Skeleton, side: str
) -> None:
    hip, knee, ankle = (JOINT[f"{side}_{n}"] for n in ("hip", "knee", "ankle"))
    seen = {n: points[:, L[f"{side}_{n}"]] for n in ("hip", "knee", "ankle", "heel", "foot_index")}
    thigh, shin = seen["knee"] - seen["hip"], seen["ankle"] - seen["knee"]
    foot, heel = seen["foot_index"] - seen["heel"], seen["ankle"] - seen["heel"]

    # Thigh: direction from hip to knee; turned about itself so that the knee's axis lies across the leg's plane.
    swing = rotations.multiply(
        rotations.between(rotations.rotate(turned[:, 0], rest[knee] - rest[hip]), thigh), turned[:, 0]
    )
    axis = rotations.rotate(swing, [1.0, 0.0, 0.0])
    bend = np.cross(rotations.normalize(thigh), rotations.normalize(shin))
    across_foot = np.cross(-rotations.normalize(shin), foot)
    along = rotations.normalize(thigh)
    angles = np.stack([signed_angle(axis, bend, along), signed_angle(axis, across_foot, along)], -1)
    # Knees bend backwards and feet point forwards: what would turn the thigh by more than that is not believed.
    plausible = np.clip(np.cos(angles) + [0.5, 0.0], 0.0, 1.0)
    evidence = np.stack([4.0 * np.sum(bend**2, -1), np.full(len(thigh), 0.15)], -1) * plausible
    evidence *= weights[:, [L[f"{side}_knee"], L[f"{side}_foot_index"]]]
    turned[:, hip] = rotations.multiply(about(along, settled_angle(angles, evidence, 0.1, times)), swing)

    # Knee: a hinge. What the shin does sideways or forwards is not the knee's and stays small.
    turned[:, knee] = _hinge(turned[:, hip], shin, rest[ankle] - rest[knee], np.array([1.0, 0, 0]))

    # Foot: heel and toes give its direction, the ankle above them its roll.
    toe = skeleton.points[f"{side}_big_toe"][1] * 0.7 + skeleton.points[f"{side}_small_toe"][1] * 0.3
    rest_toe = toe + rest[JOINT[f"{side}_foot"]] - rest[ankle]
    rest_heel = skeleton.points[f"{side}_heel"][1]
    seen_foot = _aligned(foot, heel, rest_toe - rest_heel, -rest_heel)
    # The landmark model often takes a foot for its mirror image: what no ankle can do leaves the foot at rest.
    trust = np.clip((np.radians(110.0) - rotations.angle_between(turned[:, knee], seen_foot)) / np.radians(50.0), 0, 1)
    turned[:, ankle] = rotations.slerp(turned[:, knee], seen_foot, trust)
    turned[:, JOINT[f"{side}_foot"]] = turned[:, ankle]


def _hinge(parent: Array, direction: Array, rest_direction: Array, axis: Array, backwards: float = 0.1) -> Array:
    """Turn a hinge joint (knee, elbow) so that its bone points along `direction`; global rotations (T, 4).

    axis (3,): the hinge in rest axes; bending is a positive turn about it. A bend the wrong way beyond `backwards`
    radians is anatomically impossible and straightened.
    """
    straight = rotations.rotate(parent, rest_direction)
    turn = rotations.to_axis_angle(rotations.between(straight, direction))
    hinge = rotations.rotate(parent, axis)
    amount = np.sum(turn * hinge, -1, keepdims=True)
    turn = turn + np.maximum(-backwards - amount, 0.0) * hinge
    return rotations.multiply(rotations.from_axis_angle(turn), parent)


def _arm(
    turned: Array, points: Array, weights: Array, hand: Array, times: Array, rest: Array, side: str, sign: float
) -> None:
    shoulder, elbow, wrist = (JOINT[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist"))
    seen = {n: points[:, L[f"{side}_{n}"]] for n in ("shoulder", "elbow", "wrist")}
    upper, lower = seen["elbow"] - seen["shoulder"], seen["wrist"] - seen["elbow"]
    hinge = np.array([0.0, -sign, 0.0])  # an elbow takes the forearm forwards

    chest = turned[:, JOINT[f"{side}_collar"]]
    swing = rotations.multiply(rotations.between(rotations.rotate(chest, rest[elbow] - rest[shoulder]), upper), chest)
    along = rotations.normalize(upper)
    bend = np.cross(along, rotations.normalize(lower))
    angle = signed_angle(rotations.rotate(swing, hinge), bend, along)
    evidence = np.sum(bend**2, -1) * weights[:, L[f"{side}_elbow"]] * 4.0
    twist = settled_angle(angle[:, None], evidence[:, None], 0.02, times)
    turned[:, shoulder] = rotations.multiply(about(along, twist), swing)
    forearm = _hinge(turned[:, shoulder], lower, rest[wrist] - rest[elbow], hinge)

    hold_hand(turned, forearm, hands.palm(points, weights, hand, times, rest, side), rest, side)


def hold_hand(turned: Array, forearm: Array, palm: Array, rest: Array, side: str) -> None:
    """Set the global rotations (T, 55, 4) of one elbow, wrist and hand from a forearm (T, 4) that is not turned about
    itself and a palm (T, 4).

    The palm turns the forearm: half of that shows at the elbow, as in SMPL-X motion, the rest at the wrist.
    """
    elbow, wrist = JOINT[f"{side}_elbow"], JOINT[f"{side}_wrist"]
    axis = rotations.normalize(rest[wrist] - rest[elbow])
    _, roll = rotations.swing_twist(rotations.multiply(rotations.inverse(forearm), palm), axis)
    angle = 2.0 * np.arctan2(np.sum(roll[:, 1:] * axis, -1), roll[:, 0])
    angle = np.clip((angle + np.pi) % (2 * np.pi) - np.pi, -np.radians(130), np.radians(130))
    half = rotations.from_axis_angle(axis * (0.5 * angle)[:, None])
    turned[:, elbow] = rotations.multiply(forearm, half)
    full = rotations.multiply(forearm, rotations.multiply(half, half))
    bent = _within(full, palm, np.radians(80.0))
    turned[:, wrist] = bent
    for finger in sk.FINGERS:
        for k in (1, 2, 3):
            turned[:, JOINT[f"{side}_{finger}{k}"]] = bent


# Joints that the picture pins down, and the keypoints that do it.
_PINNED = {
    name: keypoints.INDEX[name]
    for name in (
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    )
}  # fmt: skip


def place_skeleton(turned: Array, skeleton: Skeleton, observations: NDArray[Any], camera: Camera) -> Array:
    """(T, 3) metres, camera space: the pelvis, so that the posed skeleton is seen where the person is."""
    local = sk.to_local(turned)
    _, joints = sk.forward_kinematics(skeleton, local, np.zeros((len(turned), 3)))
    seen = observations["keypoints"][:, list(_PINNED.values())].astype(float)
    return landmarks.place_points(
        joints[:, [JOINT[n] for n in _PINNED]], seen[..., :2], seen[..., 2] ** 2 + 1e-3, camera
    )


def joint_confidence(weights: Array, hand_confidence: Array) -> Array:
    """Landmark visibility (T, 33), hand confidence (T, 2, 21) -> (T, 55) in 0..1: the least of what a joint needs."""

    def least(*names: str) -> Array:
        return weights[:, [L[n] for n in names]].min(1)

    out = np.empty((len(weights), sk.COUNT))
    out[:] = least("left_hip", "right_hip", "left_shoulder", "right_shoulder")[:, None]
    for name in ("head", "jaw", "left_eye_smplhf", "right_eye_smplhf"):
        out[:, JOINT[name]] = least("nose", "left_ear", "right_ear")
    for s, (side, _) in enumerate(SIDES):
        out[:, JOINT[f"{side}_hip"]] = least(f"{side}_hip", f"{side}_knee")
        out[:, JOINT[f"{side}_knee"]] = least(f"{side}_knee", f"{side}_ankle")
        for name in ("ankle", "foot"):
            out[:, JOINT[f"{side}_{name}"]] = least(f"{side}_ankle", f"{side}_heel", f"{side}_foot_index")
        out[:, JOINT[f"{side}_shoulder"]] = least(f"{side}_shoulder", f"{side}_elbow")
        out[:, JOINT[f"{side}_elbow"]] = least(f"{side}_elbow", f"{side}_wrist")
        hand = hand_confidence[:, s].mean(1)
        out[:, JOINT[f"{side}_wrist"]] = np.maximum(hand, 0.5 * least(f"{side}_wrist", f"{side}_index"))
        for finger in sk.FINGERS:
            for k in (1, 2, 3):
                out[:, JOINT[f"{side}_{finger}{k}"]] = hand
    return np.clip(out, 0.0, 1.0)
