"""Heads turned and mouths opened by faces: what is seen decides, what is not stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.body import face
from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.rotations import IDENTITY, Array
from backend.core.skeleton import INDEX as JOINT
from backend.stages import OBSERVATION, Camera

CAMERA = Camera(900.0, np.array([640.0, 360.0]), np.array([1280.0, 720.0]), IDENTITY, np.zeros(3))
FRONT = rotations.from_axis_angle([np.pi, 0.0, 0.0])  # faces the camera, upright
FRAMES = 30

turns = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.9, 0.9), st.floats(-0.4, 0.4))
errors = st.tuples(*[st.floats(-0.2, 0.2)] * 3)


def rays(head: Array, place: Array, size: float = 1.0) -> Array:
    """(T, points, 2) x / z and y / z of the points of a face, of a head (T, 4) at place (3,) metres."""
    points = size * rotations.rotate(head[:, None], face.PLACES) + place
    return points[..., :2] / points[..., 2:]


@given(turn=turns, error=errors, aside=st.floats(-1.5, 1.5), size=st.floats(0.8, 1.2))
@settings(max_examples=40, deadline=None)
def test_a_head_turns_to_where_its_face_looks(
    turn: tuple[float, ...], error: tuple[float, ...], aside: float, size: float
) -> None:
    """Wherever it is in the picture, and of whatever size; a part of the way is left, since faces may be wrong."""
    head = rotations.multiply(rotations.from_axis_angle(turn), FRONT)[None]
    before = rotations.multiply(rotations.from_axis_angle(error), head)
    found = face.looking(before, rays(head, np.array([aside, 0.3, 3.0]), size))
    was, left = (np.degrees(rotations.angle_between(q, head)).item() for q in (before, found))
    assert left < 0.3 * was + 1.5


def test_a_head_that_was_taken_to_look_elsewhere_is_not_flung_anywhere() -> None:
    random = np.random.default_rng(4)
    aside = rotations.normalize(random.normal(size=(400, 3))) * np.radians(random.uniform(60, 150, (400, 1)))
    before = rotations.multiply(rotations.from_axis_angle(aside), FRONT)
    seen = rays(FRONT[None], np.array([0.1, -0.2, 3.0])) + random.normal(0, 5e-4, (400, len(face.PLACES), 2))
    found = face.looking(before, seen)
    away = np.minimum(rotations.angle_between(found, before), rotations.angle_between(found, FRONT))
    assert np.degrees(away).max() < 60.0


def test_one_point_far_off_has_little_say() -> None:
    head = FRONT[None]
    seen = rays(head, np.array([0.0, 0.0, 3.0]))
    seen[:, 3] += 0.05 / 3.0  # 5 cm
    assert np.degrees(rotations.angle_between(face.looking(head, seen), head)).item() < 3.0


def test_head_jaw_and_eyes_go_together_and_unseen_frames_stay() -> None:
    turned = np.tile(FRONT, (FRAMES, sk.COUNT, 1))
    true = rotations.multiply(rotations.from_axis_angle([0.0, 0.35, 0.0]), FRONT)
    observed = np.zeros(FRAMES, OBSERVATION)
    observed["time"] = np.arange(FRAMES) / 30
    seen = np.arange(FRAMES) < 12
    pixels = rays(true[None], np.array([0.2, -0.4, 3.0]))[0] * CAMERA.focal + CAMERA.center
    rows = 23 + np.array(face.POINTS)
    observed["keypoints"][np.ix_(seen, rows)] = np.column_stack([pixels, np.ones(len(pixels))])
    before = turned.copy()
    face.with_face(turned, observed, CAMERA)
    moved = np.degrees(rotations.angle_between(turned, before))
    left = np.degrees(rotations.angle_between(turned[:, JOINT["head"]], true))
    assert left[:8].max() < 5.0 < 19.0 < left[20:].min()
    np.testing.assert_allclose(turned[20:], before[20:], atol=1e-6)
    assert np.ptp(moved[:, [JOINT["head"], JOINT["jaw"], JOINT["left_eye_smplhf"]]], axis=1).max() < 1e-6
    np.testing.assert_allclose(moved[:, JOINT["neck"]], 0.5 * moved[:, JOINT["head"]], atol=1e-6)
    others = [j for name, j in JOINT.items() if name not in ("neck", "head", "jaw") and "eye" not in name]
    np.testing.assert_array_equal(turned[:, others], before[:, others])
    away = rotations.multiply(rotations.from_axis_angle([0.0, np.pi, 0.0]), before)  # the back of a head has no face
    same = away.copy()
    face.with_face(same, observed, CAMERA)
    assert np.degrees(rotations.angle_between(same, away)).max() < 10.0
    blind = observed.copy()
    blind["keypoints"][..., 2] = 0.0
    again = before.copy()
    face.with_face(again, blind, CAMERA)
    np.testing.assert_array_equal(again, before)


def lip_rays(head: Array, angle: float, place: Array) -> Array:
    """(1, 2, 2) rays to the inner edges of the upper and the lower lip, the jaw open by `angle`; head and place as in
    `rays`."""
    hinge = sk.neutral().offsets[JOINT["jaw"]]
    lower = rotations.rotate(rotations.from_axis_angle([angle, 0.0, 0.0]), face.LIPS)
    lips = rotations.rotate(head, hinge + np.stack([face.LIPS, lower])) + place
    return (lips[:, :2] / lips[:, 2:])[None]


@given(turn=turns, angle=st.floats(0.0, 0.4), aside=st.floats(-1.5, 1.5))
@settings(max_examples=40, deadline=None)
def test_a_jaw_opens_as_far_as_the_lips(turn: tuple[float, ...], angle: float, aside: float) -> None:
    """Wherever the face is and looks; the face model sees lips open by a part of the way only."""
    head = rotations.multiply(rotations.from_axis_angle(turn), FRONT)
    place = np.array([aside, 0.3, 3.0])
    found = face.opening(head[None], rays(head[None], place), lip_rays(head, angle, place)).item()
    wanted = max(angle - face.CLOSED, 0.0) / face.SHARE
    assert abs(found - wanted) < np.radians(2.0) + 0.08 * wanted


def test_only_a_jaw_whose_face_is_seen_opens() -> None:
    place = np.array([0.2, -0.4, 3.0])
    observed = np.zeros(FRAMES, OBSERVATION)
    observed["time"] = np.arange(FRAMES) / 30
    seen = np.arange(FRAMES) < 12
    for rows, places in (
        (23 + np.array(face.POINTS), rays(FRONT[None], place)[0]),
        (23 + np.array([62, 66]), lip_rays(FRONT, 0.2, place)[0]),
    ):
        told = np.column_stack([places * CAMERA.focal + CAMERA.center, np.ones(len(rows))])
        observed["keypoints"][np.ix_(seen, rows)] = told
    turned = np.tile(FRONT, (FRAMES, sk.COUNT, 1))
    before = turned.copy()
    face.with_jaw(turned, observed, CAMERA)
    local = rotations.to_axis_angle(sk.to_local(turned))[:, JOINT["jaw"]]
    wanted = (0.2 - face.CLOSED) / face.SHARE
    np.testing.assert_allclose(local[:8, 0], wanted, atol=0.05)
    np.testing.assert_allclose(local[18:], 0.0, atol=1e-6)
    assert np.abs(local[:, 1:]).max() < 1e-6
    turned[:, JOINT["jaw"]] = before[:, JOINT["jaw"]]
    np.testing.assert_array_equal(turned, before)
