"""Motion onto rigs of every build, judged by a pose evaluation of its own: directions, places, the way back."""

from __future__ import annotations

from dataclasses import replace

import humanoid
import numpy as np
import pytest
from humanoid import SIDES, Build, build_rig, random_motion
from hypothesis import given, settings
from hypothesis import strategies as st
from video_mocap.backend.core import rotations, skeleton
from video_mocap.backend.core.rotations import Array
from video_mocap.backend.core.skeleton import INDEX, JOINTS
from video_mocap.mocap_addon.retarget import calibration, euler, pose, root, solve
from video_mocap.mocap_addon.retarget.model import Mapping, Options, Rig, SourceMotion

FREE = Options(feet=False)
LIMBS = [
    (f"{side}_{a}", f"{side}_{b}")
    for side in SIDES
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
]
turns = st.integers(0, 2**32 - 1).map(lambda seed: rotations.normalize(np.random.default_rng(seed).normal(size=4)))


def about_z(angle: float) -> Array:
    return rotations.from_axis_angle([0.0, 0.0, angle])


def matrix(rotation: Array, place: Array, scale: Array) -> Array:
    out = np.eye(4)
    out[:3, :3] = rotations.to_matrix(rotation) @ np.diag(scale)
    out[:3, 3] = place
    return out


@st.composite
def builds(draw: st.DrawFn, **fixed: object) -> Build:
    """Any rig that stands upright in the world, whatever its own axes, its object and its parents are."""
    turn = draw(turns)
    unit = draw(st.sampled_from([1.0, 100.0, 39.37]))
    squash = [draw(st.sampled_from([1.0, 1.0, 0.8, -1.0])), draw(st.sampled_from([1.0, 1.0, 1.2])), 1.0]
    object_turn, place = about_z(draw(st.floats(-3.0, 3.0))), np.array([draw(st.floats(-2, 2)), 1.0, 0.5])
    upright = matrix(rotations.inverse(turn), np.zeros(3), np.ones(3))
    world = matrix(object_turn, place, np.array(squash) / unit) @ upright
    values: dict[str, object] = {
        "seed": draw(st.integers(0, 1000)),
        "arms": draw(st.floats(0, 80)),
        "forearms": draw(st.floats(0, 40)),
        "legs": draw(st.floats(0, 25)),
        "curl": draw(st.floats(0, 20)),
        "spine": draw(st.integers(1, 6)),
        "neck": draw(st.integers(0, 3)),
        "fingers": draw(st.integers(0, 4)),
        "collars": draw(st.booleans()),
        "toes": draw(st.booleans()),
        "between": draw(st.booleans()),
        "twists": draw(st.sampled_from(["", "beside", "links"])),
        "wild": draw(st.booleans()),
        "flags": draw(st.booleans()),
        "turn": turn,
        "world": world,
        "size": unit,
    }
    return Build(**(values | fixed))  # type: ignore[arg-type]


def heads(rig: Rig, mapping: Mapping, matrices: Array) -> dict[str, Array]:
    """role -> (T, 3) where its first bone begins."""
    index = rig.index
    return {role: matrices[:, index[bones[0]], :3, 3] for role, bones in mapping.bones.items()}


def degrees(a: Array, b: Array) -> Array:
    a, b = rotations.normalize(a), rotations.normalize(b)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), np.sum(a * b, axis=-1)))


@given(builds(), st.integers(0, 1000), st.sampled_from(["hips", "bone"]))
@settings(max_examples=40, deadline=None)
def test_the_way_to_a_rig_and_back_is_the_same_motion(build: Build, seed: int, carrier: str) -> None:
    rig, mapping = build_rig(build)
    source = random_motion(seed)
    there = solve.retarget(source, rig, mapping, replace(FREE, root=carrier))
    back = solve.source_from_rig(rig, mapping, source.times, there)
    turned, _ = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    again, _ = skeleton.forward_kinematics(back.body, back.local, back.pelvis)
    error = np.degrees(rotations.angle_between(turned, again))
    exact = {role for role in mapping.bones if role in INDEX and role != "neck"}
    exact |= {"spine3"}
    if build.fingers < 3:
        exact -= {joint for joint in JOINTS if joint[:-1].endswith(skeleton.FINGERS)}
    if build.spine >= 3:
        exact |= {"spine1", "spine2"}
    if build.neck:
        exact |= {"neck"}
    assert error[:, [INDEX[joint] for joint in exact]].max() < 0.01
    np.testing.assert_allclose(back.pelvis, source.pelvis, atol=2e-3)


@given(
    builds(),
    st.integers(0, 1000),
    st.fixed_dictionaries({part: st.floats(0.6, 1.5) for part in ("knee", "ankle", "elbow", "wrist", "hip", "spine")}),
    st.sampled_from(["hips", "bone"]),
)
@settings(max_examples=40, deadline=None)
def test_limbs_point_as_the_source_whatever_the_proportions(
    build: Build, seed: int, proportions: dict[str, float], carrier: str
) -> None:
    build.proportions = proportions
    rig, mapping = build_rig(build)
    source = random_motion(seed)
    posed = pose.pose_globals(rig, solve.retarget(source, rig, mapping, replace(FREE, root=carrier)))
    stage = calibration.stand(rig, mapping)
    found = heads(rig, mapping, posed)
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    for upper, lower in LIMBS:
        own = rotations.rotate(rotations.inverse(stage.turn), found[lower] - found[upper])
        theirs = joints[:, INDEX[lower]] - joints[:, INDEX[upper]]
        assert degrees(own, theirs).max() < 0.05, (upper, lower)
    # The hips are where the source's are, at the rig's size.
    ratio = root.size(stage, calibration.first_heads(rig, mapping), source.body)
    middle = stage.to_world((found["left_hip"] + found["right_hip"]) / 2)
    theirs = joints[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(axis=1)
    np.testing.assert_allclose(middle, theirs * ratio, atol=1e-6)


@given(builds(flags=False, wild=False), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_object_takes_the_motion_with_it(build: Build, seed: int) -> None:
    """In the world: a uniformly scaled object that was moved and turned about z shows the motion there."""
    build.world = matrix(about_z(0.7), np.array([3.0, -2.0, 1.0]), np.full(3, 0.5 / build.size)) @ matrix(
        rotations.inverse(build.turn), np.zeros(3), np.ones(3)
    )
    rig, mapping = build_rig(build)
    source = random_motion(seed)
    posed = rig.world @ pose.pose_globals(rig, solve.retarget(source, rig, mapping, FREE))
    found = heads(rig, mapping, posed)
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    where = rotations.rotate(about_z(0.7), joints * 0.5) + [3.0, -2.0, 1.0]
    for role in ("left_hip", "left_knee", "left_ankle", "right_hip", "right_knee"):
        np.testing.assert_allclose(found[role], where[:, INDEX[role]], atol=2e-3)


@pytest.mark.parametrize("tilt", [0.0, np.pi / 2])
def test_imported_rigs_stand_up(tilt: float) -> None:
    """y-up rests, with the object that makes up for it and without one."""
    build = Build(turn=rotations.from_axis_angle([-np.pi / 2, 0.0, 0.0]), size=100.0)
    build.world = matrix(rotations.from_axis_angle([tilt, 0.0, 0.0]), np.zeros(3), np.full(3, 0.01))
    rig, mapping = build_rig(build)
    source = random_motion(3)
    found = heads(rig, mapping, rig.world @ pose.pose_globals(rig, solve.retarget(source, rig, mapping, FREE)))
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    np.testing.assert_allclose(found["left_elbow"] - found["left_knee"], joints[:, 18] - joints[:, 4], atol=1e-6)


def test_a_mirrored_object_changes_nothing_in_the_rig() -> None:
    source = random_motion(5)
    plain, mirrored = (
        solve.retarget(source, *build_rig(Build(arms=40, world=np.diag([x, 1.0, 1.0, 1.0]))), FREE) for x in (1.0, -1.0)
    )
    for bone, channels in plain.items():
        np.testing.assert_allclose(channels.rotation, mirrored[bone].rotation, atol=1e-9)


@given(builds(flags=False, fingers=3), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_curves_are_continuous(build: Build, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = random_motion(seed, 2)
    share = np.linspace(0.0, 1.0, 200)[:, None]
    local = rotations.slerp(source.local[0], source.local[1], share)
    spin = rotations.from_axis_angle(np.linspace(0, 6 * np.pi, 200)[:, None] * [0.0, 0.0, rng.choice([-1, 1])])
    local[:, 0] = rotations.multiply(spin, local[:, 0])
    turning = SourceMotion(np.arange(200) / 30, source.body, local, np.zeros((200, 3)), np.zeros((200, 4), np.uint8))
    rig, mapping = build_rig(build)
    for bone, channels in solve.retarget(turning, rig, mapping, FREE).items():
        if channels.rotation is not None:
            steps = np.abs(np.diff(channels.rotation, axis=0)).max(initial=0.0)
            assert steps < 0.1, bone


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_locked_channels_stay_at_rest_and_the_bones_below_make_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rig, mapping = build_rig(Build(seed=int(rng.integers(100)), flags=True, arms=30))
    index = rig.index
    locks = rig.locks.copy()
    locks[index["spine 1"], 3:] = True
    locks[index["left_collar"], 3 + rng.integers(1, 4)] = True
    locks[index["pelvis"], rng.integers(3)] = True
    rig = replace(rig, locks=locks)
    source = random_motion(int(rng.integers(1000)))
    channels = solve.retarget(source, rig, mapping, FREE)
    assert "spine 1" not in channels
    _, values = euler.to_mode(
        channels["left_collar"].rotation, rig.rotation_modes[index["left_collar"]], locks[index["left_collar"], 3:]
    )
    locked = locks[index["left_collar"], 3:] if values.shape[1] == 4 else locks[index["left_collar"], 4:]
    assert np.abs(values[:, locked]).max() < 1e-9
    assert np.abs(channels["pelvis"].location[:, locks[index["pelvis"], :3]]).max() == 0.0
    found = heads(rig, mapping, pose.pose_globals(rig, channels))
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    for upper, lower in LIMBS:
        assert degrees(found[lower] - found[upper], joints[:, INDEX[lower]] - joints[:, INDEX[upper]]).max() < 0.05


def test_only_what_is_mapped_is_written() -> None:
    rig, mapping = build_rig(Build(between=True, twists="beside"))
    written = solve.retarget(random_motion(1), rig, mapping, Options())
    assert not [bone for bone in written if "holder" in bone]
    assert solve.retarget(random_motion(1), rig, Mapping(), Options()) == {}
    without = solve.retarget(random_motion(1), rig, mapping, Options(fingers=False))
    fingers = {bone for bone in written if any(finger in bone for finger in skeleton.FINGERS)}
    assert fingers and without.keys() == written.keys() - fingers


def test_a_pelvis_that_cannot_be_moved_leaves_it_to_the_bone_above() -> None:
    rig, mapping = build_rig(Build())
    connected = rig.connected.copy()
    connected[rig.index["pelvis"]] = True
    rig = replace(rig, connected=connected)
    source = random_motion(2)
    channels = solve.retarget(source, rig, mapping, FREE)
    assert channels["pelvis"].location is None and channels["root"].location is not None
    found = heads(rig, mapping, pose.pose_globals(rig, channels))
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    np.testing.assert_allclose(found["left_hip"], joints[:, INDEX["left_hip"]], atol=1e-6)


@pytest.mark.parametrize("kind, hand, forearm", [("beside", 30.0, 60.0), ("links", 60.0, 0.0)])
def test_twist_bones_share_the_roll(kind: str, hand: float, forearm: float) -> None:
    """A hand that rolls by 60 degrees turns a twist bone beside the middle of the forearm by 30. As a link of the
    forearm it takes all, and the hand does not turn on it."""
    rig, mapping = build_rig(Build(twists=kind))
    source = random_motion(1, 1)
    local = np.tile(rotations.IDENTITY, (1, 55, 1))
    local[:, 0] = skeleton.Y_UP_TO_Z_UP
    local[:, INDEX["left_wrist"]] = rotations.from_axis_angle([np.radians(60.0), 0.0, 0.0])
    local[:, INDEX["right_shoulder"]] = rotations.from_axis_angle([np.radians(-40.0), 0.0, 0.0])
    channels = solve.retarget(replace(source, local=local), rig, mapping, FREE)

    def angle(bone: str) -> float:
        turn = rotations.angle_between(channels[bone].rotation, rotations.IDENTITY)
        return float(np.degrees(turn[0]))

    assert angle("left_elbow twist") == pytest.approx(hand, abs=0.1)
    assert angle("left_wrist") == pytest.approx(forearm, abs=4.0)
    # The upper arm rolls by 40: a twist bone beside it gives back half of that; as its link it takes all of it.
    assert angle("right_shoulder twist") == pytest.approx(20.0 if kind == "beside" else 40.0, abs=0.5)
    assert angle("right_shoulder") == pytest.approx(40.0 if kind == "beside" else 0.0, abs=4.0)


def test_a_correction_of_the_virtual_pose_turns_that_bone_alone() -> None:
    rig, mapping = build_rig(Build(arms=30))
    before = calibration.calibrate(rig, mapping)
    turn = rotations.from_axis_angle([0.0, 0.3, 0.0])
    mapping.corrections["left_elbow"] = turn
    after = calibration.calibrate(rig, mapping)
    row = rig.index["left_elbow"]
    np.testing.assert_allclose(after[row], rotations.multiply(before[row], turn), atol=1e-9)
    np.testing.assert_allclose(np.delete(after, row, axis=0), np.delete(before, row, axis=0), atol=1e-9)


def test_ik_controls_hold_the_limbs() -> None:
    rig, mapping = build_rig(Build(arms=40))
    index = rig.index
    extra = {"foot_ik.L": "left_ankle_ik", "knee_pole.L": "left_knee_pole", "elbow_pole.L": "left_elbow_pole"}
    rest = rig.rest[[index["left_ankle"], index["left_knee"], index["left_elbow"]]].copy()
    rest[1, :3, 3] += [0.0, -0.5, 0.0]
    rest[2, :3, 3] += [0.0, 0.5, 0.0]
    count = len(extra)
    rig = replace(
        rig,
        names=rig.names + tuple(extra),
        parents=np.concatenate([rig.parents, [index["root"]] * count]),
        rest=np.concatenate([rig.rest, rest]),
        lengths=np.concatenate([rig.lengths, np.ones(count)]),
        inherit_rotation=np.concatenate([rig.inherit_rotation, np.ones(count, bool)]),
        local_location=np.concatenate([rig.local_location, np.ones(count, bool)]),
        connected=np.concatenate([rig.connected, np.zeros(count, bool)]),
        rotation_modes=rig.rotation_modes + ("QUATERNION",) * count,
        locks=np.concatenate([rig.locks, np.zeros((count, 7), bool)]),
    )
    mapping.bones |= {role: [bone] for bone, role in extra.items()}
    assert not extra.keys() & solve.retarget(humanoid.walk(1.0), rig, mapping, Options()).keys()
    posed = pose.pose_globals(rig, solve.retarget(humanoid.walk(1.0), rig, mapping, Options(ik_controls=True)))
    index = rig.index
    np.testing.assert_allclose(posed[:, index["foot_ik.L"]], posed[:, index["left_ankle"]], atol=1e-6)
    hip, knee, ankle, pole = (
        posed[:, index[bone], :3, 3] for bone in ("left_hip", "left_knee", "left_ankle", "knee_pole.L")
    )
    normal = rotations.normalize(np.cross(knee - hip, ankle - knee))
    assert np.abs(np.sum(normal * (pole - knee), axis=-1)).max() < 0.05  # in the plane of the leg
    assert (pole - knee)[:, 1].max() < -0.2  # in front
