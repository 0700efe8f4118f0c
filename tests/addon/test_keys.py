"""Keys written in bulk are those that Blender then shows."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def motion():
    random = np.random.default_rng(3)
    turned = random.normal(size=(40, 2, 4))
    return turned / np.linalg.norm(turned, axis=-1, keepdims=True), random.normal(size=(40, 3))


@pytest.fixture
def armature(bpy, addon):
    return addon.armature.build("Ann", addon.armature.skeleton.neutral(), bpy.context.scene.collection)


def test_written_keys_play_back(bpy, addon, armature, motion):
    turned, root = motion
    frames = 1.0 + np.arange(40) * 0.8
    names = ("pelvis", "head")
    action = addon.keys.write_bones(armature, "walk · Ann", frames, names, turned, root)
    assert action.name == "walk · Ann" and action.use_fake_user
    assert len(addon.compat.curves(action)) == 3 + 2 * 4
    for i in (0, 7, 39):
        bpy.context.scene.frame_set(int(frames[i]), subframe=float(frames[i] % 1))
        assert np.allclose(armature.pose.bones["head"].rotation_quaternion, turned[i, 1], atol=1e-5)
        assert np.allclose(armature.pose.bones["pelvis"].location, root[i], atol=1e-5)


def test_two_takes_of_one_rig_have_an_action_each(addon, armature, motion):
    turned, root = motion
    first, second = (
        addon.keys.write_bones(armature, "take", np.arange(40.0), ("pelvis", "head"), turned, root) for _ in range(2)
    )
    assert first != second and armature.animation_data.action == second
    assert len(addon.compat.curves(first)) == len(addon.compat.curves(second)) == 11


def test_retiming_moves_keys_about_frame_one(addon, armature, motion):
    turned, root = motion
    frames = 1.0 + np.arange(40)
    action = addon.keys.write_bones(armature, "take", frames, ("pelvis", "head"), turned, root)
    addon.keys.retime(action, 2.5)
    for curve in addon.compat.curves(action):
        assert np.allclose([point.co[0] for point in curve.keyframe_points], 1.0 + np.arange(40) * 2.5)
