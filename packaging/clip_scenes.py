"""The rendered clips: who does what where, and how the camera looks at it.

World: z up, floor at z = 0, metres, seconds. A heading of 0 looks towards -y, where most cameras stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from clip_body import MAN, WOMAN

from backend.core import rotations
from backend.core.rotations import Array, normalize

FPS = 30.0
SIZE = (960, 540)
# Of somebody who films while they walk: steps a second, metres to the sides, ahead and up, radians about x, y, z.
PACE, STEPS, SWAY = 1.8, (0.03, 0.02, 0.025), np.radians((0.8, 1.0, 1.2))


@dataclass(frozen=True)
class Actor:
    """A body and the motion that it performs.

    motion: name of a sequence in the file of motions, played from frame `start`; place (x, y) metres and heading
    (degrees) of the middle of it; looks: see `load_body`. raised: stands on the right leg and circles the left ankle in
    the air; ankles: degrees by which both turn beyond what the motion has. No ordinary motion does enough of that.
    talks: the mouth opens and closes.
    """

    motion: str
    start: int = 0
    place: tuple[float, float] = (0.0, 0.0)
    heading: float = 0.0
    looks: dict[str, float] = field(default_factory=lambda: MAN)
    size: float = 1.0
    raised: bool = False
    ankles: float = 0.0
    talks: bool = False
    clothes: dict[str, tuple[int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """A clip. eye and target (x, y, z) metres; roll degrees (the picture turns clockwise); focal in diagonals of the
    picture; follow: the camera turns after the first actor as far as this share of the way; dolly (x, y, z) m/s, and
    whether a walking hand holds the camera; shadows, and shaded creases: half of the time that a picture takes."""

    actors: tuple[Actor, ...]
    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    roll: float = 0.0
    focal: float = 1.0
    follow: float = 0.0
    dolly: tuple[float, float, float] = (0.0, 0.0, 0.0)
    walked: bool = False
    shadows: bool = True

    def camera(self, times: Array, pelvis: Array) -> tuple[Array, Array]:
        """-> R (T, 3, 3) and t (T, 3), x_camera = R x_world + t, for the first actor's pelvis (T, 3)."""
        eye = np.array(self.eye) + times[:, None] * np.array(self.dolly)
        if self.walked:
            eye = eye + STEPS * np.sin(2 * np.pi * PACE * times[:, None] * [0.5, 0.5, 1.0] + [0.0, 1.0, 2.0])
        path = np.apply_along_axis(lambda x: np.convolve(np.pad(x, 10, "edge"), np.ones(21) / 21, "valid"), 0, pelvis)
        target = np.array(self.target) + self.follow * (path - path.mean(0)) * [1, 1, 0]
        forward = normalize(target - eye)
        right = normalize(np.cross(forward, [0.0, 0.0, 1.0]))
        level = np.stack([right, np.cross(forward, right), forward], axis=-2)
        roll = rotations.to_matrix(rotations.from_axis_angle([0.0, 0.0, np.radians(self.roll)]))
        looking = roll @ level
        if self.walked:
            sway = SWAY * np.sin(2 * np.pi * PACE * times[:, None] * [1.0, 0.5, 0.5] + [0.5, 2.5, 4.0])
            looking = rotations.to_matrix(rotations.from_axis_angle(sway)) @ looking
        return looking, -np.einsum("tab,tb->ta", looking, eye)


RED, BLUE = {"shirt": (168, 52, 44), "shoes": (36, 34, 34)}, {"shirt": (52, 84, 160)}
GREEN = {"shirt": (64, 128, 80), "trousers": (70, 60, 52)}
WHITE = {"shirt": (214, 210, 200), "trousers": (44, 56, 88)}

# What the chain is measured on.
SCENES = {
    "level": Scene((Actor("13_29", 60, clothes=RED),), eye=(0.0, -4.6, 1.2), target=(0.0, 0.0, 0.95)),
    "tilted": Scene(
        (Actor("91_01", 120, looks=WOMAN, heading=20, clothes=BLUE),),
        eye=(1.2, -4.4, 3.4), target=(0, 0, 0.7), focal=1.2,
    ),
    "upwards": Scene(
        (Actor("06_15b", 10, heading=-25, clothes=WHITE),), eye=(-0.8, -3.9, 0.3), target=(0, 0, 1.15), focal=0.75
    ),
    "rolled": Scene(
        (Actor("55_01", 150, looks=WOMAN, size=1.04, clothes=GREEN),),
        eye=(0.6, -4.8, 1.5), target=(0, 0, 0.9), roll=22, focal=1.15,
    ),
    "behind": Scene(
        (Actor("13_10", 200, heading=170, clothes=BLUE),), eye=(0.0, -5.0, 1.5), target=(0, 0, 1.05), focal=0.9
    ),
    "away": Scene(
        (Actor("91_13", 150, place=(0.2, 0.4), heading=155, looks=WOMAN, clothes=RED),),
        eye=(0.0, -4.6, 1.7), target=(0, 0, 0.85), focal=1.1,
    ),
    "feet": Scene(
        (Actor("13_09", 60, heading=35, looks=WOMAN, raised=True, clothes=WHITE),),
        eye=(0.2, -2.6, 0.55), target=(0.1, 0, 0.78), focal=0.72,
    ),
    "crossing": Scene(
        (
            Actor("06_01", 16, place=(0.0, 0.45), heading=90, clothes=RED),
            Actor("07_01", 0, place=(0.0, -0.45), heading=-90, looks=WOMAN, clothes=GREEN),
        ),
        eye=(0.0, -6.0, 1.6), target=(0, 0, 0.85), focal=1.1,
    ),
    "panning": Scene(
        (Actor("91_17", 60, heading=75, clothes=WHITE),), eye=(0.0, -4.2, 1.5), target=(0, 0, 0.9), follow=1.0
    ),
}  # fmt: skip

# The same for cameras that travel.
TRAVELLING = {
    "beside": Scene(
        (Actor("07_01", 0, heading=90, clothes=RED),),
        eye=(-1.9, -4.0, 1.5), target=(0, 0, 0.9), follow=1.0, dolly=(1.25, 0, 0), walked=True,
    ),
    "ahead": Scene(
        (Actor("06_01", 16, heading=10, looks=WOMAN, clothes=GREEN),),
        eye=(0.4, -4.0, 1.6), target=(0, 0, 0.9), follow=0.5, dolly=(0, -1.0, 0), walked=True,
    ),
    "after": Scene(
        (Actor("91_17", 60, heading=160, clothes=WHITE),),
        eye=(0.5, -5.2, 1.5), target=(0, 0, 0.9), follow=0.8, dolly=(0.2, 0.9, 0), walked=True,
    ),
    "around": Scene(
        (Actor("13_29", 60, heading=20, looks=WOMAN, clothes=BLUE),),
        eye=(-2.0, -3.8, 1.4), target=(0, 0, 0.95), dolly=(1.3, -0.1, 0), walked=True,
    ),
    "past": Scene(
        (Actor("13_10", 200, heading=-40, clothes=RED),),
        eye=(-1.2, -4.6, 1.5), target=(0, 0, 0.9), dolly=(0.8, 0.3, 0), walked=True,
    ),
}  # fmt: skip

# Mouths; in all other clips they are closed.
TALKING = {
    "talking": Scene(
        (Actor("13_29", 60, talks=True, clothes=RED),), eye=(0.3, -2.2, 1.5), target=(0, 0, 1.35), focal=1.2
    ),
    "calling": Scene(
        (Actor("91_01", 120, heading=15, looks=WOMAN, talks=True, clothes=BLUE),),
        eye=(0.3, -3.0, 1.5), target=(0, 0, 1.1),
    ),
}  # fmt: skip


def random_scenes(motions: dict[str, Array], count: int, frames: int, seed: int) -> dict[str, Scene]:
    """What detectors are measured on: other motions, as many of each category as there are, in front of cameras all
    around; the same each time with the same seed."""
    random = np.random.default_rng(seed)
    usable = np.flatnonzero((motions["seq_length"] >= frames) & motions["seq_flat_floor"])
    kinds = motions["seq_category"][usable]
    waiting = {kind: list(random.permutation(usable[kinds == kind])) for kind in np.unique(kinds)}
    count = min(count, len(usable))
    chosen: list[int] = []
    while len(chosen) < count:
        turns = [kind for kind in random.permutation(list(waiting)) if waiting[kind]]
        chosen += [waiting[kind].pop() for kind in turns[: count - len(chosen)]]
    return {f"random{k:02d}": _random_scene(random, motions, which, frames) for k, which in enumerate(chosen)}


def _random_scene(random: np.random.Generator, motions: dict[str, Array], which: int, frames: int) -> Scene:
    actor = Actor(
        str(motions["seq_name"][which]),
        int(random.integers(motions["seq_length"][which] - frames + 1)),
        heading=random.uniform(0, 360),
        looks=_random_looks(random),
        size=random.uniform(0.92, 1.08),
        ankles=random.uniform(10, 35) if random.random() < 0.4 else 0.0,
        clothes=_random_clothes(random),
    )
    low, high = ((0.3, 1.0), (1.0, 1.8), (1.8, 3.6))[random.choice(3, p=(0.2, 0.5, 0.3))]
    distance = random.uniform(3.4, 6.0)
    close = random.uniform(1.3, 2.0) if random.random() < 0.15 else 1.0  # the picture cuts people off
    return Scene(
        (actor,),
        eye=(0.0, -distance, random.uniform(low, high)),
        target=(random.normal(0, 0.2), 0.0, random.normal(0.9, 0.1) if close == 1.0 else random.uniform(0.4, 1.4)),
        roll=random.uniform(-30, 30) if random.random() < 0.2 else random.normal(0, 2),
        focal=close * distance / random.uniform(3.6, 5.2),
        follow=float(random.random() < 0.2),
        shadows=False,
    )


def _random_looks(random: np.random.Generator) -> dict[str, float]:
    """Women and men from three continents, slender to stout."""
    sex, origin = random.choice(("female", "male")), random.choice(("african", "asian", "caucasian"))
    build = "-".join(random.choice(("max", "min")) + what for what in ("muscle", "weight"))
    return {f"{origin}-{sex}-young": 1.0, f"universal-{sex}-young-{build}": random.uniform(0.0, 0.8)}


def _random_clothes(random: np.random.Generator) -> dict[str, tuple[int, int, int]]:
    """Clothes of any colour, skin and hair of those that people have."""

    def between(dark: tuple[int, int, int], light: tuple[int, int, int]) -> tuple[int, int, int]:
        red, green, blue = (int(value) for value in np.array(dark) + random.random() * np.subtract(light, dark))
        return red, green, blue

    worn = {part: tuple(int(value) for value in random.integers(25, 230, 3)) for part in ("shirt", "trousers", "shoes")}
    return {**worn, "skin": between((84, 56, 42), (228, 184, 156)), "hair": between((24, 20, 18), (190, 160, 110))}
