"""The sidebar tab."""

from __future__ import annotations

import bpy

from . import preferences, properties, runner, takes
from .capture import Capture
from .setup import panel as set_up
from .text import wrapped


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


class Panel:
    """Where the extension's panels are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Mocap"


class VIDEO_MOCAP_PT_capture(Panel, bpy.types.Panel):
    """Capture from a video."""

    bl_label = "Video Mocap"

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
        time.label(text="" if left is None else f"{clock(left)} left")
        share = capture.done / capture.total if capture.total else 0.0
        count = f" {capture.done} / {capture.total}" if capture.total else " ..."
        box.progress(factor=share, text=capture.stage_text() + count)
        box.operator("video_mocap.cancel", icon="CANCEL").key = capture.key

    def _draw_outcome(self, capture: Capture) -> None:
        """What came of the last capture, if there is anything to say."""
        lines = [(warning, "INFO") for warning in capture.warnings[-3:]]
        if capture.error and capture.error.code == "cancelled":
            lines.append(("Cancelled. Capture again to continue.", "INFO"))
        elif capture.error:
            lines += [(capture.error.what, "ERROR"), (f"{capture.error.fix} [{capture.error.code}]", "BLANK1")]
        if lines:
            box = self.layout.box().column(align=True)
            for text, icon in lines:
                wrapped(box, text, icon)
        if capture.error and capture.log and capture.error.exit_status in (1, 5):
            box.operator("wm.path_open", text="Open log", icon="TEXT").filepath = str(capture.log)
        if capture.error and capture.error.exit_status == 5:  # the set-up: the doctor knows more
            box.operator("video_mocap.preferences", text="Doctor", icon="PREFERENCES")


class VIDEO_MOCAP_PT_takes(Panel, bpy.types.Panel):
    """The takes of the scene."""

    bl_label = "Takes"
    bl_parent_id = "VIDEO_MOCAP_PT_capture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.video_mocap
        row = layout.row()
        row.template_list("VIDEO_MOCAP_UL_takes", "", settings, "takes", settings, "active_take", rows=3)
        column = row.column(align=True)
        column.operator("video_mocap.take_load", text="", icon="FILE_FOLDER")
        column.operator("video_mocap.take_delete", text="", icon="TRASH")
        column.operator("video_mocap.take_select", text="", icon="RESTRICT_SELECT_OFF")
        if 0 <= settings.active_take < len(settings.takes):
            entry = settings.takes[settings.active_take]
            if entry.note and entry.note != (runner.last and runner.last.error and runner.last.error.what):
                wrapped(layout.column(align=True), entry.note, "INFO")
            if entry.state != "LIVE":
                layout.row(align=True).prop(entry, "look", expand=True)
        layout.operator("video_mocap.match_scene", icon="CAMERA_DATA")


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


classes = (VIDEO_MOCAP_UL_takes, VIDEO_MOCAP_PT_capture, VIDEO_MOCAP_PT_takes, VIDEO_MOCAP_PT_engines)
