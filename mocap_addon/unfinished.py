"""Captures that Blender did not see the end of: it or their file was closed in the middle, it crashed, they were
cancelled or still wait.

Every capture is written down before it starts (`jobs/<key>.json` in the extension's folder) and struck off when its
takes are keyed. What the backend has tracked is kept beside the takes, so that continuing goes on from there.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..backend.core.errors import MocapError
from ..backend.core.locking import hold
from ..backend.core.take import index_path, read_index, working_folder

FRESH = 3.0  # seconds for which what was found on disk is believed


def finished(output: Path) -> list[Path]:
    """The takes that a capture to `output` has left; none as long as there is something to continue from."""
    if working_folder(output).is_dir():
        return []
    if output.is_file():
        return [output]
    try:
        return read_index(index_path(output))[0]
    except MocapError:
        return []


@dataclass(frozen=True)
class Unfinished:
    """A capture that can be continued. request: the fields of its message; blend: the file it belongs to, or ""."""

    key: str
    blend: str
    request: dict[str, Any]

    @property
    def name(self) -> str:
        """The clip's name."""
        return Path(self.request["video"]).stem

    @property
    def begun(self) -> bool:
        """Whether something of it is on disk already."""
        return working_folder(Path(self.request["output"])).is_dir()

    @property
    def computed(self) -> bool:
        """Whether its takes are on disk and only wait to be keyed."""
        return bool(finished(Path(self.request["output"])))


class Jobs:
    """The captures that are written down in a folder. Those of a running Blender are locked by it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, IO[bytes]] = {}
        self._found: list[Unfinished] = []
        self._looked = -FRESH

    def remember(self, job: Unfinished) -> None:
        """Write a capture down and hold it until `release`. One that is to make the same takes goes on from an older
        one, or starts it anew: that is struck off."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for older in self._look():
            if older.key != job.key and older.request["output"] == job.request["output"]:
                self._strike(older.key)
        self._looked = -FRESH
        if job.key not in self._held and (handle := hold(self._folder / f"{job.key}.lock")):
            self._held[job.key] = handle
        self._path(job.key).write_text(json.dumps(vars(job), ensure_ascii=False), "utf-8")

    def release(self, key: str) -> None:
        """The capture has ended: strike it off, unless there is something to continue from."""
        job = self._read(self._path(key))
        if job is None or not job.begun:
            self._strike(key)
        self.offer(key)

    def offer(self, key: str) -> None:
        """Let go of a capture without striking it off: it can be continued at once."""
        self._let_go(key)
        self._looked = -FRESH

    def close(self) -> None:
        """Blender quits: what is held can be continued next time."""
        for key in list(self._held):
            self._let_go(key)

    def found(self, blend: str) -> list[Unfinished]:
        """What can be continued in the file `blend` ("" for an unsaved one), oldest first. Cheap enough for drawing."""
        if time.monotonic() - self._looked >= FRESH:
            self._found = self._look()
            self._looked = time.monotonic()
        return [job for job in self._found if job.blend in ("", blend)]

    def discard(self, job: Unfinished) -> None:
        """Strike a capture off and delete what was tracked for it."""
        folder = working_folder(Path(job.request["output"]))
        if (folder / "manifest.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
        self._strike(job.key)
        self._looked = -FRESH

    def _look(self) -> list[Unfinished]:
        jobs = []
        for path in sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
            if path.stem in self._held or (job := self._read(path)) is None:
                continue
            if handle := hold(self._folder / f"{path.stem}.lock"):  # else it runs in another Blender
                handle.close()
                jobs.append(job)
        return jobs

    def _read(self, path: Path) -> Unfinished | None:
        try:
            return Unfinished(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _let_go(self, key: str) -> None:
        if handle := self._held.pop(key, None):
            handle.close()
        if not self._path(key).exists():
            (self._folder / f"{key}.lock").unlink(missing_ok=True)

    def _strike(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)
        if key not in self._held:
            (self._folder / f"{key}.lock").unlink(missing_ok=True)
