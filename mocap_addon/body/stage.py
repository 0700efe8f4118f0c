"""The body that a take wears."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend.core.errors import MocapError
from ..cleaning.actions import body_of
from . import build, fit, smplx


def measured(entry) -> fit.Surface | None:
    """The neutral body with the take's bone lengths, for `dress` to put on in a step of its own; None where the take
    wears something else."""
    return fit.fitted(fit.neutral(), body_of(entry.armature)) if entry.armature and entry.look == "NEUTRAL" else None


def dress(entry, ready: fit.Surface | None = None) -> None:
    """Give a take (`takes.VideoMocapTake`) the body that its `look` says, with its armature's bone lengths.

    ready: what `measured` gave; its weights are left to `weigh`, for a step of its own.

    Raises MocapError body-unreadable, with the neutral body put on instead.
    """
    armature = entry.armature
    _undress(entry)
    if armature is None or entry.look == "NONE":
        if armature and armature.data.display_type == "STICK":
            armature.data.display_type = "OCTAHEDRAL"
        return
    error = None
    surface = fit.neutral()
    if entry.look == "SMPLX":
        try:
            surface = smplx.read(_model())
        except MocapError as caught:
            error = caught
    surface = ready or fit.fitted(surface, body_of(armature))
    entry.worn = build.build(f"{entry.name} body", surface, armature, entry.track)
    if ready is None:
        build.weigh(entry.worn, surface)
    if armature.data.display_type == "OCTAHEDRAL":
        armature.data.display_type = "STICK"  # the body is to be seen, too
    if error:
        raise error


def weigh(entry, ready: fit.Surface) -> None:
    """The second half of dressing a take with what `measured` gave."""
    if entry.worn and not entry.worn.vertex_groups:
        build.weigh(entry.worn, ready)


def _model() -> Path:
    """The model file of the preferences. Raises MocapError body-unreadable."""
    from .. import preferences

    path = bpy.path.abspath(preferences.get().smplx)
    if not path:
        raise MocapError("body-unreadable", "The preferences name no SMPL-X model file.")
    return Path(path)


def _undress(entry) -> None:
    body = entry.worn
    entry.worn = None
    if body is not None:
        mesh = body.data
        bpy.data.objects.remove(body)
        if mesh and not mesh.users:
            bpy.data.meshes.remove(mesh)
