"""The tools around the product: the zip, the set-up's messages, the contact sheet."""

from __future__ import annotations

import zipfile
from pathlib import Path

import build_zip
import contact_sheet
import downloads
import environment
import numpy as np
import pytest
import render_takes
import sheet_drawing

from backend.core import keypoints, rotations, skeleton, take

FOCAL, SIZE = 500.0, (640, 480)


@pytest.fixture
def standing(tmp_path: Path) -> Path:
    """A take of ten frames: a T-pose on the floor, four metres before a level camera 1 m above it."""
    body, count = skeleton.neutral(), 10
    local = np.tile(rotations.IDENTITY, (count, skeleton.COUNT, 1))
    local[:, 0] = skeleton.Y_UP_TO_Z_UP
    pelvis = np.tile([0.0, 4.0, 0.95], (count, 1))
    turned, joints = skeleton.forward_kinematics(body, local, pelvis)
    to_camera = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    t = -to_camera @ [0, 0, 1.0]
    seen = np.zeros((count, keypoints.COUNT, 3))
    camera = joints @ to_camera.T + t
    pixels = camera[..., :2] / camera[..., 2:] * FOCAL + np.array(SIZE) / 2
    for name in set(keypoints.INDEX) & set(skeleton.INDEX):
        seen[:, keypoints.INDEX[name], :2] = pixels[:, skeleton.INDEX[name]]
        seen[:, keypoints.INDEX[name], 2] = 0.9
    path = tmp_path / "standing.npz"
    with take.NpzWriter(path) as writer:
        for name, value in {
            "poses": rotations.to_axis_angle(local).reshape(count, -1), "trans": pelvis - body.offsets[0],
            "mocap_frame_rate": 30.0, "rest_offsets": body.offsets, "joints": joints,
            "keypoints_foot": skeleton.posed_points(body, turned, joints, skeleton.FOOT_POINTS),
            "contacts": np.ones((count, 4), np.uint8), "keypoints2d": seen, "focal": FOCAL,
            "center": np.array(SIZE) / 2, "image_size": np.array(SIZE),
            "R": np.tile(to_camera, (count, 1, 1)), "t": np.tile(t, (count, 1)),
            "frames": np.arange(100, 100 + count), "timestamps": np.arange(count) / 30,
        }.items():  # fmt: skip
            writer.put(name, value)
    return path


def test_the_zip_is_complete_and_the_same_every_time() -> None:
    first = build_zip.build()
    content = first.read_bytes()
    assert build_zip.build().read_bytes() == content
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "NOTICE.md", "assets/skeleton.json"} <= set(names)
    assert {f"assets/embedded/{name}" for name in downloads.embedded.MODELS} <= set(names)
    assert {"assets/embedded/LICENSE", "assets/embedded/NOTICE"} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", ".", "docs/")) or "__pycache__" in name]
    groups = {f"{name}{kind}" for name in build_zip.GROUPS for kind in (".txt", ".json")}
    locks = {f"packaging/locks/{name}" for name in (*groups, "interpreter.txt")}
    assert {name for name in names if name.startswith("packaging/")} == locks
    assert any(name.startswith("assets/installer/pip-") for name in names)


def test_a_zip_without_models_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(downloads.embedded, "folder", lambda: tmp_path)
    with pytest.raises(environment.SetupError, match=r"pose_detection.*dev\.py setup"):
        build_zip.build()


def test_missing_system_libraries_are_named_with_their_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LIBRARIES", {"libnosuch.so.7": ("libnosuch7", "nosuch-libs")})
    monkeypatch.setattr(environment.sys, "platform", "linux")
    with pytest.raises(environment.SetupError, match=r"(?s)libnosuch\.so\.7.*apt-get install.*libnosuch7.*dnf"):
        environment.prepare()


def test_other_pythons_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PYTHONS", ((3, 99),))
    with pytest.raises(environment.SetupError, match=r"needs 3\.99"):
        environment.prepare()


def test_the_sheet_draws_the_skeleton_where_the_camera_sees_it(standing: Path) -> None:
    read = take.read_take(standing)
    assert contact_sheet.reprojection_error(read) < 1e-6
    person = sheet_drawing.person_at(read, 105, 0)
    assert person is not None and sheet_drawing.person_at(read, 99, 0) is None
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    sheet_drawing.draw_overlay(image, [person], 1.0)
    wrist = person.joints[[skeleton.INDEX["left_wrist"], skeleton.INDEX["left_elbow"]]].mean(axis=0)
    (x, y), _ = (part[0] for part in person.project(wrist[None]))
    assert tuple(image[round(y), round(x)]) == sheet_drawing.color_of(0, "left")
    assert x > SIZE[0] / 2  # the person faces the camera: their left is on its right
    drawn = np.argwhere(image.any(axis=-1))
    height = (drawn[:, 0].max() - drawn[:, 0].min()) / FOCAL * 4.0
    assert 1.5 < height < 1.9  # metres


@pytest.mark.slow
def test_the_sheet_shows_the_person_from_two_sides(standing: Path, tmp_path: Path) -> None:
    ((front, side),) = render_takes.render_views([standing], [105], (320, 240), tmp_path)
    assert front.shape == (240, 320, 3)
    column = front[60:180, 160].astype(int)
    floor = front[-1, 0].astype(int)
    assert (np.abs(column - floor).sum(-1) > 30).mean() > 0.5  # somebody stands in the middle
    assert side.std() > 3.0


def test_rows_are_spread_over_the_frames_with_people(standing: Path) -> None:
    read = take.read_take(standing)
    assert contact_sheet.choose_frames([read], 2) == [102, 107]
    assert contact_sheet.choose_frames([read], 50) == list(range(100, 110))


def test_every_group_that_is_locked_exists(root: Path) -> None:
    import tomllib

    import lock

    groups = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    for group in lock.GROUPS:
        assert group in groups
        pins = (root / lock.LOCKS / f"{group}.txt").read_text("utf-8")
        for requirement in groups[group]:
            if isinstance(requirement, str):
                name = requirement.split(">")[0].split("=")[0].split(";")[0].strip()
                assert f"\n{name}==" in f"\n{pins}", f"{name} of {group}: run packaging/lock.py"
