"""Motion files in and out, characters out, and the command line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rigs
from test_retarget_rigs import put, worst_limb

from backend.core import rotations, skeleton


@pytest.fixture
def retarget(addon):
    return addon.retarget


@pytest.fixture
def motion(addon):
    return rigs.motion(addon)


def joints_of(motion) -> np.ndarray:
    return skeleton.forward_kinematics(motion.body, motion.local, motion.pelvis)[1]


BODY = [skeleton.INDEX[f"{side}_{j}"] for side in ("left", "right") for j in ("hip", "knee", "ankle", "elbow", "wrist")]


def test_amass_out_and_in(retarget, motion, tmp_path):
    path = tmp_path / "walk.npz"
    retarget.export.write_amass(path, motion)
    back = retarget.sources.read_motion(path)
    assert np.abs(joints_of(back) - joints_of(motion)).max() < 1e-4
    assert np.array_equal(back.contacts, motion.contacts) and np.allclose(back.times, motion.times)


def test_an_exported_take_can_be_loaded_like_any_other(bpy, retarget, motion, tmp_path):
    retarget.export.write_amass(tmp_path / "walk.npz", motion)
    assert bpy.ops.video_mocap.take_load(filepath=str(tmp_path / "walk.npz")) == {"FINISHED"}


def test_bvh_out_and_in(retarget, motion, tmp_path):
    path = tmp_path / "walk.bvh"
    retarget.export.write_bvh(path, motion)
    back = retarget.sources.read_motion(path)
    wanted, found = joints_of(motion), joints_of(back)
    wanted, found = (j[:, BODY] - j[:, BODY].mean(axis=1, keepdims=True) for j in (wanted, found))
    assert np.abs(wanted - found).max() < 0.01
    assert back.contacts[:, :2].mean() > 0.8  # the planted foot is seen


def test_blender_reads_our_bvh_and_its_armature_takes_a_motion(bpy, addon, retarget, motion, tmp_path):
    retarget.export.write_bvh(tmp_path / "walk.bvh", motion)
    bpy.ops.import_anim.bvh(filepath=str(tmp_path / "walk.bvh"), global_scale=0.01, use_fps_scale=True)
    rig = bpy.context.object
    wanted = joints_of(motion)
    shown = rigs.posed(bpy, rig, 1.0)
    for name in ("left_wrist", "right_ankle", "head"):
        assert np.allclose(shown[name].translation, wanted[0, skeleton.INDEX[name]], atol=2e-3)
    outcome = put(bpy, retarget, rig, motion, feet=False)
    mapping = retarget.recognise.recognise(retarget.blender.read_rig(rig))
    assert outcome.armature == rig and worst_limb(bpy, retarget, rig, motion, mapping) < 0.5


def test_bvh_of_blender_keeps_the_way_of_hips_below_a_root(bpy, addon, retarget, motion, tmp_path):
    """Its exporter gives position channels to every joint that is not connected."""
    rig = rigs.build(addon, bpy, names=lambda joint: joint, world=rigs.Matrix.Identity(4))
    with addon.armature.edit_mode(rig):
        bones = rig.data.edit_bones
        root = bones.new("root")
        root.tail = (0.0, 0.3, 0.0)
        bones["pelvis"].parent = root
    walk = replace(motion, pelvis=motion.pelvis + motion.times[:, None] * [0.5, -1.0, 0.0])
    bpy.context.scene.render.fps = 30
    put(bpy, retarget, rig, walk, feet=False)
    bpy.context.view_layer.objects.active = rig
    path = tmp_path / "walk.bvh"
    bpy.ops.export_anim.bvh(filepath=str(path), frame_start=1, frame_end=len(walk.times), root_transform_only=False)
    back = retarget.sources.read_motion(path)
    wanted, found = (joints_of(m)[:, BODY, :2].mean(axis=1) for m in (walk, back))
    assert np.abs(wanted - found).max() < 0.02


@pytest.mark.parametrize("unit", [1.0, 0.01, 0.0254])
def test_bvh_units_are_told_by_the_height(retarget, motion, tmp_path, unit, monkeypatch):
    monkeypatch.setattr(retarget.export, "METRE", 1.0 / unit)
    retarget.export.write_bvh(tmp_path / "walk.bvh", motion)
    rig = retarget.bvh.read_bvh(tmp_path / "walk.bvh").rig
    height = np.ptp(rig.rest[:, 1, 3])
    wanted = np.ptp(motion.body.joints()[:, 1])
    assert height == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("columns, rate", [(156, "mocap_framerate"), (72, "fps"), (66, "mocap_frame_rate")])
def test_other_body_models_and_names_of_the_rate(retarget, motion, tmp_path, columns, rate):
    poses = rotations.to_axis_angle(motion.local)
    smplh = np.concatenate([poses[:, :22], poses[:, 25:]], axis=1).reshape(len(poses), -1)[:, :columns]
    trans = motion.pelvis - motion.body.offsets[0]
    np.savez(tmp_path / "a.npz", **{"poses": smplh, "trans": trans, rate: np.array(120.0)})
    back = retarget.sources.read_motion(tmp_path / "a.npz")
    assert np.diff(back.times) == pytest.approx(1 / 120)
    shift = joints_of(back)[:, BODY] - joints_of(motion)[:, BODY]
    assert np.abs(shift - shift.mean(axis=(0, 1))).max() < 1e-3


def test_y_up_motion_is_stood_up(retarget, motion, tmp_path):
    turn = rotations.inverse(skeleton.Y_UP_TO_Z_UP)
    lying = motion.local.copy()
    lying[:, 0] = rotations.multiply(turn, lying[:, 0])
    poses = rotations.to_axis_angle(lying)
    trans = rotations.rotate(turn, motion.pelvis) - motion.body.offsets[0]
    np.savez(
        tmp_path / "a.npz", global_orient=poses[:, 0], body_pose=poses[:, 1:22].reshape(len(poses), -1), transl=trans
    )
    back = retarget.sources.read_motion(tmp_path / "a.npz")
    shift = joints_of(back)[:, BODY] - joints_of(motion)[:, BODY]
    assert np.abs(shift - shift.mean(axis=(0, 1))).max() < 1e-3


@pytest.mark.parametrize("face", [-1, 1])
@pytest.mark.parametrize("heading", range(0, 360, 45))
def test_who_lies_on_the_floor_lies_there(retarget, motion, tmp_path, face, heading):
    lying = np.tile(rotations.IDENTITY, (len(motion.times), 55, 1))
    down = rotations.multiply(rotations.from_axis_angle([face * 1.5, 0.0, 0.0]), skeleton.Y_UP_TO_Z_UP)
    lying[:, 0] = rotations.multiply(rotations.from_axis_angle([0.0, 0.0, np.radians(heading)]), down)
    _, joints = skeleton.forward_kinematics(motion.body, lying, np.zeros((len(lying), 3)))
    trans = [0.4, 0.3, 0.05 - joints[..., 2].min()] - motion.body.offsets[0]
    poses = rotations.to_axis_angle(lying).reshape(len(lying), -1)
    np.savez(tmp_path / "a.npz", poses=poses, trans=np.tile(trans, (len(lying), 1)), mocap_frame_rate=30.0)
    back = retarget.sources.read_motion(tmp_path / "a.npz")
    assert np.degrees(rotations.angle_between(back.local[:, 0], lying[:, 0])).max() < 0.1


def test_y_up_motion_around_its_pelvis_is_stood_up(retarget, motion, tmp_path):
    local = motion.local.copy()
    local[:, 0] = rotations.multiply(rotations.inverse(skeleton.Y_UP_TO_Z_UP), local[:, 0])
    np.savez(tmp_path / "a.npz", poses=rotations.to_axis_angle(local).reshape(len(local), -1))
    back = retarget.sources.read_motion(tmp_path / "a.npz")
    assert np.degrees(rotations.angle_between(back.local[:, 0], motion.local[:, 0])).max() < 0.1


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.npz", b"nothing"),
        ("a.bvh", b"HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Zrotation"),
        (
            "a.bvh",
            b"HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 1 Zrotation\n}\nMOTION\nFrames: 1\nFrame Time: 0.1\nx",
        ),
        ("a.bvh", b""),
        ("a.txt", b""),
        ("missing.bvh", None),
    ],
)
def test_damaged_files_are_refused(addon, retarget, tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(retarget.sources.MocapError) as caught:
        retarget.sources.read_motion(tmp_path / name)
    assert caught.value.code == "motion-unreadable"


@pytest.fixture
def character(bpy, addon, tmp_path):
    """A saved character with a skinned mesh; its file."""
    rig = rigs.build(addon, bpy, world=rigs.Matrix.Identity(4))
    mesh = bpy.data.meshes.new("skin")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], [], [(0, 1, 2), (0, 2, 3)])
    skin = bpy.data.objects.new("skin", mesh)
    bpy.context.scene.collection.objects.link(skin)
    skin.vertex_groups.new(name="mixamorig:Hips").add(range(4), 1.0, "REPLACE")
    skin.modifiers.new("rig", "ARMATURE").object = rig
    skin.parent = rig
    path = tmp_path / "hero é.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.fixture
def take(retarget, motion, tmp_path):
    retarget.export.write_amass(tmp_path / "walk.npz", motion)
    return tmp_path / "walk.npz"


@pytest.mark.parametrize("suffix", [".fbx", ".glb"])
def test_command_line_writes_a_keyed_character_and_exports_it(
    bpy, addon, retarget, motion, character, take, tmp_path, suffix
):
    output, exported = tmp_path / "out.blend", tmp_path / f"hero{suffix}"
    arguments = ["retarget", str(character), str(take), "-o", str(output), "--export", str(exported), "--no-feet"]
    before = character.read_bytes()
    assert addon.cli.main(arguments) == 0
    assert character.read_bytes() == before
    bpy.ops.wm.open_mainfile(filepath=str(output))
    rig = bpy.data.objects["Hero"]
    assert rig.animation_data.action.name == "walk → Hero"
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    hand = rigs.posed(bpy, rig, 10.0)["mixamorig:LeftHand"].translation.copy()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    if suffix == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(exported))
    else:
        bpy.ops.import_scene.gltf(filepath=str(exported))
    again = next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    assert any(thing.type == "MESH" and thing.vertex_groups for thing in bpy.data.objects)
    first = again.animation_data.action.frame_range[0]
    bone = next(bone.name for bone in again.pose.bones if bone.name.endswith("LeftHand"))
    # Files begin at their own first frame; rates are those of the scene, 24.
    moved = rigs.posed(bpy, again, first + 9)[bone].translation
    assert (moved - hand).length < 0.02


@pytest.mark.parametrize("suffix", [".fbx", ".glb"])
def test_a_character_below_other_objects_is_exported_whole(bpy, addon, retarget, character, tmp_path, suffix):
    """Armature and skin hang from an empty each, the eye from the skin."""
    scene, rig, skin = bpy.context.scene, bpy.data.objects["Hero"], bpy.data.objects["skin"]
    eye = bpy.data.objects.new("eye", skin.data.copy())
    eye.parent = skin
    for name, child in (("stand", rig), ("group", skin)):
        empty = bpy.data.objects.new(name, None)
        empty.location = (1.0, 2.0, 0.0)
        child.parent = empty
        scene.collection.objects.link(empty)
    scene.collection.objects.link(eye)
    path = tmp_path / f"hero{suffix}"
    retarget.character_export.write_character(scene, rig, path)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    (bpy.ops.import_scene.fbx if suffix == ".fbx" else bpy.ops.import_scene.gltf)(filepath=str(path))
    found = {thing.name.partition(".")[0]: thing for thing in bpy.context.scene.objects}
    assert {"Hero", "skin", "eye"} <= found.keys()
    assert tuple(found["Hero"].matrix_world.translation) == pytest.approx((1.0, 2.0, 0.0), abs=1e-4)


@pytest.mark.parametrize("suffix", [".fbx", ".glb"])
def test_exporting_leaves_the_window_in_its_scene(bpy, addon, retarget, tmp_path, suffix):
    rig = rigs.build(addon, bpy)
    scene = bpy.context.scene
    for _ in range(2):
        bpy.data.scenes.new(scene.name)
    retarget.character_export.write_character(scene, rig, tmp_path / f"hero{suffix}")
    assert bpy.context.window.scene == scene and len(bpy.data.scenes) == 3


def test_an_exported_character_is_as_large_as_the_scenes_units_say(bpy, addon, retarget, tmp_path):
    rig, scene = rigs.build(addon, bpy), bpy.context.scene
    tall = rig.dimensions.z
    scene.unit_settings.scale_length = 0.01
    retarget.character_export.write_character(scene, rig, tmp_path / "hero.fbx")
    scene.unit_settings.scale_length = 1.0
    known = set(bpy.data.objects)
    bpy.ops.import_scene.fbx(filepath=str(tmp_path / "hero.fbx"))
    (again,) = (thing for thing in set(bpy.data.objects) - known if thing.type == "ARMATURE")
    assert again.dimensions.z == pytest.approx(0.01 * tall, rel=0.2)  # the ends of the last bones are others


def test_command_line_puts_several_takes_onto_tracks(bpy, addon, character, take, tmp_path, retarget, motion):
    retarget.export.write_bvh(tmp_path / "run.bvh", motion)
    output = tmp_path / "out.blend"
    arguments = [str(character), str(take), str(tmp_path / "run.bvh"), "-o", str(output), "--nla", "--reduce", "0.5"]
    assert addon.cli.main(["retarget", *arguments, "--root", "in-place", "--lock", "z"]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(output))
    tracks = bpy.data.objects["Hero"].animation_data.nla_tracks
    assert [track.name for track in tracks] == ["walk → Hero", "run → Hero"]


@pytest.mark.parametrize(
    "arguments, status, code",
    [
        (["{blend}", "nowhere.npz"], 3, "motion-unreadable"),
        (["nowhere.blend", "{take}"], 3, "blend-unreadable"),
        (["{take}", "{take}"], 3, "blend-unreadable"),
        (["{blend}", "{take}", "--armature", "Villain"], 3, "rig-missing"),
        (["{blend}", "{take}", "--mapping", "nowhere.json"], 3, "preset-unreadable"),
        (["{blend}", "{take}", "--frames", "900", "950"], 3, "range-outside"),
        (["{blend}", "{take}", "--lock", "up"], 2, "bad-request"),
        (["{blend}", "{take}", "--export", "hero.obj"], 2, "bad-request"),
        (["{blend}", "{take}", "-o", "out.npz"], 2, "bad-request"),
        (["{blend}", "{take}", "--scale", "nan"], 2, "--scale: must be"),
        (["{blend}", "{take}", "--scale", "-1"], 2, "--scale: must be"),
        (["{blend}", "{take}", "--scale", "0"], 2, "--scale: must be"),
        (["{blend}", "{take}", "--reduce", "-1"], 2, "--reduce: must be"),
    ],
)
def test_failures_have_a_status_and_write_nothing(addon, character, take, tmp_path, capfd, arguments, status, code):
    arguments = [a.replace("{blend}", str(character)).replace("{take}", str(take)) for a in arguments]
    there = set(tmp_path.iterdir())
    assert addon.cli.main(["retarget", "-o", str(tmp_path / "out.blend"), *arguments]) == status
    assert code in capfd.readouterr().err
    assert set(tmp_path.iterdir()) == there


def test_check_on_the_command_line(addon, character, capfd):
    assert addon.cli.main(["check", str(character)]) == 0
    assert "Hero: mixamo" in capfd.readouterr().out
