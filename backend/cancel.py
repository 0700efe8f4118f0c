"""Stopping a capture on request, within a second, whatever it is doing."""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE = 0.5  # seconds that a stage gets to stop by itself, which leaves room to answer within a second


class Cancel:
    """A request to stop. The capture asks for it between frames; when a call takes too long, `abort` ends the process.

    Ending it hard is safe at any moment: observations are append-only and takes appear only when complete.
    """

    def __init__(self, abort: Callable[[], None]) -> None:
        self._abort = abort
        self._asked = threading.Event()
        self._over = threading.Event()

    def request(self) -> None:
        """Stop now; may be called from any thread and from a signal handler, any number of times."""
        if not self._asked.is_set():
            self._asked.set()
            threading.Thread(target=self._watch, daemon=True).start()

    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._asked.is_set()

    def finish(self) -> None:
        """The capture has ended: nothing is left to abort."""
        self._over.set()

    def _watch(self) -> None:
        if not self._over.wait(PATIENCE):
            self._abort()
