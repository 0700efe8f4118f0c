"""Bone names reduced to what they say: a side, a stem of plain words, and whether the bone is rigging machinery."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LEFT, RIGHT, MIDDLE = "left", "right", ""
OTHER_SIDE = {LEFT: RIGHT, RIGHT: LEFT, MIDDLE: MIDDLE}

# Prefixes that name the kind of rig and say nothing about the bone.
_PREFIXES = re.compile(
    r"mixamorig\d*[:_]?|valvebiped[._]|bip\d+[ _]|bip[ _](?=[lr][ _])|j_(?:bip|adj|sec)_(?:c_)?|(?:cc|rl)_base_"
    r"|genesis\d\w*?_",
    re.IGNORECASE,
)
# Layers of generated rigs: deforming, original and mechanism bones, visual helpers.
_LAYERS = re.compile(r"(DEF|ORG|MCH|VIS|WGT)[-_]")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_SIDES = {"l": LEFT, "left": LEFT, "lf": LEFT, "lft": LEFT, "r": RIGHT, "right": RIGHT, "rt": RIGHT, "rgt": RIGHT}
_GLUED_SIDE = re.compile(r"(left|right)(?=[a-z]{3})")
_DUPLICATE = re.compile(r"\.\d{3}$")
_EVERYWHERE = 0.85  # share of a rig's bones; a word at the start or end of that many names distinguishes none of them


@dataclass(frozen=True)
class Name:
    """What a bone's name says.

    stem: lower-case words without separators, numbers without leading zeros; spelled: the same with them.
    layer: "DEF", "ORG", "MCH", ... of generated rigs, else "".
    """

    side: str
    stem: str
    spelled: str
    layer: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.side, self.stem


@lru_cache(maxsize=4096)
def canonical(name: str, noise: frozenset[str] = frozenset()) -> Name:
    """Read one name; words of `noise` (see `noise_words`) at its start or end are skipped."""
    layer, words = _split(name)
    while len(words) > 1 and words[0] in noise:
        words = words[1:]
    while len(words) > 1 and words[-1] in noise:
        words = words[:-1]
    side, rest = _take_side(words)
    stem = spelled = ""
    for word in rest:
        joint = "_" if word.isdigit() and stem[-1:].isdigit() else ""  # "finger1-2" is not "finger12"
        stem += joint + (str(int(word)) if word.isdigit() else word)
        spelled += joint + word
    return Name(side, stem, spelled, layer)


def noise_words(names: Iterable[str]) -> frozenset[str]:
    """Words that nearly all bones of a rig start or end with: a character's name, "_jnt", ..."""
    split = [words for words in (_split(name)[1] for name in names) if words]
    if len(split) < 8:
        return frozenset()
    found: set[str] = set()
    while True:  # after one prefix there may be another one
        ends = [end for words in split if (rest := [w for w in words if w not in found]) for end in {rest[0], rest[-1]}]
        new = {
            word
            for word in set(ends)
            if not word.isdigit() and word not in _SIDES and ends.count(word) >= _EVERYWHERE * len(split)
        }
        if not new:
            return frozenset(found)
        found |= new


def without_copy_number(name: str) -> str:
    """`Hips.001`, which Blender names a second bone, -> `Hips`."""
    return _DUPLICATE.sub("", name)


def _split(name: str) -> tuple[str, tuple[str, ...]]:
    """The layer and the words of a name, lower case."""
    text = unicodedata.normalize("NFKC", name)
    text = re.split(r"[:|]", text)[-1]
    layer = ""
    if found := _LAYERS.match(text):
        layer, text = found[1], text[found.end() :]
    while found := _PREFIXES.match(text):
        text = text[found.end() :]
    if text.endswith(".x"):  # Auto-Rig Pro's mark of bones in the middle
        text = text[:-2]
    text = re.sub("左", " left ", text)
    text = re.sub("右", " right ", text)
    words = [word.lower() for word in _WORDS.findall(text)]
    return layer, tuple(part for word in words for part in _GLUED_SIDE.sub(r"\1 ", word).split())


def _take_side(words: Sequence[str]) -> tuple[str, list[str]]:
    for i, word in enumerate(words):
        if word in _SIDES and len(words) > 1:
            return _SIDES[word], [*words[:i], *words[i + 1 :]]
    return MIDDLE, list(words)
