"""The buttons of retargeting."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper

from ...backend.core.errors import MocapError
from .. import operators
from ..cleaning import stage as cleaning
from ..guarded import Guarded as _Guarded
from ..translations import tr
from . import blender, character, character_export, doctor, export, ghost, presets, recognise, sources, table
from .actions import Keying
from .character import Span
from .model import SourceMotion

report: list[doctor.Line] = []  # what the rig doctor found last
reported = ""  # and on which armature


def settings_of(context: bpy.types.Context):
    """What the sidebar says about retargeting."""
    return context.scene.video_mocap.retarget


def motion_path(context: bpy.types.Context) -> tuple[str, Path]:
    """Name and file of the chosen motion. Raises MocapError motion-unreadable."""
    settings = settings_of(context)
    if settings.source == "FILE":
        path = Path(bpy.path.abspath(settings.file))
        if not settings.file:
            raise MocapError("motion-unreadable", "No motion file is chosen.", "Choose one.")
        return path.stem, path
    entry = operators.chosen(context)
    if entry is None:
        raise MocapError("motion-unreadable", "No take is chosen.", "Capture or load one, or choose a motion file.")
    if not entry.path:
        raise MocapError(
            "motion-unreadable", f"{entry.name} is partial and has no file.", "Capture it again to complete it."
        )
    return entry.name, Path(bpy.path.abspath(entry.path))


def chosen_motion(context: bpy.types.Context) -> tuple[str, SourceMotion]:
    """Name of the chosen motion, and the motion itself. Raises MocapError."""
    if settings_of(context).source == "TAKE" and (entry := operators.chosen(context)) is not None:
        if cleaned := cleaning.shown_motion(context.scene, entry):
            return entry.name, cleaned
    name, path = motion_path(context)
    return name, sources.read_motion(path)


class _OnTarget(_Guarded):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        target = settings_of(context).target
        if target is None or not (target.users_scene or target.library):  # a deleted one is only kept by our pointer
            cls.poll_message_set(tr("Choose a character first"))
            return False
        return True


class VIDEO_MOCAP_OT_retarget(_OnTarget, bpy.types.Operator):
    """Put the chosen motion onto the character, as an action of its own"""

    bl_idname = "video_mocap.retarget"
    bl_label = "Retarget"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        try:
            _, path = motion_path(context)
        except MocapError as error:
            cls.poll_message_set(f"{tr(error.what)} {tr(error.fix)}")
            return False
        if not path.is_file():
            cls.poll_message_set(tr("There is no file {path}.", path=path))
            return False
        return True

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        name, motion = chosen_motion(context)
        outcome = character.retarget(
            context.scene,
            context.view_layer,
            settings.target,
            settings.mapping(),
            motion,
            name,
            settings.options(),
            Span(settings.frame_range(context.scene), settings.whole_frames),
            Keying(settings.bound if settings.reduce else None, settings.nla),
            motion_path(context)[1],
        )
        settings.take_over(outcome.armature)
        for note in outcome.notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, outcome.action.name)


class VIDEO_MOCAP_OT_rig_recognise(_OnTarget, bpy.types.Operator):
    """Find out again which bone is which; a preset of this skeleton is not used"""

    bl_idname = "video_mocap.rig_recognise"
    bl_label = "Recognise"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        settings.set_mapping(recognise.recognise(blender.read_rig(settings.target)))


class VIDEO_MOCAP_OT_rig_check(_OnTarget, bpy.types.Operator):
    """Look for what would fight retargeting: constraints, drivers, scale, missing or doubled bones, locks"""

    bl_idname = "video_mocap.rig_check"
    bl_label = "Check rig"
    bl_options = {"REGISTER"}

    def work(self, context: bpy.types.Context) -> None:
        global reported
        settings = settings_of(context)
        report[:] = doctor.examine(settings.target, settings.mapping(), settings.options())
        reported = settings.target.name
        for line in report:
            self.report({"INFO"}, f"{line.what} {line.fix}".strip())


class VIDEO_MOCAP_OT_bone_add(_OnTarget, bpy.types.Operator):
    """Add a bone to the chosen row's chain (spine or neck), or a twist bone to its role"""

    bl_idname = "video_mocap.bone_add"
    bl_label = "Add bone"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        if not 0 <= settings.active_row < len(settings.rows):
            return
        role = settings.rows[settings.active_row].role
        new = settings.rows.add()
        new.role, new.twist = role, role not in table.CHAINS
        new.name = table.label(role, new.twist)
        settings.rows.move(len(settings.rows) - 1, settings.active_row + 1)
        settings.active_row += 1


class VIDEO_MOCAP_OT_bone_remove(_OnTarget, bpy.types.Operator):
    """Take the bone out of the chosen row"""

    bl_idname = "video_mocap.bone_remove"
    bl_label = "Remove bone"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        if not 0 <= settings.active_row < len(settings.rows):
            return
        row = settings.rows[settings.active_row]
        others = [other for other in settings.rows if other.role == row.role and other.twist == row.twist]
        if row.twist or len(others) > 1:
            settings.rows.remove(settings.active_row)
            settings.active_row = max(0, settings.active_row - 1)
        else:
            row.bone = ""


class VIDEO_MOCAP_OT_preset_save(_OnTarget, bpy.types.Operator):
    """Keep the table and the calibration for this skeleton: they are found again by themselves"""

    bl_idname = "video_mocap.preset_save"
    bl_label = "Save preset"
    bl_options = {"REGISTER"}

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        path = save_preset(settings)
        self.report({"INFO"}, tr("Saved {path}.", path=path))


def save_preset(settings) -> Path:
    """Write the table as the preset of its skeleton. Raises MocapError output-unwritable."""
    rig = blender.read_rig(settings.target)
    return presets.save(character.presets_folder(), rig, settings.mapping(), settings.target.name)


class VIDEO_MOCAP_OT_preset_load(_OnTarget, bpy.types.Operator, ImportHelper):
    """Use a preset file: a mapping that was saved for this or for another character"""

    bl_idname = "video_mocap.preset_load"
    bl_label = "Load preset"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".json"
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.filepath = str(character.presets_folder()) + "/"
        return super().invoke(context, event)

    def work(self, context: bpy.types.Context) -> None:
        settings_of(context).set_mapping(presets.load(Path(self.filepath)))


class VIDEO_MOCAP_OT_calibration_show(_OnTarget, bpy.types.Operator):
    """Show the pose of the character that stands for the T-pose, on a temporary armature whose bones can be turned"""

    bl_idname = "video_mocap.calibration_show"
    bl_label = "Show calibration"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        settings.close_ghost()
        armature = character.editable(context.scene, context.view_layer, settings.target)
        settings.take_over(armature)
        measured, mapping, _ = character.prepare(armature, settings.mapping(), settings.options())
        settings.ghost = ghost.show(context.scene, armature, measured.rig, mapping)


class _OnGhost(_Guarded):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        settings = settings_of(context)
        return settings.target is not None and settings.shown_ghost() is not None


class VIDEO_MOCAP_OT_calibration_store(_OnGhost, bpy.types.Operator):
    """Keep how the bones of the calibration pose were turned, in the table and in the preset of this skeleton"""

    bl_idname = "video_mocap.calibration_store"
    bl_label = "Store"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> None:
        settings = settings_of(context)
        measured, mapping, _ = character.prepare(settings.target, settings.mapping(), settings.options())
        turned = ghost.corrections(settings.shown_ghost(), measured.rig, mapping)
        for row in settings.rows:
            row.correction = turned.get(row.bone, (1.0, 0.0, 0.0, 0.0))
        settings.close_ghost()
        save_preset(settings)
        self.report({"INFO"}, tr("{count} bones are corrected.", count=len(turned)))


class VIDEO_MOCAP_OT_calibration_close(_OnGhost, bpy.types.Operator):
    """Remove the temporary armature and change nothing"""

    bl_idname = "video_mocap.calibration_close"
    bl_label = "Close"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> None:
        settings_of(context).close_ghost()


class _Export(_Guarded, ExportHelper):
    bl_options = {"REGISTER"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            name = motion_path(context)[0]
        except MocapError:
            name = "motion"
        self.filepath = bpy.path.clean_name(name) + self.filename_ext
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class VIDEO_MOCAP_OT_export_bvh(_Export, bpy.types.Operator):
    """Write the chosen motion as BVH: y up, centimetres, rest pose the T-pose"""

    bl_idname = "video_mocap.export_bvh"
    bl_label = "Motion as BVH"

    filename_ext = ".bvh"

    def work(self, context: bpy.types.Context) -> None:
        export.write_bvh(Path(self.filepath), chosen_motion(context)[1])


class VIDEO_MOCAP_OT_export_amass(_Export, bpy.types.Operator):
    """Write the chosen motion as AMASS SMPL-X .npz: z up, metres"""

    bl_idname = "video_mocap.export_amass"
    bl_label = "Motion as AMASS"

    filename_ext = ".npz"

    def work(self, context: bpy.types.Context) -> None:
        export.write_amass(Path(self.filepath), chosen_motion(context)[1])


class VIDEO_MOCAP_OT_export_character(_OnTarget, bpy.types.Operator, ExportHelper):
    """Write the character with its meshes and its present motion, through Blender's own exporter"""

    bl_idname = "video_mocap.export_character"
    bl_label = "Character"
    bl_options = {"REGISTER"}

    filename_ext = ""
    kind: bpy.props.EnumProperty(
        name="Format",
        description="File format",
        items=(("FBX", "FBX", "For game engines and other animation software"), ("GLB", "GLB", "glTF, one file")),
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.filename_ext = f".{self.kind.lower()}"
        self.filepath = bpy.path.clean_name(settings_of(context).target.name) + self.filename_ext
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        return False  # the name may be any: the format is chosen by the button

    def work(self, context: bpy.types.Context) -> None:
        path, ending = Path(self.filepath), f".{self.kind.lower()}"
        stem = path.stem if path.suffix.lower() in {".fbx", ".glb"} else path.name  # names may have dots
        path = path.with_name(stem + ending)
        character_export.write_character(context.scene, settings_of(context).target, path)


classes = (
    VIDEO_MOCAP_OT_retarget,
    VIDEO_MOCAP_OT_rig_recognise,
    VIDEO_MOCAP_OT_rig_check,
    VIDEO_MOCAP_OT_bone_add,
    VIDEO_MOCAP_OT_bone_remove,
    VIDEO_MOCAP_OT_preset_save,
    VIDEO_MOCAP_OT_preset_load,
    VIDEO_MOCAP_OT_calibration_show,
    VIDEO_MOCAP_OT_calibration_store,
    VIDEO_MOCAP_OT_calibration_close,
    VIDEO_MOCAP_OT_export_bvh,
    VIDEO_MOCAP_OT_export_amass,
    VIDEO_MOCAP_OT_export_character,
)
