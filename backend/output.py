"""Writing takes: block by block in the working folder, then moved to their names when all of them are complete."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import engines
from .body.reach import move_feet, turn_feet
from .core import rotations, skeleton
from .core.errors import MocapError
from .core.rotations import Array
from .core.skeleton import Skeleton
from .core.take import NpzWriter, index_path, read_index, read_take, take_path, working_folder
from .job import Job
from .progress import Progress, person_name
from .stages import Camera
from .store import BLOCK, ObservationStore, RecordFile, writing
from .video import VideoInfo
from .world.place import Settled

# What the body and world stages leave of one person in one frame, beside what is settled over the whole take.
SOLVED = np.dtype([("rotations", "<f4", (skeleton.COUNT, 4)), ("confidence", "<f4", (skeleton.COUNT,))])
_PACKAGES = ("numpy", "av", "opencv-python-headless", "ai-edge-litert", "onnxruntime", "scipy")


@dataclass(frozen=True)
class SolvedPerson:
    """One person after the last stage, T frames. camera: of the shot that they are seen in; solved: T records of
    SOLVED; root: where pelvis and feet settle; turns (T, 4), places (T, 3) metres: how the camera had turned and where
    it had got to; None where it stood still."""

    track: int
    skeleton: Skeleton
    camera: Camera
    solved: RecordFile
    times: Array
    root: Settled
    turns: NDArray[np.float32] | None
    places: Array | None


def claimed_folder(output: Path) -> Path:
    """The working folder of a capture. Raises MocapError output-unwritable when the take could not be put there."""
    if output.is_dir():
        raise MocapError("output-unwritable", f"{output} is a folder: give the take a name of its own.")
    return working_folder(output)


def write_takes(
    job: Job,
    persons: list[SolvedPerson],
    store: ObservationStore,
    provenance: dict[str, Any],
    info: VideoInfo,
    progress: Progress,
    more: Sequence[tuple[Path, Path]] = (),
) -> list[Path]:
    """Write one take a person, and the index when there are several. -> the takes' paths, in the order of tracks.

    What an earlier capture of the same video left at the same output, and this one does not have, goes: other people's
    takes, or the index when there is one person.
    more: files that appear together with the takes, each as it lies in the store and as it shall be called.
    """
    total = sum(len(person.times) for person in persons)
    finished: list[tuple[Path, Path]] = []
    done = 0
    for person in persons:
        path = take_path(job.output, person.track if len(persons) > 1 else None)
        grown = store.folder / path.name
        shot = store.seen[person.track].shot
        told = {**provenance, "track": person.track, "name": person_name(person.track), "shot": shot}
        with writing(path), NpzWriter(grown) as file:
            tick = partial(progress.stage, "write", done, total)
            _TakeWriter(file, person, store, tick).write(told, info)
        finished.append((grown, path))
        done += len(person.times)
    takes = [path for _, path in finished]
    finished += more
    if len(persons) > 1:
        finished.append((_write_index(store.folder, job.output, persons, takes, provenance), index_path(job.output)))
    progress.stage("write", total, total)
    earlier = _earlier(job.output, provenance["video"]["sha256"])  # the new index replaces the one that tells
    for grown, path in finished:
        with writing(path):
            os.replace(grown, path)
    for old in earlier:
        with suppress(OSError):  # one that cannot be removed does no harm, and the new takes are there
            if not any(old.samefile(path) for _, path in finished):
                old.unlink()
    return takes


def _earlier(output: Path, sha256: str) -> list[Path]:
    """The takes of a video, and their index, that are at `output`; nothing that only has such a name."""
    index = index_path(output)
    try:
        named, told = read_index(index)
    except MocapError:
        named, told = [], ""
    takes = [path for path in named if path.parent == output.parent and path.name.startswith(f"{output.stem}.")]
    takes = [path for path in (output, *takes) if _video_of(path) == sha256]
    return [*takes, index] if told == sha256 else takes


def _video_of(take: Path) -> str | None:
    """The SHA-256 of the video of a take; None where that is not told, or it is no take."""
    try:
        sha256: str = read_take(take, ("provenance",)).provenance["video"]["sha256"]
    except (MocapError, ValueError, LookupError, TypeError):
        return None
    return sha256


class _TakeWriter:
    """Writes one person's take, a block of frames at a time.

    A zip takes one member at a time, and memory must stay small however long the clip is: every array goes over all
    frames by itself, and joints and feet pose the body anew.
    """

    def __init__(
        self, file: NpzWriter, person: SolvedPerson, store: ObservationStore, tick: Callable[[], None]
    ) -> None:
        self._file = file
        self._person = person
        self._seen = store.person(person.track)
        self._rate = store.frame_rate
        self._tick = tick

    def write(self, provenance: dict[str, Any], info: VideoInfo) -> None:
        """Write every array of `core.take`, in its order."""
        put, person, camera, rest = self._file.put, self._person, self._person.camera, self._person.skeleton.offsets
        self._put("poses", (3 * skeleton.COUNT,), self._poses)
        put("trans", (person.root.pelvis - rest[0]).astype(np.float32))
        put("betas", np.zeros(16, np.float32))
        put("gender", "neutral")
        put("mocap_frame_rate", float(self._rate or info.fps))
        put("surface_model_type", "smplx")
        put("rest_offsets", rest)
        self._put("joints", (skeleton.COUNT, 3), lambda span: self._posed(span)[1])
        self._put("keypoints_foot", (len(skeleton.FOOT_POINTS), 3), self._feet)
        put("contacts", person.root.contacts)
        self._put("confidence", (skeleton.COUNT,), lambda span: _rows(person.solved, span)["confidence"])
        self._put("keypoints2d", (133, 3), lambda span: _rows(self._seen, span)["keypoints"])
        self._put("landmarks3d", (33, 4), lambda span: _rows(self._seen, span)["landmarks"])
        self._put("hand_landmarks", (2, 21, 4), lambda span: _rows(self._seen, span)["hands"])
        put("focal", float(camera.focal))
        put("center", np.asarray(camera.center, float))
        put("image_size", np.asarray(camera.size, float))
        self._put("R", (3, 3), lambda span: rotations.to_matrix(self._camera(span)[0]))
        self._put("t", (3,), lambda span: self._camera(span)[1])
        put("timestamps", person.times)
        self._put("frames", (), lambda span: _rows(self._seen, span)["frame"], "<i4")
        put("fps", float(info.fps))
        put("up_axis", "z")
        put("provenance", json.dumps(provenance, ensure_ascii=False))

    def _put(self, name: str, shape: tuple[int, ...], compute: Callable[[slice], Array], dtype: str = "<f4") -> None:
        """Write an array, given its shape in one frame and what it is in a span of frames."""
        count = len(self._person.times)

        def blocks() -> Iterator[Array]:
            for start in range(0, count, BLOCK):
                self._tick()
                yield compute(slice(start, min(start + BLOCK, count)))

        self._file.put_blocks(name, dtype, (count, *shape), blocks())

    def _local(self, span: slice) -> Array:
        """(n, 55, 4) local rotations, the feet where they settle."""
        root = self._person.root.rows(span)
        local = turn_feet(_rows(self._person.solved, span)["rotations"], root.turn)
        return move_feet(local, root.pelvis, root.shift, self._person.skeleton)

    def _poses(self, span: slice) -> Array:
        local = self._local(span)
        return rotations.to_axis_angle(local).reshape(len(local), -1)

    def _posed(self, span: slice) -> tuple[Array, Array]:
        """Global rotations (n, 55, 4) and joints (n, 55, 3), metres, world."""
        pelvis = self._person.root.pelvis[span]
        return skeleton.forward_kinematics(self._person.skeleton, self._local(span), pelvis)

    def _feet(self, span: slice) -> Array:
        return skeleton.posed_points(self._person.skeleton, *self._posed(span), skeleton.FOOT_POINTS)

    def _camera(self, span: slice) -> tuple[Array, Array]:
        """(n, 4), (n, 3) metres: rotation and translation from the world to the camera."""
        person = self._person
        turn = np.broadcast_to(rotations.IDENTITY, (span.stop - span.start, 4))
        turn = turn if person.turns is None else person.turns[span]
        place = 0.0 if person.places is None else person.places[span]
        return rotations.multiply(turn, person.camera.rotation), rotations.rotate(turn, person.camera.t - place)


def _rows(records: RecordFile, span: slice) -> NDArray[Any]:
    return records.read(span.start, span.stop)


def _write_index(
    folder: Path, output: Path, persons: list[SolvedPerson], takes: list[Path], provenance: dict[str, Any]
) -> Path:
    index = {
        "takes": [
            {
                "track": person.track,
                "name": person_name(person.track),
                "file": path.name,
                "frames": len(person.times),
                "first": float(person.times[0]),
                "last": float(person.times[-1]),
            }
            for person, path in zip(persons, takes, strict=True)
        ],
        "video": provenance["video"],
    }
    path = folder / index_path(output).name
    with writing(path):
        path.write_text(json.dumps(index, indent=1, ensure_ascii=False), "utf-8")
    return path


def provenance_of(
    job: Job, info: VideoInfo, sha256: str, chain: engines.Chain, warnings: list[tuple[str, str]]
) -> dict[str, Any]:
    """Where a take comes from: video, models with their licences, settings, versions, and what was wrong."""
    video = {name: value for name, value in asdict(info).items() if name != "path"}
    return {
        "video": {"name": info.path.name, "sha256": sha256, **video},
        "engines": chain.describe(),
        "settings": {
            "start": job.start, "end": job.end, "people": job.people, "fps": job.fps, "device": job.device,
            "focal": job.focal, "tilt": job.tilt, "plumb": list(job.plumb),
        },
        "versions": {"video_mocap": engines.version(), "python": platform.python_version(), **_versions()},
        "warnings": warnings,
    }  # fmt: skip


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = package_version(package)
        except PackageNotFoundError:
            continue
    return found
