"""One take on every family of rigs, on one contact sheet: python packaging/retarget_sheet.py TAKE -o SHEET.png

TAKE is a take, AMASS or SMPL-X .npz, or .bvh. For each rig three frames, seen from the front left of the person, and
the left hand: to look at shoulders, wrists, thumbs, feet and where the head looks. The rigs are those that Blender and
MPFB come with, and bone lists of the families' own tools in A-pose with odd bone rolls. Runs in Blender's module; the
extension is loaded from this folder and not registered.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import bpy
import cv2
import numpy as np
from mathutils import Matrix, Vector

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "retarget")]
CELL = (230, 330)  # pixels
ACROSS = 3  # rigs in a row of the sheet
VIEW = math.radians(30)  # how far from the person's front to the left the camera stands
FRAMES = (0.25, 0.55, 0.85)  # of the take
FBX = Matrix.Rotation(math.pi / 2, 4, "X") @ Matrix.Scale(0.01, 4)
CENTIMETRES = {"mixamo", "unreal", "daz", "character_creator", "metahuman"}  # come as FBX: y up in centimetres
COLORS = {"left": (92, 148, 222), "right": (222, 104, 92), "": (205, 205, 210)}
# Part of a role -> half width of its flesh as a share of the bone's length.
WIDTHS = {
    "thumb": 0.2,
    "index": 0.2,
    "middle": 0.2,
    "ring": 0.2,
    "pinky": 0.2,
    "wrist": 0.25,
    "head": 0.45,
    "ankle": 0.3,
}


def main(take: Path, sheet: Path) -> None:
    """Render and write the sheet."""
    spec = importlib.util.spec_from_file_location(
        "video_mocap", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["video_mocap"] = importlib.util.module_from_spec(spec)
    parts = importlib.import_module("video_mocap.mocap_addon.retarget.character")
    motion = parts.sources.read_motion(take)
    cells = []
    for name, rig in rigs(parts):
        mapping = parts.recognise.recognise(parts.blender.read_rig(rig))
        print(f"{name}: {mapping.family}, {sum(map(len, mapping.bones.values()))} bones", flush=True)
        scene = bpy.context.scene
        outcome = parts.retarget(
            scene, bpy.context.view_layer, rig, mapping, motion, take.stem,
            parts.Options(), parts.Span(whole=False), parts.Keying(),
        )  # fmt: skip
        cells.append(pictures(scene, rig, mapping, motion, f"{name} ({mapping.family})", outcome.notes))
    height = max(cell.shape[0] for cell in cells)
    blank = np.zeros((height, cells[0].shape[1], 3), np.uint8)
    cells += [blank] * (-len(cells) % ACROSS)
    rows = [np.concatenate(cells[i : i + ACROSS], axis=1) for i in range(0, len(cells), ACROSS)]
    sheet.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(sheet), np.concatenate(rows, axis=0))
    print(sheet)


def rigs(parts) -> Iterator[tuple[str, bpy.types.Object]]:
    """Name and armature of each rig, in a file of its own."""
    importlib.import_module("addon_utils").enable("rigify", default_set=True)
    for name, add, generate in (
        ("Rigify human", bpy.ops.object.armature_human_metarig_add, True),
        ("Rigify basic human", bpy.ops.object.armature_basic_human_metarig_add, True),
        ("Rigify metarig", bpy.ops.object.armature_human_metarig_add, False),
    ):
        empty()
        add()
        if generate:
            bpy.ops.pose.rigify_generate()
            bpy.data.objects.remove(bpy.data.objects["metarig"])
        yield name, next(thing for thing in bpy.data.objects if thing.type == "ARMATURE")
    for path in sorted((ROOT / ".cache" / "rigs").glob("*.json")):
        empty()
        yield f"MPFB {path.stem.removeprefix('rig.')}", from_mpfb(json.loads(path.read_text("utf-8")))
    lists = importlib.import_module("rig_lists")
    for name in lists.LISTS:
        empty()
        made = lists.build(name, 45.0)
        yield name, from_list(made, FBX if made.family in CENTIMETRES else Matrix())


def empty() -> None:
    """A file with nothing in it."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.context.scene.render.fps = 30


def from_mpfb(data: dict) -> bpy.types.Object:
    """An armature out of a rig file of MPFB: real tails and rolls."""
    bones = data.get("bones", data)
    heads, tails = ({n: Vector(b[end]["default_position"]) for n, b in bones.items()} for end in ("head", "tail"))
    return armature([(n, b["parent"], heads[n], tails[n], b["roll"]) for n, b in bones.items()], Matrix())


def from_list(made, world: Matrix) -> bpy.types.Object:
    """An armature out of a bone list, with odd rolls."""
    random = np.random.default_rng(1)
    rows = []
    for i, name in enumerate(made.names):
        head = np.asarray(made.points[i], float)
        children = [p for p, parent in zip(made.points, made.parents, strict=True) if parent == i]
        tail = np.mean(children, axis=0) if children else head + (head - made.points[made.parents[i]]) * 0.5
        if np.linalg.norm(tail - head) < 0.01:
            tail = head + [0.0, 0.0, 0.05]
        parent = made.names[made.parents[i]] if made.parents[i] >= 0 else ""
        rows.append((name, parent, Vector(head), Vector(tail), random.uniform(-3, 3)))
    return armature(rows, world)


def armature(rows: list[tuple[str, str, Vector, Vector, float]], world: Matrix) -> bpy.types.Object:
    """An armature of bones (name, parent, head, tail, roll) given in the scene's space; world: the object's matrix."""
    rig = bpy.data.objects.new("rig", bpy.data.armatures.new("rig"))
    bpy.context.scene.collection.objects.link(rig)
    rig.matrix_world = world
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    inside, bones = world.inverted(), rig.data.edit_bones
    for name, _, head, tail, roll in rows:
        bone = bones.new(name)
        bone.head, bone.tail, bone.roll = inside @ head, inside @ tail, roll
    for name, parent, *_ in rows:
        if parent:
            bones[name].parent = bones[parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def pictures(scene, rig, mapping, motion, title: str, notes: list[str]) -> np.ndarray:
    """Three frames and the left hand, side by side."""
    skin(rig, mapping)
    studio(scene)
    cells = []
    for share in FRAMES:
        i = round(share * (len(motion.times) - 1))
        frame = 1.0 + motion.times[i] * scene.render.fps
        scene.frame_set(int(frame), subframe=frame % 1)
        shown = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
        at = {role: shown.matrix_world @ shown.pose.bones[names[0]].head for role, names in mapping.bones.items()}
        across = at["left_hip"] - at["right_hip"]
        front = across.cross(Vector((0, 0, 1))).normalized()
        middle = (at["left_hip"] + at["right_hip"]) / 2 - Vector((0, 0, 0.04 * height_of(rig, mapping)))
        cells.append(render(scene, middle, front, 1.25 * height_of(rig, mapping)))
        if share == FRAMES[1]:
            knuckles = [at[role] for role in ("left_middle1", "left_index1", "left_thumb2") if role in at]
            palm = (at["left_wrist"] + (knuckles[0] if knuckles else at["left_wrist"])) / 2
            hand = render(scene, palm, front, 0.22 * height_of(rig, mapping))
    strip = np.concatenate([*cells, hand], axis=1)
    from sheet_drawing import write

    write(strip, title, 6, 16)
    for k, note in enumerate(notes):
        write(strip, note, 6, 36 + 16 * k, 0.4)
    return strip


def height_of(rig, mapping) -> float:
    """Metres from the lower foot to the head's end, at rest."""
    ends = [rig.matrix_world @ rig.data.bones[names[0]].head_local for names in mapping.bones.values()]
    roots = mapping.bones.get("root", [])
    ends = [e for e, names in zip(ends, mapping.bones.values(), strict=True) if names != roots]
    return 1.12 * (max(end.z for end in ends) - min(end.z for end in ends))


def skin(rig, mapping) -> None:
    """A piece with flat sides for every limb between joints; in Rigify's rigs for every bone that deforms."""
    shape = np.array([[0, 0, 0], [1, 0.15, 1], [1, 0.15, -1], [-1, 0.15, -1], [-1, 0.15, 1], [0, 1, 0]], float)
    faces = [(0, 2, 1), (0, 3, 2), (0, 4, 3), (0, 1, 4), (1, 2, 5), (2, 3, 5), (3, 4, 5), (4, 1, 5)]
    nose = np.array([[-0.3, 0.4, 0.3], [0.3, 0.4, 0.3], [0.0, 0.8, 0.3], [0.0, 0.4, 1.3]])
    vertices: list[Vector] = []
    polygons: list[tuple[int, ...]] = []
    owners: list[str] = []
    colors: list[int] = []
    forward, high = facing(rig, mapping), height_of(rig, mapping)
    for name, role, head, tail in pieces(rig, mapping):
        along = tail - head
        wide = next((width for part, width in WIDTHS.items() if part in role), 0.16)
        turn = along.to_track_quat("Y", "Z").to_matrix()
        points = [head + turn @ Vector(p * [wide, 1.0, wide]) * along.length for p in shape]
        new = list(faces)
        if role == "head":
            frame = Matrix((forward.cross(Vector((0, 0, 1))), Vector((0, 0, 1)), forward)).transposed()
            points += [head + frame @ Vector(p) * 0.08 * high for p in nose]
            new += [tuple(6 + k for k in face) for face in ((0, 1, 2), (0, 3, 1), (1, 3, 2), (2, 3, 0))]
        polygons += [tuple(len(vertices) + k for k in face) for face in new]
        vertices += points
        owners += [name] * len(points)
        colors += [list(COLORS).index(side) if (side := role.split("_")[0]) in COLORS else 2] * len(new)
    mesh = bpy.data.meshes.new("skin")
    mesh.from_pydata(vertices, [], polygons)
    for color in COLORS.values():
        material = bpy.data.materials.new("flesh")
        material.diffuse_color = (*((c / 255) ** 2.2 for c in color), 1.0)
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", colors)
    body = bpy.data.objects.new("skin", mesh)
    bpy.context.scene.collection.objects.link(body)
    for name in dict.fromkeys(owners):
        body.vertex_groups.new(name=name).add([i for i, owner in enumerate(owners) if owner == name], 1.0, "REPLACE")
    body.modifiers.new("rig", "ARMATURE").object = rig


def pieces(rig, mapping) -> Iterator[tuple[str, str, Vector, Vector]]:
    """Bone, role, start and end in the scene, at rest: what is to be covered with flesh."""
    world, bones = rig.matrix_world, rig.data.bones
    high = height_of(rig, mapping)
    at = {role: world @ bones[names[0]].head_local for role, names in mapping.bones.items()}
    if mapping.family == "rigify":
        for bone in bones:
            if bone.name.startswith("DEF-"):
                side = {".L": "left_", ".R": "right_"}.get(next((e for e in (".L", ".R") if e in bone.name), ""), "")
                yield bone.name, side + bone.name, world @ bone.head_local, world @ bone.tail_local
        yield mapping.bones["head"][0], "head", at["head"], at["head"] + Vector((0, 0, 0.12 * high))
        return
    following = {"pelvis": "spine", "neck": "head", "spine": "neck"}
    limbs = ("collar", "shoulder", "elbow", "wrist", "middle1"), ("hip", "knee", "ankle", "foot")
    fingers = tuple(
        tuple(f"{finger}{k}" for k in (1, 2, 3)) for finger in ("thumb", "index", "middle", "ring", "pinky")
    )
    for side in ("left", "right"):
        for chain in (*limbs, *fingers):
            following |= {f"{side}_{start}": f"{side}_{end}" for start, end in pairwise(chain)}
    for role, names in mapping.bones.items():
        if role in ("root", "jaw") or role.endswith("eye"):
            continue
        joints = [world @ bones[name].head_local for name in names]
        if following.get(role) in at:
            end = at[following[role]]
        elif role == "head":
            end = joints[-1] + Vector((0, 0, 0.12 * high))
        elif role.endswith("foot"):
            end = joints[-1] + facing(rig, mapping) * 0.05 * high
        else:  # a limb's last bone goes on as the one before it
            before = next((at[start] for start, after in following.items() if after == role and start in at), None)
            end = joints[-1] + (joints[-1] - before) * 0.6 if before else joints[-1] + Vector((0, 0, 0.05 * high))
            if role.endswith("wrist"):
                end = joints[-1] + (joints[-1] - before).normalized() * 0.08 * high
        for name, (start, stop) in zip(names, pairwise([*joints, end]), strict=True):
            if (stop - start).length > 1e-4:
                yield name, role, start, stop


def facing(rig, mapping) -> Vector:
    """Where the rest pose looks, in the scene."""
    left, right = (
        rig.matrix_world @ rig.data.bones[mapping.bones[f"{side}_hip"][0]].head_local for side in ("left", "right")
    )
    return (left - right).cross(Vector((0, 0, 1))).normalized()


def studio(scene) -> None:
    """Workbench with shadows, and a floor of one metre tiles."""
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y = CELL
    scene.view_settings.view_transform = "Standard"
    scene.display.render_aa = "8"
    scene.display.shading.light = "STUDIO"
    scene.display.shading.color_type = "MATERIAL"
    scene.display.shading.show_shadows = True
    scene.display.shading.show_cavity = True
    scene.world = bpy.data.worlds.new("studio")
    scene.world.color = (0.03, 0.033, 0.04)
    mesh = bpy.data.meshes.new("floor")
    corners = [(x, y) for x in range(-12, 12) for y in range(-12, 12)]
    square = ((0, 0), (1, 0), (1, 1), (0, 1))
    mesh.from_pydata(
        [(x + i, y + j, 0.0) for x, y in corners for i, j in square],
        [],
        [tuple(range(k, k + 4)) for k in range(0, 4 * len(corners), 4)],
    )
    for gray in (0.09, 0.15):
        mesh.materials.append(bpy.data.materials.new("floor"))
        mesh.materials[-1].diffuse_color = (gray, gray, gray, 1.0)
    mesh.polygons.foreach_set("material_index", [(x + y) % 2 for x, y in corners])
    scene.collection.objects.link(bpy.data.objects.new("floor", mesh))
    scene.camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.camera.data.type = "ORTHO"
    scene.collection.objects.link(scene.camera)


def render(scene, middle: Vector, front: Vector, high: float) -> np.ndarray:
    """A picture of `high` metres around a point, from the person's front left and a little above."""
    out = (Matrix.Rotation(VIEW, 3, "Z") @ front + Vector((0, 0, 0.25))).normalized()
    right = Vector((0, 0, 1)).cross(out).normalized()
    turn = Matrix((right, out.cross(right), out)).transposed()
    scene.camera.matrix_world = Matrix.Translation(middle + out * 20.0) @ turn.to_4x4()
    scene.camera.data.ortho_scale = high
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = f"{folder}/cell.png"
        bpy.ops.render.render(write_still=True)
        return cv2.imread(f"{folder}/cell.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("take", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    try:  # Blender's module can hang when Python ends by itself
        main(options.take, options.output)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)
