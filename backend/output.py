"""Writing takes: block by block in the working folder, then moved to their names when all of them are complete."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
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
from .core.take import NpzWriter, index_path, take_paths, working_folder
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

    more: files that appear together with the takes, each as it lies in the store and as it shall be called.
    """
    total = sum(len(person.times) for person in persons)
    finished: list[tuple[Path, Path]] = []
    done = 0
    for person in persons:
        path = take_paths(job.output, person.track if len(persons) > 1 else None)
        grown = store.folder / path.name
        shot = store.shot_of(person.track)
        told = {**provenance, "track": person.track, "name": person_name(person.track), "shot": shot}
        with writing(path), NpzWriter(grown) as file:
            _write_take(file, person, store, told, info, partial(progress.stage, "write", done, total))
        finished.append((grown, path))
        done += len(person.times)
    takes = [path for _, path in finished]
    finished += more
    if len(persons) > 1:
        finished.append((_write_index(store.folder, job.output, persons, takes, provenance), index_path(job.output)))
    progress.stage("write", total, total)
    for grown, path in finished:
        with writing(path):
            os.replace(grown, path)
    return takes


def _write_take(
    file: NpzWriter,
    person: SolvedPerson,
    store: ObservationStore,
    provenance: dict[str, Any],
    info: VideoInfo,
    tick: Callable[[], None],
) -> None:
    count, rest, camera = len(person.times), person.skeleton.offsets, person.camera
    rate = store.frame_rate or info.fps
    spans = [slice(i, min(i + BLOCK, count)) for i in range(0, count, BLOCK)]

    def solved(field: str) -> Iterator[Array]:
        for span in spans:
            tick()
            yield person.solved.read(span.start, span.stop)[field]

    def seen(field: str) -> Iterator[Array]:
        for span in spans:
            tick()
            yield store.person(person.track).read(span.start, span.stop)[field]

    def planted() -> Iterator[Array]:
        for span, local in zip(spans, solved("rotations"), strict=True):
            root = person.root.rows(span)
            yield move_feet(turn_feet(local, root.turn), root.pelvis, root.shift, person.skeleton)

    def posed() -> Iterator[tuple[Array, Array]]:
        for span, local in zip(spans, planted(), strict=True):
            yield skeleton.forward_kinematics(person.skeleton, local, person.root.pelvis[span])

    def looking() -> Iterator[tuple[Array, Array]]:
        for span in spans:
            turn = np.broadcast_to(rotations.IDENTITY, (span.stop - span.start, 4))
            turn = turn if person.turns is None else person.turns[span]
            place = 0.0 if person.places is None else person.places[span]
            yield rotations.multiply(turn, camera.rotation), rotations.rotate(turn, camera.t - place)

    poses = (rotations.to_axis_angle(block).reshape(len(block), -1) for block in planted())
    joints = (joints for _, joints in posed())
    feet = (skeleton.posed_points(person.skeleton, *pose, skeleton.FOOT_POINTS) for pose in posed())

    file.put_blocks("poses", "<f4", (count, 3 * skeleton.COUNT), poses)
    file.put("trans", (person.root.pelvis - rest[0]).astype(np.float32))
    file.put("betas", np.zeros(16, np.float32))
    file.put("gender", "neutral")
    file.put("mocap_frame_rate", float(rate))
    file.put("surface_model_type", "smplx")
    file.put("rest_offsets", rest)
    file.put_blocks("joints", "<f4", (count, skeleton.COUNT, 3), joints)
    file.put_blocks("keypoints_foot", "<f4", (count, len(skeleton.FOOT_POINTS), 3), feet)
    file.put("contacts", person.root.contacts)
    file.put_blocks("confidence", "<f4", (count, skeleton.COUNT), solved("confidence"))
    file.put_blocks("keypoints2d", "<f4", (count, 133, 3), seen("keypoints"))
    file.put_blocks("landmarks3d", "<f4", (count, 33, 4), seen("landmarks"))
    file.put_blocks("hand_landmarks", "<f4", (count, 2, 21, 4), seen("hands"))
    file.put("focal", float(camera.focal))
    file.put("center", np.asarray(camera.center, float))
    file.put("image_size", np.asarray(camera.size, float))
    file.put_blocks("R", "<f4", (count, 3, 3), (rotations.to_matrix(rotation) for rotation, _ in looking()))
    file.put_blocks("t", "<f4", (count, 3), (t for _, t in looking()))
    file.put("timestamps", person.times)
    file.put_blocks("frames", "<i4", (count,), seen("frame"))
    file.put("fps", float(info.fps))
    file.put("up_axis", "z")
    file.put("provenance", json.dumps(provenance, ensure_ascii=False))


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
    job: Job, info: VideoInfo, lens: float, sha256: str, chain: engines.Chain, warnings: list[tuple[str, str]]
) -> dict[str, Any]:
    """Where a take comes from: video, models with their licences, settings, versions, and what was wrong.

    lens: the one that the clip was looked at through, millimetres as `camera.focal_35mm`."""
    video = {name: value for name, value in asdict(info).items() if name != "path"}
    return {
        "video": {"name": info.path.name, "sha256": sha256, "looked_at_through": lens, **video},
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
