"""Presets: what the user has edited is read back as it was, wins for its own skeleton, and is refused when broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig_lists import build, to_rig
from video_mocap.backend.core import rotations
from video_mocap.backend.core.errors import MocapError
from video_mocap.mocap_addon.retarget import presets
from video_mocap.mocap_addon.retarget.model import Mapping, Rig
from video_mocap.mocap_addon.retarget.recognise import recognise


@pytest.fixture
def rig() -> Rig:
    return to_rig(build("mmd"))


@pytest.fixture
def edited(rig: Rig) -> Mapping:
    """What is recognised, with a bone taken away, another one chosen and a correction."""
    mapping = recognise(rig)
    del mapping.bones["left_eye"]
    mapping.bones["pelvis"] = ["センター"]
    mapping.bones["left_ankle_ik"] = ["左足ＩＫ"]
    mapping.corrections["左腕"] = rotations.from_axis_angle([0.1, -0.2, 0.3])
    return mapping


def assert_same(a: Mapping, b: Mapping) -> None:
    assert (a.family, a.bones, a.twists, a.confidence, a.unmapped) == (
        b.family, b.bones, b.twists, b.confidence, b.unmapped,
    )  # fmt: skip
    assert a.corrections.keys() == b.corrections.keys()
    for bone, turn in a.corrections.items():
        np.testing.assert_allclose(turn, b.corrections[bone], atol=1e-12)


def test_what_is_saved_is_found_for_the_same_skeleton_only(tmp_path: Path, rig: Rig, edited: Mapping) -> None:
    folder = tmp_path / "ünï code" / "rigs"
    assert presets.find(folder, rig) is None
    path = presets.save(folder, rig, edited, "Miku")
    posed = to_rig(build("mmd", 45), "wild")
    found = presets.find(folder, posed)
    assert found is not None
    assert_same(found, edited)
    assert_same(presets.load(path), edited)
    assert presets.find(folder, to_rig(build("mixamo"))) is None
    assert "左足ＩＫ" in path.read_text("utf-8")
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_saving_again_replaces(tmp_path: Path, rig: Rig, edited: Mapping) -> None:
    presets.save(tmp_path, rig, recognise(rig), "Miku")
    presets.save(tmp_path, rig, edited, "Miku")
    found = presets.find(tmp_path, rig)
    assert found is not None
    assert_same(found, edited)


@given(turn=st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_corrections_keep_their_precision(tmp_path_factory: pytest.TempPathFactory, turn: list[float]) -> None:
    rig = to_rig(build("bvh"))
    mapping = recognise(rig)
    mapping.corrections["Hips"] = rotations.normalize(turn)
    path = presets.save(tmp_path_factory.mktemp("rigs"), rig, mapping, "walker")
    np.testing.assert_allclose(presets.load(path).corrections["Hips"], mapping.corrections["Hips"], atol=1e-12)


BROKEN = {
    "it is no preset": lambda data: ["a", "list"],
    "no preset of a rig": lambda data: data | {"format": "something else"},
    "version 99": lambda data: data | {"version": 99},
    "rig family 'martian'": lambda data: data | {"family": "martian"},
    "role 'left_wing'": lambda data: data | {"bones": data["bones"] | {"left_wing": ["羽"]}},
    "left_knee has 2 bones": lambda data: data | {"bones": data["bones"] | {"left_knee": ["a", "b"]}},
    "'首' is both": lambda data: data | {"bones": data["bones"] | {"left_knee": ["首"]}},
    "`bones` is not a table": lambda data: data | {"bones": {"head": "頭"}},
    "`twists` is not a table": lambda data: data | {"twists": []},
    "confidence": lambda data: data | {"confidence": {"頭": 2}},
    "not four numbers": lambda data: data | {"corrections": {"頭": [1, 0, 0]}},
    "no unit quaternion": lambda data: data | {"corrections": {"頭": [0, 0, 0, 0]}},
    "`unmapped`": lambda data: data | {"unmapped": [1]},
}


@pytest.mark.parametrize("says", BROKEN)
def test_broken_presets_are_refused_and_say_why(tmp_path: Path, rig: Rig, edited: Mapping, says: str) -> None:
    path = presets.save(tmp_path, rig, edited, "Miku")
    path.write_text(json.dumps(BROKEN[says](json.loads(path.read_text("utf-8")))), "utf-8")
    with pytest.raises(MocapError) as error:
        presets.find(tmp_path, rig)
    assert error.value.code == "preset-unreadable"
    assert says in error.value.what and path.name in error.value.what


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, NaN]"])
def test_files_that_are_no_presets(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "preset.json"
    path.write_bytes(content)
    with pytest.raises(MocapError, match=r"preset\.json"):
        presets.load(path)


def test_files_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(MocapError) as error:
        presets.load(tmp_path / "nothing.json")
    assert error.value.code == "preset-unreadable"


def test_a_mapping_that_cannot_be_is_not_written(tmp_path: Path, rig: Rig, edited: Mapping) -> None:
    edited.bones["left_knee"] = edited.bones["right_knee"]
    with pytest.raises(MocapError, match="is both"):
        presets.save(tmp_path, rig, edited, "Miku")
    assert not list(tmp_path.iterdir())


def test_folders_that_cannot_be_written_to(tmp_path: Path, rig: Rig, edited: Mapping) -> None:
    (tmp_path / "rigs").write_text("a file where the folder should be")
    with pytest.raises(MocapError) as error:
        presets.save(tmp_path / "rigs", rig, edited, "Miku")
    assert error.value.code == "output-unwritable"
