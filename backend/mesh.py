"""A take's body as a surface: SMPL-X's, of the shape that fits the take's bones, posed in every frame.

Written as plain arrays (.npz), or as a mesh and a cache of its points (.obj and .pc2), which Blender's Mesh Cache
modifier, Maya and 3ds Max play. Both in the take's world: metres, z up, floor at z = 0.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .core.errors import MocapError
from .core.take import NpzWriter, Take, read_take
from .published.smplx import Surface
from .store import writing

BLOCK = 64  # frames at a time
KINDS = (".npz", ".obj")

Vertices = NDArray[np.float32]


def write(take_file: Path, model: Path, output: Path) -> list[Path]:
    """Write the surface of a take; the files.

    BODY.npz: vertices (T, V, 3), faces (F, 3), timestamps (T,), frames (T,) as the take has them, betas (10,), size,
    fps. BODY.obj, the first frame, and BODY.pc2: a sample for every frame of the clip from the person's first to last
    one; where the person was not seen, the last one before.

    Raises MocapError bad-request, take-unreadable, model-unreadable, model-wrong, disk-full or output-unwritable.
    """
    if output.suffix not in KINDS:
        raise MocapError("bad-request", f"{output.name} is neither {' nor '.join(KINDS)}.")
    take = read_take(take_file, ("poses", "trans", "mocap_frame_rate", "rest_offsets", "timestamps", "frames", "fps"))
    for name in ("rest_offsets", "timestamps", "frames"):
        if name not in take:
            raise MocapError("take-unreadable", f"{take_file.name} is no take of this program: it has no {name}.")
    surface = Surface(model)
    betas, size = surface.fitted(take["rest_offsets"].astype(float))
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix == ".obj":
            return _write_cache(take, surface, betas, size, output)
        with NpzWriter(output) as file:
            count = surface.vertices
            blocks = _posed(take, np.arange(len(take)), surface, betas, size)
            file.put_blocks("vertices", "<f4", (len(take), count, 3), blocks)
            for name, value in (("faces", surface.faces), ("betas", betas), ("size", size)):
                file.put(name, value)
            for name in ("timestamps", "frames", "mocap_frame_rate"):
                file.put(name, take[name])
    return [output]


def _posed(take: Take, rows: NDArray[np.intp], surface: Surface, betas: NDArray, size: float) -> Iterator[Vertices]:
    local, pelvis = take.rotations, take.pelvis
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        yield surface.posed(betas, local[some], pelvis[some], size)


def _write_cache(take: Take, surface: Surface, betas: NDArray, size: float, output: Path) -> list[Path]:
    cache = output.with_suffix(".pc2")
    seen = take["frames"] - take["frames"][0]
    rows = np.searchsorted(seen, np.arange(int(seen[-1]) + 1), side="right") - 1
    first = next(_posed(take, rows[:1], surface, betas, size))[0]
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in first]
    lines += [f"f {a} {b} {c}" for a, b, c in surface.faces + 1]
    part = cache.with_name(cache.name + ".tmp")
    with part.open("wb") as file:
        file.write(struct.pack("<12siiffi", b"POINTCACHE2\0", 1, surface.vertices, 0.0, 1.0, len(rows)))
        for block in _posed(take, rows, surface, betas, size):
            file.write(np.ascontiguousarray(block, "<f4").tobytes())
    os.replace(part, cache)
    output.write_text("\n".join(lines) + "\n", "ascii")
    return [output, cache]
