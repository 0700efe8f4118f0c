"""Rigify's own rigs, made by Blender: which of them are humans, and which bones are the controls."""

from __future__ import annotations

from itertools import pairwise

import pytest

SIDES = {"left": "L", "right": "R"}
CONTROLS = {
    "root": ["root"], "pelvis": ["torso"], "spine": ["spine_fk.002", "spine_fk.003"], "neck": ["neck"],
    "head": ["head"],
} | {
    f"{side}_{role}": [f"{bone}.{mark}"]
    for side, mark in SIDES.items()
    for role, bone in {
        "collar": "shoulder", "shoulder": "upper_arm_fk", "elbow": "forearm_fk", "wrist": "hand_fk",
        "hip": "thigh_fk", "knee": "shin_fk", "ankle": "foot_fk", "foot": "toe_fk",
    }.items()
}  # fmt: skip
FACE = {"jaw": ["jaw_master"]} | {f"{side}_eye": [f"master_eye.{mark}"] for side, mark in SIDES.items()}
HAND = {
    f"{side}_{finger}{k}": [f"{bone}.0{k}.{mark}"]
    for side, mark in SIDES.items()
    for finger, bone in {
        "thumb": "thumb", "index": "f_index", "middle": "f_middle", "ring": "f_ring", "pinky": "f_pinky",
    }.items()
    for k in (1, 2, 3)
}  # fmt: skip
ANIMALS = ("basic_quadruped", "cat", "wolf", "horse", "bird", "shark")


@pytest.fixture
def add(bpy):
    """A function: name of one of Rigify's metarigs -> the armature in the scene."""
    import addon_utils

    addon_utils.enable("rigify", default_set=True)

    def metarig(name: str):
        getattr(bpy.ops.object, f"armature_{name}_metarig_add")()
        return bpy.context.object

    yield metarig
    addon_utils.disable("rigify", default_set=True)


def recognised(addon, armature):
    rig = addon.retarget.blender.read_rig(armature)
    return rig, addon.retarget.recognise.recognise(rig)


def generated(bpy, add, name: str):
    add(name)
    bpy.ops.pose.rigify_generate()
    return bpy.context.object


def test_controls_of_a_generated_human(bpy, addon, add):
    rig, mapping = recognised(addon, generated(bpy, add, "basic_human"))
    assert mapping.family == "rigify"
    assert mapping.bones == CONTROLS
    assert min(mapping.confidence.values()) == 1.0
    assert not [bone for bone in mapping.unmapped if bone.startswith(("DEF-", "ORG-", "MCH-"))]
    switches = addon.retarget.recognise.switches(rig, mapping)
    assert ("thigh_parent.R", "IK_FK", 1.0) in switches
    for bone, key, _ in switches:
        assert key in bpy.context.object.pose.bones[bone]
    controls = addon.retarget.recognise.ik_controls(rig, mapping)
    assert controls["left_ankle_ik"] == "foot_ik.L" and controls["right_elbow_pole"] == "upper_arm_ik_target.R"
    assert len(controls) == 8


@pytest.mark.slow
def test_hands_and_face_of_a_generated_human(bpy, addon, add):
    _, mapping = recognised(addon, generated(bpy, add, "human"))
    assert mapping.family == "rigify"
    assert mapping.bones == CONTROLS | FACE | HAND


def test_metarig_of_a_human(addon, add):
    _, mapping = recognised(addon, add("human"))
    assert mapping.family == "rigify_metarig"
    assert mapping.bones["pelvis"] == ["spine"]
    assert mapping.bones["spine"] == ["spine.001", "spine.002", "spine.003"]
    assert mapping.bones["neck"] == ["spine.004", "spine.005"] and mapping.bones["head"] == ["spine.006"]
    assert {role: mapping.bones[role] for role in HAND} == HAND
    assert mapping.bones["left_knee"] == ["shin.L"] and mapping.bones["right_shoulder"] == ["upper_arm.R"]


def test_deforming_bones_alone(bpy, addon, add):
    """What is left of a generated human in a game: DEF bones, here hung under each other as exporters do."""
    armature = generated(bpy, add, "basic_human")
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    bones = armature.data.edit_bones
    for bone in bones:
        if not bone.name.startswith("DEF-") or not bone.parent or bone.parent.name.startswith("DEF-"):
            continue
        above = bone.parent
        while above and not above.name.startswith("DEF-") and f"DEF-{above.name[4:]}" not in bones:
            above = above.parent
        same = bones.get(f"DEF-{above.name[4:]}") if above and not above.name.startswith("DEF-") else above
        bone.parent = same if same != bone else None
    spine = ["DEF-spine"] + [f"DEF-spine.00{k}" for k in range(1, 7)]
    for below, above in pairwise(spine):
        bones[above].parent = bones[below]
    for side in SIDES.values():
        bones[f"DEF-thigh.{side}"].parent = bones["DEF-spine"]
        bones[f"DEF-shoulder.{side}"].parent = bones["DEF-spine.003"]
        bones[f"DEF-upper_arm.{side}"].parent = bones[f"DEF-shoulder.{side}"]
    for bone in [bone for bone in bones if not bone.name.startswith("DEF-")]:
        bones.remove(bone)
    bpy.ops.object.mode_set(mode="OBJECT")
    _, mapping = recognised(addon, armature)
    assert mapping.family == "rigify_metarig"
    assert mapping.bones["left_elbow"] == ["DEF-forearm.L"] and mapping.bones["head"] == ["DEF-spine.006"]
    assert mapping.twists["left_hip"] == ["DEF-thigh.L.001"]


@pytest.mark.parametrize("animal", ANIMALS)
def test_animals_are_not_taken_for_humans(addon, add, animal):
    rig, mapping = recognised(addon, add(animal))
    assert mapping.family == "none" and mapping.bones == {}
    assert all(score < addon.retarget.recognise.NAMED for _, score in addon.retarget.recognise.candidates(rig))
