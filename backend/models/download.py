"""Fetching a model's file: only when the user has said yes, resumable, checked."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from ..core.errors import MocapError
from ..store import writing
from .catalogue import MODELS
from .library import CHUNK, Library, Tick

TIMEOUT = 30  # seconds without an answer


def fetch(library: Library, name: str, tick: Tick = lambda done, total: None) -> Path:
    """Download a model into the library's folder and add it. The user must have agreed before this is called.

    What an earlier try left in `FILE.part` is continued. Raises MocapError model-download, model-checksum,
    model-licence or disk-full, and what `Library.add` raises.
    """
    model = MODELS[name]
    library.permit(model)
    if not model.url:
        what = f"{model.title} cannot be downloaded from here: get it from {model.source} and add the file."
        raise MocapError("model-download", what, f"python -m backend models add {name} FILE")
    file = library.folder / model.file
    part = file.with_name(file.name + ".part")
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _continue(model.url, part, tick)
    except urllib.error.HTTPError as error:
        raise MocapError("model-download", f"{model.url} answers {error.code} {error.reason}.") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise MocapError("model-download", f"{model.url} cannot be reached ({error}).") from error
    with writing(file):
        os.replace(part, file)
    try:
        library.add(name, file, tick, fetched=True)
    except MocapError as error:
        if error.code in ("model-checksum", "model-unsafe", "model-unreadable"):
            file.unlink()  # another try must not begin with it
        raise
    return file


def _continue(url: str, part: Path, tick: Tick) -> None:
    """Append to `part` what it lacks; from the beginning where the server cannot continue."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send
            return
        raise
    with answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        with writing(part), part.open("ab" if have else "wb") as stream:
            while block := answer.read(CHUNK):
                stream.write(block)
                have += len(block)
                tick(have, total)
    if total and have < total:
        raise MocapError("model-download", f"The download of {part.stem} broke off after {have / 1e6:.0f} MB.")
