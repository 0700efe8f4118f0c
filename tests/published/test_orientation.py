"""CamCalib's and W-HMR's arithmetic: what is known of it without anyone's weights."""

from __future__ import annotations

import math

import torch
from golden import agrees, filled, stream

from backend.motion.orient import OrientCorrect
from backend.published import camcalib, whmr
from backend.published.rotations import matrix_from_axis_angle


def test_bins_say_the_angle_that_they_expect() -> None:
    for bin_, value in ((0, -0.6), (255, 0.6), (51, -0.6 + 1.2 / 5)):
        logits = torch.full((1, 256), -60.0)
        logits[0, bin_] = 60.0
        torch.testing.assert_close(camcalib.expected(logits, -0.6, 0.6), torch.tensor([value]), atol=1e-5, rtol=0)
    even = camcalib.expected(torch.zeros(1, 256), *camcalib.VIEW)
    torch.testing.assert_close(even, torch.tensor([sum(camcalib.VIEW) / 2]), atol=1e-5, rtol=0)


def test_gravity_and_camera_rotation_are_one_thing() -> None:
    """The world's y is down: the camera sees it where its rotation takes it; positive pitch looks down."""
    pitch, roll = torch.tensor([0.4, -0.2, 0.0, 0.3]), torch.tensor([0.0, 0.1, -0.5, 0.25])
    camera = camcalib.world_to_camera(pitch, roll)
    torch.testing.assert_close(camcalib.down(pitch, roll), camera[..., 1])
    torch.testing.assert_close(camera @ camera.transpose(-1, -2), torch.eye(3).expand(4, 3, 3), atol=1e-6, rtol=0)
    assert camcalib.down(pitch, roll)[0, 2] > 0  # looking down, gravity points away from the camera
    torch.testing.assert_close(camcalib.focal(torch.tensor(math.pi / 2), 720.0), torch.tensor(360.0))


@torch.no_grad()
def test_orient_correct_is_one_affine_map() -> None:
    network = filled(OrientCorrect())
    matrix, offset = whmr.affine(network)
    camera, local = (matrix_from_axis_angle(stream(name, 4, 3)) for name in ("oc.Rc", "oc.Rl"))
    inputs = torch.cat([stream("oc.x", 4, 2149), camera[:, :, :2].flatten(1), local.flatten(1)], 1)
    raw = inputs @ matrix.T + offset + local.flatten(1)
    assert agrees("whmr.orient_correct_raw(4,9)", raw)


def test_the_surface_is_skinned_and_seen() -> None:
    """One bone, one marker: it turns about the joint; the projection is that of a camera 2 f / (s 256) away."""
    surface = whmr.Surface(
        [-1, *[0] * 23],
        template=torch.tensor([[0.0, 1.0, 0.0]]),
        shape=torch.zeros(1, 3, 10),
        pose=torch.zeros(207, 3),
        weights=torch.eye(24)[1:2],
        joints=torch.zeros(24, 3).index_fill(0, torch.tensor([1]), 0.5),
        joint_shape=torch.zeros(24, 3, 10),
    )
    turn = torch.eye(3).expand(1, 24, 3, 3).clone()
    turn[0, 1] = matrix_from_axis_angle(torch.tensor([0.0, 0.0, math.pi / 2]))
    found = surface.posed(turn, torch.zeros(1, 10))[0, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.0]), atol=1e-6, rtol=0)  # about (.5, .5, .5), then z
    seen = whmr.project(torch.tensor([[[0.1, 0.2, 0.0]]]), torch.tensor([[0.9, 0.0, 0.1]]))
    torch.testing.assert_close(seen[0, 0], torch.tensor([0.1, 0.3]) * 0.9, atol=1e-5, rtol=0)


def test_the_grid_covers_the_crop_column_by_column() -> None:
    points = whmr.grid(1)[0]
    assert points.shape == (63, 2) and points[0].tolist() == [-1, -1] and points[8].tolist() == [-1, 1]
    assert points[-1].tolist() == [1, 1]
