"""What the tracker saw, on disk while a capture runs: append-only, so that a killed capture continues where it was.

The folder TAKE.npz.part beside the output holds

    manifest.json         what the observations depend on: with another video, span or setting the store starts anew
    frames.bin            one FRAME record per finished frame
    camera.bin            one CAMERA record with each of them
    cuts.bin              one CUT record for each frame that begins another shot
    corners-<shot>.bin    CORNER records of key frames
    edges.bin             EDGE records of some frames
    person-<track>.bin    one OBSERVATION record per frame that the person is seen in
    warnings.jsonl        [code, what] of everything the user was warned of
    tracked               exists once the last frame of the span is in
    lock                  held by the process that works here

and whatever later stages spool. A frame counts once its FRAME record is there, which is written after its
persons' records: what a killed process left behind that is cut off when the store is opened again.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .core import rotations
from .core.errors import MocapError
from .core.locking import hold
from .core.rotations import Array
from .stages import OBSERVATION, Frame, Sighting

FRAME = np.dtype([("index", "<i4"), ("time", "<f8")])
# The camera's turn since the first frame of its shot, as told while the clip was looked at and as known afterwards, and
# where it had got to, that frame's axes, in a unit of its own; see `world.steady` and `world.travel`.
CAMERA = np.dtype([("told", "<f4", (4,)), ("turn", "<f4", (4,)), ("place", "<f4", (3,))])
# A corner of the background, full-size pixels; see `world.corners`.
CORNER = np.dtype([("frame", "<i4"), ("name", "<i8"), ("place", "<f4", (2,))])
# A straight edge of the background: x and y of both ends, full-size pixels; see `world.edges`.
EDGE = np.dtype([("frame", "<i4"), ("ends", "<f4", (4,))])
CUT = np.dtype([("row", "<i4"), ("time", "<f8")])  # the frame that begins another shot, counted among the finished ones
BLOCK = 256  # records that are in memory at a time

# What is rounded to, as parts of a pixel, of a metre and of confidence 1: far below what the models can see, and it
# compresses to a fifth.
_PIXEL = 16
_ROUNDED = {
    name: np.array(parts, np.float32)
    for name, parts in {
        "keypoints": (_PIXEL, _PIXEL, 256),
        "landmarks": (8192,) * 3 + (256,),
        "hands": (8192,) * 3 + (256,),
    }.items()
}

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failure to write to `path` into MocapError disk-full or output-unwritable."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise MocapError("disk-full", f"There is no space left to write {path}.") from error
        raise MocapError("output-unwritable", f"{path} cannot be written ({error.strerror or error}).") from error


class RecordFile:
    """An append-only file of fixed-size records, read in blocks; never mapped, since mapped pages count as memory."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path = path
        self.dtype = dtype

    def __len__(self) -> int:
        return self.path.stat().st_size // self.dtype.itemsize if self.path.exists() else 0

    def append(self, records: NDArray[Any] | np.void) -> None:
        """Add records (n,) or one record; they survive the end of this process, however it ends."""
        with writing(self.path), self.path.open("ab") as file:
            file.write(np.asarray(records, self.dtype).tobytes())

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Records start..stop, fewer at the end of the file."""
        if not self.path.exists():
            return np.empty(0, self.dtype)
        with self.path.open("rb") as file:
            return np.fromfile(file, self.dtype, max(stop - start, 0), offset=start * self.dtype.itemsize)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """All records in order, BLOCK at a time."""
        for start in range(0, len(self), BLOCK):
            yield self.read(start, start + BLOCK)

    def rewrite(self, blocks: Iterable[NDArray[Any]]) -> None:
        """Put other records in the place of all there are."""
        grown = RecordFile(self.path.with_suffix(".tmp"), self.dtype)
        grown.truncate(0)
        for block in blocks:
            grown.append(block)
        with writing(self.path):
            os.replace(grown.path, self.path)

    def column(self, name: str) -> NDArray[Any]:
        """One field of all records."""
        # Copies: a view of one field would keep its whole block in memory.
        parts = [block[name].copy() for block in self.blocks()]
        return np.concatenate(parts) if parts else np.empty(0, self.dtype[name])

    def truncate(self, count: int) -> None:
        """Keep the first `count` records and nothing of a broken one after them."""
        if self.path.exists():
            with writing(self.path):
                os.truncate(self.path, count * self.dtype.itemsize)


@dataclass
class Seen:
    """How much was seen of one person: in which shot, frames, seconds of the first and last, and over all frames the
    sum of the region's side in pixels, weighed with the consistency of what was seen there."""

    shot: int
    frames: int = 0
    first: float = np.inf
    last: float = -np.inf
    size: float = 0.0

    def add(self, observations: NDArray[Any] | np.void) -> None:
        """Count observations (n,) or one record of OBSERVATION."""
        observations = np.atleast_1d(observations)
        self.frames += len(observations)
        self.first = min(self.first, float(observations["time"][0]))
        self.last = float(observations["time"][-1])
        self.size += float((observations["roi"][:, 2] * observations["consistency"]).sum())


class Shot(NamedTuple):
    """What is seen between two cuts: its number, and its rows among the frames."""

    number: int
    rows: slice


class ObservationStore:
    """The observations of one capture; a context manager that holds the folder's lock."""

    def __init__(self, folder: Path, key: Mapping[str, Any], record: np.dtype[Any] = OBSERVATION) -> None:
        """Open or create the store. key: whatever the observations depend on, as JSON; record: OBSERVATION, or that
        with further fields (`look.record_with`).

        Raises MocapError output-unwritable, output-busy or disk-full.
        """
        self.folder = folder
        self.record = record
        self.seen: dict[int, Seen] = {}
        self.warnings: list[tuple[str, str]] = []
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / "lock")
        try:
            self.frames = RecordFile(folder / "frames.bin", FRAME)
            self.camera = RecordFile(folder / "camera.bin", CAMERA)
            self.edges = RecordFile(folder / "edges.bin", EDGE)
            self.cuts = RecordFile(folder / "cuts.bin", CUT)
            if not self._recover(json.loads(json.dumps(key))):
                self._start(key)
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> ObservationStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def corners(self, shot: int) -> RecordFile:
        """The CORNER records of one shot, in the order of time."""
        return RecordFile(self.folder / f"corners-{shot}.bin", CORNER)

    def shots(self) -> list[Shot]:
        """What the clip's cuts make of it; one shot where there are none."""
        cuts = self.cuts.read(0, len(self.cuts))["row"].tolist()
        return [Shot(*shot) for shot in enumerate(map(slice, [0, *cuts], [*cuts, len(self)]))]

    def append(
        self,
        frame: Frame,
        sightings: Sequence[Sighting],
        edges: ArrayLike = (),
        turn: ArrayLike = rotations.IDENTITY,
    ) -> None:
        """Keep one finished frame; edges: (N, 4) ends, see EDGE; turn: of the camera. Raises MocapError disk-full or
        output-unwritable."""
        if frame.cut:
            self.cuts.append(np.array((len(self), frame.time), CUT))
        for track, observation in sightings:
            for name, parts in _ROUNDED.items():
                observation[name] = np.round(observation[name] * parts) / parts
            self.person(track).append(observation)
            self.seen.setdefault(track, Seen(len(self.cuts))).add(observation)
        self.camera.append(np.array((turn, turn, (0.0, 0.0, 0.0)), CAMERA))
        if len(ends := np.reshape(edges, (-1, 4))):
            records = np.empty(len(ends), EDGE)
            records["frame"], records["ends"] = frame.index, np.round(ends * _PIXEL) / _PIXEL
            self.edges.append(records)
        self.frames.append(np.array((frame.index, frame.time), FRAME))

    def person(self, track: int) -> RecordFile:
        """The OBSERVATION records of one person, in the order of time."""
        return RecordFile(self.folder / f"person-{track}.bin", self.record)

    def times(self, track: int) -> NDArray[np.float64]:
        """(T,) seconds: when the person is seen."""
        return self.person(track).column("time")

    def turns(self, track: int) -> NDArray[np.float32]:
        """(T, 4) the camera's turn in the frames that the person is seen in."""
        return self.person(track).column("turn")

    @property
    def turned(self) -> Array:
        """(4,) how far the camera had turned in the last finished frame, as told."""
        told = self.camera.read(max(len(self.camera) - 1, 0), len(self.camera))["told"]
        return told[0].astype(float) if len(told) else rotations.IDENTITY

    def edges_in(self, shot: Shot) -> tuple[list[Array], NDArray[np.intp]]:
        """The ends (N, 4) of the edges in those of a shot's frames that have any, and these frames' rows."""
        index, edges = self.frames.column("index")[shot.rows], self.edges.read(0, len(self.edges))
        edges = edges[np.isin(edges["frame"], index)]
        frames, starts = np.unique(edges["frame"], return_index=True)
        ends = np.split(edges["ends"].astype(float), starts[1:]) if len(frames) else []
        return ends, shot.rows.start + np.searchsorted(index, frames)

    def travels(self, shot: Shot) -> bool:
        """Whether a shot's camera is known to have travelled."""
        return bool(self.camera.column("place")[shot.rows].any())

    def places(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """(n, 3) where the camera had got to in frames (n,) of the video, see CAMERA; zeros where it rests."""
        if not len(self.camera):  # kept by an older version
            return np.zeros((len(frames), 3), np.float32)
        rows = np.searchsorted(self.frames.column("index"), frames)
        return self.camera.column("place")[rows]

    def move_camera(self, turns: Array, places: Array) -> None:
        """It is known better now: turns (F, 4), places (F, 3) in all frames. May be broken off and done again."""
        index = self.frames.column("index")
        for track in self.seen:
            person = self.person(track)
            person.rewrite(_turned(block, turns[np.searchsorted(index, block["frame"])]) for block in person.blocks())
        camera = self.camera.read(0, len(self))
        camera["turn"], camera["place"] = turns, places
        self.camera.rewrite([camera])

    def last(self) -> dict[int, np.void]:
        """The last observation of everyone in the last shot so far."""
        here = {track: seen.frames for track, seen in self.seen.items() if seen.shot == len(self.cuts)}
        return {track: self.person(track).read(frames - 1, frames)[0] for track, frames in here.items()}

    def __len__(self) -> int:
        """The number of finished frames."""
        return len(self.frames)

    @property
    def next_frame(self) -> int:
        """The number of the first frame of the video that may still be missing."""
        count = len(self)
        return int(self.frames.read(count - 1, count)["index"][0]) + 1 if count else 0

    @property
    def frame_rate(self) -> float | None:
        """Frames a second on average, None when there are too few to tell."""
        ends = [self.frames.read(i, i + 1)["time"] for i in (0, len(self) - 1)] if len(self) > 1 else []
        span = float(ends[1][0] - ends[0][0]) if ends else 0.0
        return (len(self) - 1) / span if span > 0 else None

    def replay(self) -> Iterator[tuple[float, list[Sighting], bool]]:
        """The finished frames again, each with its time, its sightings, and whether it begins another shot."""
        cuts = set(self.cuts.column("time").tolist())
        cursors = {track: _records(self.person(track)) for track in sorted(self.seen)}
        heads = {track: next(cursor) for track, cursor in cursors.items()}
        for frames in self.frames.blocks():
            for frame in frames:
                here = [track for track, head in heads.items() if head["frame"] == frame["index"]]
                sightings = [Sighting(track, heads[track]) for track in here]
                yield float(frame["time"]), sightings, float(frame["time"]) in cuts
                for track in here:
                    following = next(cursors[track], None)
                    if following is None:
                        del heads[track]
                    else:
                        heads[track] = following

    def warn(self, code: str, what: str) -> None:
        """Remember a warning for the take."""
        self.warnings.append((code, what))
        path = self.folder / "warnings.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([code, what], ensure_ascii=False) + "\n")

    @property
    def complete(self) -> bool:
        """Whether the whole span has been tracked."""
        return (self.folder / "tracked").exists()

    def mark_complete(self) -> None:
        """Say that the last frame of the span is in."""
        with writing(self.folder):
            (self.folder / "tracked").touch()

    def remove(self) -> None:
        """Delete everything: the capture is over."""
        self._lock.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, key: Mapping[str, Any]) -> None:
        """Begin anew in an empty folder."""
        with writing(self.folder):
            for path in self.folder.iterdir():
                if path.name != "lock":
                    path.unlink()
            partial = self.folder / "manifest.json.tmp"
            partial.write_text(json.dumps(key, indent=1, ensure_ascii=False), "utf-8")
            os.replace(partial, self.folder / "manifest.json")

    def _recover(self, key: Mapping[str, Any]) -> bool:
        """Continue what an earlier process left, when it is of the same `key`."""
        try:
            if json.loads((self.folder / "manifest.json").read_text("utf-8")) != key:
                return False
        except (OSError, ValueError):
            return False
        self.frames.truncate(len(self))
        self.camera.truncate(len(self))
        self.edges.truncate(int((self.edges.column("frame") < self.next_frame).sum()))
        self.cuts.truncate(int((self.cuts.column("row") < len(self)).sum()))
        for shot in range(len(self.cuts) + 1):
            corners = self.corners(shot)
            corners.truncate(int((corners.column("frame") < self.next_frame).sum()))
        cuts = self.cuts.column("time")
        self.corners(len(self.cuts) + 1).truncate(0)  # of a shot whose first frame was not finished
        for path in self.folder.glob("person-*.bin"):
            track = int(path.stem.removeprefix("person-"))
            person = self.person(track)
            first = person.read(0, 1)["time"]
            seen = Seen(int(np.searchsorted(cuts, first, side="right").sum()))
            for block in person.blocks():
                finished = block[block["frame"] < self.next_frame]
                if len(finished):
                    seen.add(finished)
            person.truncate(seen.frames)
            if seen.frames:
                self.seen[track] = seen
            else:
                path.unlink()
        self.seen = dict(sorted(self.seen.items()))
        self.warnings = list(_warnings(self.folder / "warnings.jsonl"))
        return True


def _turned(observations: NDArray[Any], turns: Array) -> NDArray[Any]:
    observations["turn"] = turns
    return observations


def _records(file: RecordFile) -> Iterator[np.void]:
    """All records one by one, few in memory: there may be hundreds of people."""
    for start in range(0, len(file), 16):
        yield from file.read(start, start + 16)


def _warnings(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines(keepends=True) if path.exists() else ():
        if line.endswith("\n"):  # the last line may be broken off
            code, what = json.loads(line)
            yield code, what


def _lock(path: Path) -> IO[bytes]:
    handle = hold(path)
    if handle is None:
        raise MocapError("output-busy", f"Another capture is already working in {path.parent}.")
    return handle
