"""Take files: written block by block, read back whole, never half-made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.core import rotations, skeleton, take
from backend.core.errors import MocapError


def write(path: Path, frames: int = 7, **extra: object) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    arrays = {
        "poses": rng.normal(0, 1, (frames, 165)),
        "trans": rng.normal(0, 1, (frames, 3)),
        "rest_offsets": skeleton.neutral().offsets,
        "timestamps": np.arange(frames) / 30,
        "mocap_frame_rate": np.float64(30),
    }
    with take.NpzWriter(path) as writer:
        for name, value in {**arrays, **extra}.items():
            writer.put(name, value)
    return arrays


def test_a_take_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "Täke mit Leerzeichen.npz"
    arrays = write(path, provenance=json.dumps({"video": {"name": "Übung.mp4"}}))
    read = take.read_take(path)
    assert len(read) == 7 and read.provenance["video"]["name"] == "Übung.mp4"
    for name, value in arrays.items():
        np.testing.assert_array_equal(read[name], value)
    np.testing.assert_allclose(read.pelvis, arrays["trans"] + arrays["rest_offsets"][0])
    angle = rotations.angle_between(read.rotations, rotations.from_axis_angle(arrays["poses"].reshape(7, 55, 3)))
    np.testing.assert_allclose(angle, 0.0, atol=1e-6)


def test_numpy_alone_reads_it_without_pickle(tmp_path: Path) -> None:
    write(tmp_path / "take.npz")
    with np.load(tmp_path / "take.npz", allow_pickle=False) as data:
        assert data["poses"].shape == (7, 165)


def test_blocks_make_the_same_array(tmp_path: Path) -> None:
    whole = np.random.default_rng(2).normal(0, 1, (100, 55, 3)).astype(np.float32)
    with take.NpzWriter(tmp_path / "a.npz") as writer:
        writer.put_blocks("joints", np.float32, whole.shape, (whole[i : i + 33] for i in range(0, 100, 33)))
    with np.load(tmp_path / "a.npz") as data:
        np.testing.assert_array_equal(data["joints"], whole)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "take.npz"
    write(path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), take.NpzWriter(path) as writer:
        writer.put("poses", np.zeros((3, 165)))
        raise RuntimeError("disk on fire")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut short"])
def test_what_is_not_a_take_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "take.npz"
    path.write_bytes(content)
    with pytest.raises(MocapError, match=r"take\.npz") as caught:
        take.read_take(path)
    assert caught.value.code == "take-unreadable"


def test_a_missing_damaged_or_foreign_file_says_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", poses=np.zeros((2, 165)))
    write(tmp_path / "whole.npz")
    data = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    middle = len(data) // 3
    (tmp_path / "flipped.npz").write_bytes(data[:middle] + b"\xff" * 64 + data[middle + 64 :])
    write(tmp_path / "compressed.npz", poses=np.arange(7 * 165).reshape(7, 165) % 50)  # zlib finds the damage, not zip
    data = (tmp_path / "compressed.npz").read_bytes()
    (tmp_path / "compressed.npz").write_bytes(data[:200] + b"\xff" * 64 + data[264:])
    for name in ("missing.npz", "foreign.npz", "cut.npz", "flipped.npz", "compressed.npz"):
        with pytest.raises(MocapError) as caught:
            take.read_take(tmp_path / name)
        assert caught.value.code == "take-unreadable", name


def test_names_of_the_files_of_a_capture() -> None:
    output = Path("out") / "dance.v2.npz"
    assert take.take_path(output, None) == output
    assert take.take_path(output, 3) == Path("out") / "dance.v2.3.npz"
    assert take.index_path(output) == Path("out") / "dance.v2.json"


def test_files_of_a_capture_tell_its_output(tmp_path: Path) -> None:
    output = tmp_path / "dance.2.npz"
    for path in (output, take.index_path(output), take.observations_path(output)):
        assert take.output_of(path) == output
    assert take.output_of(tmp_path / "DANCE.NPZ") == tmp_path / "DANCE.NPZ"
    assert take.output_of(take.take_path(output, 3)) == tmp_path / "dance.2.3.npz"  # a name like any other
    take.index_path(output).write_text("{}")
    assert take.output_of(take.take_path(output, 3)) == output


@pytest.mark.parametrize("text", ["{}", "[1, 2]", '{"takes": []}', '{"takes": [1]}', '{"takes": 1}', "no index"])
def test_what_is_no_index_says_so(tmp_path: Path, text: str) -> None:
    index = tmp_path / "take.json"
    index.write_text(text)
    with pytest.raises(MocapError, match="is no index of takes") as caught:
        take.read_index(index)
    assert caught.value.code == "take-unreadable"
