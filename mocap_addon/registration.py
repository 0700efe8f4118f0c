"""Everything that Blender is told about when the extension is enabled, and that is taken back when it is disabled."""

from __future__ import annotations

import atexit
from typing import Any

import bpy

from . import (
    cli,
    clip,
    doctor,
    help,
    models,
    operators,
    overlay,
    paths,
    people,
    picker,
    plumb,
    preferences,
    properties,
    runner,
    take_operators,
    take_panel,
    translations,
    ui,
)
from .cleaning import contacts as cleaning_contacts
from .cleaning import later as cleaning_later
from .cleaning import operators as cleaning_operators
from .cleaning import panel as cleaning_panel
from .retarget import operators as retarget_operators
from .retarget import panel as retarget_panel
from .setup import operators as setup_operators

CLASSES = (
    *preferences.classes,
    *help.classes,
    *doctor.classes,
    *models.classes,
    *properties.classes,
    *operators.classes,
    *take_operators.classes,
    *picker.classes,
    *plumb.classes,
    *setup_operators.classes,
    *retarget_operators.classes,
    *cleaning_operators.classes,
    *cleaning_contacts.classes,
    *ui.classes,
    *take_panel.classes,
    *cleaning_panel.classes,
    *retarget_panel.classes,
)

_command: Any = None


def register() -> None:
    """Enable the extension."""
    global _command
    translations.register()
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.register()
    runner.register()
    paths.register()
    cleaning_later.register()
    overlay.register()
    clip.register()
    atexit.register(setup_operators.stop)
    _command = bpy.utils.register_cli_command(cli.COMMAND, cli.main)


def unregister() -> None:
    """Disable the extension; running captures are ended."""
    bpy.utils.unregister_cli_command(_command)
    people.stop()
    picker.close()
    plumb.close()
    clip.unregister()
    overlay.unregister()
    cleaning_later.unregister()
    paths.unregister()
    runner.unregister()
    setup_operators.stop()
    atexit.unregister(setup_operators.stop)
    doctor.stop()
    models.stop()
    properties.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
    translations.unregister()
