"""Who is who after a meeting: people who came apart are compared with how they looked before they met."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..core.rotations import Array
from .appearance import similarity, torso_colours
from .track import Track

_LOOKS = 4  # at people who stand clear, before it is settled who they are
_CLEARLY = 0.25  # how much more alike, of 1, they must look the other way round


class Doubts:
    """Pairs of people who met and may have been taken for each other."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], list[float]] = {}

    def about(self, track: Track) -> bool:
        """Whether this may be somebody else."""
        return any(track.number in pair for pair in self._pairs)

    def likeness(self, track: Track, tracks: list[Track], colours: Array) -> float:
        """How much these colours are those of a person, or of somebody whom they met: that is settled later."""
        met = {number for pair in self._pairs if track.number in pair for number in pair}
        return max(similarity(t.colours, colours) for t in [track, *tracks] if t is track or t.number in met)

    def met(self, group: list[Track]) -> None:
        """These are in each other's way now."""
        for a, b in combinations(sorted(track.number for track in group), 2):
            self._pairs[a, b] = []

    def settle(self, tracks: list[Track], crowd: list[Track], rgb: NDArray[np.uint8]) -> None:
        """Compare those who came apart and give them back their numbers. tracks: everybody who is known; crowd: those
        who are in somebody's way still."""
        by_number = {track.number: track for track in tracks}
        clear = {t.number: torso_colours(rgb, t.pose.points) for t in tracks if not t.lost and t not in crowd}
        for pair in list(self._pairs):
            if not all(number in by_number for number in pair):
                del self._pairs[pair]
                continue
            a, b = (by_number[number] for number in pair)
            exchanged = [
                similarity(other.colours, clear[own.number]) - similarity(own.colours, clear[own.number])
                for own, other in ((a, b), (b, a))
                if own.number in clear
            ]
            if len(exchanged) < (not a.lost) + (not b.lost) or not exchanged:
                continue  # one of them cannot be told yet
            evidence = self._pairs[pair]
            evidence.append(float(np.mean(exchanged)))
            if len(evidence) >= _LOOKS:
                del self._pairs[pair]
                if np.median(evidence) > _CLEARLY:
                    a.exchange(b)
