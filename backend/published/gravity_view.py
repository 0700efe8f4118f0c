"""GVHMR's world: orientations in gravity-view coordinates, each frame its own, composed into one upright world.

Gravity-view (GV) coordinates of a frame: y down along gravity, z where the camera looks, horizontally. All frames share
the y axis; how far their headings differ is read off the camera's turn (section 3.2 of the paper).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..motion.kinematics import matrix_from_6d
from .rotations import matrix_from_axis_angle, without_tiny_turns

HEADING_SIGMA = 3.0  # frames


def compose(in_gravity_view: Tensor, in_camera: Tensor, velocity: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """-> the root's orientation (B, L, 3, 3) and translation (B, L, 3) metres in a world with y up, starting at zero.

    in_gravity_view, in_camera (B, L, 3, 3): the root's orientation; velocity (B, L, 3) metres a frame, body axes;
    turn (B, L, 6): `gvhmr.camera_turn`, not normalised.
    """
    orientation = headings(in_gravity_view, in_camera, turn) @ in_gravity_view
    step = (orientation @ velocity[..., None])[..., 0]
    path = F.pad(step[:, :-1], (0, 0, 1, 0)).cumsum(1)
    up = torch.diag(orientation.new_tensor([-1.0, -1.0, 1.0]))  # half a turn about z
    return up @ orientation, path @ up


def headings(in_gravity_view: Tensor, in_camera: Tensor, turn: Tensor) -> Tensor:
    """Rotations (B, L, 3, 3) about gravity, from each frame's GV coordinates to those of the first frame."""
    next_camera = without_tiny_turns(matrix_from_6d(turn))
    looking = camera_to_gravity(in_gravity_view, in_camera)
    now, then = (_level(axes[..., 2]) for axes in (looking, looking @ next_camera.transpose(-1, -2)))
    cosine = (now * then).sum(-1, keepdim=True).clamp(-1, 1)
    step = F.normalize(torch.linalg.cross(then, now), dim=-1) * cosine.acos()
    step = matrix_from_axis_angle(gaussian(step, HEADING_SIGMA)).transpose(-1, -2)
    heading = [torch.eye(3).to(step).expand_as(step[:, 0])]
    for i in range(1, step.shape[1]):
        heading.append(heading[-1] @ step[:, i])
    return without_tiny_turns(torch.stack(heading, 1))


def camera_to_gravity(in_gravity_view: Tensor, in_camera: Tensor) -> Tensor:
    """Rotations (..., 3, 3) camera space to GV coordinates: both orientations are of one body."""
    return in_gravity_view @ in_camera.transpose(-1, -2)


def _level(direction: Tensor) -> Tensor:
    """The horizontal part (..., 3) of directions, of length 1."""
    return F.normalize(direction * direction.new_tensor([1.0, 0.0, 1.0]), dim=-1)


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """(B, L, C) smoothed over L; sigma in frames, cut off at 4 sigma, the ends repeated."""
    radius = int(4 * sigma + 0.5)
    steps = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (kernel / kernel.sum())[None, None].expand(x.shape[-1], 1, -1)
    padded = F.pad(x.transpose(1, 2), (radius, radius), mode="replicate")
    return F.conv1d(padded, kernel, groups=x.shape[-1]).transpose(1, 2)
