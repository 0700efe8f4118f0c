"""The body as an object of Blender: a mesh that the take's armature deforms."""

from __future__ import annotations

import bpy
import numpy as np

from ...backend.core.skeleton import JOINTS
from . import fit

MARK = "video_mocap_body"  # custom property of our bodies
COLORS = (
    (0.62, 0.55, 0.48), (0.42, 0.53, 0.62), (0.50, 0.60, 0.45), (0.62, 0.46, 0.46), (0.52, 0.47, 0.62),
    (0.62, 0.60, 0.42), (0.42, 0.60, 0.58), (0.60, 0.50, 0.58),
)  # fmt: skip


def build(name: str, surface: fit.Surface, armature: bpy.types.Object, number: int) -> bpy.types.Object:
    """A body beside its armature, in its collections; it cannot be selected by a click, so that bones can. It follows
    the bones once it has its weights: `weigh`.

    number: of the person, for a colour of its own.
    """
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(fit.in_rest_pose(surface).tolist(), [], surface.faces.tolist())
    mesh.shade_smooth()
    mesh.materials.append(_material(number))
    body = bpy.data.objects.new(name, mesh)
    body[MARK] = True
    for collection in armature.users_collection:
        collection.objects.link(body)
    body.parent = armature
    body.hide_select = True
    body.hide_viewport = armature.hide_viewport
    modifier = body.modifiers.new("Armature", "ARMATURE")
    modifier.object = armature
    return body


def weigh(body: bpy.types.Object, surface: fit.Surface) -> None:
    """Let each vertex follow its bones."""
    for j, name in enumerate(JOINTS):
        share = np.where(surface.bones == j, surface.shares, 0.0).sum(axis=1).round(2)
        if not share.any():
            continue
        group = body.vertex_groups.new(name=name)
        heavy = np.flatnonzero(share)
        heavy = heavy[np.argsort(share[heavy], kind="stable")]
        steps = np.flatnonzero(np.diff(share[heavy])) + 1
        for alike in np.split(heavy, steps):  # one call for all vertices of one weight
            group.add(alike.tolist(), float(share[alike[0]]), "REPLACE")


def _material(number: int) -> bpy.types.Material:
    color = COLORS[(number - 1) % len(COLORS)]
    name = f"Mocap body {(number - 1) % len(COLORS) + 1}"
    material = bpy.data.materials.get(name)
    if material is None:
        material = bpy.data.materials.new(name)
        material.diffuse_color = (*color, 1.0)
        material.roughness = 0.6
        if bpy.app.version < (5, 0):
            material.use_nodes = True
        shader = next((node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"), None)
        if shader:
            shader.inputs["Base Color"].default_value = (*color, 1.0)
            shader.inputs["Roughness"].default_value = 0.6
    return material
