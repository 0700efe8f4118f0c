"""The user's own SMPL-X body, from the model file that they have: `.npz`, read without running anything in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...backend.core import skeleton
from ...backend.core.errors import MocapError
from ...backend.core.skeleton import COUNT, Skeleton
from ...backend.core.take import DAMAGE
from .fit import Surface

KEYS = ("v_template", "f", "weights", "J_regressor")  # plain arrays; others in the file hold Python objects
MOST_BONES = 4
LOW = 0.25  # share of a foot's weight from which a vertex belongs to its sole


def read(path: Path) -> Surface:
    """The mean body of a model file. Raises MocapError body-unreadable."""
    try:
        with np.load(path, allow_pickle=False) as data:
            template, faces, weights, regressor = (np.asarray(data[key]) for key in KEYS)
    except (*DAMAGE, TypeError) as error:
        raise MocapError("body-unreadable", f"{path.name} is no SMPL-X model that can be read ({error}).") from error
    count = len(template)
    shapes = (template.shape, weights.shape, regressor.shape, faces.shape[1:])
    if shapes != ((count, 3), (count, COUNT), (COUNT, count), (3,)):
        raise MocapError("body-unreadable", f"{path.name} is another model than SMPL-X with its 55 joints.")
    weights = weights.astype(float)
    joints = regressor.astype(float) @ template
    offsets = joints - joints[np.maximum(skeleton.PARENTS, 0)]
    offsets[0] = joints[0]
    bones = np.argsort(-weights, axis=1)[:, :MOST_BONES]
    shares = np.take_along_axis(weights, bones, axis=1)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    body = skeleton.neutral().with_offsets(offsets)
    return Surface(template - joints[0], faces.astype(int), bones, shares, _with_soles(body, template, joints, weights))


def _with_soles(body: Skeleton, template: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> Skeleton:
    """The model has no points under its feet: they are as low as its surface is there."""
    points = dict(body.points)
    for name in skeleton.FOOT_POINTS:
        joint, offset = points[name]
        sole = template[weights[:, joint] > LOW]
        if len(sole):
            points[name] = joint, np.array([offset[0], sole[:, 1].min() - joints[joint, 1], offset[2]])
    return Skeleton(body.offsets, points)
