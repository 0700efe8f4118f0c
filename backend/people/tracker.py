"""Following every person through a clip with the embedded models."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from ..embedded import FULL
from ..landmarks.face import FaceModel
from ..landmarks.hands import HandModel
from ..landmarks.multicrop import JOINTS, VIEWS, agreement, disagreement, fused, torso_length
from ..landmarks.pose import PoseLook, PoseModel
from ..landmarks.silhouette import inside
from ..landmarks.wholebody import recall
from ..stages import Detection, Earlier, Frame, Roi, Sighting
from .appearance import similarity, torso_colours
from .body import SMALLEST_SIDE, Body, agrees, limb_lengths, same_person, visible
from .choice import parse_people
from .details import Details
from .detector import PoseDetector, tiles
from .doubt import Doubts
from .meeting import groups, see_together
from .track import LONGEST_GUESS, Track

KEEP_FLAG = 0.5  # of the landmark model: below this the person is gone
START_AGREEMENT = 0.45  # of several looks, and the detector: what a new track needs; most things stay below
_ALONE_AGREEMENT = 0.36  # the same while nobody is in sight: rather a doubtful person than none
_NEW_CONSISTENCY = 0.65  # of several looks at somebody new beside others: heads over a wall make up bodies below

_SEARCH_SECONDS = 0.5  # how often to search the whole picture for people
_FINE_SECONDS = 2.0  # and in small tiles, for people who are small in it
_LOST_SECONDS = 0.15  # and around where somebody was lost
_FINE_TILES = 4
_BESIDE = 2.0  # regions of a person, in which to search beside and behind them
_REJECT_SECONDS = 0.45  # how long a spot that held nobody is not looked at again
_FORGET_SECONDS = 4.0  # a lost person found later than this is a new one
_SPARE = 2  # people followed beyond the number asked for, lest a wrong one take the place
_LARGER = 1.3  # than somebody who is followed: how large a newcomer must be to take their place
_ALIKE = 0.5  # similarity of the colours of one person's torso

# A look is easy to believe when the model is certain, the person is near where they were going (torso lengths), and
# their bones have kept their lengths (log ratio). Measured on real clips: nine in ten frames are far below these.
_CERTAIN, _SURPRISE, _LIMBS = 0.9, 0.15, 0.12
_CREDIT_PER_FRAME, _MOST_CREDIT = 0.8, 12.0  # extra looks that hard frames may cost a person, saved up


class BlazePoseTracker:
    """Implements `stages.Tracker`. people: see `choice.parse_people`; threads: model calls at the same time; pose: the
    size of the landmark model, see `PoseModel`."""

    def __init__(self, people: str = "all", threads: int = 2, pose: str = FULL) -> None:
        most = parse_people(people).most
        self._most = None if most is None else most + _SPARE
        self._threads = max(1, threads)
        self._detector, self._pose, self._hand, self._face = PoseDetector(), PoseModel(pose), HandModel(), FaceModel()
        self._next_number = 1
        self._start()

    def _start(self) -> None:
        """Nobody has been seen yet."""
        self._tracks: list[Track] = []
        self._doubts = Doubts()
        self._searched = self._searched_finely = self._searched_lost = -np.inf
        self._small_people = False
        self._rejected: list[tuple[float, Roi]] = []

    def resume(self, earlier: Earlier) -> None:
        """See `stages.Tracker.resume`."""
        self._next_number = earlier.following
        recent = {n: r for n, r in sorted(earlier.people.items()) if earlier.time - r["time"] <= _FORGET_SECONDS}
        pictures = list(earlier.pictures(sorted({float(record["time"]) for record in recent.values()})))
        for number, record in recent.items() if pictures else ():
            then = float(record["time"])
            frame = min(pictures, key=lambda picture: abs(picture.time - then))
            look = recall(record, frame.scale)
            track = Track(number, look, then, torso_colours(frame.rgb, look.points), float(record["consistency"]))
            track.lost = then < earlier.time
            self._tracks.append(track)

    def track(self, frames: Iterable[Frame]) -> Generator[tuple[Frame, list[Sighting]], None, None]:
        """Yield each frame with the people seen in it, one frame behind: hands and faces of a frame are looked at
        while the bodies of the next one are."""
        pool = ThreadPoolExecutor(self._threads, "landmarks")
        try:
            waiting: tuple[Frame, list[Details]] | None = None
            for frame in frames:
                seen = self._follow(frame, pool)
                done = waiting
                sightings = [details.sighting() for details in done[1]] if done else []
                waiting = frame, [Details(self._hand, self._face, track, frame, pool) for track in seen]
                if done:
                    yield done[0], sightings
            if waiting:
                yield waiting[0], [details.sighting() for details in waiting[1]]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _follow(self, frame: Frame, pool: ThreadPoolExecutor) -> list[Track]:
        """Find everybody's body in this frame."""
        time = frame.time
        if frame.cut:
            self._start()
        self._tracks = [t for t in self._tracks if time - t.time <= _FORGET_SECONDS]
        expected = [t for t in self._tracks if not t.lost or time - t.time < LONGEST_GUESS]
        together = groups(expected, time)
        crowds = [group for group in together if len(group) > 1]
        alone = [group[0] for group in together if len(group) == 1]
        seen: list[tuple[Track, Body | None]] = []
        seen += zip(alone, pool.map(lambda track: self._see(frame, track), alone), strict=True)
        for crowd in crowds:
            self._doubts.met(crowd)
            seen += zip(crowd, see_together(self._pose, frame.rgb, crowd, time, pool.map), strict=True)
        found = _without_doubles([(t, body) for t, body in seen if body and self._believable(t, body, frame.rgb)])
        for track, body in found:
            track.advance(body.look, body.consistency, time, frame.rgb, self._doubts.about(track))
        for track in expected:
            track.lost = not any(track is other for other, _ in found)
        self._doubts.settle(self._tracks, sum(crowds, []), frame.rgb)
        self._search(frame, pool)
        return sorted((t for t in self._tracks if not t.lost), key=lambda t: t.number)

    def _see(self, frame: Frame, track: Track) -> Body:
        """The body of a known person who is on their own, near where it should be."""
        look = self._pose.look(frame.rgb, track.expected_roi(frame.time))
        expected = track.expected_points(frame.time)
        surprise = disagreement(look.points, expected, look.visibility, torso_length(look.points, look.roi.side))
        surprise /= max(1.0, 30 * (frame.time - track.time))  # the longer ago, the less is known
        stretched = float(np.median(np.abs(np.log(limb_lengths(look.world) / track.limbs))))
        consistency = look.flag * (0.5 + 0.5 * agreement(surprise))  # fast motion alone is no fault
        track.credit = min(_MOST_CREDIT, track.credit + _CREDIT_PER_FRAME)
        hard = look.flag < _CERTAIN or surprise > _SURPRISE or stretched > _LIMBS
        if hard and track.credit >= len(VIEWS):
            look, consistency, cost = fused(self._pose, frame.rgb, look, expected)
            track.credit -= cost
        return Body(look, consistency)

    @staticmethod
    def _believable(track: Track, body: Body, rgb: NDArray[np.uint8]) -> bool:
        """Whether a look shows a person, and the one who was lost."""
        if body.look.flag < KEEP_FLAG or not visible(body.look, rgb):
            return False
        return not track.lost or similarity(track.colours, torso_colours(rgb, body.look.points)) >= _ALIKE

    def _search(self, frame: Frame, pool: ThreadPoolExecutor) -> None:
        """Look for newcomers and for those who were lost, when it is time to."""
        present = [t for t in self._tracks if not t.lost]
        windows, near = self._windows(frame)
        if not windows and not near:
            return
        unknown: list[tuple[Detection, list[Array]]] = []  # with those who were painted out
        for detection in self._detector.detect(frame.rgb, windows, pool.map) if windows else []:
            owners = [t for t in present if agrees(detection, t.pose)]
            for track in owners:
                track.supported = frame.time
            if not owners:
                unknown.append((detection, []))
        # The detector takes two people who overlap for one: without the known one it sees the other.
        known = [t.pose.points for t in present]
        unknown += [(d, known) for d in self._detector.detect(frame.rgb, near, pool.map, known)] if near else []
        unknown = [(d, others) for d, others in unknown if self._worth_a_look(d.roi, frame.time)]
        newcomers: list[Body] = []
        bodies = pool.map(lambda item: self._confirm(frame.rgb, *item), unknown)
        for (detection, _), body in zip(unknown, bodies, strict=True):
            if body is None:
                self._rejected.append((frame.time, detection.roi))
                continue
            shared = [t for t in present if same_person(t.pose, body.look)]
            for track in shared:
                # The detector sees somebody elsewhere than the track does: believe whoever is surer.
                if track.supported < frame.time and body.consistency > track.consistency + 0.15:
                    track.advance(body.look, body.consistency, frame.time, frame.rgb)
                    track.supported = frame.time
            if not shared and not any(same_person(other.look, body.look) for other in newcomers):
                newcomers.append(body)
        self._welcome(newcomers, frame)

    def _windows(self, frame: Frame) -> tuple[list[Roi], list[Roi]]:
        """Where to run the detector in this frame: over everything, and beside or behind people who are known."""
        time, rgb = frame.time + 1e-3, frame.rgb
        lost = [t for t in self._tracks if t.lost]
        windows: list[Roi] = []
        if time - self._searched >= _SEARCH_SECONDS / (1 if self._tracks else 2):
            self._searched = frame.time
            windows = tiles(rgb, 1) + tiles(rgb, 2)
            if time - self._searched_finely >= _FINE_SECONDS / (2 if self._small_people else 1):
                self._searched_finely = frame.time
                windows += tiles(rgb, _FINE_TILES)
        elif not lost or time - self._searched_lost < _LOST_SECONDS:
            return [], []
        self._searched_lost = frame.time
        rois = [track.expected_roi(frame.time) for track in (self._tracks if windows else lost)]
        return windows, [Roi(at.x, at.y, _BESIDE * at.side, 0.0) for at in rois]

    def _worth_a_look(self, roi: Roi, time: float) -> bool:
        """Whether there may be a person large enough: not where one was looked for a moment ago in vain."""
        self._rejected = [(then, spot) for then, spot in self._rejected if time - then < _REJECT_SECONDS]
        return roi.side >= SMALLEST_SIDE and not any(
            np.hypot(roi.x - spot.x, roi.y - spot.y) < 0.1 * spot.side for _, spot in self._rejected
        )

    def _confirm(self, rgb: NDArray[np.uint8], detection: Detection, others: list[Array]) -> Body | None:
        """The body of a person who was detected with `others` painted out; None when there is none. The detector's
        region is rough: look twice."""
        look = self._pose.look(rgb, self._pose.look(rgb, detection.roi, others=others).roi, others=others)
        if look.flag < KEEP_FLAG or not visible(look, rgb):
            return None
        body = Body(*fused(self._pose, rgb, look, others=others)[:2])
        needed = START_AGREEMENT if any(not t.lost for t in self._tracks) else _ALONE_AGREEMENT
        guessed = [inside(body.look.points[JOINTS], points) for points in others]
        certainty = body.consistency * np.sqrt(detection.score) * (1 - np.any(guessed, axis=0).mean() if others else 1)
        return body if certainty >= needed and visible(body.look, rgb) else None

    def _welcome(self, newcomers: list[Body], frame: Frame) -> None:
        """Give newcomers their number: their old one if they were only lost, else the next, from left to right."""
        present = [t.pose.roi.side for t in self._tracks if not t.lost] + [body.look.roi.side for body in newcomers]
        if present:
            self._small_people = min(present) < max(frame.rgb.shape[:2]) / 5
        sure = [body for body in newcomers if body.consistency >= _NEW_CONSISTENCY]
        alone = not sure and all(t.lost for t in self._tracks)
        new: list[Track] = []
        for body in sorted(newcomers, key=lambda body: body.look.roi.x):
            colours = torso_colours(frame.rgb, body.look.points)
            known = self._recognise(body.look, colours, frame.time)
            if known is not None:
                known.advance(body.look, body.consistency, frame.time, frame.rgb)
                known.supported = frame.time
            elif alone or body.consistency >= _NEW_CONSISTENCY:
                new.append(Track(0, body.look, frame.time, colours, body.consistency))
        for track in self._admitted(new):
            track.number = self._next_number
            self._tracks.append(track)
            self._next_number += 1

    def _admitted(self, new: list[Track]) -> list[Track]:
        """Those newcomers, in their order, whom there is room for: the largest. Those who lead so far stay; of the
        others who are followed, the smallest leave their places to somebody much larger."""
        present = sorted((t for t in self._tracks if not t.lost), key=lambda t: -t.size)
        if self._most is None or len(present) + len(new) <= self._most:
            return new
        sure, others = present[: self._most - _SPARE], present[self._most - _SPARE :]
        sides = {id(t): t.pose.roi.side * (_LARGER if t in others else 1.0) for t in (*others, *new)}
        stay = [*sure, *sorted((*others, *new), key=lambda t: -sides[id(t)])][: self._most]
        self._tracks = [t for t in self._tracks if t.lost or t in stay]
        return [t for t in new if t in stay]

    def _recognise(self, look: PoseLook, colours: Array, time: float) -> Track | None:
        """The lost track that this person continues: near enough for the time gone by, alike, of the same size."""
        best, least = None, 1.0
        for track in (t for t in self._tracks if t.lost):
            side = track.pose.roi.side
            reach = (0.4 + 1.3 * (time - track.time)) * side
            distance = track.off_course(look.roi.x, look.roi.y, time) / reach
            alike = self._doubts.likeness(track, self._tracks, colours)
            size = abs(float(np.log(look.roi.side / side)))
            cost = 0.5 * distance + (1 - alike) + 0.5 * size
            if distance < 1 and alike > _ALIKE and size < 0.7 and cost < least:
                best, least = track, cost
        return best


def _without_doubles(seen: list[tuple[Track, Body]]) -> list[tuple[Track, Body]]:
    """Where two tracks landed on one body, the one that the detector confirmed last, or that fits better, keeps it."""
    kept: list[tuple[Track, Body]] = []
    for track, body in sorted(seen, key=lambda item: (item[0].lost, -item[0].supported, -item[1].consistency)):
        if not any(same_person(body.look, other.look) for _, other in kept):
            kept.append((track, body))
    return kept
