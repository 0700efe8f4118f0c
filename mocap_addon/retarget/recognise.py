"""Which bone of a rig is for what: names of known families, checked against hierarchy and shape; else shape alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from ...backend.core.rotations import Array
from . import shape, structure
from .family import CHAINS, FINGERS, NONE, PARENT, REQUIRED, ROLES, SIDES, UNKNOWN, Family, Slot, families, swapped
from .model import Mapping, Rig
from .names import OTHER_SIDE, Name, canonical, noise_words, plain_names, without_copy_number
from .shape import SURE, Tree
from .structure import Structure

NAMED = 0.5  # score from which a rig is of a family
HINTED = 0.25  # score from which it is, if its shape says the same as its names
HUMAN = 0.5  # score from which a shape is a humanoid's
MACHINERY = ("ORG", "MCH", "VIS", "WGT")  # layers that nobody animates
# How sure a bone's role is by what its name shares with the family's, and how much the name says for the family.
_LITERAL, _PREFIXED, _SPELLED, _STEM, _DEFORM, _COPY, _ORIGINAL = range(7)
_TRUST = (1.0, 0.98, 0.95, 0.92, 0.9, 0.8, 0.75)
_TELLING = (1.0, 0.9, 0.5, 0.3, 0.6, 0.3, 0.2)
_MISPLACED = 0.4  # what is left of the trust in a bone that hangs or lies where it should not
_BY_SHAPE = 0.7  # trust in a role that only the shape tells
_LIMBS = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
_WEIGHT = {role: 3.0 for role in REQUIRED} | {"spine": 2.0, "neck": 1.0}


@dataclass
class Reading:
    """One family's reading of a rig."""

    family: Family
    bones: dict[str, list[int]] = field(default_factory=dict)
    twists: dict[str, list[int]] = field(default_factory=dict)
    trust: dict[int, float] = field(default_factory=dict)
    telling: list[float] = field(default_factory=list)
    score: float = 0.0
    faults: dict[str, str] = field(default_factory=dict)


def recognise(rig: Rig) -> Mapping:
    """The mapping of a rig: its family's where one fits, filled up by its shape; family "unknown" where only the shape
    tells, family "none" and no bones where it is no humanoid."""
    reader = _Reader(rig)
    readings = reader.read_all()
    found = structure.analyse(rig, reader.tree)
    reading = readings[0] if readings else None
    if reading and (
        reading.score >= NAMED or (reading.score >= HINTED and found.score >= HUMAN and _agree(reading, found))
    ):
        if not reading.family.control:
            _settle_sides(reader, reading)
            _fill(reader, reading, found)
        return _mapping(rig, reading.family.id, reading.bones, reading.twists, reading.trust, reader)
    if found.score < HUMAN:
        return _mapping(rig, NONE, {}, {}, {}, reader)
    bones = _sides_by_names(reader, found)
    trust = {bone: _BY_SHAPE * found.score for role in bones.values() for bone in role}
    return _mapping(rig, UNKNOWN, bones, {}, trust, reader)


def candidates(rig: Rig) -> list[tuple[str, float]]:
    """Families with their scores 0 .. 1, the best first; "unknown" is the score of the shape alone."""
    reader = _Reader(rig)
    scores = [(reading.family.id, reading.score) for reading in reader.read_all()]
    scores.append((UNKNOWN, _BY_SHAPE * structure.analyse(rig, reader.tree).score))
    return sorted(scores, key=lambda item: -item[1])


def skeleton_hash(rig: Rig) -> str:
    """SHA-256 of the bones' names and parents, whatever their order and pose."""
    lines = sorted(
        f"{name}\0{rig.names[parent] if parent >= 0 else ''}"
        for name, parent in zip(rig.names, rig.parents, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def switches(rig: Rig, mapping: Mapping) -> list[tuple[str, str, float]]:
    """Custom properties (bone, key, value) to set so that the mapped controls drive a control rig."""
    found = families().get(mapping.family)
    return [switch for switch in found.switches if switch[0] in rig.names] if found else []


def ik_controls(rig: Rig, mapping: Mapping) -> dict[str, str]:
    """Control rigs: "left_ankle_ik", "left_knee_pole", "left_wrist_ik", "left_elbow_pole", ... -> bone."""
    found = families().get(mapping.family)
    return {role: bone for role, bone in found.ik.items() if bone in rig.names} if found else {}


class _Reader:
    """A rig's names and tree, ready for being read in the words of every family."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.tree = Tree(rig)
        self.plain = plain_names(rig.names)
        self.noise = noise_words(self.plain)
        self.names = [canonical(name, self.noise) for name in self.plain]
        self.machinery = [name.layer in MACHINERY for name in self.names]
        self.by_key: dict[tuple[str, str], list[int]] = {}
        for bone, name in enumerate(self.plain):
            for key in {self.names[bone].key, canonical(without_copy_number(name), self.noise).key}:
                self.by_key.setdefault(key, []).append(bone)

    def read_all(self) -> list[Reading]:
        readings = [self._read(family) for family in families().values()]
        return sorted((r for r in readings if r.score > 0), key=lambda reading: -reading.score)

    def _read(self, family: Family) -> Reading:
        reading = Reading(family)
        used: set[int] = set()
        # outwards from the pelvis; the root last, so that it takes no bone that the body needs
        for role in sorted(family.bones, key=lambda role: (role == "root", ROLES.index(role))):
            found: list[tuple[int, int, bool]] = []
            for slot in family.bones[role]:
                if pick := self._pick(reading, role, slot, used | {bone for bone, _, _ in found}):
                    found.append(pick)
            if role in CHAINS:
                found = self._in_line(reading, found)
            for bone, kind, placed in found:
                used.add(bone)
                reading.bones.setdefault(role, []).append(bone)
                reading.trust[bone] = _TRUST[kind] * (1.0 if placed else _MISPLACED)
                reading.telling.append(_TELLING[kind])
        if not reading.bones.get("pelvis"):
            return reading
        for role, slots in family.twists.items():
            near = reading.bones.get(role)
            if near and (twists := self._twists(slots, used)):
                used.update(twists)
                away = np.linalg.norm(self.tree.joints - self.tree.joints[near[0]], axis=1)
                reading.twists[role] = sorted(twists, key=lambda bone: float(away[bone]))
        self._trim_spine(reading)
        self._score(reading, used)
        return reading

    def _matches(self, slot: Slot, used: set[int]) -> list[tuple[int, int, int]]:
        """(kind of match, place among the alternatives, bone), the best first."""
        found = []
        for place, written in enumerate(slot):
            wanted = canonical(written)
            for bone in self.by_key.get(wanted.key, ()):
                if bone not in used and self.names[bone].layer not in ("MCH", "VIS", "WGT"):
                    found.append((self._kind(bone, written, wanted), place, bone))
        return sorted(found)

    def _kind(self, bone: int, written: str, wanted: Name) -> int:
        name, text = self.names[bone], self.rig.names[bone]
        if text == written:
            return _LITERAL
        if self.plain[bone] in (written, written.split(":")[-1]) or (
            text.endswith(written) and not text[-len(written) - 1].isalnum()
        ):
            return _PREFIXED
        if name.key != wanted.key:
            return _COPY
        if name.layer:
            return _DEFORM if name.layer == "DEF" else _ORIGINAL
        return _SPELLED if name.spelled == wanted.spelled else _STEM

    def _twists(self, slots: Iterable[Slot], used: set[int]) -> list[int]:
        matches = [self._matches(slot, used) for slot in slots]
        return list(dict.fromkeys(found[0][2] for found in matches if found))

    def _pick(self, reading: Reading, role: str, slot: Slot, used: set[int]) -> tuple[int, int, bool] | None:
        """The best bone for a slot, its kind of match and whether it hangs where it should."""
        matches = self._matches(slot, used)
        for kind, _, bone in matches:
            if self._hangs(reading, role, bone):
                return bone, kind, True
        return (matches[0][2], matches[0][0], False) if matches else None

    def _hangs(self, reading: Reading, role: str, bone: int) -> bool:
        """Whether a bone descends from the nearest role above it, as it does in every rig without controls."""
        if reading.family.control:
            return True
        if role == "root":
            return any(bone in self.tree.ancestors(pelvis) for pelvis in reading.bones.get("pelvis", ()))
        above = PARENT[role]
        while above not in ("", "root"):
            if found := reading.bones.get(above):
                return found[0 if above in CHAINS else -1] in self.tree.ancestors(bone)
            above = PARENT[above]
        return True

    def _in_line(self, reading: Reading, found: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
        """A chain's bones from the body outwards, without those that hang elsewhere when others do not."""
        placed = [pick for pick in found if pick[2]]
        chosen = placed or found
        if reading.family.control:
            return chosen
        chosen = sorted(chosen, key=lambda pick: len(self.tree.ancestors(pick[0])))
        line = chosen[-1:]
        for pick in reversed(chosen[:-1]):
            if pick[0] in self.tree.ancestors(line[0][0]):
                line.insert(0, pick)
        return line

    def _trim_spine(self, reading: Reading) -> None:
        """The spine is what leads from the pelvis to the head (Rigify has controls that lead down from the waist)."""
        top = reading.bones.get("neck") or reading.bones.get("head")
        spine = reading.bones.get("spine", [])
        if top:
            leading = [bone for bone in spine if bone in self.tree.ancestors(top[0])]
            for bone in spine if leading else []:
                if bone not in leading:
                    reading.trust.pop(bone)
            reading.bones["spine"] = leading or spine
        if not reading.bones.get("spine"):
            reading.bones.pop("spine", None)

    def _score(self, reading: Reading, used: set[int]) -> None:
        family, rig = reading.family, self.rig
        reading.faults = shape.faults(self.tree, reading.bones)
        for role in reading.faults:
            for bone in reading.bones.get(role, ()):
                reading.trust[bone] *= _MISPLACED
        weights = {role: _WEIGHT.get(role, 0.0) for role in family.bones}
        found = sum(
            weight * max((reading.trust[bone] for bone in reading.bones[role]), default=0.0)
            for role, weight in weights.items()
            if reading.bones.get(role)
        )
        recall = found / sum(_WEIGHT[role] for role in _WEIGHT)
        own = [bone for bone in range(len(rig.names)) if not self.machinery[bone]]
        explained = [b for b in own if b in used or (family.known and family.known.search(self.plain[b]))]
        marks = [any(map(mark.search, (*rig.names, *self.plain))) for mark in family.marks]
        telling = float(np.mean(reading.telling)) if reading.telling else 0.0
        sure = 0.5 + 0.15 * telling + 0.1 * len(explained) / max(1, len(own))
        sure += 0.25 * (float(np.mean(marks)) if marks else telling)
        reading.score = recall * sure * self._whole(reading.bones) * shape.uprightness(self.tree, reading.bones)

    def _whole(self, bones: dict[str, list[int]]) -> float:
        """Limbs are there or not; half a limb means that the names are another creature's."""
        limbs = [[f"{side}_{role}" for role in joints] for side in SIDES for joints in _LIMBS]
        halves = sum(0 < sum(role in bones for role in limb) < len(limb) for limb in limbs)
        return 0.75**halves


def _settle_sides(reader: _Reader, reading: Reading) -> None:
    """A rig whose "left" bones lie on its right: the body's own sides count."""
    body = shape.axes(reader.tree, reading.bones)
    if body is None or body.certainty < SURE:
        return
    joints = reader.tree.joints
    across = joints[reading.bones["left_hip"][0]] - joints[reading.bones["right_hip"][0]]
    if across @ body.left < 0:
        reading.bones = swapped(reading.bones)
        reading.twists = swapped(reading.twists)


def _sides_by_names(reader: _Reader, by_shape: Structure) -> dict[str, list[int]]:
    """A shape's roles; where it does not show which way the body faces, names may tell left from right."""
    body = shape.axes(reader.tree, by_shape.bones)
    if body is not None and body.certainty >= SURE:
        return by_shape.bones
    votes = 0
    for role, found in by_shape.bones.items():
        side = role.partition("_")[0]
        if side in SIDES:
            votes += sum((reader.names[b].side == side) - (reader.names[b].side == OTHER_SIDE[side]) for b in found)
    return swapped(by_shape.bones) if votes < 0 else by_shape.bones


def _agree(reading: Reading, by_shape: Structure) -> bool:
    """Whether names and shape say the same of most joints that both know."""
    common = [role for role in REQUIRED if reading.bones.get(role) and by_shape.bones.get(role)]
    return sum(reading.bones[role] == by_shape.bones[role] for role in common) > 0.7 * len(common)


def _fill(reader: _Reader, reading: Reading, by_shape: Structure) -> None:
    """Add roles that the names left open, where the shape agrees with the names on what both know."""
    if not _agree(reading, by_shape):
        return
    used = {bone for found in (*reading.bones.values(), *reading.twists.values()) for bone in found}
    for side in SIDES:  # some call the collar "shoulder", others the upper arm
        collar, shoulder = (by_shape.bones.get(f"{side}_{role}", []) for role in ("collar", "shoulder"))
        if collar and collar == reading.bones.get(f"{side}_shoulder") and not used & set(shoulder):
            reading.bones |= {f"{side}_collar": collar, f"{side}_shoulder": shoulder}
            reading.trust |= {bone: _BY_SHAPE * by_shape.score for bone in (*collar, *shoulder)}
            used.update(shoulder)
    for role, found in by_shape.bones.items():
        finger = role.split("_")[-1].rstrip("123")
        if finger in FINGERS and any(r.startswith(role.rstrip("123")) for r in reading.bones):
            continue  # a finger is named as a whole, or not at all
        if role == "root" or reading.bones.get(role) or used & set(found):
            continue
        reading.bones[role] = found
        reading.trust |= {bone: _BY_SHAPE * by_shape.score for bone in found}


def _mapping(
    rig: Rig,
    family: str,
    bones: dict[str, list[int]],
    twists: dict[str, list[int]],
    trust: dict[int, float],
    reader: _Reader,
) -> Mapping:
    mapped = {bone for found in bones.values() for bone in found}
    taken = mapped | {bone for found in twists.values() for bone in found}
    control = family in families() and families()[family].control
    left = [
        name
        for bone, name in enumerate(rig.names)
        if bone not in taken and not reader.machinery[bone] and not (control and reader.names[bone].layer)
    ]
    corrections: dict[str, Array] = {}
    return Mapping(
        family=family,
        bones={role: _named(rig, bones[role]) for role in ROLES if bones.get(role)},
        twists={role: _named(rig, twists[role]) for role in ROLES if twists.get(role)},
        confidence={rig.names[bone]: round(float(trust[bone]), 3) for bone in sorted(mapped)},
        corrections=corrections,
        unmapped=left,
    )


def _named(rig: Rig, bones: Iterable[int]) -> list[str]:
    return [rig.names[bone] for bone in bones]
