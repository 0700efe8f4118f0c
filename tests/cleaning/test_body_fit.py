"""The body to look at, on other bone lengths."""

from __future__ import annotations

import numpy as np
import pytest
from video_mocap.backend.core import skeleton
from video_mocap.backend.core.errors import MocapError
from video_mocap.backend.core.skeleton import INDEX
from video_mocap.mocap_addon.body import fit, smplx


def other(factors: dict[str, float]) -> skeleton.Skeleton:
    offsets = skeleton.neutral().offsets.copy()
    for part, factor in factors.items():
        for name, joint in INDEX.items():
            if part in name:
                offsets[joint] *= factor
    return skeleton.neutral().with_offsets(offsets)


BODIES = {
    "neutral": skeleton.neutral(),
    "child": skeleton.neutral().scaled(0.6),
    "long legs": other({"knee": 1.3, "ankle": 1.3}),
    "short arms": other({"elbow": 0.75, "wrist": 0.75}),
    "wide": other({"hip": 1.4, "shoulder": 1.2}),
    "long feet": other({"_foot": 1.3}),
}


def test_the_asset_is_a_closed_body_that_weighs_every_vertex_fully():
    surface = fit.neutral()
    assert fit.ASSET.stat().st_size < 300_000
    assert np.allclose(surface.shares.sum(axis=1), 1.0) and surface.shares.min() >= 0.0
    assert surface.bones.max() < skeleton.COUNT and surface.faces.max() == len(surface.vertices) - 1
    assert surface.vertices[:, 1].max() + surface.body.joints()[0, 1] - surface.vertices[:, 1].min() > 1.5
    # left and right are alike
    mirrored = surface.vertices * [-1.0, 1.0, 1.0]
    nearest = np.linalg.norm(mirrored[::20, None] - surface.vertices[None], axis=-1).min(axis=1)
    assert np.median(nearest) < 0.01


@pytest.mark.parametrize("name", BODIES)
def test_the_surface_lies_around_every_bone(name):
    """Around the middle of each limb bone, the skin's middle is near the bone, and the skin is as thick as a limb."""
    body = BODIES[name]
    surface = fit.fitted(fit.neutral(), body)
    joints = body.joints()
    for part, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        for side in ("left", "right"):
            a, b = joints[INDEX[f"{side}_{part}"]], joints[INDEX[f"{side}_{end}"]]
            along = (b - a) / np.linalg.norm(b - a)
            place = (surface.vertices - a) @ along / np.linalg.norm(b - a)
            away = surface.vertices - a - np.outer((surface.vertices - a) @ along, along)
            ring = (np.abs(place - 0.6) < 0.22) & (np.linalg.norm(away, axis=1) < 0.2)
            mine = (surface.bones[:, 0] == INDEX[f"{side}_{part}"]) & ring
            assert mine.sum() > 6
            assert np.linalg.norm(away[mine].mean(axis=0)) < 0.035
            assert 0.01 < np.linalg.norm(away[mine], axis=1).mean() < 0.13


@pytest.mark.parametrize("name", BODIES)
def test_the_soles_stand_on_the_floor(name):
    low = fit.in_rest_pose(fit.fitted(fit.neutral(), BODIES[name]))[:, 2].min()
    assert abs(low) < 0.012


def test_its_own_skeleton_gives_the_surface_back():
    surface = fit.neutral()
    assert np.abs(fit.fitted(surface, surface.body).vertices - surface.vertices).max() < 1e-9


def model(path, **changes):
    """An SMPL-X file in miniature: the neutral body's own surface under SMPL-X's keys, with a Python object beside."""
    surface = fit.neutral()
    count = len(surface.vertices)
    weights = np.zeros((count, skeleton.COUNT))
    np.put_along_axis(weights, surface.bones[:, ::-1], surface.shares[:, ::-1], axis=1)
    regressor = np.zeros((skeleton.COUNT, count))
    joints = surface.body.joints()
    for j in range(skeleton.COUNT):  # the joint as a mean of the four vertices around it, put there
        regressor[j, np.argsort(np.linalg.norm(surface.vertices - joints[j], axis=1))[:4]] = 0.25
    arrays = {
        "v_template": surface.vertices + [0.0, 0.3, 0.0],
        "f": surface.faces.astype(np.uint32),
        "weights": weights,
        "J_regressor": regressor,
        "joint2num": np.array({"Pelvis": 0}, dtype=object),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_an_smplx_file_is_read_without_its_python_objects(tmp_path):
    surface = smplx.read(model(tmp_path / "SMPLX é.npz"))
    assert len(surface.vertices) == len(fit.neutral().vertices)
    low = fit.in_rest_pose(fit.fitted(surface, skeleton.neutral()))[:, 2].min()
    assert abs(low) < 0.02


@pytest.mark.parametrize(
    "changes",
    [{"weights": np.array([None], dtype=object)}, {"weights": np.zeros((3, 24))}, {"f": np.zeros((4, 2), int)}],
)
def test_other_files_are_refused(tmp_path, changes):
    with pytest.raises(MocapError) as caught:
        smplx.read(model(tmp_path / "x.npz", **changes))
    assert caught.value.code == "body-unreadable"
    (tmp_path / "y.npz").write_bytes(b"no zip")
    for name in ("y.npz", "none.npz"):
        with pytest.raises(MocapError):
            smplx.read(tmp_path / name)
