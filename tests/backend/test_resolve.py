"""Solving a capture again from the keypoints that it left beside its takes."""

from __future__ import annotations

import json
import shutil
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import backend, person_pictures, start_serve, write_video

from backend import engines
from backend.core.errors import MocapError
from backend.core.protocol import REPLIES, REQUESTS, decode, encode
from backend.core.take import Take, read_take
from backend.engines import ENGINES
from backend.job import Job, Resolve
from backend.observations import observations_of, read_about, video_of
from backend.pipeline import capture
from backend.resolve import resolve
from backend.stages import OBSERVATION
from backend.store import FRAME

FRAMES = 20


def quiet(message) -> None:
    pass


@pytest.fixture(scope="module")
def captured(tmp_path_factory, demo_clip) -> Path:
    """A folder with a capture of the larger of two people; the video is gone."""
    folder = tmp_path_factory.mktemp("Tänze")
    pictures = person_pictures(demo_clip, FRAMES)
    beside = [np.concatenate([p, cv2.resize(cv2.flip(p, 1), (240, 300))], axis=1) for p in pictures]
    video = write_video(folder / "zwei.mp4", beside)
    capture(Job(video, folder / "zwei.npz", people="largest"), quiet, lambda: False)
    video.unlink()
    return folder


def solved_again(folder: Path, name: str = "again.npz", **changes: object) -> list[Path]:
    return resolve(Resolve(folder / "zwei.keypoints", folder / name, **changes), quiet, lambda: False)


def test_takes_and_their_index_know_their_keypoints(captured, tmp_path):
    assert observations_of(captured / "zwei.npz") == captured / "zwei.keypoints"
    index = captured / "alle.json"
    index.write_text(json.dumps({"takes": [{"file": "zwei.npz"}]}), "utf-8")
    assert observations_of(index) == captured / "zwei.keypoints"
    assert observations_of(captured / "alle.npz") == captured / "zwei.keypoints"  # there are alle.1.npz, ... only
    index.unlink()
    shutil.copy(captured / "zwei.npz", captured / "ZWEI.NPZ")
    assert observations_of(captured / "ZWEI.NPZ") == captured / "zwei.keypoints"


def test_a_capture_of_several_goes_by_the_name_that_it_was_given(tmp_path):
    (tmp_path / "alle.keypoints").touch()
    assert observations_of(tmp_path / "alle.npz") == tmp_path / "alle.keypoints"
    with pytest.raises(MocapError) as refused:
        observations_of(tmp_path / "niemand.npz")
    assert refused.value.code == "take-unreadable"


def test_the_same_settings_give_the_same_take(captured):
    (path,) = solved_again(captured)
    one, two = read_take(captured / "zwei.npz"), read_take(path)
    assert set(one.arrays) == set(two.arrays)
    for name in one.arrays:
        if name != "provenance":
            assert np.array_equal(one[name], two[name]), name
    told, again = one.provenance, two.provenance
    assert told["observations"] == again["observations"] == "zwei.keypoints"
    assert {**told, "versions": 0} == {**again, "versions": 0}
    assert not list(captured.glob("*.part"))


def test_keypoints_of_older_versions_know_nothing_of_the_camera_and_the_background(captured):
    def without(name: str, *members: str) -> Take:
        older = captured / f"{name}.keypoints"
        with zipfile.ZipFile(captured / "zwei.keypoints") as now, zipfile.ZipFile(older, "w") as then:
            for member in now.namelist():
                if member not in members:
                    then.writestr(member, now.read(member))
            if "frames.npy" in members:  # it was told of each frame what the vertical is
                with then.open("frames.npy", "w") as file, np.load(captured / "zwei.keypoints") as data:
                    frames = np.zeros(FRAMES, [*FRAME.descr, ("vertical", "<f4", (6,))])
                    frames["index"], frames["time"] = data["frames"]["index"], data["frames"]["time"]
                    np.save(file, frames)
        (path,) = resolve(Resolve(older, captured / f"{name}.npz"), quiet, lambda: False)
        return read_take(path)

    one, two = without("less", "edges.npy"), without("older", "edges.npy", "camera.npy", "frames.npy")
    assert np.array_equal(one["poses"], two["poses"]) and np.array_equal(one["t"], two["t"])


def test_keypoints_can_be_read_by_anybody(captured):
    with np.load(captured / "zwei.keypoints") as data:
        about = json.loads(str(data["about"]))
        people = [name for name in data.files if name.startswith("person-")]
        assert data["frames"]["index"].tolist() == list(range(FRAMES))
        assert len(people) == 2 and all(data[name].dtype == OBSERVATION for name in people)
        assert data[people[0]]["keypoints"][:, :17, 2].max() > 0.5
    assert about["video"]["name"] == "zwei.mp4" and about["settings"]["people"] == "largest"
    assert about["video"]["frames"] == FRAMES and "path" not in about["video"]
    older = {name: value for name, value in about["video"].items() if name not in ("pixel_aspect", "mirrored")}
    assert video_of({"video": older}).pixel_aspect == 1.0


def test_somebody_else_can_be_chosen_afterwards(captured):
    with np.load(captured / "zwei.keypoints") as data:
        tracks = sorted(int(name.removeprefix("person-")) for name in data.files if name.startswith("person-"))
    took = read_take(captured / "zwei.npz").provenance["track"]
    other = next(track for track in tracks if track != took)
    (path,) = solved_again(captured, "other.npz", people=f"id{other}")
    assert read_take(path).provenance["track"] == other
    both = solved_again(captured, "both.npz", people="all")
    assert [path.name for path in both] == [f"both.{track}.npz" for track in tracks]


def test_takes_that_are_no_longer_are_removed_and_nothing_else(captured, tmp_path):
    folder = tmp_path / "takes"
    folder.mkdir()

    def solve(people: str) -> set[str]:
        asked = Resolve(captured / "zwei.keypoints", folder / "wer.npz", people=people)
        return {path.name for path in resolve(asked, quiet, lambda: False)}

    def files() -> set[str]:
        return {path.name for path in folder.iterdir()}

    several = solve("all")
    others = {"wer.7.npz", "wer.blend", "wer.keypoints", "werner.npz"}  # no index of theirs names them
    for name in others:
        shutil.copy(captured / "zwei.npz", folder / name)
    assert len(several) == 2 and files() == {*several, "wer.json", *others}
    assert solve("largest") == {"wer.npz"} and files() == {"wer.npz", *others}
    assert solve("all") == several and files() == {*several, "wer.json", *others}

    index = json.loads((folder / "wer.json").read_text("utf-8"))
    for name in ("../wer.1.npz", "werner.npz"):  # elsewhere, of another capture
        index["takes"].append({"file": name})
    (folder / "wer.json").write_text(json.dumps(index), "utf-8")
    shutil.copy(captured / "zwei.npz", tmp_path / "wer.1.npz")
    foreign = folder / max(several)
    with np.load(captured / "zwei.npz") as data, foreign.open("wb") as file:  # another video's take
        np.savez(file, **{**data, "provenance": json.dumps({"video": {"sha256": "another"}})})
    solve("largest")
    assert files() == {"wer.npz", foreign.name, *others} and (tmp_path / "wer.1.npz").is_file()

    index["video"]["sha256"] = "another"
    (folder / "wer.json").write_text(json.dumps(index), "utf-8")
    solve("largest")
    assert files() == {"wer.npz", "wer.json", foreign.name, *others}


def test_without_an_output_the_takes_that_are_named_are_replaced(captured, tmp_path):
    for name in ("zwei.npz", "zwei.keypoints"):
        shutil.copy(captured / name, tmp_path)
    before = (tmp_path / "zwei.npz").read_bytes()
    again = resolve(Resolve(tmp_path / "zwei.keypoints", tmp_path / "schräg.npz", people="all"), quiet, lambda: False)
    result = backend("resolve", again[1], "--tilt", 5, "--people", "all")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [str(path) for path in again]
    assert all(read_take(path).provenance["settings"]["tilt"] == 5 for path in again)
    assert (tmp_path / "zwei.npz").read_bytes() == before


def test_another_lens_moves_people_in_depth(captured):
    paths = [solved_again(captured, f"{mm}mm.npz", focal=float(mm))[0] for mm in (24, 48)]
    near, far = (read_take(path) for path in paths)
    assert float(far["focal"]) == pytest.approx(2 * float(near["focal"]))
    depth = [(take["joints"][:, 0] @ take["R"][0][2] + take["t"][0][2]).mean() for take in (near, far)]
    assert depth[1] / depth[0] == pytest.approx(2, rel=0.15)
    assert far.provenance["settings"]["focal"] == 48


@pytest.mark.parametrize("tilt", [-5.0, 0.0, 12.0])
def test_a_tilt_that_is_known_is_kept(captured, tilt):
    (path,) = solved_again(captured, f"tilt{tilt:g}.npz", tilt=tilt)
    looking = read_take(path)["R"][0][2]  # the camera's forward axis in the world
    assert np.degrees(np.arcsin(-looking[2])) == pytest.approx(tilt, abs=1e-3)


@pytest.mark.parametrize(("pitch", "roll"), [(2.0, -9.0), (14.0, 6.0)])
def test_lines_along_the_vertical_are_believed(captured, pitch, roll):
    pitch, roll = np.radians([pitch, roll])
    up = np.array([np.sin(roll) * np.cos(pitch), -np.cos(roll) * np.cos(pitch), -np.sin(pitch)])
    about = read_take(captured / "zwei.npz")
    width, height = about["image_size"]
    vanishing = about["center"] + about["focal"] * up[:2] / up[2]
    lines = []
    for foot in ([0.2 * width, 0.9 * height], [0.8 * width, 0.7 * height]):
        end = foot + 100 * (vanishing - foot) / np.linalg.norm(vanishing - foot)
        lines.append((0.3, *foot, *end))
    (path,) = solved_again(captured, "plumb.npz", plumb=lines)
    take = read_take(path)
    assert np.degrees(np.arccos(take["R"][0][:, 2] @ up)) < 1.5
    assert take.provenance["settings"]["plumb"] == [list(line) for line in lines]
    (one,) = solved_again(captured, "plumb.npz", plumb=lines[:1])  # a camera that is rolled as the line says
    plane = np.cross([*(lines[0][1:3] - about["center"]), about["focal"]], up)
    assert abs(np.degrees(np.arcsin(read_take(one)["R"][0][:, 2] @ plane / np.linalg.norm(plane)))) < 1.5


def test_lines_that_are_none_are_refused(captured):
    for line in ((0.0, 10.0, 10.0, 10.5, 10.0), (0.0, 10.0, float("nan"), 90.0, 10.0)):
        with pytest.raises(MocapError, match="two ends"):
            solved_again(captured, plumb=[line])
    assert backend("resolve", captured / "zwei.npz", "--plumb", "1:2,3").returncode == 2


def test_engines_that_look_at_the_pictures_are_refused(captured, monkeypatch):
    with pytest.raises(MocapError, match="needs the video"):
        solved_again(captured, "seen.npz", engines={"track": "blazepose"})
    looking = replace(ENGINES["body"]["analytic"], fields=(("tokens", "<f4", (1024,)),))
    monkeypatch.setitem(ENGINES["body"], "looking", looking)
    with pytest.raises(MocapError) as refused:
        solved_again(captured, "seen.npz", engines={"body": "looking"})
    assert refused.value.code == "engine-unavailable" and "again" in refused.value.fix
    assert not list(captured.glob("seen*"))


def test_what_only_the_capture_needed_need_not_be_there(captured, monkeypatch):
    """It was made on a machine with a graphics card and other packages."""
    about = read_about(captured / "zwei.keypoints")
    about["settings"]["device"] = "cuda"
    about["engines"]["track"] = {"name": "elsewhere", "licence": "X", "models": {}, "commercial_use": True}
    path = captured / "anderswo.keypoints"
    with np.load(captured / "zwei.keypoints") as data, path.open("wb") as file:
        np.savez(file, **{**data, "about": json.dumps(about)})
    monkeypatch.setattr(engines, "devices", lambda: ["cpu"])
    monkeypatch.setitem(ENGINES["track"], "elsewhere", replace(ENGINES["track"]["blazepose"], packages=("no_such",)))
    (take,) = resolve(Resolve(path, captured / "anderswo.npz"), quiet, lambda: False)
    told = read_take(take).provenance
    assert told["engines"]["track"] == about["engines"]["track"] and told["settings"]["device"] == "cpu"
    assert read_take(take)["poses"] == pytest.approx(read_take(captured / "zwei.npz")["poses"])


@pytest.mark.parametrize("damage", ["missing", "cut off", "flipped", "no keypoints", "other version"])
def test_keypoints_that_cannot_be_read_are_refused(captured, tmp_path, damage):
    path = tmp_path / "zwei.keypoints"
    if damage == "cut off":
        path.write_bytes((captured / "zwei.keypoints").read_bytes()[:5000])
    elif damage == "flipped":
        data = bytearray((captured / "zwei.keypoints").read_bytes())
        with zipfile.ZipFile(captured / "zwei.keypoints") as archive:
            header = archive.getinfo("frames.npy").header_offset
        data[header + 30 + sum(struct.unpack_from("<2H", data, header + 26))] = 0xFF  # zlib knows no such block
        path.write_bytes(data)
    elif damage == "no keypoints":
        shutil.copy(captured / "zwei.npz", path)
    elif damage == "other version":
        about = read_about(captured / "zwei.keypoints")
        with path.open("wb") as file:
            np.savez(file, about=json.dumps(about), frames=np.zeros(3), **{"person-1": np.zeros(3)})
    with pytest.raises(MocapError) as refused:
        resolve(Resolve(path, tmp_path / "take.npz"), quiet, lambda: False)
    assert refused.value.code == "keypoints-unreadable"
    assert not (tmp_path / "take.npz").exists() and not list(tmp_path.glob("*.part"))


def test_the_command_line_finds_the_keypoints_of_a_take(captured, tmp_path):
    result = backend("resolve", captured / "zwei.npz", "-o", tmp_path / "näher.npz", "--focal", 24)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(tmp_path / "näher.npz")]
    named = read_take(tmp_path / "näher.npz").provenance["observations"]
    assert (tmp_path / named).resolve() == (captured / "zwei.keypoints").resolve()
    assert backend("resolve", tmp_path / "näher.npz", "--focal", 24, "-o", tmp_path / "b.npz").returncode == 0
    assert backend("resolve", captured / "zwei.npz", "-o", tmp_path / "c.npz", "--focal", 1).returncode == 2
    assert "keypoints-unreadable" in backend("resolve", captured / "gone.keypoints").stderr


def test_what_was_said_of_the_take_before_still_holds(captured, tmp_path):
    def said(*options: object) -> dict[str, object]:
        result = backend("resolve", tmp_path / "a.npz", *options)
        assert result.returncode == 0, result.stderr
        told = read_take(tmp_path / "a.npz").provenance
        return {"feet": told["engines"]["feet"]["name"], **{name: told["settings"][name] for name in names}}

    names = ("focal", "tilt", "plumb")
    left, right = (1.0, 40.0, 250.0, 50.0, 20.0), (1.0, 250.0, 250.0, 240.0, 20.0)
    lines = [item for line in (left, right) for item in ("--plumb", f"{line[0]:g}:{','.join(map(str, line[1:]))}")]
    options = ("--focal", 60, "--tilt", 5, "--engine", "feet=none")
    assert backend("resolve", captured / "zwei.npz", "-o", tmp_path / "a.npz", *options).returncode == 0
    assert said("--plumb", lines[1]) == {"feet": "none", "focal": 60, "tilt": 5, "plumb": [list(left)]}
    assert said(*lines) == {"feet": "none", "focal": 60, "tilt": None, "plumb": [list(left), list(right)]}
    assert said("--focal", 50) == {"feet": "none", "focal": 50, "tilt": None, "plumb": [list(left), list(right)]}


def test_over_the_wire(captured, tmp_path):
    child = start_serve()
    request = {
        "type": "resolve", "observations": str(captured / "zwei.keypoints"), "take": str(captured / "zwei.npz"),
        "output": str(tmp_path / "take.npz"), "people": None, "engines": {"body": "analytic"}, "focal": None,
        "tilt": 3.0, "plumb": None,
    }  # fmt: skip
    child.stdin.write(encode(request, REQUESTS).encode())
    child.stdin.flush()
    messages = [decode(line, REPLIES) for line in child.stdout]
    assert messages[0]["type"] == "hello" and messages[-1]["type"] == "done", messages[-1]
    assert messages[-1]["takes"] == [str(tmp_path / "take.npz")]
    assert child.wait(10) == 0
    child.communicate()
