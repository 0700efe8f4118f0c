"""A capture, from video to take. Start reading here: the functions stand in the order of a frame's way.

    video -> decode -> cuts -> detect + track people -> keypoints           track()     one pass, frame by frame
          -> what published networks see in their pictures (`look`)
          -> the path of a camera that travels                              follow()    each shot, key frames
          -> bone lengths, camera, floor                                    measure()   constants of each shot
          -> left and right put right -> body -> still camera -> world      solve()     windows of frames, per person
          -> root and feet                                                  settle()    whole take, few numbers a frame
          -> take                                                           write_takes()

`observations.keep` leaves what `track` saw beside the takes, and `resolve` solves it again with other settings.
`track` leaves its observations in a store on disk, where a killed capture continues, and shows a preview of every
person half a second behind (`live`). Nothing here holds more than some windows of frames in memory, whatever the
clip's length; all that grows with it is a few numbers a frame for the root.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import engines
from .body import swaps
from .core import protocol, rotations
from .core.errors import MocapError
from .core.protocol import Message
from .core.rotations import Array
from .core.skeleton import Skeleton
from .core.take import observations_path
from .job import Job
from .live import LiveView
from .look import looked
from .observations import MOMENT, box, keep, relative, track_at, tracks_at
from .output import SOLVED, SolvedPerson, claimed_folder, provenance_of, write_takes
from .people.choice import PeopleChoice, choose_tracks, parse_people
from .progress import Progress, person_name
from .shots import marked
from .stages import BodySolver, Camera, Earlier, Motion, Rooter, Tracker
from .store import BLOCK, CAMERA, CUT, EDGE, ObservationStore, RecordFile, Seen, Shot
from .video import VideoInfo, VideoReader, pictures_at, probe, video_hash
from .world import manhattan, stride, travel, vertical
from .world.camera import focal_35mm, level_camera, with_lens
from .world.corners import KeyCorners
from .world.edges import EdgeFinder
from .world.ground import Ground, find_ground
from .world.place import RootPath, Settled, place, settle
from .world.steady import TurnMeter, steadied, tripod

HALO = 2.0  # seconds of frames on both sides of a window that its solution may use
SAMPLE_WINDOWS = 8  # windows, spread over the clip, that the constants are measured on
SAMPLE_FRAMES = 60  # frames in each of them
SMALLEST = 32  # pixels; nobody can be made out in a smaller picture
UNSURE = 0.1  # part of the frames in which the camera's turn may be unknown before the user is told
GLIMPSE = 0.3  # seconds; whoever is seen for less is left out when there is someone else


@dataclass(frozen=True)
class Run:
    """What every stage of one capture works with."""

    job: Job
    choice: PeopleChoice
    info: VideoInfo
    chain: engines.Chain
    solver: BodySolver
    store: ObservationStore
    progress: Progress


def capture(
    job: Job, emit: Callable[[Message], None], cancelled: Callable[[], bool], watched: bool = True
) -> list[Path]:
    """Capture a video. -> the takes written.

    emit: gets the messages of `core.protocol`, but for hello, heartbeat, done and error. cancelled: asked often.
    watched: somebody looks at the preview.
    Raises MocapError; the working folder stays when a rerun can continue from it.
    """
    progress = Progress(emit, cancelled, watched)
    progress.stage("prepare", 0, 0)
    choice = parse_people(job.people)
    chain = engines.choose(job.engines, job.device)
    job = replace(job, device=chain.device(job.device))
    info = with_lens(probe(job.video), job.focal)
    if min(info.width, info.height) < SMALLEST:
        raise MocapError("video-too-small", f"{info.path.name} is only {info.width} x {info.height} pixels large.")
    folder = claimed_folder(job.output)
    sha256 = video_hash(job.video)
    solver = chain.body(job)

    with ObservationStore(folder, _key(job, sha256, chain), chain.record()) as store:
        run = Run(job, choice, info, chain, solver, store, progress)
        try:
            track(run)
            run = follow(run)
            takes = finish(run, sha256)
        except MocapError as error:
            if error.code == "no-person" or not len(store):
                store.remove()  # there is nothing to continue
            raise
        store.remove()
    return takes


def finish(run: Run, sha256: str, observations: Path | None = None) -> list[Path]:
    """From what was tracked to the takes. observations: the file that keeps it; None: written beside the takes."""
    _warn(run, run.chain.warnings())
    people = choose_people(run)
    grounds, skeletons = measure(run, people)
    persons = solve(run, skeletons, grounds)
    provenance = provenance_of(run.job, run.info, sha256, run.chain, run.store.warnings)
    kept: list[tuple[Path, Path]] = []
    if observations is None:
        observations = observations_path(run.job.output)
        kept = [(run.store.folder / observations.name, observations)]
        keep(run.store, kept[0][0], provenance)
    provenance["observations"] = relative(observations, run.job.output.parent)
    return write_takes(run.job, persons, run.store, provenance, run.info, run.progress, kept)


def track(run: Run) -> None:
    """Find and follow everyone in every frame; keep the observations, show a preview.

    What an earlier run left in the store is shown again, not computed again.
    """
    live = _live_view(run)
    _replay(run, live)
    if not run.store.complete:
        meter = TurnMeter(level_camera(run.info), run.store.turned)
        _see(run, meter, live)
        released()
        _tell(run, meter)
        run.store.mark_complete()
    live.finish()
    run.progress.stage("track", len(run.store), len(run.store))


def _replay(run: Run, live: LiveView) -> None:
    """Show and tell again what is in the store."""
    for code, what in run.store.warnings:
        run.progress.warn(code, what)
    for done, (time, sightings, cut) in enumerate(run.store.replay() if run.progress.watched else (), 1):
        live.add(time, sightings, cut)
        _tick(run, done)


def _see(run: Run, meter: TurnMeter, live: LiveView) -> None:
    """The frames that are not in the store yet: who is seen there, and how the camera has turned."""
    job, store = run.job, run.store
    tracker: Tracker = run.chain.make("track", job)
    if len(store):
        tracker.resume(_earlier(run))
    edges, corners, first = EdgeFinder(), KeyCorners(store), store.next_frame
    with VideoReader(job.video, job.start, job.end, job.fps, max(first - 1, 0)) as reader:
        fresh = (frame for frame in marked(reader) if frame.index >= first)  # the one before only shows a cut
        with closing(looked(tracker.track(fresh), run.chain.lookers(job), store.record)) as tracked:
            for done, (frame, sightings) in enumerate(tracked, len(store) + 1):
                people = [box(seen.observation) for seen in sightings]
                if frame.cut:
                    corners.end_shot(meter.corners)
                turn = meter.turn(frame, people)
                for seen in sightings:
                    seen.observation["turn"] = turn
                if meter.fresh:
                    corners.keep(frame, meter.corners)
                store.append(frame, sightings, edges.find(frame, people), turn)
                live.add(frame.time, sightings, frame.cut)
                _warn(run, reader.warnings)
                _tick(run, done)
        _warn(run, reader.warnings)
    corners.end_shot(meter.corners)


def _tell(run: Run, meter: TurnMeter) -> None:
    """What the user should know of the background and of cuts."""
    if meter.unsure > UNSURE * len(run.store):
        what = f"The background could not be followed in {meter.unsure} frames: the camera may have turned there."
        _warn(run, [("camera-unsure", what)])
    if cuts := [f"{time:.2f} s" for time in run.store.cuts.column("time")]:
        what = f"The video cuts to another picture at {', '.join(cuts)}: people are captured anew in each shot."
        _warn(run, [("video-cut", what)])


def _tick(run: Run, done: int) -> None:
    run.progress.stage("track", done, max(_expected_frames(run.job, run.info), done))


def _earlier(run: Run) -> Earlier:
    """What the tracker goes on from when an earlier run left something in the store."""
    last, pictures = run.store.frames.read(len(run.store) - 1, len(run.store)), partial(pictures_at, run.job.video)
    return Earlier(run.store.last(), float(last["time"][0]), max(run.store.seen, default=0) + 1, pictures)


def follow(run: Run) -> Run:
    """Where a camera that travels has been: the store knows then. -> the run with its lens, if that was not known.

    The longest shot tells the lens of all."""
    store, info, shots = run.store, run.info, run.store.shots()
    index, times = store.frames.column("index"), store.frames.column("time")
    told = store.camera.column("told").astype(float)
    keys = [np.searchsorted(index, np.unique(store.corners(shot.number).column("frame"))) for shot in shots]
    tick = partial(run.progress.stage, "camera")
    longer = 1.0
    if info.focal_35mm is None:
        longest = max(shots, key=lambda shot: len(keys[shot.number]))
        longer = _longer(run, longest, keys[longest.number], tick)
        info = info if longer == 1.0 else with_lens(info, longer * focal_35mm(info))
    turns, places, better = told.copy(), np.zeros((len(told), 3)), False
    for (number, rows), own in zip(shots, keys, strict=True):
        path = travel.camera_path(store.corners(number), level_camera(info), times[own], told[own], tick)
        # A mere turn, told frame by frame, is known better than from key frames, unless it was told by another lens.
        if path is not None and (path.place.any() or longer != 1.0):
            turns[rows], places[rows] = travel.between(path, times[own], told[own], times[rows], told[rows])
            better = True
    if better:
        store.move_camera(turns, places)
    return replace(run, info=info)


def _longer(run: Run, shot: Shot, keys: NDArray[np.intp], tick: Callable[[int, int], None]) -> float:
    """How many times longer the lens is than it was taken for: as the background's edges say, and then its corners.

    keys: rows of the shot's key frames."""
    store, camera, longer = run.store, level_camera(run.info), 1.0
    edges, here = _edges(store, shot, "told"), [track for track, seen in store.seen.items() if seen.shot == shot.number]
    if edges.ends and here:
        samples = np.concatenate([window for track in here for window in _samples(store.person(track))])
        level = rotations.rotate(camera.rotation, [0.0, 0.0, 1.0])
        up = vertical.stood(samples["landmarks"].astype(float), samples["turn"].astype(float), level)
        longer = manhattan.lens(list(zip(edges.ends, rotations.rotate(edges.turns, up), strict=True)), camera)
    times, told = store.frames.column("time")[keys], store.camera.column("told")[keys].astype(float)
    told, _ = travel.refocused(told, np.zeros((len(told), 3)), longer)
    camera = replace(camera, focal=longer * camera.focal)
    return longer * travel.lens(store.corners(shot.number), camera, times, told, tick)


def _edges(store: ObservationStore, shot: Shot, turn: str) -> vertical.Edges:
    """The straight edges of a shot's background; turn: by which of `store.CAMERA`'s the camera had turned."""
    ends, rows = store.edges_in(shot)
    return vertical.Edges(ends, store.camera.column(turn)[rows].astype(float))


def released() -> None:
    """Give the memory of networks that nobody holds any more back to a GPU, where there was one."""
    if "torch" in sys.modules:
        from .published.runtime import release

        release()


def choose_people(run: Run) -> list[int]:
    """The tracks that become takes. Raises MocapError no-person or person-missing."""
    everyone = run.store.seen
    if not everyone:
        raise MocapError("no-person", "No person was found in the video.")
    glimpse = GLIMPSE * (run.store.frame_rate or run.info.fps)
    if run.choice.points:
        chosen, missed = tracks_at(run.store, run.choice.points)
        _warn(run, missed)
    elif run.choice.track is not None:
        chosen = choose_tracks(run.choice, _summary(everyone))
    else:
        lasting = {track: seen for track, seen in everyone.items() if seen.frames >= glimpse}
        if not lasting:  # a still, or a clip that is no longer than a glimpse itself
            lengths = {shot.number: shot.rows.stop - shot.rows.start for shot in run.store.shots()}
            lasting = {track: seen for track, seen in everyone.items() if seen.frames >= lengths[seen.shot]}
        if not lasting:
            longest = max(everyone, key=lambda track: (everyone[track].frames, everyone[track].size))
            lasting = {longest: everyone[longest]}
        chosen = sorted(t for people in _shots(lasting).values() for t in choose_tracks(run.choice, _summary(people)))
    for track in chosen:
        if (frames := everyone[track].frames) < glimpse:
            what = f"{person_name(track)} is seen in {frames} frame{'s' if frames > 1 else ''} only."
            _warn(run, [("short-take", what)])
    return chosen


def _by_shot(store: ObservationStore, people: Iterable[int]) -> list[tuple[Shot, list[int]]]:
    """Shots with the people (tracks) who are seen in them."""
    together = _shots({track: store.seen[track] for track in people})
    return [(shot, list(together[shot.number])) for shot in store.shots() if shot.number in together]


def measure(run: Run, people: list[int]) -> tuple[dict[int, Ground], dict[int, Skeleton]]:
    """What holds for a whole shot: every person's bone lengths, and where camera and people stand over the floor."""
    grounds: dict[int, Ground] = {}
    skeletons: dict[int, Skeleton] = {}
    for shot, here in _by_shot(run.store, people):
        ground, _ = _measured(run, shot, here, level_camera(run.info))
        if run.store.travels(shot) and not ground.unit:
            what = "The camera seems to travel, but no feet show how far: people may seem to travel instead."
            _warn(run, [("camera-travels", what)])
        ground, bones = _measured(run, shot, here, ground.camera)  # how people lean, so how long they are, shows now
        grounds.update(dict.fromkeys(here, ground))
        skeletons.update(bones)
    for track, skeleton in skeletons.items():
        run.progress.track(track, skeleton.offsets.astype(np.float32))
    run.progress.stage("measure", len(people), len(people))
    return grounds, skeletons


def _measured(run: Run, shot: Shot, people: list[int], camera: Camera) -> tuple[Ground, dict[int, Skeleton]]:
    """The same for one shot, given what is known of the camera."""
    solver, store = run.solver, run.store
    seen: dict[int, tuple[Skeleton, Motion, Array, Array]] = {}
    for done, track in enumerate(people):
        run.progress.stage("measure", done, len(people))
        samples = np.concatenate(_samples(store.person(track)))
        skeleton = solver.measure(samples, camera)
        motion = solver.solve(samples, skeleton, camera)
        seen[track] = skeleton, motion, samples["turn"].astype(float), store.places(samples["frame"]).astype(float)
    unit = stride.unit(list(seen.values())) if store.travels(shot) else 0.0
    motions = {
        track: (skeleton, steadied(motion, turns, unit * places))
        for track, (skeleton, motion, turns, places) in seen.items()
    }
    plumb = _plumb(run, shot, people, camera)
    ground = replace(find_ground(motions, camera, run.job.tilt, _edges(store, shot, "turn"), plumb), unit=unit)
    return ground, {track: skeleton.scaled(ground.sizes[track]) for track, (skeleton, _) in motions.items()}


def _plumb(run: Run, shot: Shot, people: list[int], camera: Camera) -> Array | None:
    """(3, 3) what lines that somebody drew in a shot say of the vertical, see `vertical.drawn`; None without any."""
    lines = np.array(run.job.plumb).reshape(-1, 5)
    drawn = np.abs(run.store.frames.column("time") - lines[:, :1]).argmin(1)
    lines = lines[(drawn >= shot.rows.start) & (drawn < shot.rows.stop)]
    if not len(lines):
        return None
    times = np.concatenate([run.store.times(track) for track in people])
    turns = np.concatenate([run.store.turns(track) for track in people])
    when = np.abs(times - lines[:, :1]).argmin(1)
    return vertical.drawn(lines[:, 1:], turns[when], camera)


def solve(run: Run, skeletons: dict[int, Skeleton], grounds: dict[int, Ground]) -> list[SolvedPerson]:
    """Rotations, root and contacts of everyone, in the world."""
    solver, store, progress = run.solver, run.store, run.progress
    total, done = sum(store.seen[track].frames for track in skeletons), 0
    rooter: Rooter | None = run.chain.make("root", run.job)
    persons = []
    for track, body in skeletons.items():
        ground = grounds[track]
        spool = RecordFile(store.folder / f"solved-{track}.bin", SOLVED)
        spool.truncate(0)
        times = store.times(track)
        swapped = swaps.swapped(swaps.jumps_of(store.person(track)), times)
        turns = store.turns(track)
        places = ground.unit * store.places(store.person(track).column("frame"))
        still, parts = tripod(turns) and not places.any(), []
        for window, inner in _windows(store.person(track), times, swapped):
            progress.stage("solve", done, total)
            motion = solver.solve(window, body, ground.camera)
            moved = ground.unit * store.places(window["frame"])
            motion = place(motion if still else steadied(motion, window["turn"], moved), ground.camera)
            spool.append(_solved(motion)[inner])
            parts.append(RootPath.of(motion, body).rows(inner))
            done += inner.stop - inner.start
        path = RootPath.joined(parts)
        parts.clear()  # it is long enough to be held only once
        if rooter is None:
            root = settle(path)
        else:
            root = _rooted(run, rooter, track, swapped, spool, path, body, ground, still)
        path_of_camera = (None, None) if still else (turns, places)
        persons.append(SolvedPerson(track, body, ground.camera, spool, times, root, *path_of_camera))
    progress.stage("solve", total, total)
    return persons


def _rooted(
    run: Run, rooter: Rooter, track: int, swapped: NDArray[np.bool_], spool: RecordFile, path: RootPath,
    body: Skeleton, ground: Ground, still: bool,
) -> Settled:  # fmt: skip
    """The root by a published engine, which also sets the pose anew."""
    solved = spool.read(0, len(spool))
    refined = run.chain.names["feet"] != "none"
    root, solved["rotations"] = rooter.settle(
        run.store.person(track), swapped, solved["rotations"], path.pelvis, body, ground.camera, still, refined
    )
    spool.truncate(0)
    spool.append(solved)
    return root


def _windows(
    records: RecordFile, times: NDArray[np.float64], swapped: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[Any], slice]]:
    """Overlapping windows of observations, each with the rows that are its own: together every frame once."""
    for start in range(0, len(times), BLOCK):
        stop = min(start + BLOCK, len(times))
        before = int(np.searchsorted(times, times[start] - HALO))
        after = int(np.searchsorted(times, times[stop - 1] + HALO, side="right"))
        window = swaps.exchanged(records.read(before, after), swapped[before:after])
        yield window, slice(start - before, stop - before)


def _samples(records: RecordFile) -> list[NDArray[Any]]:
    """Windows spread evenly over a person's frames; all frames when there are few."""
    count = len(records)
    starts = range(0, count, max(SAMPLE_FRAMES, -(-count // SAMPLE_WINDOWS)))
    return [records.read(start, min(start + SAMPLE_FRAMES, count)) for start in starts]


def _solved(motion: Motion) -> NDArray[Any]:
    records = np.empty(len(motion.times), SOLVED)
    records["rotations"], records["confidence"] = motion.rotations, motion.confidence
    return records


def _warn(run: Run, warnings: Iterable[tuple[str, str]]) -> None:
    """Pass on the warnings that are new, and keep them for the take."""
    for code, what in warnings:
        if (code, what) not in run.store.warnings:
            run.store.warn(code, what)
            run.progress.warn(code, what)


def _live_view(run: Run) -> LiveView:
    return LiveView(run.solver, level_camera(run.info), asked_for(run.choice, run.store), run.progress)


def asked_for(choice: PeopleChoice, store: ObservationStore) -> Callable[[], set[int]]:
    """Tells which tracks are asked for, going by what is in the store at that time.

    As long as the moment of a pick lies ahead, the largest person stands in for it.
    """
    known: dict[tuple[float, float, float], int | None] = {}

    def asked() -> set[int]:
        if choice.track is not None:
            return {choice.track}
        if choice.most is None and not choice.points:
            return set(store.seen)
        latest = max((seen.last for seen in store.seen.values()), default=-np.inf)
        for point in choice.points:
            if point not in known and latest > point[0] + MOMENT:
                try:
                    known[point] = track_at(store, list(store.seen), *point)
                except MocapError:  # nobody is there: told once the clip is through
                    known[point] = None
        most = PeopleChoice(most=len(choice.points) - len(known) if choice.points else choice.most)
        picked = {track for track in known.values() if track is not None}
        return picked.union(*(choose_tracks(most, _summary(people)) for people in _shots(store.seen).values()))

    return asked


def _shots(everyone: Mapping[int, Seen]) -> dict[int, dict[int, Seen]]:
    """People (tracks) by the number of the shot that they are seen in."""
    shots: dict[int, dict[int, Seen]] = {}
    for track, seen in everyone.items():
        shots.setdefault(seen.shot, {})[track] = seen
    return shots


def _summary(everyone: Mapping[int, Seen]) -> dict[int, tuple[int, float]]:
    """What `choose_tracks` goes by: frames seen and mean side of the region in pixels, less where it is doubtful."""
    return {track: (seen.frames, seen.size / seen.frames) for track, seen in everyone.items()}


def _expected_frames(job: Job, info: VideoInfo) -> int:
    """About how many frames the tracker will see."""
    end = info.duration if job.end is None else min(job.end, info.duration)
    rate = info.fps if job.fps is None else min(job.fps, info.fps)
    return max(1, round((end - (job.start or 0.0)) * rate))


def _key(job: Job, sha256: str, chain: engines.Chain) -> dict[str, Any]:
    """What the observations depend on."""
    return {
        "video": sha256, "start": job.start, "end": job.end, "most": parse_people(job.people).most, "fps": job.fps,
        "focal": job.focal,
        "device": job.device, "engine": chain.lookers_described(), "version": engines.version(),
        "protocol": protocol.PROTOCOL, "record": str((chain.record().descr, CAMERA.descr, CUT.descr, EDGE.descr)),
    }  # fmt: skip
