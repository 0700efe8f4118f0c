"""Networks that look at every person's picture once, while the clip is tracked: keypoints, image features, gravity.

They work in batches over frames and people, and write what they see into the person's record: in fields of OBSERVATION,
or in fields of their own that the record then has besides. The stages after see only that, never the video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .core.rotations import Array
from .stages import OBSERVATION, Frame, Sighting

Field = tuple[str, str, tuple[int, ...]]  # name, type and shape, as numpy wants them

BOX: Field = ("box", "<f4", (4,))  # left, top, right, bottom: pixels; of a detector, else around the keypoints
BATCH = 32  # people, or frames, that are gathered before the networks are run
SMOOTH = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25  # of boxes over frames: a moving average of 5, twice (GVHMR)
AHEAD = len(SMOOTH) // 2  # frames
SEEN = 0.3  # confidence from which on a keypoint counts for the box
AROUND = np.array([-0.08, -0.10, 0.08, 0.06])  # a body reaches beyond its keypoints by these parts of their box


class Look(NamedTuple):
    """One person in one frame. record: what is written; box (4,): left, top, right, bottom in pixels of `frame.rgb`;
    shot: its number, whatever it begins with."""

    frame: Frame
    record: np.void
    box: Array
    shot: int = 0


class Looker(Protocol):
    """A network that looks at people. What it writes beyond OBSERVATION, its engine names as `fields`."""

    def look(self, looks: Sequence[Look]) -> None:
        """Write what is seen into each record."""
        ...


def record_with(fields: Iterable[Field]) -> np.dtype[Any]:
    """OBSERVATION with further fields."""
    more = {name: (name, kind, shape) for name, kind, shape in fields}
    return np.dtype([*OBSERVATION.descr, *more.values()])


def looked(
    tracked: Generator[tuple[Frame, list[Sighting]], None, None], lookers: Sequence[Looker], record: np.dtype[Any]
) -> Generator[tuple[Frame, list[Sighting]], None, None]:
    """The same frames and people in the same order, looked at; some frames later. Where nothing is to be added to
    the records, nothing is done.

    record: of `record_with`. Closing this closes `tracked`.
    """
    with closing(tracked):
        if record == OBSERVATION:
            yield from tracked
            return
        waiting: deque[tuple[int, Frame, list[Sighting]]] = deque()
        shot = 0
        boxes: dict[int, dict[int, Array]] = {}  # track -> frame -> box in full-size pixels
        for frame, sightings in tracked:
            shot += frame.cut
            sightings = [Sighting(track, _extended(seen, record)) for track, seen in sightings]
            for track, seen in sightings:
                boxes.setdefault(track, {})[frame.index] = box_of(seen)
            waiting.append((shot, frame, sightings))
            if len(waiting) >= BATCH + AHEAD:
                yield from _look(waiting, len(waiting) - AHEAD, boxes, lookers)
        yield from _look(waiting, len(waiting), boxes, lookers)


def _look(
    waiting: deque[tuple[int, Frame, list[Sighting]]],
    count: int,
    boxes: dict[int, dict[int, Array]],
    lookers: Sequence[Looker],
) -> Generator[tuple[Frame, list[Sighting]], None, None]:
    """Look at the first `count` frames that wait, and pass them on."""
    done = [waiting.popleft() for _ in range(count)]
    looks = []
    for shot, frame, sightings in done:
        for track, seen in sightings:
            box = _smoothed(boxes[track], frame.index)
            if "box" in (seen.dtype.names or ()):
                seen["box"] = box
            looks.append(Look(frame, seen, box / frame.scale, shot))
    for looker in lookers if looks else ():
        looker.look(looks)
    if done:
        for mine in boxes.values():  # only the last few are still needed
            for old in [index for index in sorted(mine) if index <= done[-1][1].index][:-AHEAD]:
                del mine[old]
    yield from ((frame, sightings) for _, frame, sightings in done)


def box_of(seen: np.void) -> Array:
    """The person's box (4,) in full-size pixels: of the detector where it left one, else around the keypoints."""
    if "box" in (seen.dtype.names or ()) and seen["box"][2] > seen["box"][0]:
        return seen["box"].astype(float)
    points = seen["keypoints"]
    shown = points[points[:, 2] > SEEN]
    if len(shown) < 4:
        x, y, side, _ = seen["roi"].astype(float)
        return np.array([x - side / 3, y - side / 2, x + side / 3, y + side / 2])
    low, high = shown[:, :2].min(0).astype(float), shown[:, :2].max(0).astype(float)
    return np.concatenate([low, high]) + AROUND * np.tile(high - low, 2)


def _smoothed(boxes: dict[int, Array], index: int) -> Array:
    """The box (4,) of a frame, averaged with those of the frames around that are there."""
    order = sorted(boxes)
    here = order.index(index)
    near = [(i, boxes[order[i]]) for i in range(max(here - AHEAD, 0), min(here + AHEAD + 1, len(order)))]
    weights = np.array([SMOOTH[AHEAD + i - here] for i, _ in near])
    return np.asarray(weights @ np.array([box for _, box in near]) / weights.sum())


def _extended(seen: np.void, record: np.dtype[Any]) -> np.void:
    """The observation as a record of the larger kind."""
    larger: NDArray[Any] = np.zeros((), record)
    for name in seen.dtype.names or ():
        larger[name] = seen[name]
    return np.atleast_1d(larger)[0]
