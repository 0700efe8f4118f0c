"""The sidebar tab."""

from __future__ import annotations

import bpy

from . import doubt, help, operators, paths, preferences, properties, runner, takes
from .capture import Capture
from .setup import panel as set_up
from .text import wrapped
from .translations import N_, tr


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class VIDEO_MOCAP_UL_takes(bpy.types.UIList):
    """Captured people."""

    def draw_item(self, context, layout, data, entry, icon, active_data, active_property, index) -> None:
        row = layout.row(align=True)
        lost = not takes.present(entry)
        row.active = not lost
        row.prop(entry, "name", text="", emboss=False, icon="GHOST_DISABLED" if lost else takes.ICONS[entry.state])
        if paths.missing(entry.path):
            row.label(text="", icon="LIBRARY_DATA_BROKEN")
        if not lost:
            row.prop(entry, "visible", text="", emboss=False, icon="HIDE_OFF" if entry.visible else "HIDE_ON")


class Panel:
    """Where the extension's panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Mocap"
    topic = ""  # of the help

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        """Help, at the right end of the header."""
        if self.topic:
            help.button(self.layout, self.topic)


class VIDEO_MOCAP_PT_capture(Panel, bpy.types.Panel):
    """Capture from a video."""

    bl_label = "Video Mocap"
    topic = "capture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.video_mocap
        layout.use_property_split = True
        layout.use_property_decorate = False

        if not set_up.draw(layout):
            return
        column = layout.column()
        column.prop(settings, "video", text="")
        column = layout.column(align=True)
        column.prop(settings, "start", text="Start (s)")
        column.prop(settings, "end", text="End (s)" if settings.end else "End (whole clip)")
        people = layout.column(align=True)
        people.use_property_split = False
        people.row(align=True).prop(settings, "people", expand=True)
        if settings.people == "NUMBER":
            people.prop(settings, "people_count", text="How many people")
        elif settings.people == "PERSON":
            people.prop(settings, "person")

        button = layout.column()
        button.scale_y = 1.6
        text = "Add to queue" if runner.queue else "Capture from video"
        button.operator("video_mocap.capture", text=text, icon="OUTLINER_OB_ARMATURE")
        for capture in runner.queue:
            self._draw_capture(capture)
        for job in runner.jobs().found(bpy.data.filepath):
            self._draw_unfinished(job)
        if not runner.queue and runner.last:
            self._draw_outcome(runner.last)

    def _draw_capture(self, capture: Capture) -> None:
        box = self.layout.box()
        box.use_property_split = False
        row = box.row()
        row.label(text=capture.name, icon="REC" if capture.state == "RUNNING" else "SORTTIME")
        if capture.state != "RUNNING":
            row.label(text="waiting")
            row.operator("video_mocap.cancel", text="", icon="X", emboss=False).key = capture.key
            return
        left = capture.time_left()
        time = row.row()
        time.alignment = "RIGHT"
        time.label(text="" if left is None else tr("{time} left", time=clock(left)))
        share = capture.done / capture.total if capture.total else 0.0
        count = f" {capture.done} / {capture.total}" if capture.total else " ..."
        box.progress(factor=share, text=capture.stage_text() + count)
        box.operator("video_mocap.cancel", icon="CANCEL").key = capture.key

    def _draw_unfinished(self, job) -> None:
        box = self.layout.box()
        box.label(text=f"{job.name}: {tr('broken off') if job.begun else tr('not started')}", icon="RECOVER_LAST")
        row = box.row(align=True)
        row.operator("video_mocap.unfinished_continue", icon="PLAY").key = job.key
        row.operator("video_mocap.unfinished_discard", icon="TRASH").key = job.key

    def _draw_outcome(self, capture: Capture) -> None:
        """What came of the last capture, if there is anything to say."""
        lines = [(warning, "INFO") for warning in capture.warnings[-3:]]
        if capture.error and capture.error.code == "cancelled":
            lines.append((N_("Cancelled. Capture again to continue."), "INFO"))
        elif capture.error:
            lines += [(capture.error.what, "ERROR"), (f"{tr(capture.error.fix)} [{capture.error.code}]", "BLANK1")]
        if lines:
            box = self.layout.box().column(align=True)
            for text, icon in lines:
                wrapped(box, text, icon)
        if capture.error and capture.error.code != "cancelled":
            box.operator("video_mocap.help", icon="QUESTION").topic = capture.error.code
        if capture.error and capture.log and capture.error.exit_status in (1, 5):
            box.operator("wm.path_open", text="Open log", icon="TEXT").filepath = str(capture.log)
        if capture.error and capture.error.exit_status == 5:  # the set-up: the doctor knows more
            box.operator("video_mocap.preferences", text="Doctor", icon="PREFERENCES")


class VIDEO_MOCAP_PT_takes(Panel, bpy.types.Panel):
    """The takes of the scene."""

    bl_label = "Takes"
    topic = "takes"
    bl_parent_id = "VIDEO_MOCAP_PT_capture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.video_mocap
        row = layout.row()
        row.template_list("VIDEO_MOCAP_UL_takes", "", settings, "takes", settings, "active_take", rows=5)
        column = row.column(align=True)
        column.operator("video_mocap.take_load", text="", icon="FILE_FOLDER")
        column.operator("video_mocap.take_delete", text="", icon="TRASH")
        column.separator()
        column.operator("video_mocap.take_select", text="", icon="RESTRICT_SELECT_OFF")
        column.menu("VIDEO_MOCAP_MT_take_export", text="", icon="EXPORT")
        if 0 <= settings.active_take < len(settings.takes):
            self._draw_take(settings.takes[settings.active_take])

    def _draw_take(self, entry) -> None:
        layout = self.layout
        if entry.note and entry.note != (runner.last and runner.last.error and runner.last.error.what):
            wrapped(layout.column(align=True), entry.note, "INFO")
        for kind, what in (("path", N_("The take file is missing")), ("clip", N_("The video is missing"))):
            if paths.missing(getattr(entry, kind)):
                row = layout.row()
                row.label(text=what, icon="LIBRARY_DATA_BROKEN")
                row.operator("video_mocap.relocate", text="Relocate").kind = kind
        if entry.state != "LIVE":
            layout.row(align=True).prop(entry, "look", expand=True)
        layout.operator("video_mocap.take_resolve", text="Re-solve ...", icon="FILE_REFRESH")


class VIDEO_MOCAP_PT_look(Panel, bpy.types.Panel):
    """Compare the take with its clip."""

    bl_label = "Look"
    bl_parent_id = "VIDEO_MOCAP_PT_takes"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(context.scene.video_mocap.takes)

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.video_mocap
        row = layout.row(align=True)
        row.operator("video_mocap.take_look", icon="OUTLINER_OB_CAMERA")
        row.operator("video_mocap.match_scene", text="", icon="SCENE_DATA")
        row = layout.row(align=True)
        row.operator("video_mocap.doubt_next", text="", icon="TRIA_LEFT").back = True
        row.operator("video_mocap.doubt_next", text="Next doubtful").back = False
        entry = operators.chosen(context)
        marked = bool(entry and doubt.marked(context.scene, entry.name))
        row.operator("video_mocap.doubt_mark", text="", icon="MARKER_HLT", depress=marked)
        layout.prop(settings, "show_keypoints", icon="OUTLINER_DATA_POINTCLOUD")


class VIDEO_MOCAP_MT_take_export(bpy.types.Menu):
    """Write the take for other software."""

    bl_label = "Export"

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.operator("video_mocap.export_bvh")
        self.layout.operator("video_mocap.export_amass")


class VIDEO_MOCAP_PT_engines(Panel, bpy.types.Panel):
    """Device and engines."""

    bl_label = "Engines"
    bl_parent_id = "VIDEO_MOCAP_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(preferences.get(), "device")
        for stage in properties.ENGINE_STAGES:
            layout.prop(context.scene.video_mocap, f"engine_{stage}")


classes = (
    VIDEO_MOCAP_UL_takes,
    VIDEO_MOCAP_MT_take_export,
    VIDEO_MOCAP_PT_capture,
    VIDEO_MOCAP_PT_takes,
    VIDEO_MOCAP_PT_look,
    VIDEO_MOCAP_PT_engines,
)
