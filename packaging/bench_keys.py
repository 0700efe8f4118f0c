"""Writing keys into Blender, in bulk and key by key: python packaging/bench_keys.py

Runs in Blender's module with the extension's zip installed. 10,000 frames of 55 bones are written in bulk; the plain
way, `keyframe_insert`, slows down with every key, so it is timed on 200 frames and scaled in proportion, which
flatters it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time

FRAMES, PLAIN_FRAMES, RUNS = 10_000, 200, 3
MODULE = "bl_ext.user_default.video_mocap.mocap_addon"


def main() -> None:
    """Print seconds and their ratio."""
    import bpy
    import numpy as np
    from build_zip import build

    bpy.ops.extensions.package_install_files(filepath=str(build()), repo="user_default", enable_on_install=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    rig, keys = sys.modules[f"{MODULE}.armature"], sys.modules[f"{MODULE}.keys"]
    joints = rig.JOINTS

    random = np.random.default_rng(0)
    turned = rig.rotations.normalize(random.normal(size=(FRAMES, len(joints), 4)))
    root = random.normal(size=(FRAMES, 3))
    frames = 1.0 + np.arange(FRAMES)
    body = rig.skeleton.neutral()
    armature = rig.build("Bench", body, bpy.context.scene.collection)

    bulk = min(timed(lambda: keys.write_bones(armature, "bulk", frames, joints, turned, root)) for _ in range(RUNS))
    armature.animation_data_clear()
    plain = timed(lambda: insert_keys(armature, joints, turned[:PLAIN_FRAMES], root)) * FRAMES / PLAIN_FRAMES
    print(f"Blender {bpy.app.version_string}, {FRAMES} frames x {len(joints)} bones")
    print(f"  in bulk               {bulk:8.2f} s (promise: 1)")
    print(f"  keyframe_insert       {plain:8.1f} s, scaled from {PLAIN_FRAMES} frames")
    print(f"  ratio                 {plain / bulk:8.0f}")


def insert_keys(armature, joints, turned, root) -> None:
    """The same keys one by one."""
    bones = [armature.pose.bones[name] for name in joints]
    for i, pose in enumerate(turned):
        bones[0].location = root[i]
        bones[0].keyframe_insert("location", frame=1 + i)
        for bone, rotation in zip(bones, pose, strict=True):
            bone.rotation_quaternion = rotation
            bone.keyframe_insert("rotation_quaternion", frame=1 + i)


def timed(work) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mocap-bench-", ignore_cleanup_errors=True) as profile:
        os.environ["BLENDER_USER_RESOURCES"] = profile
        main()
    sys.stdout.flush()
    os._exit(0)  # Blender's module may hang in the interpreter's own exit
