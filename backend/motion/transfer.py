"""CMU's bones carried over to SMPL-X's 22 joints.

Thighs, shins, upper arms and forearms point exactly where the source's bones point. What two skeletons cannot share is
settled per person, over all trials: how a person stands flat on both soles tells how the feet are meant, and pelvis and
head, whose frames CMU derived from where the markers happened to sit, are turned towards what is usual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import butter, filtfilt

from ..core import rotations, skeleton
from ..core.rotations import Array
from .asf import Trial

RATE = 60.0  # frames a second at which motions are worked on
SIDES = ("left", "right")
UP, FORWARD, ACROSS = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
BLEND = 0.6  # spine1, spine2 and neck lie higher than CMU's bones: this far on the way from one to the next
NECK = rotations.from_axis_angle(np.radians(3.4) * ACROSS)  # between the two lines from neck to head
# Of an upright person's pitch in degrees (up positive), the share that is turned away, what is added, and the most.
PELVIS_PITCH = (0.8, 2.5, 20.0)
HEAD_PITCH = (0.6, -5.2, 30.0)
UPRIGHT = np.radians(20.0)  # the most that an upright person's chest leans
STILL = 0.1  # m/s
SEEN = 0.5  # s: less than this says nothing about how a person stands
SLOPE = np.radians(15.8)  # down which ankle to toes lead where nobody was seen to stand, the mean of all subjects
STRAY = np.radians(15.0)  # from the usual, beyond which a still foot does not stand flat
TOES = np.radians([-65.0, 35.0])  # up, down
TOES_MEDIAN, TOES_PASS = 9, 5.0  # frames, Hz: the toes have one marker, and it jitters


@dataclass(frozen=True)
class Person:
    """What is constant about one subject.

    scale: our legs over theirs. pelvis, head (4,): from our frame to CMU's root and head bone, quaternions.
    soles (2, 4): likewise of the feet, left and right, as the shins carry them. toes (2,): radians by which CMU's toes
    are bent in flat standing.
    """

    scale: float
    pelvis: Array
    head: Array
    soles: Array
    toes: Array


def measure(trials: Sequence[Trial]) -> Person:
    """The constants of the person whose trials, at `RATE`, these are."""
    body, source = skeleton.neutral(), trials[0].skeleton
    joints = [skeleton.INDEX[f"{side}_{name}"] for side in SIDES for name in ("knee", "ankle")]
    bones = [f"{side[0]}{name}" for side in SIDES for name in ("femur", "tibia")]
    ours = np.linalg.norm(body.offsets[joints], axis=1).sum()
    theirs = np.linalg.norm([source.rest(bone) for bone in bones], axis=1).sum()
    soles, toes = zip(*(_sole(trials, side) for side in SIDES), strict=True)
    return Person(
        scale=float(ours / theirs),
        pelvis=_levelled(trials, "root", *PELVIS_PITCH),
        head=_levelled(trials, "head", *HEAD_PITCH),
        soles=np.array(soles),
        toes=np.array(toes),
    )


def transfer(trial: Trial, person: Person) -> Array:
    """A trial at `RATE` -> what turns SMPL-X's joints in the world, quaternions (T, 22, 4)."""
    out = np.empty((len(trial.turned), 22, 4))

    def put(joint: str, turned: Array) -> None:
        out[:, skeleton.INDEX[joint]] = turned

    low, high, chest = (trial.turn(name) for name in ("lowerback", "upperback", "thorax"))
    put("pelvis", rotations.multiply(trial.turn("root"), person.pelvis))
    put("spine1", rotations.slerp(low, high, BLEND))
    put("spine2", rotations.slerp(high, chest, BLEND))
    for joint in ("spine3", "left_collar", "right_collar"):  # CMU's clavicles do not move
        put(joint, chest)
    put("neck", rotations.multiply(rotations.slerp(trial.turn("lowerneck"), trial.turn("upperneck"), BLEND), NECK))
    put("head", rotations.multiply(trial.turn("head"), person.head))

    for k, side in enumerate(SIDES):
        for joint, bone in (("hip", "femur"), ("knee", "tibia")):
            put(f"{side}_{joint}", rotations.multiply(trial.turn(side[0] + bone), _aligned(trial, side[0] + bone, -UP)))
        foot = rotations.multiply(_carried(trial, side[0] + "tibia", side[0] + "foot"), person.soles[k])
        put(f"{side}_ankle", foot)
        bend = lowpass(median_filter(_toe_bend(trial, side) - person.toes[k], TOES_MEDIAN, mode="nearest"), TOES_PASS)
        turn = rotations.from_axis_angle(np.clip(bend, *TOES)[:, None] * _foot_frame(side)[0])
        put(f"{side}_foot", rotations.multiply(foot, turn))
        _put_arm(trial, side, put)
    return out


def lowpass(values: Array, cutoff: float) -> Array:
    """Values (T, ...) at `RATE` without what is faster than `cutoff` Hz, and without delay."""
    b, a = butter(2, cutoff, fs=RATE)
    return filtfilt(b, a, values, axis=0, padlen=min(3 * len(b), len(values) - 1))


def speed(points: Array) -> Array:
    """(T, ..., 3) metres at `RATE` -> (T, ...) m/s"""
    if len(points) < 2:
        return np.zeros(points.shape[:-1])
    return np.linalg.norm(np.gradient(points, 1.0 / RATE, axis=0), axis=-1)


def _aligned(trial: Trial, bone: str, ours: Array) -> Array:
    """From our zero pose to CMU's, whose legs are 20 degrees apart: what turns our bone's direction into theirs."""
    return rotations.between(ours, trial.skeleton.rest(bone))


def _carried(trial: Trial, upper: str, lower: str) -> Array:
    """(T, 4) where `lower` points, without turning about itself more than `upper` does.

    CMU's ankles and wrists have two degrees of freedom and flip by half a turn where a person needs the third one;
    only where the bone points can be believed.
    """
    direction = rotations.normalize(trial.skeleton.rest(lower))
    base = trial.turn(upper)
    pointed = rotations.rotate(trial.turn(lower), direction)
    return rotations.multiply(rotations.between(rotations.rotate(base, direction), pointed), base)


def _put_arm(trial: Trial, side: str, put: Callable[[str, Array], None]) -> None:
    """The forearm's twist, which CMU gives to the wrist alone, is shared with the elbow."""
    along = ACROSS if side == "left" else -ACROSS
    upper, fore, hand = (_aligned(trial, side[0] + bone, along) for bone in ("humerus", "radius", "hand"))
    radius = rotations.multiply(trial.turn(side[0] + "radius"), fore)
    wrist = rotations.multiply(trial.turn(side[0] + "wrist"), fore)
    twist = rotations.swing_twist(rotations.multiply(rotations.inverse(radius), wrist), ACROSS)[1]
    put(f"{side}_shoulder", rotations.multiply(trial.turn(side[0] + "humerus"), upper))
    put(f"{side}_elbow", rotations.multiply(radius, rotations.slerp(rotations.IDENTITY, twist, 0.5)))
    put(f"{side}_wrist", rotations.multiply(_carried(trial, side[0] + "wrist", side[0] + "hand"), hand))


def _toe_bend(trial: Trial, side: str) -> Array:
    """(T,) radians by which CMU's toes are bent down against the foot."""
    toes, foot = trial.turn(side[0] + "toes"), trial.turn(side[0] + "foot")
    bone = trial.skeleton.bones[trial.skeleton.index(side[0] + "toes")]
    axis = rotations.rotate(bone.frame, ACROSS)
    return rotations.to_axis_angle(rotations.multiply(rotations.inverse(foot), toes)) @ axis


def _foot_frame(side: str) -> Array:
    """(3, 3) our foot in the zero pose: rows to the left, up, and ahead where the toes point, 16.5 degrees outwards."""
    ahead = rotations.normalize(skeleton.neutral().offsets[skeleton.INDEX[f"{side}_foot"]] * (1.0 - UP))
    return np.stack([np.cross(UP, ahead), UP, ahead])


def _sole(trials: Sequence[Trial], side: str) -> tuple[Array, float]:
    """From our foot to CMU's, and how far its toes are bent, as the person stands flat."""
    shin, foot = side[0] + "tibia", side[0] + "foot"
    still = [
        (speed(trial.end(shin)) < STILL) & (speed(trial.end(foot)) < STILL) for trial in trials
    ]  # ankle and ball: who does not move them stands on them, most of the time
    ups = np.concatenate(
        [
            rotations.rotate(rotations.inverse(_carried(t, shin, foot)), UP)[on]
            for t, on in zip(trials, still, strict=True)
        ]
    )
    bends = np.concatenate([_toe_bend(trial, side)[on] for trial, on in zip(trials, still, strict=True)])
    bone = rotations.normalize(trials[0].skeleton.rest(foot))
    if len(ups) < SEEN * RATE:
        upright = rotations.rotate(_aligned(trials[0], shin, -UP), UP)
        up = np.cos(SLOPE) * rotations.normalize(upright - (upright @ bone) * bone) - np.sin(SLOPE) * bone
        toes = 0.0
    else:
        up = rotations.normalize(np.median(ups, axis=0))
        flat = ups @ up > np.cos(STRAY)
        up = rotations.normalize(np.median(ups[flat], axis=0))
        toes = float(np.median(bends[flat]))
    ahead = rotations.normalize(bone - (bone @ up) * up)
    theirs = np.stack([np.cross(up, ahead), up, ahead])
    return rotations.from_matrix(theirs.T @ _foot_frame(side)), toes


def _levelled(trials: Sequence[Trial], bone: str, share: float, shift: float, most: float) -> Array:
    """(4,) the turn about the left-right axis that takes out `share` of a bone's pitch in upright people."""
    ahead = np.concatenate([rotations.rotate(trial.turn(bone), FORWARD) for trial in trials])
    lean = np.concatenate([rotations.rotate(trial.turn("thorax"), UP)[:, 1] for trial in trials])
    upright = lean > np.cos(UPRIGHT)
    pitch = np.degrees(np.arcsin(np.clip(ahead[upright if upright.any() else ..., 1], -1.0, 1.0)))
    return rotations.from_axis_angle(np.radians(np.clip(share * np.median(pitch) + shift, -most, most)) * ACROSS)
