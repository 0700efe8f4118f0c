"""The user's models: which files they have added, where downloads go, and whether only commercially safe ones count.

Two small JSON files: `models.json` in the models' folder says what was added; `settings.json` in the user's own folder
names that folder and the switch. Nothing is ever written beside the extension's code.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import MocapError
from ..store import writing
from .catalogue import MODELS, PublishedModel

VARIABLE = "VIDEO_MOCAP_MODELS"  # names the models' folder; the add-on sets it
CHUNK = 1 << 22

Tick = Callable[[int, int], None]  # bytes done, bytes in all (0: not known)


@dataclass(frozen=True)
class Added:
    """A file that was added: where it lies, its size in bytes, when it was last changed (seconds), its checksum.

    fetched: downloaded into the models' folder; checked: looked into, which takes PyTorch for most.
    """

    file: str
    size: int
    modified: float
    sha256: str
    fetched: bool = False
    checked: bool = True


def user_folder() -> Path:
    """Where this system keeps a program's own files."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home()))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "video_mocap"


class Library:
    """What is known of the user's models; every change is written at once."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: instead of the one that the user chose."""
        self._settings_file = user_folder() / "settings.json"
        settings = _read(self._settings_file)
        named = os.environ.get(VARIABLE) or settings.get("folder")
        self.folder = folder or (Path(named) if named else user_folder() / "models")
        self.commercial_only = bool(settings.get("commercial_only", False))
        self.added: dict[str, Added] = {
            name: Added(**entry) for name, entry in _read(self.folder / "models.json").items() if name in MODELS
        }

    def permit(self, model: PublishedModel) -> None:
        """Raises MocapError model-licence when the user wants only what is for commercial use, and this is not."""
        if self.commercial_only and not model.commercial:
            raise MocapError("model-licence", f"{model.title} is not for commercial use ({model.licence}).")

    def path(self, name: str) -> Path:
        """The file of a model, to be used now.

        Raises MocapError model-missing, model-licence or model-checksum; model-wrong, model-unsafe or model-unreadable
        where it could not be looked into before.
        """
        from .recognise import check

        file, model = self.find(name), MODELS[name]
        if self.state(name) == "changed":
            what = f"The file of {model.title} has changed since it was added: {file}."
            raise MocapError("model-checksum", what, "If that was you, add it again; else get it again.")
        if not self.added[name].checked and check(model, file):
            self._note(name, checked=True)
        return file

    def find(self, name: str) -> Path:
        """Where the file of a model lies; it is not read. Raises MocapError model-missing or model-licence."""
        model = MODELS[name]
        self.permit(model)
        entry = self.added.get(name)
        if entry is None:
            raise MocapError("model-missing", f"{model.title} has not been added ({name}: {model.file}).")
        if not Path(entry.file).is_file():
            raise MocapError("model-missing", f"The file of {model.title} is no longer at {entry.file}.")
        return Path(entry.file)

    def extra(self, name: str) -> Path | None:
        """The file of a model that is used where it is there, and done without where it is not."""
        try:
            return self.path(name)
        except MocapError:
            return None

    def visible(self) -> dict[str, PublishedModel]:
        """The models that the user wants to see: all, or those for commercial use."""
        return {name: model for name, model in MODELS.items() if model.commercial or not self.commercial_only}

    def add(self, name: str, file: Path, tick: Tick = lambda done, total: None, fetched: bool = False) -> Added:
        """Take note of a file that the user has; it stays where it is.

        Another checksum than the known one is another version, which is welcome; not in a file that was just fetched.
        Raises MocapError model-wrong, model-unsafe, model-unreadable, model-missing, model-checksum, model-licence.
        """
        from .recognise import check

        model = MODELS[name]
        self.permit(model)
        file = file.absolute()
        if not file.is_file():
            raise MocapError("model-missing", f"There is no file {file}.")
        checked = check(model, file)
        found = checksum(file, tick)
        if fetched and model.sha256 and found != model.sha256:
            what = f"{file.name} has the checksum {found[:12]}..., not {model.sha256[:12]}... as it had for others."
            raise MocapError("model-checksum", what)
        status = file.stat()
        checked = checked or found == model.sha256
        self.added[name] = Added(str(file), status.st_size, status.st_mtime, found, fetched, checked)
        self._write()
        return self.added[name]

    def remove(self, name: str) -> bool:
        """Forget a model. -> whether its file was deleted: when it was downloaded and no other model uses it"""
        entry = self.added.pop(name, None)
        if entry is None:
            raise MocapError("model-missing", f"{MODELS[name].title} has not been added.")
        self._write()
        mine = entry.fetched and not any(other.file == entry.file for other in self.added.values())
        if mine:
            Path(entry.file).unlink(missing_ok=True)
        return mine

    def state(self, name: str, tick: Tick = lambda done, total: None) -> str:
        """As `verify`, but a file is read again only where its time is another one."""
        entry = self.added[name]
        try:
            status = Path(entry.file).stat()
        except OSError:
            return "missing"
        if status.st_size != entry.size:
            return "changed"
        if status.st_mtime != entry.modified:
            if self.verify(name, tick) != "ok":
                return "changed"
            self._note(name, modified=status.st_mtime)
        return "ok"

    def verify(self, name: str, tick: Tick = lambda done, total: None) -> str:
        """ok, missing, or changed: whether a file is what it was when it was added."""
        entry = self.added[name]
        file = Path(entry.file)
        if not file.is_file():
            return "missing"
        return "ok" if checksum(file, tick) == entry.sha256 else "changed"

    def choose_folder(self, folder: Path) -> None:
        """Keep models, and the list of them, in this folder from now on."""
        folder = folder.absolute()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            old = self.folder / "models.json"
            if old.is_file() and not (folder / "models.json").exists():
                shutil.copy(old, folder)
        self._settings(folder=str(folder))
        self.__init__(folder)  # type: ignore[misc]  # as if it had just been opened

    def set_commercial_only(self, wanted: bool) -> None:
        """Hide and refuse what is not for commercial use."""
        self._settings(commercial_only=wanted)
        self.commercial_only = wanted

    def describe(self, tick: Tick = lambda done, total: None) -> dict[str, Any]:
        """Everything, as JSON: for `doctor`, the command line and the add-on."""

        def added(name: str) -> dict[str, Any] | None:
            if name not in self.added:
                return None
            return {"state": self.state(name, tick), **asdict(self.added[name])}

        return {
            "folder": str(self.folder),
            "commercial_only": self.commercial_only,
            "models": {name: {**asdict(model), "added": added(name)} for name, model in self.visible().items()},
        }

    def _note(self, name: str, **changes: Any) -> None:
        self.added[name] = replace(self.added[name], **changes)
        with suppress(MocapError):  # where it cannot be written it is found out once more the next time
            self._write()

    def _write(self) -> None:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / "models.json", {name: asdict(entry) for name, entry in self.added.items()})

    def _settings(self, **changes: object) -> None:
        with writing(self._settings_file):
            self._settings_file.parent.mkdir(parents=True, exist_ok=True)
        _write(self._settings_file, {**_read(self._settings_file), **changes})


def checksum(file: Path, tick: Tick = lambda done, total: None) -> str:
    """The SHA-256 of a file."""
    digest, done, total = hashlib.sha256(), 0, file.stat().st_size
    with file.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
            done += len(block)
            tick(done, total)
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Any]:
    """A JSON object; empty when there is none or it cannot be read."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(file: Path, content: dict[str, Any]) -> None:
    beside = file.with_suffix(".tmp")
    with writing(file):
        beside.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
        os.replace(beside, file)
