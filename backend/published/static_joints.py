"""GVHMR's post-processing of the root: joints that the network calls static stand still in the world (section 3.4).

Everything here is in GVHMR's world: y up, metres, B people over L frames; `static` (B, L, 6) are logits of
`gvhmr.STATIC`. The result is where the pelvis goes; the pose is `ik`'s to put right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .gravity_view import gaussian
from .gvhmr import STATIC

SMOOTH = 3.0  # frames, sigma: of the corrected path, sideways
SMOOTH_CAMERA = 5.0  # of the path in camera space
FAR, STEP = 0.25, 0.02  # metres: how far the paths may part, and how much of it is taken back in a frame
CERTAIN = 0.8  # probability of standing still


def moving_camera(joints: Tensor, static: Tensor) -> Tensor:
    """joints (B, L, 22, 3). -> pelvis (B, L, 3): what static joints move is taken from the root, then it is smoothed
    sideways and put on the ground."""
    moved = joints[:, 1:, list(STATIC)] - joints[:, :-1, list(STATIC)]
    logits = static[:, :-1]
    still = logits > 0
    share = torch.where(still, logits, logits - 1e6).softmax(-1)
    slip = (moved * share[..., None]).sum(-2) * still.any(-1, keepdim=True)
    pelvis = _without(joints[:, :, 0], slip)
    smooth = gaussian(pelvis, SMOOTH)
    return _grounded(torch.stack([smooth[..., 0], pelvis[..., 1], smooth[..., 2]], -1), joints)


def static_camera(joints: Tensor, in_camera: Tensor, to_world: Tensor, static: Tensor) -> Tensor:
    """The same where the camera stands still: the path in camera space is then a second witness.

    joints, in_camera (B, L, 22, 3): in the world and in camera space; to_world (B, 3, 3): rotation camera to world, of
    the first frame. -> pelvis (B, L, 3)
    """
    seen = gaussian(in_camera[:, :, 0], SMOOTH_CAMERA) @ to_world.transpose(-1, -2)
    seen = seen + joints[:, :1, 0] - seen[:, :1]
    pelvis = joints[:, :, 0].clone()
    for i in range(1, pelvis.shape[1]):
        apart = pelvis[:, i] - seen[:, i]
        back = torch.where(apart.abs() > FAR, apart, 0).clamp(-STEP, STEP)
        pelvis[:, i:] -= back[:, None]
    followed = joints + (pelvis - joints[:, :, 0])[:, :, None]
    moved = followed[:, 1:, list(STATIC)] - followed[:, :-1, list(STATIC)]
    certain = (static[:, :-1].sigmoid() > CERTAIN)[..., None]
    slip = (moved * certain).sum(-2) / certain.sum(-2).clamp_min(1)
    return _grounded(_without(pelvis, slip * slip.new_tensor([1.0, 0.0, 1.0])), joints)


def _without(pelvis: Tensor, slip: Tensor) -> Tensor:
    """The path (B, L, 3) without the slip (B, L - 1, 3) from frame to frame."""
    return pelvis - torch.nn.functional.pad(slip, (0, 0, 1, 0)).cumsum(1)


def _grounded(pelvis: Tensor, joints: Tensor) -> Tensor:
    """The path (B, L, 3) at the height at which the lowest joint of all frames is on the ground."""
    heights = (joints + (pelvis - joints[:, :, 0])[:, :, None])[..., 1]
    return pelvis - heights.flatten(1).min(1).values[:, None, None] * pelvis.new_tensor([0.0, 1.0, 0.0])
