"""Gravity, floor, contacts and the root's path, on motions whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import camera_at, standing, to_camera

from backend.body.reach import turn_feet
from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.skeleton import INDEX as JOINT
from backend.stages import Camera, Motion
from backend.world.camera import LEVEL
from backend.world.contacts import contact_points, find_contacts, hysteresis, to_world
from backend.world.ground import find_ground, upright_camera
from backend.world.place import FLOOR_REACH, RootPath, place, settle
from backend.world.planted import planted_turns


def stepping(frames: int, rate: float = 30.0) -> tuple[sk.Skeleton, Motion]:
    """A person marching on the spot, each foot planted half of the time. World, floor at z = 0."""
    body, times = sk.neutral(), np.arange(frames) / rate
    local = standing(frames)
    for side, phase in (("left", 0.0), ("right", np.pi)):
        lift = np.maximum(0.0, np.sin(2 * np.pi * 0.8 * times + phase)) * 0.9
        for joint, share, base in (("hip", -1.0, -0.15), ("knee", 2.0, 0.3), ("ankle", -1.0, -0.15)):
            turn = np.outer(base + share * lift, [1.0, 0, 0])
            local[:, JOINT[f"{side}_{joint}"]] = rotations.from_axis_angle(turn)
    local[:, 0] = sk.Y_UP_TO_Z_UP
    motion = Motion(times, local, np.zeros((frames, 3)), np.ones((frames, sk.COUNT)))
    lowest = contact_points(body, motion)[..., 2].min()
    return body, replace(motion, pelvis=np.tile([0.0, 0.0, -lowest], (frames, 1)))


def seen_by(camera: Camera, motion: Motion) -> Motion:
    """The same motion in camera space."""
    turned = motion.rotations.copy()
    turned[:, 0] = rotations.multiply(camera.rotation, turned[:, 0])
    return replace(motion, rotations=turned, pelvis=to_camera(motion.pelvis, camera))


def level(camera: Camera) -> Camera:
    """What is known of a camera before the clip is looked at."""
    return replace(camera, rotation=LEVEL, t=np.zeros(3))


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (0.35, 0.0), (-0.25, 0.15), (0.2, -0.3)])
def test_the_world_is_upright_and_the_floor_at_zero(pitch: float, roll: float) -> None:
    body, motion = stepping(120)
    true = camera_at(height=1.2, distance=4.0, pitch=pitch, roll=roll)
    found = upright_camera([(body, seen_by(true, motion))], level(true))
    up_true, up_found = (rotations.rotate(c.rotation, [0.0, 0.0, 1.0]) for c in (true, found))
    # The prior of a level camera pulls a little; the body's own direction must win by far.
    tilt = np.degrees(np.arccos(up_true @ [0.0, -1.0, 0.0]))
    assert np.degrees(np.arccos(np.clip(up_true @ up_found, -1, 1))) < 2.5 + 0.25 * tilt
    height = to_world(np.zeros(3), found)[2]
    assert height == pytest.approx(1.2, abs=0.1 + 0.02 * tilt)


def test_feet_that_are_far_away_say_less_about_where_up_is() -> None:
    """Somebody marches from place to place, and each place seems to be a little higher than the one before."""
    body, motion = stepping(240)
    steps = np.repeat(np.linspace(-1.5, 1.5, 8), 30)
    rising = motion.pelvis + np.column_stack([steps, np.zeros(240), np.tan(np.radians(8.0)) * steps])

    def pull(distance: float) -> float:
        """Degrees by which that turns what the network says."""
        camera = camera_at(height=1.2, distance=distance, pitch=0.1)
        down = rotations.rotate(camera.rotation, [0.0, 0.0, -1.0])
        told = replace(motion, pelvis=rising, down=np.tile(down, (240, 1)), spread=np.full(240, 0.1))
        up = rotations.rotate(upright_camera([(body, seen_by(camera, told))], level(camera)).rotation, [0, 0, 1])
        return float(np.degrees(np.arccos(-up @ down)))

    assert 3.0 < pull(4.0) < 8.0
    assert pull(20.0) < 0.4 * pull(4.0)


def test_a_camera_that_was_measured_keeps_its_up_and_gets_the_floor_of_these_people() -> None:
    body, motion = stepping(120)
    true = camera_at(height=1.2, distance=4.0, pitch=0.35, roll=0.1)
    up = rotations.rotate(true.rotation, [0.0, 0.0, 1.0])
    found = upright_camera([(body, seen_by(true, motion))], replace(true, t=np.zeros(3), measured=True))
    np.testing.assert_allclose(rotations.rotate(found.rotation, [0.0, 0.0, 1.0]), up, atol=1e-9)
    assert to_world(np.zeros(3), found)[2] == pytest.approx(1.2, abs=0.02)


def test_planted_feet_are_found_and_lifted_ones_are_not() -> None:
    body, motion = stepping(120)
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    placed = place(seen_by(camera, motion), camera)
    np.testing.assert_allclose(placed.pelvis, motion.pelvis, atol=1e-9)
    found = settle(RootPath.of(placed, body)).contacts.astype(bool)
    truly_down = contact_points(body, motion)[..., 2] < 0.01
    high_up = contact_points(body, motion)[..., 2] > 0.12
    assert found[truly_down].mean() > 0.85
    assert found[high_up].mean() < 0.02


def test_people_seen_from_above_stand_on_the_floor_and_others_on_what_is_there() -> None:
    """How far away somebody is shows worst from above, and moves them up and down by as much."""
    body, motion = stepping(120)
    lifted = replace(motion, pelvis=motion.pelvis + [0.0, 0.0, 0.3])
    for height, distance, wanted in ((5.0, 14.0, 0.0), (1.2, 4.0, 0.3), (1.3, 20.0, 0.3)):
        camera = camera_at(height=height, distance=distance, pitch=0.3)
        path = RootPath.of(place(seen_by(camera, lifted), camera), body)
        lowest = (settle(path).pelvis[:, None] + path.feet)[..., 2].min(1)
        assert np.median(lowest) == pytest.approx(wanted, abs=0.04)


def test_a_standing_person_does_not_drift_though_the_measured_depth_does() -> None:
    frames = 300
    body, motion = stepping(frames)
    standing_still = replace(motion, rotations=np.repeat(motion.rotations[:1], frames, 0))
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    seen = seen_by(camera, standing_still)
    random = np.random.default_rng(7)
    slow = np.cumsum(random.normal(0, 0.02, frames))
    slow -= np.linspace(slow[0], slow[-1], frames)  # wanders by decimetres, comes back
    stretched = seen.pelvis * (1 + (slow + random.normal(0, 0.01, frames)) / 4.0)[:, None]
    placed = place(replace(seen, pelvis=stretched), camera)
    measured = np.ptp(placed.pelvis, axis=0).max()
    pelvis, shift, _, contacts = settle(RootPath.of(placed, body))
    assert contacts.mean() > 0.95
    assert measured > 0.2
    assert np.ptp(pelvis, axis=0).max() < 0.01
    assert np.abs(shift).max() < 0.03


@pytest.mark.parametrize("speed", [0.0, 0.25])
def test_whose_feet_are_out_of_sight_goes_where_the_rest_is_seen(speed: float) -> None:
    frames = 120
    body, motion = stepping(frames)
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    true = np.tile(motion.pelvis[0], (frames, 1))
    true[:, 0] += speed * motion.times
    confidence = motion.confidence.copy()
    confidence[:, sk.ANKLES] = 0.1
    rows = np.repeat(motion.rotations[:1], frames, 0)  # the legs hang as they like
    seen = seen_by(camera, replace(motion, rotations=rows, pelvis=true, confidence=confidence))
    depth = 1 + np.random.default_rng(5).normal(0, 0.02, (frames, 1))
    path = RootPath.of(place(replace(seen, pelvis=seen.pelvis * depth), camera), body)
    pelvis, _, _, contacts = settle(path)
    assert not contacts.any()
    assert np.abs(pelvis - true)[:, 0].max() < 0.03  # across the line of sight
    assert np.ptp((pelvis - true)[:, 1]) < 0.3 * np.ptp((path.pelvis - true)[:, 1])


def test_a_second_in_which_the_body_is_not_where_it_is_seen_spoils_no_other() -> None:
    body, motion = stepping(180)
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    seen = seen_by(camera, motion)
    lost = np.arange(180) < 30
    wrong = np.where(lost[:, None], 0.15 * seen.pelvis, seen.pelvis)  # what is so near is usually seen exactly

    def off(beside: float) -> rotations.Array:
        told = replace(seen, pelvis=wrong, beside=np.where(lost, beside, 0.02))
        pelvis, *_ = settle(RootPath.of(place(told, camera), body))
        return np.linalg.norm(pelvis - motion.pelvis, axis=-1)[60:]

    assert off(0.5).max() < 0.05 < 0.3 < off(0.02).max()


def test_planted_feet_stand_still_after_settling() -> None:
    body, motion = stepping(240)
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    random = np.random.default_rng(3)
    seen = seen_by(camera, motion)
    noisy = replace(seen, pelvis=seen.pelvis * (1 + random.normal(0, 0.01, (240, 1))))
    path = RootPath.of(place(noisy, camera), body)
    pelvis, shift, _, contacts = settle(path)
    feet = pelvis[:, None] + path.feet + shift.repeat(2, axis=1)
    speed = np.linalg.norm(np.diff(feet, axis=0), axis=-1) * 30
    held = (contacts[1:] & contacts[:-1]).astype(bool)
    assert speed[held].mean() < 0.02
    # Lifted feet keep moving: nothing was pinned that should not be.
    assert speed[~held].max() > 0.5


def test_a_long_take_settled_in_stretches_has_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    body, motion = stepping(400)
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    random = np.random.default_rng(5)
    seen = seen_by(camera, motion)
    noisy = replace(seen, pelvis=seen.pelvis * (1 + random.normal(0, 0.01, (400, 1))))
    path = RootPath.of(place(noisy, camera), body)
    whole = settle(path)
    monkeypatch.setattr("backend.world.place.STRETCH", 150)
    monkeypatch.setattr("backend.world.place.OVERLAP", 60)
    parts = settle(path)
    assert np.abs(parts.pelvis - whole.pelvis).max() < 0.01
    assert np.abs(parts.shift - whole.shift).max() < 0.01


def standing_path(times: np.ndarray) -> RootPath:
    """Somebody who stands in front of a camera, as placed."""
    frames = len(times)
    feet = np.array([[-0.1, -0.05, -0.95], [-0.1, 0.15, -0.95], [0.1, -0.05, -0.95], [0.1, 0.15, -0.95]])
    feet = np.tile(feet, (frames, 1, 1))
    turned, ones = np.tile(rotations.IDENTITY, (frames, 2, 1)), np.ones((frames, 4))
    pelvis, eye = np.tile([0.0, 0.0, 0.95], (frames, 1)), np.tile([0.0, -4.0, 1.5], (frames, 1))
    return RootPath(times, pelvis, feet[:, ::2], feet, turned, 0.5 * ones, ones, np.zeros(frames), eye)


def test_feet_stand_as_still_at_any_frame_rate() -> None:
    def slide(fps: int) -> float:
        """m/s of a standing person who seems to sway by a decimetre."""
        times = np.arange(4 * fps) / fps
        path = standing_path(times)
        path.pelvis[:, 0] = 0.1 * np.sin(4 * times)
        root = settle(replace(path, still=np.ones((len(times), 4))))
        assert root.contacts.all()
        feet = root.pelvis + root.shift[:, 0]
        return float(np.linalg.norm(np.diff(feet, axis=0), axis=1).sum() / 4)

    usual = slide(30)
    assert usual < 0.02
    for fps in (60, 240):
        assert slide(fps) < 1.3 * usual


def test_settling_a_take_of_one_or_two_frames() -> None:
    for frames in (1, 2, 3):
        body, motion = stepping(frames)
        camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
        placed = place(seen_by(camera, motion), camera)
        pelvis, shift, *_ = settle(RootPath.of(placed, body))
        np.testing.assert_allclose(pelvis, motion.pelvis, atol=0.05)
        assert shift.shape == (frames, 2, 3)


def test_contacts_begin_and_end_once() -> None:
    points = np.zeros((6, 2, 3))  # the second foot stays on the floor
    points[:, 0, 2] = [0.2, 0.06, 0.09, 0.09, 0.12, 0.09]
    contacts, _ = find_contacts(
        points, np.zeros((6, 2)), np.full((6, 2), 0.5), np.arange(6) / 10.0, np.full(6, FLOOR_REACH)
    )
    assert contacts[:, 0].tolist() == [0, 1, 1, 1, 0, 0]
    on, off = np.array([[1], [0], [0]], bool), np.array([[0], [0], [1]], bool)
    assert hysteresis(on, off)[:, 0].tolist() == [True, True, False]


def test_a_wall_is_stood_on_and_the_top_of_a_jump_is_not() -> None:
    times = np.arange(60) / 30.0
    height, speed = np.full(60, 1.2), np.zeros(60)
    jump = slice(24, 45)  # up and down again, for a moment slow in mid air
    height[jump] = 1.2 + 0.4 * np.sin(np.linspace(0, np.pi, 21))
    speed[jump] = np.abs(np.gradient(height[jump], times[jump]))
    points = np.zeros((60, 2, 3))
    points[..., 2] = height[:, None]
    unknown, reach = np.full((len(times), 2), 0.5), np.full(len(times), FLOOR_REACH)
    contacts, ground = find_contacts(points, np.stack([speed, speed], 1), unknown, times, reach)
    assert contacts[:20].all()
    assert contacts[46:].all()
    assert not contacts[30:39].any()
    np.testing.assert_allclose(ground[contacts > 0], 1.2, atol=0.05)


@pytest.mark.parametrize("fps", [30, 60, 120])
@pytest.mark.parametrize("height", [0.1, 0.15])
def test_a_low_hop_leaves_the_floor(height: float, fps: int) -> None:
    speed = np.sqrt(2 * 9.81 * height)
    times = np.arange(0, 2 + 2 * speed / 9.81, 1 / fps)
    rise = np.clip(speed * (times - 1) - 0.5 * 9.81 * (times - 1) ** 2, 0, None)  # after a second
    path = replace(standing_path(times), pelvis=np.column_stack([0 * rise, 0 * rise, 0.95 + rise]))
    root = settle(path)
    assert not root.contacts[rise > 0.01].any()
    assert root.contacts[(times < 0.9) | (times > times[-1] - 0.9)].all()
    feet = (root.pelvis + root.shift[:, 0])[:, 2] - 0.95
    assert feet.max() > height - 0.035


def test_people_of_unknown_size_share_one_floor() -> None:
    body, motion = stepping(90)
    camera = camera_at(height=1.5, distance=5.0, pitch=0.15)
    near = seen_by(camera, motion)
    eye = to_world(np.zeros(3), camera)
    small = body.scaled(0.9)  # the same picture, taken for a person nine tenths as large and as far
    shrunk = replace(near, pelvis=near.pelvis * 0.9)
    ground = find_ground({1: (body, near), 2: (small, shrunk), 3: (body, near)}, level(camera))
    ratio = ground.sizes[2] / ground.sizes[1]
    assert ratio == pytest.approx(1 / 0.9, abs=0.03)
    assert eye[2] == pytest.approx(1.5)


def turning(turned: np.ndarray) -> float:
    """Radians between frames, on average."""
    return float(rotations.angle_between(turned[1:], turned[:-1]).mean())


def test_a_standing_foot_does_not_turn_and_a_moving_one_may() -> None:
    random, times = np.random.default_rng(4), np.arange(90) / 30.0
    heading = np.outer(np.concatenate([np.zeros(30), np.linspace(0, 0.6, 30), np.full(30, 0.6)]), [0.0, 0.0, 1.0])
    shown = rotations.from_axis_angle(heading[:, None] + random.normal(0, 0.03, (90, 2, 3)))
    own = rotations.multiply(shown, sk.Y_UP_TO_Z_UP)
    still = np.full((90, 4), 0.05)
    still[30:60, :2] = 0.95  # left heel and toes stand, though their heading drifts
    held = rotations.multiply(planted_turns(own, still, times), own)
    left, right = held[:, 0], held[:, 1]
    assert turning(left[31:59]) < 0.1 * turning(own[31:59, 0])
    assert rotations.angle_between(left[45], own[45, 0]) < 0.15  # where it was seen on average
    np.testing.assert_allclose(right, own[:, 1], atol=1e-9)  # the other foot stays as it is
    # The correction comes and goes gently: no step where the foot is put down.
    change = rotations.angle_between(*(planted_turns(own, still, times)[rows, 0] for rows in (slice(1, 31), slice(30))))
    assert change.max() < 0.08


@pytest.mark.parametrize(("seen", "most"), [(12.0, 4.0), (-10.0, 3.5)])
def test_a_standing_foot_lies_on_the_floor(seen: float, most: float) -> None:
    times, still = np.arange(90) / 30.0, np.full((90, 4), 0.95)
    tipped = rotations.from_axis_angle(np.radians([seen, 0.0, 0.0]))
    own = np.broadcast_to(rotations.multiply(tipped, sk.Y_UP_TO_Z_UP), (90, 2, 4))
    held = rotations.multiply(planted_turns(own, still, times), own)
    sole = rotations.rotate(held, [0.0, 1.0, 0.0])
    assert np.degrees(np.arccos(sole[..., 2])).max() < most
    ahead = rotations.rotate(held, [0.0, 0.0, 1.0])
    np.testing.assert_allclose(ahead[..., 0], 0.0, atol=1e-6)  # and points where it pointed


def test_a_foot_on_tiptoe_stays_there() -> None:
    times, still = np.arange(90) / 30.0, np.full((90, 4), 0.95)
    tipped = rotations.from_axis_angle(np.radians([55.0, 0.0, 0.0]))
    own = np.broadcast_to(rotations.multiply(tipped, sk.Y_UP_TO_Z_UP), (90, 2, 4))
    assert np.degrees(rotations.angle_between(planted_turns(own, still, times), rotations.IDENTITY)).max() < 7.0


def test_feet_turn_without_anything_else_moving() -> None:
    body, motion = stepping(30)
    turn = np.broadcast_to(rotations.from_axis_angle(np.array([0.0, 0.0, 0.4])), (30, 2, 4))
    before, after = (
        sk.forward_kinematics(body, local, motion.pelvis)
        for local in (motion.rotations, turn_feet(motion.rotations, turn))
    )
    feet = [JOINT["left_ankle"], JOINT["right_ankle"], JOINT["left_foot"], JOINT["right_foot"]]
    others = [j for j in range(sk.COUNT) if j not in feet]
    np.testing.assert_allclose(rotations.angle_between(after[0][:, feet], before[0][:, feet]), 0.4, atol=1e-6)
    np.testing.assert_allclose(after[1][:, others], before[1][:, others], atol=1e-9)


@pytest.mark.parametrize("likely", [0.95, 0.2])  # what nobody believes to stand is seen to stand
def test_planted_feet_that_seem_to_pivot_stand_still_in_the_end(likely: float) -> None:
    body, motion = stepping(120)
    camera = camera_at(height=1.2, distance=4.0, pitch=0.1)
    seen = seen_by(camera, motion)
    local = seen.rotations.copy()
    spin = rotations.from_axis_angle(np.outer(0.3 * np.sin(np.arange(120) / 9.0), [0.0, 1.0, 0.0]))
    for side in ("left", "right"):
        local[:, JOINT[f"{side}_ankle"]] = rotations.multiply(local[:, JOINT[f"{side}_ankle"]], spin)
    down = contact_points(body, motion)[..., 2] < 0.01
    path = RootPath.of(place(replace(seen, rotations=local, still=np.where(down, likely, 0.05)), camera), body)
    root = settle(path)
    turned = rotations.multiply(root.turn, path.turned)
    ankles = root.pelvis[:, None] + path.ankles + root.shift
    arms = rotations.rotate(rotations.inverse(path.turned).repeat(2, 1), path.feet - path.ankles.repeat(2, 1))
    feet = ankles.repeat(2, 1) + rotations.rotate(turned.repeat(2, 1), arms)
    standing_still = down[1:] & down[:-1]
    speed, as_seen = (30 * np.linalg.norm(np.diff(points, axis=0), axis=-1)[standing_still].mean()
                      for points in (feet, path.pelvis[:, None] + path.feet))  # fmt: skip
    assert speed < 0.2 * as_seen
