"""The virtual T-pose: rigs of any rest pose come out as the same T-pose, and nothing of the rig is changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from humanoid import SIDES, Build, build_rig
from video_mocap.backend.core import rotations, skeleton
from video_mocap.backend.core.rotations import Array
from video_mocap.backend.core.skeleton import INDEX
from video_mocap.mocap_addon.retarget import calibration, pose
from video_mocap.mocap_addon.retarget.model import Mapping, Rig


def t_pose(rig: Rig, mapping: Mapping) -> dict[str, Array]:
    """role -> position (3,) in the virtual pose, seen from the pelvis, in the rig's armature space."""
    chain = pose.Chain(rig, range(len(rig.names)))
    wanted = dict(enumerate(calibration.calibrate(rig, mapping)[:, None]))
    turned, _ = chain.resolve(wanted)
    placed = chain.positions(turned, {})
    index = rig.index
    return {role: placed[index[bones[0]]][0] - placed[index["pelvis"]][0] for role, bones in mapping.bones.items()}


REST = {
    "T": Build(),
    "A": Build(arms=45, forearms=15),
    "arms down": Build(arms=85, forearms=5),
    "legs spread": Build(legs=20),
    "relaxed fingers": Build(arms=45, curl=15),
    "wild axes": Build(arms=45, wild=True, between=True),
}


@pytest.mark.parametrize("name", REST)
def test_every_rest_pose_becomes_the_t_pose(name: str) -> None:
    rig, mapping = build_rig(REST[name])
    found = t_pose(rig, mapping)
    body = skeleton.neutral().joints()
    for side in SIDES:
        for joint in ("elbow", "wrist", "knee", "ankle", "foot", "index1", "pinky1", "middle3", "thumb2", "thumb3"):
            role = f"{side}_{joint}"
            expected = rotations.rotate(skeleton.Y_UP_TO_Z_UP, body[INDEX[role]])
            np.testing.assert_allclose(found[role], expected, atol=2e-3, err_msg=role)


@pytest.mark.parametrize("name", REST)
def test_thumbs_and_palms_are_the_right_way_round(name: str) -> None:
    rig, mapping = build_rig(REST[name])
    found = t_pose(rig, mapping)
    for side in SIDES:
        # In T-pose palms look down: thumbs are in front, little fingers behind, thumbs not above the hand.
        assert found[f"{side}_thumb3"][1] < found[f"{side}_index1"][1] < found[f"{side}_pinky1"][1]
        assert found[f"{side}_thumb3"][2] < found[f"{side}_wrist"][2]


def test_soles_stay_flat_however_the_foot_bone_points() -> None:
    rig, mapping = build_rig(Build(legs=15, proportions={"foot": 0.8}))
    virtual = calibration.calibrate(rig, mapping)
    rest = rotations.from_matrix(rig.rest[:, :3, :3])
    for side in SIDES:
        row = rig.index[f"{side}_ankle"]
        turn = rotations.multiply(virtual[row], rotations.inverse(rest[row]))
        np.testing.assert_allclose(rotations.rotate(turn, [0.0, 0.0, 1.0]), [0.0, 0.0, 1.0], atol=1e-9)


def test_forearms_roll_with_the_palms() -> None:
    """A rig at rest with palms forward: the wrist is not wrung, the forearm takes the roll."""
    rig, mapping = build_rig(Build())
    rest = rig.rest.copy()
    axis = rest[rig.index["left_wrist"], :3, 3].copy()
    roll = np.eye(4)
    roll[:3, :3] = rotations.to_matrix(rotations.from_axis_angle([-np.pi / 2, 0.0, 0.0]))
    below = [i for i, name in enumerate(rig.names) if name == "left_wrist" or name.startswith("left ")]
    for i in below:
        rest[i] = roll @ rest[i]
        rest[i, :3, 3] = roll[:3, :3] @ (rig.rest[i, :3, 3] - axis) + axis
    turned = replace(rig, rest=rest)
    virtual = calibration.calibrate(turned, mapping)
    forearm, hand = rig.index["left_elbow"], rig.index["left_wrist"]
    frames = rotations.from_matrix(rest[:, :3, :3])
    turns = rotations.multiply(virtual, rotations.inverse(frames))
    assert np.degrees(rotations.angle_between(turns[forearm], turns[hand])) < 1.0
    assert np.degrees(rotations.angle_between(turns[forearm], rotations.IDENTITY)) == pytest.approx(90.0, abs=1.0)


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_the_soles_are_found(size: float) -> None:
    on_floor = calibration.stand(*build_rig(Build(size=size)))
    assert on_floor.sole == 0.0
    hung = calibration.stand(*build_rig(Build(size=size, lift=-0.94)))  # the origin is at the hips, as in BVH files
    assert hung.sole / size == pytest.approx(-0.94, abs=0.01)
    assert hung.to_world(np.zeros(3))[2] == pytest.approx(0.0)


def test_a_rig_of_a_few_bones_is_no_trouble() -> None:
    rig, mapping = build_rig(Build())
    few = Mapping("few", {role: mapping.bones[role] for role in ("pelvis", "left_elbow")})
    assert calibration.calibrate(rig, few).shape == (len(rig.names), 4)
