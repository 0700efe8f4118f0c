"""From CMU's own motion files to the arrays that our networks are trained on (`mocap.load`).

The arrays: SMPL-X's first 22 joints at 30 frames a second, metres, y up, floor at y = 0, one sequence after the other.
`body_pose` (N, 21, 3), `root_orient` (N, 3): axis-angle, parent-relative, the root in the world; `trans` (N, 3): the
pelvis; `contacts` (N, 4); per sequence `seq_name`, `seq_subject`, `seq_start`, `seq_length`, `seq_category`,
`seq_description`, `seq_source`, `seq_flat_floor` (False: of the floor's height little is known), `seq_toes_measured`,
`seq_knee_straight_deg`, `seq_knee_standing_deg` (left, right: how far CMU's skeleton keeps straight and standing legs
bent); and the skeleton.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotations, skeleton
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.runs import runs
from ..store import writing
from . import asf, footing
from .transfer import RATE, SEEN, SIDES, UPRIGHT, Person, lowpass, measure, speed, transfer

STEP = 2  # of the frames that are worked on, every second one is kept
USUAL_RATE = 120.0  # frames a second of the source; CMU's index says which subjects and trials differ
SLOW_RATE = 60.0
SLOW_SUBJECTS = {33, 34, 42, 60, 61, 62, 74, 75, 77, 79, 80, 87, 88, 89}
SLOW_TRIALS = {"136_19"}
PASS = 10.0  # Hz: people are not faster, markers are

# What nobody does shows that the source broke: joints in rad/s, pelvis and ankles in m/s, and knees bent forwards.
JOINT_SPEED, PELVIS_SPEED, ANKLE_SPEED = 40.0, 8.0, 13.0
KNEE_FORWARD = np.radians(-10.0)
MARGIN = 3  # frames before and after a jump that it may have spoilt
SHORTEST = 0.9  # s
MOST_JUMPS, LEAST_KEPT = 0.06, 0.5  # of a trial's frames

STANDING = 0.1, 0.04, 60.0  # slower than m/s, ankles level to m, knees bent less than degrees
STRAIGHT = 2.0  # percentile of the knee's bend
STANDING_MORE = (4.0, 10.0, 18.0)  # degrees by which standing knees are more bent: least, where not seen, most

# Words of CMU's titles, the first that fits decides.
CATEGORIES = {
    "gymnastics": r"cartwheel|jumping jack|\broll|\bflip|handstand|acrobat|somersault|gymnast|stretch",
    "jump": r"jump|\bhop|leap",
    "climb_crawl": "climb|crawl|duck|swing legs",
    "sport": "basketball|soccer|golf|baseball|football|tennis|ball",
    "dance": "dance|salsa|ballet|lady|charleston",
    "martial_arts": "boxing|punch|strike|sword|martial|karate|tai chi|kick|fight",
    "sit_rise": r"\bsit|stool|chair|\blie\b|get up",
    "run": r"\brun|jog|sprint",
    "walk": "walk|march|stride|navigate|wander|step",
}
TRIAL = re.compile(r"(\d+)_(\d+)")


@dataclass(frozen=True)
class Motion:
    """One sequence at 30 frames a second: local (T, 22, 4) quaternions, trans (T, 3) metres, contacts (T, 4)."""

    name: str
    local: Array
    trans: Array
    contacts: NDArray[np.bool_]
    flat: bool

    @property
    def trial(self) -> str:
        return self.name.rstrip("abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class Found:
    """A trial's file and its skeleton's."""

    name: str
    subject: int
    motion: Path
    skeleton: Path


def convert(
    paths: Iterable[Path],
    output: Path,
    rate: float | None = None,
    subjects: Iterable[int] | None = None,
    titles: Path | None = None,
    tell: Callable[[str], None] = print,
) -> Path:
    """Write the motions of .amc files, or of all in folders, whose .asf skeletons lie beside them.

    rate: frames a second of the files (default: as CMU's index says). titles: CMU's index as CSV, whose rows begin
    with a trial and its title. tell: hears what was converted, and what was left out and why.
    Raises MocapError motion-unreadable when nothing can be converted, output-unwritable or disk-full.
    """
    if not output.parent.is_dir():
        raise MocapError("output-unwritable", f"There is no folder {output.parent}.")
    named = read_titles(titles) if titles else {}
    people: dict[int, list[Found]] = {}
    for found in find(paths, tell):
        people.setdefault(found.subject, []).append(found)
    wanted = set(subjects) if subjects is not None else people.keys()
    motions: list[Motion] = []
    knees: list[tuple[Array, Array]] = []
    for subject in sorted(people.keys() & wanted):
        try:
            theirs = convert_person(people[subject], rate, tell)
        except MocapError as error:
            tell(f"left out: subject {subject} ({error.what})")
            continue
        motions += theirs
        if theirs:
            knees += [knee_bends(theirs)] * len(theirs)
            seconds = sum(len(motion.trans) for motion in theirs) * STEP / RATE
            tell(f"subject {subject}: {len(theirs)} sequences, {seconds:.0f} s")
    if not motions:
        raise MocapError("motion-unreadable", "No motion was found that can be converted.", "See what was left out.")
    with writing(output), output.open("wb") as file:
        np.savez_compressed(file, **arrays(motions, knees, named))
    return output


def find(paths: Iterable[Path], tell: Callable[[str], None] = print) -> list[Found]:
    """The trials in files and folders, each one once. Raises MocapError motion-unreadable where there is none."""
    found: dict[str, Found] = {}
    for path in paths:
        if not path.exists():
            raise MocapError("motion-unreadable", f"{path} does not exist.", "Check the path.")
        for motion in sorted(path.rglob("*.amc")) if path.is_dir() else [path]:
            named = TRIAL.fullmatch(motion.stem)
            skeletons = sorted(motion.parent.glob("*.asf"))
            own = [each for each in skeletons if named and each.stem == named[1]] or skeletons
            if motion.suffix != ".amc" or not named:
                tell(f"left out: {motion.name} (trials are named SUBJECT_TRIAL.amc)")
            elif len(own) != 1:
                tell(f"left out: {motion.name} (its skeleton {named[1]}.asf does not lie beside it)")
            else:
                found.setdefault(motion.stem, Found(motion.stem, int(named[1]), motion, own[0]))
    return list(found.values())


def convert_person(files: Sequence[Found], rate: float | None, tell: Callable[[str], None] = print) -> list[Motion]:
    """All sequences of one person. What cannot be read, or breaks too often, is told and left out."""
    trials: dict[str, asf.Trial] = {}
    for found in files:
        try:
            trial = asf.read_trial(found.motion, asf.read_skeleton(found.skeleton))
        except MocapError as error:
            tell(f"left out: {error.what}")
            continue
        trial = trial.resampled(rate or source_rate(found.name), RATE)
        if len(trial.ends) >= SHORTEST * RATE:
            trials[found.name] = trial
        else:
            tell(f"left out: {found.name} (too short)")
    if not trials:
        return []
    person = measure(list(trials.values()))
    motions: list[Motion] = []
    for name, trial in trials.items():
        parts = convert_trial(name, trial, person)
        if not parts:
            tell(f"left out: {name} (it breaks too often)")
        motions += parts
    return motions


def source_rate(name: str) -> float:
    """Frames a second of a trial, by CMU's index."""
    slow = name in SLOW_TRIALS or int(name.partition("_")[0]) in SLOW_SUBJECTS
    return SLOW_RATE if slow else USUAL_RATE


def convert_trial(name: str, trial: asf.Trial, person: Person) -> list[Motion]:
    """The whole sequences of a trial at `RATE`, named by letters where there are several."""
    raw = transfer(trial, person)
    ankles = np.stack([trial.end("ltibia"), trial.end("rtibia")], axis=1) * person.scale
    spans = whole_spans(raw, footing.follow(raw, ankles), ankles)
    if not spans:
        return []
    smooth = []
    for span in spans:
        steady = rotations.normalize(lowpass(rotations.continuous(raw[span]), PASS))
        smooth.append((steady, lowpass(ankles[span], PASS)))
    rough = [footing.place(turned, footing.follow(turned, where))[1] for turned, where in smooth]
    floor, flat = footing.find_floor(rough)
    stood = [footing.stand(turned, where, floor, flat) for turned, where in smooth]
    standing = [footing.place(*each)[1] for each in stood]
    low = np.zeros(3)
    heights = np.concatenate([points[footing.find_contacts(points, flat), 1] for points in standing])
    if flat and len(heights):  # of heels and toes that stand, the usual one is on the floor
        low[1] = np.median(heights)
    motions = []
    for k, ((turned, pelvis), points) in enumerate(zip(stood, standing, strict=True)):
        contacts = footing.find_contacts(points - low, flat)
        letter = chr(ord("a") + k) if len(spans) > 1 else ""
        local = skeleton.to_local(turned)
        motions.append(Motion(name + letter, local[::STEP], (pelvis - low)[::STEP], contacts[::STEP], flat))
    return motions


def whole_spans(turned: Array, pelvis: Array, ankles: Array) -> list[slice]:
    """The parts of a trial (T frames at `RATE`) in which nothing jumps, none where it breaks too often."""
    local = skeleton.to_local(turned)
    before, after = np.maximum(np.arange(len(local)) - 1, 0), np.minimum(np.arange(len(local)) + 1, len(local) - 1)
    # Over two frames: a marker that is lost for one is left to the filter.
    turns = rotations.angle_between(local[after], local[before]).max(1) * (0.5 * RATE)
    moves = speed(np.concatenate([pelvis[:, None], ankles], axis=1))
    jumps = np.flatnonzero((turns > JOINT_SPEED) | (moves > [PELVIS_SPEED, ANKLE_SPEED, ANKLE_SPEED]).any(1))
    knees = [skeleton.INDEX["left_knee"], skeleton.INDEX["right_knee"]]
    good = (rotations.to_axis_angle(local[:, knees])[..., 0] > KNEE_FORWARD).all(1)
    for jump in jumps:
        good[max(jump - MARGIN, 0) : jump + MARGIN + 1] = False
    spans = [slice(int(a), int(b)) for a, b in runs(good) if b - a >= SHORTEST * RATE]
    kept = sum(span.stop - span.start for span in spans)
    return spans if len(jumps) <= MOST_JUMPS * len(good) and kept >= LEAST_KEPT * len(good) else []


def knee_bends(motions: Sequence[Motion]) -> tuple[Array, Array]:
    """How far one person's knees are bent when legs are straight, and in quiet standing: (2,), (2,) degrees."""
    bends, quiet = [], []
    fastest, level, most = STANDING
    for motion in motions:
        turned = skeleton.to_global(motion.local)
        joints, _ = footing.place(turned, motion.trans)
        thighs, shins = (joints[:, [a, a + 1]] - joints[:, [b, b + 1]] for a, b in ((4, 1), (7, 4)))
        cosine = (rotations.normalize(thighs) * rotations.normalize(shins)).sum(-1)
        bend = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        still = (speed(joints[:, [0, 7, 8]]) < fastest * STEP).all(1)  # the speed is that of the frames kept
        chest = rotations.rotate(turned[:, skeleton.INDEX["spine3"]], [0.0, 1.0, 0.0])[:, 1] > np.cos(UPRIGHT)
        quiet.append(still & chest & (np.abs(joints[:, 7, 1] - joints[:, 8, 1]) < level) & (bend < most).all(1))
        bends.append(bend)
    all_bends, standing = np.concatenate(bends), np.concatenate(quiet)
    straight = np.percentile(all_bends, STRAIGHT, axis=0)
    least, unseen, furthest = STANDING_MORE
    if standing.sum() < SEEN * RATE / STEP:
        return straight, straight + unseen
    return straight, np.clip(np.median(all_bends[standing], axis=0), straight + least, straight + furthest)


def arrays(
    motions: Sequence[Motion], knees: Sequence[tuple[Array, Array]], titles: dict[str, str]
) -> dict[str, NDArray[Any]]:
    """The file's arrays; knees: of each motion, as `knee_bends` gives them; titles: trial -> title."""
    pose = np.concatenate([rotations.to_axis_angle(motion.local) for motion in motions])
    lengths = np.array([len(motion.trans) for motion in motions])
    body = skeleton.neutral()
    names = [*(f"{side}_{point}" for side in SIDES for point in ("heel", "big_toe", "small_toe")), "head_top"]
    descriptions = [titles.get(motion.trial, "") for motion in motions]
    offsets = body.offsets[: skeleton.BODY].copy()
    offsets[0] = 0.0
    return {
        "body_pose": pose[:, 1:].astype(np.float16),
        "root_orient": pose[:, 0].astype(np.float32),
        "trans": np.concatenate([motion.trans for motion in motions]).astype(np.float32),
        "contacts": np.concatenate([motion.contacts for motion in motions]),
        "seq_name": np.array([motion.name for motion in motions]),
        "seq_subject": np.array([int(motion.name.partition("_")[0]) for motion in motions], np.int32),
        "seq_start": np.cumsum(lengths) - lengths,
        "seq_length": lengths.astype(np.int32),
        "seq_category": np.array([category(title) for title in descriptions]),
        "seq_description": np.array(descriptions),
        "seq_source": np.array(["amc"] * len(motions)),
        "seq_flat_floor": np.array([motion.flat for motion in motions]),
        "seq_toes_measured": np.ones(len(motions), bool),
        "seq_knee_straight_deg": np.array([straight for straight, _ in knees], np.float32),
        "seq_knee_standing_deg": np.array([standing for _, standing in knees], np.float32),
        "joint_names": np.array(skeleton.JOINTS[: skeleton.BODY]),
        "parents": skeleton.PARENTS[: skeleton.BODY].astype(np.int32),
        "rest_offsets": offsets.astype(np.float32),
        "point_names": np.array(names),
        "point_parents": np.array([body.points[name][0] for name in names], np.int32),
        "point_offsets": np.array([body.points[name][1] for name in names], np.float32),
        "contact_names": np.array(skeleton.CONTACTS),
        "fps": np.array(int(RATE / STEP), np.int32),
    }


def category(title: str) -> str:
    """What kind of motion a title of CMU's index speaks of; "unknown" where there is none."""
    kinds = (kind for kind, words in CATEGORIES.items() if re.search(words, title.lower()))
    return next(kinds, "everyday" if title else "unknown")


def read_titles(path: Path) -> dict[str, str]:
    """Trial -> title of CMU's index as CSV ("02_01,walk,...")."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            return {row[0]: row[1].strip() for row in csv.reader(lines) if len(row) > 1 and TRIAL.fullmatch(row[0])}
    except (OSError, csv.Error) as error:
        raise MocapError("motion-unreadable", f"{path} cannot be read: {error}.", "Check the path.") from error
