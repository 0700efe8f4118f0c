"""Cleaning in the sidebar."""

import bpy

from .. import ui
from ..operators import chosen
from ..text import wrapped
from . import properties, stage
from .smooth import LIMBS, PATH


class VIDEO_MOCAP_UL_contacts(bpy.types.UIList):
    """Spans in which a heel or toes stand."""

    def draw_item(self, context, layout, data, contact, icon, active_data, active_property, index) -> None:
        split = layout.split(factor=0.45, align=True)
        split.label(text=properties.TRACKS[contact.track])
        row = split.row(align=True)
        row.prop(contact, "first", text="", emboss=False)
        row.prop(contact, "last", text="", emboss=False)


class _Panel(ui.Panel):
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen(context) is not None

    def begin(self, context: bpy.types.Context) -> tuple[bpy.types.UILayout, properties.VideoMocapCleaning]:
        """The layout and the settings of the chosen take; grey when they can do nothing."""
        layout, entry = self.layout, chosen(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.enabled = stage.obstacle(entry) is None and not entry.cleaning.edited
        return layout, entry.cleaning


class VIDEO_MOCAP_PT_cleaning(_Panel, bpy.types.Panel):
    """Raw against cleaned."""

    bl_label = "Cleaning"
    topic = "cleaning"
    bl_parent_id = "VIDEO_MOCAP_PT_capture"

    def draw(self, context: bpy.types.Context) -> None:
        layout, entry = self.layout, chosen(context)
        settings = entry.cleaning
        if reason := stage.obstacle(entry):
            wrapped(layout, reason, "INFO")
            return
        if settings.edited:
            box = layout.box().column(align=True)
            wrapped(box, "Keys were changed by hand. Apply keeps them; after that the settings start anew.", "INFO")
            box.operator("video_mocap.clean_discard", icon="TRASH")
        row = layout.row(align=True)
        row.enabled = bool(settings.raw)
        row.prop(settings, "show", expand=True)
        row = layout.row(align=True)
        row.operator("video_mocap.clean_apply", icon="CHECKMARK")
        row.operator("video_mocap.clean_raw", icon="LOOP_BACK")


class VIDEO_MOCAP_PT_clean_world(_Panel, bpy.types.Panel):
    """Floor, upright, facing."""

    bl_label = "Floor and facing"
    bl_parent_id = "VIDEO_MOCAP_PT_cleaning"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.begin(context)
        column = layout.column(align=True)
        row = column.row(align=True)
        row.operator("video_mocap.clean_floor", text="Floor from feet").source = "FEET"
        row.operator("video_mocap.clean_floor_pick", text="By a click", icon="EYEDROPPER")
        row = column.row(align=True)
        row.use_property_split = False
        row.prop(settings, "height")
        row.operator("video_mocap.clean_floor", text="Set").source = "HEIGHT"
        row = layout.row(align=True)
        row.operator("video_mocap.clean_upright")
        row.operator("video_mocap.clean_forward")
        column = layout.column(align=True)
        column.prop(settings, "lift")
        column.prop(settings, "turn")
        column.prop(settings, "lean_forward")
        column.prop(settings, "lean_left")
        row = layout.row()
        row.use_property_split = False  # its name is long
        row.prop(settings, "together")


class VIDEO_MOCAP_PT_clean_smooth(_Panel, bpy.types.Panel):
    """Smoothing by limb; hands."""

    bl_label = "Smoothing and hands"
    bl_parent_id = "VIDEO_MOCAP_PT_cleaning"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.begin(context)
        layout.column().prop(settings, "smooth_all", slider=True)
        column = layout.column(align=True)
        for limb in (*LIMBS, PATH):
            column.prop(settings, limb, slider=True)
        column = layout.column(align=True)
        column.prop(settings, "left_hand", slider=True)
        column.prop(settings, "right_hand", slider=True)


class VIDEO_MOCAP_PT_clean_contacts(_Panel, bpy.types.Panel):
    """When which foot stands."""

    bl_label = "Contacts"
    bl_parent_id = "VIDEO_MOCAP_PT_cleaning"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.begin(context)
        if not settings.raw:
            layout.operator("video_mocap.contacts_show", icon="VIEWZOOM")
            return
        row = layout.row()
        row.template_list(
            "VIDEO_MOCAP_UL_contacts", "", settings, "contacts", settings, "active_contact", rows=5, sort_lock=True
        )
        column = row.column(align=True)
        column.operator_menu_enum("video_mocap.contact_add", "track", text="", icon="ADD")
        column.operator("video_mocap.contact_remove", text="", icon="REMOVE")
        column.separator()
        column.operator("video_mocap.contact_here", text="", icon="RESTRICT_SELECT_OFF")
        row = layout.row(align=True)
        row.operator("video_mocap.contact_edge", text="Begins here").edge = "start"
        row.operator("video_mocap.contact_edge", text="Ends here").edge = "end"
        row.operator("video_mocap.contact_move", text="", icon="TRIA_LEFT").frames = -1
        row.operator("video_mocap.contact_move", text="", icon="TRIA_RIGHT").frames = 1


class VIDEO_MOCAP_PT_clean_loop(_Panel, bpy.types.Panel):
    """Loops and motions in place."""

    bl_label = "Loop and place"
    bl_parent_id = "VIDEO_MOCAP_PT_cleaning"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.begin(context)
        column = layout.column(align=True)
        column.prop(settings, "shortest")
        column.prop(settings, "longest")
        layout.operator("video_mocap.loop_find", icon="FILE_REFRESH")
        column = layout.column(align=True)
        column.prop(settings, "loop")
        if settings.loop:
            column.prop(settings, "loop_start")
            column.prop(settings, "loop_end")
            column.prop(settings, "blend")
            column.prop(settings, "repeat")
        layout.prop(settings, "in_place")


classes = (
    VIDEO_MOCAP_UL_contacts,
    VIDEO_MOCAP_PT_cleaning,
    VIDEO_MOCAP_PT_clean_world,
    VIDEO_MOCAP_PT_clean_smooth,
    VIDEO_MOCAP_PT_clean_contacts,
    VIDEO_MOCAP_PT_clean_loop,
)
