"""Runs inside Blender's module: renders bodies given as vertices in a furnished room with Workbench.

Reads job.npz of the folder that it is given (see render_clips.py), writes 0000.png, 0001.png, ... beside it.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

HALF, HEIGHT = 7.5, 4.2  # the room, metres
TILE = 0.75


def main(folder: Path) -> None:
    """Render every frame of the job."""
    with np.load(folder / "job.npz") as data:
        job = dict(data)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    _engine(scene, job["size"], bool(job["shadows"]))
    _room()
    people = [
        _mesh(f"person{k}", job[f"vertices{k}"][0], job[f"faces{k}"], job[f"colors{k}"], job[f"parts{k}"], smooth=True)
        for k in range(sum(name.startswith("vertices") for name in job))
    ]
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.sensor_fit = "HORIZONTAL"
    camera.data.lens = float(job["focal"]) / float(job["size"][0]) * camera.data.sensor_width
    camera.data.clip_start = 0.05
    for frame, (looking, t) in enumerate(zip(job["R"], job["t"], strict=True)):
        for k, person in enumerate(people):
            person.data.vertices.foreach_set("co", job[f"vertices{k}"][frame].ravel())
            person.data.update()
        place = np.eye(4)
        place[:3, :3] = looking.T * [1.0, -1.0, -1.0]  # Blender's cameras look along -z, y up
        place[:3, 3] = -looking.T @ t
        camera.matrix_world = Matrix(place.tolist())
        scene.render.filepath = str(folder / f"{frame:04d}.png")
        bpy.ops.render.render(write_still=True)


def _engine(scene: bpy.types.Scene, size: np.ndarray, shadows: bool) -> None:
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y = (int(side) for side in size)
    scene.render.image_settings.file_format = "PNG"
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "FXAA"  # three times as fast as sampling, and the video codec blurs edges anyway
    shading = scene.display.shading
    shading.light, shading.color_type = "STUDIO", "MATERIAL"
    shading.show_shadows, shading.shadow_intensity = shadows, 0.35
    shading.show_cavity = shadows
    scene.world = bpy.data.worlds.new("sky")
    scene.world.color = (0.5, 0.56, 0.62)


def _mesh(
    name: str, vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray, parts: np.ndarray, smooth: bool = False
) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    for color in colors:
        material = bpy.data.materials.new(name)
        material.diffuse_color = (*((np.asarray(color) / 255) ** 2.2), 1.0)
        material.roughness = 0.8
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", np.asarray(parts, np.int32))
    mesh.polygons.foreach_set("use_smooth", np.full(len(faces), smooth))
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def _room() -> None:
    """Floor tiles, walls with windows and shelves, posts: edges that are level, upright and at every depth."""
    count = round(2 * HALF / TILE)
    steps = np.arange(count) * TILE - HALF
    corners = np.array([[0, 0, 0], [TILE, 0, 0], [TILE, TILE, 0], [0, TILE, 0]])
    tiles = [corners + [x, y, 0.0] for x in steps for y in steps]
    checker = (np.arange(count)[:, None] + np.arange(count)).ravel() % 2
    faces = np.arange(4 * len(tiles)).reshape(-1, 4)
    _mesh("floor", np.concatenate(tiles), faces, [(206, 194, 174), (172, 160, 142)], checker)
    random = np.random.default_rng(5)
    boxes = []
    wall, thick = (226, 222, 212), 0.1
    for x, y in ((0, HALF), (0, -HALF), (HALF, 0), (-HALF, 0)):
        a, b = (HALF, thick) if x == 0 else (thick, HALF)
        boxes.append(((x, y, HEIGHT / 2), (a, b, HEIGHT / 2), wall))
        along_x = a > b
        for step in np.arange(-HALF + 1.0, HALF, 1.5):
            inward = -np.sign(y if along_x else x) * (thick + 0.02)
            place = (step, y + inward) if along_x else (x + inward, step)
            wide, tall, high = random.uniform(0.25, 0.55), random.uniform(0.3, 0.7), random.uniform(1.3, 2.6)
            half = (wide, 0.03, tall) if along_x else (0.03, wide, tall)
            boxes.append(((*place, high), half, tuple(random.integers(60, 200, 3))))
            skirting = (0.75, 0.04, 0.08) if along_x else (0.04, 0.75, 0.08)
            boxes.append(((*place, 0.08), skirting, (110, 96, 80)))
    furniture = ((-3.6, 4.2), (3.1, 5.0), (-5.2, 1.0), (5.0, 0.6), (1.0, 6.4), (-1.8, 6.2))
    for (x, y), tall in zip(furniture, (1.1, 1.8, 0.9, 1.3, 0.8, 2.0), strict=True):
        boxes.append(((x, y, tall / 2), (random.uniform(0.2, 0.6), 0.25, tall / 2), tuple(random.integers(70, 180, 3))))
    corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    for k, (place, half, color) in enumerate(boxes):
        box = _mesh(f"box{k}", corner * half + place, quads, [color], np.zeros(6))
        box.display.show_shadows = False  # the walls would put the room into the dark


if __name__ == "__main__":
    # Blender's module can hang when Python ends by itself.
    try:
        main(Path(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)
