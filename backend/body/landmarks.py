"""BlazePose's 33 body points and the 21 hand points by name, and the points that the body stage builds from them."""

from __future__ import annotations

import numpy as np

from ..core import keypoints, rotations
from ..core.rotations import Array
from ..stages import Camera

INDEX = {name: i for i, name in enumerate(keypoints.LANDMARKS)}

# The hand model's chains, wrist first; each finger from its base to its tip.
HAND_CHAINS = {
    "thumb": (1, 2, 3, 4),
    "index": (5, 6, 7, 8),
    "middle": (9, 10, 11, 12),
    "ring": (13, 14, 15, 16),
    "pinky": (17, 18, 19, 20),
}

# Landmarks that also exist as COCO-WholeBody keypoints: (landmark, keypoint).
_SAME = {**{n: n for n in keypoints.INDEX}, "left_foot_index": "left_big_toe", "right_foot_index": "right_big_toe"}
IN_KEYPOINTS = np.array([(INDEX[a], keypoints.INDEX[b]) for a, b in _SAME.items() if a in INDEX])


def along_ray(points: Array, roi: Array, camera: Camera) -> Array:
    """Landmarks as seen by the crop -> camera axes.

    The model sees a crop as if the camera looked straight at it; away from the picture's centre the person is really
    seen along a slanted ray, so the points turn with that ray (PersPose's lesson).
    points: (T, N, 3) metres; roi: (T, 4) as in OBSERVATION, pixels. -> (T, N, 3)
    """
    ray = np.column_stack([(roi[:, :2] - camera.center) / camera.focal, np.ones(len(roi))])
    turn = rotations.between([0.0, 0.0, 1.0], ray)
    return rotations.rotate(turn[:, None], points)


def place_points(points: Array, pixels: Array, weights: Array, camera: Camera, rounds: int = 4) -> Array:
    """Where in camera space a cloud of known shape must be to be seen at these pixels.

    Weighted linear least squares per frame on x f - u z = 0, re-weighted so that single wrong points lose their pull.
    points: (T, N, 3) metres, camera axes, about any origin; pixels: (T, N, 2); weights: (T, N) >= 0.
    -> (T, 3) metres: the origin's position in camera space (z > 0).
    """
    rays = (pixels - camera.center) / camera.focal  # (T, N, 2): x/z, y/z
    offset = rays * points[..., 2:] - points[..., :2]  # what t_x - ray_x t_z must be
    w = weights.copy()
    place = np.zeros((len(points), 3))
    for _ in range(rounds):
        a = np.zeros((len(points), 3, 3))
        a[:, 0, 0] = a[:, 1, 1] = w.sum(1)
        a[:, 0, 2] = a[:, 2, 0] = -(w * rays[..., 0]).sum(1)
        a[:, 1, 2] = a[:, 2, 1] = -(w * rays[..., 1]).sum(1)
        a[:, 2, 2] = (w * (rays**2).sum(-1)).sum(1)
        b = np.stack(
            [(w * offset[..., 0]).sum(1), (w * offset[..., 1]).sum(1), -(w * (rays * offset).sum(-1)).sum(1)], axis=-1
        )
        place = np.linalg.solve(a + 1e-9 * np.eye(3), b[..., None])[..., 0]
        place[:, 2] = np.maximum(place[:, 2], 0.3)
        residual = np.linalg.norm(place[:, None, :2] - rays * place[:, None, 2:] - offset, axis=-1)  # metres
        w = weights / (1.0 + (residual / 0.05) ** 2)
    return place


def on_rays(points: Array, place: Array, pixels: Array, weights: Array, camera: Camera) -> Array:
    """Keep each point's depth, move it sideways onto the ray of its pixel (as far as its weight, 0..1, goes).

    Pixels are far more exact than the landmark model's metric points; the depth is all that those must give.
    points (T, N, 3) about `place` (T, 3). -> (T, N, 3) about `place`.
    """
    depth = place[:, None, 2:] + points[..., 2:]
    seen = (pixels - camera.center) / camera.focal * depth - place[:, None, :2]
    moved = points.copy()
    moved[..., :2] += weights[..., None] * (seen - points[..., :2])
    return moved
