"""The buttons of contacts: spans in which a heel or toes stand. Each is one step to undo."""

import bpy

from ...backend.core.skeleton import CONTACTS
from .. import takes
from ..operators import chosen
from ..translations import tr
from . import stage
from .operators import CleaningOperator, now
from .properties import TRACKS
from .recipe import Span

NEW = 0.2  # seconds of a contact that is added
FRAME_TOLERANCE = 0.02  # seconds


class VIDEO_MOCAP_OT_contacts_show(CleaningOperator, bpy.types.Operator):
    """List the spans in which heels and toes stand on the ground"""

    bl_idname = "video_mocap.contacts_show"
    bl_label = "Show contacts"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        stage.begin(context.scene, chosen(context))
        return {"FINISHED"}


class _ContactOperator(CleaningOperator):
    """An operator on the chosen contact."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        settings = chosen(context).cleaning
        if not 0 <= settings.active_contact < len(settings.contacts):
            cls.poll_message_set(tr("Choose a contact first"))
            return False
        return True

    def put(self, context: bpy.types.Context, spans: tuple[Span, ...], chosen_span: Span | None = None) -> set[str]:
        """A new list of contacts, and the motion that comes of it."""
        settings = chosen(context).cleaning
        before = settings.spans()
        spans = stage.spans_moved(spans)
        with stage.quiet():
            settings.set_spans(spans)
            if chosen_span is not None:
                same = (i for i, s in enumerate(spans) if s.track == chosen_span.track)
                inside = (i for i in same if spans[i].start <= chosen_span.start <= spans[i].end)
                settings.active_contact = next(inside, settings.active_contact)
        if self.changed(context) == {"CANCELLED"}:
            with stage.quiet():
                settings.set_spans(before)
            return {"CANCELLED"}
        return {"FINISHED"}


class VIDEO_MOCAP_OT_contact_add(_ContactOperator, bpy.types.Operator):
    """Let a heel or toes stand from this frame on; the root and the legs are solved again around it"""

    bl_idname = "video_mocap.contact_add"
    bl_label = "Add contact"
    bl_options = {"REGISTER", "UNDO"}

    track: bpy.props.EnumProperty(
        name="Contact",
        description="Which part of which foot",
        items=tuple((name, label, "") for name, label in TRACKS.items()),
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return super(_ContactOperator, cls).poll(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        entry = chosen(context)
        second = now(entry)
        stage.begin(context.scene, entry)
        span = Span(CONTACTS.index(self.track), second, second + NEW)
        return self.put(context, (*entry.cleaning.spans(), span), span)


class VIDEO_MOCAP_OT_contact_remove(_ContactOperator, bpy.types.Operator):
    """Let the foot go in this span; the root and the legs are solved again around it"""

    bl_idname = "video_mocap.contact_remove"
    bl_label = "Remove contact"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = chosen(context).cleaning
        spans = list(settings.spans())
        del spans[settings.active_contact]
        return self.put(context, tuple(spans))


class VIDEO_MOCAP_OT_contact_edge(_ContactOperator, bpy.types.Operator):
    """Let the chosen contact begin or end at the current frame"""

    bl_idname = "video_mocap.contact_edge"
    bl_label = "Contact's edge to this frame"
    bl_options = {"REGISTER", "UNDO"}

    edge: bpy.props.EnumProperty(
        name="Edge",
        description="Which end of the span",
        items=(("start", "Begins here", ""), ("end", "Ends here", "")),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings, second = chosen(context).cleaning, now(chosen(context))
        spans = list(settings.spans())
        span = spans[settings.active_contact]._replace(**{self.edge: second})
        if span.end <= span.start:
            self.report({"ERROR"}, tr("A contact has to end after it begins."))
            return {"CANCELLED"}
        spans[settings.active_contact] = span
        return self.put(context, tuple(spans), span)


class VIDEO_MOCAP_OT_contact_move(_ContactOperator, bpy.types.Operator):
    """Move the chosen contact by frames of the scene"""

    bl_idname = "video_mocap.contact_move"
    bl_label = "Move contact"
    bl_options = {"REGISTER", "UNDO"}

    frames: bpy.props.IntProperty(name="Frames", description="How many frames later", default=1)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = chosen(context).cleaning
        spans, step = list(settings.spans()), self.frames / takes.rate(chosen(context))
        span = spans[settings.active_contact]
        spans[settings.active_contact] = span._replace(start=span.start + step, end=span.end + step)
        return self.put(context, tuple(spans), spans[settings.active_contact])


class VIDEO_MOCAP_OT_contact_here(_ContactOperator, bpy.types.Operator):
    """Choose the contact of this frame; pressed again, the next one of this frame. Where there is none, the next"""

    bl_idname = "video_mocap.contact_here"
    bl_label = "Contact of this frame"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings, second = chosen(context).cleaning, now(chosen(context))
        spans = settings.spans()
        here = [i for i, s in enumerate(spans) if s.start - FRAME_TOLERANCE <= second <= s.end + FRAME_TOLERANCE]
        here = here or [i for i, s in enumerate(spans) if s.start > second][:1] or [len(spans) - 1]
        after = [i for i in here if i > settings.active_contact]
        settings.active_contact = (after or here)[0]
        return {"FINISHED"}


classes = (
    VIDEO_MOCAP_OT_contacts_show,
    VIDEO_MOCAP_OT_contact_add,
    VIDEO_MOCAP_OT_contact_remove,
    VIDEO_MOCAP_OT_contact_edge,
    VIDEO_MOCAP_OT_contact_move,
    VIDEO_MOCAP_OT_contact_here,
)
