"""What a capture, or solving one again, is asked to do; the same for the command line and for the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .core.errors import MocapError

Line = tuple[float, float, float, float, float]  # seconds; x0, y0, x1, y1 in full-size pixels
SHORTEST = 4.0  # pixels: nobody can say where a shorter line points


@dataclass(frozen=True)
class Job:
    """One capture. start, end: seconds in the clip; fps: frames a second to look at, all of them when None.

    focal: the lens as its 35 mm equivalent, millimetres, where the file does not tell or tells it wrong; tilt: degrees
    that the camera looks down, where what people do must not decide it; plumb: lines drawn along what is vertical in
    the world, seconds and x0, y0, x1, y1 in full-size pixels each.
    """

    video: Path
    output: Path
    start: float | None = None
    end: float | None = None
    people: str = "all"
    fps: float | None = None
    device: str = "cpu"
    engines: Mapping[str, str] = field(default_factory=dict)
    focal: float | None = None
    tilt: float | None = None
    plumb: Sequence[Line] = ()

    def __post_init__(self) -> None:
        """Raises MocapError bad-request or range-outside."""
        for name in ("start", "end", "fps", "focal", "tilt"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise MocapError("bad-request", f"{name} must be a finite number, not {value}.")
        if self.focal is not None and not 5 <= self.focal <= 2000:
            raise MocapError("bad-request", f"The lens must be 5 to 2000 mm long, not {self.focal:g}.")
        if self.tilt is not None and not -90 < self.tilt < 90:
            raise MocapError("bad-request", f"The tilt must lie between -90 and 90 degrees, not be {self.tilt:g}.")
        for line in self.plumb:
            if not all(map(math.isfinite, line)) or math.dist(line[1:3], line[3:]) < SHORTEST:
                raise MocapError("bad-request", f"A line must have two ends in the picture, not be {line}.")
        if self.fps is not None and self.fps <= 0:
            raise MocapError("bad-request", f"fps must be more than 0, not {self.fps:g}.")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise MocapError("range-outside", f"The end ({self.end:g} s) is not after the start ({self.start:g} s).")
        if self.output.suffix.lower() != ".npz":
            raise MocapError("bad-request", f"The take must be named .npz, not {self.output.name!r}.")

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Job:
        """The job of the wire's `capture` message. Raises MocapError bad-request."""
        try:
            return cls(
                video=Path(request["video"]).absolute(),
                output=Path(request["output"]).absolute(),
                start=_number(request["start"]),
                end=_number(request["end"]),
                people=str(request["people"]),
                fps=_number(request["fps"]),
                device=str(request["device"]),
                engines={str(stage): str(name) for stage, name in request["engines"].items()},
                focal=_number(request["focal"]),
                tilt=_number(request["tilt"]),
                plumb=_lines(request["plumb"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MocapError("bad-request", f"The capture request cannot be understood ({error!r}).") from error


@dataclass(frozen=True)
class Resolve:
    """Solve a capture again from its keypoints. What is None stays as it was in `take`, as it was captured where that
    is None, too; people always do. Engines of `body` and later stages can be changed."""

    observations: Path
    output: Path
    people: str | None = None
    engines: Mapping[str, str] = field(default_factory=dict)
    focal: float | None = None
    tilt: float | None = None
    plumb: Sequence[Line] | None = None
    take: Path | None = None

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Resolve:
        """The job of the wire's `resolve` message. Raises MocapError bad-request."""
        try:
            return cls(
                observations=Path(request["observations"]).absolute(),
                output=Path(request["output"]).absolute(),
                people=None if request["people"] is None else str(request["people"]),
                engines={str(stage): str(name) for stage, name in request["engines"].items()},
                focal=_number(request["focal"]),
                tilt=_number(request["tilt"]),
                plumb=None if request["plumb"] is None else _lines(request["plumb"]),
                take=None if request["take"] is None else Path(request["take"]).absolute(),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MocapError("bad-request", f"The request cannot be understood ({error!r}).") from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _lines(values: Any) -> tuple[Line, ...]:
    """Raises ValueError or TypeError where these are no lines."""
    lines = []
    for value in values:
        time, x0, y0, x1, y1 = (float(number) for number in value)
        lines.append((time, x0, y0, x1, y1))
    return tuple(lines)
