"""The buttons of the set-up, and the timer that drives it in the window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bpy

from ...backend.core.errors import MocapError
from .. import doctor, environment, files, preferences, runner
from ..job import on_interrupt
from ..translations import tr
from . import groups, plan
from .child import Setup

INTERVAL = 0.1  # seconds between two steps

running: Setup | None = None
last: Setup | None = None  # the one that ended last
_steps: Iterator[None] | None = None


def new(task: str = "install", wheels: str = "", python: str = "", group: str = "") -> Setup:
    """A set-up for this profile. Raises MocapError when it needs the network and must not use it, or one runs."""
    if task in ("install", "add") and not wheels:
        check_online()
    if running:
        raise MocapError("setup-busy", "A set-up is running already.")
    paths = [Path(bpy.path.abspath(path)) if path else None for path in (wheels, python)]
    if paths[0] and not paths[0].is_dir():
        raise MocapError("bad-request", f"There is no folder {paths[0]}.", "Name the folder of wheels.")
    return Setup(files.user_folder(), task, *paths, group=group, build=build() if task == "add" else "")


def build() -> str:
    """The build of PyTorch that the preferences ask for, or the one that fits this machine."""
    chosen = preferences.get().build.lower()
    return chosen if chosen in groups.builds() else groups.detected()[0]


def check_online() -> None:
    """Raises MocapError setup-offline unless the user has allowed Blender to use the network."""
    if not bpy.app.online_access:
        raise MocapError("setup-offline", "Blender is not allowed to use the network.")


def start(setup: Setup) -> None:
    """Run it beside Blender; `last` tells how it ended."""
    global running, _steps
    running, _steps = setup, setup.steps()
    bpy.app.timers.register(tick, persistent=True)


def tick() -> float | None:
    """One step; -> seconds until the next one, None when it has ended."""
    global running, last, _steps
    before = running.text()
    if next(_steps, "ended") is None:
        if running.text() != before:
            redraw()
        return INTERVAL
    running, last, _steps = None, running, None
    if last.error is None:
        _renewed(last)
    redraw()
    return None


def _renewed(setup: Setup) -> None:
    """Look at the new environment, so that the page and the engines' list are right at once."""
    environment.forget()
    doctor.forget()
    if setup.task != "remove":
        doctor.start(preferences.get().python, files.user_folder())


def stop() -> None:
    """End a running set-up at once: Blender quits or the extension is disabled."""
    global running, _steps
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if _steps:
        _steps.close()  # its `finally` ends the child
    running = _steps = None


def redraw() -> None:
    """Bring sidebars and preferences up to date."""
    runner.redraw()
    doctor.redraw()


class _SetUp(bpy.types.Operator):
    """What set-ups have in common: in the window a timer does the work, scripts wait for it."""

    task = "install"
    group = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if running:
            cls.poll_message_set(tr("A set-up is running"))
        elif runner.queue:
            cls.poll_message_set(tr("Wait for the captures to end, or cancel them"))
        return not (running or runner.queue)

    def _begin(self, wait: bool, wheels: str = "") -> set[str]:
        global last
        try:
            setup = new(self.task, wheels, group=self.group)
            if wait:
                last = setup
                setup.run()
                if setup.error:
                    raise setup.error
                _renewed(setup)
            else:
                start(setup)
        except MocapError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class _Fetching(_SetUp):
    """Those that need the network."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not bpy.app.online_access:
            cls.poll_message_set(tr("Blender is not allowed to use the network: see Preferences > System > Network"))
            return False
        return super().poll(context)


class VIDEO_MOCAP_OT_set_up(_Fetching):
    """Download the backend's packages into the extension's own folder and check that they run"""

    bl_idname = "video_mocap.set_up"
    bl_label = "Set up capture"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self._begin(wait=False)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._begin(wait=True)


class VIDEO_MOCAP_OT_set_up_offline(_SetUp):
    """Set up without the network, from a folder that holds the packages as wheel files (see the README)"""

    bl_idname = "video_mocap.set_up_offline"
    bl_label = "Set up from folder"

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self.directory:
            self.report({"ERROR"}, tr("No folder is chosen."))
            return {"CANCELLED"}
        return self._begin(wait=bpy.app.background, wheels=self.directory)


class VIDEO_MOCAP_OT_set_up_remove(_SetUp):
    """Remove the backend's environment and everything that was downloaded for it; takes stay"""

    bl_idname = "video_mocap.set_up_remove"
    bl_label = "Remove"

    task = "remove"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._begin(wait=bpy.app.background)


class VIDEO_MOCAP_OT_group_add(_Fetching):
    """Add these packages beside those of the capture, or bring them up to date; the capture's own stay as they are"""

    bl_idname = "video_mocap.group_add"
    bl_label = "Add"

    task = "add"
    group: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return self._begin(wait=False)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._begin(wait=True)


class VIDEO_MOCAP_OT_group_drop(_SetUp):
    """Remove these packages and those that need them; the capture works as before"""

    bl_idname = "video_mocap.group_drop"
    bl_label = "Remove"

    task = "drop"
    group: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        return self._begin(wait=bpy.app.background)


class VIDEO_MOCAP_OT_set_up_cancel(bpy.types.Operator):
    """Stop the set-up; what has been downloaded is kept for the next one"""

    bl_idname = "video_mocap.set_up_cancel"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> set[str]:
        if running:
            running.cancel()
        return {"FINISHED"}


class VIDEO_MOCAP_OT_preferences(bpy.types.Operator):
    """Open this extension's preferences: environment, doctor, folders"""

    bl_idname = "video_mocap.preferences"
    bl_label = "Open preferences"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.preferences.addon_show(module=files.EXTENSION)


def command(options) -> None:
    """`blender --command video_mocap setup`: set up, repair or remove, with lines of progress. Raises MocapError."""
    folder = files.user_folder()
    task = "add" if options.add else "drop" if options.drop else "remove" if options.remove else "install"
    if task == "install" and not options.repair and _works(folder):
        print(f"Capture is set up already: {plan.environment(folder)}")
        return
    preferences.get().build = options.build.upper()
    wheels, python = (str(Path(path).absolute()) if path else "" for path in (options.wheels, options.python))
    setup = new(task, wheels, python, options.add or options.drop)
    told = ""
    heard: list[int] = []  # signals
    steps = setup.steps()
    with on_interrupt(lambda number, frame: heard.append(number)):
        while next(steps, "ended") != "ended":
            if heard:
                setup.cancel()
                heard.clear()
            if (text := f"{setup.text()} {setup.detail}".strip()) != told:
                told = text
                print(text, flush=True)
            time.sleep(INTERVAL)
    if setup.error:
        print(f"Log: {setup.log}", flush=True)
        raise setup.error
    told = groups.stamp(folder, options.add) if options.add else plan.stamp(folder)
    what = f"{groups.GROUPS[options.add].title} ({told['build']}) is added" if options.add else "Capture is set up"
    size = told.get("bytes", 0)
    print("Removed." if task in ("remove", "drop") else f"{what}: {size / 1e6:.0f} MB in {setup.seconds:.0f} s.")


def _works(folder: Path) -> bool:
    """Whether the environment is there and has its packages."""
    try:
        environment.find(str(environment.managed_python(folder)), folder)
    except MocapError:
        return False
    return plan.state(folder) == "READY"


def add_parser(commands) -> None:
    """The command line's `setup`."""
    parser = commands.add_parser("setup", help="make the environment that the capture runs in")
    parser.set_defaults(run=command)
    parser.add_argument("--wheels", default="", help="folder of wheel files to install from, without the network")
    parser.add_argument("--python", default="", help="Python to make the environment with; found when not given")
    parser.add_argument("--repair", action="store_true", help="make it anew, also if it is there already")
    parser.add_argument("--remove", action="store_true", help="remove it and everything downloaded for it")
    parser.add_argument("--add", default="", choices=tuple(groups.GROUPS), help="add the packages of published models")
    parser.add_argument("--drop", default="", choices=tuple(groups.GROUPS), help="remove those again")
    parser.add_argument("--build", default="auto", choices=("auto", *groups.BUILDS), help="of PyTorch")


classes = (
    VIDEO_MOCAP_OT_set_up,
    VIDEO_MOCAP_OT_set_up_offline,
    VIDEO_MOCAP_OT_set_up_remove,
    VIDEO_MOCAP_OT_group_add,
    VIDEO_MOCAP_OT_group_drop,
    VIDEO_MOCAP_OT_set_up_cancel,
    VIDEO_MOCAP_OT_preferences,
)
