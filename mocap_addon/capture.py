"""One capture, from the child process to keys in the scene, as a generator.

`Capture.steps` does a little at each step. The timer in the window, the command line and the tests all drive the
same generator. Blender's objects are looked up anew at every step: undo or another file may have replaced them.
"""

from __future__ import annotations

import json
import time
import traceback
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import bpy
import numpy as np

from ..backend.core import skeleton
from ..backend.core.errors import MocapError
from ..backend.core.protocol import Message
from ..backend.core.rotations import Array
from ..backend.core.skeleton import Skeleton
from ..backend.core.take import Take, read_take
from . import armature as rig
from . import camera, environment, files, history, paths, takes
from .cleaning import stage as cleaning
from .job import Job
from .translations import tr
from .unfinished import finished

BUDGET = 0.012  # seconds of Blender's time that listening or waiting may take in one step

STAGES = {
    "prepare": "Opening the video",
    "track": "Tracking people",
    "camera": "Following the camera",
    "measure": "Measuring",
    "solve": "Solving motion",
    "write": "Writing takes",
    "key": "Keying",
}

KEYED = ("poses", "trans", "rest_offsets", "confidence", "R", "t", *camera.CLIP)  # what is needed of a take file
PERSONAL = ("track", "name", "shot")  # of the provenance, what takes of one capture differ by

Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """What to capture, as the wire's `capture` message has it."""

    video: Path
    output: Path
    start: float | None = None
    end: float | None = None
    people: str = "all"
    fps: float | None = None
    device: str = "cpu"
    engines: dict[str, str] = field(default_factory=dict)
    focal: float | None = None
    tilt: float | None = None
    plumb: list[list[float]] = field(default_factory=list)

    def message(self) -> Message:
        """The wire's request."""
        return {"type": "capture", **vars(self), "video": str(self.video), "output": str(self.output)}

    @staticmethod
    def from_message(message: Message) -> Request:
        """The request that was written down as a message."""
        fields = {name: value for name, value in message.items() if name != "type"}
        return Request(**{**fields, "video": Path(message["video"]), "output": Path(message["output"])})


@dataclass(frozen=True)
class Resolve:
    """What to solve again, as the wire's `resolve` message has it. video: the clip, which need not be there; label:
    what is different, for the names of the takes."""

    video: Path
    observations: Path
    take: Path
    output: Path
    label: str
    people: str | None = None
    engines: dict[str, str] = field(default_factory=dict)
    focal: float | None = None
    tilt: float | None = None
    plumb: list[list[float]] | None = None

    def message(self) -> Message:
        """The wire's request."""
        sent = {name: value for name, value in vars(self).items() if name not in ("video", "label")}
        files = {name: str(sent[name]) for name in ("observations", "take", "output")}
        return {"type": "resolve", **sent, **files}


class Person:
    """What has come of one person so far."""

    def __init__(self, name: str, body: Skeleton) -> None:
        self.name = name
        self.body = body
        self.reshaped = False  # the armature in the scene has other bone lengths
        self.blocks: list[Message] = []
        self.shown = 0  # blocks whose last pose is on the rig
        self.left = False  # not among those asked for, as far as is known by now

    def motion(self) -> tuple[Array, Array, Array, Array]:
        """times (T,), rotations (T, 55, 4), pelvis (T, 3) and confidence (T, 55); of a frame that was sent twice, the
        later one."""
        index, times, turned, pelvis, sure = (
            np.concatenate([block[name] for block in self.blocks])
            for name in ("index", "times", "rotations", "translations", "confidence")
        )
        # unique() gives first occurrences: look from the end.
        kept = len(index) - 1 - np.unique(index[::-1], return_index=True)[1]
        return times[kept], turned[kept], pelvis[kept], sure[kept]


class Capture:
    """A capture, or solving one again, that waits, runs or has ended."""

    def __init__(self, python: Path, request: Request | Resolve, scene: bpy.types.Scene, key: str = "") -> None:
        """key: of a capture that is continued; its takes are completed then."""
        self.key = key or uuid.uuid4().hex[:12]
        self.request = request
        self.state = "QUEUED"  # then RUNNING, then ENDED
        self.stage, self.done, self.total = "", 0, 0
        self.stages: list[str] = []  # that it has come to, in order
        self.error: MocapError | None = None
        self.warnings: list[str] = []
        self.people: dict[int, Person] = {}
        self.paths: list[Path] = []
        self._continued = bool(key)
        self._python = python
        self._scene = scene.session_uid
        self._job: Job | None = None
        self._final: Message | None = None
        self._announced = False  # the scene's state from before the capture is in the undo history
        self._stage_began = (0.0, 0)

    @property
    def name(self) -> str:
        """The clip's name, and what is different this time."""
        clip = self.request.video.stem
        return f"{clip} · {self.request.label}" if isinstance(self.request, Resolve) else clip

    @property
    def log(self) -> Path | None:
        """Log file of the child."""
        return self._job and self._job.log

    @property
    def pid(self) -> int | None:
        """Process number of the child."""
        return self._job and self._job.pid

    def scene(self) -> bpy.types.Scene | None:
        """The scene that it was started in; None once another file is open."""
        return next((scene for scene in bpy.data.scenes if scene.session_uid == self._scene), None)

    def stage_text(self) -> str:
        """What it is doing, for people."""
        return stage_text(self.stage)

    def time_left(self) -> float | None:
        """Seconds that the running stage will still take, going by its speed so far; None while unknown."""
        began, done = self._stage_began
        passed = time.monotonic() - began
        if self.done <= done or passed < 1.0:
            return None
        return (self.total - self.done) * passed / (self.done - done)

    def cancel(self) -> None:
        """Stop soon and keep what there is. Returns at once."""
        if self._job:
            self._job.cancel()

    def run(self) -> None:
        """Do it all, waiting: for the command line, scripts and tests."""
        for _ in self.steps():
            time.sleep(0.01)

    def steps(self) -> Iterator[None]:
        """Do it, a bounded piece at each step. Errors end up in `error`, never outside."""
        self.state = "RUNNING"
        try:
            try:
                yield from self._listen()
                yield from self._key_takes()
            except Exception as error:
                self.error = _told(error)
                yield from self._key_what_came()
        except Exception as error:
            self.error = _told(error)
        finally:
            if self._job:
                self._job.close()
            self.state = "ENDED"
        self._tidy()

    def _listen(self) -> Iterator[None]:
        """Until the child's last message; poses are shown as they come."""
        if self._continued and (there := finished(self.request.output)):
            self._final = {"type": "done", "takes": there}  # only keying them is left
            return
        self._job = Job(self._python, self.request.message(), files.new_log(self.request.video))
        while self._final is None:
            until = time.perf_counter() + BUDGET
            for message in self._job.receive():
                self._take_in(message)
                if time.perf_counter() > until:
                    break
            self._show()
            yield
        if self._final["type"] == "error":
            raise MocapError.from_message(self._final)

    def _take_in(self, message: Message) -> None:
        match message["type"]:
            case "hello":
                environment.engines.update(message["capabilities"].get("engines", {}))
            case "stage":
                self._enter(message["name"], message["done"])
                self.done, self.total = message["done"], message["total"]
            case "track":
                body = skeleton.neutral().with_offsets(message["rest_offsets"])
                person = self.people.setdefault(message["track"], Person(message["name"], body))
                person.reshaped = person.body is not body
                person.name, person.body = message["name"], body
            case "frames":
                if len(message["times"]):
                    person = self.people[message["track"]]
                    person.blocks.append(message)
                    person.left = False
            case "leave":
                self.people[message["track"]].left = True
            case "warning":
                self.warnings.append(message["what"])
            case "done" | "error":
                self._final = message

    def _enter(self, stage: str, done: int) -> None:
        if stage != self.stage:
            self.stage, self._stage_began = stage, (time.monotonic(), done)
            self.stages.append(stage)

    def _show(self) -> None:
        """Put the newest poses on the rigs; at most one rig is built at each step."""
        scene = self.scene()
        if scene is None:
            return
        for track, person in self.people.items():
            key = takes.take_key(self.key, track)
            new = takes.find(scene, key) is None
            if person.left and not new:
                takes.remove(scene, key)
            if person.left or person.shown == len(person.blocks):
                continue
            entry = self._entry(scene, track)
            newest = person.blocks[-1]
            motion = rig.to_bones(rig.rest_of(entry.armature), newest["rotations"][-1:], newest["translations"][-1:])
            rig.pose(entry.armature, motion[0][0], motion[1][0])
            person.shown = len(person.blocks)
            if new:
                break

    def _entry(self, scene: bpy.types.Scene, track: int) -> takes.VideoMocapTake:
        """The person's entry in the list, with an armature of the right bone lengths."""
        if not self._announced:
            history.push("Before capture")
            self._announced = True
        person = self.people[track]
        name = person.name
        if isinstance(self.request, Resolve):
            name += f" · {self.request.label}"
        entry = takes.ensure(scene, self.key, track, name, self.request.video, person.body)
        if person.reshaped:
            rig.shape(entry.armature, person.body)
            person.reshaped = False
        return entry

    def _key_takes(self) -> Iterator[None]:
        """The finished take files -> keys."""
        self.paths = [Path(path) for path in self._final["takes"]]
        self._enter("key", 0)
        self.done, self.total = 0, len(self.paths)
        for path in self.paths:
            take, local = yield from _in_thread(lambda path=path: (read := read_take(path), read.rotations))
            told = take.provenance
            track = int(told.get("track", 1))
            body = skeleton.neutral().with_offsets(take["rest_offsets"])
            person = self.people.setdefault(track, Person(told.get("name", f"Person {track}"), body))
            person.body, person.reshaped = body, True
            motion = (take.times, local, take.pelvis, take["confidence"])
            yield from self._key(track, motion, told, "DONE", path, take)
            self.done += 1
            person.blocks.clear()  # the take has them better
        self._drop_others()

    def _key_what_came(self) -> Iterator[None]:
        """The frames received before the capture broke off -> keys."""
        for track, person in self.people.items():
            if person.blocks and not person.left:
                told = {"video": {"name": self.request.video.name}, "error": self.error.code}
                yield from self._key(track, person.motion(), told, "PARTIAL")

    def _key(
        self,
        track: int,
        motion: tuple[Array, Array, Array, Array],
        told: dict[str, Any],
        state: str,
        path: Path | None = None,
        take: Take | None = None,
    ) -> Iterator[None]:
        scene = self.scene()
        if scene is None:
            return
        times, local, pelvis, confidence = motion
        rest = rig.rest_of(self._entry(scene, track).armature)
        turned, root = yield from _in_thread(lambda: rig.to_bones(rest, local, pelvis))
        scene = self.scene()  # things may have been undone meanwhile
        if scene is None:
            return
        entry = self._entry(scene, track)
        entry.path = paths.stored(path) if path else ""
        entry.state, entry.note = state, str(self.error.what if self.error else "")

        def look_up() -> tuple[bpy.types.Scene, takes.VideoMocapTake] | None:
            scene = self.scene()
            return scene and (scene, self._entry(scene, track))

        yield from takes.key_motion(look_up, takes.Motion(times, turned, root, confidence), told)
        if take is not None and (scene := self.scene()):
            yield from takes.add_camera(look_up, take)

    def _drop_others(self) -> None:
        """People who were shown while computing, but are not among the takes; also of a scene that was copied then."""
        for scene in bpy.data.scenes:
            takes.remove_live(scene, self.key)

    def _tidy(self) -> None:
        """Close the undo step; or say where the takes are when their scene is gone."""
        self._drop_others()
        if self.scene() is None:
            kept = ", ".join(str(path) for path in self.paths)
            self.warnings.append("Its file was closed, so nothing was keyed." + (f" Take: {kept}" if kept else ""))
        elif self._announced:
            takes.gather(self.scene(), self.key)
            history.push("Re-solve take" if isinstance(self.request, Resolve) else "Capture from video")


def stage_text(stage: str) -> str:
    """What a stage does, for people."""
    return tr(STAGES.get(stage, stage.capitalize()) or "Starting")


def _told(error: Exception) -> MocapError:
    if isinstance(error, MocapError):
        return error
    traceback.print_exception(error)
    return MocapError("internal", f"{type(error).__name__}: {error}.")


def _same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two takes were made in one go, going by their provenance: they share a world then."""
    one, other = ({k: v for k, v in told.items() if k not in PERSONAL} for told in (one, other))
    return "observations" in one and one == other


def _capture_of(scene: bpy.types.Scene, told: dict[str, Any]) -> str:
    """Key of the capture that a take belongs to: that of the others who were captured with it, unless somebody has that
    place already, or cleaning has moved them; else a new one."""
    for capture in dict.fromkeys(entry.key.partition(":")[0] for entry in scene.video_mocap.takes):
        there = [entry for entry in takes.of_capture(scene, capture) if takes.present(entry)]
        free = all(entry.track != int(told.get("track", 1)) for entry in takes.of_capture(scene, capture))
        moved = any(cleaning.world_moved(entry.camera) for entry in there)
        origins = (json.loads(entry.armature.get(takes.PROVENANCE, "{}")) for entry in there)
        if free and not moved and any(_same_run(origin, told) for origin in origins):
            return capture
    return uuid.uuid4().hex[:12]


def load_take(scene: bpy.types.Scene, path: Path) -> None:
    """Key a take file on a new armature. Raises MocapError take-unreadable."""
    take = read_take(path, KEYED)
    lacking = [name for name in ("rest_offsets", "timestamps", "fps") if name not in take]
    if lacking:
        raise MocapError("take-unreadable", f"{path} is not a take of this extension: it has no {', '.join(lacking)}.")
    told = take.provenance
    body = skeleton.neutral().with_offsets(take["rest_offsets"])
    clip = path.with_name(told.get("video", {}).get("name", path.name))
    if not clip.is_file() and (path.parent.parent / clip.name).is_file():
        clip = path.parent.parent / clip.name  # takes lie in a folder beside the .blend, clips often beside it
    track = int(told.get("track", 1))
    entry = takes.ensure(scene, _capture_of(scene, told), track, told.get("name", path.stem), clip, body)
    key, entry.path, entry.state = entry.key, paths.stored(path), "DONE"
    sure = take["confidence"] if "confidence" in take else np.ones((len(take), skeleton.COUNT))
    turned, root = rig.to_bones(rig.rest_of(entry.armature), take.rotations, take.pelvis)

    def look_up() -> tuple[bpy.types.Scene, takes.VideoMocapTake]:
        return scene, takes.find(scene, key)

    for _ in takes.key_motion(look_up, takes.Motion(take.times, turned, root, sure), told):
        pass
    if "R" in take:  # a motion that was exported has no camera
        for _ in takes.add_camera(look_up, take):
            pass
    takes.gather(scene, key.partition(":")[0])


def _in_thread(work: Callable[[], Result]) -> Generator[None, None, Result]:
    """Wait for work that touches no bpy, step by step."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not wait([future], BUDGET).done:
            yield
        return future.result()
