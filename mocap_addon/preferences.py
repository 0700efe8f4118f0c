"""What belongs to the machine rather than to a shot."""

import bpy

from ..backend.core.errors import MocapError
from . import compat, doctor, environment, files

# What the backend is asked for; AUTO is the fastest device that every engine of it can use.
DEVICES = {"AUTO": "cpu", "CPU": "cpu"}


class VideoMocapPreferences(bpy.types.AddonPreferences):
    """Preferences of the extension."""

    bl_idname = files.EXTENSION

    python: bpy.props.StringProperty(
        name="Backend Python",
        description=f"Python that runs the capture. Empty: the one named by {environment.VARIABLE}, "
        "else the environment in the extension's own folder",
        subtype="FILE_PATH",
    )
    folder: bpy.props.StringProperty(
        name="Takes folder",
        description="Where takes are kept. Empty: a folder 'mocap' beside the saved .blend file, "
        "else the extension's own folder",
        subtype="DIR_PATH",
        options=compat.RELATIVE_PATH,
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What computes",
        items=(
            ("AUTO", "Automatic", "The fastest device that the engines can use"),
            ("CPU", "CPU", "The processor"),
        ),
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python")
        layout.prop(self, "folder")
        layout.prop(self, "device")
        row = layout.row()
        row.enabled = not (doctor.latest and doctor.latest.running)
        row.operator("video_mocap.check", icon="CHECKMARK")
        if doctor.latest:
            box = layout.box().column(align=True)
            if doctor.latest.running:
                box.label(text="Checking the backend ...", icon="SORTTIME")
            for fine, text in doctor.latest.lines:
                box.label(text=text, icon="CHECKMARK" if fine else "ERROR")


def get() -> VideoMocapPreferences:
    """The preferences of this extension."""
    return bpy.context.preferences.addons[files.EXTENSION].preferences


class VIDEO_MOCAP_OT_check(bpy.types.Operator):
    """Run the backend's own check-up: packages, models, engines, devices"""

    bl_idname = "video_mocap.check"
    bl_label = "Check"

    def execute(self, context: bpy.types.Context) -> set[str]:
        doctor.start(get().python, files.user_folder())
        return {"FINISHED"}


def backend_obstacle() -> str:
    """Why no backend can be started, as far as can be told without starting anything; "" when it can."""
    try:
        environment.locate(get().python, files.user_folder())
    except MocapError as error:
        return error.what
    return ""


classes = (VideoMocapPreferences, VIDEO_MOCAP_OT_check)
