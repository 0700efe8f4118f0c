"""A model file in the layout of the published SMPLX_NEUTRAL.npz, of a made-up body."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.core import skeleton

VERTICES = 10475  # of the published one


def write(path: Path, vertices: int = 80) -> Path:
    """Random skin around our own skeleton's joints. Two arrays hold objects, as in the real file."""
    rng = np.random.default_rng(0)
    nearest = np.arange(vertices) % skeleton.COUNT
    joints = skeleton.neutral().joints() + [0.003, -0.35, 0.012]
    weights = rng.dirichlet(np.full(skeleton.COUNT, 0.05), vertices)
    regressor = (nearest == np.arange(skeleton.COUNT)[:, None]) * rng.uniform(0.5, 1, (skeleton.COUNT, vertices))
    parents = np.where(skeleton.PARENTS < 0, 2**32 - 1, skeleton.PARENTS).astype(np.uint32)
    np.savez(
        path,
        v_template=joints[nearest] + 0.05 * rng.normal(size=(vertices, 3)),
        f=((np.arange(2 * vertices - 42)[:, None] + [0, 1, 7]) % vertices).astype(np.uint32),  # touches every vertex
        shapedirs=0.01 * rng.normal(size=(vertices, 3, 400)).astype(np.float32),
        posedirs=0.002 * rng.normal(size=(vertices, 3, 9 * (skeleton.COUNT - 1))).astype(np.float32),
        J_regressor=regressor / regressor.sum(1, keepdims=True),
        weights=weights,
        kintree_table=np.stack([parents, np.arange(skeleton.COUNT, dtype=np.uint32)]),
        **{f"hands_components{side}": np.eye(45) for side in "lr"},
        **{f"hands_mean{side}": 0.1 * rng.normal(size=45) for side in "lr"},
        lmk_faces_idx=np.arange(51),
        lmk_bary_coords=np.full((51, 3), 1 / 3),
        part2num=np.array({"Head": 15}, dtype=object),
        joint2num=np.array({"Head": 15}, dtype=object),
    )
    return path
