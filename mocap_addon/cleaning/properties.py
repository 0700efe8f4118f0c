"""What the sidebar asks for when a take is cleaned, kept with the take."""

import json
from math import pi

import bpy

from ...backend.core.skeleton import CONTACTS
from ..translations import OWN
from .recipe import SHORTEST, Recipe, Span
from .smooth import FEEL

LABELS = {
    "trunk": "Trunk and head",
    "left_arm": "Left arm",
    "right_arm": "Right arm",
    "left_leg": "Left leg",
    "right_leg": "Right leg",
    "hands": "Fingers",
    "path": "Travel of the hips",
}
TRACKS = {name: name.replace("_", " ").capitalize() for name in CONTACTS}


def _changed(settings: "VideoMocapCleaning", context: bpy.types.Context) -> None:
    from . import later  # which itself needs these classes

    later.settings_changed(settings)


def _contact_changed(contact: "VideoMocapContact", context: bpy.types.Context) -> None:
    from . import later

    later.settings_changed(contact)


def _show(settings: "VideoMocapCleaning", context: bpy.types.Context) -> None:
    from . import stage

    stage.show_changed(settings)


def _frame(edge: str):
    """A contact's edge as a scene frame."""

    def get(contact: "VideoMocapContact") -> float:
        from . import stage

        return 1.0 + getattr(contact, edge) * stage.rate_of(contact)

    def put(contact: "VideoMocapContact", frame: float) -> None:
        from . import stage

        contact.set_edge(edge, (frame - 1.0) / stage.rate_of(contact))

    texts = {
        "start": ("First frame", "Scene frame from which the foot stands"),
        "end": ("Last frame", "Scene frame up to which the foot stands"),
    }
    name, description = texts[edge]
    return bpy.props.FloatProperty(name=name, description=description, get=get, set=put, precision=0, step=100)


class VideoMocapContact(bpy.types.PropertyGroup):
    """A span of time in which a heel or toes stand still."""

    track: bpy.props.EnumProperty(
        name="Contact",
        description="What stands on the ground",
        items=tuple((name, label, "") for name, label in TRACKS.items()),
        update=_contact_changed,
    )
    start: bpy.props.FloatProperty(description="First second", precision=4)
    end: bpy.props.FloatProperty(description="Last second", precision=4)
    first: _frame("start")
    last: _frame("end")

    def set_edge(self, edge: str, second: float) -> None:
        """Move the beginning or the end; the other edge gives way."""
        setattr(self, edge, second)
        if edge == "start":
            self.end = max(self.end, second + SHORTEST)
        else:
            self.start = min(self.start, second - SHORTEST)
        _contact_changed(self, bpy.context)


def _amount(name: str, description: str, update=_changed):
    return bpy.props.FloatProperty(
        name=name, description=description, min=0.0, max=3.0, soft_max=1.0, subtype="FACTOR", update=update
    )


def _limb(name: str):
    return _amount(LABELS[name], "How much jitter is taken out; fast moves are kept")


class VideoMocapCleaning(bpy.types.PropertyGroup):
    """Settings of one take's cleaning. The defaults leave the take as it is."""

    raw: bpy.props.PointerProperty(type=bpy.types.Action, description="The captured action")
    base: bpy.props.PointerProperty(type=bpy.types.Action, description="The action that is cleaned")
    cleaned: bpy.props.PointerProperty(type=bpy.types.Action, description="The action that came of it")
    raw_contacts: bpy.props.StringProperty(description="Contacts of the captured action, JSON")
    base_contacts: bpy.props.StringProperty(description="Contacts of the action that is cleaned, JSON")
    edited: bpy.props.BoolProperty(description="Keys of the cleaned action were changed by hand")
    waits: bpy.props.BoolProperty(description="Settings were changed; the cleaned action is still that of before")
    show: bpy.props.EnumProperty(
        name="Show",
        description="Which of the two moves the armature",
        items=(("RAW", "Raw", "The take as it was captured"), ("CLEANED", "Cleaned", "The take with these settings")),
        translation_context=OWN,
        default="CLEANED",
        update=_show,
    )

    trunk: _limb("trunk")
    left_arm: _limb("left_arm")
    right_arm: _limb("right_arm")
    left_leg: _limb("left_leg")
    right_leg: _limb("right_leg")
    hands: _limb("hands")
    path: _limb("path")
    smooth_all: _amount(
        "All limbs",
        "How much jitter is taken out of every limb; fast moves are kept, planted feet stay planted",
        update=lambda self, context: self.smooth_everything(),
    )

    left_hand: bpy.props.FloatProperty(
        name="Relax left hand",
        description="How far the fingers of the left hand come to a hand at ease",
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_changed,
    )
    right_hand: bpy.props.FloatProperty(
        name="Relax right hand",
        description="How far the fingers of the right hand come to a hand at ease",
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        update=_changed,
    )

    pivot: bpy.props.FloatVectorProperty(description="Point of the floor about which the take is turned")
    facing: bpy.props.FloatProperty(description="Where the person faces in the beginning")
    lean_forward: bpy.props.FloatProperty(
        name="Lean forwards",
        description="Turns the whole take forwards, on top of the upright that was found by the capture",
        subtype="ANGLE",
        min=-pi / 2,
        max=pi / 2,
        update=_changed,
    )
    lean_left: bpy.props.FloatProperty(
        name="Lean left",
        description="Turns the whole take to its left, on top of the upright that was found by the capture",
        subtype="ANGLE",
        min=-pi / 2,
        max=pi / 2,
        update=_changed,
    )
    turn: bpy.props.FloatProperty(
        name="Turn", description="Turns the whole take about the vertical", subtype="ANGLE", update=_changed
    )
    lift: bpy.props.FloatProperty(
        name="Lift", description="Raises the whole take; the floor is at height 0", subtype="DISTANCE", update=_changed
    )
    together: bpy.props.BoolProperty(
        name="Everyone and the camera",
        description="Floor, upright and facing are those of the whole clip: of everyone in it and of its camera",
        default=True,
        update=_changed,
    )
    height: bpy.props.FloatProperty(
        name="Height",
        description="How high the ground under the feet is in this frame, over the floor",
        subtype="DISTANCE",
    )

    loop: bpy.props.BoolProperty(
        name="Loop", description="Keep only the part whose end runs into its beginning", update=_changed
    )
    loop_start: bpy.props.FloatProperty(name="From", description="Second at which the loop begins", update=_changed)
    loop_end: bpy.props.FloatProperty(name="To", description="Second at which the loop ends", update=_changed)
    shortest: bpy.props.FloatProperty(
        name="Shortest", description="Seconds that a loop lasts at least", default=0.6, min=0.1
    )
    longest: bpy.props.FloatProperty(
        name="Longest", description="Seconds that a loop lasts at most", default=3.0, min=0.2
    )
    blend: bpy.props.FloatProperty(
        name="Blend",
        description="Seconds over which the end of the loop fades into its beginning",
        default=0.3,
        min=0.0,
        update=_changed,
    )
    repeat: bpy.props.BoolProperty(
        name="Repeat", description="The loop goes on and on (a modifier on its curves)", default=True, update=_changed
    )
    in_place: bpy.props.EnumProperty(
        name="In place",
        description="Remove the movement across the floor",
        items=(
            ("NONE", "Off", "The person goes where they went"),
            ("SWAY", "Keep the sway", "The person stays in place; the hips still sway"),
            ("FIXED", "Fixed", "The hips stay over one spot"),
        ),
        update=_changed,
    )

    contacts: bpy.props.CollectionProperty(type=VideoMocapContact)
    active_contact: bpy.props.IntProperty(name="Contact", description="The chosen contact")

    def smooth_everything(self) -> None:
        """The slider over all limbs."""
        from . import later, stage

        with stage.quiet():
            for limb in FEEL:
                setattr(self, limb, self.smooth_all)
        later.settings_changed(self)

    def actions(self) -> list[bpy.types.Action]:
        """All actions that this cleaning knows, each once."""
        known = [action for action in (self.raw, self.base, self.cleaned) if action]
        return [action for i, action in enumerate(known) if action not in known[:i]]

    def spans(self) -> tuple[Span, ...]:
        """The contacts of the list."""
        return tuple(Span(CONTACTS.index(contact.track), contact.start, contact.end) for contact in self.contacts)

    def set_spans(self, spans: tuple[Span, ...]) -> None:
        """Fill the list of contacts."""
        self.contacts.clear()
        for span in spans:
            contact = self.contacts.add()
            contact.track, contact.start, contact.end = CONTACTS[span.track], span.start, span.end
        self.active_contact = min(self.active_contact, max(0, len(spans) - 1))

    def kept_spans(self, of: str) -> tuple[Span, ...]:
        """The contacts that `raw` or `base` had before any change."""
        return tuple(Span(*span) for span in json.loads(getattr(self, f"{of}_contacts") or "[]"))

    def recipe(self) -> Recipe:
        """The settings as plain data."""
        return Recipe(
            smoothing={limb: getattr(self, limb) for limb in FEEL},
            spans=self.spans(),
            left_hand=self.left_hand,
            right_hand=self.right_hand,
            pivot=tuple(self.pivot),
            facing=self.facing,
            lean=(self.lean_forward, self.lean_left),
            turn=self.turn,
            lift=self.lift,
            loop=(self.loop_start, self.loop_end) if self.loop and self.loop_end > self.loop_start else None,
            blend=self.blend,
            in_place="" if self.in_place == "NONE" else self.in_place,
        )


SETTINGS = (
    *FEEL, "smooth_all", "left_hand", "right_hand", "lean_forward", "lean_left", "turn", "lift", "loop", "in_place",
)  # fmt: skip

classes = (VideoMocapContact, VideoMocapCleaning)
