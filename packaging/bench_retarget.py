"""Retargeting against Blender's own way: python packaging/bench_retarget.py [--frames N]

Runs in Blender's module with the extension's zip installed. A motion is put onto the human that Rigify generates. The
other way is what add-ons do: constraints from a keyed source armature to the same bones, then Blender's bake. That one
is timed on fewer frames and scaled in proportion, which flatters it: keying slows down with every key.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time

FRAMES, BAKED_FRAMES, RUNS = 10_000, 100, 2
MODULE = "bl_ext.user_default.video_mocap"


def main(frames: int) -> None:
    """Print seconds and their ratio."""
    import bpy
    from build_zip import build

    addon_utils = importlib.import_module("addon_utils")  # there once bpy is

    bpy.ops.extensions.package_install_files(filepath=str(build()), repo="user_default", enable_on_install=True)
    addon = sys.modules[f"{MODULE}.mocap_addon"]
    addon_utils.enable("rigify", default_set=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.object.armature_human_metarig_add()
    bpy.ops.pose.rigify_generate()
    bpy.data.objects.remove(bpy.data.objects["metarig"])
    rig = bpy.data.objects["rig"]
    bpy.context.scene.render.fps = 30

    motion = walk(addon, frames)
    parts = addon.retarget
    mapping = parts.recognise.recognise(parts.blender.read_rig(rig))
    bones = sum(len(names) for names in mapping.bones.values())
    print(f"Blender {bpy.app.version_string}, {os.cpu_count()} cores")
    print(f"{frames} frames onto {len(rig.data.bones)} bones, {bones} of them mapped")

    seconds: dict[str, float] = {}
    steps = (
        (parts.blender, "measure", "measuring the rig"),
        (parts.solve, "retarget", "solving"),
        (parts.actions, "write", "keying"),
    )
    for module, function, name in steps:
        setattr(module, function, timed(getattr(module, function), name, seconds))
    total = min(one_retarget(bpy, parts, rig, mapping, motion, run, seconds) for run in range(RUNS))
    for _, _, name in steps:
        print(f"  {name:28}{seconds[name]:8.2f} s")
    print(f"  retargeting and keying      {total:8.2f} s (promise: 3)")

    baked = bake(bpy, addon, rig, mapping, motion) * frames / BAKED_FRAMES
    print(f"  constraints and bake        {baked:8.1f} s, scaled from {BAKED_FRAMES} frames")
    print(f"  ratio                       {baked / total:8.0f}")


def walk(addon, frames: int):
    """Somebody who sways and swings all joints, with a foot planted every other half second."""
    import numpy as np

    rotations, skeleton = addon.armature.rotations, addon.armature.skeleton
    random = np.random.default_rng(0)
    times = np.arange(frames) / 30.0
    swing = 0.3 * np.sin(random.uniform(1, 5, (55, 3)) * times[:, None, None] + random.uniform(0, 6, (55, 3)))
    local = rotations.from_axis_angle(swing)
    local[:, 0] = rotations.multiply(skeleton.Y_UP_TO_Z_UP, local[:, 0])
    pelvis = np.stack([0.2 * np.sin(times), 0.1 * times, 0.92 + 0.02 * np.sin(5 * times)], axis=1)
    left = (times % 1.0 < 0.5)[:, None]
    contacts = np.concatenate([left, left, ~left, ~left], axis=1).astype(np.uint8)
    return addon.retarget.model.SourceMotion(times, skeleton.neutral(), rotations.continuous(local), pelvis, contacts)


def timed(work, name: str, seconds: dict[str, float]):
    """The same function, which notes what its last call took."""

    def measured(*arguments, **options):
        began = time.perf_counter()
        result = work(*arguments, **options)
        seconds[name] = time.perf_counter() - began
        return result

    return measured


def one_retarget(bpy, parts, rig, mapping, motion, run: int, seconds: dict[str, float]) -> float:
    """Seconds of a whole retargeting."""
    began = time.perf_counter()
    parts.character.retarget(
        bpy.context.scene, bpy.context.view_layer, rig, mapping, motion, f"bench {run}",
        parts.model.Options(), parts.character.Span(whole=False), parts.actions.Keying(),
    )  # fmt: skip
    return time.perf_counter() - began


def bake(bpy, addon, rig, mapping, motion) -> float:
    """Seconds of Blender's bake of constraints that carry the same roles over, BAKED_FRAMES frames."""
    import numpy as np

    rig.animation_data.action = None
    source = addon.armature.build("source", motion.body, bpy.context.scene.collection)
    some = slice(0, BAKED_FRAMES)
    turned, root = addon.armature.to_bones(addon.armature.rest_of(source), motion.local[some], motion.pelvis[some])
    addon.keys.write_bones(source, "source", 1.0 + np.arange(BAKED_FRAMES), addon.armature.JOINTS, turned, root)
    joints = set(addon.armature.JOINTS)
    for role, names in mapping.bones.items():
        for k, name in enumerate(names):
            joint = role if role in joints else f"{role}_smplhf" if role.endswith("eye") else f"spine{k + 1}"
            if joint not in joints:
                continue
            constraint = rig.pose.bones[name].constraints.new("COPY_ROTATION")
            constraint.target, constraint.subtarget = source, joint
            if role == "pelvis":
                constraint = rig.pose.bones[name].constraints.new("COPY_LOCATION")
                constraint.target, constraint.subtarget = source, joint
    mapped = {name for names in mapping.bones.values() for name in names}
    layer = bpy.context.view_layer
    layer.objects.active = rig
    rig.select_set(True)
    bpy.ops.object.mode_set(mode="POSE")
    for bone in rig.pose.bones:
        owner = bone if hasattr(bone, "select") else bone.bone
        owner.select = bone.name in mapped
    began = time.perf_counter()
    bpy.ops.nla.bake(
        frame_start=1, frame_end=BAKED_FRAMES, only_selected=True, visual_keying=True, clear_constraints=True,
        use_current_action=False, bake_types={"POSE"},
    )  # fmt: skip
    return time.perf_counter() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=FRAMES)
    with tempfile.TemporaryDirectory(prefix="mocap-bench-", ignore_cleanup_errors=True) as profile:
        os.environ["BLENDER_USER_RESOURCES"] = profile
        main(parser.parse_args().frames)
    sys.stdout.flush()
    os._exit(0)  # Blender's module may hang in the interpreter's own exit
