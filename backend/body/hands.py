"""Palms and fingers from the 21 hand points; where no hand was seen, from the body's own hand points and at rest."""

from __future__ import annotations

import numpy as np

from ..core import rotations
from ..core.rotations import Array
from ..core.skeleton import FINGERS, Skeleton
from ..core.skeleton import INDEX as JOINT
from ..core.smoothing import keep_fast, local_average
from .landmarks import HAND_CHAINS
from .landmarks import INDEX as L

NOISE = np.array([0.004, 0.004, 0.008])  # metres, within a hand
RELAXED = {"index": 0.25, "middle": 0.3, "ring": 0.35, "pinky": 0.4, "thumb": 0.1}  # radians a joint, hand at rest
SURE, FADE = 0.5, 0.06  # confidence from which on a hand was seen; seconds
# Where near and far are mixed up, a hand turns round from one frame to the next. Averages over these times (seconds),
# in which what is so far off (of a quaternion: 30 degrees; radians) loses its say, as does a palm so far from how the
# body engine holds it; and how little the pose at rest counts.
STEADY = (0.2, 0.1, 0.06, 0.035)
PALM_OFF, FINGER_OFF, PALM_REACH, AT_REST = 0.26, np.radians(25.0), np.radians(100.0), 0.03
FLEXION = (np.radians(-15.0), np.radians(105.0))
SPREAD = np.radians(20.0)
THUMB = np.radians(50.0)


def seen(hand: Array, times: Array) -> Array:
    """(T,) 0..1: whether the hand model saw a hand (T, 21, 4) and decides; its say fades in and out."""
    return local_average((hand[..., 3].mean(1) > SURE).astype(float)[:, None, None], times, FADE)[:, 0, 0]


def _sure(hand: Array) -> Array:
    """(T,) 0..1: how surely each frame shows a hand (T, 21, 4) and the way that it faces."""
    return np.asarray(np.clip((hand[..., 3].mean(1) - SURE) / (1 - SURE), 0.0, 1.0))


def _steady(values: Array, sure: Array, rest: Array, times: Array, off: float) -> Array:
    """Robust averages over time of values (T, N), sure (T,) 0..1, that are drawn a little to rest (T, N); off: how far
    off a value begins to lose its say."""
    weight = sure
    for sigma in STEADY:
        mean = local_average(values[:, None], times, sigma, weight[:, None])[:, 0]
        mass = local_average(weight[:, None, None], times, sigma)[:, 0]
        now = (mass * mean + AT_REST * rest) / (mass + AT_REST)
        weight = sure / (1 + (np.linalg.norm(values - now, axis=-1) / off) ** 2) ** 2
    return now


def held(palm: Array, hand: Array, times: Array) -> Array:
    """Palms (T, 4), seen from how the body engine holds them, without jumps; where no hand (T, 21, 4) is seen, as the
    body engine holds them."""
    near = rotations.angle_between(rotations.IDENTITY, palm) / PALM_REACH
    palm = palm * np.where(palm[:, :1] < 0, -1.0, 1.0)
    rest = np.broadcast_to(rotations.IDENTITY, palm.shape)
    return rotations.normalize(_steady(palm, _sure(hand) / (1 + near**4), rest, times, PALM_OFF))


def palm(points: Array, weights: Array, hand: Array, times: Array, rest: Array, side: str) -> Array:
    """Orientation of the hand (T, 4), body axes -> the points' frame.

    points (T, 33, 3) and weights (T, 33): the body's landmarks; hand (T, 21, 4): the hand model's points with
    confidence; rest (55, 3): the skeleton's rest joints.
    """
    knuckles = [rest[JOINT[f"{side}_{f}1"]] - rest[JOINT[f"{side}_wrist"]] for f in ("index", "middle", "pinky")]
    wrist = points[:, L[f"{side}_wrist"]]
    body = [points[:, L[f"{side}_{n}"]] - wrist for n in ("index", "pinky")]
    exact = keep_fast(hand[..., :3].astype(float), times, hand[..., 3].astype(float), NOISE)

    along_body, across_body = rotations.normalize(body[0] + body[1]), body[0] - body[1]
    along_hand, across_hand = rotations.normalize(exact[:, 9]), exact[:, 5] - exact[:, 17]
    trust = seen(hand, times)[:, None]
    along = (1 - trust) * along_body + trust * along_hand
    across = (1 - trust) * rotations.normalize(across_body) + trust * rotations.normalize(across_hand)
    rest_frame = rotations.frame_from(knuckles[1], knuckles[0] - knuckles[2])
    return rotations.from_matrix(rotations.frame_from(along, across) @ rest_frame.T)


def fingers(turned: Array, hand: Array, times: Array, skeleton: Skeleton, side: str) -> None:
    """Set the global rotations (T, 55, 4) of one hand's 15 finger joints; the wrist's is there already."""
    wrist = turned[:, JOINT[f"{side}_wrist"]]
    points = keep_fast(hand[..., :3].astype(float), times, hand[..., 3].astype(float), NOISE)
    points = _in_own_axes(points, skeleton, side)
    sure = _sure(hand)
    sign = 1.0 if side == "left" else -1.0
    flex_axis, spread_axis = np.array([0.0, 0.0, -sign]), np.array([0.0, 1.0, 0.0])
    for finger in FINGERS:
        chain = HAND_CHAINS[finger]
        joints = [JOINT[f"{side}_{finger}{k}"] for k in (1, 2, 3)]
        tip = skeleton.points[f"{side}_{finger}_tip"][1]
        rest = [skeleton.offsets[joints[1]], skeleton.offsets[joints[2]], tip]
        local_sum = np.broadcast_to(rotations.IDENTITY, wrist.shape)
        for k, joint in enumerate(joints):
            bone = points[:, chain[k + 1]] - points[:, chain[k]]
            bone = rotations.rotate(rotations.inverse(local_sum), bone)  # in the axes of the joint before
            if finger == "thumb":
                turn = _limited(rotations.to_axis_angle(rotations.between(rest[k], bone)), THUMB)
            else:
                turn = _bend(rest[k], bone, flex_axis, spread_axis, spread=k == 0)
            relaxed = np.broadcast_to(RELAXED[finger] * flex_axis, turn.shape)
            turn = _steady(turn, sure, relaxed, times, FINGER_OFF)
            local_sum = rotations.multiply(local_sum, rotations.from_axis_angle(turn))
            turned[:, joint] = rotations.multiply(wrist, local_sum)


def _in_own_axes(seen: Array, skeleton: Skeleton, side: str) -> Array:
    """Hand points (T, 21, 3) in the axes of the hand itself: middle knuckle and knuckle line as in the rest pose."""
    rest = skeleton.joints()
    knuckle = {f: rest[JOINT[f"{side}_{f}1"]] - rest[JOINT[f"{side}_wrist"]] for f in ("index", "middle", "pinky")}
    frame = rotations.frame_from(seen[:, 9], seen[:, 5] - seen[:, 17])
    frame = frame @ rotations.frame_from(knuckle["middle"], knuckle["index"] - knuckle["pinky"]).T
    return np.einsum("tji,tnj->tni", frame, seen - seen[:, :1])


def _bend(rest: Array, bone: Array, flex_axis: Array, spread_axis: Array, spread: bool) -> Array:
    """Rotation vectors (T, 3) that bend a finger bone like a hinge; at the knuckle also a little sideways."""
    bone, rest = rotations.normalize(bone), rotations.normalize(rest)
    along = np.cross(flex_axis, spread_axis)  # where a straight finger points
    into_palm = np.cross(flex_axis, along)
    forward, down, aside = bone @ along, bone @ into_palm, bone @ flex_axis
    rest_flex = np.arctan2(rest @ into_palm, rest @ along)
    flex = np.clip(np.arctan2(down, forward) - rest_flex, *FLEXION)
    turn = flex[:, None] * flex_axis
    if spread:
        aside = np.arcsin(np.clip(aside, -1, 1)) - np.arcsin(np.clip(rest @ flex_axis, -1, 1))
        straight = np.clip(np.cos(flex), 0.0, 1.0)  # a closed fist cannot spread
        turn = turn + (np.clip(aside, -SPREAD, SPREAD) * straight)[:, None] * spread_axis
    return turn


def _limited(turn: Array, limit: float) -> Array:
    angle = np.linalg.norm(turn, axis=-1, keepdims=True)
    return turn * np.minimum(1.0, limit / np.maximum(angle, 1e-9))
