"""The sidebar's part for putting a motion onto a character."""

from __future__ import annotations

import json

import bpy

from ...backend.core.errors import MocapError
from .. import ui
from ..translations import tr
from . import family, operators, table

NAMED = 40  # bones without a role that are named


class VIDEO_MOCAP_UL_bones(bpy.types.UIList):
    """Which bone plays which role."""

    def draw_item(self, context, layout, data, entry, icon, active_data, active_property, index) -> None:
        split = layout.split(factor=0.48)
        short = entry.name.replace("Left ", "L ").replace("Right ", "R ")  # sidebars are narrow
        split.label(text=short, icon=confidence_icon(entry))
        row = split.row(align=True)
        target = data.target
        if target:
            row.alert = bool(entry.bone) and entry.bone not in target.data.bones
            row.prop_search(entry, "bone", target.data, "bones", text="")
        if tuple(entry.correction) != (1.0, 0.0, 0.0, 0.0):
            row.label(text="", icon="ORIENTATION_GIMBAL")

    def filter_items(self, context, data, property_name):
        """Rows by name of role or bone."""
        entries, text = getattr(data, property_name), self.filter_name.lower()
        shown = [
            self.bitflag_filter_item if text in entry.name.lower() or text in entry.bone.lower() else 0
            for entry in entries
        ]
        return shown, []


def confidence_icon(entry) -> str:
    """How sure a row is: chosen by the user, recognised, doubtful, or empty."""
    if not entry.bone:
        return "ERROR" if entry.role in table.REQUIRED else "BLANK1"
    if entry.bone != entry.guess:
        return "USER"
    return "CHECKMARK" if entry.confidence >= 0.75 else "QUESTION"


class _Panel(ui.Panel):
    @staticmethod
    def settings(context: bpy.types.Context):
        return context.scene.video_mocap.retarget


class VIDEO_MOCAP_PT_retarget(_Panel, bpy.types.Panel):
    """Put a take, or a motion file, onto a character."""

    bl_label = "Retarget"
    topic = "retarget"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, self.settings(context)
        column = layout.column()
        column.prop(settings, "target", text="", icon="ARMATURE_DATA")
        column.row(align=True).prop(settings, "source", expand=True)
        if settings.source == "FILE":
            column.prop(settings, "file", text="")
        else:
            try:
                column.label(text=operators.motion_path(context)[0], icon="ANIM_DATA")
            except MocapError as error:
                ui.wrapped(column, error.what, "INFO")
        button = layout.column()
        button.scale_y = 1.6
        button.operator("video_mocap.retarget", icon="ARMATURE_DATA")


class VIDEO_MOCAP_PT_mapping(_Panel, bpy.types.Panel):
    """Which bone does what on the character."""

    bl_label = "Bones"
    bl_parent_id = "VIDEO_MOCAP_PT_retarget"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return cls.settings(context).target is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, self.settings(context)
        row = layout.row(align=True)
        row.label(text=family_label(settings.family), icon="OUTLINER_OB_ARMATURE")
        row.operator("video_mocap.rig_recognise", text="", icon="FILE_REFRESH")
        row.operator("video_mocap.preset_load", text="", icon="FILE_FOLDER")
        row.operator("video_mocap.preset_save", text="", icon="FILE_TICK")
        row = layout.row()
        row.template_list("VIDEO_MOCAP_UL_bones", "", settings, "rows", settings, "active_row", rows=8)
        column = row.column(align=True)
        column.operator("video_mocap.bone_add", text="", icon="ADD")
        column.operator("video_mocap.bone_remove", text="", icon="REMOVE")
        self._draw_unmapped(settings)
        if settings.shown_ghost():
            ui.wrapped(
                layout.column(align=True),
                "Turn the bones of the temporary armature in pose mode until it stands in a T-pose: arms level, palms "
                "down, legs straight.",
                "INFO",
            )
            row = layout.row(align=True)
            row.operator("video_mocap.calibration_store", icon="CHECKMARK")
            row.operator("video_mocap.calibration_close", icon="X")
        else:
            layout.operator("video_mocap.calibration_show", icon="ORIENTATION_GIMBAL")
        layout.operator("video_mocap.rig_check", icon="VIEWZOOM")
        if operators.reported == settings.target.name:
            box = layout.box().column(align=True)
            for line in operators.report:
                icon = {"ERROR": "CANCEL", "WARNING": "ERROR", "INFO": "INFO", "FINE": "CHECKMARK"}[line.level]
                ui.wrapped(box, f"{tr(line.what)} {tr(line.fix)}".strip(), icon)

    def _draw_unmapped(self, settings) -> None:
        names = json.loads(settings.unmapped or "[]")
        if not names:
            return
        column = self.layout.column(align=True)
        icon = "DISCLOSURE_TRI_DOWN" if settings.show_unmapped else "DISCLOSURE_TRI_RIGHT"
        column.prop(
            settings,
            "show_unmapped",
            text=tr("{count} bones without a role", count=len(names)),
            icon=icon,
            emboss=False,
        )
        if settings.show_unmapped:
            more = [tr("and {count} more", count=len(names) - NAMED)] if len(names) > NAMED else []
            ui.wrapped(column, ", ".join(names[:NAMED] + more), "BLANK1")


def family_label(name: str) -> str:
    """What a family of rigs is called."""
    known = family.families().get(name)
    return known.label if known else {"unknown": "Humanoid, by its structure"}.get(name, "No humanoid recognised")


class VIDEO_MOCAP_PT_motion(_Panel, bpy.types.Panel):
    """How the motion is carried over, and which keys are written."""

    bl_label = "Motion and keys"
    bl_parent_id = "VIDEO_MOCAP_PT_retarget"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, self.settings(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        column.prop(settings, "root")
        column.prop(settings, "scale_mode")
        if settings.scale_mode == "factor":
            column.prop(settings, "scale")
        column.row(align=True).prop(settings, "lock", toggle=True)
        column.prop(settings, "feet")
        column.prop(settings, "fingers")
        column.prop(settings, "ik_controls")
        column = layout.column()
        column.prop(settings, "span")
        if settings.span == "FRAMES":
            column.prop(settings, "first")
            column.prop(settings, "last")
        column.prop(settings, "whole_frames")
        column.prop(settings, "reduce")
        if settings.reduce:
            column.prop(settings, "bound")
        column.prop(settings, "nla")


class VIDEO_MOCAP_PT_export(_Panel, bpy.types.Panel):
    """Files for other software."""

    bl_label = "Export"
    bl_parent_id = "VIDEO_MOCAP_PT_retarget"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        row = self.layout.row(align=True)
        row.operator("video_mocap.export_bvh")
        row.operator("video_mocap.export_amass")
        row = self.layout.row(align=True)
        for kind in ("FBX", "GLB"):
            row.operator("video_mocap.export_character", text=tr("Character as {kind}", kind=kind)).kind = kind


classes = (
    VIDEO_MOCAP_UL_bones,
    VIDEO_MOCAP_PT_retarget,
    VIDEO_MOCAP_PT_mapping,
    VIDEO_MOCAP_PT_motion,
    VIDEO_MOCAP_PT_export,
)
