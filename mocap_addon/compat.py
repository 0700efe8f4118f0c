"""What differs between Blender 4.2 and 5.2. The only module that knows versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

# Lets a file property hold a path relative to the .blend ("//..."); up to 4.4 all of them did.
RELATIVE_PATH = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()
# For `draw_texture_2d` of a picture over a view: since 5.0 it has to be told, else pictures are much too dark.
PICTURE_COLOURS = {"is_scene_linear_with_rec709_srgb_target": True} if bpy.app.version >= (5, 0) else {}
# The handlers of what was appended or linked, called from 4.3 on.
IMPORTED = getattr(bpy.app.handlers, "blend_import_post", [])


def curve_owner(action: bpy.types.Action, id_block: bpy.types.ID) -> bpy.types.Action | bpy.types.ActionChannelbag:
    """What holds the F-curves and groups of `action` for `id_block`, made when missing; the action is assigned.

    The action itself in 4.2 and 4.3, the channelbag of its slot from 4.4 on.
    """
    animation = id_block.animation_data or id_block.animation_data_create()
    if animation.action != action:
        animation.action = action
    if not hasattr(action, "slots"):
        return action
    if animation.action_slot is None:
        animation.action_slot = action.slots.new(id_block.id_type, id_block.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(animation.action_slot, ensure=True)


def assign(id_block: bpy.types.ID, action: bpy.types.Action) -> None:
    """Let an action animate an object; of its slots the one that was made for it, where there are slots."""
    animation = id_block.animation_data or id_block.animation_data_create()
    animation.action = action
    if hasattr(action, "slots") and animation.action_slot is None and action.slots:
        animation.action_slot = action.slots[0]


def curves(action: bpy.types.Action, owner: bpy.types.ID | None = None) -> list[bpy.types.FCurve]:
    """All F-curves of an action, whatever they animate. owner: only those that move it, where the action has a slot
    named like the one that it uses."""
    if not hasattr(action, "slots"):
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    if owner and owner.animation_data:
        slot = owner.animation_data.last_slot_identifier
        bags = [bag for bag in bags if bag.slot.identifier == slot] or bags
    return [curve for bag in bags for curve in bag.fcurves]


def movies_are_upright() -> bool:
    """Whether Blender obeys a video's rotation metadata by itself (from 4.5 on)."""
    return bpy.app.version >= (4, 5)


@contextmanager
def paused_animation(id_block: bpy.types.ID) -> Iterator[None]:
    """Without the action and the strips that animate it; drivers go on. Everything is put back at the end."""
    animation = id_block.animation_data
    if animation is None:
        yield
        return
    action, strips = animation.action, animation.use_nla
    slot = animation.action_slot if hasattr(animation, "action_slot") else None
    try:
        animation.use_nla = False
        if action:
            animation.action = None
        yield
    finally:
        animation = id_block.animation_data
        animation.use_nla = strips
        if action:
            animation.action = action
            if slot is not None:
                animation.action_slot = slot


def share_slot(strip: bpy.types.NlaStrip, animation: bpy.types.AnimData) -> None:
    """Let an NLA strip play the slot that its owner uses, where there are slots."""
    if hasattr(strip, "action_slot"):
        strip.action_slot = animation.action_slot
