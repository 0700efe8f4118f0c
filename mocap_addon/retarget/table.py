"""The mapping as the sidebar shows it: a row for every role, in the words of animators."""

from __future__ import annotations

from ...backend.core.skeleton import FINGERS
from .model import Mapping

CHAINS = ("spine", "neck")
MIDDLE = {"root": "Root", "pelvis": "Hips", "spine": "Spine", "neck": "Neck", "head": "Head", "jaw": "Jaw"}
SIDED = {
    "collar": "shoulder", "shoulder": "upper arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh", "knee": "shin",
    "ankle": "foot", "foot": "toes", "eye": "eye",
    **{f"{finger}{k}": f"{finger} {k}" for finger in ("thumb", *sorted(set(FINGERS) - {"thumb"})) for k in (1, 2, 3)},
    "ankle_ik": "foot IK", "knee_pole": "knee pole", "wrist_ik": "hand IK", "elbow_pole": "elbow pole",
}  # fmt: skip
LABELS = MIDDLE | {
    f"{side}_{part}": f"{side.title()} {word}" for side in ("left", "right") for part, word in SIDED.items()
}
ROLES = tuple(LABELS)

# Without these nobody can be moved. Spine, neck, hands, fingers and toes may be missing.
REQUIRED = (
    "pelvis",
    *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "shoulder", "elbow")),
)

Row = tuple[str, str, bool]  # role, bone (may be ""), whether it is a twist bone of the role


def label(role: str, twist: bool = False) -> str:
    """What a role is called."""
    return LABELS.get(role, role) + (" twist" if twist else "")


def rows_of(mapping: Mapping) -> list[Row]:
    """A row for each bone with a role, and an empty one for each role without a bone."""
    rows: list[Row] = []
    for role in ROLES:
        rows += [(role, bone, False) for bone in mapping.bones.get(role) or [""]]
        rows += [(role, bone, True) for bone in mapping.twists.get(role, [])]
    return rows


def bones_of(rows: list[Row], twists: bool) -> dict[str, list[str]]:
    """Role -> bones, of the rows that name a bone."""
    found: dict[str, list[str]] = {}
    for role, bone, twist in rows:
        if bone and twist == twists:
            found.setdefault(role, []).append(bone)
    return found


def missing(mapping: Mapping) -> list[str]:
    """Required roles without a bone, as they are called."""
    return [label(role) for role in REQUIRED if not mapping.bones.get(role)]


def doubled(mapping: Mapping) -> list[str]:
    """Bones that have more than one role."""
    names = [bone for group in (mapping.bones, mapping.twists) for bones in group.values() for bone in bones]
    return sorted({name for name in names if names.count(name) > 1})
