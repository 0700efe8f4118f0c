"""Acclaim motion capture, the form in which CMU publishes its database: skeletons (.asf) and motions (.amc).

A skeleton gives every bone a direction and a length in one zero pose, and a frame of its own about whose axes it
turns; a motion tells these turns frame by frame. What is read here is free of both: rotations away from the zero
pose in the axes of the whole body, and metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core import rotations
from ..core.errors import MocapError
from ..core.rotations import Array

INCH = 0.0254  # m: lengths in the files are inches times the unit that the skeleton declares
AXES = "xyz"
ROOT = "root"
AGAIN = "Take it from mocap.cs.cmu.edu again."


@dataclass(frozen=True)
class Bone:
    """One bone in the zero pose.

    parent: its index, -1 for the root, which is the first bone and has no length.
    offset: (3,) metres from its beginning to its end, in the body's axes (y up).
    frame: (4,) quaternion, the axes about which it turns.
    channels: what a motion tells of it and in which order, for example ("rx", "rz").
    """

    name: str
    parent: int
    offset: Array
    frame: Array
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Acclaim:
    """A skeleton: its bones, parents before children; unit: metres in one unit of its motions' lengths."""

    bones: tuple[Bone, ...]
    unit: float

    def index(self, name: str) -> int:
        """Which bone has this name. Raises MocapError `motion-unreadable` where none has."""
        for i, bone in enumerate(self.bones):
            if bone.name == name:
                return i
        raise MocapError("motion-unreadable", f"The skeleton has no bone {name}.", "CMU's own skeletons are wanted.")

    def rest(self, name: str) -> Array:
        """(3,) metres from a bone's beginning to its end in the zero pose."""
        return self.bones[self.index(name)].offset


@dataclass(frozen=True)
class Trial:
    """One motion in the source's world: y up, metres.

    turned (T, B, 4): quaternions that turn every bone from the zero pose into its place.
    ends (T, B, 3): where every bone ends; the root's row is the root itself.
    """

    skeleton: Acclaim
    turned: Array
    ends: Array

    def turn(self, name: str) -> Array:
        """(T, 4) of one bone."""
        return self.turned[:, self.skeleton.index(name)]

    def end(self, name: str) -> Array:
        """(T, 3) of one bone."""
        return self.ends[:, self.skeleton.index(name)]

    def resampled(self, rate: float, wanted: float) -> Trial:
        """The same motion, recorded at `rate` frames a second, at `wanted` ones."""
        frames = len(self.ends)
        place = np.arange(int((frames - 1) * wanted / rate + 1e-6) + 1) * (rate / wanted)
        before = np.minimum((place + 1e-6).astype(int), frames - 1)
        after = np.minimum(before + 1, frames - 1)
        part = np.maximum(place - before, 0.0)[:, None]
        turned = rotations.slerp(self.turned[before], self.turned[after], part)
        ends = self.ends[before] + part[..., None] * (self.ends[after] - self.ends[before])
        return Trial(self.skeleton, turned, ends)


def read_skeleton(path: Path) -> Acclaim:
    """Read an .asf file. Raises MocapError `motion-unreadable`."""
    try:
        return _skeleton(_sections(_text(path)))
    except (KeyError, IndexError, ValueError) as error:
        raise MocapError("motion-unreadable", f"{path.name} is not a whole ASF skeleton: {error}.", AGAIN) from error


def read_trial(path: Path, skeleton: Acclaim) -> Trial:
    """Read an .amc file that was recorded with this skeleton. Raises MocapError `motion-unreadable`."""
    lines = [line for line in map(str.strip, _text(path).splitlines()) if line and not line.startswith("#")]
    degrees = ":RADIANS" not in (line.upper() for line in lines[:20])
    tokens = [token for line in lines if not line.startswith(":") for token in line.split()]
    try:
        return _pose(skeleton, _channels(skeleton, tokens), degrees)
    except ValueError as error:
        raise MocapError("motion-unreadable", f"{path.name} is not a whole AMC motion: {error}.", AGAIN) from error


def _text(path: Path) -> str:
    try:
        return path.read_text("latin-1")  # comments hold paths of old machines, in whatever encoding
    except OSError as error:
        raise MocapError("motion-unreadable", f"{path} cannot be read: {error.strerror}.", "Check the path.") from error


def _sections(text: str) -> dict[str, list[list[str]]]:
    """':units', ':root', ... -> the words of each of their lines, what follows on the keyword's own line first."""
    sections: dict[str, list[list[str]]] = {}
    lines: list[list[str]] = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].startswith(":"):
            lines = sections.setdefault(words[0][1:].lower(), [words[1:]] if words[1:] else [])
        elif words:
            lines.append(words)
    return sections


def _skeleton(sections: dict[str, list[list[str]]]) -> Acclaim:
    units = {words[0]: words[1] for words in sections["units"]}
    unit = INCH / float(units["length"])
    degrees = units.get("angle", "deg").startswith("deg")
    root = {words[0]: words[1:] for words in sections["root"]}
    if any(float(value) for value in root["position"] + root["orientation"]):
        raise ValueError("its root does not rest at the origin")
    described = {bone["name"][0]: bone for bone in _described(sections["bonedata"])}

    bones = [Bone(ROOT, -1, np.zeros(3), rotations.IDENTITY, tuple(map(str.lower, root["order"])))]
    for words in sections["hierarchy"]:
        if words[0] in ("begin", "end"):
            continue
        parent = [bone.name for bone in bones].index(words[0])
        for name in words[1:]:
            bones.append(_bone(name, parent, described[name], unit, degrees))
    missing = described.keys() - {bone.name for bone in bones}
    if missing:
        raise ValueError(f"nothing carries {min(missing)}")
    return Acclaim(tuple(bones), unit)


def _described(lines: list[list[str]]) -> list[dict[str, list[str]]]:
    """The keywords of every bone. Limits go on over several lines, whose words nobody needs."""
    found: list[dict[str, list[str]]] = []
    for words in lines:
        if words[0] == "begin":
            found.append({})
        elif words[0] != "end":
            found[-1].setdefault(words[0], words[1:])
    return found


def _bone(name: str, parent: int, words: dict[str, list[str]], unit: float, degrees: bool) -> Bone:
    direction = np.array(words["direction"][:3], float)
    angles = np.array(words["axis"][:3], float)
    turns = dict(zip(AXES, np.radians(angles) if degrees else angles, strict=True))
    frame = _turn([(axis, turns[axis]) for axis in words["axis"][3].lower()])
    channels = tuple(map(str.lower, words.get("dof", [])))
    if not set(channels) <= {"rx", "ry", "rz"}:
        raise ValueError(f"{name} does more than turn")
    return Bone(name, parent, rotations.normalize(direction) * float(words["length"][0]) * unit, frame, channels)


def _channels(skeleton: Acclaim, tokens: Sequence[str]) -> dict[str, dict[str, Array]]:
    """What the motion tells, bone -> channel -> (T,), in its own units. Every frame is laid out like the first one."""
    counts = {bone.name: len(bone.channels) for bone in skeleton.bones}
    names: dict[int, str] = {}
    width = 1  # the frame's number comes first
    while width < len(tokens) and tokens[width] in counts:
        names[width] = tokens[width]
        width += 1 + counts[tokens[width]]
    if ROOT not in names.values():
        raise ValueError("it does not begin with a frame of the skeleton's bones")
    whole = len(tokens) // width
    table = np.array(tokens[: whole * width]).reshape(whole, width)
    alike = (table[:, list(names)] == list(names.values())).all(1)
    if not alike.all():
        raise ValueError(f"its frame {np.argmin(alike) + 1} does not fit the skeleton")
    if len(tokens) % width:
        raise ValueError(f"it breaks off in frame {whole + 1}")
    values = np.delete(table, [0, *names], axis=1).astype(float)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are no numbers")
    columns = iter(values.T)
    return {
        name: {channel: next(columns) for channel in skeleton.bones[skeleton.index(name)].channels}
        for name in names.values()
    }


def _pose(skeleton: Acclaim, channels: dict[str, dict[str, Array]], degrees: bool) -> Trial:
    root = channels[ROOT]
    frames = len(next(iter(root.values())))
    turned = np.empty((frames, len(skeleton.bones), 4))
    ends = np.empty((frames, len(skeleton.bones), 3))
    for i, bone in enumerate(skeleton.bones):
        told = channels.get(bone.name, {})
        turns = [(channel[1], np.radians(v) if degrees else v) for channel, v in told.items() if channel[0] == "r"]
        own = rotations.multiply(bone.frame, rotations.multiply(_turn(turns), rotations.inverse(bone.frame)))
        if bone.parent < 0:
            turned[:, i] = own
            ends[:, i] = np.stack([root[f"t{axis}"] for axis in AXES], -1) * skeleton.unit
        else:
            turned[:, i] = rotations.multiply(turned[:, bone.parent], own)
            ends[:, i] = ends[:, bone.parent] + rotations.rotate(turned[:, i], bone.offset)
    return Trial(skeleton, turned, ends)


def _turn(turns: Sequence[tuple[str, Array]]) -> Array:
    """Turns about fixed axes, (axis, radians) one after the other. -> quaternions (..., 4)"""
    out = rotations.IDENTITY
    for axis, angle in turns:
        about = np.array([float(axis == each) for each in AXES])
        out = rotations.multiply(rotations.from_axis_angle(np.asarray(angle)[..., None] * about), out)
    return out
