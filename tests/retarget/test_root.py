"""Who carries the way of the body, and how much of it is kept."""

from __future__ import annotations

from dataclasses import replace

import humanoid
import numpy as np
import pytest
from humanoid import Build, build_rig
from video_mocap.backend.core import rotations, skeleton
from video_mocap.backend.core.rotations import Array
from video_mocap.backend.core.skeleton import INDEX
from video_mocap.mocap_addon.retarget import pose, solve
from video_mocap.mocap_addon.retarget.model import Channels, Options, SourceMotion

TURNED = rotations.from_axis_angle([0.0, 0.0, 0.9])


def turning_walk() -> SourceMotion:
    """A walk that heads somewhere between the axes."""
    walk = humanoid.walk(3.0)
    walk.local[:, 0] = rotations.multiply(TURNED, walk.local[:, 0])
    return SourceMotion(walk.times, walk.body, walk.local, rotations.rotate(TURNED, walk.pelvis), walk.contacts)


def posed(options: Options, build: Build | None = None) -> tuple[Array, Array, dict]:
    """World positions (T, 3) of the root bone's and the pelvis bone's heads, and the channels."""
    rig, mapping = build_rig(build or Build(arms=40))
    channels = solve.retarget(turning_walk(), rig, mapping, options)
    world = rig.world @ pose.pose_globals(rig, channels)
    return world[:, rig.index["root"]], world[:, rig.index["pelvis"]], channels


def at_rest(channels: Channels) -> bool:
    """One row of both: a bone without keys would stay as it was shown last."""
    return np.array_equal(channels.rotation, [rotations.IDENTITY]) and np.array_equal(channels.location, [[0, 0, 0]])


def test_hips_carry_all() -> None:
    root, pelvis, channels = posed(Options(root="hips"))
    assert at_rest(channels["root"])
    np.testing.assert_allclose(root, np.broadcast_to(root[0], root.shape))
    way = turning_walk().pelvis
    np.testing.assert_allclose((pelvis[-1] - pelvis[0])[:2, 3], (way[-1] - way[0])[:2], atol=0.01)


def test_root_bone_carries_way_and_heading_on_the_floor() -> None:
    root, pelvis, channels = posed(Options(root="bone"))
    same = posed(Options(root="hips"))[1]
    np.testing.assert_allclose(pelvis, same, atol=1e-6)  # the body is where it was
    np.testing.assert_allclose(root[:, 2, 3], 0.0, atol=1e-6)
    # The root stays below the pelvis as it is at rest, and heads where the body does.
    np.testing.assert_allclose(root[:, :2, 3], pelvis[:, :2, 3], atol=0.02)
    heading = rotations.from_matrix(root[:, :3, :3] @ np.linalg.inv(build_rig(Build(arms=40))[0].rest[0, :3, :3]))
    assert np.degrees(rotations.angle_between(heading, TURNED)).max() < 0.1
    assert np.ptp(channels["pelvis"].location, axis=0).max() < 0.2


@pytest.mark.parametrize("world", [np.eye(4), np.diag([0.01, 0.01, 0.01, 1.0])])
def test_in_place_the_character_stays_over_its_spot(world: Array) -> None:
    build = Build(arms=40, world=world, size=1.0 / world[0, 0])
    _, pelvis, _ = posed(Options(root="in_place"), build)
    moving = posed(Options(root="hips"), build)[1]
    assert np.abs(pelvis[:, :2, 3]).max() < 0.05
    np.testing.assert_allclose(pelvis[:, 2, 3], moving[:, 2, 3], atol=1e-6)
    np.testing.assert_allclose(pelvis[:, :3, :3], moving[:, :3, :3], atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("carrier", ["hips", "bone"])
def test_locks_are_along_axes_of_the_world(axis: int, carrier: str) -> None:
    lock = (axis == 0, axis == 1, axis == 2)
    world = np.eye(4)
    world[:3, :3] = rotations.to_matrix(rotations.from_axis_angle([0.0, 0.0, 0.5]))
    build = Build(arms=40, world=world)
    _, pelvis, _ = posed(Options(root=carrier, lock=lock, feet=False), build)
    _, free, _ = posed(Options(root=carrier, feet=False), build)
    assert np.ptp(pelvis[:, axis, 3]) < 0.02
    others = [k for k in range(3) if k != axis]
    np.testing.assert_allclose(pelvis[:, others, 3], free[:, others, 3], atol=1e-6)


def test_a_locked_height_is_taken_from_the_hips_and_the_root_stays_on_the_floor() -> None:
    jump = turning_walk()
    jump.pelvis[:, 2] += 0.3 * np.sin(jump.times)
    rig, mapping = build_rig(Build(arms=40))
    options = Options(root="bone", lock=(False, False, True), feet=False)
    world = pose.pose_globals(rig, solve.retarget(jump, rig, mapping, options))
    for bone in ("root", "pelvis"):
        assert np.ptp(world[:, rig.index[bone], 2, 3]) < 1e-6
    assert np.ptp(world[:, rig.index["root"], :2, 3], axis=0).max() > 1.0


def test_a_root_bone_below_a_pelvis_that_cannot_be_moved_carries_everything() -> None:
    build = Build(arms=40)
    rig, mapping = build_rig(build)
    connected = rig.connected.copy()
    connected[rig.index["pelvis"]] = True
    fixed = replace(rig, connected=connected)
    channels = solve.retarget(turning_walk(), fixed, mapping, Options(root="bone"))
    world = pose.pose_globals(fixed, channels)
    np.testing.assert_allclose(world[:, rig.index["pelvis"]], posed(Options(), build)[1], atol=1e-6)


def test_height_follows_the_legs_and_the_way_a_chosen_scale() -> None:
    short = Build(arms=40, proportions={"knee": 0.7, "ankle": 0.7})
    by_hips = posed(Options(feet=False), short)[1]
    chosen = posed(Options(feet=False, scale=1.0), short)[1]
    source = turning_walk()
    np.testing.assert_allclose(chosen[:, 2, 3], by_hips[:, 2, 3])
    np.testing.assert_allclose(
        chosen[-1, :2, 3] - chosen[0, :2, 3], source.pelvis[-1, :2] - source.pelvis[0, :2], atol=0.01
    )
    _, joints = skeleton.forward_kinematics(source.body, source.local, source.pelvis)
    assert 0.68 < by_hips[0, 2, 3] / joints[0, INDEX["pelvis"], 2] < 0.8
