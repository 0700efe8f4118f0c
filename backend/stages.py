"""The stages of a capture, as interfaces: what each one takes and gives. `engines.py` names who implements them.

Pixels are those of the upright, full-size frame (x right, y down, origin at the top left corner of the picture);
camera space is x right, y down, z forward, metres; rotations are quaternions (w, x, y, z).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .core.rotations import Array
from .core.skeleton import Skeleton

# What the landmark stage leaves of one person in one frame: all that the later stages see of the video.
OBSERVATION = np.dtype(
    [
        ("frame", "<i4"),  # number of the video's frame
        ("time", "<f8"),  # seconds in the clip, from the container
        ("roi", "<f4", (4,)),  # centre x, y, side (pixels) and angle (radians) of the square the models looked at
        ("keypoints", "<f4", (133, 3)),  # COCO-WholeBody: x, y pixels, confidence 0..1 (0: not seen)
        ("landmarks", "<f4", (33, 4)),  # BlazePose's points: metres, hip-centred, camera axes; visibility 0..1
        # left, right: metres, wrist-centred, camera axes; confidence that there is a hand and that it faces that way
        ("hands", "<f4", (2, 21, 4)),
        ("consistency", "<f4"),  # 0..1, how well independent looks at the person agree
        ("turn", "<f4", (4,)),  # quaternion: the camera's turn since the shot's first frame (`world.steady`)
    ]
)


class Frame(NamedTuple):
    """One decoded, upright picture. `scale` full-size pixels make one pixel of `rgb` (large video is made smaller).
    cut: another shot begins here, see `shots`."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a frame
    time: float
    rgb: NDArray[np.uint8]
    scale: float
    cut: bool = False


class Roi(NamedTuple):
    """A square the landmark model looks at: centre and side in pixels of `Frame.rgb`, `angle` radians by which the
    person is turned clockwise from upright."""

    x: float
    y: float
    side: float
    angle: float


class Detection(NamedTuple):
    """A person found in a picture, pixels of `Frame.rgb`. box: left, top, right, bottom."""

    box: Array
    score: float
    roi: Roi


class Sighting(NamedTuple):
    """One person in one frame. observation: a record of OBSERVATION (full-size pixels)."""

    track: int
    observation: np.void


@dataclass(frozen=True)
class Earlier:
    """Who was followed when a capture was broken off. people: the last OBSERVATION of everyone in the running shot, by
    number; time: seconds, of the last frame; following: the number of the next newcomer; pictures: looks up what was
    seen at some moments (seconds, ascending)."""

    people: dict[int, np.void]
    time: float
    following: int
    pictures: Callable[[list[float]], Iterable[Frame]]


class Tracker(Protocol):
    """Stage `track`: who is seen where in each frame, and their keypoints. The same person has the same number
    throughout a shot, and another one in another shot."""

    def track(self, frames: Iterable[Frame]) -> Generator[tuple[Frame, list[Sighting]], None, None]:
        """Each frame, in order, with everyone in it. Closing the generator stops its threads at once."""
        ...

    def resume(self, earlier: Earlier) -> None:
        """Go on from there: whoever is seen again soon keeps their number."""
        ...


@dataclass(frozen=True)
class Camera:
    """A pinhole camera standing in the world. focal in pixels; center (2,), size (2,) pixels.

    rotation (4,) and position t (3,): x_camera = rotate(rotation, x_world) + t. measured: which way is up was found
    out from the clip, not assumed.
    """

    focal: float
    center: Array
    size: Array
    rotation: Array
    t: Array
    measured: bool = False


@dataclass
class Motion:
    """One person over T frames.

    rotations (T, 55, 4) parent-relative, the root's and pelvis (T, 3), metres, in camera space after the body stage, in
    the world after `world.place.place`; confidence (T, 55) 0..1.
    eye (T, 3): where the camera is, in the same frame; None: at its origin in camera space.
    What only some body engines tell: down (T, 3) gravity's direction in the same frame as the rotations, and spread
    (T,) its standard deviation in radians; still (T, 6) 0..1, how likely each of `skeleton.CONTACTS`, the left and the
    right wrist stand still; beside (T,) metres: how far from its keypoints the body was left.
    """

    times: Array
    rotations: Array
    pelvis: Array
    confidence: Array
    down: Array | None = None
    spread: Array | None = None
    still: Array | None = None
    beside: Array | None = None
    eye: Array | None = None

    def rows(self, rows: NDArray[np.intp]) -> Motion:
        """Some of the frames."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: values[rows] for name, values in told.items() if values is not None})


class BodySolver(Protocol):
    """Stage `body`: observations of one person (T,) of OBSERVATION -> rotations in camera space."""

    def measure(self, observations: NDArray[Any], camera: Camera) -> Skeleton:
        """The person's own bone lengths, constant over the take."""
        ...

    def solve(self, observations: NDArray[Any], skeleton: Skeleton, camera: Camera) -> Motion:
        """Pose and place the skeleton in every frame, in camera space."""
        ...


class Rooter(Protocol):
    """Stage `root`: where a person goes in the world, instead of `world.place.settle`."""

    def settle(
        self, records: Any, swapped: NDArray[np.bool_], solved: Array, pelvis: Array, skeleton: Skeleton,
        camera: Camera, still: bool, refined: bool,
    ) -> tuple[Any, Array]:  # fmt: skip
        """-> `world.place.Settled` and the pose (T, 55, 4) to go with it.

        records: the person's observations (`store.RecordFile`); swapped (T,): where left and right are to be exchanged;
        solved (T, 55, 4), pelvis (T, 3): as placed by camera; still: the camera neither turned nor travelled;
        refined: a foot engine has set the ankles.
        """
        ...


class FootRefiner(Protocol):
    """Stage `feet`: better ankles for a motion in camera space."""

    def refine(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion with other ankle rotations; all else stays."""
        ...


class Orienter(Protocol):
    """Stage `orient`: which way is down for a motion in camera space."""

    def orient(self, motion: Motion, observations: NDArray[Any], camera: Camera) -> Motion:
        """The motion with `down` and `spread`, where the body engine told something to tell them from."""
        ...
