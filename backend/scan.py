"""A quick look at a clip: some pictures spread over it, and who is in them. For choosing whom to capture.

Nobody is followed from picture to picture; a person is chosen by a point in one of the pictures (see
`people.choice`), which the capture finds again among its tracks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from . import engines
from .core.errors import MocapError
from .core.protocol import Message
from .core.rotations import Array
from .job import Job
from .observations import box
from .progress import Progress
from .stages import Frame, Tracker
from .store import writing
from .video import pictures_at, probe

PICTURES = 7
SIDE = 1280  # pixels, the longer side of the pictures that are kept
FACE = 128  # pixels, the side of a person's own picture


@dataclass(frozen=True)
class Scan:
    """What to look at. folder: where the pictures go; start, end: seconds, the whole clip when None."""

    video: Path
    folder: Path
    start: float | None = None
    end: float | None = None

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Scan:
        """The job of the wire's `scan` message. Raises MocapError bad-request."""
        try:
            start, end = (None if request[name] is None else float(request[name]) for name in ("start", "end"))
            return cls(Path(request["video"]).absolute(), Path(request["folder"]).absolute(), start, end)
        except (KeyError, TypeError, ValueError) as error:
            raise MocapError("bad-request", f"The scan request cannot be understood ({error!r}).") from error


def scan(asked: Scan, emit: Callable[[Message], None], cancelled: Callable[[], bool]) -> list[Path]:
    """Look at some pictures of a clip; a `people` message for each. -> the pictures' files. Raises MocapError."""
    progress = Progress(emit, cancelled)
    progress.stage("scan", 0, PICTURES)
    info = probe(asked.video)
    end = min(info.duration, asked.end or info.duration)
    start = min(asked.start or 0.0, end)
    times = start + (np.arange(PICTURES) + 0.5) / PICTURES * (end - start)
    tracker: Tracker = engines.choose({}, "cpu").make("track", Job(asked.video, Path("scan.npz")))
    with writing(asked.folder):
        asked.folder.mkdir(parents=True, exist_ok=True)
    files = []

    def remembered(frames: Iterator[Frame], kept: dict[int, Frame]) -> Iterator[Frame]:
        for frame in frames:
            kept[frame.index] = frame
            yield frame

    waiting: dict[int, Frame] = {}
    with closing(tracker.track(remembered(pictures_at(asked.video, times.tolist()), waiting))) as tracked:
        for number, (seen, sightings) in enumerate(tracked):
            frame = waiting.pop(seen.index)
            boxes = np.array([box(sighting.observation) for sighting in sightings], np.float32).reshape(-1, 4)
            boxes = boxes[np.argsort(boxes[:, 0])]  # counted from left to right
            picture = asked.folder / f"scan-{number}.jpg"
            faces = [asked.folder / f"scan-{number}-{person + 1}.jpg" for person in range(len(boxes))]
            _save(picture, _smaller(frame.rgb, SIDE))
            for path, corner in zip(faces, boxes, strict=True):
                _save(path, _cut(frame.rgb, corner / frame.scale))
            files += [picture, *faces]
            progress.emit(
                {
                    "type": "people", "time": frame.time, "index": frame.index, "boxes": boxes,
                    "size": [info.width, info.height], "picture": str(picture), "faces": [str(path) for path in faces],
                }
            )  # fmt: skip
            progress.stage("scan", number + 1, max(PICTURES, number + 1))
    return files


def _smaller(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    factor = side / max(rgb.shape[:2])
    if factor >= 1:
        return rgb
    small: NDArray[np.uint8] = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return small


def _cut(rgb: NDArray[np.uint8], corners: Array) -> NDArray[np.uint8]:
    """The upper part of a person, square."""
    left, top, right, bottom = corners
    side = max(8.0, min(max(right - left, (bottom - top) / 2), *rgb.shape[:2]))
    x = int(np.clip((left + right - side) / 2, 0, rgb.shape[1] - side))
    y = int(np.clip(top, 0, rgb.shape[0] - side))
    part = np.ascontiguousarray(rgb[y : y + int(side), x : x + int(side)])
    face: NDArray[np.uint8] = cv2.resize(part, (FACE, FACE), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return face


def _save(path: Path, rgb: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    with writing(path):
        path.write_bytes(data.tobytes() if done else b"")  # imwrite cannot spell every path
