"""Humanoids found by their shape, whatever their bones are called and however they lie in space."""

from __future__ import annotations

import humanoid
import numpy as np
import pytest
import rig_lists
from hypothesis import given, settings
from hypothesis import strategies as st
from video_mocap.backend.core import rotations
from video_mocap.mocap_addon.retarget import shape, structure
from video_mocap.mocap_addon.retarget.family import FINGERS, REQUIRED, SIDES
from video_mocap.mocap_addon.retarget.recognise import recognise

# Control rigs are machinery besides a body; CMU's hand has one finger, which could be any.
BODIES = [name for name in rig_lists.LISTS if name != "auto_rig_pro"]
LIMBS = (*REQUIRED, *(f"{side}_collar" for side in SIDES), *(f"{side}_foot" for side in SIDES))


def nameless(name: str, arms: float = 0.0) -> rig_lists.Humanoid:
    """A humanoid whose bones are called bone_0, bone_1, ...; its roles name those."""
    made = rig_lists.build(name, arms)
    new = {old: f"bone_{i}" for i, old in enumerate(made.names)}
    made.bones = {role: [new[bone] for bone in bones] for role, bones in made.bones.items()}
    made.names = [new[bone] for bone in made.names]
    return made


@pytest.mark.parametrize("arms", [0, 45, 75])
@pytest.mark.parametrize("name", BODIES)
def test_humanoids_without_names(name: str, arms: float) -> None:
    made = nameless(name, arms)
    mapping = recognise(rig_lists.to_rig(made, "wild"))
    assert mapping.family == "unknown"
    for role in LIMBS:
        if role in made.bones and (role in REQUIRED or role in mapping.bones):
            assert mapping.bones[role] == made.bones[role], role
    assert all(0 < sure < 1 for sure in mapping.confidence.values())


@pytest.mark.parametrize("name", ["mixamo", "metahuman", "genesis_8", "genesis_9", "mmd", "character_creator", "vroid"])
def test_fingers_without_names(name: str) -> None:
    made = nameless(name, 45)
    mapping = recognise(rig_lists.to_rig(made, "wild"))
    for side in SIDES:
        for finger in FINGERS:
            for k in (1, 2, 3):
                role = f"{side}_{finger}{k}"
                assert mapping.bones[role] == made.bones[role]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["mixamo", "unreal_4", "smplx"]), st.sampled_from([0.01, 1.0, 100.0]))
def test_any_way_up_and_any_size(seed: int, name: str, size: float) -> None:
    """The armature's own axes do not matter as long as its object stands upright."""
    random = np.random.default_rng(seed)
    turn = rotations.normalize(random.normal(size=4))
    world = np.eye(4)
    world[:3, :3] = rotations.to_matrix(rotations.inverse(turn)) / size
    made = nameless(name, 45)
    made.points = [point * size for point in made.points]
    mapping = recognise(rig_lists.to_rig(made, "wild", seed, turn, world))
    for role in REQUIRED:
        assert mapping.bones[role] == made.bones[role], role


@pytest.mark.parametrize("axis", ["x", "y", "z"])
@pytest.mark.parametrize("sign", [1, -1])
def test_bodies_that_lie_down_in_the_scene(axis: str, sign: int) -> None:
    """A rig that is imported with wrong axes is not upright in the world; its body is found all the same."""
    turn = rotations.from_axis_angle(sign * np.pi / 2 * np.eye(3)["xyz".index(axis)])
    made = nameless("mixamo", 30)
    mapping = recognise(rig_lists.to_rig(made, turn=turn))
    assert {role: mapping.bones[role] for role in REQUIRED} == {role: made.bones[role] for role in REQUIRED}


@pytest.mark.parametrize("name", BODIES)
def test_forward_is_where_the_toes_point(name: str) -> None:
    made = rig_lists.build(name)
    rig = rig_lists.to_rig(made, "wild")
    bones = {role: [rig.names.index(bone) for bone in found] for role, found in made.bones.items()}
    axes = shape.axes(shape.Tree(rig), bones)
    assert axes is not None and axes.certainty > shape.SURE
    assert axes.forward @ [0, -1, 0] > 0.99
    assert axes.left @ [1, 0, 0] > 0.99
    assert axes.up @ [0, 0, 1] > 0.97


def test_bones_in_impossible_places() -> None:
    made = rig_lists.build("mixamo")
    rig = rig_lists.to_rig(made)
    bones = {role: [rig.names.index(bone) for bone in found] for role, found in made.bones.items()}
    tree = shape.Tree(rig)
    assert not shape.faults(tree, bones)
    wrong = bones | {"left_knee": bones["right_knee"], "head": bones["left_foot"]}
    assert {"left_knee", "head"} <= set(shape.faults(tree, wrong))


def quadruped() -> rig_lists.Humanoid:
    """A dog of 34 bones: a level spine, four legs that reach the ground, neck, head and tail."""
    made = rig_lists.Humanoid("none")

    def chain(parent: int, names: list[str], points: list[tuple[float, float, float]]) -> int:
        for name, point in zip(names, points, strict=True):
            made.names.append(name)
            made.parents.append(parent)
            made.points.append(np.array(point, float))
            parent = len(made.names) - 1
        return parent

    hips = chain(-1, ["Hips"], [(0, 0.4, 0.6)])
    chest = chain(hips, ["Spine", "Spine1", "Spine2"], [(0, 0.2, 0.62), (0, 0, 0.62), (0, -0.2, 0.6)])
    chain(chest, ["Neck", "Head", "Nose"], [(0, -0.35, 0.7), (0, -0.5, 0.85), (0, -0.7, 0.8)])
    chain(hips, ["Tail1", "Tail2", "Tail3"], [(0, 0.5, 0.6), (0, 0.65, 0.55), (0, 0.8, 0.5)])
    for side, x in (("Left", 0.1), ("Right", -0.1)):
        chain(
            hips,
            [f"{side}{bone}" for bone in ("UpLeg", "Leg", "Foot", "ToeBase")],
            [(x, 0.4, 0.55), (x, 0.33, 0.35), (x, 0.45, 0.12), (x, 0.38, 0.02)],
        )
        chain(
            chest,
            [f"{side}{bone}" for bone in ("Shoulder", "Arm", "ForeArm", "Hand", "HandIndex1")],
            [(x, -0.2, 0.6), (x, -0.25, 0.5), (x, -0.15, 0.3), (x, -0.2, 0.08), (x, -0.26, 0.02)],
        )
    return made


def props() -> dict[str, rig_lists.Humanoid]:
    """Armatures that are nobody: a rope, a tree with symmetrical branches, a car, an empty one."""
    rope = rig_lists.Humanoid("none", [f"rope.{i:03}" for i in range(40)], list(range(-1, 39)))
    rope.points = [np.array([0.0, 0.0, 3.0 - 0.1 * i]) for i in range(40)]
    tree = rig_lists.Humanoid("none", ["trunk", "trunk.001"], [-1, 0], [np.zeros(3), np.array([0.0, 0.0, 2.0])])
    for i, angle in enumerate(np.linspace(0, 2 * np.pi, 6, endpoint=False)):
        for k in range(1, 4):
            tree.names.append(f"branch{i}.{k}")
            tree.parents.append(1 if k == 1 else len(tree.names) - 2)
            tree.points.append(np.array([np.cos(angle) * 0.5 * k, np.sin(angle) * 0.5 * k, 2.0 + 0.3 * k]))
    car = rig_lists.Humanoid("none", ["body"], [-1], [np.array([0.0, 0.0, 0.5])])
    for x in (0.8, -0.8):
        for y in (1.4, -1.4):
            car.names += [f"axle {x} {y}", f"wheel {x} {y}"]
            car.parents += [0, len(car.names) - 2]
            car.points += [np.array([0.5 * x, y, 0.4]), np.array([x, y, 0.3])]
    single = rig_lists.Humanoid("none", ["Bone"], [-1], [np.zeros(3)])
    return {"rope": rope, "tree": tree, "car": car, "single": single}


@pytest.mark.parametrize("name", [*props(), "quadruped", "nameless quadruped"])
def test_what_is_no_humanoid_is_not_forced_into_one(name: str) -> None:
    made = quadruped() if "quadruped" in name else props()[name]
    if "nameless" in name:
        made.names = [f"bone_{i}" for i in range(len(made.names))]
    rig = rig_lists.to_rig(made)
    assert structure.analyse(rig).score < 0.3
    mapping = recognise(rig)
    assert mapping.family == "none"
    assert not mapping.bones and not mapping.confidence
    assert sorted(mapping.unmapped) == sorted(rig.names)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    arms=st.floats(0, 80),
    forearms=st.floats(0, 40),
    legs=st.floats(0, 12),
    spine=st.integers(1, 5),
    neck=st.integers(1, 2),
    fingers=st.sampled_from([0, 3]),
    twists=st.booleans(),
    wild=st.booleans(),
    proportions=st.fixed_dictionaries(
        {part: st.floats(0.8, 1.25) for part in ("knee", "ankle", "elbow", "wrist", "spine", "hip", "collar")}
    ),
)
def test_bodies_of_other_proportions(
    seed: int, arms: float, forearms: float, legs: float, spine: int, neck: int, fingers: int, twists: bool, wild: bool,
    proportions: dict[str, float],
) -> None:  # fmt: skip
    rig, mapping = humanoid.build_rig(
        humanoid.Build(
            seed=seed, arms=arms, forearms=forearms, legs=legs, spine=spine, neck=neck, fingers=fingers, twists=twists,
            wild=wild, proportions=proportions,
        )
    )  # fmt: skip
    found = structure.analyse(rig)
    assert found.score > 0.6
    named = {role: [rig.names[bone] for bone in bones] for role, bones in found.bones.items()}
    assert {role: named.get(role) for role in LIMBS} == {role: mapping.bones[role] for role in LIMBS}
    assert named["neck"] == mapping.bones["neck"] and named["spine"] == mapping.bones["spine"]
