"""Solving a capture again from its keypoints, with another engine, lens or vertical: the second half of `pipeline`.

The video is neither opened nor needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import engines
from .core.errors import MocapError
from .core.protocol import Message
from .core.take import read_take
from .job import Job, Resolve
from .observations import read_about, restore, video_of
from .output import claimed_folder
from .people.choice import parse_people
from .pipeline import Run, finish
from .progress import Progress
from .world import travel
from .world.camera import focal_35mm, with_lens

SEEING = {"track", "keypoints"}  # stages that need the video, and are over


def resolve(asked: Resolve, emit: Callable[[Message], None], cancelled: Callable[[], bool]) -> list[Path]:
    """Solve a capture again. -> the takes written.

    emit, cancelled: as for `pipeline.capture`. Raises MocapError.
    """
    progress = Progress(emit, cancelled)
    progress.stage("prepare", 0, 0)
    if seeing := set(asked.engines) & SEEING:
        what = f"Another engine for {', '.join(sorted(seeing))} needs the video."
        raise MocapError("bad-request", what, "Capture it again.")
    about = read_about(asked.observations)
    told = read_take(asked.take, ("provenance",)).provenance if asked.take else about
    settings, info = about["settings"], video_of(about)
    job = Job(
        video=info.path,
        output=asked.output,
        start=settings["start"],
        end=settings["end"],
        people=asked.people or settings["people"],
        fps=settings["fps"],
        device=settings["device"] if settings["device"] in engines.devices() else "cpu",  # captured elsewhere
        engines={**_used(told["engines"]), **asked.engines},
        **_known(asked, told["settings"]),
    )
    choice = parse_people(job.people)
    seen = {stage: engine for stage, engine in about["engines"].items() if stage in SEEING}
    chain = engines.choose(job.engines, job.device, seen)
    before, info = info, with_lens(info, job.focal)
    folder = claimed_folder(job.output)
    store = restore(asked.observations, folder)
    try:
        with store:
            if lacking := set(chain.record().names or ()) - set(store.record.names or ()):
                what = f"The chosen engines look at the pictures themselves ({', '.join(sorted(lacking))})."
                raise MocapError("engine-unavailable", what, "Capture the video again with these engines.")
            store.warnings.extend((code, what) for code, what in about["warnings"])
            longer = focal_35mm(info) / focal_35mm(before)
            if longer != 1.0 and len(store.camera):
                turns, places = (store.camera.column(name).astype(float) for name in ("turn", "place"))
                for _, rows in store.shots():
                    turns[rows], places[rows] = travel.refocused(turns[rows], places[rows], longer)
                store.move_camera(turns, places)
            run = Run(job, choice, info, chain, chain.body(job), store, progress)
            return finish(run, about["video"]["sha256"], asked.observations)
    finally:
        store.remove()


def _known(asked: Resolve, settings: dict[str, Any]) -> dict[str, Any]:
    """Lens and vertical as they are said now, else as they were said before."""
    before = {"plumb": (), **settings}  # older captures know none
    if len(asked.plumb or ()) > 1:
        before["tilt"] = None  # the new lines tell it
    now = {name: getattr(asked, name) for name in ("focal", "tilt", "plumb")}
    return {name: before[name] if value is None else value for name, value in now.items()}


def _used(told: dict[str, dict[str, object]]) -> dict[str, str]:
    """Engines by stage, as the capture chose them, of those that are still known."""
    known = engines.ENGINES
    return {stage: str(engine["name"]) for stage, engine in told.items() if engine["name"] in known.get(stage, {})}
