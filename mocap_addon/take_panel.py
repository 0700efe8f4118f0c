"""The sidebar's list of takes, and looking at them."""

from __future__ import annotations

import bpy

from . import doubt, operators, paths, runner, takes, ui
from .text import wrapped
from .translations import N_


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


class VIDEO_MOCAP_PT_takes(ui.Panel, bpy.types.Panel):
    """The takes of the scene."""

    bl_label = "Takes"
    topic = "takes"
    bl_parent_id = "VIDEO_MOCAP_PT_capture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.video_mocap
        row = layout.row()
        row.template_list("VIDEO_MOCAP_UL_takes", "", settings, "takes", settings, "active_take", rows=4)
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
        row = layout.row(align=True)
        row.operator("video_mocap.take_resolve", text="Re-solve ...", icon="FILE_REFRESH")
        row.operator("video_mocap.take_plumb", text="Upright ...", icon="EMPTY_SINGLE_ARROW")


class VIDEO_MOCAP_PT_look(ui.Panel, bpy.types.Panel):
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


classes = (
    VIDEO_MOCAP_UL_takes,
    VIDEO_MOCAP_MT_take_export,
    VIDEO_MOCAP_PT_takes,
    VIDEO_MOCAP_PT_look,
)
