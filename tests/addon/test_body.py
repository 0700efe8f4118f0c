"""The body that takes wear, from the built zip."""

from __future__ import annotations

import numpy as np
import pytest
import rigs


@pytest.fixture
def entry(bpy, addon, tmp_path):
    addon.retarget.export.write_amass(tmp_path / "take.npz", rigs.motion(addon))
    addon.capture.load_take(bpy.context.scene, tmp_path / "take.npz")
    return bpy.context.scene.video_mocap.takes[0]


def test_a_take_wears_a_body_that_its_bones_carry(bpy, addon, entry):
    body, armature = entry.worn, entry.armature
    assert body.parent == armature and body.hide_select
    assert set(body.users_collection) == set(armature.users_collection)
    assert {group.name for group in body.vertex_groups} <= {bone.name for bone in armature.data.bones}
    totals = [sum(element.weight for element in vertex.groups) for vertex in body.data.vertices]
    assert np.allclose(totals, 1.0, atol=0.02)
    for frame in (1, 20):
        bpy.context.scene.frame_set(frame)
        graph = bpy.context.evaluated_depsgraph_get()
        shown = body.evaluated_get(graph)
        skin = np.array([shown.matrix_world @ vertex.co for vertex in shown.data.vertices])
        for bone, reach in (("left_wrist", 0.06), ("right_ankle", 0.08), ("head", 0.16)):
            head = armature.evaluated_get(graph).pose.bones[bone].head
            near = np.linalg.norm(skin - np.array(armature.matrix_world @ head), axis=1).min()
            assert near < reach, (frame, bone)
        assert abs(skin[:, 2].min()) < 0.03  # the foot that stands, on the floor


def test_the_look_can_be_changed_and_leaves_nothing(bpy, entry):
    meshes = len(bpy.data.meshes)
    entry.look = "NONE"
    assert entry.worn is None and len(bpy.data.meshes) == meshes - 1
    assert entry.armature.data.display_type == "OCTAHEDRAL"
    entry.look = "NEUTRAL"
    assert entry.worn and entry.armature.data.display_type == "STICK"
    assert bpy.ops.video_mocap.take_delete() == {"FINISHED"}
    assert not bpy.data.meshes and not bpy.data.armatures and not bpy.data.objects


def test_a_hidden_take_gets_a_hidden_body(entry):
    entry.visible = False
    entry.look = "NONE"
    entry.look = "NEUTRAL"
    assert entry.worn.hide_viewport
    entry.visible = True
    assert not entry.worn.hide_viewport


def test_without_an_smplx_file_the_take_says_so_and_keeps_a_body(bpy, entry):
    entry.look = "SMPLX"
    assert entry.worn and "SMPL-X" in entry.note
    entry.look = "NEUTRAL"
    assert not entry.note
