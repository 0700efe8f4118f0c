"""Operators that say why they cannot do what they were asked for."""

from __future__ import annotations

import bpy

from ..backend.core.errors import MocapError


class Guarded:
    """An operator whose `work` may raise MocapError."""

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            return self.work(context) or {"FINISHED"}
        except MocapError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
