"""Bad input: a clear error with a code, the code's exit status, and nothing half-made."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from clips import PEOPLE, ROOT, backend, backend_environment, person_pictures, shapes, write_sound, write_video

from backend.core.errors import CODES
from backend.core.take import read_take

LENGTH = 12


def refused(code: str, video: Path, output: Path, *options: object) -> str:
    """Capture, expecting the error `code` and no trace of an output. -> what was said."""
    before = set(output.parent.iterdir()) if output.parent.is_dir() else set()
    result = backend("capture", video, "-o", output, *options)
    assert f"[{code}]" in result.stderr, result.stderr
    assert result.returncode == CODES[code][0]
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert (set(output.parent.iterdir()) if output.parent.is_dir() else set()) == before
    return errors[0]


def captured(video: Path, output: Path, *options: object):
    """Capture, expecting a take. -> the take, and what was said."""
    result = backend("capture", video, "-o", output, *PEOPLE, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(output)
    assert {path.name for path in output.parent.glob(f"{output.stem}*")} == {output.name, f"{output.stem}.keypoints"}
    return read_take(output), result.stderr


@pytest.fixture
def folder(tmp_path) -> Path:
    """An empty folder for the output."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def person(tmp_path, demo_clip) -> Path:
    """A person for LENGTH frames, 10 a second."""
    return write_video(tmp_path / "person.mp4", person_pictures(demo_clip, LENGTH))


def test_missing_file(tmp_path, folder):
    assert "nowhere.mp4" in refused("video-missing", tmp_path / "nowhere.mp4", folder / "take.npz")


def test_folder_instead_of_a_video(tmp_path, folder):
    refused("video-is-folder", tmp_path, folder / "take.npz")


@pytest.mark.parametrize("content", [b"", b"Dear diary, " * 500, bytes(range(256)) * 64])
def test_not_a_video(tmp_path, folder, content):
    path = tmp_path / "letter.mp4"
    path.write_bytes(content)
    refused("video-unreadable", path, folder / "take.npz")


def test_sound_only(tmp_path, folder):
    refused("video-no-picture", write_sound(tmp_path / "song.m4a"), folder / "take.npz")


def test_no_frames(tmp_path, folder, person):
    """A container that promises a picture and holds none: an .mp4 whose media data was never written."""
    data = person.read_bytes()
    start = data.index(b"mdat") - 4
    size = struct.unpack(">I", data[start : start + 4])[0]
    path = tmp_path / "empty.mp4"
    path.write_bytes(data[: start + 8] + bytes(size - 8) + data[start + size :])
    refused("video-empty", path, folder / "take.npz")


def test_truncated_without_its_index(tmp_path, folder, person):
    path = tmp_path / "cut.mp4"
    path.write_bytes(person.read_bytes()[: person.stat().st_size // 2])  # the index is at the end: nothing can be read
    refused("video-unreadable", path, folder / "take.npz")


def test_truncated_with_its_index(tmp_path, folder, demo_clip):
    whole = write_video(tmp_path / "whole.mkv", person_pictures(demo_clip, 24))
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    take, told = captured(path, folder / "take.npz")
    assert 5 <= len(take) < 24
    assert "[video-truncated]" in told or "[video-corrupt]" in told
    assert take.provenance["warnings"]


def test_damage_in_the_middle_keeps_the_rest_and_names_the_gap(tmp_path, folder, demo_clip):
    whole = write_video(tmp_path / "whole.mp4", person_pictures(demo_clip, 24))
    data = bytearray(whole.read_bytes())
    start = data.index(b"mdat") + 4
    size = struct.unpack(">I", data[start - 8 : start - 4])[0]
    middle = slice(start + size * 2 // 5, start + size // 2)
    data[middle] = np.random.default_rng(0).integers(0, 256, middle.stop - middle.start, np.uint8).tobytes()
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    take, told = captured(path, folder / "take.npz")
    assert "[video-corrupt]" in told and " s to " in told
    assert take["frames"][0] == 0 and take["frames"][-1] == 23  # both sides of the damage
    assert any(code == "video-corrupt" for code, _ in take.provenance["warnings"])


def test_nobody_there(tmp_path, folder):
    refused("no-person", write_video(tmp_path / "shapes.mp4", shapes(20)), folder / "take.npz")


@pytest.mark.parametrize(("fps", "count", "warned"), [(10, 10, False), (30, 8, True)])
def test_a_person_for_a_few_frames_only(tmp_path, folder, demo_clip, fps, count, warned):
    """A second is enough for a take; a quarter of a second gets a warning."""
    empty = list(shapes(10, 300, 300))
    clip = write_video(tmp_path / "glimpse.mp4", [*empty, *person_pictures(demo_clip, count), *empty], fps=fps)
    take, told = captured(clip, folder / "take.npz")
    assert 3 <= len(take) <= 12
    assert np.isfinite(take["poses"]).all() and np.isfinite(take["trans"]).all()
    assert ("[short-take]" in told) == warned


def test_a_stray_picture_at_the_beginning_is_no_take(tmp_path, folder, demo_clip):
    man = list(person_pictures(demo_clip, 12))
    turned = np.ascontiguousarray(np.rot90(man[0], 2))
    take, told = captured(write_video(tmp_path / "stray.mp4", [turned, *man]), folder / "take.npz")
    assert take["frames"][0] == 1 and len(take) == 12 and "[video-cut]" in told and "[short-take]" not in told


def test_a_still_gives_a_take_of_everyone(tmp_path, folder, demo_clip):
    (man,) = person_pictures(demo_clip, 1)
    still = write_video(tmp_path / "still.mp4", [np.concatenate([man, man[:, ::-1]], axis=1)])
    result = backend("capture", still, "-o", folder / "still.npz")
    assert result.returncode == 0 and result.stderr.count("[short-take]") == 2
    left, right = (read_take(folder / f"still.{track}.npz")["keypoints2d"][0, :17, 0].mean() for track in (1, 2))
    assert 100 < left < 200 and 400 < right < 500
    result = backend("capture", still, "-o", folder / "one.npz", "--people", "at0:450,150")
    assert result.returncode == 0, result.stderr
    assert read_take(folder / "one.npz")["keypoints2d"][0, :17, 0].mean() > 400


@pytest.mark.parametrize("side", [1, 2, 7])
def test_tiny_pictures(tmp_path, folder, side):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(5)]
    clip = write_video(tmp_path / "dot.mkv", pictures, codec="ffv1", pixel_format="bgr0")
    refused("video-too-small", clip, folder / "take.npz")


def test_8k(tmp_path, folder, demo_clip):
    import cv2

    pictures = [cv2.resize(p, (4320, 4320)) for p in person_pictures(demo_clip, 3)]
    pictures = [cv2.copyMakeBorder(p, 0, 0, 1680, 1680, cv2.BORDER_REPLICATE) for p in pictures]
    clip = write_video(tmp_path / "8k.mkv", pictures, codec="mjpeg", pixel_format="yuvj420p", fps=5)
    take, _ = captured(clip, folder / "take.npz")
    assert take["image_size"].tolist() == [7680, 4320]
    hips = take["keypoints2d"][:, 11:13, 0]
    assert ((hips > 1680) & (hips < 6000)).all()  # in pixels of the full picture


def test_10_bit(tmp_path, folder, demo_clip):
    pictures = person_pictures(demo_clip, 8)
    clip = write_video(tmp_path / "deep.mkv", pictures, codec="ffv1", pixel_format="yuv420p10le")
    take, _ = captured(clip, folder / "take.npz")
    assert len(take) == 8


def test_portrait_by_metadata(tmp_path, folder, demo_clip):
    """Stored lying, told to be shown turned: the person must be found upright."""
    lying = [np.ascontiguousarray(np.rot90(p[:, 30:270])) for p in person_pictures(demo_clip, 8)]
    clip = write_video(tmp_path / "phone.mp4", lying)
    data = bytearray(clip.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    data[matrix : matrix + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 300 * one // 300, 0, 1 << 30)
    clip.write_bytes(data)
    take, _ = captured(clip, folder / "take.npz")
    assert take["image_size"].tolist() == [240, 300]
    nose, ankles = take["keypoints2d"][:, 0, 1], take["keypoints2d"][:, 15:17, 1].mean(1)
    assert (ankles - nose > 100).all()
    head, feet = take["joints"][:, 15, 2], take["joints"][:, 7:9, 2].mean(1)
    assert (head - feet > 1.0).all()


def test_variable_frame_rate(tmp_path, folder, demo_clip):
    times = np.cumsum([0, 0.04, 0.1, 0.05, 0.2, 0.04, 0.04, 0.3, 0.1, 0.08])
    clip = write_video(tmp_path / "phone.mp4", person_pictures(demo_clip, 10), times=times)
    take, _ = captured(clip, folder / "take.npz")
    np.testing.assert_allclose(take["timestamps"], times, atol=2e-3)
    assert take["mocap_frame_rate"] == pytest.approx(9 / times[-1], rel=0.01)


@pytest.mark.parametrize("span", [("--start", 5), ("--start", 1, "--end", 0.5), ("--start", -1), ("--end", 0)])
def test_range_outside_the_clip(person, folder, span):
    refused("range-outside", person, folder / "take.npz", *span)


def test_range_inside_the_clip(person, folder):
    take, _ = captured(person, folder / "take.npz", "--start", 0.3, "--end", 0.9)
    assert take["frames"].tolist() == list(range(3, 9))
    assert take["timestamps"][0] == pytest.approx(0.3)


def test_a_person_who_is_not_there(person, folder):
    result = backend("capture", person, "-o", folder / "take.npz", "--people", "id7")
    assert result.returncode == CODES["person-missing"][0] and not (folder / "take.npz").exists()
    assert "[person-missing]" in result.stderr and "id1" in result.stderr


def test_output_below_a_file(person, folder, tmp_path):
    """Holds for root as well, who may write into any folder."""
    (tmp_path / "file").write_text("I am not a folder")
    refused("output-unwritable", person, tmp_path / "file" / "take.npz")


def test_output_is_a_folder(person, folder):
    (folder / "take.npz").mkdir()
    refused("output-unwritable", person, folder / "take.npz")


def test_read_only_output_folder(person, folder):
    folder.chmod(0o555)
    try:
        try:
            (folder / "probe").touch()
        except PermissionError:
            refused("output-unwritable", person, folder / "take.npz")
        else:  # permissions do not bind this user (root): take the folder's immutable flag
            (folder / "probe").unlink()
            if not shutil.which("chattr") or subprocess.run(["chattr", "+i", folder]).returncode:
                pytest.skip("this user may write anywhere, and the file system has no immutable flag")
            try:
                refused("output-unwritable", person, folder / "take.npz")
            finally:
                subprocess.run(["chattr", "-i", folder], check=True)
    finally:
        folder.chmod(0o755)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from backend.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file sizes cannot be limited there")
@pytest.mark.parametrize("limit", [300, 20_000])  # in the manifest, in the observations
def test_disk_full_then_freed(person, folder, limit):
    """No file may grow beyond the limit, which the system reports as it does a full disk."""
    command = [
        sys.executable,
        "-c",
        LIMITED,
        str(limit),
        "capture",
        str(person),
        "-o",
        str(folder / "take.npz"),
        *PEOPLE,
    ]
    result = subprocess.run(command, cwd=ROOT, env=backend_environment(), capture_output=True, text=True)
    assert result.returncode == CODES["disk-full"][0] and "[disk-full]" in result.stderr
    assert not (folder / "take.npz").exists()
    take, _ = captured(person, folder / "take.npz")  # with room again, it continues
    assert len(take) == LENGTH


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("kilobytes", [32, 84])  # full while tracking, and once all is solved
def test_full_disk(person, tmp_path, kilobytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]).returncode:
        pytest.skip("this system does not let us mount a small disk")
    try:
        result = backend("capture", person, "-o", disk / "take.npz", *PEOPLE)
        assert "[disk-full]" in result.stderr and result.returncode == CODES["disk-full"][0]
        assert ("\nsolve: " in result.stderr) == (kilobytes == 84)
        assert {path.name for path in disk.iterdir()} - {"take.keypoints"} == {
            "take.npz.part"
        }  # a whole one may be there
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert len(captured(person, disk / "take.npz")[0]) == LENGTH
    finally:
        subprocess.run(["umount", str(disk)], check=True)
