"""Bone names reduced to what they say: a side, a stem of plain words, and whether the bone is rigging machinery."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

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
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+|[^\W0-9_a-zA-Z]+")
_SIDES = {"l": LEFT, "left": LEFT, "lf": LEFT, "lft": LEFT, "r": RIGHT, "right": RIGHT, "rt": RIGHT, "rgt": RIGHT}
_GLUED_SIDE = re.compile(r"(left|right)(?=[a-z]{3})")
_COPY_NUMBER = re.compile(r"\.\d{3}$")
_SEPARATORS = " _.:|-"
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


class Noise(NamedTuple):
    """Words at the start and at the end of a rig's names that say nothing, because nearly all have them."""

    before: frozenset[str]
    after: frozenset[str]


NO_NOISE = Noise(frozenset(), frozenset())


@lru_cache(maxsize=4096)
def canonical(name: str, noise: Noise = NO_NOISE) -> Name:
    """Read one name; the rig's `noise_words` are skipped."""
    layer, words = _split(name)
    while len(words) > 1 and words[0] in noise.before:
        words = words[1:]
    while len(words) > 1 and words[-1] in noise.after:
        words = words[:-1]
    side, rest = _take_side(words)
    stem = spelled = ""
    for word in rest:
        joint = "_" if _number(word) and _number(stem[-1:]) else ""  # "finger1-2" is not "finger12"
        stem += joint + (str(int(word)) if _number(word) else word)
        spelled += joint + word
    return Name(side, stem, spelled, layer)


def noise_words(names: Iterable[str]) -> Noise:
    """Words that nearly all bones of a rig start or end with: a character's name, "_jnt", ..."""
    split = [words for words in (_split(name)[1] for name in names) if words]
    if len(split) < 8:
        return NO_NOISE
    return Noise(_shared(split), _shared([words[::-1] for words in split]))


def _shared(split: list[tuple[str, ...]]) -> frozenset[str]:
    """Words that nearly all names start with, one after the other."""
    found: set[str] = set()
    while True:
        first = Counter(next((word for word in words if word not in found), "") for words in split)
        word, count = first.most_common(1)[0]
        if not word or (_number(word) and not found) or word in _SIDES or count < _EVERYWHERE * len(split):
            return frozenset(found)
        found.add(word)


def plain_names(names: Sequence[str]) -> list[str]:
    """Names without namespaces, what all of them begin with up to a separator, and the copy number of a copied rig."""
    plain = [re.split(r"[:|]", name)[-1] for name in names]
    if sum(bool(_COPY_NUMBER.search(name)) for name in plain) >= _EVERYWHERE * len(plain):
        plain = [without_copy_number(name) for name in plain]
    first, last = min(plain, default=""), max(plain, default="")  # what these two share, all between them share
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    cut = max(first.rfind(mark, 0, same) for mark in _SEPARATORS) + 1 if len(plain) > 1 else 0
    return [name[cut:] for name in plain]


def without_copy_number(name: str) -> str:
    """`Hips.001`, which Blender names a second bone, -> `Hips`."""
    return _COPY_NUMBER.sub("", name)


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


def _number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _take_side(words: Sequence[str]) -> tuple[str, list[str]]:
    for i, word in enumerate(words):
        if word in _SIDES and len(words) > 1:
            return _SIDES[word], [*words[:i], *words[i + 1 :]]
    return MIDDLE, list(words)
