"""Where things are kept: takes beside the .blend, everything else in the extension's user folder."""

from __future__ import annotations

import glob
import time
from collections.abc import Collection
from pathlib import Path

import bpy

from ..backend.core.take import observations_path

EXTENSION = __package__.rpartition(".")[0]  # the repository root is the extension's package
KEPT_LOGS = 20


def user_folder() -> Path:
    """The extension's own folder; it outlives updates of the extension."""
    return Path(bpy.utils.extension_path_user(EXTENSION, create=True))


def takes_folder(preference: str) -> Path:
    """Where takes go: the folder of the preferences, else `mocap` beside the saved .blend, else the user folder."""
    if preference and (bpy.data.filepath or not preference.startswith("//")):  # beside what file, before it is saved?
        return Path(bpy.path.abspath(preference))
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / "mocap"
    return user_folder() / "takes"


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
    """A log file for one capture; the oldest logs are removed."""
    folder = user_folder() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[:-KEPT_LOGS]:
        old.unlink(missing_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.monotonic_ns() % 1000:03d}-{video.stem}.log"
