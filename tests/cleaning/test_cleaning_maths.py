"""The steps of cleaning on motions whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from humanoid import walk
from hypothesis import given
from hypothesis import strategies as st
from video_mocap.backend.core import rotations
from video_mocap.backend.core.skeleton import CONTACTS, INDEX
from video_mocap.mocap_addon.cleaning import curves, hands, loop, recipe, smooth, world
from video_mocap.mocap_addon.cleaning.motion import contact_points, heading, moved
from video_mocap.mocap_addon.cleaning.plant import plant
from video_mocap.mocap_addon.cleaning.recipe import Recipe, Span, clean, to_contacts, to_spans

ALL = {name: 1.0 for name in smooth.FEEL}


@pytest.fixture(scope="module")
def motion():
    return walk()


def jittered(motion, degrees=1.0, metres=0.004):
    rng = np.random.default_rng(0)
    turns = rotations.from_axis_angle(rng.normal(0, np.radians(degrees), (*motion.local.shape[:2], 3)))
    return replace(
        motion,
        local=rotations.multiply(motion.local, turns),
        pelvis=motion.pelvis + rng.normal(0, metres, motion.pelvis.shape),
    )


def off(a, b, joints=slice(0, 22)) -> np.ndarray:
    """Degrees (T, J) between two motions' rotations."""
    return np.degrees(rotations.angle_between(a.local[:, joints], b.local[:, joints]))


def slip(motion, span: Span) -> float:
    """Metres that a contact's point moves over the floor while it should stand."""
    rows = (motion.times >= span.start - 1e-6) & (motion.times <= span.end + 1e-6)
    return float(np.ptp(contact_points(motion)[rows, span.track, :2], axis=0).max())


# ---- curves


@given(st.integers(0, 1000), st.integers(1, 12))
def test_the_fit_is_the_least_squares_solution(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 0.1, count))
    goal, sigma = rng.normal(size=(count, 2)), rng.uniform(0.1, 2.0, count)
    force, drive = rng.uniform(1.0, 5.0, count), rng.normal(size=(count, 2))
    rows, right = [np.eye(count) / sigma[:, None]], [goal / sigma[:, None]]
    if count > 2:
        second = np.zeros((count - 2, count))
        for k, weights in enumerate(curves.accelerations(times)):
            second[k, k : k + 3] = weights
        rows.append(second / force[1:-1, None])
        right.append(drive[1:-1] / force[1:-1, None])
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(right), rcond=None)[0]
    assert np.allclose(curves.fit(times, goal, sigma, force, drive), expected, atol=1e-6)


# ---- nothing asked for, nothing done


def test_a_recipe_of_defaults_gives_the_motion_back(motion):
    assert clean(motion, Recipe()) is motion
    spans = to_spans(motion.times, motion.contacts)
    same = clean(motion, Recipe(spans=spans))
    assert same.local is motion.local and same.pelvis is motion.pelvis


def test_contacts_survive_as_spans(motion):
    assert np.array_equal(to_contacts(motion.times, to_spans(motion.times, motion.contacts)), motion.contacts)


# ---- smoothing


def test_jitter_goes_and_the_motion_stays(motion):
    noisy = jittered(motion)
    steady = smooth.smooth(noisy, ALL)
    assert off(steady, motion).mean() < 0.65 * off(noisy, motion).mean()
    assert off(smooth.smooth(motion, ALL), motion).max() < 5.0
    below = np.linalg.norm(steady.pelvis - motion.pelvis, axis=1).mean()
    assert below < 0.7 * np.linalg.norm(noisy.pelvis - motion.pelvis, axis=1).mean()


def test_a_fast_move_keeps_its_reach(motion):
    """A blow of 80 degrees within a fifth of a second, on an arm that otherwise only jitters."""
    elbow = INDEX["left_elbow"]
    bend = np.radians(80.0) * np.exp(-0.5 * ((motion.times - 2.0) / 0.05) ** 2)
    still = replace(motion, local=motion.local.copy())
    still.local[:, elbow] = rotations.from_axis_angle(bend[:, None] * [0.0, -1.0, 0.0])
    noisy = jittered(still)
    steady = smooth.smooth(noisy, {"left_arm": 1.0})
    blow = np.abs(motion.times - 2.0) < 0.1
    assert off(steady, still, [elbow])[blow].max() < 5.0
    calm = np.abs(motion.times - 2.0) > 0.5
    assert off(steady, still, [elbow])[calm].mean() < 0.5 * off(noisy, still, [elbow])[calm].mean()


def test_one_frame_that_jumps_out_and_back_is_taken_out(motion):
    elbow = INDEX["left_elbow"]
    spiked = replace(motion, local=motion.local.copy())
    spiked.local[100, elbow] = rotations.from_axis_angle([0.0, 1.0, 0.0])
    assert off(smooth.smooth(spiked, {"left_arm": 1.0}), motion, [elbow])[100] < 3.0


def test_only_the_limb_that_was_asked_for_changes(motion):
    noisy = jittered(motion)
    steady = smooth.smooth(noisy, {"right_arm": 0.5})
    changed = np.flatnonzero(off(steady, noisy, slice(None)).max(axis=0) > 1e-5)
    assert set(changed) == set(smooth.LIMBS["right_arm"])
    assert steady.pelvis is noisy.pelvis


def test_planted_feet_stay_where_they_were_after_smoothing(motion):
    noisy = jittered(motion, degrees=0.5, metres=0.002)
    slipped = smooth.smooth(noisy, ALL)
    held = clean(noisy, Recipe(smoothing=ALL))
    spans = [span for span in to_spans(motion.times, motion.contacts) if span.end - span.start > 0.2]
    away = [np.abs(contact_points(m) - contact_points(noisy))[motion.contacts > 0].max() for m in (slipped, held)]
    assert away[1] < 0.002 < away[0]
    assert max(slip(held, span) for span in spans) < max(slip(noisy, span) for span in spans) + 0.002
    assert off(held, motion, [INDEX["spine2"]]).mean() < off(noisy, motion, [INDEX["spine2"]]).mean()


# ---- contacts


def step_of(motion) -> Span:
    """A whole contact in the middle of the walk."""
    spans = to_spans(motion.times, motion.contacts)
    return next(span for span in spans if CONTACTS[span.track] == "right_toe" and span.start > 1.5)


def changed_rows(a, b) -> np.ndarray:
    return np.any(a.local != b.local, axis=(1, 2)) | np.any(a.pelvis != b.pelvis, axis=1)


def test_a_foot_that_slid_stands_still_where_a_contact_is_added(motion):
    sliding = motion.contacts.copy()
    heel, toe = CONTACTS.index("right_heel"), CONTACTS.index("right_toe")
    stands = (motion.times > 1.8) & (motion.times < 2.3)
    sliding[stands, heel], sliding[stands, toe] = 0, 0
    drift = np.where(stands, 0.08 * np.sin(np.pi * np.clip((motion.times - 1.8) / 0.5, 0, 1)), 0.0)
    moving = replace(motion, pelvis=motion.pelvis + drift[:, None] * [1.0, 0.0, 0.0])
    moving = replace(moving, contacts=sliding)
    lost = [s for s in to_spans(motion.times, motion.contacts) if s.track in (heel, toe)]
    lost = [s for s in lost if s.start < 2.2 and s.end > 1.9]
    before = max(slip(moving, span) for span in lost)
    planted = plant(moving, moving, motion.contacts)
    assert before > 0.07
    assert max(slip(planted, span) for span in lost) < 0.004
    assert contact_points(planted)[..., 2].min() > -0.003
    rows = changed_rows(planted, moving)
    assert rows.any()
    assert np.abs(motion.times[rows] - 2.05).max() < 0.25 + 0.5 + 0.35 + 0.05
    # the knee does not snap
    steps = off(replace(planted, local=planted.local[1:]), replace(planted, local=planted.local[:-1]))
    plain = off(replace(moving, local=moving.local[1:]), replace(moving, local=moving.local[:-1]))
    assert steps.max() < plain.max() + 6.0


def test_outside_of_a_change_not_one_bit_differs(motion):
    span = step_of(motion)
    spans = tuple(s for s in to_spans(motion.times, motion.contacts) if s != span)
    out = clean(motion, Recipe(spans=spans))
    rows = changed_rows(out, motion)
    assert rows.any() and not rows.all()
    assert motion.times[rows].min() > span.start - 1.0 and motion.times[rows].max() < span.end + 1.0
    others = [s for s in spans if slip(out, s) > slip(motion, s) + 1e-4]
    assert not others, "a contact that was left alone slips"


def test_a_contact_made_longer_holds_the_place_that_it_had(motion):
    span = step_of(motion)
    longer = span._replace(end=span.end + 0.1)
    spans = tuple(longer if s == span else s for s in to_spans(motion.times, motion.contacts))
    out = clean(motion, Recipe(spans=spans))
    assert slip(motion, longer) > 0.01 and slip(out, longer) < 0.005
    before = contact_points(motion)[:, span.track]
    rows = (motion.times >= span.start) & (motion.times <= span.end)
    assert np.abs(contact_points(out)[rows, span.track] - before[rows]).max() < 1e-4


def test_a_foot_that_is_let_go_swings_and_stays_above_the_floor(motion):
    stuck = motion.contacts.copy()
    swing = (motion.times > 2.3) & (motion.times < 2.6)
    stuck[swing, 2:] = 1
    held = plant(motion, motion, stuck)
    assert np.ptp(contact_points(held)[swing, 3, 1]) < 0.01
    free = plant(held, held, motion.contacts)
    assert np.ptp(contact_points(free)[swing, 3, 1]) > 0.05
    assert contact_points(free)[..., 2].min() > -0.01


def test_what_stands_on_a_step_stays_on_it(motion):
    raised = moved(motion, rotations.IDENTITY, np.zeros(3), 0.5)
    raised = replace(raised, contacts=np.zeros_like(motion.contacts))
    planted = plant(raised, raised, motion.contacts)
    heights = contact_points(planted)[..., 2][motion.contacts > 0]
    assert abs(np.median(heights) - 0.5) < 0.02


# ---- where it stands


def test_the_floor_is_under_the_planted_feet(motion):
    assert abs(world.floor_under_feet(motion)) < 0.01
    assert world.floor_under_feet(moved(motion, rotations.IDENTITY, np.zeros(3), 0.37)) == pytest.approx(0.37, abs=0.01)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0, 3.0])
def test_facing_is_measured_from_the_front_view(motion, angle):
    turned = moved(motion, rotations.from_axis_angle([0.0, 0.0, angle]), np.array([1.0, 2.0, 0.0]), 0.0)
    assert world.facing_at(turned, 1.0) == pytest.approx(angle, abs=0.02)
    placed = world.stand(turned, np.zeros(3), 0.0, (0.0, 0.0), -angle, 0.0)
    assert world.facing_at(placed, 1.0) == pytest.approx(0.0, abs=0.02)


def test_somebody_who_lies_faces_where_the_crown_points():
    lying = rotations.multiply(
        rotations.from_axis_angle([np.pi / 2, 0.0, 0.0]), rotations.from_axis_angle([np.pi / 2, 0, 0])
    )
    crown = rotations.rotate(lying, [0.0, 1.0, 0.0])
    chest = rotations.rotate(lying, [0.0, 0.0, 1.0])
    assert chest[2] < -0.9
    assert heading(lying) == pytest.approx(np.arctan2(crown[0], -crown[1]))


@pytest.mark.parametrize("facing", [0.0, 1.2])
def test_leaning_forwards_and_to_the_left(motion, facing):
    turned = moved(motion, rotations.from_axis_angle([0.0, 0.0, facing]), np.zeros(3), 0.0)
    pivot = turned.pelvis[0] * [1, 1, 0]
    for lean, direction in (((0.2, 0.0), (0.0, -1.0, 0.0)), ((0.0, 0.2), (1.0, 0.0, 0.0))):
        out = world.stand(turned, pivot, facing, lean, 0.0, 0.0)
        way = rotations.rotate(rotations.from_axis_angle([0.0, 0.0, facing]), direction)
        assert np.dot(out.pelvis[0] - turned.pelvis[0], way) > 0.1
        turn, shift = world.turn_of(pivot, facing, lean, 0.0, 0.0)
        assert np.allclose(rotations.rotate(turn, turned.pelvis) + shift, out.pelvis)


def test_a_slope_under_the_feet_is_levelled(motion):
    tilted = world.stand(motion, np.zeros(3), 0.0, (-0.1, 0.0), 0.0, 0.0)
    lean = world.slope_under_feet(tilted, 0.0)
    assert lean is not None and lean[0] == pytest.approx(0.1, abs=0.02)
    standing = replace(motion, contacts=motion.contacts * (motion.times < 0.3)[:, None].astype(np.uint8))
    assert world.slope_under_feet(standing, 0.0) is None


# ---- hands


@pytest.mark.parametrize("side", ["left", "right"])
def test_relaxed_fingers_bend_towards_the_palm(motion, side):
    from video_mocap.backend.core import skeleton

    out = hands.relax(motion, *((1.0, 0.0) if side == "left" else (0.0, 1.0)))
    rest = replace(motion, local=np.tile(rotations.IDENTITY, motion.local.shape[:2] + (1,)))
    posed = replace(rest, local=rest.local.copy())
    fingers = [INDEX[name] for name in INDEX if name.startswith(side) and name[-1].isdigit()]
    posed.local[:, fingers] = out.local[:, fingers]
    tips = [f"{side}_{finger}_tip" for finger in skeleton.FINGERS]
    before, after = (
        skeleton.posed_points(m.body, *skeleton.forward_kinematics(m.body, m.local, m.pelvis), tuple(tips))[0]
        for m in (rest, posed)
    )
    assert np.all((after - before)[:, 1] < -0.002)
    other = [INDEX[name] for name in INDEX if not name.startswith(side)]
    assert np.array_equal(out.local[:, other], motion.local[:, other])


# ---- loops


def test_the_loop_of_a_walk_is_one_stride(motion):
    found = loop.find(motion, 0.6, 1.6, 0.0, 4.0)
    assert found.end - found.start == pytest.approx(1.1, abs=0.035)
    assert found.off < 0.01
    assert loop.find(motion, 5.0, 9.0, 0.0, 4.0) is None


def test_a_long_take_is_searched_to_the_frame():
    long = walk(seconds=60.0)
    assert len(long.times) > 2 * loop.MOST
    found = loop.find(long, 0.6, 1.6, 0.0, 60.0)
    assert found.end - found.start == pytest.approx(1.1, abs=0.02)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_the_end_of_a_loop_is_its_beginning_and_the_next_round_goes_on(motion, start):
    # A walk that turns and does not repeat itself exactly.
    curved = replace(motion, local=motion.local.copy())
    turn = rotations.from_axis_angle(0.2 * motion.times[:, None] * [0.0, 0.0, 1.0])
    curved.local[:, 0] = rotations.multiply(turn, motion.local[:, 0])
    out = loop.cut(jittered(curved, 0.3, 0.001), start, start + 1.1, 0.3)
    assert np.degrees(rotations.angle_between(out.local[0], out.local[-1])).max() < 1e-3
    assert out.pelvis[-1, 2] == pytest.approx(out.pelvis[0, 2])
    speeds = np.diff(out.pelvis[:, :2], axis=0)
    assert np.linalg.norm(speeds.sum(axis=0)) > 0.9  # it still walks
    assert off(replace(out, local=out.local[1:]), replace(out, local=out.local[:-1])).max() < 12.0


def test_in_place_keeps_the_sway_or_nothing(motion):
    swaying = replace(motion, pelvis=motion.pelvis + 0.03 * np.sin(6.0 * motion.times)[:, None] * [1.0, 0.0, 0.0])
    fixed = loop.in_place(swaying, "FIXED", False)
    assert np.ptp(fixed.pelvis[:, :2], axis=0).max() < 1e-9
    kept = loop.in_place(swaying, "SWAY", False)
    assert np.abs(kept.pelvis[:, 1] - kept.pelvis[0, 1]).max() < 0.05
    assert np.ptp(kept.pelvis[:, 0]) > 0.03
    assert np.array_equal(kept.pelvis[:, 2], motion.pelvis[:, 2])
    cyclic = loop.in_place(swaying, "SWAY", True)
    assert np.allclose(cyclic.pelvis[0], cyclic.pelvis[-1])


def test_everything_at_once(motion):
    out = clean(
        jittered(motion),
        recipe.Recipe(
            smoothing=ALL,
            left_hand=0.5,
            lean=(0.02, 0.0),
            turn=1.0,
            lift=0.1,
            loop=(1.0, 2.1),
            in_place="SWAY",
        ),
    )
    assert np.isfinite(out.local).all() and len(out.times) == len(out.contacts) == len(out.pelvis)
    assert np.allclose(np.linalg.norm(out.local, axis=-1), 1.0)
