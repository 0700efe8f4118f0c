"""Runs inside Blender's module: install the zip, capture with the button's operator, save the scene.

python demo_in_blender.py EXTENSION.zip CLIP        (BLENDER_USER_RESOURCES names an empty profile)
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.video_mocap"


def main(archive: Path, clip: Path, person: int | None) -> int:
    """Capture a person of the clip, the largest unless numbered, into the clip's folder; -> exit status."""
    bpy.ops.extensions.package_install_files(filepath=str(archive), repo="user_default", enable_on_install=True)
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.python = sys.executable
    preferences.folder = str(clip.parent)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    print(f"Blender {bpy.app.version_string} with {archive.name}, capturing {clip.name}", flush=True)

    settings = bpy.context.scene.video_mocap
    settings.video = str(clip)
    settings.people = "PERSON" if person else "LARGEST"
    settings.person = person or 1
    watch = StageClock(sys.modules[f"{MODULE}.mocap_addon.runner"])
    try:
        bpy.ops.video_mocap.capture()
    except RuntimeError as error:  # how Blender passes on an operator's error report
        print(error, file=sys.stderr)
        return 1
    finally:
        watch.stop()
    bpy.ops.video_mocap.match_scene()
    bpy.ops.wm.save_as_mainfile(filepath=str(clip.with_name("demo.blend")), compress=True)
    for take in settings.takes:
        first, last = take.armature.animation_data.action.frame_range
        print(f"  {take.name}: {len(take.armature.pose.bones)} bones, keys from frame {first:.0f} to {last:.0f}")
    return 0


class StageClock:
    """Prints the stages of the running capture and how long each took; a thread that never touches Blender."""

    def __init__(self, runner) -> None:  # type: ignore[no-untyped-def]
        self._runner = runner
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Print the last stage."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        name, began = "starting the backend", time.monotonic()
        while True:
            ended = self._ended.wait(0.02)
            capture = self._runner.last
            now = (capture.stage if capture else "") or name
            if ended or now != name:
                print(f"  {name + ':':32}{time.monotonic() - began:7.1f} s", flush=True)
                name, began = now, time.monotonic()
            if ended:
                return


if __name__ == "__main__":
    # Blender's module can hang when Python ends by itself.
    try:
        number = int(sys.argv[3]) if len(sys.argv) > 3 else None
        status = main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute(), number)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
