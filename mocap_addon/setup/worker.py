"""The process that makes, extends or removes the backend's environment. Standard library only; it runs in Blender's
Python.

    python -m mocap_addon.setup.worker install FOLDER --pip WHEEL [--lock FILE] [--wheels FOLDER] [--python PATH]
    python -m mocap_addon.setup.worker add FOLDER --pip WHEEL --group NAME --build BUILD [--wheels FOLDER]
    python -m mocap_addon.setup.worker drop FOLDER --group NAME
    python -m mocap_addon.setup.worker remove FOLDER

Work goes on in FOLDER/setup; FOLDER/backend-env is replaced at the very end, in one step. Whole wheels that were
downloaded before the set-up was broken off are not downloaded again. One JSON object a line goes to stdout
(`progress`, then `done` or `error`), everything else to stderr. The end of stdin ends it: Blender has gone.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from . import groups, plan
from .addition import Addition, drop
from .installation import Installation, progress, remove, say
from .pip import Processes, SetupError

KEPT = (Installation.kept, Addition.kept)  # downloads of a set-up that was broken off


@contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    """Hold the folder for this process and its children; a lock of the system's, so none is ever left behind."""
    with path.open("a+b") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError("setup-busy", f"Another set-up is working in {path.parent}.") from error
        yield file


def _tidy(workshop: Path, kept: tuple[str, ...] = ()) -> None:
    """Clear the workshop away; the lock file goes last, and stays where the system does not let go of it. kept: what
    names begin with that stay."""
    for entry in workshop.iterdir():
        if entry.name != "lock" and not entry.name.startswith(kept or "\0"):
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def _work(options: argparse.Namespace) -> None:
    folder, workshop = options.folder, plan.workshop(options.folder)
    workshop.mkdir(parents=True, exist_ok=True)
    with _locked(workshop / "lock") as lock:
        processes = Processes([lock.fileno()])
        threading.Thread(target=_watch_parent, args=(processes,), daemon=True).start()
        if options.task == "remove":
            progress("remove")
            for each in (plan.environment(folder), folder / "groups", folder / "python"):
                remove(each)
            _tidy(workshop)
        elif options.task == "drop":
            progress("remove")
            drop(folder, options.group)
            _tidy(workshop, KEPT)
        else:
            task = (Installation if options.task == "install" else Addition)(folder, options, processes)
            kept = KEPT
            try:
                task.run()
                kept = tuple(name for name in KEPT if name != task.kept)
            finally:
                _tidy(workshop, kept)
        say("done")


def _watch_parent(processes: Processes) -> None:
    """Thread: when the parent closes our stdin, or has died, nothing goes on."""
    os.read(sys.stdin.fileno(), 1)
    processes.stop()


def _told(error: OSError) -> SetupError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupError("disk-full", f"The drive of {error.filename} is full.", "Free some space, then set up again.")
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return SetupError(
            "output-unwritable",
            f"{error.filename} cannot be written or moved ({error.strerror}).",
            "Close other Blenders and check who may write there, then set up again.",
        )
    return SetupError("setup-failed", f"{error}.")


def main(arguments: list[str]) -> int:
    """-> exit status; what went wrong has been said on stdout."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("install", "add", "drop", "remove"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pip", type=Path)
    parser.add_argument("--lock", type=Path, default=plan.LOCK)
    parser.add_argument("--group", choices=tuple(groups.GROUPS))
    parser.add_argument("--build", choices=tuple(groups.BUILDS))
    parser.add_argument("--wheels", type=Path)
    parser.add_argument("--python", type=Path)
    try:
        _work(parser.parse_args(arguments))
    except SetupError as failure:
        say("error", code=failure.code, what=failure.what, fix=failure.fix)
        return 1
    except OSError as error:
        failure = _told(error)
        say("error", code=failure.code, what=failure.what, fix=failure.fix)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
