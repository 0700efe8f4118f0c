"""Planted feet on legs of another length: they stand still, nothing goes through the floor, knees stay calm."""

from __future__ import annotations

import humanoid
import numpy as np
import pytest
from humanoid import SIDES, Build, build_rig
from video_mocap.backend.core import rotations, skeleton
from video_mocap.backend.core.rotations import Array
from video_mocap.backend.core.skeleton import INDEX
from video_mocap.mocap_addon.retarget import feet, pose, solve
from video_mocap.mocap_addon.retarget.model import Mapping, Options, Rig, SourceMotion

LEGS = {
    "the same": {},
    "shorter": {"knee": 0.7, "ankle": 0.7},
    "longer": {"knee": 1.3, "ankle": 1.3},
    "long thighs": {"knee": 1.3, "ankle": 0.7},
    "wide hips, long feet": {"hip": 1.6, "foot": 1.5},
    "small feet": {"foot": 0.7},
}


def spans(on: Array) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def knee_angles(hip: Array, knee: Array, ankle: Array) -> Array:
    a, b = rotations.normalize(knee - hip), rotations.normalize(ankle - knee)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


class Walked:
    """A rig that walks, as its own pose evaluation has it."""

    def __init__(self, source: SourceMotion, rig: Rig, mapping: Mapping, options: Options) -> None:
        self.posed = rig.world @ pose.pose_globals(rig, solve.retarget(source, rig, mapping, options))
        self.rig, self.source = rig, source

    def head(self, bone: str) -> Array:
        return self.posed[:, self.rig.index[bone], :3, 3]

    def sole(self, side: str) -> tuple[Array, Array]:
        """Heel and middle of the toes (T, 3): on the floor below the bones of the rest pose, carried by these bones."""
        out = []
        for bone, offset in (("ankle", 0.05), ("foot", -0.05)):
            row = self.rig.index[f"{side}_{bone}"]
            at = np.append(self.rig.rest[row, :2, 3] + [0.0, offset], [0.0, 1.0])
            out.append((self.posed[:, row] @ np.linalg.inv(self.rig.rest[row]) @ at)[:, :3])
        return out[0], out[1]

    def knees(self, side: str) -> Array:
        return knee_angles(*(self.head(f"{side}_{joint}") for joint in ("hip", "knee", "ankle")))


@pytest.mark.parametrize("rate", [25.0, 60.0])
@pytest.mark.parametrize("scale", ["hip_height", 1.0])
@pytest.mark.parametrize("legs", LEGS)
def test_planted_feet_stay_planted(legs: str, scale: str | float, rate: float) -> None:
    source = humanoid.walk(4.0, rate)
    build = Build(proportions=LEGS[legs], arms=40)
    walked = Walked(source, *build_rig(build), Options(scale=scale))
    for s, side in enumerate(SIDES):
        for k, points in enumerate(walked.sole(side)):
            assert points[:, 2].min() > -0.005, "below the floor"
            flat = source.contacts[:, 2 * s : 2 * s + 2].all(axis=1)
            for start, end in spans(flat):
                slide = np.linalg.norm(points[start:end] - np.median(points[start:end], axis=0), axis=-1)
                assert slide.max() < 0.001, (side, k, "while the foot is flat")
            for start, end in spans(source.contacts[:, 2 * s + k]):
                if end - start > 4:
                    middle = np.median(points[start:end, :2], axis=0)
                    slide = np.linalg.norm(points[start:end, :2] - middle, axis=-1)
                    inner = slide[len(slide) // 5 : -(len(slide) // 5)]
                    assert inner.max() < 0.005 and slide.max() < 0.010, (side, k)


@pytest.mark.parametrize("legs", LEGS)
def test_knees_do_not_pop(legs: str) -> None:
    source = humanoid.walk(4.0)
    walked = Walked(source, *build_rig(Build(proportions=LEGS[legs])), Options())
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    for side in SIDES:
        theirs = knee_angles(*(joints[:, INDEX[f"{side}_{joint}"]] for joint in ("hip", "knee", "ankle")))
        own = walked.knees(side)
        assert np.abs(np.diff(own, 2)).max() < np.abs(np.diff(theirs, 2)).max() + 4.0
        # The knee stays in the plane of walking: its sideways distance from the line hip-ankle is nothing.
        hip, knee, ankle = (walked.head(f"{side}_{joint}") for joint in ("hip", "knee", "ankle"))
        normal = np.cross(ankle - hip, [0.0, -1.0, 0.0])
        assert np.abs(np.sum(rotations.normalize(normal) * (knee - hip), axis=-1)).max() < 0.01


def test_without_contacts_over_the_floor_nothing_changes() -> None:
    source = humanoid.random_motion(3, 10)
    source.pelvis[:, 2] += 3.0
    rig, mapping = build_rig(Build(arms=40))
    plain, planted = (solve.retarget(source, rig, mapping, Options(feet=flag)) for flag in (False, True))
    for bone, channels in plain.items():
        assert rotations.angle_between(channels.rotation, planted[bone].rotation).max() < 1e-6


def test_a_foot_on_a_step_stays_on_the_step() -> None:
    source = humanoid.walk(4.0)
    raised = SourceMotion(source.times, source.body, source.local, source.pelvis + [0.0, 0.0, 0.5], source.contacts)
    rig, mapping = build_rig(Build())
    low, high = (Walked(s, rig, mapping, Options()).sole("left")[0] for s in (source, raised))
    np.testing.assert_allclose(high[:, 2].min() - low[:, 2].min(), 0.5, atol=0.02)


def test_a_leg_that_straightens_slows_down_and_never_passes_its_length() -> None:
    frames = 200
    hip = np.zeros((frames, 3))
    knee, ankle = np.tile([0.0, -0.1, -0.4], (frames, 1)), np.tile([0.0, 0.0, -0.8], (frames, 1))
    length = 2 * np.hypot(0.1, 0.4)
    target = ankle * np.linspace(0.9, 1.2, frames)[:, None]
    hinge = np.tile([1.0, 0.0, 0.0], (frames, 1))
    thigh, shin = feet.bend(hip, knee, ankle, hip, target, hinge)
    np.testing.assert_allclose(np.linalg.norm(thigh, axis=1), length / 2, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(shin, axis=1), length / 2, atol=1e-9)
    reach = np.linalg.norm(thigh + shin, axis=1)
    assert reach.max() < length and (np.diff(reach) >= -1e-12).all()
    bend = knee_angles(hip, thigh, thigh + shin)
    assert np.abs(np.diff(bend)).max() < 1.5
    assert (thigh[:, 1] < 1e-9).all(), "the knee stays in front"


@pytest.mark.parametrize("lean", [0.0, 0.004, -0.004])
def test_a_straight_leg_bends_forwards(lean: float) -> None:
    hip, knee, ankle = np.zeros((1, 3)), np.array([[lean, 0.0, -0.4]]), np.array([[0.0, 0.0, -0.8]])
    thigh, _ = feet.bend(hip, knee, ankle, hip, np.array([[0.0, 0.0, -0.75]]), np.array([[1.0, 0.0, 0.0]]))
    assert thigh[0, 1] < -0.1 and abs(thigh[0, 0]) < 0.06


def test_brief_contacts_and_gaps_are_noise() -> None:
    times = np.arange(60) / 60.0
    contacts = np.zeros((60, 4), np.uint8)
    contacts[10:30, 0] = 1
    contacts[18:20, 0] = 0
    contacts[40:42, 1] = 1
    touching = feet.steady(times, contacts)
    assert touching[10:30, 0].all() and touching.sum() == 20
