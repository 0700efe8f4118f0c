"""The buttons of the take list: deleting, solving again, finding lost files, looking."""

from __future__ import annotations

import json
from math import degrees
from pathlib import Path

import bpy
from bpy_extras.io_utils import ImportHelper

from ..backend.core.errors import MocapError
from ..backend.core.take import read_take
from . import doubt, environment, files, paths, preferences, properties, runner, takes
from .capture import Capture, Request, Resolve
from .guarded import Guarded
from .operators import TakeOperator, chosen
from .setup import operators as setup
from .translations import N_, tr

SOLVING = ("body", "feet", "orient", "root")  # the stages whose engines can be changed without the video


def _engine(stage: str, name: str):
    return bpy.props.StringProperty(
        name=name,
        description="Engine of this stage; the take's when empty",
        search=lambda self, context, text: properties.engines_named(stage, text),
    )


class VIDEO_MOCAP_OT_take_delete(TakeOperator):
    """Delete the take; asks what of it"""

    bl_idname = "video_mocap.take_delete"
    bl_label = "Delete take"
    bl_options = {"REGISTER", "UNDO"}

    armature: bpy.props.BoolProperty(
        name="Armature and keys",
        description="Remove the take's armature, its action and, with the last take of the clip, the camera",
        default=True,
        options={"SKIP_SAVE"},
    )
    file: bpy.props.BoolProperty(
        name="Take file on disk",
        description="Delete the file too, and with the last take of the capture what it was solved from. "
        "This cannot be undone",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(
            self, title=tr("Delete {name}?", name=chosen(context).name), confirm_text="Delete"
        )

    def draw(self, context: bpy.types.Context) -> None:
        entry = chosen(context)
        self.layout.prop(self, "armature")
        row = self.layout.row()
        row.active = bool(entry.path)
        row.prop(self, "file")
        if entry.path and self.file:
            self.layout.label(text=tr("{file} is deleted for good", file=Path(entry.path).name), icon="ERROR")

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = chosen(context)
        path = paths.absolute(entry.path) if entry.path else None
        takes.remove(context.scene, entry.key, keep_armature=not self.armature)
        if self.file and path:
            try:
                _delete_file(context.scene, path)
            except OSError as error:
                self.report({"ERROR"}, tr("{path} cannot be deleted ({reason}).", path=path, reason=error.strerror))
        return {"FINISHED"}


def _delete_file(scene: bpy.types.Scene, path: Path) -> None:
    """Delete a take file, and its keypoints when no other take beside it was solved from them."""
    keypoints = _observations(path)
    path.unlink(missing_ok=True)
    paths.forget()
    if keypoints and not any(_observations(other) == keypoints for other in path.parent.glob("*.npz")):
        keypoints.unlink(missing_ok=True)
        index = keypoints.with_suffix(".json")
        if index.is_file():
            index.unlink()


def _observations(take: Path) -> Path | None:
    """The keypoints that a take was solved from, where it says so and they are there."""
    try:
        named = read_take(take, ("provenance",)).provenance.get("observations", "")
    except MocapError:
        return None
    path = take.parent / named
    return path.resolve() if named and path.is_file() else None


def cannot_resolve(entry: takes.VideoMocapTake) -> str | None:
    """Why a take cannot be solved again, None when it can."""
    if not entry.path:
        return tr("A partial take has nothing to solve again from: capture again to complete it")
    if paths.missing(entry.path):
        return tr("The take file is missing: relocate it first")
    if setup.running:
        return tr("A set-up is running")
    obstacle = preferences.backend_obstacle()
    return obstacle.what if obstacle else None


def cannot_look(entry: takes.VideoMocapTake) -> str | None:
    """Why nobody can look through a take's camera, None when one can."""
    return None if takes.has_camera(entry) else tr("The take has no camera")


class VIDEO_MOCAP_OT_take_resolve(Guarded, TakeOperator):
    """The take once more, solved otherwise."""

    bl_idname = "video_mocap.take_resolve"
    bl_label = "Re-solve"
    bl_description = (
        "Solve the take again with another engine, lens or camera tilt, from what was seen in the video: "
        "takes seconds. The result is a new take beside this one"
    )
    bl_options = {"REGISTER"}  # it pushes its own undo step when it ends

    everyone: bpy.props.BoolProperty(
        name="Everyone of the clip",
        description="Solve everyone who was captured, so that they share one world; else this person alone",
        default=True,
    )
    engine_body: _engine("body", "Body")
    engine_feet: _engine("feet", "Feet")
    engine_orient: _engine("orient", "Upright")
    engine_root: _engine("root", "Root")
    lens_known: bpy.props.BoolProperty(name="Lens", description="Say how long the lens is instead of guessing it")
    lens: bpy.props.FloatProperty(
        name="35 mm equivalent",
        description="Focal length as for a full-frame camera, in millimetres; phones have 24 to 28",
        default=26.0,
        min=5.0,
        max=2000.0,
        precision=1,
    )
    tilt_known: bpy.props.BoolProperty(
        name="Tilt", description="Say how far the camera looks down instead of telling it by how people stand"
    )
    tilt: bpy.props.FloatProperty(
        name="Looking down by",
        description="Angle between the camera's line of sight and the horizon; negative when it looks up",
        subtype="ANGLE",
        min=-1.5,
        max=1.5,
    )

    plumb: bpy.props.StringProperty(
        name="Upright lines",
        description="JSON list of lines drawn along what is upright: [seconds, x0, y0, x1, y1], pixels of the clip",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if obstacle := cannot_resolve(chosen(context)):
            cls.poll_message_set(obstacle)
        return not obstacle

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(
            self, title=tr("Re-solve {name}", name=chosen(context).name), confirm_text="Re-solve"
        )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for stage in SOLVING:
            layout.prop(self, f"engine_{stage}", placeholder=tr("As in the take"))
        for heading, known, value in ((N_("Lens (35 mm)"), "lens_known", "lens"), (N_("Tilt"), "tilt_known", "tilt")):
            row = layout.row(heading=heading)
            row.prop(self, known, text="")
            part = row.row()
            part.active = getattr(self, known)
            part.prop(self, value, text="")
        layout.prop(self, "everyone")

    def work(self, context: bpy.types.Context) -> None:
        runner.start(context, self._capture(context), self.report)

    def _capture(self, context: bpy.types.Context) -> Capture:
        entry, prefs = chosen(context), preferences.get()
        path = paths.absolute(entry.path)
        observations = _observations(path)
        if observations is None:
            raise MocapError("keypoints-unreadable", f"What {path.name} was solved from is not beside it.")
        reserved = {waiting.request.output for waiting in runner.queue}
        request = Resolve(
            video=paths.absolute(entry.clip),
            observations=observations,
            take=path,
            output=files.new_output(path.parent, observations, reserved),
            label=self._label(),
            people=None if self.everyone else f"id{entry.track}",
            engines=self._engines(),
            focal=self.lens if self.lens_known else None,
            tilt=degrees(self.tilt) if self.tilt_known else None,
            plumb=json.loads(self.plumb) if self.plumb else None,
        )
        return Capture(environment.find(prefs.python, files.user_folder()), request, context.scene)

    def _engines(self) -> dict[str, str]:
        return {stage: name for stage in SOLVING if (name := getattr(self, f"engine_{stage}"))}

    def _label(self) -> str:
        """What is different, for the take's name."""
        parts = list(self._engines().values())
        parts += [f"{self.lens:g} mm"] if self.lens_known else []
        parts += [f"tilt {degrees(self.tilt):.0f}°"] if self.tilt_known else []
        parts += ["upright"] if self.plumb else []
        return ", ".join(parts) or "again"


class VIDEO_MOCAP_OT_relocate(Guarded, TakeOperator, ImportHelper):
    """Say where the missing file is now; others that are missing in the same folder are found with it"""

    bl_idname = "video_mocap.relocate"
    bl_label = "Relocate"
    bl_options = {"REGISTER", "UNDO"}

    kind: bpy.props.EnumProperty(
        name="File",
        items=(("path", "Take", "The take file"), ("clip", "Video", "The captured video")),
        options={"HIDDEN"},
    )

    def work(self, context: bpy.types.Context) -> set[str]:
        entry, found = chosen(context), Path(self.filepath)
        paths.forget()
        if not found.is_file():
            self.report({"ERROR"}, tr("There is no file {path}.", path=found))
            return {"CANCELLED"}
        if self.kind == "path":
            read_take(found, ("poses", "trans", "mocap_frame_rate"))
        old = paths.absolute(getattr(entry, self.kind))
        takes.relocate(context.scene, self.kind, old, found)
        paths.forget()
        return {"FINISHED"}


class VIDEO_MOCAP_OT_take_look(TakeOperator):
    """Look through the take's camera, with the clip behind the armature"""

    bl_idname = "video_mocap.take_look"
    bl_label = "Look through camera"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if obstacle := cannot_look(chosen(context)):
            cls.poll_message_set(obstacle)
        return not obstacle

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.scene.camera = chosen(context).camera
        space = context.space_data
        if space and space.type == "VIEW_3D":
            space.region_3d.view_perspective = "CAMERA"
        return {"FINISHED"}


class _Doubtful(TakeOperator):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        if not takes.present(chosen(context)):
            cls.poll_message_set(tr("The take's armature is gone"))
            return False
        return True


class VIDEO_MOCAP_OT_doubt_next(_Doubtful):
    """Go to the next frame in which a limb of the take is a guess (hidden, blurred, out of the picture)"""

    bl_idname = "video_mocap.doubt_next"
    bl_label = "Next doubtful frame"
    bl_options = {"REGISTER"}

    back: bpy.props.BoolProperty(name="Back", description="Go to the one before", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        span = doubt.next_span(takes.doubtful(scene, chosen(context)), scene.frame_current, self.back)
        if span is None:
            self.report({"INFO"}, tr("Nothing in this take is doubtful"))
            return {"CANCELLED"}
        scene.frame_set(round(span.start))
        limbs = ", ".join(span.limbs).capitalize()
        text = tr("{limbs}: frames {first:.0f} to {last:.0f}", limbs=limbs, first=span.start, last=span.end)
        self.report({"INFO"}, text)
        return {"FINISHED"}


class VIDEO_MOCAP_OT_doubt_mark(_Doubtful):
    """Put a marker wherever a limb of the take becomes a guess; take them away when they are there"""

    bl_idname = "video_mocap.doubt_mark"
    bl_label = "Mark doubtful frames"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, entry = context.scene, chosen(context)
        if doubt.marked(scene, entry.name):
            doubt.unmark(scene, entry.name)
        else:
            doubt.mark(scene, entry.name, takes.doubtful(scene, entry))
        return {"FINISHED"}


class VIDEO_MOCAP_OT_unfinished_continue(Guarded, bpy.types.Operator):
    """Go on with a capture that was broken off; what was tracked already is not done again"""

    bl_idname = "video_mocap.unfinished_continue"
    bl_label = "Continue"
    bl_options = {"REGISTER"}

    key: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if obstacle := preferences.backend_obstacle():
            cls.poll_message_set(obstacle.what)
            return False
        return True

    def work(self, context: bpy.types.Context) -> set[str]:
        job = _unfinished(self.key)
        if job is None:
            self.report({"INFO"}, tr("It is being captured already"))
            return {"CANCELLED"}
        python = environment.find(preferences.get().python, files.user_folder())
        capture = Capture(python, Request.from_message(job.request), context.scene, job.key)
        runner.start(context, capture, self.report)
        return {"FINISHED"}


class VIDEO_MOCAP_OT_unfinished_discard(bpy.types.Operator):
    """Forget a capture that was broken off and delete what was tracked for it; finished takes stay"""

    bl_idname = "video_mocap.unfinished_discard"
    bl_label = "Discard"
    bl_options = {"REGISTER"}

    key: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        if job := _unfinished(self.key):
            runner.jobs().discard(job)
        return {"FINISHED"}


def _unfinished(key: str):
    return next((job for job in runner.jobs().found(bpy.data.filepath) if job.key == key), None)


classes = (
    VIDEO_MOCAP_OT_take_delete,
    VIDEO_MOCAP_OT_take_resolve,
    VIDEO_MOCAP_OT_relocate,
    VIDEO_MOCAP_OT_take_look,
    VIDEO_MOCAP_OT_doubt_next,
    VIDEO_MOCAP_OT_doubt_mark,
    VIDEO_MOCAP_OT_unfinished_continue,
    VIDEO_MOCAP_OT_unfinished_discard,
)
