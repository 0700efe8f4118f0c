"""What the pipeline would have seen of a motion: random bodies, cameras, and detectors with the faults of real ones.

Everything is batched torch, cheap enough to be made anew for each training step. World: y up, metres. Camera:
OpenCV's (x right, y down, z forward). Pixels are measured in units of the picture's diagonal, so that focal 1 is the
usual guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from ..body.tokens import BOX_MARGIN, FEW, HINTS, KEYPOINTS, SEEN, TURN_SCALE
from ..core import keypoints, skeleton
from .footmr import FOOT_KEYPOINTS
from .kinematics import attached, forward_kinematics, matrix_from_axis_angle, matrix_to_6d

_JOINT = skeleton.INDEX
_BODY = skeleton.neutral()
_OFFSETS = torch.from_numpy(_BODY.offsets[:22]).float()
# Landmarks that no joint gives, on the joints that carry them (metres, rest frame).
_CARRIED = {
    "nose": ("head", (0.0, 0.053, 0.1)),
    "left_eye": ("head", (0.032, 0.09, 0.085)),
    "right_eye": ("head", (-0.032, 0.09, 0.085)),
    "left_ear": ("head", (0.075, 0.06, 0.0)),
    "right_ear": ("head", (-0.075, 0.06, 0.0)),
    **{name: (skeleton.JOINTS[j], tuple(p)) for name, (j, p) in _BODY.points.items() if name in skeleton.FOOT_POINTS},
}
_POINTS = keypoints.BODY + keypoints.FEET
_FROM_JOINT = [(k, _JOINT[name]) for k, name in enumerate(_POINTS) if name in _JOINT]
_FROM_POINT = [(k, *_CARRIED[name]) for k, name in enumerate(_POINTS) if name in _CARRIED]
_HINT_POINTS = [_POINTS.index(name.replace("foot_index", "big_toe")) for name in HINTS]
_HINT_HIPS = [HINTS.index("left_hip"), HINTS.index("right_hip")]
# Depth errors along a limb: share of the last point's that is kept, and the point's own bias and noise in metres.
_CHAINS = (
    {"shoulder": (0.0, 0.035, 0.025), "elbow": (0.7, 0.03, 0.04), "wrist": (0.9, 0.06, 0.07)},
    {"hip": (0.0, 0.01, 0.008), "knee": (1.0, 0.06, 0.03), "ankle": (0.9, 0.06, 0.04), "foot_index": (1.0, 0.06, 0.04)},
)
_SIDES = keypoints.mirrored(_POINTS)
_LEGS = [k for k, n in enumerate(_POINTS) if any(p in n for p in ("hip", "knee", "ankle", "toe", "heel"))]
_ARMS = [k for k, n in enumerate(_POINTS) if any(p in n for p in ("shoulder", "elbow", "wrist"))]
_IS_SMALL_TOE = ["small_toe" in name for name in _POINTS]
_IS_FOOT = [name in keypoints.FEET for name in _POINTS]


def _by_part(**parts: float) -> Tensor:
    """A number for each of the 23 points, by the part of the body that is in its name."""
    return torch.tensor([next(value for part, value in parts.items() if part in name) for name in _POINTS])


# Where the embedded detectors see feet on the same clips (out, up, ahead; metres): heels above the sole, toes behind
# their tips.
_SEEN_AT = {"heel": (0.012, 0.060, 0.033), "big_toe": (0.016, 0.014, -0.066), "ankle": (0.010, 0.032, 0.015)}
RESTS, MOVES = 0.10, 0.25  # m/s: what is slower rests, what is faster moves
SWAY = 8  # frames: how quickly limbs change their mind where motion is made up
_FEET = [_JOINT["left_foot"], _JOINT["right_foot"]]
# How far joints of loosened bodies are from what was captured, but for legs, which would make feet slide: one standard
# deviation about each axis, degrees.
_SPREAD = {"spine": 4.0, "neck": 6.0, "head": 8.0, "collar": 8.0, "shoulder": 8.0, "elbow": 5.0}
_LOOSE = {j: angle for j, n in enumerate(skeleton.JOINTS[:22]) for part, angle in _SPREAD.items() if part in n}
_LEG_JOINTS = {_JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle", "foot")}
# How the embedded detectors err (docs/detectors.md). Standard deviations as shares of the box:
_BIAS = _by_part(nose=0.013, eye=0.010, ear=0.013, shoulder=0.011, elbow=0.011, wrist=0.010, hip=0.008, knee=0.007,
                 ankle=0.011, toe=0.011, heel=0.014)  # fmt: skip
_NOISE = _by_part(nose=0.012, eye=0.010, ear=0.012, shoulder=0.013, elbow=0.016, wrist=0.015, hip=0.012, knee=0.013,
                  ankle=0.014, toe=0.020, heel=0.018)  # fmt: skip
# How far from the joint's centre a point is seen, metres a person.
_VAGUE = _by_part(nose=0.0, eye=0.0, ear=0.0, shoulder=0.015, elbow=0.010, wrist=0.010, hip=0.018, knee=0.010,
                  ankle=0.010, toe=0.0, heel=0.0)  # fmt: skip


@dataclass
class Batch:
    """Inputs as the networks take them, and the truth. B clips of L frames.

    obs (B, L, 23, 3), cliff_cam (B, L, 3), cam_angvel (B, L, 6), hints (B, L, 58): see `Lifter.forward`.
    local (B, L, 22, 3, 3) with the root in camera space; gravity (B, L, 3, 3) the root in gravity-view coordinates;
    velocity (B, L, 3) m/s in the root's axes; static (B, L, 6) in 0..1: how surely heels and toes stand and wrists
    rest; offsets (B, 22, 3) metres; joints (B, L, 22, 3) metres, camera space; bones (B, 21) logarithm of each bone's
    length beside the neutral body's of that size; down (B, L, 3) gravity's direction in camera space.
    """

    obs: Tensor
    cliff_cam: Tensor
    cam_angvel: Tensor
    hints: Tensor
    local: Tensor
    gravity: Tensor
    velocity: Tensor
    static: Tensor
    offsets: Tensor
    bones: Tensor
    joints: Tensor
    down: Tensor

    def rows(self, rows: slice) -> Batch:
        """Some of the clips."""
        return Batch(**{name: tensor[rows] for name, tensor in vars(self).items()})

    @staticmethod
    def interleaved(one: Batch, two: Batch) -> Batch:
        """The clips of two batches of the same size by turns."""
        return Batch(**{k: torch.stack([x, getattr(two, k)], 1).flatten(0, 1) for k, x in vars(one).items()})

    def without_feet(self) -> Batch:
        """As a detector sees it that knows COCO's 17 keypoints only, and gives no 3D points."""
        feet = torch.tensor(_IS_FOOT, device=self.obs.device)[:, None]
        return replace(self, obs=torch.where(feet, 0.0, self.obs), hints=torch.zeros_like(self.hints))

    @property
    def foot_obs(self) -> Tensor:
        """(B, L, 8, 3): what FootMR sees."""
        return self.obs[:, :, list(FOOT_KEYPOINTS)]


class Synthesiser:
    """Makes batches from windows of motion.

    noise: 0 none, 1 that of the embedded detectors (docs/detectors.md), 2 a bad day; None: anything from 0.3 to 1.7.
    Motion capture is poor in some things, so that a share of the clips is changed. feet: ankles moved as people rarely
    move them. mixed: one motion's upper body on another's legs. spun: turned any way at all. loose: the upper body
    held a little otherwise, collar bones too, which motion capture leaves still.
    """

    def __init__(
        self,
        seed: int,
        noise: float | None = None,
        feet: float = 0.0,
        mixed: float = 0.0,
        spun: float = 0.0,
        loose: float = 0.0,
    ) -> None:
        self._random = torch.Generator(torch.get_default_device()).manual_seed(seed)
        self._noise = noise
        self._shares = feet, mixed, spun, loose

    def __call__(self, local: Tensor, trans: Tensor, contacts: Tensor, rate: Tensor) -> Batch:
        """local (B, L, 22, 3, 3) and trans (B, L, 3) in the world; contacts (B, L, 4); rate (B,) frames a second."""
        draw = _Draw(self._random, len(local))
        feet, mixed, spun, loose = self._shares
        local = other_feet(draw, other_upper_bodies(draw, local, mixed), feet)
        local = loosened(draw, local, loose)
        local, trans = turned_over(draw, local, trans, spun)
        offsets, bones, size, foot = random_body(draw)
        trans = trans * size[:, None, None]
        pace = rate[:, None, None]
        turned, joints = forward_kinematics(local, offsets[:, None].expand(-1, local.shape[1], -1, -1), trans)
        level = draw.between(0.3, 1.7) if self._noise is None else torch.full((len(local),), self._noise)
        level = level[:, None, None, None]
        embedded = draw.chance(0.75)
        points = keypoints_3d(draw, turned, joints, size, foot, embedded, level)
        camera, eye, focal, picture = random_cameras(draw, joints)
        seen = (points - eye[:, :, None]) @ camera.transpose(-1, -2)
        obs, box, hints = _detect(draw, seen, size, focal, picture, embedded, level)
        cliff = torch.cat([box[..., :2] / focal[:, None, None], box[..., 2:] / focal[:, None, None]], -1)

        step = camera[:, 1:] @ camera[:, :-1].transpose(-1, -2)
        step = torch.cat([step, step[:, -1:]], 1)
        turn = TURN_SCALE * (matrix_to_6d(step) - torch.tensor([1.0, 0, 0, 0, 1, 0]))

        root_world = local[:, :, 0]
        in_camera = local.clone()
        in_camera[:, :, 0] = camera @ root_world
        down = -camera[..., 1]  # the world's -y, in camera axes
        gravity = view_from_gravity(down) @ in_camera[:, :, 0]
        move = torch.diff(trans, dim=1) * pace
        move = torch.cat([move, move[:, -1:]], 1)
        velocity = (root_world.transpose(-1, -2) @ move[..., None])[..., 0]
        wrists = joints[:, :, [_JOINT["left_wrist"], _JOINT["right_wrist"]]]
        soles = sole_points(turned, joints, size * foot)
        static = torch.cat([contacts * resting(soles, pace), resting(wrists, pace)], -1)
        in_view = (joints - eye[:, :, None]) @ camera.transpose(-1, -2)
        return Batch(
            obs, cliff, turn, hints, in_camera, gravity, velocity / size[:, None, None],
            static, offsets, bones, in_view, down,
        )  # fmt: skip


@dataclass
class _Draw:
    """Random numbers for a batch of B."""

    random: Generator
    count: int

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.random)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.count, *shape, generator=self.random)

    def chance(self, probability: float, *shape: int) -> Tensor:
        return torch.rand(self.count, *shape, generator=self.random) < probability

    def span(self, frames: int, shortest: int, longest: int) -> Tensor:
        """(B, L) bool: one random stretch of frames each."""
        length = self.between(shortest, longest)[:, None]
        start = self.between(-0.2, 1.0)[:, None] * frames
        step = torch.arange(frames)[None]
        return (step >= start) & (step < start + length)

    def sway(self, frames: int, *shape: int) -> Tensor:
        """What a limb does (B, L, ...), of unit variance: partly held, partly moved as smoothly as people move."""
        reach = torch.arange(-3 * SWAY, 3 * SWAY + 1)
        kernel = torch.exp(-0.5 * (reach / SWAY) ** 2)
        moved = self._filtered(torch.randn(self.count, frames + 6 * SWAY, *shape, generator=self.random), kernel)
        return 0.6 * self.normal(1, *shape) + 0.8 * moved

    def wander(self, frames: int, *shape: int, memory: float) -> Tensor:
        """Noise (B, L, ...) of unit variance that is alike from frame to frame (first-order autoregressive); without a
        shape (B, L, 1)."""
        shape = shape or (1,)
        # The impulse response of the filter, all frames at once: far quicker than a loop.
        reach = min(frames, max(2, int(4 / (1 - memory))))
        white = torch.randn(self.count, frames + reach - 1, *shape, generator=self.random)
        return self._filtered(white, memory ** torch.arange(reach).flip(0).float())

    def _filtered(self, white: Tensor, kernel: Tensor) -> Tensor:
        """White noise (B, L + K - 1, ...) through a filter (K,) over time, of unit variance again. -> (B, L, ...)"""
        frames = white.shape[1] - len(kernel) + 1
        place = torch.arange(white.shape[1])[:, None] - torch.arange(frames)
        taps = (kernel / kernel.norm())[place.clamp(0, len(kernel) - 1)]
        taps = torch.where((place >= 0) & (place < len(kernel)), taps, 0.0)
        return torch.tensordot(white, taps, dims=([1], [0])).movedim(-1, 1)


def random_body(draw: _Draw) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bone offsets (B, 22, 3) in metres, their lengths' logarithms (B, 21) beside the neutral body of that size,
    overall size (B,), and that of the feet beside it (B,): people are 15% larger or smaller, parts 5% more, and shoes
    are longer than feet."""
    size, foot = draw.between(0.85, 1.15), draw.between(0.92, 1.25)
    part = 1 + 0.05 * draw.normal(22).clamp(-2, 2)
    part = 0.5 * (part + part[:, skeleton.MIRROR[:22]])  # left and right alike
    part[:, _FEET] = foot[:, None]
    return _OFFSETS.to(size.device) * (size[:, None] * part)[..., None], part[:, 1:].log(), size, foot


def other_upper_bodies(draw: _Draw, local: Tensor, share: float) -> Tensor:
    """Some clips with the spine, arms and head of another clip of the batch."""
    chosen = draw.chance(share)[:, None, None, None]
    out = local.clone()
    upper = [j for j in range(1, 22) if j not in _LEG_JOINTS]
    out[:, :, upper] = torch.where(chosen[..., None], local.roll(1, 0)[:, :, upper], local[:, :, upper])
    return out


def other_feet(draw: _Draw, local: Tensor, share: float) -> Tensor:
    """Some clips with ankles and toes moved beyond what people do every day (FootMR: foot diversity is poor)."""
    frames = local.shape[1]
    chosen = draw.chance(share)[:, None, None]
    out = local.clone()
    for ankle, toes in ((7, 10), (8, 11)):
        turn = draw.sway(frames, 3) * torch.deg2rad(torch.tensor([25.0, 15.0, 15.0]))
        out[:, :, ankle] = local[:, :, ankle] @ matrix_from_axis_angle(turn * chosen)
        bend = torch.deg2rad(15.0 * draw.sway(frames, 1)) * torch.tensor([1.0, 0.0, 0.0])
        out[:, :, toes] = local[:, :, toes] @ matrix_from_axis_angle(bend * chosen)
    return out


def loosened(draw: _Draw, local: Tensor, share: float) -> Tensor:
    """Some clips with the joints above the hips held a little otherwise, each in its own way."""
    joints = list(_LOOSE)
    spread = torch.deg2rad(torch.tensor(list(_LOOSE.values())))[:, None] * draw.chance(share)[:, None, None, None]
    out = local.clone()
    out[:, :, joints] = local[:, :, joints] @ matrix_from_axis_angle(draw.sway(local.shape[1], len(joints), 3) * spread)
    return out


def turned_over(draw: _Draw, local: Tensor, trans: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Some clips turned as a whole about their first pelvis, uniformly over all rotations (FootMR, section 3.3)."""
    q = F.normalize(draw.normal(4), dim=-1)
    angle = 2 * torch.atan2(q[:, 1:].norm(dim=-1, keepdim=True), q[:, :1])
    angle = torch.where(draw.chance(share)[:, None], angle, 0.0)
    turn = matrix_from_axis_angle(F.normalize(q[:, 1:], dim=-1) * angle)
    out = local.clone()
    out[:, :, 0] = turn[:, None] @ local[:, :, 0]
    start = trans[:, :1]
    return out, (trans - start) @ turn.transpose(-1, -2) + start


def keypoints_3d(
    draw: _Draw, turned: Tensor, joints: Tensor, size: Tensor, foot: Tensor, embedded: Tensor, level: Tensor
) -> Tensor:
    """The 23 body and foot keypoints (B, L, 23, 3) in metres of posed bodies of the given size (B,), whose feet are
    `foot` (B,) times as long as that says.

    Detectors place each point elsewhere on the body than the skeleton does, and on each person elsewhere again;
    embedded (B,): whether the embedded ones look.
    """
    aside = embedded * draw.between(0.8, 1.2) * (level[:, 0, 0, 0] > 0) * size
    out = joints.new_empty(*joints.shape[:2], KEYPOINTS, 3)
    places, names, offsets = zip(*_FROM_POINT, strict=True)
    longer = torch.where(torch.tensor([_POINTS[k] in keypoints.FEET for k in places]), foot[:, None], 1.0)
    rest = torch.tensor(offsets, dtype=torch.float32)[None, None] * (size[:, None] * longer)[:, None, :, None]
    rest = rest + aside[:, None, None, None] * _seen_at(places)
    rest = (rest + 0.008 * level * draw.normal(1, len(names), 3)).expand(*joints.shape[:2], -1, -1)
    out[:, :, list(places)] = attached(turned, joints, [_JOINT[n] for n in names], rest)
    near, carriers = ([pair[i] for pair in _FROM_JOINT] for i in (0, 1))
    vague = level * _VAGUE[near, None].to(level.device)
    shift = vague * draw.normal(1, len(near), 3) + aside[:, None, None, None] * _seen_at(near)
    shift = shift.expand(*joints.shape[:2], -1, -1)
    out[:, :, near] = attached(turned, joints, carriers, shift)
    return out


def _seen_at(points: Sequence[int]) -> Tensor:
    """(N, 3) metres from where keypoints are on the neutral body to where the embedded detectors see them."""
    out = torch.zeros(len(points), 3)
    for row, name in enumerate(_POINTS[k] for k in points):
        side, _, part = name.partition("_")
        if part in _SEEN_AT:
            out[row] = torch.tensor(_SEEN_AT[part]) * torch.tensor([1.0 if side == "left" else -1.0, 1.0, 1.0])
    return out


def sole_points(turned: Tensor, joints: Tensor, size: Tensor) -> Tensor:
    """Heels and toes (B, L, 4, 3) in metres, in `skeleton.CONTACTS` order, of feet of the given size (B,)."""
    points = [_BODY.points[name] for name in skeleton.FOOT_POINTS]
    rest = torch.tensor(np.array([place for _, place in points]), dtype=torch.float32) * size[:, None, None, None]
    rest = rest.expand(*joints.shape[:2], -1, -1)
    found = attached(turned, joints, [joint for joint, _ in points], rest)
    toes, heels = (found[:, :, k::3] for k in (0, 2))
    return torch.stack([heels, 0.5 * (toes + found[:, :, 1::3])], -2).flatten(2, 3)


def resting(points: Tensor, pace: Tensor) -> Tensor:
    """How much points (B, L, N, 3) rest, (B, L, N) in 0..1; pace (B, 1, 1) frames a second. Motion capture's own
    contacts glide, and limbs that were changed here carry feet along."""
    speed = torch.diff(points, dim=1).norm(dim=-1) * pace
    speed = torch.cat([speed, speed[:, -1:]], 1)
    return ((MOVES - speed) / (MOVES - RESTS)).clamp(0.0, 1.0)


def random_cameras(draw: _Draw, joints: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cameras around the moving bodies joints (B, L, 22, 3).

    -> rotation world to camera (B, L, 3, 3), position (B, L, 3) metres, focal (B,), half picture (B, 2); the last two
    in diagonals.
    """
    frames = joints.shape[1]
    usual = draw.chance(0.5)
    pitch = torch.where(usual, torch.deg2rad(5 + 10 * draw.normal()), torch.deg2rad(draw.between(-30, 60)))
    upright = draw.chance(0.75)
    roll = torch.where(upright, torch.deg2rad(2.5 * draw.normal()), torch.deg2rad(draw.between(-45, 45)))
    yaw = draw.between(0, 2 * torch.pi)
    focal = torch.exp(draw.between(-0.5, 0.9))
    aspect = torch.tensor([16 / 9, 9 / 16, 4 / 3, 1.0])[torch.randint(4, (draw.count,), generator=draw.random)]
    half = 0.5 * torch.stack([aspect, torch.ones_like(aspect)], -1)
    half = half / (2 * half.norm(dim=-1, keepdim=True))

    # Far enough away that the body takes the wanted share of the picture's height.
    share = draw.between(0.25, 1.0)
    distance = (focal * 1.75 / (share * 2 * half[:, 1])).clamp(1.3, 25.0)
    centre = joints[:, :, 0].mean(1)
    aside = (draw.between(-0.5, 0.5, 2) * half) / focal[:, None]  # the body stands this far from the middle, radians

    follows = draw.chance(0.25)[:, None, None].float()  # a camera that is carried, and turned after the person
    path = joints[:, :, 0] - centre[:, None]
    moving = draw.chance(0.3)[:, None, None].float()
    shake = moving * draw.wander(frames, 3, memory=0.97) * torch.deg2rad(draw.between(0.3, 4.0))[:, None, None]
    walk = moving * draw.wander(frames, 3, memory=0.99) * draw.between(0.02, 0.2)[:, None, None]

    base = _look(yaw + aside[:, 0], pitch + aside[:, 1], roll)
    eye = centre - distance[:, None] * _look(yaw, pitch, torch.zeros_like(roll))[:, 2]
    rotation = matrix_from_axis_angle(shake) @ base[:, None]
    return rotation, eye[:, None] + follows * path * 0.8 + walk, focal, half


def _look(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """World (y up) to camera (B, 3, 3): heading yaw, looking down by pitch, rolled; radians."""
    zero = torch.zeros_like(yaw)
    forward = torch.stack([pitch.cos() * yaw.sin(), -pitch.sin(), pitch.cos() * yaw.cos()], -1)
    right = torch.stack([-yaw.cos(), zero, yaw.sin()], -1)
    down = torch.linalg.cross(forward, right)
    level = torch.stack([right, down, forward], -2)
    return matrix_from_axis_angle(torch.stack([zero, zero, roll], -1)) @ level


def view_from_gravity(down: Tensor) -> Tensor:
    """Camera to gravity-view coordinates (..., 3, 3): y along gravity, z level and ahead (GVHMR, section 3.1).

    down (..., 3): gravity's direction in camera space.
    """
    ahead = torch.zeros_like(down)
    ahead[..., 2] = 1.0
    x = torch.linalg.cross(down, ahead)
    sideways = torch.zeros_like(down)
    sideways[..., 0] = 1.0
    x = F.normalize(torch.where(x.norm(dim=-1, keepdim=True) > 1e-3, x, sideways), dim=-1)
    return torch.stack([x, down, torch.linalg.cross(x, down)], dim=-2)


def _detect(
    draw: _Draw, seen: Tensor, size: Tensor, focal: Tensor, half: Tensor, embedded: Tensor, level: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the detectors make of points seen (B, L, 23, 3), camera space.

    -> obs (B, L, 23, 3), box (B, L, 3): centre from the picture's middle and side, diagonals; hints (B, L, 58).
    """
    frames = seen.shape[1]
    depth = seen[..., 2:].clamp_min(0.2)
    pixels = seen[..., :2] / depth * focal[:, None, None, None]
    extent = (pixels.amax(2) - pixels.amin(2)).amax(-1).median(1).values[:, None, None, None]

    bias, noise = (spread[:, None].to(seen.device) for spread in (_BIAS, _NOISE))
    error = (
        bias * draw.normal(1, KEYPOINTS, 2)
        + noise * draw.wander(frames, KEYPOINTS, 2, memory=0.85)
        + 0.002 * draw.normal(frames, KEYPOINTS, 2)
    ) * level
    lost = _lost_limbs(draw, frames)
    error = error + lost[..., None] * 0.12 * draw.wander(frames, KEYPOINTS, 2, memory=0.95)
    found = pixels + error * extent

    confidence = 1.0 - 5.0 * error.norm(dim=-1) + 0.08 * draw.normal(frames, KEYPOINTS)
    confidence = confidence - 0.6 * lost * draw.between(0.2, 1.2)[:, None, None]
    outside = (found.abs() > half[:, None, None] * 1.0).any(-1)
    confidence = torch.where(outside, 0.25 * confidence, confidence).clamp(0.0, 1.0)
    no_feet = draw.chance(0.08)[:, None, None]  # detectors that know COCO's 17 keypoints only
    never = embedded[:, None, None] & torch.tensor(_IS_SMALL_TOE) | no_feet & torch.tensor(_IS_FOOT)
    confidence = torch.where(never, 0.0, confidence)

    hints = torch.where(no_feet, 0.0, _hints(draw, seen, size, depth, found, pixels, focal, level))
    found, confidence, hints = _swap_sides(draw, found, confidence, hints)

    box = keypoint_box(found, confidence)
    xy = (2 * (found - box[:, :, None, :2]) / box[:, :, None, 2:]).clamp(-3, 3)
    return torch.cat([xy, confidence[..., None]], -1), box, hints


def keypoint_box(found: Tensor, confidence: Tensor) -> Tensor:
    """The square around the keypoints that are seen (all of them where few are): found (..., 23, 2), confidence
    (..., 23) -> centre and side (..., 3), in the unit of `found`."""
    visible = (confidence > SEEN)[..., None]
    visible = visible | (visible.sum(-2, keepdim=True) < FEW)
    low = torch.where(visible, found, torch.inf).amin(-2)
    high = torch.where(visible, found, -torch.inf).amax(-2)
    side = BOX_MARGIN * (high - low).amax(-1, keepdim=True)
    return torch.cat([0.5 * (low + high), side.clamp_min(1e-3)], -1)


def _lost_limbs(draw: _Draw, frames: int) -> Tensor:
    """(B, L, 23) in 0..1: limbs that are hidden for a while."""
    lost = torch.zeros(draw.count, frames, KEYPOINTS)
    for side in ("left", "right"):
        for part in (_LEGS, _ARMS):
            mine = [k for k in part if _POINTS[k].startswith(side)]
            hidden = draw.chance(0.12)[:, None] & draw.span(frames, 8, frames)
            lost[:, :, mine] = hidden[..., None].float()
    return lost


def _hints(
    draw: _Draw,
    seen: Tensor,
    size: Tensor,
    depth: Tensor,
    found: Tensor,
    pixels: Tensor,
    focal: Tensor,
    level: Tensor,
) -> Tensor:
    """The landmark model's 3D points: exact across the line of sight as far as the pixels are, vague along it."""
    frames = seen.shape[1]
    points = seen[:, :, _HINT_POINTS].clone()
    off = (found - pixels)[:, :, _HINT_POINTS] * depth[:, :, _HINT_POINTS] / focal[:, None, None, None]
    points[..., :2] = points[..., :2] + off
    points = points - points[:, :, _HINT_HIPS].mean(2, keepdim=True)
    points[..., 2] = _mirrored_feet(draw, points[..., 2], level[..., 0])
    # The model leans bodies and flattens depth.
    spread = torch.deg2rad(torch.tensor([1.0, 0.8, 0.0]))
    lean = spread * (5.0 * draw.normal(1, 3) + torch.tensor([4.0, 10.0, 0.0]) * draw.wander(frames, 3, memory=0.9))
    points = points @ matrix_from_axis_angle(lean * level[..., 0]).transpose(-1, -2)
    flat = 1 - level[..., 0] * draw.between(0.05, 0.45)[:, None, None]
    points[..., 2] = points[..., 2] * flat.clamp_min(0.4)
    points[..., 2] = points[..., 2] + level[..., 0] * _vague_depth(draw, frames)
    points = points * (draw.between(0.90, 1.04) / size)[:, None, None, None]
    given = (~draw.chance(0.12))[:, None, None].float().expand(-1, frames, 1)
    return torch.cat([points.flatten(2) * given, given], -1)


def _vague_depth(draw: _Draw, frames: int) -> Tensor:
    """Errors (B, L, 19) in metres along the line of sight: each limb's grows towards its end."""

    def error(bias: float, noise: float) -> Tensor:
        return bias * draw.normal(1) + noise * draw.wander(frames, memory=0.87)[..., 0]

    out = torch.zeros(draw.count, frames, len(HINTS))
    head = error(0.04, 0.03)
    for name in ("nose", "left_ear", "right_ear"):
        out[..., HINTS.index(name)] = head + error(0.015, 0.01)
    for side in ("left", "right"):
        for chain in _CHAINS:
            reached = torch.zeros(draw.count, frames)
            for part, (kept, bias, noise) in chain.items():
                reached = kept * reached + error(bias, noise)
                out[..., HINTS.index(f"{side}_{part}")] = reached
        heel, ankle = HINTS.index(f"{side}_heel"), HINTS.index(f"{side}_ankle")
        out[..., heel] = out[..., ankle] + error(0.02, 0.02)
    return out


def _mirrored_feet(draw: _Draw, depth: Tensor, level: Tensor) -> Tensor:
    """Feet that the model takes for their mirror image in depth, for a while; depth (B, L, 19)."""
    out = depth.clone()
    for side in ("left", "right"):
        ankle, heel, toe = (HINTS.index(f"{side}_{part}") for part in ("ankle", "heel", "foot_index"))
        mirrored = draw.chance(0.5)[:, None] & draw.span(depth.shape[1], 4, 120) & (level[:, 0] > 0)
        for point in (heel, toe):
            out[..., point] = torch.where(mirrored, 2 * depth[..., ankle] - depth[..., point], depth[..., point])
    return out


def _swap_sides(draw: _Draw, found: Tensor, confidence: Tensor, hints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left and right exchanged for a stretch of frames: all of the body, or arms or legs only."""
    frames = found.shape[1]
    for which, chance in ((range(KEYPOINTS), 0.12), (_LEGS, 0.06), (_ARMS, 0.06)):
        swapped = (draw.chance(chance)[:, None] & draw.span(frames, 2, 80))[..., None]
        order = [_SIDES[k] if k in which else k for k in range(KEYPOINTS)]
        found = torch.where(swapped[..., None], found[:, :, order], found)
        confidence = torch.where(swapped, confidence[:, :, order], confidence)
        points = hints[..., :-1].unflatten(-1, (len(HINTS), 3))
        mirror = keypoints.mirrored(HINTS)
        other = [mirror[k] if point in which else k for k, point in enumerate(_HINT_POINTS)]
        points = torch.where(swapped[..., None], points[:, :, other], points)
        hints = torch.cat([points.flatten(2), hints[..., -1:]], -1)
    return found, confidence, hints
