"""Runs inside Blender's module: skins the captured armatures with a plain mannequin and renders them with Workbench.

Reads a job (see render_takes.py) as JSON from stdin, writes FRAME-camera.png and FRAME-side.png into its folder.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import sys
import traceback
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

ROOT = Path(__file__).parents[1]

# Part of a bone's name -> half width and half depth of its flesh, metres; the first that fits. Fingers end in 1, 2, 3.
FLESH = (
    ("eye", None), ("jaw", None), ("thumb", (0.010, 0.010)), ("index", (0.009, 0.009)), ("middle", (0.009, 0.009)),
    ("ring", (0.009, 0.009)), ("pinky", (0.008, 0.008)), ("pelvis", (0.135, 0.095)), ("spine3", (0.145, 0.095)),
    ("spine", (0.125, 0.085)), ("neck", (0.05, 0.05)), ("head", (0.075, 0.09)), ("collar", (0.05, 0.045)),
    ("shoulder", (0.047, 0.047)), ("elbow", (0.037, 0.037)), ("wrist", (0.038, 0.016)), ("hip", (0.078, 0.078)),
    ("knee", (0.055, 0.055)), ("ankle", (0.042, 0.034)), ("foot", (0.04, 0.022)),
)  # fmt: skip
SIDES = 12
PROFILE = ((-0.06, 0.35), (0.04, 0.8), (0.3, 1.0), (0.75, 0.9), (0.97, 0.65), (1.05, 0.25))  # along the bone: radius
FLOOR_TILES = 24  # metres across


def main() -> None:
    """Render everything that the job on stdin asks for."""
    job = json.load(sys.stdin)
    addon = _addon()
    takes = [addon["take"].read_take(Path(path)) for path in job["takes"]]
    shots = [take.provenance.get("shot", 0) for take in takes]
    if job["blend"]:
        bpy.ops.wm.open_mainfile(filepath=job["blend"])
        bodies = sorted((o for o in bpy.data.objects if o.type == "ARMATURE"), key=lambda o: o.name)
        for worn in (o for o in bpy.data.objects if o.type == "MESH"):
            worn.hide_render = True  # mannequins tell left from right
        cameras = sorted((o for o in bpy.data.objects if o.type == "CAMERA"), key=lambda o: o.name)
        views = dict(zip(sorted(set(shots)), cameras, strict=True))
        motions = []
    else:
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        bodies, motions = _build(addon, takes)
        bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = job["size"]
        views = {}
        for shot, take in zip(shots, takes, strict=True):
            if shot not in views:
                build, path = addon["camera"].build, addon["camera"].path_of(take)
                views[shot] = build(bpy.context.scene, "clip", take, path, Path(), bpy.context.scene.collection)
    scene = bpy.context.scene
    skins = [_skin(body, colors) for body, colors in zip(bodies, job["colors"], strict=True)]
    _studio(scene)
    for frame in job["frames"]:
        time = next(float(t.times[t["frames"] == frame][0]) for t in takes if frame in t["frames"])
        seen = [frame in take["frames"] for take in takes]
        camera = views[shots[seen.index(True)]]
        at = 1.0 + time * scene.render.fps / scene.render.fps_base
        scene.frame_set(math.floor(at), subframe=at % 1.0)
        if not job["blend"]:
            for body, take, motion in zip(bodies, takes, motions, strict=True):
                if frame in take["frames"]:
                    row = int(np.flatnonzero(take["frames"] == frame)[0])
                    addon["armature"].pose(body, motion[0][row], motion[1][row])
        for skin, shown in zip(skins, seen, strict=True):
            skin.hide_render = not shown
        bpy.context.view_layer.update()
        around = [body.matrix_world @ body.pose.bones["pelvis"].head for body, s in zip(bodies, seen, strict=True) if s]
        _floor(around)
        _render(scene, camera, job["size"], Path(job["folder"]) / f"{frame}-camera.png")
        height = job["size"][1]
        size = (max(height, job["size"][0] * 2 // 3), height)
        side = _side_camera(camera, around, size)
        _render(scene, side, size, Path(job["folder"]) / f"{frame}-side.png")


def _addon() -> dict[str, object]:
    """The add-on's own modules out of the source folder, as a package of another name; nothing is registered."""
    spec = importlib.util.spec_from_file_location(
        "extension", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["extension"] = package
    names = {"armature": "mocap_addon.armature", "camera": "mocap_addon.camera", "take": "backend.core.take"}
    modules = {key: importlib.import_module(f"extension.{name}") for key, name in names.items()}
    return modules | {"skeleton": importlib.import_module("extension.backend.core.skeleton")}


def _build(addon: dict, takes: list) -> tuple[list[bpy.types.Object], list[tuple[np.ndarray, np.ndarray]]]:
    bodies, motions = [], []
    for take in takes:
        skeleton = addon["skeleton"].neutral().with_offsets(take["rest_offsets"])
        body = addon["armature"].build("Person", skeleton, bpy.context.scene.collection)
        for bone in body.pose.bones:
            bone.rotation_mode = "QUATERNION"
        bodies.append(body)
        motions.append(addon["armature"].to_bones(addon["armature"].rest_of(body), take.rotations, take.pelvis))
    return bodies, motions


def _skin(body: bpy.types.Object, colors: dict[str, list[int]]) -> bpy.types.Object:
    """A mannequin that follows the armature: one rigid piece a bone."""
    mesh = bpy.data.meshes.new("mannequin")
    skin = bpy.data.objects.new("mannequin", mesh)
    bpy.context.scene.collection.objects.link(skin)
    vertices, faces, materials, owners = [], [], [], []
    sides = ("left", "right", "")
    for side in sides:
        mesh.materials.append(_material(colors[side]))
    ring = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
    for bone in body.data.bones:
        matrix = body.matrix_world @ bone.matrix_local
        side = bone.name.split("_")[0]
        for low, high, offset, flesh in _pieces(bone.name, bone.length):
            start = len(vertices)
            for along, radius in PROFILE:
                for angle in ring:
                    x, z = flesh[0] * radius * np.cos(angle), flesh[1] * radius * np.sin(angle) + offset
                    vertices.append(matrix @ Vector((x, low + along * (high - low), z)))
            owners += [bone.name] * (len(vertices) - start)
            rings = range(start, len(vertices) - SIDES, SIDES)
            faces += [
                (k + i, k + (i + 1) % SIDES, k + (i + 1) % SIDES + SIDES, k + i + SIDES)
                for k in rings
                for i in range(SIDES)
            ]
            faces.append(tuple(reversed(range(start, start + SIDES))))
            faces.append(tuple(range(len(vertices) - SIDES, len(vertices))))
        materials += [sides.index(side if side in sides else "")] * (len(faces) - len(materials))
    mesh.from_pydata(vertices, [], faces)
    mesh.polygons.foreach_set("material_index", materials)
    mesh.polygons.foreach_set("use_smooth", [len(face) == 4 for face in faces])
    for bone in dict.fromkeys(owners):
        group = skin.vertex_groups.new(name=bone)
        group.add([i for i, owner in enumerate(owners) if owner == bone], 1.0, "REPLACE")
    skin.modifiers.new("armature", "ARMATURE").object = body
    return skin


def _pieces(name: str, length: float) -> list[tuple[float, float, float, tuple[float, float]]]:
    """Pieces of flesh on a bone: from and to along it, offset to its front, half width and half depth; metres."""
    flesh = next((radii for part, radii in FLESH if part in name), None)
    if flesh is None:
        return []
    if name == "head":  # with a nose, to see where it looks
        return [(-0.02, length, 0.0, flesh), (0.2 * length, 0.5 * length, 0.085, (0.014, 0.03))]
    if name == "pelvis" or "spine" in name:  # a trunk in one piece
        return [(-0.11 if name == "pelvis" else -0.04, length + 0.04, 0.0, flesh)]
    return [(0.0, length, 0.0, flesh)]


def _material(color: list[int] | tuple[int, int, int]) -> bpy.types.Material:
    material = bpy.data.materials.new("flesh")
    linear = [(c / 255) ** 2.2 for c in color]
    material.diffuse_color = (*linear, 1.0)
    material.roughness = 0.7
    return material


def _studio(scene: bpy.types.Scene) -> None:
    """Workbench with shadows, in the colours as given."""
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_percentage = 100
    scene.render.film_transparent = False
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "8"
    shading = scene.display.shading
    shading.light = "STUDIO"
    shading.color_type = "MATERIAL"
    shading.show_shadows = True
    shading.shadow_intensity = 0.4
    shading.show_cavity = True
    scene.world = bpy.data.worlds.new("studio")
    scene.world.color = (0.03, 0.033, 0.04)


def _floor(around: list[Vector]) -> None:
    """Tiles of one metre around the people; thin, but thick enough to be seen from the side."""
    old = bpy.data.objects.get("floor")
    middle = np.mean([p[:2] for p in around], axis=0).round() if around else np.zeros(2)
    if old is None:
        mesh = bpy.data.meshes.new("floor")
        half = FLOOR_TILES // 2
        vertices, faces = [], []
        for x in range(-half, half):
            for y in range(-half, half):
                k = len(vertices)
                vertices += [(x + i, y + j, z) for z in (0.0, -0.03) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
                faces += [tuple(k + v for v in face) for face in _BOX]
        mesh.from_pydata(vertices, [], faces)
        for gray in (84, 112):
            mesh.materials.append(_material((gray, gray + 3, gray + 8)))
        tiles = np.arange(FLOOR_TILES * FLOOR_TILES)
        checker = (tiles // FLOOR_TILES + tiles % FLOOR_TILES) % 2
        mesh.polygons.foreach_set("material_index", np.repeat(checker, len(_BOX)))
        old = bpy.data.objects.new("floor", mesh)
        bpy.context.scene.collection.objects.link(old)
    old.location = (float(middle[0] // 2 * 2), float(middle[1] // 2 * 2), 0.0)  # tiles keep their colour


_BOX = ((0, 1, 2, 3), (7, 6, 5, 4), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0))


def _side_camera(camera: bpy.types.Object, around: list[Vector], size: tuple[int, int]) -> bpy.types.Object:
    """An orthographic camera that looks at the people from the right of the clip's camera."""
    side = bpy.data.objects.get("side")
    if side is None:
        side = bpy.data.objects.new("side", bpy.data.cameras.new("side"))
        bpy.context.scene.collection.objects.link(side)
        side.data.type = "ORTHO"
    forward = -(camera.matrix_world.to_3x3().col[2])
    forward = Vector((forward.x, forward.y, 0.0)).normalized()
    right = forward.cross(Vector((0.0, 0.0, 1.0)))
    along = [p.dot(forward) for p in around]
    middle = sum((Vector(p) for p in around), Vector()) / max(len(around), 1)
    middle += forward * ((max(along) + min(along)) / 2 - middle.dot(forward))
    low, high = -0.25, max(2.1, max(p.z for p in around) + 1.15)
    width = max((high - low) * size[0] / size[1], max(along) - min(along) + 2.0)
    side.data.sensor_fit = "HORIZONTAL"
    side.data.ortho_scale = width
    center = Vector((middle.x, middle.y, low + width * size[1] / size[0] / 2))
    rotation = Matrix((forward, Vector((0.0, 0.0, 1.0)), right)).transposed()
    side.matrix_world = Matrix.Translation(center + right * 30.0) @ rotation.to_4x4()
    return side


def _render(scene: bpy.types.Scene, camera: bpy.types.Object, size: tuple[int, int], path: Path) -> None:
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    # Blender's module can hang when Python ends by itself.
    try:
        main()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)
