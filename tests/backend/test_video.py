"""Decoding, on small videos of every awkward kind, made here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from backend.core.errors import MocapError
from backend.video import VideoReader, pictures_at, probe, video_hash

MILLISECONDS = Fraction(1, 1000)


def make_video(
    path: Path,
    times: Sequence[float],
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    gop: int = 5,
    pixel_aspect: Fraction | None = None,
    **container: str,
) -> Path:
    """A video whose picture number k has the grey level 8 k at the bottom right, a white marker in the stored top left
    corner, and noise in between, so that its packets have a natural size."""
    width, height = size
    random = np.random.default_rng(0)
    with av.open(str(path), "w", options=container) as output:
        stream = output.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = MILLISECONDS
        stream.codec_context.gop_size = gop
        stream.bit_rate = 4_000_000
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for k, time in enumerate(times):
            picture = np.full((height, width, 3), 8 * k % 200, np.uint8)
            noisy = picture[height // 3 : height // 2]
            noisy[:] = random.integers(0, 255, noisy.shape)
            picture[: height // 4, : width // 4] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), MILLISECONDS
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def regular(count: int, fps: float = 25) -> list[float]:
    return [k / fps for k in range(count)]


def number(frame_rgb: np.ndarray) -> int:
    """Which picture of `make_video` this is."""
    return round(float(frame_rgb[-8:, -8:].mean()) / 8)


def white_corner(frame_rgb: np.ndarray) -> tuple[int, int]:
    """Where the marker of `make_video` is: row and column, 0 or -1."""
    corners = {(y, x): int(frame_rgb[y, x].mean()) for y in (0, -1) for x in (0, -1)}
    return max(corners, key=corners.__getitem__)


def code_of(path: Path, **how: float) -> str:
    with pytest.raises(MocapError) as caught:
        with VideoReader(path, **how) as reader:
            list(reader)
    return caught.value.code


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_video(tmp_path / "clip.mp4", regular(20))


def test_every_picture_comes_in_order_with_its_time(clip: Path) -> None:
    info = probe(clip)
    assert (info.width, info.height, info.frames, info.codec, info.rotation) == (64, 48, 20, "h264", 0)
    assert info.fps == pytest.approx(info.guessed_rate) == pytest.approx(25)
    assert info.duration == pytest.approx(0.8) and not info.variable_frame_rate
    frames = list(VideoReader(clip))
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx(regular(20))
    assert [number(frame.rgb) for frame in frames] == list(range(20))
    assert {frame.rgb.shape for frame in frames} == {(48, 64, 3)}
    assert len(video_hash(clip)) == 64


def test_a_phones_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    times = list(np.cumsum([0, 0.033, 0.033, 0.101, 0.033, 0.05, 0.2, 0.033, 0.033, 0.07]))
    path = make_video(tmp_path / "phone.mp4", times)
    assert probe(path).variable_frame_rate
    assert [frame.time for frame in VideoReader(path)] == pytest.approx(times, abs=1e-3)


def test_times_count_from_the_first_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "late.mkv", [3.0, 3.04, 3.08])
    with VideoReader(path) as reader:
        assert [frame.time for frame in reader] == pytest.approx([0, 0.04, 0.08], abs=2e-3)
    assert reader.warnings == []  # it does not last longer because of that


@pytest.mark.parametrize(
    ("counterclockwise", "clockwise", "corner"),
    [(0, 0, (0, 0)), (90, 270, (-1, 0)), (180, 180, (-1, -1)), (270, 90, (0, -1))],
)
def test_pictures_stand_upright(tmp_path: Path, counterclockwise: int, clockwise: int, corner: tuple[int, int]) -> None:
    path = make_video(tmp_path / "turned.mp4", regular(3), rotation=counterclockwise)
    info, frame = probe(path), next(iter(VideoReader(path)))
    assert info.rotation == clockwise
    assert frame.rgb.shape[:2] == (info.height, info.width) == ((64, 48) if clockwise % 180 else (48, 64))
    assert white_corner(frame.rgb) == corner


@pytest.mark.parametrize(
    ("counterclockwise", "told", "mirrored", "clockwise", "corner"),
    [
        (180, (-1, 0, 0, 0, -1, 0), (-1, 0, 0, 0, 1, 0), 0, (0, -1)),
        (180, (-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, -1, 0), 180, (-1, 0)),
        (90, (0, -1, 0, 1, 0, 0), (0, -1, 0, -1, 0, 0), 90, (-1, -1)),
    ],
)
def test_mirrored_pictures_are_shown_as_they_are_meant(
    tmp_path: Path, counterclockwise: int, told: tuple, mirrored: tuple, clockwise: int, corner: tuple[int, int]
) -> None:
    path = make_video(tmp_path / "selfie.mp4", regular(3), rotation=counterclockwise)
    old, new = ((np.array(matrix, ">i4") << 16).astype(">i4").tobytes() for matrix in (told, mirrored))
    assert path.read_bytes().count(old) == 1
    path.write_bytes(path.read_bytes().replace(old, new))
    info, frame = probe(path), next(iter(VideoReader(path)))
    assert info.mirrored and info.rotation == clockwise
    assert white_corner(frame.rgb) == corner


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    path = make_video(tmp_path / "hdv.mp4", regular(3), rotation=90, pixel_aspect=Fraction(4, 3))
    info, frame = probe(path), next(iter(VideoReader(path)))
    assert (info.width, info.height) == frame.rgb.shape[1::-1] == (48, 85)
    assert info.pixel_aspect == pytest.approx(4 / 3)


def test_the_matrix_that_phones_write_for_portrait_turns_clockwise(tmp_path: Path) -> None:
    """ISO 14496-12: (x, y) is shown at (a x + c y, b x + d y); phones write a, b, c, d = 0, 1, -1, 0."""
    path = make_video(tmp_path / "portrait.mp4", regular(3), rotation=270)
    one = 1 << 16
    matrix = np.array([0, one, 0, -one, 0, 0], ">i4").tobytes()
    assert matrix in path.read_bytes()
    assert probe(path).rotation == 90


def test_a_span_and_a_resumed_capture_number_pictures_alike(clip: Path) -> None:
    span = list(VideoReader(clip, start=0.3, end=0.6))
    assert [(frame.index, number(frame.rgb)) for frame in span] == [(k, k) for k in range(8, 15)]
    rest = list(VideoReader(clip, first_frame=13))
    assert [(frame.index, number(frame.rgb)) for frame in rest] == [(k, k) for k in range(13, 20)]


@pytest.mark.parametrize(
    ("name", "codec", "gop"),
    [
        ("camera.mts", "libx264", 50),
        ("phone.mp4", "libx265", 8),
        ("old.avi", "mpeg4", 8),
        ("b-frames.avi", "libx264", 50),
        ("raw.h264", "libx264", 50),
    ],
)
def test_files_that_cannot_be_jumped_into_exactly_lose_no_picture(
    tmp_path: Path, name: str, codec: str, gop: int
) -> None:
    path = make_video(tmp_path / name, regular(24), (320, 240), codec, gop=gop)
    assert probe(path).frames == 24
    for first in (1, 7, 8, 15, 23):
        rest = list(VideoReader(path, first_frame=first))
        assert [(frame.index, number(frame.rgb)) for frame in rest] == [(k, k) for k in range(first, 24)]
    assert [frame.index for frame in pictures_at(path, [0.0, 0.29, 0.3, 0.9])] == [0, 7, 22]


def test_times_that_repeat_or_begin_again_still_go_on(tmp_path: Path) -> None:
    path = make_video(tmp_path / "one.ts", regular(10))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(path.read_bytes() * 2)
    frames = list(VideoReader(joined))
    assert len(frames) == 20
    assert all(b.time > a.time for a, b in pairwise(frames))


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_thinning_to_the_rate_that_there_is_keeps_all(tmp_path: Path, fps: int) -> None:
    path = make_video(tmp_path / "rounded.mkv", regular(40, fps))  # Matroska's times are whole milliseconds
    assert len(list(VideoReader(path, fps=fps))) == 40


@pytest.mark.parametrize("first", [0, 3, 7, 12])
def test_thinning_goes_by_time_and_survives_a_resume(clip: Path, first: int) -> None:
    whole = [frame.index for frame in VideoReader(clip, fps=10)]
    assert whole == [0, 3, 5, 8, 10, 13, 15, 18]
    assert [frame.index for frame in VideoReader(clip, fps=10, first_frame=first)] == [k for k in whole if k >= first]
    assert [frame.index for frame in VideoReader(clip, fps=100)] == list(range(20))  # never twice


def test_thinning_begins_with_the_first_picture_of_the_range(clip: Path) -> None:
    times = [frame.time for frame in VideoReader(clip)]
    thinned = [frame.index for frame in VideoReader(clip, start=times[4], fps=10)]
    assert thinned == [4, 5, 8, 10, 13, 15, 18]


@pytest.mark.parametrize(
    "span",
    [
        {"start": 5.0},
        {"start": 0.5, "end": 0.5},
        {"start": -1.0},
        {"start": 0.2, "end": 0.1},
        {"start": 0.785},  # within the last picture
        {"start": 0.405, "end": 0.415},  # between two
    ],
)
def test_a_span_outside_the_clip_is_refused(clip: Path, span: dict[str, float]) -> None:
    assert code_of(clip, **span) == "range-outside"


def test_files_that_are_no_video_are_named_for_what_they_are(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.mp4") == "video-missing"
    assert code_of(tmp_path) == "video-is-folder"
    text = tmp_path / "notes.txt"
    text.write_text("not a video\n" * 50)
    assert code_of(text) == "video-unreadable"
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(1).bytes(5000))
    assert code_of(noise) == "video-unreadable"
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert code_of(empty) == "video-unreadable"


def test_sound_without_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert code_of(path) == "video-no-picture"


def test_a_recording_without_a_single_picture(tmp_path: Path) -> None:
    path = make_video(tmp_path / "some.mp4", regular(3), movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])
    assert code_of(path) == "video-empty"


def test_a_truncated_file_gives_what_it_has(tmp_path: Path) -> None:
    path = make_video(tmp_path / "cut.mp4", regular(60), movflags="faststart")
    data = path.read_bytes()
    start = data.index(b"mdat")
    path.write_bytes(data[: start + (len(data) - start) // 3])
    reader = VideoReader(path)
    frames = list(reader)
    assert 5 < len(frames) < 40
    assert [number(frame.rgb) for frame in frames[:-2]] == [k % 25 for k in range(len(frames) - 2)]
    assert "video-truncated" in {code for code, _ in reader.warnings}


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_sound_that_goes_on_is_no_truncation(tmp_path: Path, container: str) -> None:
    path = tmp_path / f"talk.{container}"
    with av.open(str(path), "w") as file:
        video, sound = file.add_stream("libx264", rate=30), file.add_stream("aac", rate=48000, layout="mono")
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for k in range(30):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 8 * k, np.uint8), format="rgb24")
            file.mux(video.encode(picture))
        file.mux(video.encode())
        for k in range(150):  # 3.2 s
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 48000, 1024 * k
            file.mux(sound.encode(silence))
        file.mux(sound.encode())
    reader = VideoReader(path)
    assert len(list(reader)) == 30 and reader.warnings == []


def test_a_truncated_file_without_its_index_is_unreadable(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: data.index(b"mdat") + 50])
    assert code_of(clip) == "video-unreadable"


def test_damage_in_the_middle_is_a_gap(tmp_path: Path) -> None:
    path = make_video(tmp_path / "damaged.mp4", regular(60))
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov")
    middle, length = (start + end) // 2, (end - start) // 6
    data[middle : middle + length] = np.random.default_rng(2).bytes(length)
    path.write_bytes(data)
    reader = VideoReader(path)
    frames = list(reader)
    assert len(frames) > 35 and frames[0].index == 0 and frames[-1].index == 59
    assert [number(frame.rgb) for frame in frames[:20]] == list(range(20))
    assert number(frames[-1].rgb) == 59 % 25  # what follows the gap still has its own number
    codes = dict(reader.warnings)
    assert "video-corrupt" in codes and " s to " in codes["video-corrupt"]


def test_damage_is_told_once_and_only_where_it_matters(tmp_path: Path) -> None:
    path = make_video(tmp_path / "worn.mp4", regular(60), (320, 240), gop=20)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov")
    third = (end - start) // 3
    for place in range(start + third // 2, start + third * 3 // 2, 997):
        data[place] ^= 0x55
    path.write_bytes(data)
    with VideoReader(path) as reader:
        assert len(list(reader)) > 40
    assert len(reader.warnings) == 1
    with VideoReader(path, start=1.4) as reader:
        assert [frame.index for frame in reader][-1] == 59
    assert reader.warnings == []


def test_one_picture_of_a_numbered_sequence_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    warned = []
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"shot_{number:04}.png"), np.zeros((48, 64, 3), np.uint8))
        with VideoReader(tmp_path / "shot_0001.png") as reader:
            assert len(list(reader)) == 1
        warned.append([code for code, _ in reader.warnings])
    assert warned == [[], ["single-picture"]]


def test_ten_bits(tmp_path: Path) -> None:
    path = make_video(tmp_path / "hdr.mp4", regular(4), codec="libx265", pixel_format="yuv420p10le")
    info, frames = probe(path), list(VideoReader(path))
    assert info.codec == "hevc" and info.pixel_format == "yuv420p10le"
    assert len(frames) == 4 and frames[0].rgb.dtype == np.uint8
    assert [number(frame.rgb) for frame in frames] == list(range(4))


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (37, 53)])
def test_tiny_and_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = make_video(tmp_path / "tiny.mkv", regular(3), size=size, codec="ffv1", pixel_format="yuv444p")
    assert [frame.rgb.shape for frame in VideoReader(path)] == [(size[1], size[0], 3)] * 3


def test_8k_is_decoded_smaller(tmp_path: Path) -> None:
    path = make_video(tmp_path / "8k.avi", regular(2), size=(7680, 4320), codec="mjpeg", pixel_format="yuvj420p")
    info, frames = probe(path), list(VideoReader(path))
    assert (info.width, info.height) == (7680, 4320)
    assert [frame.rgb.shape for frame in frames] == [(1440, 2560, 3)] * 2
    assert frames[0].scale == pytest.approx(3)


@pytest.mark.parametrize(("name", "codec"), [("old.avi", "mpeg4"), ("raw.h264", "libx264")])
def test_containers_with_no_times_or_doubtful_ones(tmp_path: Path, name: str, codec: str) -> None:
    frames = list(VideoReader(make_video(tmp_path / name, regular(12), codec=codec)))
    assert [frame.index for frame in frames] == list(range(12))
    assert all(b.time > a.time for a, b in pairwise(frames))
    assert [number(frame.rgb) for frame in frames] == list(range(12))


def test_where_there_are_no_times_a_range_is_refused_only_once_it_was_not_found(tmp_path: Path) -> None:
    path = make_video(tmp_path / "raw.h264", regular(12))
    times = [frame.time for frame in VideoReader(path)]
    assert [number(frame.rgb) for frame in VideoReader(path, start=times[7])] == list(range(7, 12))
    assert code_of(path, start=times[-1] + 1) == "range-outside"


def test_closing_early_ends_the_thread(clip: Path) -> None:
    reader = VideoReader(clip)
    next(iter(reader))
    reader.close()
    assert not reader._thread.is_alive()
    assert list(reader) == []
