"""How far a capture is, told to whoever listens; the place where every stage notices a cancel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .core.errors import MocapError
from .core.protocol import Message

INTERVAL = 0.1  # seconds between two progress messages of a stage; more would only cost


class Progress:
    """Sends messages of `core.protocol` and stops the capture when it has been cancelled. watched: somebody looks at
    poses while it runs."""

    def __init__(self, emit: Callable[[Message], None], cancelled: Callable[[], bool], watched: bool = True) -> None:
        self.emit = emit
        self.cancelled = cancelled
        self.watched = watched
        self._name = ""
        self._next = 0.0

    def stage(self, name: str, done: int, total: int) -> None:
        """Tell that `done` of `total` are through stage `name`. Raises MocapError cancelled."""
        if self.cancelled():
            raise MocapError("cancelled", "The capture was cancelled.")
        now = time.monotonic()
        if name != self._name or done >= total or now >= self._next:
            self._name, self._next = name, now + INTERVAL
            self.emit({"type": "stage", "name": name, "done": done, "total": total})

    def warn(self, code: str, what: str) -> None:
        """Tell something that the user should know; the capture goes on."""
        self.emit({"type": "warning", "code": code, "what": what})

    def track(self, track: int, rest_offsets: Any) -> None:
        """Tell that a person appeared, or that their bones (55, 3) were measured anew."""
        self.emit({"type": "track", "track": track, "name": person_name(track), "rest_offsets": rest_offsets})


def person_name(track: int) -> str:
    """What a person is called until the user gives a better name."""
    return f"Person {track}"
