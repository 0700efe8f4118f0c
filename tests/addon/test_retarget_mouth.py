"""Mouths of characters without a jaw bone: shape keys that retargeting keys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rigs
from test_retarget_control_rigs import link
from test_retarget_rigs import put

from backend.core import rotations, skeleton


@pytest.fixture
def retarget(addon):
    return addon.retarget


@pytest.fixture
def rig(bpy, addon):
    return rigs.build(addon, bpy)


@pytest.fixture
def angles() -> np.ndarray:
    """Degrees that the mouth opens: it is shut, half open, wide open and more."""
    return np.interp(np.arange(40), [5, 15, 20, 30], [-3.0, 12.5, 12.5, 40.0])


@pytest.fixture
def talk(addon, angles):
    return talking(addon, angles)


def talking(addon, angles):
    motion = rigs.motion(addon)
    local = motion.local.copy()
    local[:, skeleton.INDEX["jaw"]] = rotations.from_axis_angle(np.radians(angles)[:, None] * [1.0, 0.0, 0.0])
    return replace(motion, local=local)


def skin(bpy, rig, *names: str):
    """A mesh that the rig deforms, with these shape keys."""
    mesh = bpy.data.objects.new("face", bpy.data.meshes.new("face"))
    mesh.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    bpy.context.scene.collection.objects.link(mesh)
    mesh.modifiers.new("rig", "ARMATURE").object = rig
    for name in ("Basis", *names):
        mesh.shape_key_add(name=name).data[2].co.z -= 0.1 * (name != "Basis")
    return mesh


def value(bpy, mesh, name: str, frame: int) -> float:
    """Of a shape key, as Blender evaluates it."""
    bpy.context.scene.frame_set(frame)
    return mesh.data.shape_keys.evaluated_get(bpy.context.evaluated_depsgraph_get()).key_blocks[name].value


def played(mesh):
    """The action of the mesh's shape keys."""
    animation = mesh.data.shape_keys.animation_data
    return animation.action if animation else None


def test_a_shape_key_follows_the_jaw(bpy, addon, retarget, rig, talk, angles):
    bpy.context.scene.render.fps = 30
    mesh = skin(bpy, rig, "eyeBlinkLeft", "jawOpen")
    outcome = put(bpy, retarget, rig, talk)
    action = played(mesh)
    assert action.name == "walk → Hero · mouth" and action.use_fake_user and outcome.notes == []
    assert played(mesh) != outcome.action == rig.animation_data.action
    (curve,) = addon.compat.curves(action)
    assert curve.data_path == 'key_blocks["jawOpen"].value' and len(curve.keyframe_points) == len(angles)
    wanted = np.clip(angles / 25.0, 0.0, 1.0)
    assert np.allclose(addon.keys.of(curve), np.stack([1 + np.arange(40), wanted], axis=1), atol=1e-3)
    for i in (0, 10, 18, 25, 39):
        assert value(bpy, mesh, "jawOpen", 1 + i) == pytest.approx(wanted[i], abs=1e-3)
    put(bpy, retarget, rig, talk, keying=retarget.actions.Keying(bound=0.5))
    (curve,) = addon.compat.curves(action)
    assert len(curve.keyframe_points) < 12
    assert value(bpy, mesh, "jawOpen", 19) == pytest.approx(0.5, abs=0.011)


@pytest.mark.parametrize(
    "names, wanted",
    [
        (("A", "mouthOpen", "mouthClose", "jawOpen"), "jawOpen"),
        (("V_Open", "Mouth_Open", "Jaw_Open"), "Jaw_Open"),
        (("A26_Jaw_Left", "A25_Jaw_Open"), "A25_Jaw_Open"),
        (("Mouth_Open", "Jaw_Open_Extreme"), "Mouth_Open"),
        (("Face.M_F00_000_00_Fcl_MTH_U", "Face.M_F00_000_00_Fcl_MTH_A"), "Face.M_F00_000_00_Fcl_MTH_A"),
        (("A", "aa", "oh"), "aa"),
        (("vrc.v_ou", "vrc.v_aa"), "vrc.v_aa"),
        (("い", "あ", "あ２"), "あ"),
        (("E", "A"), "A"),
        (("beta", "mouthSmile", "Open"), None),
    ],
)
def test_one_shape_key_opens_the_mouth(bpy, addon, retarget, rig, talk, names, wanted):
    mesh = skin(bpy, rig, *names)
    put(bpy, retarget, rig, talk)
    paths = [curve.data_path for curve in addon.compat.curves(played(mesh))] if played(mesh) else []
    assert paths == ([f'key_blocks["{wanted}"].value'] if wanted else [])


def test_each_take_has_one_action_for_each_mesh_and_replaces_no_other(bpy, addon, retarget, rig, talk):
    face, teeth = skin(bpy, rig, "jawOpen", "eyeBlinkLeft"), skin(bpy, rig, "jawOpen")
    stranger = skin(bpy, rigs.build(addon, bpy), "jawOpen")
    put(bpy, retarget, rig, talk)
    first = {mesh: played(mesh) for mesh in (face, teeth)}
    assert len(set(first.values())) == 2 and played(stranger) is None
    face.data.shape_keys.key_blocks["eyeBlinkLeft"].keyframe_insert("value", frame=7)  # goes into our action
    put(bpy, retarget, rig, talk, span=retarget.character.Span((3, 9)))
    assert {mesh: played(mesh) for mesh in (face, teeth)} == first
    curves = {curve.data_path.split('"')[1]: curve for curve in addon.compat.curves(first[face])}
    assert curves.keys() == {"jawOpen", "eyeBlinkLeft"} and tuple(curves["jawOpen"].range()) == (3, 9)
    put(bpy, retarget, rig, talk, take="run")
    assert played(face).name.startswith("run → Hero · mouth") and played(face) != first[face]
    assert sum("mouth" in action.name for action in bpy.data.actions) == 4
    put(bpy, retarget, rig, talk)
    assert {mesh: played(mesh) for mesh in (face, teeth)} == first


def test_a_character_that_was_renamed_keeps_its_mouth(bpy, addon, retarget, rig, talk):
    mesh = skin(bpy, rig, "jawOpen")
    put(bpy, retarget, rig, talk)
    first = played(mesh)
    rig.name, mesh.name = "Renamed", "renamed"
    other = rigs.build(addon, bpy)
    face = skin(bpy, other, "jawOpen")
    put(bpy, retarget, other, talk)
    assert (other.name, face.name) == ("Hero", "face") and played(face) != first == played(mesh)


def test_a_take_without_a_mouth_shuts_it(bpy, addon, retarget, rig, talk):
    mesh = skin(bpy, rig, "jawOpen")
    mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.3
    put(bpy, retarget, rig, talking(addon, np.zeros(40)))
    assert played(mesh) is None and value(bpy, mesh, "jawOpen", 40) == pytest.approx(0.3)  # as it was posed
    put(bpy, retarget, rig, talk)
    assert value(bpy, mesh, "jawOpen", 40) == 1.0
    put(bpy, retarget, rig, talking(addon, np.zeros(40)), take="run")
    assert played(mesh) is None and value(bpy, mesh, "jawOpen", 40) == 0.0
    assert "walk → Hero · mouth" in bpy.data.actions
    put(bpy, retarget, rig, talking(addon, np.zeros(40)))
    assert "walk → Hero · mouth" not in bpy.data.actions


@pytest.mark.parametrize("how", ["action", "strip", "driver"])
def test_what_the_user_animates_is_left_alone(bpy, addon, retarget, rig, talk, how):
    mesh, teeth = skin(bpy, rig, "jawOpen", "eyeBlinkLeft"), skin(bpy, rig, "jawOpen")
    key = mesh.data.shape_keys
    if how == "driver":
        key.key_blocks["jawOpen"].driver_add("value")
    else:
        key.key_blocks["eyeBlinkLeft"].keyframe_insert("value", frame=7)
        if how == "strip":
            key.animation_data.nla_tracks.new().strips.new("mine", 1, played(mesh))
            key.animation_data.action = None
    own = played(mesh)
    outcome = put(bpy, retarget, rig, talk)
    assert outcome.notes == ["The mouth of face is animated already."]
    assert played(mesh) == own and played(teeth).name == "walk → Hero · mouth"
    assert own is None or [curve.data_path for curve in addon.compat.curves(own)] == [
        'key_blocks["eyeBlinkLeft"].value'
    ]


def test_a_jaw_bone_goes_before_shape_keys(bpy, addon, retarget, talk):
    rig = rigs.build(addon, bpy, names=lambda joint: joint, world=rigs.Matrix.Identity(4))
    mesh = skin(bpy, rig, "jawOpen")
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    without = replace(mapping, bones={role: bones for role, bones in mapping.bones.items() if role != "jaw"})
    put(bpy, retarget, rig, talk, mapping=without)
    assert played(mesh)
    put(bpy, retarget, rig, talk, mapping=mapping)
    assert mapping.bones["jaw"] and played(mesh) is None
    assert [action.name for action in bpy.data.actions] == ["walk → Hero"]


def test_another_frame_rate_takes_mouths_along(bpy, addon, retarget, rig, talk):
    mesh, scene = skin(bpy, rig, "jawOpen"), bpy.context.scene
    put(bpy, retarget, rig, talk)
    first, last = played(mesh).frame_range
    clip = {"fps": 2 * scene.render.fps, "image_size": (640, 360)}
    scene.render.fps = 30  # by hand: keys stay at their frames
    addon.camera.match_scene(scene, clip, {}, retarget.actions.of_scene(scene))
    assert tuple(played(mesh).frame_range) == pytest.approx((2 * first - 1, 2 * last - 1))


@pytest.mark.parametrize("own", [True, False])
def test_linked_meshes_need_an_override_of_their_data(bpy, addon, retarget, rig, talk, tmp_path, own):
    mesh = skin(bpy, rig, "jawOpen")
    mesh.data.shape_keys.key_blocks["jawOpen"].value = 0.0
    hero = bpy.data.collections.new("Hero")
    hero.use_fake_user = True
    for part in (rig, mesh):
        hero.objects.link(part)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "hero.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    linked = link(bpy, tmp_path / "hero.blend", "collections")
    override = linked.override_hierarchy_create(bpy.context.scene, bpy.context.view_layer, do_fully_editable=True)
    rig, mesh = sorted(override.all_objects, key=lambda part: part.type)
    if own:
        mesh.data.override_create(remap_local_usages=True)
    assert put(bpy, retarget, rig, talk).notes == []
    assert any("mouth" in action.name for action in bpy.data.actions) == own
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    mesh = next(part for part in bpy.context.scene.objects if part.type == "MESH")
    assert value(bpy, mesh, "jawOpen", 40) == (1.0 if own else 0.0)


@pytest.mark.parametrize("suffix", [".fbx", ".glb"])
def test_an_exported_character_opens_its_mouth(bpy, addon, retarget, rig, talk, tmp_path, suffix):
    mesh = skin(bpy, rig, "jawOpen")
    mesh.vertex_groups.new(name="mixamorig:Hips").add(range(3), 1.0, "REPLACE")
    mesh.parent = rig
    put(bpy, retarget, rig, talk)
    path = tmp_path / f"hero{suffix}"
    retarget.character_export.write_character(bpy.context.scene, rig, path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    (bpy.ops.import_scene.fbx if suffix == ".fbx" else bpy.ops.import_scene.gltf)(filepath=str(path))
    curves = [curve for action in bpy.data.actions for curve in addon.compat.curves(action)]
    (curve,) = (curve for curve in curves if curve.data_path == 'key_blocks["jawOpen"].value')
    assert [curve.evaluate(frame) for frame in curve.range()] == pytest.approx([0.0, 1.0], abs=1e-3)


def test_a_mouth_that_is_shut_again_leaves_other_keys_of_the_face(bpy, addon, retarget, rig, talk):
    mesh = skin(bpy, rig, "jawOpen", "eyeBlinkLeft")
    put(bpy, retarget, rig, talk)
    blocks = mesh.data.shape_keys.key_blocks
    for frame, shut in ((1, 0.0), (9, 1.0)):
        blocks["eyeBlinkLeft"].value = shut
        blocks["eyeBlinkLeft"].keyframe_insert("value", frame=frame)
    put(bpy, retarget, rig, talking(addon, np.zeros(40)))
    assert value(bpy, mesh, "eyeBlinkLeft", 9) == pytest.approx(1.0) and value(bpy, mesh, "jawOpen", 20) == 0.0


def test_a_rider_keeps_silent(bpy, addon, retarget, rig, talk):
    rider = rigs.build(addon, bpy)
    rider.parent = rig
    face, own = skin(bpy, rider, "jawOpen"), skin(bpy, rig, "jawOpen")
    face.parent = rider
    put(bpy, retarget, rig, talk)
    assert face.data.shape_keys.animation_data is None and own.data.shape_keys.animation_data.action
