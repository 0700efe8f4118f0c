"""Humanoids built from bone lists as the families' own tools write them (`bone_lists/*.txt`).

A list begins with the family and how it writes left and right. Then follows a bone a line, indented under its parent:
`NAME ROLE` for one that plays a role (`ROLE:PLACE` where it is elsewhere), `NAME ~ROLE:PLACE` for a twist bone of that
role, `NAME @PLACE` for one that plays none. A place is a joint, or `a:b:0.4` for a point between two. Lines with `{s}`
stand once for each side, with all that is indented under them; roles and places that start with `_` are of that side
(`{h}` is the side's first letter). Joints are SMPL-X's, with `top` of the head, `floor`, `_tip`s of fingers and toes,
and `waist` between the hips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from video_mocap.backend.core import rotations, skeleton
from video_mocap.backend.core.rotations import Array
from video_mocap.mocap_addon.retarget.model import Rig

LISTS = {path.stem: path.read_text("utf-8") for path in sorted((Path(__file__).parent / "bone_lists").glob("*.txt"))}


@dataclass
class Humanoid:
    """Bones in lists, parents before children. points: (N, 3) metres, z up, facing -y, soles at z = 0."""

    family: str
    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    points: list[Array] = field(default_factory=list)
    bones: dict[str, list[str]] = field(default_factory=dict)
    twists: dict[str, list[str]] = field(default_factory=dict)


def build(name: str, arms: float = 0.0) -> Humanoid:
    """The humanoid of a list of `LISTS`; arms: degrees by which they hang in the rest pose (45: A-pose)."""
    heading, *lines = LISTS[name].splitlines()
    family, *sides = heading.split()
    places = joint_places(arms)
    made = Humanoid(family)
    open_bones: list[tuple[int, int]] = []  # depth and index of the bones above
    for line in _sided(lines, (sides[0], sides[1])):
        depth = len(line) - len(line.lstrip())
        name, what = line.strip().rsplit(" ", 1)
        kind, place = what[0], what.lstrip("@~")
        role, _, other = place.partition(":")
        while open_bones and open_bones[-1][0] >= depth:
            open_bones.pop()
        if kind == "~":
            made.twists.setdefault(role, []).append(name)
        elif kind != "@":
            made.bones.setdefault(role, []).append(name)
        made.names.append(name)
        made.parents.append(open_bones[-1][1] if open_bones else -1)
        made.points.append(_place(places, place if kind == "@" else other or role, name))
        open_bones.append((depth, len(made.names) - 1))
    return made


def to_rig(
    made: Humanoid, axes: str = "along", seed: int = 0, turn: Array | None = None, world: Array | None = None
) -> Rig:
    """axes: "along" bones point to their children, with any roll; "wild": anywhere, as importers make them.
    turn: (4,) quaternion of the armature's own space."""
    rng = np.random.default_rng(seed)
    points = np.array(made.points)
    count = len(points)
    rest = np.tile(np.eye(4), (count, 1, 1))
    lengths = np.full(count, 0.05)
    turn = rotations.IDENTITY if turn is None else turn
    for bone in range(count):
        children = [child for child, parent in enumerate(made.parents) if parent == bone]
        way = points[children[0]] - points[bone] if children else points[bone] - points[made.parents[bone]]
        if np.linalg.norm(way) < 1e-6:
            way = np.array([0.0, 0.0, 0.05])
        lengths[bone] = np.linalg.norm(way)
        roll = rotations.from_axis_angle([0.0, rng.uniform(-np.pi, np.pi), 0.0])
        frame = rotations.multiply(rotations.between([0.0, 1.0, 0.0], way), roll)
        if axes == "wild":
            frame = rotations.normalize(rng.normal(size=4))
        rest[bone, :3, :3] = rotations.to_matrix(rotations.multiply(turn, frame))
        rest[bone, :3, 3] = rotations.rotate(turn, points[bone])
    yes = np.ones(count, bool)
    return Rig(
        tuple(made.names), np.array(made.parents), rest, lengths, yes, yes, ~yes, ("QUATERNION",) * count,
        np.zeros((count, 7), bool), np.eye(4) if world is None else world,
    )  # fmt: skip


def joint_places(arms: float = 0.0) -> dict[str, Array]:
    """Joints and some other points of the neutral body, metres, z up, facing -y, soles at z = 0."""
    body = skeleton.neutral()
    local = np.tile(rotations.IDENTITY, (1, 55, 1))
    for side, sign in (("left", -1.0), ("right", 1.0)):
        local[0, skeleton.INDEX[f"{side}_shoulder"]] = rotations.from_axis_angle([0.0, 0.0, sign * np.radians(arms)])
    turned, joints = skeleton.forward_kinematics(body, local, np.zeros((1, 3)))
    places = {joint.replace("_smplhf", ""): joints[0, i] for joint, i in skeleton.INDEX.items()}
    for point, (joint, offset) in body.points.items():
        places[point] = joints[0, joint] + rotations.rotate(turned[0, joint], offset)
    for side in ("left", "right"):
        places[f"{side}_toe_tip"] = places[f"{side}_big_toe"]
    places["top"] = places["head"] + [0.0, 0.19, 0.0]
    places["waist"] = 0.5 * (places["left_hip"] + places["right_hip"]) + [0.0, 0.03, 0.0]
    low = min(places[f"{side}_heel"][1] for side in ("left", "right"))
    places["floor"] = np.array([0.0, low, 0.0])
    up = skeleton.Y_UP_TO_Z_UP
    return {name: rotations.rotate(up, point - [0.0, low, 0.0]) for name, point in places.items()}


def _place(places: dict[str, Array], text: str, name: str) -> Array:
    parts = text.split(":")
    if parts[0] not in places:
        raise KeyError(f"{name}: no place {text}")
    if len(parts) < 3:
        return places[parts[0]]
    a, b, share = places[parts[0]], places[parts[1]], float(parts[2])
    return a * (1 - share) + b * share


def _sided(lines: list[str], sides: tuple[str, str]) -> Iterator[str]:
    """Lines with `{s}` (and `{h}`: one letter), with those under them, once for each side."""
    i = 0
    while i < len(lines):
        if "{s}" not in lines[i] and "{h}" not in lines[i]:
            yield lines[i]
            i += 1
            continue
        depth = len(lines[i]) - len(lines[i].lstrip())
        end = i + 1
        while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > depth:
            end += 1
        for side, written in zip(("left", "right"), sides, strict=True):
            for line in lines[i:end]:
                name, what = line.rsplit(" ", 1)
                parts = [f"{side}{part}" if part.startswith("_") else part for part in what.lstrip("@~").split(":")]
                mark = what[0] if what[0] in "@~" else ""
                yield f"{name.replace('{s}', written).replace('{h}', written[0])} {mark}{':'.join(parts)}"
        i = end
