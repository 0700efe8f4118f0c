"""What a capture is asked to do; the same for the command line and for the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .core.errors import MocapError


@dataclass(frozen=True)
class Job:
    """One capture. start, end: seconds in the clip; fps: frames a second to look at, all of them when None."""

    video: Path
    output: Path
    start: float | None = None
    end: float | None = None
    people: str = "all"
    fps: float | None = None
    device: str = "cpu"
    engines: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises MocapError bad-request or range-outside."""
        for name, value in (("start", self.start), ("end", self.end), ("fps", self.fps)):
            if value is not None and not math.isfinite(value):
                raise MocapError("bad-request", f"{name} must be a finite number, not {value}.")
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
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MocapError("bad-request", f"The capture request cannot be understood ({error!r}).") from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
