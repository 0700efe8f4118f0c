"""What the tracker saw, kept beside the takes as TAKE.keypoints, so that a capture can be solved again in seconds.

The file is an `.npz` by another name (`numpy.load` reads it), one for all people of a capture, also those that became
no take. About 0.6 kB a person and frame.

    about           JSON text: format, `video` (name, SHA-256 and what `video.VideoInfo` tells), `settings`, `engines`,
                    `versions`, `warnings` of the capture
    frames (F,)     number and time of every frame that was looked at (`store.FRAME`)
    camera (F,)     how the camera moved (`store.CAMERA`)
    cuts (C,)       which of them begin another shot (`store.CUT`)
    edges (E,)      straight edges of the background in some of them (`store.EDGE`)
    person-<track> (T,)     what was seen of that person (`stages.OBSERVATION`, and what further
                            networks saw), frames without them left out

Whoever deletes the last take of a capture deletes it as well; nothing else does.
"""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import numpy as np

from .core.errors import MocapError
from .core.rotations import Array
from .core.take import DAMAGE, NpzWriter, index_path, observations_path, read_index, read_take
from .stages import OBSERVATION
from .store import BLOCK, ObservationStore, RecordFile, writing
from .video import VideoInfo

FORMAT = 1

SEEN = 0.3  # confidence of keypoints that count for a person's box
MARGIN = 0.08  # of the box, around it
REACH = 1.5  # how far from the middle of a box a point still means that person, as parts of half its sides
MOMENT = 0.5  # seconds from the time asked for in which the person must be seen


def keep(store: ObservationStore, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write the store's observations to `path`. provenance: of the takes, see `output.provenance_of`.

    Raises MocapError disk-full or output-unwritable.
    """
    records = {
        "frames": store.frames,
        "camera": store.camera,
        "cuts": store.cuts,
        "edges": store.edges,
        **{f"person-{track}": store.person(track) for track in store.seen},
    }
    with writing(path), NpzWriter(path) as file:
        file.put("about", json.dumps({"format": FORMAT, **provenance}, ensure_ascii=False))
        for name, part in records.items():
            file.put_blocks(name, part.dtype, (len(part),), part.blocks())


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns a failure to read the keypoints at `path` into MocapError keypoints-unreadable."""
    try:
        yield
    except DAMAGE as error:
        raise MocapError("keypoints-unreadable", f"{path} cannot be read as keypoints ({error}).") from error


def read_about(path: Path) -> dict[str, Any]:
    """What the file says about the capture. Raises MocapError keypoints-unreadable."""
    with reading(path), np.load(path, allow_pickle=False) as data:
        about: dict[str, Any] = json.loads(str(data["about"]))
    if about.get("format") != FORMAT:
        raise MocapError("keypoints-unreadable", f"{path.name} is of another version of this extension.")
    return about


def restore(path: Path, folder: Path) -> ObservationStore:
    """The observations as a store in `folder`; whatever is there is replaced. Nothing is held in memory.

    Raises MocapError keypoints-unreadable, and as `ObservationStore` does.
    """
    key = {"restored": path.name, "at": time.time_ns()}  # no other capture continues it
    record = _record(path)
    with ObservationStore(folder, key, record) as store:
        try:
            with reading(path), zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.startswith("person-"):
                        _unpack(archive, name, store.person(int(name.removeprefix("person-")[:-4])))
                _unpack(archive, "frames.npy", store.frames)
                # Older versions followed no camera that travels, saw no cuts and kept no edges.
                for name, target in {"camera": store.camera, "cuts": store.cuts, "edges": store.edges}.items():
                    if f"{name}.npy" in archive.namelist():
                        _unpack(archive, f"{name}.npy", target)
            store.mark_complete()
        except BaseException:
            store.remove()
            raise
    return ObservationStore(folder, key, record)  # opened again, it counts what is in it


def _record(path: Path) -> np.dtype[Any]:
    """What the file keeps of a person in a frame: OBSERVATION, and what further networks saw.

    Raises MocapError keypoints-unreadable.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        people = [name for name in archive.namelist() if name.startswith("person-")]
        if not people:
            return OBSERVATION
        with archive.open(people[0]) as source:
            record = _dtype(source)
    if record.descr[: len(OBSERVATION.descr)] != OBSERVATION.descr:
        raise MocapError("keypoints-unreadable", f"{path.name} is of another version of this extension.")
    return record


def video_of(about: Mapping[str, Any]) -> VideoInfo:
    """The captured video as it was. Its file need not be there any more: `path` is its name."""
    told = about["video"]
    names = {field.name for field in fields(VideoInfo)} - {"path"}
    return VideoInfo(path=Path(told["name"]), **{name: told[name] for name in names & told.keys()})


def source_of(named: Path) -> Path:
    """The take that is meant, of an index (.json) the first one, or a keypoints file. TAKE.npz may also stand for
    TAKE.1.npz, TAKE.2.npz, ... Raises MocapError take-unreadable."""
    if named.suffix.lower() == ".npz" and not named.exists():
        named = next((path for path in (index_path(named), observations_path(named)) if path.exists()), named)
    return read_index(named)[0][0] if named.suffix.lower() == ".json" else named


def observations_of(named: Path) -> Path:
    """The keypoints file that a take, or the takes of an index, say they were solved from; a keypoints file is its own.

    Raises MocapError take-unreadable or keypoints-unreadable.
    """
    source = source_of(named)
    if source.suffix.lower() != ".npz":
        return source
    told = read_take(source).provenance.get("observations")
    if not told:
        raise MocapError("keypoints-unreadable", f"{source.name} does not say which keypoints it was solved from.")
    return Path(os.path.normpath(source.parent / told))


def track_at(store: ObservationStore, tracks: list[int], time: float, x: float, y: float) -> int:
    """Who was seen at a pixel (of the upright picture) at a time: of several, the one whose middle is nearest.

    Raises MocapError person-missing.
    """
    best, least = None, REACH
    for track in tracks:
        times = store.times(track)
        row = int(np.argmin(np.abs(times - time)))
        if abs(times[row] - time) > MOMENT:
            continue
        left, top, right, bottom = box(store.person(track).read(row, row + 1)[0])
        middle, half = np.array([left + right, top + bottom]) / 2, np.array([right - left, bottom - top]) / 2
        away = float(np.abs((np.array([x, y]) - middle) / np.maximum(half, 1.0)).max())  # 1: at the box's edge
        if away < least:
            best, least = track, away
    if best is None:
        raise MocapError("person-missing", f"Nobody was followed at {time:.2f} s near pixel {x:.0f}, {y:.0f}.")
    return best


def tracks_at(
    store: ObservationStore, points: Iterable[tuple[float, float, float]]
) -> tuple[list[int], list[tuple[str, str]]]:
    """The people (tracks) at points (seconds, x, y), see `track_at`, and a warning for each that nobody is at.

    Raises MocapError person-missing when there is nobody at any.
    """
    chosen: set[int] = set()
    missed: list[MocapError] = []
    for point in points:
        try:
            chosen.add(track_at(store, list(store.seen), *point))
        except MocapError as error:
            missed.append(error)
    if not chosen:
        raise missed[0]
    return sorted(chosen), [(error.code, error.what) for error in missed]


def box(observation: np.void) -> Array:
    """Left, top, right, bottom of a person, pixels of the full-size picture."""
    points = observation["keypoints"][:23]
    points = points[points[:, 2] > SEEN, :2]
    if len(points) < 4:
        x, y, side, _ = observation["roi"]
        return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])
    low, high = points.min(axis=0), points.max(axis=0)
    pad = MARGIN * float((high - low).max())
    return np.array([*(low - pad), *(high + pad)])


def relative(path: Path, folder: Path) -> str:
    """`path` seen from `folder`, with forward slashes; as it is when it lies on another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return str(path)


def _unpack(archive: zipfile.ZipFile, member: str, target: RecordFile) -> None:
    dtype = target.dtype
    with archive.open(member) as source:
        kept = _dtype(source)
        if any(name not in (kept.names or ()) or kept[name] != dtype[name] for name in dtype.names or ()):
            raise ValueError(f"{member} is of another version")
        while block := source.read(BLOCK * kept.itemsize):  # older versions kept more of a frame
            target.append(np.frombuffer(block, kept)[list(dtype.names or ())].astype(dtype))


def _dtype(source: IO[bytes]) -> np.dtype[Any]:
    """Read an `.npy` header; the stream then stands at the data."""
    version = np.lib.format.read_magic(source)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    dtype: np.dtype[Any] = read(source)[2]
    return dtype
