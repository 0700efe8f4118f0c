"""An armature of Blender as a `Rig`: what its bones are, and how they really move."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Named
from contextlib import contextmanager
from dataclasses import dataclass, replace

import bpy
import numpy as np
from mathutils import Quaternion
from numpy.typing import NDArray

from ...backend.core import rotations
from ...backend.core.rotations import Array
from .. import compat
from .model import Retargeted, Rig

Switches = list[tuple[str, str, float]]  # bone, custom property, value: what makes a control rig follow its FK bones

PROBE = rotations.from_axis_angle(np.array([0.31, -0.42, 0.23]))  # any turn about no axis of symmetry
TOLERANCE = 2e-3  # of a turned direction, and of a place relative to the rig's size


def read_rig(armature: bpy.types.Object) -> Rig:
    """Rest pose and abilities of every bone, parents before children; nothing is changed."""
    bones = _parents_first(armature.data.bones)
    index = {bone.name: i for i, bone in enumerate(bones)}
    posed = [armature.pose.bones[bone.name] for bone in bones]
    return Rig(
        names=tuple(index),
        parents=np.array([index[bone.parent.name] if bone.parent else -1 for bone in bones]),
        rest=np.array([bone.matrix_local for bone in bones]),
        lengths=np.array([bone.length for bone in bones]),
        inherit_rotation=np.array([bone.use_inherit_rotation for bone in bones]),
        local_location=np.array([bone.use_local_location for bone in bones]),
        connected=np.array([bool(bone.parent) and bone.use_connect for bone in bones]),
        rotation_modes=tuple(bone.rotation_mode for bone in posed),
        locks=np.array([_locks(bone) for bone in posed]),
        world=np.array(armature.matrix_world),
    )


def _parents_first(bones: bpy.types.ArmatureBones) -> list[bpy.types.Bone]:
    ordered = [bone for bone in bones if bone.parent is None]
    for bone in ordered:  # grows while it is walked
        ordered.extend(bone.children)
    return ordered


def _locks(bone: bpy.types.PoseBone) -> list[bool]:
    # Without "4D" the locks of a quaternion are meant for Euler angles, and w has none.
    w = bone.lock_rotation_w and bone.lock_rotations_4d
    return [*bone.lock_location, w, *bone.lock_rotation]


@dataclass
class Measured:
    """How a rig's bones move, as Blender evaluates it.

    rig: the measured bones alone: each one's parent is the bone that it follows, whatever constraints and in-between
        bones make it do so, and its rest matrix is where it stands when all of them are at rest. Scale stays as it is
        posed, since nothing keys it.
    deaf: bones that do not obey their own rotation -> the constraints on them.
    places: bones whose location is not seen from their own axes (`use_local_location` is off), or at another scale
        (that of a posed parent) -> (3, 3) from a location in their own axes to their channels.
    """

    rig: Rig
    deaf: dict[str, list[str]]
    places: dict[str, Array]

    def in_channels(self, channels: Retargeted) -> Retargeted:
        """What was solved for `rig`, as the channels of the armature have it."""
        out = dict(channels)
        for name in self.places.keys() & channels.keys():
            if (location := channels[name].location) is not None:
                out[name] = replace(channels[name], location=location @ self.places[name].T)
        return out


def measure(
    armature: bpy.types.Object, whole: Rig, names: list[str], switches: Switches, controls: Collection[str] = ()
) -> Measured:
    """Turn the bones `names` one after the other and see what follows. The armature is left as it was.

    In a control rig a bone's parent in the hierarchy is often a bone that only follows another one by a constraint:
    what is measured holds for any such rig. Cost: one evaluation of the armature for every bone.
    controls: those of the bones that are IK controls. They are put where the limbs are, so no limb follows them.
    """
    wanted = set(names)
    order = [i for i, name in enumerate(whole.names) if name in wanted]
    names = [whole.names[i] for i in order]
    above = [whole.names[whole.parents[i]] if whole.parents[i] >= 0 else "" for i in order]
    with _workshop(armature, names, switches) as evaluate:
        still = evaluate(names)
        held = evaluate([name or names[0] for name in above])
        turned = []
        for name in names:
            bone = armature.pose.bones[name]
            _set_rotation(bone, PROBE)
            turned.append(evaluate(names))
            _set_rotation(bone, rotations.IDENTITY)
    frames, heads = _unscaled(still[:, :3, :3]), still[:, :3, 3]
    places = {}
    for k, row in enumerate(order):
        outer = held[k][:3, :3] if above[k] else np.eye(3)
        into = np.eye(3) if whole.local_location[row] else _unscaled(outer).T @ frames[k]
        scale = float(np.cbrt(abs(np.linalg.det(outer))))
        if not whole.local_location[row] or abs(scale - 1.0) > 1e-4:
            places[names[k]] = into / max(scale, 1e-3)
    follows, carried = _followers(frames, heads, turned)
    deaf = {names[k] for k in range(len(names)) if not follows[k, k]}
    parents, inherit = _parents(whole, order, follows, carried, deaf, {whole.index[name] for name in controls})
    ranked = _by_parents(parents)
    back = {old: new for new, old in enumerate(ranked)}
    rows = [order[i] for i in ranked]
    rest = still[ranked].copy()
    rest[:, :3, :3] = frames[ranked]
    rig = Rig(
        names=tuple(whole.names[row] for row in rows),
        parents=np.array([back.get(parents[i], -1) for i in ranked]),
        rest=rest,
        lengths=whole.lengths[rows],
        inherit_rotation=inherit[ranked],
        local_location=np.ones(len(rows), bool),
        connected=whole.connected[rows],
        rotation_modes=tuple(whole.rotation_modes[row] for row in rows),
        locks=whole.locks[rows],
        world=whole.world,
    )
    held_by = {name: [c.name for c in armature.pose.bones[name].constraints if not c.mute] for name in sorted(deaf)}
    return Measured(rig, held_by, places)


def _unscaled(matrices: Array) -> Array:
    """(..., 3, 3) with columns of length 1."""
    return matrices / np.maximum(np.linalg.norm(matrices, axis=-2, keepdims=True), 1e-12)


def _followers(frames: Array, heads: Array, turned: list[Array]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[k, i]: whether bone i turns with bone k, and whether i's head is moved by k (or lies in k's own head)."""
    size = max(float(np.ptp(heads, axis=0).max()), 1e-9)
    follows, carried = np.zeros((2, len(turned), len(turned)), bool)
    probe = rotations.to_matrix(PROBE)
    for k, after in enumerate(turned):
        delta = frames[k] @ probe @ frames[k].T
        follows[k] = np.abs(_unscaled(after[:, :3, :3]) - delta @ frames).max(axis=(1, 2)) < TOLERANCE
        swung = heads[k] + (heads - heads[k]) @ delta.T
        carried[k] = np.abs(after[:, :3, 3] - swung).max(axis=1) < TOLERANCE * size
        follows[k] &= carried[k] | (np.arange(len(turned)) == k)
        # What stays in its place shows nothing: it may as well be free.
        carried[k] &= follows[k] | (np.abs(swung - heads).max(axis=1) > TOLERANCE * size)
    return follows, carried


def _parents(
    whole: Rig,
    order: list[int],
    follows: NDArray[np.bool_],
    carried: NDArray[np.bool_],
    deaf: set[str],
    controls: set[int],
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """The nearest bone that each one follows, and whether it follows its rotation too."""
    parents, inherit = np.full(len(order), -1), np.ones(len(order), bool)
    others = ~np.eye(len(order), dtype=bool)
    depth = (carried & others).sum(axis=0)
    for i, row in enumerate(order):
        barred = set() if row in controls else controls
        if whole.names[row] in deaf:  # its place in the hierarchy is the best guess
            parents[i] = _mapped_ancestor(whole, row, order, barred)
            continue
        parents[i] = _deepest(follows[:, i] & others[:, i], depth)
        head_only = _deepest(carried[:, i] & others[:, i] & ~follows[:, i], depth)
        if parents[i] < 0 <= head_only:
            parents[i], inherit[i] = head_only, False
        if parents[i] >= 0 and order[parents[i]] in barred:
            parents[i], inherit[i] = _mapped_ancestor(whole, row, order, barred), True
    return parents, inherit


def _deepest(candidates: NDArray[np.bool_], depth: NDArray[np.int_]) -> int:
    found = np.flatnonzero(candidates)
    return int(found[np.argmax(depth[found])]) if len(found) else -1


def _mapped_ancestor(whole: Rig, row: int, order: list[int], barred: set[int]) -> int:
    above = whole.parents[row]
    while above >= 0 and (above not in order or above in barred):
        above = whole.parents[above]
    return order.index(above) if above >= 0 else -1


def _by_parents(parents: NDArray[np.int_]) -> list[int]:
    """An order with parents before children; what leads in a circle comes last, without a parent."""
    ranked: list[int] = []
    waiting = list(range(len(parents)))
    while waiting:
        ready = [i for i in waiting if parents[i] < 0 or parents[i] in ranked]
        if not ready:
            parents[waiting[0]] = -1
            ready = waiting[:1]
        ranked += ready
        waiting = [i for i in waiting if i not in ready]
    return ranked


@contextmanager
def _workshop(armature: bpy.types.Object, names: list[str], switches: Switches) -> Iterator:
    """The armature alone in a scene of its own, `names` at rest but for their scale, `switches` set; everything is put
    back at the end.

    Yields a function that evaluates the armature: names of bones -> their (N, 4, 4) pose matrices in armature space. In
    a scene of its own the character's meshes are not computed, and an armature that no view layer shows works too.
    """
    bones = [armature.pose.bones[name] for name in names]
    before = [(bone.location.copy(), rotation_of(bone), bone.scale.copy()) for bone in bones]
    settings = [
        (armature.pose.bones[bone], key, value) for bone, key, value in switches if has_switch(armature, bone, key)
    ]
    values = [(bone, key, bone[key]) for bone, key, _ in settings]
    workshop = bpy.data.scenes.new("Mocap workshop")
    try:
        workshop.collection.objects.link(armature)
        layer = workshop.view_layers[0]
        with compat.paused_animation(armature):
            for bone in bones:
                bone.location = (0.0, 0.0, 0.0)
                if min(bone.scale) <= 0.0:  # hidden by that, or mirrored: such axes tell nothing
                    bone.scale = (1.0, 1.0, 1.0)
                _set_rotation(bone, rotations.IDENTITY)
            for bone, key, value in settings:
                bone[key] = type(bone[key])(value)

            def evaluate(wanted: list[str]) -> Array:
                armature.update_tag(refresh={"OBJECT", "DATA"})
                layer.update()
                posed = armature.evaluated_get(layer.depsgraph).pose.bones
                return np.array([posed[name].matrix for name in wanted]).reshape(-1, 4, 4)

            yield evaluate
    finally:
        for bone, key, value in values:
            bone[key] = value
        for bone, (location, rotation, scale) in zip(bones, before, strict=True):
            bone.location, bone.scale = location, scale
            restore_rotation(bone, rotation)
        bpy.data.scenes.remove(workshop)
        armature.update_tag(refresh={"OBJECT", "DATA"})


def has_switch(armature: bpy.types.Object, bone: str, key: str) -> bool:
    """Whether a bone is there and has that custom property."""
    return bone in armature.pose.bones and key in armature.pose.bones[bone]


def rotation_of(bone: bpy.types.PoseBone) -> tuple[float, ...]:
    """The rotation as the bone's mode has it."""
    return tuple(getattr(bone, rotation_path(bone.rotation_mode)))


def restore_rotation(bone: bpy.types.PoseBone, rotation: tuple[float, ...]) -> None:
    """Put back what `rotation_of` gave."""
    setattr(bone, rotation_path(bone.rotation_mode), rotation)


def rotation_path(mode: str) -> str:
    """The property that holds the rotation in a rotation mode."""
    return {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(mode, "rotation_euler")


def _set_rotation(bone: bpy.types.PoseBone, rotation: Array) -> None:
    """A quaternion, in the bone's own mode."""
    turn = Quaternion(rotation)
    if bone.rotation_mode == "QUATERNION":
        bone.rotation_quaternion = turn
    elif bone.rotation_mode == "AXIS_ANGLE":
        axis, angle = turn.to_axis_angle()
        bone.rotation_axis_angle = (angle, *axis)
    else:
        bone.rotation_euler = turn.to_euler(bone.rotation_mode)


def pose(armature: bpy.types.Object, basis: Named[str, Array]) -> None:
    """Show one pose without keys. basis: bone -> quaternion (4,)."""
    for name, rotation in basis.items():
        _set_rotation(armature.pose.bones[name], rotation)
