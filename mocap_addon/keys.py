"""Animation curves written in bulk: one array per curve, never key by key."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import bpy
import numpy as np

from ..backend.core.rotations import Array
from . import compat

LINEAR = 1  # the keys are as dense as the video: straight lines between them neither overshoot nor lag
WRITTEN = "video_mocap_written"  # custom property of an action: a checksum of the keys that we wrote

Keys = dict[bpy.types.FCurve, Array]  # (K, 2) frames and values of each curve's keys, in the order of the curves


def write(
    owner: bpy.types.Action | bpy.types.ActionChannelbag,
    path: str,
    frames: Array,
    values: Array,
    group: str = "",
    columns: Iterable[int] | None = None,
) -> Keys:
    """One F-curve per column of `values` (T, k), with keys at `frames` (T,) scene frames; `columns`: only of those."""
    values = np.asarray(values, np.float32)
    points = np.empty((len(values), 2), np.float32)
    points[:, 0] = frames
    interpolation = np.full(len(values), LINEAR, np.int32)
    made = {}
    channel_group = (owner.groups.get(group) or owner.groups.new(group)) if group else None
    for column in range(values.shape[1]) if columns is None else map(int, columns):
        curve = owner.fcurves.new(path, index=column)  # the argument for the group differs by version: set it after
        if channel_group is not None:
            curve.group = channel_group
        points[:, 1] = values[:, column]
        curve.keyframe_points.add(len(points))
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", interpolation)
        curve.update()
        made[curve] = points.astype(float)
    return made


def of(curve: bpy.types.FCurve) -> Array:
    """(K, 2) frames and values of a curve's keys."""
    points = np.empty(2 * len(curve.keyframe_points), np.float32)
    curve.keyframe_points.foreach_get("co", points)
    return points.reshape(-1, 2).astype(float)


def read(curves: Iterable[bpy.types.FCurve], known: Mapping[bpy.types.FCurve, Array] | None = None) -> Keys:
    """The keys of curves; reading is slow, so those that are `known` are taken from there."""
    known = known or {}
    return {curve: known[curve] if curve in known else of(curve) for curve in curves}


def rewrite(curve: bpy.types.FCurve, frames: Array, values: Array, before: Array | None = None) -> Array:
    """Other keys at `frames` (T,) with `values` (T,); the curve stays, with its modifiers and its look. before: the
    keys that it has, where they are known: the same ones are not written again. -> the keys."""
    wanted = np.stack([frames, values], axis=1).astype(np.float32)
    if before is not None and np.array_equal(before, wanted):
        return before
    points = curve.keyframe_points
    if len(points) != len(frames):
        points.clear()
        points.add(len(frames))
        points.foreach_set("interpolation", np.full(len(frames), LINEAR, np.int32))
    points.foreach_set("co", wanted.ravel())
    curve.update()
    return wanted.astype(float)


class Channel(NamedTuple):
    """The curves of one property: data path, values (T, k), name of their group."""

    path: str
    values: Array
    group: str


def bone_channels(names: tuple[str, ...], rotations: Array, root: Array) -> list[Channel]:
    """What moves the bones.

    rotations: (T, len(names), 4) quaternions (w, x, y, z) in each bone's own rest frame, sign-continuous.
    root: (T, 3) location of the first bone in its rest frame.
    """
    turns = [Channel(f'pose.bones["{n}"].rotation_quaternion', rotations[:, i], n) for i, n in enumerate(names)]
    return [Channel(f'pose.bones["{names[0]}"].location', root, names[0]), *turns]


def write_bones(
    armature: bpy.types.Object, name: str, frames: Array, names: tuple[str, ...], rotations: Array, root: Array
) -> bpy.types.Action:
    """A new action on `armature` with keys at `frames` (T,) scene frames; the rest as for `bone_channels`."""
    action = bpy.data.actions.new(name)
    action.use_fake_user = True
    owner = compat.curve_owner(action, armature)
    for channel in bone_channels(names, rotations, root):
        write(owner, channel.path, frames, channel.values, channel.group)
    return action


def retime(action: bpy.types.Action, factor: float) -> None:
    """Move every key of an action from frame f to 1 + (f - 1) * factor."""
    there = read(compat.curves(action))
    ours = WRITTEN in action and not changed_by_hand(action, there)
    for curve, (frames, values) in ((curve, points.T) for curve, points in there.items()):
        for attribute in () if _is_linear(curve) else ("handle_left", "handle_right"):
            handles = np.empty(2 * len(frames), np.float32)
            curve.keyframe_points.foreach_get(attribute, handles)
            handles[::2] = 1.0 + (handles[::2] - 1.0) * factor
            curve.keyframe_points.foreach_set(attribute, handles)
        there[curve] = rewrite(curve, 1.0 + (frames - 1.0) * factor, values)
    if ours:
        mark_written(action, there)


def _is_linear(curve: bpy.types.FCurve) -> bool:
    """Whether straight lines run between all keys, which know no handles."""
    interpolation = np.empty(len(curve.keyframe_points), np.int32)
    curve.keyframe_points.foreach_get("interpolation", interpolation)
    return bool(np.all(interpolation == LINEAR))


# ---- what others did to our keys


def checksum(there: Mapping[bpy.types.FCurve, Array], before: str = "") -> str:
    """Tells whether keys of bones were changed since it was taken: eight digits for their values, eight for their
    frames. before: that of the curves that come before these."""
    values, frames = (int(half or "0", 16) for half in (before[:8], before[8:]))
    for curve, points in there.items():
        if curve.data_path.startswith("pose.bones["):
            when, told = points.T
            values, frames = zlib.crc32(told.tobytes(), values), zlib.crc32(when.tobytes(), frames)
    return f"{values:08x}{frames:08x}"


def mark_written(action: bpy.types.Action, known: Mapping[bpy.types.FCurve, Array] | None = None) -> None:
    """The keys of an action's bones, as they are now, are those that we wrote. known: as for `read`."""
    action[WRITTEN] = checksum(read(compat.curves(action), known))


def changed_by_hand(action: bpy.types.Action, known: Mapping[bpy.types.FCurve, Array] | None = None) -> bool:
    """Whether keys of the bones are others than those that we wrote. Earlier versions did not mark what they captured,
    and of what they cleaned only the values. known: as for `read`."""
    return WRITTEN in action and not checksum(read(compat.curves(action), known)).startswith(action[WRITTEN])
