"""The analytic body engine: what it makes of exact landmarks must have the landmarks' directions and twists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import camera_at, landmarks, observe, standing

from backend.body import analytic, hands, swaps
from backend.body.reach import move_feet
from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.skeleton import INDEX as JOINT

LIMBS = [
    (f"{side}_{a}", f"{side}_{b}")
    for side in ("left", "right")
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
]
angle = st.floats(-1.0, 1.0)


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip(np.sum(rotations.normalize(a) * rotations.normalize(b), -1), -1, 1)))


def solved(body: sk.Skeleton, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-> global rotations from exact landmarks of the pose, and the true ones."""
    points, hand = landmarks(body, local, np.zeros((len(local), 3)))
    times = np.arange(len(local)) / 30.0
    turned = analytic.pose(points, np.ones((len(local), 33)), hand, times, body)
    true, _ = sk.forward_kinematics(body, local, np.zeros((len(local), 3)))
    return turned, true


@st.composite
def poses(draw: st.DrawFn) -> np.ndarray:
    """A pose within what joints can do, held for five frames (filters must not change it)."""
    local = np.broadcast_to(rotations.IDENTITY, (sk.COUNT, 4)).copy()
    local[0] = rotations.normalize(np.array([draw(angle) for _ in range(4)]) + [1e-3, 0, 0, 0])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for joint in ("shoulder", "hip"):
            local[JOINT[f"{side}_{joint}"]] = rotations.from_axis_angle([draw(angle) for _ in range(3)])
        elbow, knee = draw(st.floats(0.3, 2.2)), draw(st.floats(0.3, 2.2))
        local[JOINT[f"{side}_elbow"]] = rotations.from_axis_angle([0, -sign * elbow, 0])
        local[JOINT[f"{side}_knee"]] = rotations.from_axis_angle([knee, 0, 0])
        local[JOINT[f"{side}_ankle"]] = rotations.from_axis_angle([0.5 * draw(angle) for _ in range(3)])
        local[JOINT[f"{side}_wrist"]] = rotations.from_axis_angle([0.6 * draw(angle) for _ in range(3)])
    return np.repeat(local[None], 5, axis=0)


@settings(max_examples=60)
@given(poses())
def test_limbs_have_the_landmarks_directions(local: np.ndarray) -> None:
    body = sk.neutral()
    turned, _ = solved(body, local)
    _, joints = sk.forward_kinematics(body, sk.to_local(turned), np.zeros((5, 3)))
    _, true = sk.forward_kinematics(body, local, np.zeros((5, 3)))
    for a, b in LIMBS:
        found, wanted = (j[:, JOINT[b]] - j[:, JOINT[a]] for j in (joints, true))
        assert degrees_between(found, wanted).max() < 1.0, (a, b)


@settings(max_examples=60)
@given(poses())
def test_bent_joints_give_the_twist_and_feet_and_hands_their_orientation(local: np.ndarray) -> None:
    turned, true = solved(sk.neutral(), local)
    error = np.degrees(rotations.angle_between(turned, true))
    for side in ("left", "right"):
        assert error[:, JOINT[f"{side}_shoulder"]].max() < 6.0  # the weak prior pulls a little
        assert error[:, JOINT[f"{side}_hip"]].max() < 40.0  # the foot, turned by its own joint, votes too
        assert error[:, JOINT[f"{side}_ankle"]].max() < 1.0
        assert error[:, JOINT[f"{side}_wrist"]].max() < 1.0


def test_the_twist_of_a_leg_comes_from_its_bent_knee() -> None:
    local = standing(5)
    for side in ("left", "right"):
        local[:, JOINT[f"{side}_hip"]] = rotations.multiply(
            rotations.from_axis_angle([-1.2, 0, 0]), rotations.from_axis_angle([0, 0.5, 0])
        )
        local[:, JOINT[f"{side}_knee"]] = rotations.from_axis_angle([1.4, 0, 0])
    turned, true = solved(sk.neutral(), local)
    error = np.degrees(rotations.angle_between(turned, true))
    assert error[:, [JOINT["left_hip"], JOINT["right_hip"]]].max() < 4.0


def test_a_knee_never_bends_forwards() -> None:
    local = standing(5)
    local[:, JOINT["left_knee"]] = rotations.from_axis_angle([-0.7, 0, 0])
    turned, _ = solved(sk.neutral(), local)
    bend = rotations.to_axis_angle(sk.to_local(turned)[:, JOINT["left_knee"]])[:, 0]
    assert bend.min() > -0.15


@pytest.mark.parametrize("side", ["left", "right"])
def test_fingers_curl_and_spread_as_seen(side: str) -> None:
    sign = 1.0 if side == "left" else -1.0
    local = standing(5)
    for finger, curl in zip(("index", "middle", "ring", "pinky"), (0.2, 0.6, 0.9, 1.3), strict=True):
        for k in (1, 2, 3):
            local[:, JOINT[f"{side}_{finger}{k}"]] = rotations.from_axis_angle([0, 0, -sign * curl])
    local[:, JOINT[f"{side}_index1"]] = rotations.from_axis_angle([0, 0.2 * -sign, 0])
    turned, true = solved(sk.neutral(), local)
    error = np.degrees(rotations.angle_between(turned, true))
    fingers = [JOINT[f"{side}_{finger}{k}"] for finger in ("index", "middle", "ring", "pinky") for k in (1, 2, 3)]
    assert error[:, fingers].max() < 3.0


def test_a_palm_that_turns_round_for_some_frames_is_held() -> None:
    """The hand model mixes up near and far; a hand that turns and stays turned is followed."""
    times, hand = np.arange(60) / 30, np.zeros((60, 21, 4))
    hand[..., 3] = 0.95
    true = rotations.from_axis_angle(np.outer(np.where(times < 1.0, 0.0, 0.8), [1.0, 0.0, 0.0]))
    seen = true.copy()
    seen[10:14] = rotations.multiply(true[10:14], rotations.from_axis_angle([0.0, np.pi, 0.0]))
    off = np.degrees(rotations.angle_between(hands.held(seen, hand, times), true))
    assert off[8:17].max() < 8.0 and off[[25, 36, 50]].max() < 10.0
    unseen = hands.held(seen, np.zeros_like(hand), times)
    assert rotations.angle_between(unseen, rotations.IDENTITY).max() < 1e-6


def test_a_hand_that_waves_goes_on_waving() -> None:
    times, hand = np.arange(120) / 30, np.zeros((120, 21, 4))
    hand[..., 3] = 0.95
    angle = np.radians(30.0) * np.sin(2 * np.pi * 2.0 * times)
    found = hands.held(rotations.from_axis_angle(np.outer(angle, [1.0, 0.0, 0.0])), hand, times)
    assert 0.75 < rotations.to_axis_angle(found)[20:100, 0].std() / angle[20:100].std() <= 1.0


def test_a_hand_that_is_not_seen_is_relaxed_and_follows_the_body() -> None:
    body, local = sk.neutral(), standing(5)
    points, hand = landmarks(body, local, np.zeros((5, 3)))
    hand[:] = 0.0
    turned = analytic.pose(points, np.ones((5, 33)), hand, np.arange(5) / 30.0, body)
    curl = np.linalg.norm(rotations.to_axis_angle(sk.to_local(turned)), axis=-1)
    assert curl[:, JOINT["left_index2"]] == pytest.approx(hands.RELAXED["index"], abs=1e-6)
    true, _ = sk.forward_kinematics(body, local, np.zeros((5, 3)))
    assert np.degrees(rotations.angle_between(turned, true))[:, JOINT["left_wrist"]].max() < 12.0


def test_solving_puts_the_body_where_it_was_seen() -> None:
    body, times = sk.neutral(), np.arange(20) / 30.0
    camera = camera_at(height=1.4, distance=4.0, pitch=0.1)
    local = standing(20)
    local[:, 0] = rotations.multiply(rotations.from_axis_angle([0, 0, 0.6]), sk.Y_UP_TO_Z_UP)
    pelvis = np.column_stack([np.linspace(-1.0, 1.0, 20), np.zeros(20), np.full(20, 0.95)])
    observations = observe(body, local, pelvis, times, camera)
    motion = analytic.AnalyticSolver().solve(observations, body, camera)
    truth = rotations.rotate(camera.rotation, pelvis) + camera.t
    assert np.abs(motion.pelvis - truth).max() < 0.03
    measured = analytic.AnalyticSolver().measure(observations, camera)
    lengths = np.linalg.norm(measured.offsets[1:22], axis=1) / np.linalg.norm(body.offsets[1:22], axis=1)
    assert np.abs(lengths - 1).max() < 0.02


@pytest.mark.parametrize("fps", [24, 30, 60, 120])
def test_left_and_right_exchanged_for_a_while_are_put_right(fps: int) -> None:
    frames = 2 * fps
    body, times = sk.neutral(), np.arange(frames) / fps
    local = standing(frames)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = 0.5 * sign * np.sin(2 * np.pi * times)
        local[:, JOINT[f"{side}_hip"]] = rotations.from_axis_angle(np.outer(swing, [1.0, 0, 0]))
    local[:, 0] = sk.Y_UP_TO_Z_UP
    observations = observe(body, local, np.tile([0.0, 0, 0.95], (frames, 1)), times, camera_at(1.4, 4.0, 0.1))
    wrong = (times > 0.65) & (times < 1.25)
    seen = swaps.exchanged(observations, wrong)
    found = swaps.swapped(swaps.jumps(seen), seen["time"])
    np.testing.assert_array_equal(found, wrong)
    mended = swaps.exchanged(seen, found)
    np.testing.assert_array_equal(mended["landmarks"], observations["landmarks"])
    np.testing.assert_array_equal(mended["keypoints"], observations["keypoints"])


@given(st.lists(st.floats(-0.08, 0.08), min_size=6, max_size=6))
def test_moved_feet_arrive_and_keep_their_orientation(shift: list[float]) -> None:
    body, local = sk.neutral(), standing(1)
    pelvis = np.array([[0.0, -0.03, 0.0]])
    wanted = np.array(shift).reshape(1, 2, 3)
    wanted[..., 1] = np.abs(wanted[..., 1])  # not further away than the legs are long
    moved = move_feet(local, pelvis, wanted, body)
    before, joints = sk.forward_kinematics(body, local, pelvis)
    after, there = sk.forward_kinematics(body, moved, pelvis)
    ankles = [JOINT["left_ankle"], JOINT["right_ankle"]]
    np.testing.assert_allclose(there[:, ankles], joints[:, ankles] + wanted, atol=0.012)
    assert rotations.angle_between(before, after)[:, ankles].max() < 1e-6
    lengths = np.linalg.norm(there[:, 4] - there[:, 1]), np.linalg.norm(joints[:, 4] - joints[:, 1])
    assert lengths[0] == pytest.approx(lengths[1], abs=1e-9)


def test_a_foot_that_points_backwards_is_left_at_rest() -> None:
    body, local = sk.neutral(), standing(5)
    points, hand = landmarks(body, local, np.zeros((5, 3)))
    ankle, heel, toe = (analytic.L[f"left_{name}"] for name in ("ankle", "heel", "foot_index"))
    points[:, [heel, toe], 2] = 2 * points[:, [ankle], 2] - points[:, [heel, toe], 2]  # mirrored in depth
    turned = analytic.pose(points, np.ones((5, 33)), hand, np.arange(5) / 30.0, body)
    true, _ = sk.forward_kinematics(body, local, np.zeros((5, 3)))
    error = np.degrees(rotations.angle_between(turned, true))
    assert error[:, JOINT["left_ankle"]].max() < 25.0
    assert error[:, JOINT["left_hip"]].max() < 10.0
