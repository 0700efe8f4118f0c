"""Poses while the capture still runs: every person's last second or two, solved again and again.

What is sent here is a preview at a fixed lookahead behind the tracker. The take is solved afterwards, with bone
lengths and a floor that the whole shot decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .body import swaps
from .core.protocol import Message
from .core.rotations import Array
from .core.skeleton import Skeleton
from .progress import Progress
from .stages import BodySolver, Camera, Motion, Sighting
from .world.ground import upright_camera
from .world.place import RootPath, Settled, place, settle
from .world.steady import steadied

LOOKAHEAD = 0.5  # seconds: the frames after a frame that its pose may use
STEP = 0.5  # seconds between two solves of a person
HALO = 1.0  # seconds solved again before the first new frame, so that windows join
SAMPLES = 120  # observations that bones are measured on
CHANGED = 0.01  # bones that differ by more than this share are told anew


class LivePerson:
    """What is kept of one person: the frames of the running window, and samples for the bone lengths."""

    def __init__(self) -> None:
        self.window: list[np.void] = []
        self.samples: list[np.void] = []
        self.skeleton: Skeleton | None = None
        self.last = self.solved = self.emitted = -np.inf
        self.count = 0
        self.measure_at = 0
        self._stride = 1

    def add(self, observation: np.void) -> None:
        """Take in the next frame."""
        self.last = float(observation["time"])
        if not self.window:
            self.solved = self.last
        self.window.append(observation)
        if self.count % self._stride == 0:
            self.samples.append(observation)
        if len(self.samples) > SAMPLES:
            self.samples, self._stride = self.samples[::2], self._stride * 2
        self.count += 1

    def forget(self, time: float) -> None:
        """Drop the frames before `time` seconds."""
        self.window = [o for o in self.window if o["time"] > time]

    def leave(self) -> None:
        """Keep the bones only, for when the person comes back."""
        self.window, self.samples, self._stride = [], [], 1


class LiveView:
    """Turns sightings into `track`, `frames` and `leave` messages as soon as there is enough to go by."""

    def __init__(
        self,
        solver: BodySolver,
        camera: Camera,
        wanted: Callable[[], set[int]],
        progress: Progress,
    ) -> None:
        """camera: a level one; wanted: the tracks that the user asked for, as far as is known by now."""
        self._solver, self._level, self._camera = solver, camera, camera
        self._wanted, self._progress = wanted, progress
        self._people: dict[int, LivePerson] = {}

    def add(self, time: float, sightings: Sequence[Sighting], cut: bool = False) -> None:
        """Take in what was seen in the frame at `time` seconds. cut: it begins another shot."""
        if not self._progress.watched:
            return
        if cut:
            self.finish()
            self._camera = self._level
        for track, observation in sightings:
            person = self._people.setdefault(track, LivePerson())
            person.add(observation)
            if time - person.solved >= STEP:
                self._solve(track, person, time - LOOKAHEAD)
        wanted = self._wanted()
        for track, person in self._people.items():
            if person.window and time - person.last > HALO:
                self._part(track, person)
            if person.emitted > -np.inf and track not in wanted:
                self._progress.emit({"type": "leave", "track": track})
                person.emitted = -np.inf

    def finish(self) -> None:
        """No more frames: send what was waiting for them."""
        for track, person in self._people.items():
            if person.window:
                self._part(track, person)

    def _part(self, track: int, person: LivePerson) -> None:
        """Send the last frames of a person, unless it was a glimpse that was never shown."""
        if person.emitted > -np.inf:
            self._solve(track, person, np.inf)
        person.leave()

    def _solve(self, track: int, person: LivePerson, until: float) -> None:
        """Send the frames up to `until` seconds that were not sent yet."""
        person.solved = person.last
        if track not in self._wanted():
            person.forget(person.last - HALO)
            return
        skeleton = self._measured(track, person)
        observations = np.array(person.window, person.window[0].dtype)
        fresh = (observations["time"] > person.emitted) & (observations["time"] <= until)
        if fresh.any():
            swapped = swaps.swapped(swaps.jumps(observations), observations["time"])
            seen = swaps.exchanged(observations, swapped)
            if not self._camera.measured:  # once: another floor later would make everyone jump
                first = steadied(self._solver.solve(seen, skeleton, self._camera), seen["turn"])
                self._camera = upright_camera([(skeleton, first)], self._camera)
            motion = self._solver.solve(seen, skeleton, self._camera)
            motion = place(steadied(motion, observations["turn"]), self._camera)
            root = settle(RootPath.of(motion, skeleton))
            self._progress.emit(frames_message(track, observations["frame"], motion, root, fresh))
            person.emitted = float(observations["time"][fresh][-1])
            person.forget(person.emitted - HALO)

    def _measured(self, track: int, person: LivePerson) -> Skeleton:
        """The person's bones, measured anew each time that twice as much was seen."""
        if person.skeleton is None or person.count >= person.measure_at:
            measured = self._solver.measure(np.array(person.samples, person.samples[0].dtype), self._camera)
            person.measure_at = 2 * person.count
            if person.skeleton is None or _differ(person.skeleton.offsets, measured.offsets):
                person.skeleton = measured
                self._progress.track(track, measured.offsets.astype(np.float32))
        return person.skeleton


def frames_message(track: int, index: NDArray[Any], motion: Motion, root: Settled, rows: NDArray[np.bool_]) -> Message:
    """The `frames` message of the chosen rows (T,) bool of a motion in the world, settled there; index (T,)."""
    return {
        "type": "frames",
        "track": track,
        "index": index[rows].astype(np.int32),
        "times": motion.times[rows].astype(np.float64),
        "rotations": motion.rotations[rows].astype(np.float32),
        "translations": root.pelvis[rows].astype(np.float32),
        "contacts": root.contacts[rows].astype(np.uint8),
        "confidence": motion.confidence[rows].astype(np.float32),
    }


def _differ(a: Array, b: Array) -> bool:
    lengths = np.linalg.norm(a, axis=1)[1:], np.linalg.norm(b, axis=1)[1:]
    return bool(np.any(np.abs(lengths[0] - lengths[1]) > CHANGED * np.maximum(lengths[0], 1e-6)))
