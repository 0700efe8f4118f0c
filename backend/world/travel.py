"""Where a camera goes that travels: bundle adjustment of its path over the corners of the background.

Corners at different distances move differently in the picture of a camera that travels, and alike in that of one that
only turns; a path, and a distance for each corner, are looked for that explain where all of them are seen. A camera
that a turn alone explains does not travel. How large all that is, no background tells: the people's feet do (`stride`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from ..core import rotations
from ..core.rotations import Array
from ..stages import Camera
from ..store import RecordFile
from .bundle import TAIL, CameraPath, SeenCorners, Window, adjusted, squares

SHORTEST = 8  # key frames in a clip that can tell
FIRST, MORE = 5, 2  # key frames that the path begins with, and grows by at a time
UNSURE = 9  # frames in which it may still have been found inside out
FREE = 15  # that are still free when more come; as many before them hold the path where it is
PLACE = 0.8  # pixels in 960 across, one standard deviation of where a corner is seen
FAR = 20.0  # of these from which on a corner has moved by itself, as long as the path is only guessed
# Robust squares a corner, as parts of PLACE^2: what is left of a camera that stands, and how much less a path must
# leave than a turn. Tripods here leave up to 0.7, a camera that pans 2, such as travel 15 without a path and 2 with it.
AT_REST, LESS = 1.0, 2.5

# Lenses that are tried: times longer or shorter than the last one, so many both ways, and between these in steps of so
# much of that; on so many key frames. To be believed one may leave so much of the first one's squares, and so many
# squares: in a crowd nothing explains much.
LENS, LENSES, FINEST, STRETCH, WORTH, CLEAR = 1.2, 6, 0.25, 25, 0.95, 4.0


class Background:
    """Its corners in key frames."""

    def __init__(self, corners: NDArray[np.void], camera: Camera, backwards: bool = False) -> None:
        """corners: of `store.CORNER`, in the order of time; backwards: as if that ran the other way."""
        self._corners, self._camera, self._backwards = corners, camera, backwards
        self._frames, start = np.unique(corners["frame"], return_index=True)
        self._start = np.append(start, len(corners))
        in_order = corners[:: -1 if backwards else 1]
        self._names, first_seen = np.unique(in_order["name"], return_index=True)
        self._host = self._key(in_order["frame"][first_seen])
        self._first = self._rays(in_order["place"][first_seen])
        self.count = len(self._names)

    def __len__(self) -> int:
        """The number of key frames."""
        return len(self._frames)

    def _key(self, frame: NDArray[np.int32]) -> NDArray[np.intp]:
        key = np.searchsorted(self._frames, frame)
        return len(self) - 1 - key if self._backwards else key

    def seen(self, start: int, stop: int) -> SeenCorners:
        """What is seen in key frames start..stop, but for each corner's first time."""
        if self._backwards:
            start, stop = len(self) - stop, len(self) - start
        corners = self._corners[self._start[start] : self._start[stop]]
        key, corner = self._key(corners["frame"]), np.searchsorted(self._names, corners["name"])
        again = key > self._host[corner]
        corners, key, corner = corners[again], key[again], corner[again]
        sigma = PLACE * max(self._camera.size) / 960 / self._camera.focal
        return SeenCorners(key, corner, self._host[corner], self._rays(corners["place"]), self._first[corner], sigma)

    def _rays(self, places: NDArray[np.float32]) -> Array:
        flat = (places - self._camera.center) / self._camera.focal
        return np.column_stack([flat, np.ones(len(flat))])


def lens(records: RecordFile, camera: Camera, times: Array, turns: Array, tick: Callable[[int, int], None]) -> float:
    """How many times longer the lens is than it was taken for; 1 where the camera shows nothing of it.

    With a wrong lens no path explains all that is seen. Tried on the stretch in which most is to be explained; records,
    times, turns, tick: see `camera_path`.
    """
    if len(times) < SHORTEST:
        return 1.0
    measured = rotations.to_matrix(turns)
    keys, corners, left = _least_explained(records, camera, measured)
    if left < LESS:  # a turn does
        return 1.0
    measured, times = measured[keys], times[keys] - times[keys][0]
    tried: dict[float, tuple[CameraPath, float]] = {}

    def attempt(step: float, start: CameraPath | None = None) -> None:
        """Look for a path through this lens, or only near one that another lens has; the best one is kept."""
        background = Background(corners, replace(camera, focal=LENS**step * camera.focal))
        if start is None:
            path = _follow(background, measured, times, 6, lambda known: None)
        else:
            everything = Window(slice(1, len(times)), background.seen(0, len(times)), 6, measured, times)
            path, _ = adjusted(start, everything, (TAIL,))
        left = _mean_squares(path, background)
        if step not in tried or left < tried[step][1]:
            tried[step] = path, left

    def unexplained(step: float) -> float:
        return tried[step][1]

    best, width = 0.0, 1.0
    attempt(best)
    while abs(best) < LENSES:  # downhill from what it was taken for
        around = best - width, best + width
        for step in around:
            tick(len(tried), 2 * LENSES + 8)
            if step not in tried:
                attempt(step, None if width == 1.0 else tried[best][0])
        for step in around:  # the search may have gone astray through one lens, and not through the next
            attempt(best, tried[step][0])
            attempt(step, tried[best][0])
        lowest = min((best, *around), key=unexplained)
        if lowest != best:
            best = lowest
        elif unexplained(best) > min(WORTH * unexplained(0.0), CLEAR):
            break
        elif width > FINEST:
            width /= 2  # the squares grow faster towards short lenses than towards long ones
        else:
            low, middle, high = (unexplained(step) for step in (around[0], best, around[1]))
            aside = 0.5 * (low - high) / max(low - 2 * middle + high, 1e-9)  # where a parabola is lowest
            return float(LENS ** (best + width * aside))
    return 1.0  # any lens will do, or none: all that is seen lies in one plane, say


def camera_path(
    records: RecordFile, camera: Camera, times: Array, turns: Array, tick: Callable[[int, int], None]
) -> CameraPath | None:
    """The path of a camera that travels or turns; None for one that stands.

    records: of `store.CORNER`; times (K,) seconds of the key frames that they are of, turns (K, 4) how the camera had
    turned, if it only turned; tick: told how many of how many steps are done, if it comes to that.
    """
    if len(times) < SHORTEST:
        return None
    measured, steps = rotations.to_matrix(turns), 3 * len(times)
    *_, left = _least_explained(records, camera, measured)
    if left < AT_REST:
        return None

    def follow(
        background: Background, turning: Array, when: Array, freedom: int, before: int
    ) -> tuple[CameraPath, float]:
        path = _follow(background, turning, when, freedom, lambda known: tick(before * len(times) + known, steps))
        return path, _mean_squares(path, background)

    corners = records.read(0, len(records))
    background = Background(corners, camera)
    resting, left = follow(background, measured, times, 3, 0)
    if left < LESS:
        return resting
    forwards = follow(background, measured, times, 6, 1)
    # How it began may be hard to see, and how it ends not.
    mirrored = Background(corners, camera, backwards=True)
    backwards, left_backwards = follow(mirrored, measured[::-1], times[-1] - times[::-1], 6, 2)
    travelling, least = min(forwards, (backwards.reversed(), left_backwards), key=lambda way: way[1])
    return travelling if left - least > LESS else resting


def _follow(
    background: Background, measured: Array, times: Array, freedom: int, tick: Callable[[int], None]
) -> CameraPath:
    """Find the path from its beginning on, a few key frames at a time. freedom: 6, or 3 for a camera that only turns.

    As corners that move by themselves must not count, and those that the path has not reached yet must, both is tried;
    and, in the beginning, what is near taken for far (Necker's reversal).
    """
    path, known, frames = CameraPath.resting(measured, background.count), 0, len(times)
    while known < frames:
        tick(known)
        last, known = known, min(known + (MORE if known else FIRST), frames)
        if last:
            _extrapolate(path, measured, times, slice(last, known))
        free = slice(max(1, known - FREE), known)
        window = Window(free, background.seen(max(0, free.start - FREE), known), freedom, measured, times)
        ways = [adjusted(path, window, tails) for tails in ((TAIL,), (FAR, TAIL))]
        if known <= UNSURE and freedom == 6:
            path, _ = min(ways, key=lambda way: way[1])
            ways.append(adjusted(path.inside_out(), window, (TAIL,)))
        path, _ = min(ways, key=lambda way: way[1])
    return path


def _least_explained(records: RecordFile, camera: Camera, measured: Array) -> tuple[slice, NDArray[np.void], float]:
    """The stretch of key frames in which the measured turn (K, 3, 3) alone leaves most, its corners, and the mean
    squares left. No more than a stretch is in memory: most cameras stand."""
    frame = records.column("frame")
    start = np.append(np.flatnonzero(np.diff(frame, prepend=-1)), len(frame))
    most, left = (slice(0), records.read(0, 0)), -1.0
    final = max(len(measured) - STRETCH, 0)
    for first in (*range(0, final, STRETCH // 2), final):
        keys = slice(first, min(first + STRETCH, len(measured)))
        corners = records.read(start[keys.start], start[keys.stop])
        background = Background(corners, camera)
        squares_left = _mean_squares(CameraPath.resting(measured[keys], background.count), background)
        if squares_left > left:
            most, left = (keys, corners), squares_left
    return *most, left


def _mean_squares(path: CameraPath, background: Background) -> float:
    total = count = 0.0
    for start in range(0, len(background), FREE):
        found = squares(path, background.seen(start, min(start + FREE, len(background))))
        total, count = total + found.sum(), count + len(found)
    return float(total / max(count, 1))


def _extrapolate(path: CameraPath, measured: Array, times: Array, rows: slice) -> None:
    """On from the frames before, at the same speed; what the measured turn was off grows as it did."""
    k = rows.start - 1
    before, off = (rotations.from_matrix(path.turn[i] @ measured[i].T) for i in (k - 1, k))
    more = rotations.multiply(off, rotations.inverse(before))
    speed = (path.place[k] - path.place[k - 1]) / (times[k] - times[k - 1])
    for i in range(rows.start, rows.stop):
        off = rotations.normalize(rotations.multiply(more, off))  # else what is not quite a rotation grows as well
        path.turn[i] = rotations.to_matrix(off) @ measured[i]
        path.place[i] = path.place[k] + speed * (times[i] - times[k])


def between(path: CameraPath, keys: Array, measured: Array, times: Array, turns: Array) -> tuple[Array, Array]:
    """The path in all frames: turns (F, 4), places (F, 3).

    keys (K,) seconds and measured (K, 4) turns of the key frames, times (F,) and turns (F, 4) of all frames: what the
    measured turn is off changes slowly, all that is fast is in it.
    """
    off = rotations.continuous(rotations.multiply(rotations.from_matrix(path.turn), rotations.inverse(measured)))
    inside = np.clip(times, keys[0], keys[-1])
    smooth = rotations.normalize(CubicSpline(keys, off)(inside))
    return rotations.multiply(smooth, turns), np.asarray(CubicSpline(keys, path.place)(inside))


def refocused(turns: Array, places: Array, longer: float) -> tuple[Array, Array]:
    """Turns (F, 4) and places (F, 3) of a camera, as they are through a lens so many times longer: what was seen to
    move from frame to frame was seen under a smaller angle."""
    back = rotations.inverse(turns[:-1])
    step = rotations.to_axis_angle(rotations.multiply(turns[1:], back)) * [1 / longer, 1 / longer, 1.0]
    moved = rotations.rotate(turns[:-1], np.diff(places, axis=0)) * [1 / longer, 1 / longer, 1.0]
    turned, moving = turns.copy(), places.copy()
    for k, turn in enumerate(rotations.from_axis_angle(step)):
        turned[k + 1] = rotations.multiply(turn, turned[k])
        moving[k + 1] = moving[k] + rotations.rotate(rotations.inverse(turned[k]), moved[k])
    return turned, moving
