"""The buttons of cleaning. Each is one step to undo."""

import math

import bpy
from bpy_extras import view3d_utils
from mathutils import Vector

from .. import takes
from ..operators import chosen
from ..picker import over_view
from ..translations import N_, tr
from . import loop, stage, world


def now(entry: takes.VideoMocapTake) -> float:
    """The second of the clip that the take shows."""
    return (entry.id_data.frame_current_final - 1.0) / takes.rate(entry)


class CleaningOperator:
    """A button that changes the chosen take."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = stage.obstacle(chosen(context))
        if reason is None and chosen(context).cleaning.edited:
            reason = N_("Keys were changed by hand: apply or discard them first")
        if reason:
            cls.poll_message_set(tr(reason))
        return reason is None

    def changed(self, context: bpy.types.Context, **values: object) -> set[str]:
        """Change several settings at once, and compute."""
        entry = chosen(context)
        stage.begin(context.scene, entry)
        with stage.quiet():
            for name, value in values.items():
                setattr(entry.cleaning, name, value)
        if not stage.update(context.scene, entry):
            self.report({"ERROR"}, tr("Keys were changed by hand: apply or discard them first."))
            return {"CANCELLED"}
        return {"FINISHED"}


class VIDEO_MOCAP_OT_clean_floor(CleaningOperator, bpy.types.Operator):
    """Put the take onto the floor"""

    bl_idname = "video_mocap.clean_floor"
    bl_label = "Floor"
    bl_options = {"REGISTER", "UNDO"}

    source: bpy.props.EnumProperty(
        name="From",
        description="What tells where the floor is",
        items=(
            ("FEET", "Feet", "The floor is where planted feet stand"),
            ("HEIGHT", "Height", "What the feet stand on in this frame is that high"),
        ),
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return {
            "FEET": tr("Put the floor where the planted feet stand"),
            "HEIGHT": tr("Lift the take until the lowest foot of this frame is as high as given"),
        }[properties.source]

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, entry = context.scene, chosen(context)
        stage.begin(scene, entry)
        motion = stage.placed(scene, entry)
        if self.source == "FEET":
            lift = -world.floor_under_feet(motion)
        else:
            lift = entry.cleaning.height - world.lowest_at(motion, now(entry))[2]
        return self.changed(context, lift=entry.cleaning.lift + lift)


class VIDEO_MOCAP_OT_clean_floor_pick(CleaningOperator, bpy.types.Operator):
    """The floor where the user clicks."""

    bl_idname = "video_mocap.clean_floor_pick"
    bl_label = "Floor by a click"
    bl_description = (
        "Click where the floor is: on an object, and the lowest foot of this frame is put onto it; "
        "into the empty view beside a foot, and the floor is at that height"
    )
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if context.area is None or context.area.type != "VIEW_3D":
            self.report({"ERROR"}, tr("Click in a 3D view."))
            return {"CANCELLED"}
        context.window.cursor_modal_set("CROSSHAIR")
        context.workspace.status_text_set(tr("Click where the floor is. Esc: cancel."))
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type in ("ESC", "RIGHTMOUSE"):
            return self._end(context, {"CANCELLED"})
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}  # looking around goes on
        if stage.obstacle(chosen(context)) or context.area is None or not over_view(context.area, event):
            return self._end(context, {"CANCELLED"})
        region = next(r for r in context.area.regions if r.type == "WINDOW")
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        view = context.area.spaces.active.region_3d
        start = view3d_utils.region_2d_to_origin_3d(region, view, (x, y))
        along = view3d_utils.region_2d_to_vector_3d(region, view, (x, y))
        return self._end(context, self._put(context, start, along))

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends it: another file is opened."""
        self._end(context, {"CANCELLED"})

    def _end(self, context: bpy.types.Context, result: set[str]) -> set[str]:
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        return result

    def _put(self, context: bpy.types.Context, start: Vector, along: Vector) -> set[str]:
        """The floor where a ray of the view meets something, or passes the foot."""
        scene, entry = context.scene, chosen(context)
        stage.begin(scene, entry)
        foot = world.lowest_at(stage.placed(scene, entry), now(entry))
        found, place, _, _, target, _ = scene.ray_cast(context.view_layer.depsgraph, start, along)
        if found and target.parent != entry.armature:
            lift = (entry.armature.matrix_world.inverted() @ place).z - foot[2]
        else:
            lift = -_height_beside(entry.armature.matrix_world, start, along, Vector(foot))
        return self.changed(context, lift=entry.cleaning.lift + lift)


def _height_beside(place, start: Vector, along: Vector, foot: Vector) -> float:
    """Height over the armature's floor at which a ray passes the vertical through the foot, in the armature's space."""
    inside = place.inverted()
    start, along = inside @ start, (inside.to_3x3() @ along).normalized()
    level = Vector((along.x, along.y, 0.0))
    if level.length < 1e-3:  # straight from above: a click cannot say how high
        return 0.0
    away = Vector((foot.x - start.x, foot.y - start.y, 0.0))
    return start.z + along.z * away.dot(level) / level.length_squared


class VIDEO_MOCAP_OT_clean_upright(CleaningOperator, bpy.types.Operator):
    """Make the plane of the planted feet level"""

    bl_idname = "video_mocap.clean_upright"
    bl_label = "Level by the feet"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = chosen(context)
        stage.begin(context.scene, entry)
        lean = world.slope_under_feet(stage.base_motion(context.scene, entry), entry.cleaning.facing)
        if lean is None:
            self.report({"ERROR"}, tr("The planted feet are too near to each other to say what is level."))
            return {"CANCELLED"}
        return self.changed(context, lean_forward=lean[0], lean_left=lean[1])


class VIDEO_MOCAP_OT_clean_forward(CleaningOperator, bpy.types.Operator):
    """Turn the take so that the person faces the front view in this frame"""

    bl_idname = "video_mocap.clean_forward"
    bl_label = "Face forward"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = chosen(context)
        stage.begin(context.scene, entry)
        facing = world.facing_at(stage.placed(context.scene, entry), now(entry))
        turn = entry.cleaning.turn - facing
        return self.changed(context, turn=math.remainder(turn, 2 * math.pi))


class VIDEO_MOCAP_OT_loop_find(CleaningOperator, bpy.types.Operator):
    """Find the two frames that are most alike, in the scene's preview range if there is one, and loop between them"""

    bl_idname = "video_mocap.loop_find"
    bl_label = "Find loop"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, entry = context.scene, chosen(context)
        stage.begin(scene, entry)
        settings = entry.cleaning
        motion = stage.base_motion(scene, entry)
        first, last = float(motion.times[0]), float(motion.times[-1])
        if scene.use_preview_range:
            rate = takes.rate(entry)
            first, last = ((f - 1.0) / rate for f in (scene.frame_preview_start, scene.frame_preview_end))
        found = loop.find(motion, settings.shortest, max(settings.longest, settings.shortest), first, last)
        if found is None:
            self.report({"ERROR"}, tr("No two frames lie that far apart: change Shortest and Longest."))
            return {"CANCELLED"}
        text = tr(
            "Loop of {length:.2f} s; its ends differ by {off:.1f} cm.",
            length=found.end - found.start,
            off=100 * found.off,
        )
        self.report({"INFO"}, text)
        return self.changed(context, loop=True, loop_start=found.start, loop_end=found.end)


class VIDEO_MOCAP_OT_clean_apply(bpy.types.Operator):
    """Keep what is shown, with keys that were changed by hand, and go on from there; raw is kept, too"""

    bl_idname = "video_mocap.clean_apply"
    bl_label = "Apply"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        entry = chosen(context)
        reason = stage.obstacle(entry)
        if reason is None and not (entry.cleaning.cleaned or entry.cleaning.edited or entry.cleaning.waits):
            reason = N_("Nothing was changed")
        if reason:
            cls.poll_message_set(tr(reason))
        return reason is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        stage.apply(context.scene, chosen(context))
        return {"FINISHED"}


class VIDEO_MOCAP_OT_clean_discard(bpy.types.Operator):
    """Give up keys that were changed by hand since the last setting, and compute them anew"""

    bl_idname = "video_mocap.clean_discard"
    bl_label = "Discard hand edits"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        entry = chosen(context)
        if stage.obstacle(entry) or not entry.cleaning.edited:
            cls.poll_message_set(tr("No keys were changed by hand"))
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        stage.discard_edits(context.scene, chosen(context))
        return {"FINISHED"}


class VIDEO_MOCAP_OT_clean_raw(bpy.types.Operator):
    """Back to the take exactly as it was captured; all cleaning of it is lost"""

    bl_idname = "video_mocap.clean_raw"
    bl_label = "Back to raw"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        reason = stage.obstacle(chosen(context))
        if reason is None and not (chosen(context).cleaning.raw or chosen(context).cleaning.waits):
            reason = N_("Nothing was changed")
        if reason:
            cls.poll_message_set(tr(reason))
        return reason is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        stage.back_to_raw(context.scene, chosen(context))
        return {"FINISHED"}


classes = (
    VIDEO_MOCAP_OT_clean_floor,
    VIDEO_MOCAP_OT_clean_floor_pick,
    VIDEO_MOCAP_OT_clean_upright,
    VIDEO_MOCAP_OT_clean_forward,
    VIDEO_MOCAP_OT_loop_find,
    VIDEO_MOCAP_OT_clean_apply,
    VIDEO_MOCAP_OT_clean_discard,
    VIDEO_MOCAP_OT_clean_raw,
)
