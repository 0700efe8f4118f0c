"""Finding the people of the chosen clip before it is captured, and picking some of them.

The backend looks at a few pictures (`backend.scan`). The people in them are shown as a list in the panel, and over the
3D view with numbered boxes to click (`picker`). A pick is a point in a picture: the capture finds out whose it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..backend.core.errors import MocapError
from ..backend.core.protocol import Message
from ..backend.core.rotations import Array
from . import environment, files
from .job import Job

INTERVAL = 0.1  # seconds between two looks at what the backend said


@dataclass(frozen=True)
class Picture:
    """One picture of the clip and who is in it. time: seconds; boxes (n, 4): left, top, right, bottom in pixels of the
    full-size picture, which is `size` large; file, faces: small pictures on disk."""

    time: float
    boxes: Array
    size: tuple[int, int]
    file: Path
    faces: tuple[Path, ...]

    def hit(self, x: float, y: float) -> int | None:
        """Whose box a point is in: of several the smallest."""
        inside = [
            i for i, (left, top, right, bottom) in enumerate(self.boxes) if left <= x <= right and top <= y <= bottom
        ]
        return min(inside, key=lambda i: float(np.prod(self.boxes[i, 2:] - self.boxes[i, :2]))) if inside else None

    def middle(self, person: int) -> tuple[float, float]:
        """The middle of a person's box."""
        left, top, right, bottom = (float(v) for v in self.boxes[person])
        return (left + right) / 2, (top + bottom) / 2


class Scan:
    """A look at a clip that runs or has ended. `step` takes in what has come."""

    def __init__(self, python: Path, video: Path, start: float | None, end: float | None) -> None:
        self.video = video
        self.pictures: list[Picture] = []
        self.shown = 0  # the picture in the panel and in the picker
        self.error: MocapError | None = None
        self.share = 0.0
        self.running = True
        folder = files.user_folder() / "scan"
        request = {"type": "scan", "video": str(video), "folder": str(folder), "start": start, "end": end}
        self._job = Job(python, request, files.new_log(video))

    @property
    def picture(self) -> Picture | None:
        """The picture that is looked at."""
        return self.pictures[self.shown] if self.pictures else None

    def step(self) -> bool:
        """Take in what the backend said; -> whether it still looks."""
        for message in self._job.receive():
            self._take_in(message)
        if not self.running:
            self._job.close()
        return self.running

    def cancel(self) -> None:
        """Stop soon."""
        self._job.cancel()

    def close(self) -> None:
        """Stop now."""
        self._job.close()
        self.running = False

    def turn(self, by: int) -> None:
        """Look at another picture."""
        if self.pictures:
            self.shown = (self.shown + by) % len(self.pictures)

    def _take_in(self, message: Message) -> None:
        match message["type"]:
            case "hello":
                environment.engines.update(message["capabilities"].get("engines", {}))
            case "stage":
                self.share = message["done"] / message["total"] if message["total"] else 0.0
            case "people":
                faces = tuple(Path(path) for path in message["faces"])
                size = (int(message["size"][0]), int(message["size"][1]))
                self.pictures.append(Picture(message["time"], message["boxes"], size, Path(message["picture"]), faces))
            case "done":
                self.running = False
                if self.pictures:  # start where most people are to be seen, and largest
                    seen = [(len(p.boxes), float(np.sum(p.boxes[:, 3] - p.boxes[:, 1]))) for p in self.pictures]
                    self.shown = max(range(len(seen)), key=seen.__getitem__)
            case "error":
                self.running = False
                self.error = MocapError.from_message(message)


latest: Scan | None = None
_then: Callable[[], None] | None = None


def start(python: Path, video: Path, span: tuple[float | None, float | None], then: Callable[[], None]) -> Scan:
    """Look at a clip, instead of what was looked at before. then: called whenever there is something new to draw."""
    global latest, _then
    stop()
    latest, _then = Scan(python, video, *span), then
    bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)
    return latest


def stop() -> None:
    """End a look that runs."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if latest and latest.running:
        latest.close()


def tick() -> float | None:
    """Timer: take in what has come."""
    going = latest is not None and latest.step()
    if _then:
        _then()
    return INTERVAL if going else None


def of(video: Path) -> Scan | None:
    """The look at a video, if it was the latest."""
    return latest if latest and latest.video == video else None


# --- picks -----------------------------------------------------------------------------------------------------------


def choice(picks: Any) -> str:
    """The picks as the backend has them."""
    return "+".join(f"at{pick.time:.3f}:{pick.x:.1f},{pick.y:.1f}" for pick in picks)


def picked(picks: Any, picture: Picture, person: int) -> int | None:
    """The number of the pick that means a person of a picture."""
    x, y = picture.middle(person)
    for i, pick in enumerate(picks):
        if abs(pick.time - picture.time) < 1e-3 and abs(pick.x - x) + abs(pick.y - y) < 1:
            return i
    return None


def toggle(picks: Any, picture: Picture, person: int) -> None:
    """Pick a person of a picture, or not any more."""
    at = picked(picks, picture, person)
    if at is not None:
        picks.remove(at)
        return
    pick = picks.add()
    pick.time = picture.time
    pick.x, pick.y = picture.middle(person)
