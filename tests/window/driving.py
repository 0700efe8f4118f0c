"""What the scripts in this folder share: they run inside a real Blender window, as one generator that a timer steps."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

MODULE = "bl_ext.user_default.video_mocap"
ZIP, VIDEO, OUT = (Path(argument).absolute() for argument in sys.argv[sys.argv.index("--") + 1 :][:3])
STARTED = time.monotonic()


def log(*words: object) -> None:
    print(f"[{time.monotonic() - STARTED:6.2f}]", *words, flush=True)


def shot(name: str) -> None:
    """A picture of the whole screen; Blender's own screenshot is black under a software renderer."""
    subprocess.run(["import", "-window", "root", str(OUT / f"{name}.png")], check=True)


def view() -> tuple[bpy.types.Window, bpy.types.Area, bpy.types.Region, bpy.types.Region]:
    window = bpy.context.window_manager.windows[0]
    area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width * a.height)
    regions = {region.type: region for region in area.regions}
    return window, area, regions["WINDOW"], regions["UI"]


def call(operator: Callable[..., set[str]], *arguments: object, **options: object) -> set[str]:
    """Call an operator as if from the 3D view."""
    window, area, region, _ = view()
    with bpy.context.temp_override(window=window, area=area, region=region):
        return operator(*arguments, **options)


def addon(name: str):
    return sys.modules[f"{MODULE}.mocap_addon.{name}"]


def settings():
    return bpy.context.scene.video_mocap


def until(reached: Callable[[], bool], seconds: float = 120.0) -> Iterator[float]:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it takes too long"
        yield 0.05


class Ticks:
    """Times every step that a timer's function takes from now on: how long Blender waited, and how much of that was
    work (a busy machine lets us wait, too)."""

    def __init__(self, module, stage: Callable[[], str] = lambda: "") -> None:
        """module: has the function, `tick`. stage: what it is at."""
        self.spent: list[tuple[float, float, str]] = []
        plain = module.tick

        def timed() -> float | None:
            at, wall, work = stage(), time.perf_counter(), time.thread_time()
            again = plain()
            self.spent.append((time.perf_counter() - wall, time.thread_time() - work, at))
            return again

        module.tick = timed

    def log(self) -> None:
        """What they took, the longest first."""
        log(f"{len(self.spent)} ticks, median {1e3 * sorted(self.spent)[len(self.spent) // 2][0]:.1f} ms; longest:")
        for wall, work, stage in sorted(self.spent, reverse=True)[:6]:
            log(f"    {1e3 * wall:.1f} ms, of these {1e3 * work:.1f} ms work, at: {stage}")


def click(y: int) -> Iterator[float]:
    """Click into the middle of the sidebar with the real mouse, y pixels below its top."""
    window, _, _, ui = view()
    x = ui.x + ui.width // 2 - 10
    y += window.height - (ui.y + ui.height)
    log("click at", x, y)
    subprocess.run(["xdotool", "mousemove", str(x), str(y)], check=True)
    yield 0.6
    subprocess.run(["xdotool", "click", "1"], check=True)
    yield 0.6


def open_tab() -> Iterator[float]:
    _, area, _, ui = view()
    area.spaces[0].show_region_ui = True
    deadline = time.monotonic() + 60
    while ui.active_panel_category != "Mocap":  # the sidebar knows its tabs once it was drawn
        assert time.monotonic() < deadline
        yield 1.0
        try:
            ui.active_panel_category = "Mocap"
        except TypeError:
            continue
    area.tag_redraw()
    yield 1.0


def panels_open(wanted: Callable[[str], bool]) -> None:
    """Let those panels start open whose name is wanted, and all others closed. Blender asks for it when it draws them
    for the first time, so this comes before `open_tab`."""
    panels = [cls for cls in addon("registration").CLASSES if issubclass(cls, bpy.types.Panel)]
    for cls in reversed(panels):
        bpy.utils.unregister_class(cls)
    for cls in panels:
        cls.bl_options = set() if wanted(cls.__name__.rpartition("_PT_")[2]) else {"DEFAULT_CLOSED"}
        bpy.utils.register_class(cls)


def install() -> None:
    """The extension from its zip, and an empty scene."""
    call(bpy.ops.extensions.package_install_files, filepath=str(ZIP), repo="user_default", enable_on_install=True)
    for cube in list(bpy.data.objects):
        bpy.data.objects.remove(cube)


def drive(*parts: Callable[[], Iterator[float]]) -> None:
    """Run the parts, each of which yields the seconds to wait until its next step; then quit. 0 when all held."""

    def everything() -> Iterator[float]:
        for part in parts:
            log("==", part.__name__)
            yield from part()

    steps = everything()

    def tick() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            log("all held")
            bpy.ops.wm.quit_blender()
        except BaseException:  # an exception in a timer would leave Blender running
            traceback.print_exc()
            shot("failed")
            sys.stdout.flush()
            os._exit(1)
        return None

    bpy.context.preferences.view.show_splash = False
    OUT.mkdir(parents=True, exist_ok=True)
    bpy.app.timers.register(tick, first_interval=0.5, persistent=True)
