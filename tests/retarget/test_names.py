"""What names of bones say, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_mocap.mocap_addon.retarget.names import NO_NOISE, canonical, noise_words, plain_names, without_copy_number

SAYS = {
    "mixamorig:LeftHandIndex1": ("left", "handindex1"),
    "mixamorig9:LeftHandIndex1": ("left", "handindex1"),
    "mixamorigLeftForeArm": ("left", "forearm"),
    "Armature|mixamorig:Hips": ("", "hips"),
    "CC_Base_L_UpperarmTwist01": ("left", "upperarmtwist1"),
    "ValveBiped.Bip01_R_UpperArm": ("right", "upperarm"),
    "Bip001 L Finger01": ("left", "finger1"),
    "J_Bip_C_UpperChest": ("", "upperchest"),
    "J_Bip_R_LowerLeg": ("right", "lowerleg"),
    "upper_arm.L": ("left", "upperarm"),
    "upper_arm.L.001": ("left", "upperarm1"),
    "f_index.01.R": ("right", "findex1"),
    "spine_fk.001": ("", "spinefk1"),
    "c_arm_fk.l": ("left", "carmfk"),
    "c_root_master.x": ("", "crootmaster"),
    "lShldrBend": ("left", "shldrbend"),
    "rThumb2": ("right", "thumb2"),
    "LHipJoint": ("left", "hipjoint"),
    "l_forearmtwist2": ("left", "forearmtwist2"),
    "finger1-2.L": ("left", "finger1_2"),
    "RIGHT_FOREARM": ("right", "forearm"),
    "lefthand": ("left", "hand"),
    "左親指０": ("left", "親指0"),
    "右足ＩＫ": ("right", "足ik"),
    "親指０.L": ("left", "親指0"),
    "上半身2": ("", "上半身2"),
    "ＬｅｆｔＡｒｍ": ("left", "arm"),
    "head": ("", "head"),
    "lip": ("", "lip"),
    "Ribs": ("", "ribs"),
    "L": ("", "l"),
}


@pytest.mark.parametrize(("name", "says"), SAYS.items())
def test_sides_and_words(name: str, says: tuple[str, str]) -> None:
    assert canonical(name).key == says


@pytest.mark.parametrize("layer", ["DEF", "ORG", "MCH"])
def test_layers_of_generated_rigs(layer: str) -> None:
    name = canonical(f"{layer}-upper_arm.L.001")
    assert name.layer == layer
    assert name.key == canonical("upper_arm.L.001").key


def test_numbers_keep_how_they_are_spelled() -> None:
    assert canonical("Finger01").stem == canonical("Finger1").stem
    assert canonical("Finger01").spelled != canonical("Finger1").spelled


def test_copies_of_bones() -> None:
    assert without_copy_number("Hips.001") == "Hips"
    assert without_copy_number("spine_01") == "spine_01"


@given(st.sampled_from(["Left", "left", "L", "l"]), st.sampled_from(["_", ".", " ", "-"]), st.booleans())
def test_sides_are_the_same_before_and_after(side: str, separator: str, before: bool) -> None:
    words = [side, "Upper_Arm"] if before else ["Upper_Arm", side]
    assert canonical(separator.join(words)).key == ("left", "upperarm")


def test_words_that_all_bones_share_say_nothing() -> None:
    bones = ["Hips", "Spine", "Neck", "Head", "L_Arm", "R_Arm", "L_Leg", "R_Leg", "L_Foot", "R_Foot"]
    names = [f"Hero_rig_{bone}_jnt" for bone in bones]
    noise = noise_words(names)
    assert noise.before == {"hero", "rig"} and noise.after == {"jnt"}
    assert [canonical(name, noise).key for name in names] == [canonical(bone).key for bone in bones]
    assert noise_words(bones) == NO_NOISE


def test_plain_names() -> None:
    assert plain_names(["rig:Hero_Hips", "rig:Hero_Spine.001", "Hero_Head"]) == ["Hips", "Spine.001", "Head"]
    assert plain_names(["Hips.002", "Spine.002", "Spine1.002"]) == ["Hips", "Spine", "Spine1"]
    assert plain_names(["spine", "spine.001", "spine.002"]) == ["spine", "spine.001", "spine.002"]
    assert plain_names(["Bone"]) == ["Bone"] and plain_names([]) == []


@given(st.text(max_size=30))
def test_any_text_is_read(name: str) -> None:
    read = canonical(name)
    assert read.side in ("left", "right", "")
    assert read.stem == read.stem.lower()
