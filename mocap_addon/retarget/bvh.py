"""BVH files as rigs with motion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...backend.core import rotations
from ...backend.core.errors import MocapError
from ...backend.core.rotations import Array
from .model import Channels, Retargeted, Rig

# A BVH file has no unit: of those in use, the one that gives a person's height is meant. Metres a unit.
# "CMU" is what the conversions of that database count in, 1 / 0.45 inches.
UNITS = {"m": 1.0, "dm": 0.1, "CMU": 0.0254 / 0.45, "inch": 0.0254, "cm": 0.01, "mm": 0.001}
USUAL_HEIGHT = 1.55  # metres from the lowest to the highest joint; the top of the head is none
END = 0.05  # length of a bone that leads nowhere, as a share of the body's height
AXES = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}
_Y_UP = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Bvh:
    """A BVH file: T frames of N joints.

    rig: the joints as bones, y along each bone, metres; its world turns the file's up axis to z.
    times: (T,) seconds. channels: joint -> its motion as the bone's channels have it, metres.
    """

    rig: Rig
    times: Array
    channels: Retargeted


@dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float]
    channels: list[str]
    end: list[float] | None = None


def read_bvh(path: Path) -> Bvh:
    """Read a file. Raises MocapError motion-unreadable."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise MocapError("motion-unreadable", f"{path} cannot be read ({error.strerror}).") from error
    try:
        head, motion = re.split(r"\bMOTION\b", text, maxsplit=1)
        joints = _hierarchy(head.split())
        times, values = _frames(motion, sum(len(joint.channels) for joint in joints))
    except (ValueError, IndexError) as error:
        raise MocapError("motion-unreadable", f"{path} is not a BVH file, or is cut off ({error}).") from error
    return _assembled(joints, times, values)


def _hierarchy(words: list[str]) -> list[_Joint]:
    """Joints, parents before children."""
    joints: list[_Joint] = []
    names: set[str] = set()
    above: list[int | None] = []  # the open joints; None for an end site
    k = words.index("ROOT")
    while k < len(words):
        word = words[k].upper()
        if word in ("ROOT", "JOINT"):
            brace = words.index("{", k)
            name = _unique(" ".join(words[k + 1 : brace]), names)
            joints.append(_Joint(name, above[-1] if above else -1, [0.0] * 3, []))  # type: ignore[arg-type]
            above.append(len(joints) - 1)
            k = brace + 1
        elif word == "END":
            above.append(None)
            k = words.index("{", k) + 1
        elif word == "OFFSET":
            offset = [float(value) for value in words[k + 1 : k + 4]]
            if above[-1] is None:
                joints[above[-2]].end = offset  # type: ignore[index]
            else:
                joints[above[-1]].offset = offset
            k += 4
        elif word == "CHANNELS":
            count = int(words[k + 1])
            joints[above[-1]].channels = words[k + 2 : k + 2 + count]  # type: ignore[index]
            k += 2 + count
        elif word == "}":
            above.pop()
            if not above:
                break  # one skeleton a file: further ones are not read
            k += 1
        else:
            raise ValueError(f"unexpected {words[k]!r}")
    if above and joints[above[0] or 0].parent == -1 and k >= len(words):
        raise ValueError("the hierarchy has no end")
    return joints


def _unique(name: str, taken: set[str]) -> str:
    """Joints are told apart by name: a second one of a name gets a number."""
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}.{number:03d}"
    taken.add(unique)
    return unique


def _frames(text: str, width: int) -> tuple[Array, Array]:
    """Times (T,) and channel values (T, width)."""
    found = re.match(r"\s*Frames\s*:\s*(\d+)\s+Frame\s+Time\s*:\s*(\S+)", text, re.IGNORECASE)
    if found is None:
        raise ValueError("no frame count or frame time")
    values = np.array(text[found.end() :].split(), float)
    count = len(values) // width  # what is there counts, also where the header says otherwise
    if not count or not np.isfinite(values).all():
        raise ValueError("no frames" if not count else "a value is not a number")
    return np.arange(count) * (float(found[2]) or 1 / 30), values[: count * width].reshape(count, width)


def _assembled(joints: list[_Joint], times: Array, values: Array) -> Bvh:
    parents = np.array([joint.parent for joint in joints])
    offsets = np.array([joint.offset for joint in joints])
    heads = np.zeros_like(offsets)
    for i in range(len(joints)):
        heads[i] = offsets[i] + (heads[parents[i]] if parents[i] >= 0 else 0.0)
    local, moved = _motion(joints, values)
    up = _up_axis(local[:, 0], heads)
    height = float(np.ptp(heads[:, up]))
    unit = min(UNITS.values(), key=lambda metres: abs(np.log(max(height, 1e-9) * metres / USUAL_HEIGHT)))
    tails = _tails(joints, heads, END * height)
    rest = np.tile(np.eye(4), (len(joints), 1, 1))
    along = rotations.between(AXES["Y"], tails - heads)
    rest[:, :3, :3] = rotations.to_matrix(along)
    rest[:, :3, 3] = heads * unit
    count = len(joints)
    rig = Rig(
        names=tuple(joint.name for joint in joints),
        parents=parents,
        rest=rest,
        lengths=np.linalg.norm(tails - heads, axis=1) * unit,
        inherit_rotation=np.ones(count, bool),
        local_location=np.ones(count, bool),
        connected=np.zeros(count, bool),
        rotation_modes=("QUATERNION",) * count,
        locks=np.zeros((count, 7), bool),
        world=_Y_UP if up == 1 else np.eye(4),
    )
    turned = rotations.continuous(rotations.multiply(rotations.multiply(rotations.inverse(along), local), along))
    location = rotations.rotate(rotations.inverse(along), moved * unit)
    channels = {name: Channels(turned[:, i], location[:, i]) for i, name in enumerate(rig.names)}
    return Bvh(rig, times, channels)


def _motion(joints: list[_Joint], values: Array) -> tuple[Array, Array]:
    """Parent-relative rotations (T, N, 4) and how far joints are from their offsets (T, N, 3), in the file's axes and
    units."""
    local = np.tile(rotations.IDENTITY, (len(values), len(joints), 1))
    moved = np.zeros((len(values), len(joints), 3))
    column = 0
    for i, joint in enumerate(joints):
        for channel in joint.channels:
            axis, kind = channel[0].upper(), channel[1:].lower()
            if axis not in AXES or kind not in ("rotation", "position"):
                raise MocapError("motion-unreadable", f"The joint {joint.name} has an unknown channel {channel}.")
            if kind == "rotation":
                turn = rotations.from_axis_angle(np.radians(values[:, column])[:, None] * AXES[axis])
                local[:, i] = rotations.multiply(local[:, i], turn)
            else:
                k = "XYZ".index(axis)
                moved[:, i, k] = values[:, column] - joint.offset[k]
            column += 1
    return local, moved


def _up_axis(first: Array, heads: Array) -> int:
    """1 (y) or 2 (z): the axis along which the body stands tallest, at rest and in most frames."""
    extent = rotations.rotate(first[:, None], heads[None] - heads[0]) if len(heads) > 1 else np.zeros((1, 1, 3))
    spread = np.median(np.ptp(extent, axis=1), axis=0)
    return 2 if spread[2] > 1.1 * spread[1] and np.ptp(heads[:, 2]) > np.ptp(heads[:, 1]) else 1


def _tails(joints: list[_Joint], heads: Array, short: float) -> Array:
    """Ends (N, 3) of the bones: the middle of the children, the end site, or a little further along."""
    tails = np.empty_like(heads)
    for i, joint in enumerate(joints):
        children = [heads[k] for k, other in enumerate(joints) if other.parent == i]
        along = np.mean(children, axis=0) - heads[i] if children else np.array(joint.end or [0.0] * 3)
        if np.linalg.norm(along) < 1e-3 * max(short, 1e-9):
            above = heads[i] - heads[joint.parent] if joint.parent >= 0 else np.array(AXES["Y"])
            along = short * rotations.normalize(above if np.any(above) else AXES["Y"])
        tails[i] = heads[i] + along
    return tails
