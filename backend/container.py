"""What the container of a video tells, and its pictures as they are stored; `video` sets them upright and in time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from .core.errors import MocapError

_MOST_FAILURES = 1000  # packets in a row; more is not a damaged spot but a file that cannot be decoded
_CONNECTED = 1.0  # seconds of sound pictures that still lie within one damaged span


@dataclass(frozen=True)
class Packets:
    """What the packets tell, nothing decoded: how many pictures there are and when they are shown, `times` (N,) in
    seconds, ascending; None where they are not told one by one: pictures are then counted while decoding.

    stored: a picture's own stamp tells when it is stored, not when it is shown (B-frames in AVI). Pictures come out of
    the decoder as they are shown: counted from the first one, each has its time.
    """

    count: int
    times: NDArray[np.float64] | None
    stored: bool

    @property
    def stamps(self) -> NDArray[np.float64] | None:
        """The times by which single pictures can be found in the file; None where they cannot."""
        return None if self.stored else self.times


class Clock:
    """Tells the number and the time of pictures as they are decoded, whatever their stamps are worth."""

    def __init__(self, packets: Packets, fps: float) -> None:
        self._packets, self._fps = packets, fps
        self._index, self._time = -1, 0.0
        self.zero = None if packets.times is None else float(packets.times[0])  # the first picture's stamp

    def tell(self, picture: av.VideoFrame) -> tuple[int, float]:
        """Number of the next picture, and its time in seconds since the first one."""
        stamp, packets = picture.time, self._packets
        if self.zero is None:
            self.zero = stamp
        if packets.stamps is not None and stamp is not None:
            self._index = int(np.searchsorted(packets.stamps, stamp - 1e-6))
        else:
            self._index += 1
        if packets.stored and packets.times is not None and self._index < len(packets.times):
            stamp = float(packets.times[self._index])
        if stamp is None or self.zero is None:
            self._time = self._index / self._fps
        elif packets.times is None and self._index and stamp - self.zero < self._time + 1e-4:
            self._time += 1 / self._fps  # joined files begin again; some stamps repeat
        else:
            self._time = stamp - self.zero
        return self._index, self._time


class Damage:
    """Counts what the decoder could not read, and tells where that was."""

    def __init__(self) -> None:
        self.count = self._told = 0
        self.span: tuple[float, float] | None = None  # seconds: where the last pictures are damaged

    def left(self, before: float, time: float) -> tuple[float, float] | None:
        """To be asked with the time of every picture and of the one before it. -> the damaged span that is over now."""
        over = None
        if self.span is not None and time > self.span[1] + _CONNECTED:
            over, self.span = self.span, None
        if self.fresh():
            self.span = (before if self.span is None else self.span[0], time)
        return over

    def fresh(self) -> bool:
        """Whether there is more of it than at the last call."""
        told, self._told = self._told, self.count
        return self.count > told


def open_video(path: Path) -> av.container.InputContainer:
    """Raises MocapError video-missing, video-is-folder or video-unreadable."""
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


def picture_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The best picture stream; cover art of music is none. Raises MocapError video-no-picture."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise MocapError("video-no-picture", f"{path.name} has no picture.")
    return max(streams, key=lambda s: (s.codec_context is not None, s.width * s.height))


def read_packets(path: Path) -> Packets:
    """Look through the whole file. Raises as `open_video` and `picture_stream` do."""
    stamps: list[float | None] = []
    with open_video(path) as container:
        stream = picture_stream(container, path)
        reordered = container.format.name == "avi" and stream.codec_context.has_b_frames
        with suppress(av.FFmpegError, OSError):  # a damaged or cut-off file: what could be read counts
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    stamps.append(None if packet.pts is None else float(packet.pts * packet.time_base))
    told = np.array([stamp for stamp in stamps if stamp is not None])
    times = np.sort(told)
    if len(told) < max(len(stamps), 1) or not (np.diff(times) > 0).all():
        return Packets(len(stamps), None, False)
    return Packets(len(stamps), times, reordered and bool((times == told).all()))


def decoded(container: av.container.InputContainer, stream: av.VideoStream, damage: Damage) -> Iterator[av.VideoFrame]:
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


def decoded_from(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    stamps: NDArray[np.float64] | None,
    index: int,
    damage: Damage,
) -> Iterator[av.VideoFrame]:
    """All pictures from one at or before that of stamps[index] on; from the first one where there are no stamps.

    Not every container lands where it is told to: where the first picture comes too late, an earlier one is asked for.
    """
    if stamps is None or not 0 < index < len(stamps):  # from the beginning
        yield from decoded(container, stream, damage)
        return
    back = 0.0
    while True:
        start = max(float(stamps[index]) - back, 0.0)
        container.seek(int(start / float(stream.time_base or 1)), stream=stream, backward=True)
        pictures = decoded(container, stream, damage)
        first = next(pictures, None)
        if start == 0.0 or (first is not None and first.time is not None and first.time <= stamps[index] + 1e-6):
            break
        back = 2 * back + 1.0
    if first is not None:
        yield first
    yield from pictures


def length(container: av.container.InputContainer, stream: av.VideoStream, zero: float) -> float:
    """Seconds that the container claims to last from the first picture, whose stamp is `zero`, on; 0 when it does not
    say."""
    whole = (container.duration or 0) / av.time_base
    if "matroska" in container.format.name:  # counts from its zero, not from the first picture
        return max(whole - max(zero, 0.0), 0.0)
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return whole


def sound_until(path: Path) -> float:
    """Seconds at which the last sound ends, which may be long after the last picture; 0 where there is none."""
    last = 0.0
    with open_video(path) as container, suppress(av.FFmpegError, OSError):
        for packet in container.demux(container.streams.audio) if container.streams.audio else ():
            if packet.pts is not None:
                last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return last


def is_one_of_many(path: Path) -> bool:
    """Whether a file is a single picture of a numbered sequence."""
    number = re.search(r"\d+$", path.stem)
    if number is None:
        return False
    with open_video(path) as container:
        if not container.format.name.startswith("image2") and not container.format.name.endswith("_pipe"):
            return False
    alike = re.compile(re.escape(path.stem[: number.start()]) + r"\d+" + re.escape(path.suffix))
    return sum(alike.fullmatch(other.name) is not None for other in path.parent.iterdir()) > 1
