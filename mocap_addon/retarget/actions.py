"""What retargeting leaves on a character: one action for each take, found again and replaced by its mark."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...backend.core.rotations import Array
from .. import compat, keys, paths
from . import euler, reduce
from .blender import Switches, has_switch
from .model import Retargeted, Rig

# Custom property of our actions: JSON with take, its file, character, the mesh whose mouth it moves, the name we gave.
MARK = "video_mocap_retarget"
PLACES = 0.001  # metres by which reducing keys may move a bone's location


@dataclass(frozen=True)
class Keying:
    """How keys are written.

    bound: largest error in degrees that leaving out keys may make; None keeps every key.
    nla: push the action down to a track of its own.
    """

    bound: float | None = None
    nla: bool = False


def action_name(take: str, character: str) -> str:
    """What an action is called."""
    return f"{take} → {character}"


def find(
    take: str, armature: bpy.types.Object, file: str = "", mesh: bpy.types.Object | None = None
) -> bpy.types.Action | None:
    """The action that this take has on this character's bones, or on the shape keys of one of its meshes.

    Copies that the user made carry our mark too: the one that still has the name that we gave is ours. What another
    object plays, and this one does not, is that one's: characters may be renamed, and their names used again. Another
    file with that name is another take; where it is gone, it is taken to be the same one, moved.
    """
    wanted = {"take": take, "character": armature.name, "mesh": mesh.name if mesh else None}
    player, players = (mesh.data.shape_keys, bpy.data.shape_keys) if mesh else (armature, bpy.data.objects)
    marked = []
    for action in bpy.data.actions:
        if MARK in action and action.library is None:
            told = json.loads(action[MARK])
            before = paths.absolute(told.get("file", ""))
            moved = before != paths.absolute(file)
            mine = {key: told.get(key) for key in wanted} == wanted and not (moved and before.is_file())
            if mine and (_plays(player, action) or not any(_plays(other, action) for other in players)):
                marked.append((moved, told.get("name") != action.name, action.name, action))
    return min(marked)[-1] if marked else None


def of_scene(scene: bpy.types.Scene) -> set[bpy.types.Action]:
    """The actions that a scene's characters have of us."""
    ours = {action for action in bpy.data.actions if MARK in action and action.library is None}
    return {action for action in ours if json.loads(action[MARK])["character"] in scene.objects}


def retime_strips(scene: bpy.types.Scene) -> None:
    """The scene has another frame rate now, and keys have gone along: so do the strips that play them."""
    for action in of_scene(scene):
        for armature in scene.objects:
            for strip in _refresh_strips(armature, action):
                strip.frame_end = strip.frame_start + (strip.action_frame_end - strip.action_frame_start) * strip.scale


def begin(
    take: str, armature: bpy.types.Object, file: str = "", mesh: bpy.types.Object | None = None
) -> tuple[bpy.types.Action, bpy.types.Action | bpy.types.ActionChannelbag]:
    """The action that this take has, found or new, played from now on, and what holds its curves; as for `find`."""
    action = find(take, armature, file, mesh)
    if action is None:
        action = bpy.data.actions.new(action_name(take, armature.name) + (" · mouth" if mesh else ""))
        mesh_name = mesh.name if mesh else None
        mark = {"take": take, "character": armature.name, "mesh": mesh_name, "name": action.name}
    else:
        mark = json.loads(action[MARK])
    action[MARK] = json.dumps(mark | {"file": file}, ensure_ascii=False)
    action.use_fake_user = True
    return action, compat.curve_owner(action, mesh.data.shape_keys if mesh else armature)


def write(
    armature: bpy.types.Object,
    take: str,
    frames: Array,
    channels: Retargeted,
    rig: Rig,
    switches: Switches,
    keying: Keying,
    file: str = "",
) -> bpy.types.Action:
    """The motion as an action of the character, which plays it now; an earlier one of the same take is written anew.

    take: name of the motion. frames: (T,) scene frames. switches: properties that are set at the first frame, as are
    channels of one row. file: of the motion, as `paths.stored` names it, if it is from one. Locked channels get no
    keys. Actions of others are kept, also when nothing uses them any more.
    """
    _keep_others(armature)
    action, owner = begin(take, armature, file)
    _let_go(armature, {curve.data_path for curve in owner.fcurves}, channels)
    owner.fcurves.clear()
    index = rig.index
    metre = 1.0 / max(float(np.cbrt(abs(np.linalg.det(rig.world[:3, :3])))), 1e-9)  # in object units
    for bone, channel in channels.items():
        row = index[bone]
        path, locks = f'pose.bones["{bpy.utils.escape_identifier(bone)}"].', rig.locks[row]
        if channel.location is not None:
            places = channel.location
            kept = _kept(keying, lambda _, v=places: reduce.reduce_values(frames, v, PLACES * metre), len(places))
            keys.write(owner, path + "location", frames[kept], places[kept], bone, np.flatnonzero(~locks[:3]))
        if channel.rotation is not None:
            held, values = euler.to_mode(channel.rotation, rig.rotation_modes[row], locks[3:])
            if held == "rotation_axis_angle":  # an axis that turns by an angle moves things by no more than that angle
                kept = _kept(
                    keying, lambda bound, v=values: reduce.reduce_values(frames, v, np.radians(bound) / 4), len(values)
                )
            else:
                kept = _kept(keying, lambda bound, v=values: reduce.reduce_keys(frames, v, bound), len(values))
            free = ~(locks[4:] if held == "rotation_euler" else locks[3:])
            keys.write(owner, path + held, frames[kept], values[kept], bone, np.flatnonzero(free))
    for bone, key, value in switches:
        if has_switch(armature, bone, key):
            path = f'pose.bones["{bpy.utils.escape_identifier(bone)}"]["{bpy.utils.escape_identifier(key)}"]'
            keys.write(owner, path, frames[:1], np.array([[value]]), bone)
    if keying.nla:
        _push_down(armature, action)
    else:
        _refresh_strips(armature, action)
    return action


def _kept(keying: Keying, rows: Callable[[float], NDArray[np.int_]], count: int) -> NDArray[np.int_]:
    """Rows that get a key; curves go straight from key to key, so leaving out the others is all there is to it."""
    return np.arange(count) if keying.bound is None or count < 3 else rows(keying.bound)


def _let_go(armature: bpy.types.Object, moved: set[str], channels: Retargeted) -> None:
    """Bones that the action has moved so far, and will not move any more, are not left as they were shown last."""
    for bone in armature.pose.bones:
        path = f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"].'
        if bone.name not in channels and any(known.startswith(path) for known in moved):
            bone.matrix_basis.identity()


def _keep_others(armature: bpy.types.Object) -> None:
    """An action of the user's that only this character holds would be lost with the file."""
    animation = armature.animation_data
    action = animation.action if animation else None
    if action and action.library is None and MARK not in action:
        action.use_fake_user = True


def strips_of(player: bpy.types.ID, action: bpy.types.Action) -> list[bpy.types.NlaStrip]:
    """The strips that play an action."""
    animation = player.animation_data
    return [s for track in animation.nla_tracks for s in track.strips if s.action == action] if animation else []


def _plays(player: bpy.types.ID, action: bpy.types.Action) -> bool:
    animation = player.animation_data
    return animation is not None and (animation.action == action or bool(strips_of(player, action)))


def _refresh_strips(armature: bpy.types.Object, action: bpy.types.Action) -> list[bpy.types.NlaStrip]:
    """Let strips that were made from the action before it was replaced show all of it."""
    strips = strips_of(armature, action)
    for strip in strips:
        strip.action_frame_start, strip.action_frame_end = action.frame_range
    return strips


def _push_down(armature: bpy.types.Object, action: bpy.types.Action) -> None:
    """As Blender's own "Push Down": the action plays from a track, and the character is free for another one."""
    animation = armature.animation_data
    if not _refresh_strips(armature, action):
        track = animation.nla_tracks.new()
        track.name = action.name
        strip = track.strips.new(action.name, int(action.frame_range[0]), action)
        compat.share_slot(strip, animation)
        strip.action_frame_start, strip.action_frame_end = action.frame_range
        strip.frame_start = action.frame_range[0]
    animation.action = None
