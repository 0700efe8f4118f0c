"""The surface of a take by an SMPL-X model file: a made-up one, in the published file's layout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import smplx_file

from backend import mesh
from backend.core import rotations, skeleton
from backend.core.errors import MocapError
from backend.core.take import NpzWriter
from backend.published.smplx import BETAS, Surface

BETA = np.array([1.5, -2.0, 0.5, 1.0, -0.7, 0.3, 2.0, -1.0, 0.1, 0.8])
FRAMES = np.array([10, 11, 12, 15, 16])  # of the video; the person was not seen in 13 and 14


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smplx_file.write(tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz", vertices=400)


def poses(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(T, 55, 4) and (T, 3): anything."""
    rng = np.random.default_rng(1)
    return rotations.from_axis_angle(0.4 * rng.normal(size=(count, skeleton.COUNT, 3))), rng.normal(size=(count, 3))


@pytest.fixture
def take(model: Path, tmp_path: Path) -> Path:
    """A take of a person who has the model's bones, in shape BETA, a tenth larger."""
    local, pelvis = poses(len(FRAMES))
    body = Surface(model).skeleton(BETA).scaled(1.1)
    with NpzWriter(tmp_path / "take.npz") as file:
        file.put("poses", rotations.to_axis_angle(local).reshape(len(local), -1))
        file.put("trans", pelvis - body.offsets[0])
        file.put("rest_offsets", body.offsets)
        file.put("mocap_frame_rate", 30.0)
        file.put("timestamps", FRAMES / 30)
        file.put("frames", FRAMES)
    return tmp_path / "take.npz"


def test_the_surface_is_that_of_the_package_smplx(tmp_path: Path) -> None:
    """The same vertices and joints as its layer gives, of a file as large as the published one."""
    smplx, torch = pytest.importorskip("smplx"), pytest.importorskip("torch")
    path = smplx_file.write(tmp_path / "SMPLX_NEUTRAL.npz", smplx_file.VERTICES)
    local, pelvis = poses(3)
    layer = smplx.SMPLX(str(path), use_pca=False, flat_hand_mean=True, num_betas=BETAS, batch_size=3)
    turns = torch.from_numpy(rotations.to_axis_angle(local)).float()
    names = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
    joints = np.cumsum([0, 1, 21, 1, 1, 1, 15, 15])
    parts = {name: turns[:, a:b].flatten(1) for name, a, b in zip(names, joints, joints[1:], strict=False)}
    surface = Surface(path)
    rest = surface.joints(BETA)
    with torch.no_grad():
        out = layer(
            betas=torch.from_numpy(BETA).float().expand(3, -1),
            transl=torch.from_numpy(pelvis - rest[0]).float(),
            **parts,
        )
    np.testing.assert_allclose(surface.posed(BETA, local, pelvis), out.vertices, atol=2e-5)
    _, ours = skeleton.forward_kinematics(surface.skeleton(BETA), local, pelvis)
    np.testing.assert_allclose(ours, out.joints[:, : skeleton.COUNT], atol=2e-5)


def test_shape_and_size_are_read_off_the_bones(model: Path) -> None:
    surface = Surface(model)
    betas, size = surface.fitted(surface.skeleton(BETA).scaled(1.1).offsets)
    np.testing.assert_allclose(betas, BETA, atol=0.02)
    assert size == pytest.approx(1.1, abs=1e-3)
    # Bones that no such body has: a likely body, not one bent out of shape to follow them.
    noise = np.random.default_rng(2).normal(size=(skeleton.COUNT, 3))
    betas, size = surface.fitted(surface.skeleton(np.zeros(BETAS)).offsets + 0.03 * noise)
    assert np.abs(betas).max() < 3 and size == pytest.approx(1.0, abs=0.1)


def test_a_turned_and_moved_body_is_the_same_body(model: Path) -> None:
    surface = Surface(model)
    local, pelvis = poses(2)
    turn = rotations.from_axis_angle([0.3, -0.8, 0.2])
    moved = local.copy()
    moved[:, 0] = rotations.multiply(turn, local[:, 0])
    here = surface.posed(BETA, local, np.zeros((2, 3)), 1.2)
    there = surface.posed(BETA, moved, pelvis, 1.2)
    np.testing.assert_allclose(there, rotations.rotate(turn, here) + pelvis[:, None], atol=1e-4)
    straight = np.broadcast_to(rotations.IDENTITY, (1, skeleton.COUNT, 4))
    twice, once = (surface.posed(np.zeros(BETAS), straight, np.zeros((1, 3)), size)[0] for size in (2.0, 1.0))
    np.testing.assert_allclose(twice, 2 * once, atol=1e-5)


def test_arrays_on_request(take: Path, model: Path) -> None:
    output = take.with_name("body.npz")
    run = [sys.executable, "-m", "backend", "mesh", str(take), "-o", str(output), "--model", str(model)]
    told = subprocess.run(run, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.strip() == str(output), told.stderr
    local, pelvis = poses(len(FRAMES))
    with np.load(output) as body:
        np.testing.assert_allclose(body["vertices"], Surface(model).posed(BETA, local, pelvis, 1.1), atol=1e-3)
        assert body["faces"].max() < body["vertices"].shape[1] and body["frames"].tolist() == FRAMES.tolist()


def test_blender_plays_the_point_cache(take: Path, model: Path) -> None:
    """Through its Mesh Cache modifier, the mesh brought in with the axes as they are; frames nobody was seen in hold
    still."""
    bpy = pytest.importorskip("bpy")
    output = take.with_name("body.obj")
    assert mesh.write(take, model, output) == [output, output.with_suffix(".pc2")]
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.obj_import(filepath=str(output), forward_axis="Y", up_axis="Z")
    (body,) = bpy.context.selected_objects
    cache = body.modifiers.new("Mesh Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath, cache.frame_start = "PC2", str(output.with_suffix(".pc2")), 10
    local, pelvis = poses(len(FRAMES))
    expected = Surface(model).posed(BETA, local, pelvis, 1.1)
    for frame, row in zip(range(10, 17), (0, 1, 2, 2, 2, 3, 4), strict=True):
        bpy.context.scene.frame_set(frame)
        played = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        points = np.empty(3 * len(played.vertices), np.float32)
        played.vertices.foreach_get("co", points)
        np.testing.assert_allclose(points.reshape(-1, 3), expected[row], atol=1e-3)


def test_what_is_no_model_or_no_take_is_told(take: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "body.npz"
    with np.load(model, allow_pickle=True) as full:
        np.savez(tmp_path / "few.npz", **{name: full[name] for name in full.files if name != "posedirs"})
        np.savez(tmp_path / "other.npz", **{**full, "weights": full["weights"][:, :24]})
    (tmp_path / "cut.npz").write_bytes(model.read_bytes()[:5000])
    for name, code in (
        ("few", "model-unreadable"),
        ("cut", "model-unreadable"),
        ("none", "model-unreadable"),
        ("other", "model-wrong"),
    ):
        with pytest.raises(MocapError) as failure:
            mesh.write(take, tmp_path / f"{name}.npz", output)
        assert failure.value.code == code
    with pytest.raises(MocapError) as failure:
        mesh.write(model, model, output)
    assert failure.value.code == "take-unreadable"
    with pytest.raises(MocapError) as failure:
        mesh.write(take, model, tmp_path / "body.abc")
    assert failure.value.code == "bad-request"
    assert not output.exists() and not list(tmp_path.glob("*.tmp"))
