"""Where things are kept: takes beside the .blend, everything else in the extension's user folder."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import bpy

from ..backend.core.errors import MocapError
from ..backend.core.take import observations_path

EXTENSION = __package__.rpartition(".")[0]  # the repository root is the extension's package
KEPT_LOGS = 20


def user_folder() -> Path:
    """The extension's own folder; it outlives updates of the extension. Made, where that is allowed."""
    folder = Path(bpy.utils.extension_path_user(EXTENSION))
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def takes_folder(preference: str) -> Path:
    """Where takes go: the folder of the preferences, else `mocap` beside the saved .blend, else the user folder."""
    if preference and (bpy.data.filepath or not preference.startswith("//")):  # beside what file, before it is saved?
        return Path(bpy.path.abspath(preference))
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / "mocap"
    return user_folder() / "takes"


def check_output(path: Path, option: str, *suffixes: str) -> None:
    """Refuse before the work what could not be written after it. Raises MocapError bad-request, output-unwritable.

    path: absolute. option: that named it. suffixes: what such files can end with.
    """
    if path.suffix.lower() not in suffixes:
        raise MocapError("bad-request", f"{option} writes {' or '.join(suffixes)}, not {path.suffix or path.name}.")
    if not path.parent.is_dir():
        raise MocapError("output-unwritable", f"There is no folder {path.parent}.")
    if path.is_dir():
        raise MocapError("output-unwritable", f"{path} is a folder.", "Choose another name.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise MocapError("output-unwritable", f"{path} cannot be written.")


def save(path: Path, copy: bool = False) -> None:
    """Save the .blend. Raises MocapError output-unwritable."""
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=copy)
    except RuntimeError as error:
        raise MocapError("output-unwritable", f"{path} cannot be written ({error}).") from error


def new_output(folder: Path, video: Path, reserved: Collection[Path]) -> Path:
    """A name for the take of `video` that no finished take has and that no waiting capture is going to use.

    Takes of one person are NAME.npz, of several NAME.1.npz, NAME.2.npz, ...

    A capture that was broken off keeps its name, so that capturing again continues it.
    """
    number = 1
    while True:
        output = folder / (f"{video.stem}.npz" if number == 1 else f"{video.stem}-{number}.npz")
        if output not in reserved and not any(folder.glob(f"{glob.escape(output.stem)}.*npz")):
            if not observations_path(output).exists():  # other takes were solved from it
                return output
        number += 1


def new_log(video: Path) -> Path:
    """A log file for one capture; the oldest logs are removed, where that is allowed."""
    folder = user_folder() / "logs"
    with suppress(OSError):
        for old in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[:-KEPT_LOGS]:
            old.unlink(missing_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000:03d}-{video.stem}.log"
