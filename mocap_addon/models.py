"""The published models in the preferences: what there is, what the user has added, and the commercially safe switch.

What is known of them the backend tells (`python -m backend models list --json`), which also does everything to them.
"""

import json
import subprocess
import tempfile
import threading
from typing import Any

import bpy

from . import doctor, environment, files, job, preferences
from .guarded import Guarded
from .text import wrapped
from .translations import tr

INTERVAL = 0.3  # seconds between two looks at a running errand


class Errand:
    """One or more calls of the backend's models manager, beside Blender."""

    def __init__(self, *calls: tuple[str, ...]) -> None:
        self.error = ""
        self.said = ""  # how far it is
        self.known: dict[str, Any] = {}
        self.changes = bool(calls)
        self._calls = (*calls, ("list", "--json"))
        self._python = environment.locate(preferences.get().python, files.user_folder())[0]
        self._child: subprocess.Popen[str] | None = None
        self._cancelled = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def cancel(self) -> None:
        """End what is being done; a download goes on from there the next time."""
        self._cancelled = True
        if self._child is not None and self._child.poll() is None:
            self._child.kill()

    def _run(self) -> None:
        for call in self._calls:
            listing = call[0] == "list"
            if self._cancelled and not listing:
                continue
            with tempfile.TemporaryFile("w+", encoding="utf-8") as answer:
                self._child = subprocess.Popen(
                    job.command(self._python, "models", *call),
                    stdin=subprocess.DEVNULL, stdout=answer, stderr=subprocess.PIPE, cwd=job.ROOT,
                    env=job.clean_environment(), text=True, encoding="utf-8", errors="replace", **job.popen_options(),
                )  # fmt: skip
                if self._cancelled and not listing:
                    self._child.kill()
                for line in self._child.stderr or ():
                    self.said = line.strip() or self.said
                if self._child.wait() and not self._cancelled:
                    self.error = self.error or (self.said or "no answer").removeprefix("error: ")
                if listing and not self._child.returncode:
                    answer.seek(0)
                    self.known = json.load(answer)


running: Errand | None = None
last: Errand | None = None


def start(*calls: tuple[str, ...]) -> None:
    """Do something to the models and list them again. Raises MocapError python-missing."""
    global running
    if running is None:
        running = Errand(*calls)
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def tick() -> float | None:
    """Whether the errand is done; -> seconds until the next look."""
    global running, last
    if running is not None and running.thread.is_alive():
        doctor.redraw()
        return INTERVAL
    running, last = None, running or last
    if last is not None:
        environment.engines.update(last.known.get("engines", {}))
    doctor.redraw()
    return None


def draw(layout: bpy.types.UILayout) -> None:
    """The list, in the preferences."""
    header, body = layout.panel("video_mocap_models", default_closed=True)
    header.label(text="Published models")
    if not body:
        return
    about = body.column(align=True)
    wrapped(about, "Networks of others, with licences of their own. None comes with this extension.", "INFO")
    if running is not None:
        row = body.row()
        row.label(text=running.said or tr("Asking the backend ..."), translate=False, icon="SORTTIME")
        if running.changes:
            row.operator("video_mocap.models_cancel", text="", icon="CANCEL")
        return
    body.operator("video_mocap.models", text="Show" if last is None else "Refresh", icon="FILE_REFRESH")
    if last is None:
        return
    if last.error:
        wrapped(body.column(align=True), last.error, "ERROR")
    if not last.known:
        return
    safe = last.known["commercial_only"]
    switch = body.operator(
        "video_mocap.models_commercial",
        text="Commercially safe only",
        icon="CHECKBOX_HLT" if safe else "CHECKBOX_DEHLT",
        depress=safe,
    )
    switch.wanted = not safe
    wrapped(body.column(align=True), last.known["folder"], "FOLDER_REDIRECT")
    for name, model in last.known["models"].items():
        _draw_model(body.box(), name, model)


def _draw_model(layout: bpy.types.UILayout, name: str, model: dict[str, Any]) -> None:
    added = model["added"]
    wrapped(layout.column(align=True), model["title"], "CHECKMARK" if added else "DOT")
    wrapped(layout.column(align=True), model["licence"], "BLANK1")
    if added and (doubt := _doubt(added)):
        wrapped(layout.column(align=True), doubt, "ERROR")
    row = layout.row(align=True)
    row.operator("wm.url_open", text="Source", icon="URL").url = model["source"]
    if added:
        row.operator("video_mocap.model_remove", icon="TRASH").name = name
    if added and added["state"] == "ok":
        return
    row.operator("video_mocap.model_add", icon="FILE_FOLDER").name = name
    if model["url"]:
        fetch = row.operator("video_mocap.model_download", icon="IMPORT")
        fetch.name, fetch.licence = name, model["licence"]


def _doubt(added: dict[str, Any]) -> str:
    """What is to be said of a file that was added; "" where all is well."""
    if added["state"] == "missing":
        return tr("No longer at {file}", file=added["file"])
    if added["state"] == "changed":
        return tr("Changed since it was added: if that was you, add it again")
    return "" if added["checked"] else tr("Not looked into yet: that takes PyTorch")


class _Model(Guarded):
    """What the operators of one model share."""

    bl_options = {"INTERNAL"}

    name: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})


class VIDEO_MOCAP_OT_models(_Model, bpy.types.Operator):
    """Ask the backend which published models there are, and which you have added"""

    bl_idname = "video_mocap.models"
    bl_label = "Published models"

    def work(self, context: bpy.types.Context) -> None:
        start()


class VIDEO_MOCAP_OT_model_add(_Model, bpy.types.Operator):
    """Add the file of this model that you have; it stays where it is and is checked first"""

    bl_idname = "video_mocap.model_add"
    bl_label = "Add file ..."

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def work(self, context: bpy.types.Context) -> None:
        start(("add", self.name, bpy.path.abspath(self.filepath)))


class VIDEO_MOCAP_OT_model_download(_Model, bpy.types.Operator):
    """Download this model from its publisher, when you agree to its licence"""

    bl_idname = "video_mocap.model_download"
    bl_label = "Download ..."

    licence: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})
    agreed: bpy.props.BoolProperty(
        name="I agree to the licence", description="Without it nothing is downloaded", options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        cls.poll_message_set(tr("Blender is not allowed to use the network"))
        return bool(bpy.app.online_access)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, context: bpy.types.Context) -> None:
        wrapped(self.layout.column(align=True), self.licence, "INFO")
        self.layout.prop(self, "agreed")

    def work(self, context: bpy.types.Context) -> set[str]:
        if not self.agreed:
            self.report({"WARNING"}, tr("Nothing was downloaded."))
            return {"CANCELLED"}
        start(("add", self.name, "--download", "--yes"))
        return {"FINISHED"}


class VIDEO_MOCAP_OT_model_remove(_Model, bpy.types.Operator):
    """Forget this model. A downloaded file is deleted, a file of your own is not"""

    bl_idname = "video_mocap.model_remove"
    bl_label = "Forget"

    def work(self, context: bpy.types.Context) -> None:
        start(("remove", self.name))


class VIDEO_MOCAP_OT_models_cancel(bpy.types.Operator):
    """End this; a download goes on from there the next time"""

    bl_idname = "video_mocap.models_cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        if running is not None:
            running.cancel()
        return {"FINISHED"}


class VIDEO_MOCAP_OT_models_commercial(_Model, bpy.types.Operator):
    """Hide and refuse models that are not for commercial use"""

    bl_idname = "video_mocap.models_commercial"
    bl_label = "Commercially safe only"

    wanted: bpy.props.BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def work(self, context: bpy.types.Context) -> None:
        start(("commercial-only", "on" if self.wanted else "off"))


def stop() -> None:
    """The extension is disabled."""
    global running
    if running is not None:
        running.cancel()
    running = None
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


classes = (
    VIDEO_MOCAP_OT_models,
    VIDEO_MOCAP_OT_model_add,
    VIDEO_MOCAP_OT_model_download,
    VIDEO_MOCAP_OT_model_remove,
    VIDEO_MOCAP_OT_models_cancel,
    VIDEO_MOCAP_OT_models_commercial,
)
