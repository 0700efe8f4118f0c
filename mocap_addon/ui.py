"""The sidebar tab."""

from __future__ import annotations

import bpy

from . import clip, help, operators, people, preferences, properties, runner
from .capture import Capture, stage_text
from .setup import panel as set_up
from .text import wrapped
from .translations import N_, tr


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


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
        self._draw_video(settings)
        self._draw_people(settings)
        column = layout.column(align=True)
        column.prop(settings, "start", text="Start (s)")
        column.prop(settings, "end", text="End (s)" if settings.end else "End (whole clip)")
        row = layout.row(align=True)
        row.use_property_split = False  # the three words need the whole width
        row.prop(settings, "quality", expand=True)

        button = layout.column()
        button.scale_y = 1.6
        text = "Add to queue" if runner.queue else "Capture from video"
        button.operator("video_mocap.capture", text=text, icon="OUTLINER_OB_ARMATURE")
        layout.operator("video_mocap.capture_many", icon="FILE_FOLDER")
        for capture in runner.queue:
            self._draw_capture(capture)
        if [capture.state for capture in runner.queue].count("QUEUED") > 1:
            layout.operator("video_mocap.cancel", text="Cancel all", icon="CANCEL")
        for job in runner.jobs().found(bpy.data.filepath):
            self._draw_unfinished(job)
        for capture in runner.ended:
            self._draw_outcome(capture)

    def _draw_video(self, settings) -> None:
        layout = self.layout
        if not settings.video:
            layout.operator("video_mocap.video_choose", icon="FILE_MOVIE")
            return
        layout.prop(settings, "video", text="")
        icon = clip.picture(operators.video_path(settings))
        if icon:
            row = layout.row()
            row.alignment = "CENTER"
            row.template_icon(icon_value=icon, scale=5.0)
        if told := clip.text(settings):
            row = layout.row()
            row.alignment = "CENTER"
            row.label(text=told)

    def _draw_people(self, settings) -> None:
        """Who: a choice that needs no look at the clip, or faces to pick from."""
        column = self.layout.column(align=True)
        column.use_property_split = False
        column.prop(settings, "people", text="")
        if settings.people == "NUMBER":
            column.prop(settings, "people_count", text="How many people")
        elif settings.people == "PERSON":
            column.prop(settings, "person")
        scan = people.of(operators.video_path(settings)) if settings.video else None
        if scan and scan.running:
            row = column.row(align=True)
            row.progress(factor=scan.share, text="Looking for people")
            row.operator("video_mocap.people_stop", text="", icon="X")
        else:
            row = column.row(align=True)
            row.operator("video_mocap.people_find", icon="VIEWZOOM")
            row.operator("video_mocap.people_pick", text="Pick", icon="RESTRICT_SELECT_OFF")
        if scan and scan.error and scan.error.code != "cancelled":
            wrapped(column, f"{scan.error.what} {scan.error.fix}", "ERROR")
        if scan and scan.picture:
            self._draw_faces(column, settings, scan)
        if settings.people == "PICKED" and settings.picks:  # maybe in pictures that are not the one above
            column.label(text=tr("{count} picked", count=len(settings.picks)), icon="CHECKMARK")
        elif settings.people == "PICKED":
            wrapped(column, "Find the people and pick some of them.", "INFO")

    def _draw_faces(self, layout: bpy.types.UILayout, settings, scan) -> None:
        picture = scan.picture
        row = layout.row(align=True)
        row.operator("video_mocap.people_turn", text="", icon="TRIA_LEFT").by = -1
        count = len(picture.boxes)
        where = f"{picture.time:.1f}"
        row.label(text=tr("{count} here at {time} s", count=count, time=where))
        row.operator("video_mocap.people_turn", text="", icon="TRIA_RIGHT").by = 1
        grid = layout.grid_flow(row_major=True, columns=4, even_columns=True, align=True)
        for person, face in enumerate(picture.faces):
            cell = grid.column(align=True)
            cell.template_icon(icon_value=clip.picture(face, "IMAGE"), scale=3.0)
            chosen = people.picked(settings.picks, picture, person) is not None
            cell.operator("video_mocap.people_toggle", text=str(person + 1), depress=chosen).person = person

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
        column = box.column(align=True)
        for stage in capture.stages[:-1]:
            row = column.row()
            row.active = False
            row.label(text=stage_text(stage), icon="CHECKMARK")
        share = capture.done / capture.total if capture.total else 0.0
        count = f" {capture.done} / {capture.total}" if capture.total else " ..."
        column.progress(factor=share, text=capture.stage_text() + count)
        box.operator("video_mocap.cancel", icon="CANCEL").key = capture.key

    def _draw_unfinished(self, job) -> None:
        box = self.layout.box()
        state = tr("broken off") if job.begun else tr("computed, not keyed") if job.computed else tr("not started")
        box.label(text=f"{job.name}: {state}", icon="RECOVER_LAST")
        row = box.row(align=True)
        row.operator("video_mocap.unfinished_continue", icon="PLAY").key = job.key
        row.operator("video_mocap.unfinished_discard", icon="TRASH").key = job.key

    def _draw_outcome(self, capture: Capture) -> None:
        """What came of a capture, if there is anything to say."""
        lines = [(warning, "INFO") for warning in capture.warnings[-3:]]
        if capture.error and capture.error.code == "cancelled":
            lines.append((N_("Cancelled."), "INFO"))
        elif capture.error:
            lines += [(capture.error.what, "ERROR"), (f"{tr(capture.error.fix)} [{capture.error.code}]", "BLANK1")]
        if lines:
            box = self.layout.box().column(align=True)
            box.label(text=capture.name, translate=False)
            for text, icon in lines:
                wrapped(box, text, icon)
        if capture.error and capture.error.code != "cancelled":
            box.operator("video_mocap.help", icon="QUESTION").topic = capture.error.code
        if capture.error and capture.log and capture.error.exit_status in (1, 5):
            box.operator("wm.path_open", text="Open log", icon="TEXT").filepath = str(capture.log)
        if capture.error and capture.error.exit_status == 5:  # the set-up: the doctor knows more
            box.operator("video_mocap.preferences", text="Doctor", icon="PREFERENCES")


class VIDEO_MOCAP_PT_engines(Panel, bpy.types.Panel):
    """Device and engines."""

    bl_label = "Engines"
    bl_parent_id = "VIDEO_MOCAP_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return preferences.backend_obstacle() is None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(preferences.get(), "device")
        for stage in properties.ENGINE_STAGES:
            layout.prop(context.scene.video_mocap, f"engine_{stage}", placeholder=tr("By quality"))
        layout.operator("video_mocap.preferences", text="Published models ...", icon="PREFERENCES")


classes = (VIDEO_MOCAP_PT_capture, VIDEO_MOCAP_PT_engines)
