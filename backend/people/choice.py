"""Which people of a clip to capture: `all`, `largest`, the N largest, `idN`, or those at points of the picture."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..core.errors import MocapError

_PLACE = r"at(\d+(?:\.\d+)?):(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)"


@dataclass(frozen=True)
class PeopleChoice:
    """most: how many people at most, the largest first (None: no limit); track: this one only; points: who is there,
    each (seconds, x, y) in pixels of the upright picture."""

    most: int | None = None
    track: int | None = None
    points: tuple[tuple[float, float, float], ...] = ()


def parse_people(text: str) -> PeopleChoice:
    """ "all", "largest", "3" (the three largest), "id3" (track number 3) or "at1.5:640,360" (who is at this pixel after
    1.5 s; several are joined by "+"). Raises MocapError bad-request."""
    text = text.strip().lower()
    if text == "all":
        return PeopleChoice()
    if text == "largest":
        return PeopleChoice(most=1)
    if text.startswith("at"):
        places = [re.fullmatch(_PLACE, place) for place in text.split("+")]
        if all(places):
            return PeopleChoice(points=tuple(tuple(map(float, place.groups())) for place in places if place))  # type: ignore[misc]
    match = re.fullmatch(r"(id)?([1-9][0-9]{0,3})", text)
    if match is None:
        raise MocapError("bad-request", f"People are 'all', 'largest', a number, id3 or at1.5:640,360, not {text!r}.")
    number = int(match[2])
    return PeopleChoice(track=number) if match[1] else PeopleChoice(most=number)


def choose_tracks(choice: PeopleChoice, summary: dict[int, tuple[int, float]]) -> list[int]:
    """The tracks to keep, ascending. summary: track -> (frames seen, mean side of the region in pixels).

    "Largest" weighs how long a person is seen with how much of the picture they fill. Raises MocapError
    person-missing when the track asked for is not there.
    """
    if choice.track is not None:
        if choice.track not in summary:
            known = ", ".join(f"id{track}" for track in sorted(summary)) or "nobody"
            raise MocapError("person-missing", f"There is no person id{choice.track}; found: {known}.")
        return [choice.track]
    ranked = sorted(summary, key=lambda track: (-summary[track][0] * summary[track][1], track))
    return sorted(ranked[: choice.most])
