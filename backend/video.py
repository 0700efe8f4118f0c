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

import av
import numpy as np
from numpy.typing import NDArray

from .core.errors import MocapError
from .stages import Frame

LONGEST_SIDE = 2560  # pictures are decoded no larger: landmarks do not gain from more, memory and time suffer
_PREFETCH = 4  # pictures decoded ahead of the consumer
_FOCAL_KEYS = ("com.apple.quicktime.camera.focal_length.35mm_equivalent", "focal_length_35mm")
_MOST_FAILURES = 1000  # packets in a row; more is not a damaged spot but a file that cannot be decoded


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds. width, height: pixels, upright and square; rotation: degrees clockwise that the
    stored picture is turned to stand upright; duration in seconds; fps is the average."""

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


def probe(path: str | Path) -> VideoInfo:
    """Look into a video file.

    Raises MocapError video-missing, video-is-folder, video-unreadable, video-no-picture or video-empty.
    """
    return _inspect(Path(path))[0]


def _inspect(path: Path) -> tuple[VideoInfo, NDArray[np.float64] | None]:
    """`probe`, and the times of all pictures."""
    times = _picture_times(path)
    with _open(path) as container:
        stream = _picture_stream(container, path)
        first = next(_decoded(container, stream, _Damage()), None)
        if first is None:
            raise MocapError("video-empty", f"{path.name} has no picture that can be decoded.")
        width, height = _upright_size(first, float(stream.sample_aspect_ratio or 1))
        if times is not None and len(times) > 1:
            steps = np.diff(times)
            typical = float(np.median(steps))
            fps = len(steps) / float(times[-1] - times[0])
            frames, duration = len(times), float(times[-1] - times[0]) + typical
            variable = bool(np.mean(np.abs(steps - typical) > max(0.1 * typical, 0.0021)) > 0.02)
        else:
            fps = float(stream.average_rate or stream.guessed_rate or 25)
            frames = stream.frames or max(1, round(_length(container, stream) * fps))
            duration, variable = max(frames / fps, _length(container, stream)), False
        info = VideoInfo(
            path,
            width,
            height,
            fps,
            frames,
            duration,
            -90 * _quarter_turns(first) % 360,
            stream.codec_context.name,
            first.format.name,
            variable,
            _focal({**container.metadata, **stream.metadata}),
        )
        return info, times


def picture_times(path: str | Path) -> NDArray[np.float64]:
    """When each picture is shown, (N,) seconds since the first one, as a take has them. Raises as `probe`."""
    info, times = _inspect(Path(path))
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
        self.info, self._times = _inspect(Path(path))
        self.warnings: list[tuple[str, str]] = []
        self._start, self._end, self._fps, self._first = start or 0.0, end, fps, first_frame
        if not self._in_range():
            span = f"from {self._start:g} s to {'the end' if end is None else f'{end:g} s'}"
            what = f"{self.info.path.name} lasts {self.info.duration:.2f} s: it has no picture {span}."
            raise MocapError("range-outside", what)
        self._queue: queue.Queue[Frame | BaseException | None] = queue.Queue(_PREFETCH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="decode", daemon=True)
        self._thread.start()

    def _in_range(self) -> bool:
        """Whether there is any picture in the range, as far as is known before it is read."""
        end = np.inf if self._end is None else self._end
        if self._start < 0 or self._start >= self.info.duration or end <= self._start:
            return False
        if self._times is None:
            return True
        shown = self._times - self._times[0] + 1e-6
        return bool(((shown >= self._start) & (shown < end)).any())

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
        """The pictures asked for, in order."""
        table = self._times
        factor = max(1.0, max(self.info.width, self.info.height) / LONGEST_SIDE)
        size = max(1, round(self.info.width / factor)), max(1, round(self.info.height / factor))
        index, time, slot, first = -1, 0.0, -1, 0
        with _open(self.info.path) as container:
            stream = _picture_stream(container, self.info.path)
            stream.thread_type = "AUTO"
            zero: float | None = None
            if table is not None:
                zero = float(table[0])
                start = int(np.searchsorted(table - zero, self._start - 1e-6))
                first = max(self._first, start)
                if start < first < len(table):  # the picture before was one of ours
                    slot = self._slot(float(table[first - 1]) - zero)
            damage = _Damage()
            for picture in _decoded_from(container, stream, table, first, damage):
                if self._stop.is_set():
                    return
                before, stamp = time, picture.time
                if zero is None:
                    zero = stamp
                if stamp is None or zero is None:
                    index += 1
                    time = index / self.info.fps
                else:
                    index = index + 1 if table is None else int(np.searchsorted(table, stamp - 1e-6))
                    time = stamp - zero
                    if table is None and index and time < before + 1e-4:  # joined files begin again; some stamps repeat
                        time = before + 1 / self.info.fps
                if self._end is not None and time >= self._end - 1e-6:
                    return
                if damage.fresh():
                    span = f"{before:.2f} s to {time:.2f} s"
                    self.warnings.append(("video-corrupt", f"The picture is damaged from {span}."))
                if time >= self._start - 1e-6 and index >= self._first and self._slot(time, index) > slot:
                    slot = self._slot(time, index)
                    yield Frame(index, time, _upright_rgb(picture, size), self.info.width / size[0])
            expected = max(self.info.duration, _length(container, stream))
            lacking = expected - time > max(0.5, 3 / self.info.fps)
            if lacking and _sound_until(self.info.path) < expected - 0.5:
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
    info, table = _inspect(Path(path))
    if table is None:  # nothing to jump by
        with VideoReader(path, fps=len(times) / max(info.duration, 1e-6)) as reader:
            yield from reader
        return
    factor = max(1.0, max(info.width, info.height) / LONGEST_SIDE)
    size = max(1, round(info.width / factor)), max(1, round(info.height / factor))
    indices = np.searchsorted(table - table[0], np.array(times) + 1e-6, side="right") - 1
    with _open(info.path) as container:
        stream = _picture_stream(container, info.path)
        stream.thread_type = "AUTO"
        for index in sorted({int(np.clip(i, 0, len(table) - 1)) for i in indices}):
            for picture in _decoded_from(container, stream, table, index, _Damage()):
                if picture.time is not None and picture.time >= table[index] - 1e-6:
                    time = float(picture.time - table[0])
                    found = int(np.searchsorted(table, picture.time - 1e-6))
                    yield Frame(found, time, _upright_rgb(picture, size), info.width / size[0])
                    break


class _Damage:
    """Counts what the decoder could not read."""

    def __init__(self) -> None:
        self.count = self._told = 0

    def fresh(self) -> bool:
        """Whether there is more of it than at the last call."""
        told, self._told = self._told, self.count
        return self.count > told


def _open(path: Path) -> av.container.InputContainer:
    if path.is_dir():
        raise MocapError("video-is-folder", f"{path} is a folder.")
    if not path.exists():
        raise MocapError("video-missing", f"There is no file {path}.")
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        raise MocapError("video-unreadable", f"{path.name} cannot be opened as a video ({error}).") from error
    if container.format.name == "tty":  # FFmpeg "plays" any text file as a terminal recording
        container.close()
        raise MocapError("video-unreadable", f"{path.name} is a text file, not a video.")
    return container


def _picture_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The best picture stream; cover art of music is none."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise MocapError("video-no-picture", f"{path.name} has no picture.")
    return max(streams, key=lambda s: (s.codec_context is not None, s.width * s.height))


def _picture_times(path: Path) -> NDArray[np.float64] | None:
    """Presentation times (N,) in seconds of all pictures, ascending, from the packets alone (nothing is decoded).

    None where the container does not tell them one by one; pictures are then counted while decoding.
    """
    times: list[float] = []
    with _open(path) as container:
        stream = _picture_stream(container, path)
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None:
                    return None
                times.append(float(packet.pts * packet.time_base))
        except (av.FFmpegError, OSError):
            pass  # a damaged or cut-off file: what could be read counts
    table = np.sort(np.array(times))
    return table if len(table) and (np.diff(table) > 0).all() else None


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream, damage: _Damage
) -> Iterator[av.VideoFrame]:
    """All pictures that can be decoded; what cannot is counted and skipped."""
    packets = container.demux(stream)
    failures = 0
    while failures < _MOST_FAILURES:
        try:
            packet = next(packets)
            pictures = packet.decode()
        except StopIteration:
            return
        except (av.FFmpegError, OSError):
            damage.count += 1
            failures += 1
            continue
        for picture in pictures:
            failures = 0
            damage.count += bool(picture.is_corrupt)
            yield picture


def _decoded_from(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    table: NDArray[np.float64] | None,
    index: int,
    damage: _Damage,
) -> Iterator[av.VideoFrame]:
    """All pictures from one at or before that of table[index] on.

    Not every container lands where it is told to: where the first picture comes too late, an earlier one is asked for.
    """
    if table is None or not 0 < index < len(table):  # from the beginning
        yield from _decoded(container, stream, damage)
        return
    back = 0.0
    while True:
        start = max(float(table[index]) - back, 0.0)
        container.seek(int(start / float(stream.time_base or 1)), stream=stream, backward=True)
        pictures = _decoded(container, stream, damage)
        first = next(pictures, None)
        if start == 0.0 or (first is not None and first.time is not None and first.time <= table[index] + 1e-6):
            break
        back = 2 * back + 1.0
    if first is not None:
        yield first
    yield from pictures


def _length(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Seconds that the container claims to last; 0 when it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _sound_until(path: Path) -> float:
    """Seconds at which the last sound ends, which may be long after the last picture; 0 where there is none."""
    last = 0.0
    with _open(path) as container, suppress(av.FFmpegError, OSError):
        for packet in container.demux(container.streams.audio) if container.streams.audio else ():
            if packet.pts is not None:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return last


def _upright_size(picture: av.VideoFrame, aspect: float) -> tuple[int, int]:
    """Width and height in square pixels after rotation."""
    width, height = max(1, round(picture.width * aspect)), picture.height
    return (height, width) if _quarter_turns(picture) % 2 else (width, height)


def _quarter_turns(picture: av.VideoFrame) -> int:
    """How often the stored picture is turned a quarter counterclockwise to stand upright."""
    return round(picture.rotation / 90) % 4


def _upright_rgb(picture: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture as it is meant to be seen, (height, width, 3) RGB of the given upright size."""
    turns = _quarter_turns(picture)
    width, height = size[::-1] if turns % 2 else size
    rgb = picture.to_ndarray(format="rgb24", width=width, height=height)
    return np.ascontiguousarray(np.rot90(rgb, turns))


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
