"""Decoding: upright RGB pictures with the container's own timestamps, whatever state the file is in."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .container import (
    Clock,
    Damage,
    Packets,
    decoded,
    decoded_from,
    is_one_of_many,
    length,
    open_video,
    picture_stream,
    read_packets,
    sound_until,
)
from .core.errors import MocapError
from .stages import Frame

LONGEST_SIDE = 2560  # pictures are decoded no larger: landmarks do not gain from more, memory and time suffer
_PREFETCH = 4  # pictures decoded ahead of the consumer
_FOCAL_KEYS = ("com.apple.quicktime.camera.focal_length.35mm_equivalent", "focal_length_35mm")


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds. width, height: pixels, upright and square; rotation: degrees clockwise that the
    stored picture is turned to stand upright; duration in seconds; fps is the average.

    pixel_aspect: width of a stored pixel by its height; mirrored: left and right of the stored picture are exchanged
    before it is turned; guessed_rate: FFmpeg's, by which Blender numbers the pictures of a film; None: not known.
    """

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    duration: float
    rotation: int
    codec: str
    pixel_format: str
    variable_frame_rate: bool
    focal_35mm: float | None
    pixel_aspect: float = 1.0
    mirrored: bool = False
    guessed_rate: float | None = None


def probe(path: str | Path) -> VideoInfo:
    """Look into a video file.

    Raises MocapError video-missing, video-is-folder, video-unreadable, video-no-picture or video-empty.
    """
    return _inspect(Path(path))[0]


def _inspect(path: Path) -> tuple[VideoInfo, Packets]:
    """`probe`, and what the packets tell."""
    packets = read_packets(path)
    times = packets.times
    with open_video(path) as container:
        stream = picture_stream(container, path)
        first = next(decoded(container, stream, Damage()), None)
        if first is None:
            raise MocapError("video-empty", f"{path.name} has no picture that can be decoded.")
        guessed = stream.guessed_rate or stream.average_rate
        if times is not None and len(times) > 1:
            steps = np.diff(times)
            typical = float(np.median(steps))
            fps = len(steps) / float(times[-1] - times[0])
            duration = float(times[-1] - times[0]) + typical
            variable = bool(np.mean(np.abs(steps - typical) > max(0.1 * typical, 0.0021)) > 0.02)
        else:
            fps, variable = float(guessed or 25), False
            duration = max(packets.count / fps, length(container, stream, first.time or 0.0))
        aspect = float(stream.sample_aspect_ratio or 1)
        turns, mirrored = _orientation(first)
        info = VideoInfo(
            path,
            *_upright((max(1, round(first.width * aspect)), first.height), turns),
            fps,
            packets.count,
            duration,
            -90 * turns % 360,
            stream.codec_context.name,
            first.format.name,
            variable,
            _focal({**container.metadata, **stream.metadata}),
            aspect,
            mirrored,
            float(guessed) if guessed else None,
        )
        return info, packets


def picture_times(path: str | Path) -> NDArray[np.float64]:
    """When each picture is shown, (N,) seconds since the first one, as a take has them. Raises as `probe`."""
    return _times(*_inspect(Path(path)))


def _times(info: VideoInfo, packets: Packets) -> NDArray[np.float64]:
    times = packets.times
    return np.arange(info.frames) / info.fps if times is None else times - times[0]


def video_hash(path: str | Path) -> str:
    """SHA-256 of the file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class VideoReader:
    """The pictures of a clip as `Frame`s, decoded ahead in a thread of its own. Iterate once; `close` at any moment.

    start, end: seconds since the first picture (end excluded); fps: thin out to about that rate, by time;
    first_frame: leave out pictures with a smaller index, as a resumed capture needs it.
    warnings: (code, what) of what was wrong with the file, filled while reading.

    Frame.index is the number of the picture in the whole video in presentation order; Frame.time its time in seconds
    since the first picture. Raises MocapError as `probe` does, and range-outside.
    """

    def __init__(
        self,
        path: str | Path,
        start: float | None = None,
        end: float | None = None,
        fps: float | None = None,
        first_frame: int = 0,
    ) -> None:
        self.info, self._packets = _inspect(Path(path))
        self.warnings: list[tuple[str, str]] = []
        self._start, self._end, self._fps, self._first = start or 0.0, end, fps, first_frame
        if not self._in_range():
            raise self._outside()
        if self.info.frames == 1 and is_one_of_many(self.info.path):
            what = f"{self.info.path.name} is one picture of many: to capture them all, make a video of them first."
            self.warnings.append(("single-picture", what))
        self._queue: queue.Queue[Frame | BaseException | None] = queue.Queue(_PREFETCH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="decode", daemon=True)
        self._thread.start()

    def _in_range(self) -> bool:
        """Whether there is any picture in the range, as far as is known before it is read."""
        end = np.inf if self._end is None else self._end
        if self._start < 0 or end <= self._start:
            return False
        if self._packets.times is None:  # how long it lasts is a guess
            return True
        shown = _times(self.info, self._packets) + 1e-6
        return self._start < self.info.duration and bool(((shown >= self._start) & (shown < end)).any())

    def _outside(self) -> MocapError:
        span = f"from {self._start:g} s to {'the end' if self._end is None else f'{self._end:g} s'}"
        what = f"{self.info.path.name} lasts {self.info.duration:.2f} s: it has no picture {span}."
        return MocapError("range-outside", what)

    def __iter__(self) -> Iterator[Frame]:
        while not self._stop.is_set():
            item = self._queue.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding; returns when the thread has ended."""
        self._stop.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._queue.get_nowait()  # the thread may be waiting for room
            self._thread.join(0.02)
        self._offer(None)

    def _offer(self, item: Frame | BaseException | None) -> None:
        while True:
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                if self._stop.is_set():
                    return

    def _produce(self) -> None:
        try:
            for frame in self._read():
                self._offer(frame)
                if self._stop.is_set():
                    break
            self._offer(None)
        except BaseException as error:  # it belongs to the consumer
            self._offer(error)

    def _read(self) -> Iterator[Frame]:
        """The pictures asked for, in order. Raises MocapError range-outside where that only shows now."""
        packets, clock, damage = self._packets, Clock(self._packets, self.info.fps), Damage()
        time, slot, first = self._start, -1, 0
        if packets.times is not None:
            shown = _times(self.info, packets)
            start = int(np.searchsorted(shown, self._start - 1e-6))
            first = max(self._first, start)
            if start < first < len(shown):  # the picture before was one of ours
                slot = self._slot(float(shown[first - 1]))
        with open_video(self.info.path) as container:
            stream = picture_stream(container, self.info.path)
            stream.thread_type = "AUTO"
            for picture in decoded_from(container, stream, packets.stamps, first, damage):
                if self._stop.is_set():
                    return
                before = time
                index, time = clock.tell(picture)
                if self._end is not None and time >= self._end - 1e-6:
                    self._tell(damage.span)
                    return
                if time < self._start - 1e-6 or index < self._first:
                    damage.fresh()  # nobody asked for that
                    continue
                self._tell(damage.left(before, time))
                if self._slot(time, index) > slot:
                    slot = self._slot(time, index)
                    yield _frame(picture, self.info, index, time)
            if time < self._start - 1e-6:
                raise self._outside()
            zero = clock.zero or 0.0
            self._tell_end(time, damage, max(self.info.duration, length(container, stream, zero)), zero)

    def _tell(self, damaged: tuple[float, float] | None) -> None:
        if damaged:
            what = f"The picture is damaged from {damaged[0]:.2f} s to {damaged[1]:.2f} s."
            self.warnings.append(("video-corrupt", what))

    def _tell_end(self, time: float, damage: Damage, expected: float, zero: float) -> None:
        """What the last picture, at `time`, shows to be wrong. expected: seconds that there should be; zero: stamp of
        the first picture."""
        self._tell(damage.span)
        lacking = expected - time > max(0.5, 3 / self.info.fps)
        if lacking and sound_until(self.info.path) - zero < expected - 0.5:
            self.warnings.append(("video-truncated", f"The picture ends at {time:.2f} s of {expected:.2f} s."))
        elif damage.fresh():
            self.warnings.append(("video-corrupt", f"The picture is damaged after {time:.2f} s."))

    def _slot(self, time: float, index: int = 0) -> int:
        """Which interval of 1/fps a picture falls into; thinning keeps the first one of each."""
        if self._fps is None:
            return index
        return int(np.floor(time * self._fps + max(1e-3, 2e-3 * self._fps)))  # stamps may be whole milliseconds


def pictures_at(path: str | Path, times: list[float]) -> Iterator[Frame]:
    """The pictures shown at some moments (ascending, seconds since the first picture), each once; only what is needed
    for them is decoded. Raises MocapError as `probe` does."""
    info, packets = _inspect(Path(path))
    shown, stamps = _times(info, packets), packets.stamps
    found = np.searchsorted(shown, np.array(times) + 1e-6, side="right") - 1
    wanted = sorted({int(index) for index in np.clip(found, 0, len(shown) - 1)})
    if stamps is None:  # nothing to jump by
        with VideoReader(path) as reader:
            for frame in reader:
                if frame.index in wanted:
                    yield frame
                if frame.index >= wanted[-1]:
                    return
        return
    with open_video(info.path) as container:
        stream = picture_stream(container, info.path)
        stream.thread_type = "AUTO"
        clock = Clock(packets, info.fps)
        for index in wanted:
            for picture in decoded_from(container, stream, stamps, index, Damage()):
                if picture.time is not None and picture.time >= stamps[index] - 1e-6:
                    yield _frame(picture, info, *clock.tell(picture))
                    break


def _frame(picture: av.VideoFrame, info: VideoInfo, index: int, time: float) -> Frame:
    """The picture as it is meant to be seen, not larger than is of use."""
    turns, mirrored = _orientation(picture)
    factor = max(1.0, max(info.width, info.height) / LONGEST_SIDE)
    size = max(1, round(info.width / factor)), max(1, round(info.height / factor))
    width, height = _upright(size, turns)
    rgb = picture.to_ndarray(format="rgb24", width=width, height=height)
    upright = np.ascontiguousarray(np.rot90(rgb[:, ::-1] if mirrored else rgb, turns))
    return Frame(index, time, upright, info.width / size[0])


def _orientation(picture: av.VideoFrame) -> tuple[int, bool]:
    """How often the stored picture is turned a quarter counterclockwise to stand upright, and whether left and right
    are exchanged before that."""
    turns, mirrored = round(picture.rotation / 90), False
    told: Any = picture.side_data.get("DISPLAYMATRIX")
    if told is not None:
        matrix = np.frombuffer(bytes(told), np.int32).reshape(3, 3)
        mirrored = bool(np.linalg.det(matrix[:2, :2]) < 0)  # `rotation` says where the x axis goes: the wrong way then
    return (turns + 2 * mirrored) % 4, mirrored


def _upright(size: tuple[int, int], turns: int) -> tuple[int, int]:
    """Width and height after so many quarter turns."""
    return size[::-1] if turns % 2 else size


def _focal(metadata: dict[str, str]) -> float | None:
    """Focal length for a 35 mm film, in millimetres, where the phone wrote it down."""
    for key in _FOCAL_KEYS:
        try:
            value = float(metadata[key])
        except (KeyError, ValueError):
            continue
        if 5 < value < 2000:
            return value
    return None
