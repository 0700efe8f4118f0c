"""Rig families: what each calls its bones, read from `families/*.json`.

A file holds `label`, how it writes the two `sides`, and `bones`: role -> name, or a list of names for chains and
fingers. `a|b` are alternatives; `{side}` stands for the side; roles that start with `side_` exist twice. `twists` are
bones that share a role's roll, `known` patterns of its further bones, `marks` patterns that tell it from others
with the same names. `control` rigs are moved through controls that drive other bones: `switches` sets custom properties
so that these controls drive the rig, and `ik` names goals and poles.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FINGERS = ("thumb", "index", "middle", "ring", "pinky")
CHAINS = ("spine", "neck")
SIDES = ("left", "right")
UNKNOWN, NONE = "unknown", "none"  # a humanoid of no family; no humanoid

_LIMBS = {"collar": "spine", "shoulder": "collar", "elbow": "shoulder", "wrist": "elbow"} | {
    "hip": "pelvis", "knee": "hip", "ankle": "knee", "foot": "ankle", "eye": "head"
}  # fmt: skip
# role -> the role of the joint that it hangs from
PARENT = {"root": "", "pelvis": "root", "spine": "pelvis", "neck": "spine", "head": "neck", "jaw": "head"}
for _side in SIDES:
    PARENT |= {
        f"{_side}_{role}": parent if parent in PARENT else f"{_side}_{parent}" for role, parent in _LIMBS.items()
    }
    for _finger in FINGERS:
        for _k in (1, 2, 3):
            PARENT[f"{_side}_{_finger}{_k}"] = f"{_side}_wrist" if _k == 1 else f"{_side}_{_finger}{_k - 1}"
ROLES = tuple(PARENT)
CONTROLS = tuple(f"{side}_{role}" for side in SIDES for role in ("ankle_ik", "knee_pole", "wrist_ik", "elbow_pole"))
# Without these there is no body to retarget to.
REQUIRED = ("pelvis", "head") + tuple(
    f"{side}_{role}" for side in SIDES for role in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)

Slot = tuple[str, ...]  # names that one bone may have, the most usual first


def swapped(bones: dict[str, list[int]]) -> dict[str, list[int]]:
    """Role -> rows of bones, with left and right exchanged."""

    def other(role: str) -> str:
        side, _, rest = role.partition("_")
        return f"{SIDES[1 - SIDES.index(side)]}_{rest}" if side in SIDES else role

    return {other(role): rows for role, rows in bones.items()}


@dataclass(frozen=True)
class Family:
    """One family; `{side}` and `side_` are already filled in. See the module's text for the fields."""

    id: str
    label: str
    control: bool
    bones: dict[str, tuple[Slot, ...]]
    twists: dict[str, tuple[Slot, ...]]
    known: re.Pattern[str] | None
    marks: tuple[re.Pattern[str], ...]
    switches: tuple[tuple[str, str, float], ...]
    ik: dict[str, str]


@cache
def families() -> dict[str, Family]:
    """All families by id."""
    folder = Path(__file__).parent / "families"
    return {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}


def _read(path: Path) -> Family:
    data = json.loads(path.read_text("utf-8"))
    sides = dict(zip(SIDES, data["sides"], strict=True))
    known = data.get("known")
    switches: list[tuple[str, str, float]] = []
    for bone, values in data.get("switches", {}).items():
        names = [bone.format(side=written) for written in sides.values()] if "{side}" in bone else [bone]
        switches += [(name, key, value) for name in names for key, value in values.items()]
    return Family(
        id=path.stem,
        label=data["label"],
        control=data.get("control", False),
        bones=_slots(data["bones"], sides, split_fingers=True),
        twists=_slots(data.get("twists", {}), sides, split_fingers=False),
        known=re.compile("|".join(known)) if known else None,
        marks=tuple(re.compile(mark) for mark in data.get("marks", ())),
        switches=tuple(switches),
        ik={role: slots[0][0] for role, slots in _slots(data.get("ik", {}), sides, split_fingers=False).items()},
    )


def _slots(
    table: dict[str, str | list[str]], sides: dict[str, str], split_fingers: bool
) -> dict[str, tuple[Slot, ...]]:
    filled: dict[str, tuple[Slot, ...]] = {}
    for role, names in table.items():
        listed = [names] if isinstance(names, str) else names
        for side, written in sides.items() if role.startswith("side_") else [("", "")]:
            full = role.replace("side_", f"{side}_")
            slots = tuple(tuple(name.format(side=written).split("|")) for name in listed)
            if split_fingers and full.split("_")[-1] in FINGERS:
                filled |= {f"{full}{k}": (slot,) for k, slot in enumerate(slots, 1)}
            else:
                filled[full] = slots
    return filled
