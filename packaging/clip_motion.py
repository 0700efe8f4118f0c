"""Motions performed by the bodies of rendered clips."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from clip_body import Body, load_body
from clip_scenes import FPS, Actor
from numpy.typing import NDArray

from backend.body.reach import move_feet
from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.rotations import Array
from backend.core.smoothing import local_average, local_quadratic
from backend.evaluation.compare import CONTACT_POINTS
from backend.motion.cmu import hinged_elbows

STEADY = 0.035  # seconds
LIFT_REACH = 5  # frames
SLOW, HIGH = 0.1, 0.045  # m/s, metres: what moves faster or is higher does not stand
FORGET = 0.85  # a frame, of what a foot in the air is off


@dataclass(frozen=True)
class Performance:
    """An actor's body in motion, T frames. local (T, 55, 4), pelvis (T, 3) metres, world (z up), contacts (T, 4)."""

    body: Body
    local: Array
    pelvis: Array
    contacts: NDArray[np.uint8]

    @cached_property
    def posed(self) -> tuple[Array, Array]:
        """Global rotations (T, 55, 4) and joints (T, 55, 3), world."""
        return sk.forward_kinematics(self.body.skeleton, self.local, self.pelvis)


def perform(actor: Actor, motions: dict[str, Array], frames: int) -> Performance:
    """The actor's motion on their own body, standing where the scene puts them."""
    if actor.motion not in motions["seq_name"]:
        raise SystemExit(f"render-clips: the file of motions has no {actor.motion}")
    which = int(np.flatnonzero(motions["seq_name"] == actor.motion)[0])
    first = int(motions["seq_start"][which]) + actor.start
    rows = slice(first, min(first + frames, int(motions["seq_start"][which] + motions["seq_length"][which])))
    body = load_body(actor.looks, actor.size)

    local = np.tile(rotations.IDENTITY, (rows.stop - rows.start, sk.COUNT, 1))
    local[:, 0] = rotations.from_axis_angle(motions["root_orient"][rows])
    local[:, 1:22] = rotations.from_axis_angle(motions["body_pose"][rows].astype(float))
    local = hinged_elbows(local)
    pelvis = _stride(body.skeleton, local, motions["trans"][rows].astype(float))
    contacts = motions["contacts"][rows].astype(np.uint8)
    local, pelvis = _smoothed(local, pelvis)
    if actor.raised:
        _raise_left_leg(local)
        contacts[:, :2] = 0
    _turn_ankles(local, np.radians(actor.ankles))
    if actor.talks:
        _talk(local)
    local = _planted(body.skeleton, local, pelvis, contacts)
    height = _feet(body.skeleton, local, pelvis)[..., 1]
    floor = np.median(height[contacts > 0]) if contacts.any() else height.min()
    pelvis[:, 1] += _sunk(height - floor) - floor
    feet = _feet(body.skeleton, local, pelvis)
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * FPS
    contacts &= feet[..., 1] < HIGH
    contacts[1:] &= speed < SLOW
    contacts[:-1] &= speed < SLOW

    # From the motions' y up, facing +z, to z up; then turned and moved to the actor's place.
    upright = rotations.multiply(sk.Y_UP_TO_Z_UP, local[:, 0])
    pelvis = rotations.rotate(sk.Y_UP_TO_Z_UP, pelvis)
    ahead = rotations.rotate(upright, [0.0, 0.0, 1.0]).mean(0)
    heading = np.radians(actor.heading) - np.arctan2(ahead[0], -ahead[1])
    turn = rotations.from_axis_angle([0.0, 0.0, heading])
    local[:, 0] = rotations.multiply(turn, upright)
    pelvis = rotations.rotate(turn, pelvis)
    middle = 0.5 * (pelvis.min(0) + pelvis.max(0))
    pelvis[:, :2] += np.array(actor.place) - middle[:2]
    return Performance(body, local, pelvis, contacts)


def _stride(body: sk.Skeleton, local: Array, trans: Array) -> Array:
    """(T, 3) the pelvis of a body with other proportions than the neutral one, so that its feet stand as they did.

    The hips' path grows with the legs; the ankles' height over the soles is the body's own.
    """
    neutral = sk.neutral()

    def leg(skeleton: sk.Skeleton) -> float:
        return float(-(skeleton.offsets[4] + skeleton.offsets[7])[1])

    def hips(skeleton: sk.Skeleton) -> Array:
        return rotations.rotate(local[:, 0], skeleton.offsets[[1, 2]].mean(0))

    ratio = leg(body) / leg(neutral)
    lift = ratio * neutral.points["left_heel"][1][1] - body.points["left_heel"][1][1]
    return ratio * (trans + hips(neutral)) - hips(body) + [0.0, lift, 0.0]


def _smoothed(local: Array, pelvis: Array) -> tuple[Array, Array]:
    """Without the tremble of coarsely stored angles."""
    times, flat = np.arange(len(local)) / FPS, rotations.continuous(local)
    ones = np.ones(flat.shape[:2])
    smooth = rotations.normalize(local_quadratic(flat, times, ones, STEADY))
    return smooth, local_quadratic(pelvis[:, None], times, ones[:, :1], STEADY)[:, 0]


def _planted(body: sk.Skeleton, local: Array, pelvis: Array, contacts: Array) -> Array:
    """The same motion with feet that do not slide while they stand; what they are off is lost again in the air."""
    feet = _feet(body, local, pelvis)
    shift = np.zeros((len(local), 2, 3))
    for t in range(1, len(local)):
        for side, mine in enumerate((slice(0, 2), slice(2, 4))):
            standing = (contacts[t - 1 : t + 1, mine] > 0).all(0)
            slid = (feet[t, mine] - feet[t - 1, mine])[standing]
            shift[t, side] = shift[t - 1, side] - slid.mean(0) if standing.any() else shift[t - 1, side] * FORGET
    return move_feet(local, pelvis, shift, body)


def _sunk(height: Array) -> Array:
    """(T,) metres by which to lift a body whose feet (T, 4) are at these heights, so that none is under the floor."""
    deepest = np.pad(np.maximum(-height.min(1), 0.0), LIFT_REACH, "edge")
    around = np.lib.stride_tricks.sliding_window_view(deepest, 2 * LIFT_REACH + 1).max(1)
    return local_average(around[:, None, None], np.arange(len(around)) / FPS, 0.06)[:, 0, 0]


def _feet(body: sk.Skeleton, local: Array, pelvis: Array) -> Array:
    """(T, 4, 3) the points that touch the floor, in the order of `skeleton.CONTACTS`."""
    turned, joints = sk.forward_kinematics(body, local, pelvis)
    return sk.posed_points(body, turned, joints, sk.FOOT_POINTS)[:, CONTACT_POINTS]


def _raise_left_leg(local: Array) -> None:
    """Lift the left thigh and circle the ankle, up to 35 degrees each way, in place."""
    phase = np.arange(len(local)) / FPS * 2 * np.pi / 1.5
    flex, turn_in = np.radians(35) * np.sin(phase), np.radians(20) * np.cos(phase)
    none = np.zeros_like(phase)
    for joint, turn in (
        ("left_hip", np.stack([none - 0.75, none, none + 0.1], -1)),
        ("left_knee", np.stack([none + 0.55, none, none], -1)),
        ("left_ankle", np.stack([flex, 0.5 * turn_in, turn_in], -1)),
    ):
        local[:, sk.INDEX[joint]] = rotations.from_axis_angle(turn)


def _turn_ankles(local: Array, far: float) -> None:
    """Turn both ankles to and fro by up to `far` radians, in place: most up and down, each side at its own pace."""
    times = np.arange(len(local)) / FPS
    for joint, pace in (("left_ankle", 0.9), ("right_ankle", 0.7)):
        phase = 2 * np.pi * pace * times
        turn = far * np.stack([np.sin(phase), 0.6 * np.sin(1.3 * phase + 1), 0.6 * np.cos(0.8 * phase)], -1)
        ankle = local[:, sk.INDEX[joint]]
        local[:, sk.INDEX[joint]] = rotations.multiply(ankle, rotations.from_axis_angle(turn))


def _talk(local: Array) -> None:
    """Open and close the mouth, in place: some syllables, a rest with closed lips, and a yawn."""
    times = np.arange(len(local)) / FPS
    syllables = sum(np.sin(2 * np.pi * pace * times + k) for k, pace in enumerate((2.6, 3.4, 4.3)))
    loud = np.maximum(np.sin(2 * np.pi * 0.45 * times), 0.0)
    yawn = np.maximum(np.sin(2 * np.pi * 0.3 * times + 1.5) - 0.7, 0.0) / 0.3
    angle = np.radians(np.maximum(6 + 6 * syllables, 0.0) * loud + 20 * yawn)
    local[:, sk.INDEX["jaw"]] = rotations.from_axis_angle(angle[:, None] * [1.0, 0.0, 0.0])
