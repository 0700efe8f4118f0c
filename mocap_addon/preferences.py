"""What belongs to the machine rather than to a shot."""

import bpy

from ..backend.core.errors import MocapError
from . import compat, environment, files


def _other_python(prefs: "VideoMocapPreferences", context: bpy.types.Context) -> None:
    from . import doctor  # which itself needs the preferences

    environment.forget()
    doctor.forget()


class VideoMocapPreferences(bpy.types.AddonPreferences):
    """Preferences of the extension."""

    bl_idname = files.EXTENSION

    python: bpy.props.StringProperty(
        name="Backend Python",
        description=f"Python that runs the capture. Empty: the one named by {environment.VARIABLE}, "
        "else the environment in the extension's own folder",
        subtype="FILE_PATH",
        update=_other_python,
    )
    folder: bpy.props.StringProperty(
        name="Takes folder",
        description="Where takes are kept. Empty: a folder 'mocap' beside the saved .blend file, "
        "else the extension's own folder",
        subtype="DIR_PATH",
        options=compat.RELATIVE_PATH,
    )
    smplx: bpy.props.StringProperty(
        name="SMPL-X model",
        description="Your own SMPL-X model file (.npz), for takes that wear its body; its licence is between you and "
        "its makers",
        subtype="FILE_PATH",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What computes",
        items=(
            ("AUTO", "Automatic", "The fastest device that the engines can use"),
            ("CPU", "CPU", "The processor"),
            ("CUDA", "GPU", "A card of NVIDIA or AMD, for published models; needs the PyTorch built for it"),
            ("MPS", "Apple GPU", "For published models; needs PyTorch"),
        ),
    )

    build: bpy.props.EnumProperty(
        name="PyTorch",
        description="Which build of PyTorch is added for published models",
        items=(
            ("AUTO", "Automatic", "What fits this machine"),
            ("CPU", "CPU", "For the processor: small, and slow with published models"),
            ("CUDA", "NVIDIA GPU", "For cards of NVIDIA; some gigabytes. It also runs on the processor"),
            ("MPS", "Apple GPU", "For Apple silicon"),
        ),
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "python")
        layout.prop(self, "folder")
        layout.prop(self, "smplx")
        layout.prop(self, "device")
        from . import models  # these need the preferences themselves
        from .setup import group_panel, panel

        panel.draw_preferences(layout)
        group_panel.draw(layout)
        models.draw(layout)


def get() -> VideoMocapPreferences:
    """The preferences of this extension."""
    return bpy.context.preferences.addons[files.EXTENSION].preferences


def backend_obstacle() -> MocapError | None:
    """Why no backend can be started, as far as can be told without starting anything."""
    try:
        environment.locate(get().python, files.user_folder())
    except MocapError as error:
        return error
    return None


classes = (VideoMocapPreferences,)
