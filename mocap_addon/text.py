"""Texts in panels."""

import bpy

from .translations import tr


def wrapped(layout: bpy.types.UILayout, text: str, icon: str) -> None:
    """A text, in the user's language, on as many lines as the region's width asks for."""
    region = bpy.context.region
    width = max(20, int((region.width if region else 240) / (7.0 * bpy.context.preferences.system.ui_scale)) - 7)
    for i, line in enumerate(lines(tr(text), width)):
        layout.label(text=line, icon=icon if i == 0 else "BLANK1")


def lines(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` characters, broken at spaces; a longer word (a path) where its parts end."""
    broken = [""]
    for word in text.split():
        if broken[-1] and len(broken[-1]) + 1 + len(word) > width:
            broken.append("")
        broken[-1] = f"{broken[-1]} {word}".strip()
        while len(broken[-1]) > width:
            cut = max(broken[-1].rfind(mark, 0, width) + 1 for mark in r"/\-_.")
            cut = cut if cut > width // 3 else width
            broken[-1:] = [broken[-1][:cut], broken[-1][cut:]]
    return broken
