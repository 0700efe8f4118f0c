"""Blender's undo history. What a timer makes belongs to no operator, so its steps have to be pushed by hand."""

from __future__ import annotations

import bpy


def push(message: str) -> None:
    """Remember the present state; nothing happens without a window, where Blender keeps no history."""
    windows = bpy.context.window_manager.windows
    if bpy.app.background or not windows:
        return
    with bpy.context.temp_override(window=windows[0]):
        # Sculpting and painting have histories of their own that a step from outside would disturb.
        if bpy.context.mode in ("OBJECT", "POSE") or bpy.context.mode.startswith("EDIT"):
            bpy.ops.ed.undo_push(message=message)
