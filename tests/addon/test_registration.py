"""Enabling and disabling the extension."""

from __future__ import annotations

import threading
from pathlib import Path

MODULE = "bl_ext.user_default.video_mocap"


def traces(bpy) -> set[str]:
    """Everything that registering adds to Blender."""
    handlers = {
        f"{name}:{handler.__module__}"
        for name in dir(bpy.app.handlers)
        if isinstance(getattr(bpy.app.handlers, name), list)
        for handler in getattr(bpy.app.handlers, name)
    }
    types = {name for name in dir(bpy.types) if "mocap" in name.lower()}
    operators = {f"operator:{name}" for name in dir(bpy.ops.video_mocap)}
    properties = {"scene"} if hasattr(bpy.types.Scene, "video_mocap") else set()
    return {name for name in handlers if "video_mocap" in name} | types | operators | properties


def test_disabling_leaves_nothing_behind(bpy, addon):
    import addon_utils

    enabled = traces(bpy)
    assert len(enabled) > 10
    for _ in range(2):
        addon_utils.disable(MODULE)
        assert traces(bpy) == set()
        assert not bpy.app.timers.is_registered(addon.runner.tick)
        addon_utils.enable(MODULE, default_set=True)
        assert traces(bpy) == enabled


def test_fifty_times_on_and_off_leaves_nothing_behind(bpy, addon):
    """Nothing adds up: handlers, timers, classes, properties, threads, processes, data."""
    import addon_utils

    def everything() -> tuple:
        lists = [value for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)]
        data = {name: len(getattr(bpy.data, name)) for name in ("objects", "images", "movieclips", "texts", "scenes")}
        children = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
        return sum(map(len, lists)), len(dir(bpy.types)), data, threading.active_count(), children

    bpy.context.scene.video_mocap.show_keypoints = True  # a draw handler is there to be removed
    addon_utils.disable(MODULE)
    addon_utils.enable(MODULE, default_set=True)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    enabled, before = traces(bpy), everything()
    for _ in range(50):
        addon_utils.disable(MODULE)
        assert traces(bpy) == set()
        addon_utils.enable(MODULE, default_set=True)
    assert traces(bpy) == enabled
    assert everything() == before
    timers = (addon.runner.tick, addon.people.tick, addon.overlay._redraw)
    assert not any(bpy.app.timers.is_registered(timer) for timer in timers)


def test_the_installed_extension_is_the_one_from_the_zip(bpy, extension, root):

    assert not extension.__file__.startswith(str(root))
    assert not bpy.app.online_access
