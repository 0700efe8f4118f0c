"""Following every person through a clip with the embedded models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..landmarks.crop import wrap
from ..landmarks.face import FaceLook, FaceModel
from ..landmarks.hands import HandLook, HandModel
from ..landmarks.pose import INDEX, PoseLook, PoseModel
from ..landmarks.wholebody import observe
from ..stages import Detection, Frame, Roi, Sighting
from .appearance import similarity, torso_colours
from .choice import parse_people
from .detector import PoseDetector

KEEP_FLAG = 0.5  # of the landmark model: below this the person is gone
START_FLAG = 0.8  # what a new track needs
SMALLEST_SIDE = 48.0  # pixels of a region; smaller people show no pose

_SEARCH_SECONDS = 0.5  # how often to look for newcomers while everyone is in sight
_LOST_SEARCH_SECONDS = 0.15  # and while someone is missed
_FINE_SECONDS = 2.0  # how often to look for people who are small in the picture
_FINE_TILES = 4
_FORGET_SECONDS = 4.0  # a lost person found later than this is a new one
_GUESS_SECONDS = 0.5  # how long a lost person is looked for where they should be
_SPARE = 2  # people followed beyond the number asked for, lest a wrong one take the place
_TORSO = [INDEX[name] for name in ("left_shoulder", "right_shoulder", "left_hip", "right_hip")]


@dataclass
class _Track:
    """One person. roi: where to look next; velocity: pixels a second; colours: of the torso."""

    number: int
    pose: PoseLook
    roi: Roi
    time: float
    colours: Array
    velocity: Array = field(default_factory=lambda: np.zeros(2))
    lost: bool = False
    hands: list[HandLook | None] = field(default_factory=lambda: [None, None])
    face: FaceLook | None = None

    def predicted(self, time: float) -> Roi:
        """Where the person should be at `time`."""
        x, y = np.array(self.roi[:2]) + self.velocity * min(time - self.time, _GUESS_SECONDS)
        return self.roi._replace(x=float(x), y=float(y))

    def advance(self, pose: PoseLook, time: float, rgb: NDArray[np.uint8]) -> None:
        """Take over what was seen at `time`."""
        elapsed = max(1e-3, time - self.time)
        moved = (np.array(pose.roi[:2]) - self.pose.roi[:2]) / elapsed
        self.velocity = np.zeros(2) if self.lost else 0.5 * self.velocity + 0.5 * moved
        self.roi = pose.roi if self.lost else steady(self.roi, pose.roi)
        self.pose, self.time, self.lost = pose, time, False
        self.colours = 0.95 * self.colours + 0.05 * torso_colours(rgb, pose.points)


class BlazePoseTracker:
    """Implements `stages.Tracker`. people: see `choice.parse_people`; threads: model calls at the same time."""

    def __init__(self, people: str = "all", threads: int = 2) -> None:
        most = parse_people(people).most
        self._most = None if most is None else most + _SPARE
        self._threads = max(1, threads)
        self._detector, self._pose, self._hand, self._face = PoseDetector(), PoseModel(), HandModel(), FaceModel()
        self._tracks: list[_Track] = []
        self._next_number = 1
        self._searched = self._searched_finely = -np.inf
        self._small_people = False

    def resume(self, last: dict[int, np.void]) -> None:
        """Go on from each track's last OBSERVATION record."""
        raise NotImplementedError

    def track(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[Sighting]]]:
        """Yield each frame with the people seen in it, one frame behind: hands and faces of a frame are looked at
        while the bodies of the next one are."""
        pool = ThreadPoolExecutor(self._threads, "landmarks")
        try:
            waiting: tuple[Frame, list[_Details]] | None = None
            for frame in frames:
                seen = self._follow(frame, pool)
                done = waiting and (waiting[0], [details.sighting(waiting[0]) for details in waiting[1]])
                waiting = frame, [_Details(self, track, frame.rgb, pool) for track in seen]
                if done:
                    yield done
            if waiting:
                yield waiting[0], [details.sighting(waiting[0]) for details in waiting[1]]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _follow(self, frame: Frame, pool: ThreadPoolExecutor) -> list[_Track]:
        """Find everybody's body in this frame."""
        self._tracks = [t for t in self._tracks if frame.time - t.time <= _FORGET_SECONDS]
        expected = [t for t in self._tracks if not t.lost or frame.time - t.time < _GUESS_SECONDS]
        looks = pool.map(lambda t: self._pose.look(frame.rgb, t.predicted(frame.time)), expected)
        seen: list[tuple[_Track, PoseLook]] = []
        for track, look in zip(expected, looks, strict=True):
            sure = look.flag >= (START_FLAG if track.lost else KEEP_FLAG) and visible(look, frame.rgb)
            if sure and track.lost:
                sure = similarity(track.colours, torso_colours(frame.rgb, look.points)) > 0.6
            if sure:
                seen.append((track, look))
            else:
                track.lost = True
        for track, look in _without_doubles(seen, frame.time):
            track.advance(look, frame.time, frame.rgb)
        if self._search_due(frame.time):
            self._search(frame, pool)
        return sorted((t for t in self._tracks if not t.lost), key=lambda t: t.number)

    def _search_due(self, time: float) -> bool:
        missed = not self._tracks or any(t.lost for t in self._tracks)
        return time - self._searched >= (_LOST_SEARCH_SECONDS if missed else _SEARCH_SECONDS) - 1e-3

    def _search(self, frame: Frame, pool: ThreadPoolExecutor) -> None:
        """Look for newcomers and for those who were lost."""
        self._searched = frame.time
        tiles: tuple[int, ...] = (1, 2)
        fine_due = frame.time - self._searched_finely >= _FINE_SECONDS
        if self._small_people or fine_due:
            tiles, self._searched_finely = (1, 2, _FINE_TILES), frame.time
        present = [t for t in self._tracks if not t.lost]
        unknown = [
            d for d in self._detector.detect(frame.rgb, tiles, pool.map)
            if d.roi.side >= SMALLEST_SIDE and not any(_agrees(d, t.pose) for t in present)
        ]  # fmt: skip
        found = [
            look for look in pool.map(lambda d: self._confirm(frame.rgb, d), unknown)
            if look is not None
        ]  # fmt: skip
        newcomers: list[PoseLook] = []
        for look in sorted(found, key=lambda look: -look.roi.side):
            if any(same_person(look, other) for other in [t.pose for t in present] + newcomers):
                continue
            newcomers.append(look)
        longest = max(frame.rgb.shape[:2])
        self._small_people = any(p.roi.side < longest / 5 for p in [*newcomers, *(t.pose for t in present)])
        for look in sorted(newcomers, key=lambda look: look.roi.x):
            colours = torso_colours(frame.rgb, look.points)
            known = self._recognise(look, colours, frame.time)
            if known is not None:
                known.advance(look, frame.time, frame.rgb)
            elif self._most is None or sum(not t.lost for t in self._tracks) < self._most:
                self._tracks.append(_Track(self._next_number, look, look.roi, frame.time, colours))
                self._next_number += 1

    def _confirm(self, rgb: NDArray[np.uint8], detection: Detection) -> PoseLook | None:
        """The body of a detected person; None when there is none. The detector's region is rough: look twice."""
        first = self._pose.look(rgb, detection.roi)
        look = self._pose.look(rgb, first.roi)
        return look if look.flag >= START_FLAG and visible(look, rgb) else None

    def _recognise(self, look: PoseLook, colours: Array, time: float) -> _Track | None:
        """The lost track that this person continues."""
        best, least = None, 1.0
        for track in self._tracks:
            if not track.lost:
                continue
            at = track.predicted(time)
            reach = (0.4 + 0.8 * (time - track.time)) * at.side
            distance = float(np.hypot(look.roi.x - at.x, look.roi.y - at.y)) / reach
            alike = similarity(track.colours, colours)
            size = abs(np.log(look.roi.side / at.side))
            cost = 0.5 * distance + (1 - alike) + 0.5 * size
            if distance < 1 and alike > 0.5 and size < 0.7 and cost < least:
                best, least = track, cost
        return best


class _Details:
    """Hands and face of one person in one frame, being looked at."""

    def __init__(self, tracker: BlazePoseTracker, track: _Track, rgb: NDArray[np.uint8], pool: ThreadPoolExecutor) -> None:
        self._track, self._pose = track, track.pose
        self._hands: list[Future[HandLook | None]] = [
            pool.submit(tracker._hand.look, rgb, track.pose, side, track.hands[side]) for side in (0, 1)
        ]
        self._face: Future[FaceLook | None] = pool.submit(tracker._face.look, rgb, track.pose, track.face)

    def sighting(self, frame: Frame) -> Sighting:
        """Wait for them and put everything together."""
        track = self._track
        track.hands = [hand.result() for hand in self._hands]
        track.face = self._face.result()
        record = observe(frame, self._pose, (track.hands[0], track.hands[1]), track.face, self._pose.flag)
        return Sighting(track.number, record)


def steady(last: Roi, new: Roi) -> Roi:
    """The new region with its jitter taken out: the model's answer depends a little on the region, so a jittering
    region makes jittering landmarks. Real motion, large against the jitter, passes."""
    moved = float(np.hypot(new.x - last.x, new.y - last.y)) / last.side
    follow = float(np.clip(moved / 0.02, 0.3, 1.0))
    turn = wrap(new.angle - last.angle)
    return Roi(
        last.x + follow * (new.x - last.x),
        last.y + follow * (new.y - last.y),
        last.side * (new.side / last.side) ** 0.3,
        wrap(last.angle + float(np.clip(abs(turn) / 0.3, 0.3, 1.0)) * turn),
    )


def visible(look: PoseLook, rgb: NDArray[np.uint8]) -> bool:
    """Whether enough of the person is inside the picture, and they are large enough."""
    height, width = rgb.shape[:2]
    inside = ((look.points >= 0) & (look.points < (width, height))).all(axis=1)
    return bool(look.roi.side >= SMALLEST_SIDE and inside[_TORSO].sum() >= 2)


def same_person(a: PoseLook, b: PoseLook) -> bool:
    """Whether two looks landed on one body."""
    size = max(torso(a), torso(b))
    apart = np.linalg.norm(a.points - b.points, axis=1)
    return bool(np.median(apart[_TORSO]) < 0.3 * size and np.median(apart[11:]) < 0.4 * size)


def torso(look: PoseLook) -> float:
    """Length of the torso in pixels, never zero; foreshortened, the region's size stands in."""
    shoulders, hips = look.points[_TORSO[:2]].mean(axis=0), look.points[_TORSO[2:]].mean(axis=0)
    return max(float(np.hypot(*(shoulders - hips))), 0.15 * look.roi.side)


def _agrees(detection: Detection, look: PoseLook) -> bool:
    """Whether a detection is the person of a look: the same hips, about the same size."""
    apart = float(np.hypot(detection.roi.x - look.roi.x, detection.roi.y - look.roi.y))
    sizes = detection.roi.side / look.roi.side
    return apart < 0.12 * max(detection.roi.side, look.roi.side) and 0.5 < sizes < 2.0


def _without_doubles(seen: list[tuple[_Track, PoseLook]], time: float) -> list[tuple[_Track, PoseLook]]:
    """Where two tracks landed on one body, the one that was going there keeps it; the other is lost."""
    kept: list[tuple[_Track, PoseLook]] = []

    def surprise(item: tuple[_Track, PoseLook]) -> float:
        at = item[0].predicted(time)
        return float(np.hypot(item[1].roi.x - at.x, item[1].roi.y - at.y)) / at.side + 10 * item[0].lost

    for track, look in sorted(seen, key=surprise):
        if any(same_person(look, other) for _, other in kept):
            track.lost = True
        else:
            kept.append((track, look))
    return kept
