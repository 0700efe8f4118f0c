"""A lock that lasts as long as the process that holds it, however that ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO


def hold(path: Path) -> IO[bytes] | None:
    """Hold the lock file until the handle is closed or this process ends; None when somebody else holds it.

    Raises OSError when the file cannot be made.
    """
    handle = path.open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        handle.close()
        return None
    except BaseException:
        handle.close()
        raise
    return handle
