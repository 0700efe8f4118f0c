"""The character with its motion as FBX or GLB, through Blender's own exporters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from ...backend.core.errors import MocapError


def write_character(scene: bpy.types.Scene, armature: bpy.types.Object, path: Path) -> None:
    """The armature, the meshes that it deforms and what they hang from, with what it plays now. path: .fbx or .glb.

    Controls of a rig are left out where it has bones that deform. Raises MocapError output-unwritable.
    """
    if not path.parent.is_dir():
        raise MocapError("output-unwritable", f"There is no folder {path.parent}.")
    deform_only = any(bone.use_deform for bone in armature.data.bones) and _is_control_rig(armature)
    with _alone(scene, armature):
        try:
            if path.suffix.lower() == ".fbx":
                bpy.ops.export_scene.fbx(
                    filepath=str(path),
                    object_types={"ARMATURE", "MESH"},
                    add_leaf_bones=False,
                    use_armature_deform_only=deform_only,
                    bake_anim=True,
                    bake_anim_use_all_bones=True,
                    bake_anim_use_nla_strips=False,
                    bake_anim_use_all_actions=False,
                    bake_anim_simplify_factor=0.0,
                )
            else:
                bpy.ops.export_scene.gltf(
                    filepath=str(path),
                    export_format="GLB",
                    use_active_scene=True,
                    export_def_bones=deform_only,
                    export_animations=True,
                    export_animation_mode="SCENE",
                    export_force_sampling=True,
                )
        except RuntimeError as error:
            raise MocapError("output-unwritable", f"{path} cannot be written ({error}).") from error


def _is_control_rig(armature: bpy.types.Object) -> bool:
    return any(constraint for bone in armature.pose.bones if bone.bone.use_deform for constraint in bone.constraints)


@contextmanager
def _alone(scene: bpy.types.Scene, armature: bpy.types.Object) -> Iterator[None]:
    """A scene with nothing but the character: the exporters write all of it, and no selection is touched."""
    stage = bpy.data.scenes.new(scene.name)
    try:
        stage.render.fps, stage.render.fps_base = scene.render.fps, scene.render.fps_base
        for name in ("system", "scale_length", "length_unit"):
            setattr(stage.unit_settings, name, getattr(scene.unit_settings, name))
        stage.frame_start, stage.frame_end = _played(armature, scene)
        for part in _with_parents([armature, *skins(armature)]):
            stage.collection.objects.link(part)
        layer = stage.view_layers[0]
        layer.objects.active = armature
        with bpy.context.temp_override(scene=stage, view_layer=layer, active_object=armature, object=armature):
            yield
    finally:
        for window in bpy.context.window_manager.windows:
            if window.scene == stage:  # the glTF exporter leaves it there
                window.scene = scene
        bpy.data.scenes.remove(stage)


def _played(armature: bpy.types.Object, scene: bpy.types.Scene) -> tuple[int, int]:
    """First and last frame of what the armature plays; the scene's range when it plays nothing."""
    animation = armature.animation_data
    spans = [tuple(animation.action.frame_range)] if animation and animation.action else []
    if animation:
        strips = [strip for track in animation.nla_tracks if not track.mute for strip in track.strips]
        spans += [(strip.frame_start, strip.frame_end) for strip in strips if not strip.mute]
    if not spans:
        return scene.frame_start, scene.frame_end
    return math.floor(min(first for first, _ in spans)), math.ceil(max(last for _, last in spans))


def skins(armature: bpy.types.Object) -> list[bpy.types.Object]:
    """Meshes that the armature deforms, and those below it or below them."""
    deformed = [
        mesh for mesh in bpy.data.objects if any(m.type == "ARMATURE" and m.object == armature for m in mesh.modifiers)
    ]
    hanging = [child for body in (armature, *deformed) for child in body.children_recursive]
    return [mesh for mesh in dict.fromkeys(deformed + hanging) if mesh.users_scene and _is_skin(mesh, armature)]


def _is_skin(mesh: bpy.types.Object, armature: bpy.types.Object) -> bool:
    """Whether a mesh is not that of somebody else, a rider, say."""
    deforming = {modifier.object for modifier in mesh.modifiers if modifier.type == "ARMATURE"} - {None}
    return mesh.type == "MESH" and (not deforming or armature in deforming)


def _with_parents(parts: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """Also all that the parts hang from: the exporters walk down from objects without a parent."""
    found = dict.fromkeys(parts)
    while parts := [part.parent for part in parts if part.parent]:
        found |= dict.fromkeys(parts)
    return list(found)
