"""What the add-on says in other languages, through Blender's own table: one module for each language.

A language is a module here with the dictionary `MESSAGES`, English text -> translation, named in LANGUAGES. `english`
holds all texts there are (packaging/messages.py writes it); a test says which ones a language lacks. Blender translates
labels and tooltips of classes by itself; what panels and reports put together goes through `tr`.
"""

from __future__ import annotations

from importlib import import_module

import bpy

LANGUAGES = {"de_DE": "german"}  # Blender's name of a language -> our module
OWN = "video_mocap"  # context of names that Blender's own table has in another sense ("Fast", "Raw")
CONTEXTS = ("*", "Operator", OWN)  # Blender looks for names of buttons in a context of their own


def table() -> dict[str, dict[tuple[str, str], str]]:
    """As Blender wants it: language -> (context, English) -> translation."""
    out = {}
    for language, name in LANGUAGES.items():
        messages = import_module(f".{name}", __package__).MESSAGES
        out[language] = {(context, text): said for text, said in messages.items() for context in CONTEXTS}
    return out


def tr(text: str, **values: object) -> str:
    """The text in the user's language, with {names} in it filled in afterwards."""
    said = bpy.app.translations.pgettext_iface(text)
    return said.format(**values) if values else said


def N_(text: str) -> str:  # noqa: N802  # gettext's usual name
    """Marks a text that is translated later, where it is shown."""
    return text


def register() -> None:
    """Hand the table to Blender."""
    bpy.app.translations.register(__package__, table())


def unregister() -> None:
    """Undo `register`."""
    bpy.app.translations.unregister(__package__)
