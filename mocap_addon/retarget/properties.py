"""What the sidebar asks for when a take goes onto a character, kept with the scene."""

import json

import bpy
import numpy as np

from .. import compat
from . import character, ghost, table
from .model import Mapping, Options


def _is_rig(settings: "VideoMocapRetarget", item: bpy.types.Object) -> bool:
    return item.type == "ARMATURE"


def _target_changed(settings: "VideoMocapRetarget", context: bpy.types.Context) -> None:
    settings.close_ghost()  # it is of another one
    settings.rows.clear()
    if settings.target:
        character.recognise_into(settings, settings.target)


class VideoMocapBone(bpy.types.PropertyGroup):
    """One row of the mapping: which bone plays a role."""

    role: bpy.props.StringProperty(description="What the bone is for")
    bone: bpy.props.StringProperty(name="Bone", description="Bone of the character that plays this role")
    twist: bpy.props.BoolProperty(description="The bone shares the roll of the role's bone")
    guess: bpy.props.StringProperty(description="The bone that was recognised")
    confidence: bpy.props.FloatProperty(description="How sure the recognition of the bone is")
    correction: bpy.props.FloatVectorProperty(
        description="Correction of the calibration pose, in the bone's own axes", size=4, default=(1.0, 0.0, 0.0, 0.0)
    )


class VideoMocapRetarget(bpy.types.PropertyGroup):
    """Target character, mapping and choices of the next retargeting."""

    target: bpy.props.PointerProperty(
        name="Character",
        description="The armature that gets the motion",
        type=bpy.types.Object,
        poll=_is_rig,
        update=_target_changed,
    )
    source: bpy.props.EnumProperty(
        name="Motion",
        description="Where the motion comes from",
        items=(
            ("TAKE", "Take", "The take that is chosen in the list of takes"),
            ("FILE", "File", "A file: a take, AMASS or SMPL-X .npz, or .bvh"),
        ),
    )
    file: bpy.props.StringProperty(
        name="Motion file",
        description="AMASS or SMPL-X .npz, or .bvh",
        subtype="FILE_PATH",
        options=compat.RELATIVE_PATH,
    )
    family: bpy.props.StringProperty(name="Rig", description="Kind of rig that was recognised")
    rows: bpy.props.CollectionProperty(type=VideoMocapBone)
    active_row: bpy.props.IntProperty(name="Bone", description="The chosen row of the mapping")
    unmapped: bpy.props.StringProperty(description="JSON list of the bones without a role")
    show_unmapped: bpy.props.BoolProperty(name="Bones without a role", description="Name them all")

    root: bpy.props.EnumProperty(
        name="Root motion",
        description="Which bone carries the character through the scene",
        items=(
            ("hips", "Hips", "The hips carry all of the motion"),
            ("bone", "Root bone", "The root bone carries the way over the floor and the heading"),
            ("in_place", "In place", "The character stays where it is"),
        ),
    )
    lock: bpy.props.BoolVectorProperty(
        name="Lock", description="Axes of the scene along which the character does not move", subtype="XYZ"
    )
    scale_mode: bpy.props.EnumProperty(
        name="Travel",
        description="How far the character goes",
        items=(
            ("hip_height", "By hip height", "Distances scale with the length of the character's legs"),
            ("factor", "Factor", "The captured distance, multiplied"),
        ),
    )
    scale: bpy.props.FloatProperty(
        name="Factor", description="Metres of the character for a captured metre", default=1.0, min=0.001, soft_max=10.0
    )
    feet: bpy.props.BoolProperty(
        name="Plant feet", description="Planted feet stay where they are; nothing sinks into the floor", default=True
    )
    fingers: bpy.props.BoolProperty(name="Fingers", description="Move the fingers", default=True)
    ik_controls: bpy.props.BoolProperty(
        name="Key IK controls too", description="Foot and hand targets and poles are keyed to match the FK bones"
    )

    span: bpy.props.EnumProperty(
        name="Range",
        description="Which part of the motion is keyed",
        items=(
            ("ALL", "Whole motion", "All of it"),
            ("SCENE", "Scene range", "What lies in the frame range of the scene, or in its preview range"),
            ("FRAMES", "Frames", "What lies between two frames"),
        ),
    )
    first: bpy.props.IntProperty(name="First", description="First frame", default=1)
    last: bpy.props.IntProperty(name="Last", description="Last frame", default=250)
    whole_frames: bpy.props.BoolProperty(
        name="Keys on whole frames",
        description="Keys lie on the frames of the scene; otherwise at the very times of the motion",
        default=True,
    )
    reduce: bpy.props.BoolProperty(name="Reduce keys", description="Leave out keys that make no visible difference")
    bound: bpy.props.FloatProperty(
        name="Largest error",
        description="Degrees by which reducing keys may turn a bone",
        default=0.5,
        min=0.01,
        max=20.0,
    )
    nla: bpy.props.BoolProperty(
        name="Push to NLA", description="Put the action onto an NLA track of its own instead of playing it directly"
    )
    ghost: bpy.props.PointerProperty(
        name="Calibration", description="Temporary armature that shows the calibration pose", type=bpy.types.Object
    )

    def shown_ghost(self) -> bpy.types.Object | None:
        """The calibration view; one that the user deleted is only kept by our pointer."""
        return self.ghost if self.ghost and self.ghost.users_scene else None

    def close_ghost(self) -> None:
        """Remove the calibration view, if there is one."""
        shown, self.ghost = self.ghost, None
        if shown:
            ghost.remove(shown)

    def take_over(self, armature: bpy.types.Object) -> None:
        """Go on with an override of the linked character, and with what the table says."""
        if self.target != armature:
            mapping = self.mapping()
            self.target = armature
            self.set_mapping(mapping)

    def set_mapping(self, mapping: Mapping) -> None:
        """Show a mapping in the table."""
        self.family = mapping.family
        self.unmapped = json.dumps(mapping.unmapped, ensure_ascii=False)
        self.rows.clear()
        for role, bone, twist in table.rows_of(mapping):
            row = self.rows.add()
            row.name = table.label(role, twist)
            row.role, row.bone, row.twist, row.guess = role, bone, twist, bone
            row.confidence = mapping.confidence.get(bone, 0.0)
            row.correction = mapping.corrections.get(bone, (1.0, 0.0, 0.0, 0.0))
        self.active_row = 0

    def mapping(self) -> Mapping:
        """The table as it stands; bones that the user chose are certain."""
        rows = [(row.role, row.bone, row.twist) for row in self.rows]
        named = [row for row in self.rows if row.bone]
        mapped = {row.bone for row in named}
        given = {row.guess for row in self.rows if row.guess}
        unmapped = [name for name in json.loads(self.unmapped or "[]") if name not in mapped]
        return Mapping(
            family=self.family,
            bones=table.bones_of(rows, twists=False),
            twists=table.bones_of(rows, twists=True),
            confidence={row.bone: row.confidence if row.bone == row.guess else 1.0 for row in named},
            corrections={
                row.bone: np.array(row.correction, float)
                for row in named
                if tuple(row.correction) != (1.0, 0.0, 0.0, 0.0)
            },
            unmapped=unmapped + sorted(given - mapped),
        )

    def options(self) -> Options:
        """The choices, as the solver has them."""
        return Options(
            root=self.root,
            lock=tuple(self.lock),
            scale="hip_height" if self.scale_mode == "hip_height" else self.scale,
            feet=self.feet,
            fingers=self.fingers,
            ik_controls=self.ik_controls,
        )

    def frame_range(self, scene: bpy.types.Scene) -> tuple[float, float] | None:
        """First and last scene frame to key; None for all."""
        if self.span == "ALL":
            return None
        if self.span == "FRAMES":
            return self.first, self.last
        if scene.use_preview_range:
            return scene.frame_preview_start, scene.frame_preview_end
        return scene.frame_start, scene.frame_end


classes = (VideoMocapBone, VideoMocapRetarget)
