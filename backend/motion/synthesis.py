"""What the pipeline would have seen of a motion: random bodies, cameras, and detectors with the faults of real ones.

Everything is batched torch, cheap enough to be made anew for each training step. World: y up, metres. Camera:
OpenCV's (x right, y down, z forward). Pixels are measured in units of the picture's diagonal, so that focal 1 is the
usual guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..body.tokens import NO_TURN, TURN_SCALE
from ..core import keypoints, skeleton
from .detectors import detect, keypoints_3d
from .draw import Draw
from .footmr import FOOT_KEYPOINTS
from .kinematics import attached, forward_kinematics, matrix_from_axis_angle, matrix_to_6d, product

_JOINT = skeleton.INDEX
_BODY = skeleton.neutral()
_OFFSETS = torch.from_numpy(_BODY.offsets[: skeleton.BODY]).float()
RESTS, MOVES = 0.10, 0.25  # m/s: what is slower rests, what is faster moves
_FEET = [_JOINT["left_foot"], _JOINT["right_foot"]]
# How far joints of loosened bodies are from what was captured, but for legs, which would make feet slide: one standard
# deviation about each axis, degrees.
_SPREAD = {"spine": 4.0, "neck": 6.0, "head": 8.0, "collar": 8.0, "shoulder": 8.0, "elbow": 5.0}
_LOOSE = {
    j: angle
    for j, name in enumerate(skeleton.JOINTS[: skeleton.BODY])
    for part, angle in _SPREAD.items()
    if part in name
}
_SWIVEL = 8.0  # degrees, one standard deviation: how far knees of loosened bodies point elsewhere
_LEGS = [tuple(_JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")) for side in ("left", "right")]
_LEG_JOINTS = {_JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle", "foot")}
_UPPER = [j for j in range(1, skeleton.BODY) if j not in _LEG_JOINTS]
_ARMS = [[_JOINT[f"{side}_{part}"] for part in ("collar", "shoulder", "elbow", "wrist")] for side in ("left", "right")]


@dataclass
class Batch:
    """Inputs as the networks take them, and the truth. B clips of L frames.

    obs (B, L, 23, 3), cliff_cam (B, L, 3), cam_angvel (B, L, 6), hints (B, L, 58): see `Lifter.forward`.
    local (B, L, 22, 3, 3) with the root in camera space; gravity (B, L, 3, 3) the root in gravity-view coordinates;
    velocity (B, L, 3) m/s in the root's axes; static (B, L, 6) in 0..1: how surely heels and toes stand and wrists
    rest; offsets (B, 22, 3) metres; joints (B, L, 22, 3) metres, camera space; bones (B, 21) logarithm of each bone's
    length beside the neutral body's of that size; down (B, L, 3) gravity's direction in camera space; guess (B, L, 3):
    what somebody else took for it.
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
    guess: Tensor

    def rows(self, rows: slice | Tensor) -> Batch:
        """Some of the clips."""
        return Batch(**{name: tensor[rows] for name, tensor in vars(self).items()})

    def with_more(self, more: Batch) -> Batch:
        """These clips and others of the same length."""
        return Batch(**{name: torch.cat([tensor, getattr(more, name)]) for name, tensor in vars(self).items()})

    def where(self, chosen: Tensor, others: Batch) -> Batch:
        """These clips where chosen (B,), else the others."""

        def either(one: Tensor, two: Tensor) -> Tensor:
            return torch.where(chosen.reshape(-1, *[1] * (one.ndim - 1)), one, two)

        return Batch(**{name: either(tensor, getattr(others, name)) for name, tensor in vars(self).items()})

    @staticmethod
    def interleaved(one: Batch, two: Batch) -> Batch:
        """The clips of two batches of the same size by turns."""
        return Batch(**{k: torch.stack([x, getattr(two, k)], 1).flatten(0, 1) for k, x in vars(one).items()})

    def without_feet(self) -> Batch:
        """As a detector sees it that knows COCO's 17 keypoints only, and gives no 3D points; the box stays as it is."""
        obs = self.obs.clone()
        obs[:, :, len(keypoints.BODY) :] = 0.0
        return replace(self, obs=obs, hints=torch.zeros_like(self.hints))

    @property
    def foot_obs(self) -> Tensor:
        """(B, L, 8, 3): what FootMR sees."""
        return self.obs[:, :, FOOT_KEYPOINTS[0] : FOOT_KEYPOINTS[-1] + 1]


class Synthesiser:
    """Makes batches from windows of motion.

    noise: 0 none, 1 that of the embedded detectors (docs/detectors.md), 2 a bad day; None: anything from 0.3 to 1.7.
    Motion capture is poor in some things, so that a share of the clips is changed. feet: ankles moved as people rarely
    move them. mixed: one motion's upper body on another's legs, or its arm on another's body. spun: turned any way at
    all. loose: the upper body held a little otherwise, collar bones too, which motion capture leaves still; and knees
    that point elsewhere. lens: how far off the pipeline's guess of most lenses is, one standard deviation of its
    logarithm.
    """

    def __init__(
        self,
        seed: int,
        noise: float | None = None,
        feet: float = 0.0,
        mixed: float = 0.0,
        spun: float = 0.0,
        loose: float = 0.0,
        lens: float = 0.0,
    ) -> None:
        self._random = torch.Generator(torch.get_default_device()).manual_seed(seed)
        self._noise = noise
        self._shares = feet, mixed, spun, loose
        self._lens = lens

    def __call__(self, local: Tensor, trans: Tensor, contacts: Tensor, rate: Tensor) -> Batch:
        """local (B, L, 22, 3, 3) and trans (B, L, 3) in the world; contacts (B, L, 4); rate (B,) frames a second."""
        draw = Draw(self._random, len(local))
        feet, mixed, spun, loose = self._shares
        local = other_feet(draw, other_upper_bodies(draw, local, mixed), feet)
        local = loosened(draw, local, loose)
        local, trans = turned_over(draw, local, trans, spun)
        offsets, bones, size, foot = random_body(draw)
        local = swivelled(draw, local, offsets, loose)
        trans = trans * size[:, None, None]
        pace = rate[:, None, None]
        turned, joints = forward_kinematics(local, offsets[:, None].expand(-1, local.shape[1], -1, -1), trans)
        level = draw.between(0.3, 1.7) if self._noise is None else torch.full((len(local),), self._noise)
        level = level[:, None, None, None]
        embedded = draw.chance(0.75)
        points = keypoints_3d(draw, turned, joints, size, foot, embedded, level)
        camera, eye, focal, picture = random_cameras(draw, joints)
        seen = (points - eye[:, :, None]) @ camera.transpose(-1, -2)
        obs, box, hints = detect(draw, seen, size, focal, picture, embedded, level)
        told = focal * torch.exp(self._lens * draw.normal() * draw.chance(0.7))
        cliff = box / told[:, None, None]

        step = camera[:, 1:] @ camera[:, :-1].transpose(-1, -2)
        step = torch.cat([step, step[:, -1:]], 1)
        turn = TURN_SCALE * (matrix_to_6d(step) - torch.tensor(NO_TURN))

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
            static, offsets, bones, in_view, down, guessed(draw, down),
        )  # fmt: skip


def random_body(draw: Draw) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Bone offsets (B, 22, 3) in metres, their lengths' logarithms (B, 21) beside the neutral body of that size,
    overall size (B,), and that of the feet beside it (B,): people are 15% larger or smaller, parts 5% more, and shoes
    are longer than feet."""
    size, foot = draw.between(0.85, 1.15), draw.between(0.92, 1.25)
    part = 1 + 0.05 * draw.normal(22).clamp(-2, 2)
    part = 0.5 * (part + part[:, skeleton.MIRROR[: skeleton.BODY]])  # left and right alike
    part[:, _FEET] = foot[:, None]
    return _OFFSETS.to(size.device) * (size[:, None] * part)[..., None], part[:, 1:].log(), size, foot


def other_upper_bodies(draw: Draw, local: Tensor, share: float) -> Tensor:
    """Some clips with the spine, arms and head of another clip of the batch, some with single arms of yet others."""
    out = local.clone()
    for other, joints in enumerate((_UPPER, *_ARMS), 1):
        chosen = draw.chance(share)[:, None, None, None, None]
        out[:, :, joints] = torch.where(chosen, local.roll(other, 0)[:, :, joints], out[:, :, joints])
    return out


def other_feet(draw: Draw, local: Tensor, share: float) -> Tensor:
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


def loosened(draw: Draw, local: Tensor, share: float) -> Tensor:
    """Some clips with the joints above the hips held a little otherwise, each in its own way."""
    joints = list(_LOOSE)
    spread = torch.deg2rad(torch.tensor(list(_LOOSE.values())))[:, None] * draw.chance(share)[:, None, None, None]
    out = local.clone()
    out[:, :, joints] = local[:, :, joints] @ matrix_from_axis_angle(draw.sway(local.shape[1], len(joints), 3) * spread)
    return out


def swivelled(draw: Draw, local: Tensor, offsets: Tensor, share: float) -> Tensor:
    """Some clips with legs turned about the line from hip to ankle: feet stay where they are, and as they are.

    Which way knees point when they are nearly straight is a matter of where a person's markers were stuck.
    """
    chosen = draw.chance(share)[:, None, None]
    out = local.clone()
    for hip, knee, ankle in _LEGS:
        thigh, shin = (offsets[:, None, joint, :, None] for joint in (knee, ankle))
        line = product(local[:, :, hip], thigh + product(local[:, :, knee], shin))[..., 0]
        angle = torch.deg2rad(_SWIVEL * draw.sway(local.shape[1], 1)) * chosen
        turn = matrix_from_axis_angle(F.normalize(line, dim=-1) * angle)
        shank = product(local[:, :, hip], local[:, :, knee])
        out[:, :, hip] = product(turn, local[:, :, hip])
        back = product(shank.transpose(-1, -2), turn.transpose(-1, -2))
        out[:, :, ankle] = product(product(back, shank), local[:, :, ankle])
    return out


def turned_over(draw: Draw, local: Tensor, trans: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Some clips turned as a whole about their first pelvis, uniformly over all rotations (FootMR, section 3.3)."""
    q = F.normalize(draw.normal(4), dim=-1)
    angle = 2 * torch.atan2(q[:, 1:].norm(dim=-1, keepdim=True), q[:, :1])
    angle = torch.where(draw.chance(share)[:, None], angle, 0.0)
    turn = matrix_from_axis_angle(F.normalize(q[:, 1:], dim=-1) * angle)
    out = local.clone()
    out[:, :, 0] = turn[:, None] @ local[:, :, 0]
    start = trans[:, :1]
    return out, (trans - start) @ turn.transpose(-1, -2) + start


def sole_points(turned: Tensor, joints: Tensor, size: Tensor) -> Tensor:
    """Heels and toes (B, L, 4, 3) in metres, in `skeleton.CONTACTS` order, of feet of the given size (B,)."""
    points = [_BODY.points[name] for name in skeleton.FOOT_POINTS]
    rest = torch.tensor(np.array([place for _, place in points]), dtype=torch.float32) * size[:, None, None, None]
    rest = rest.expand(*joints.shape[:2], -1, -1)
    found = attached(turned, joints, [joint for joint, _ in points], rest)
    return soles(found)


def soles(feet: Tensor) -> Tensor:
    """Points of the feet (B, L, 6, 3), `skeleton.FOOT_POINTS` -> heels and toes (B, L, 4, 3), `skeleton.CONTACTS`."""
    big, small, heels = (feet[:, :, k::3] for k in range(3))
    return torch.stack([heels, 0.5 * (big + small)], -2).flatten(2, 3)


def resting(points: Tensor, pace: Tensor) -> Tensor:
    """How much points (B, L, N, 3) rest, (B, L, N) in 0..1; pace (B, 1, 1) frames a second. Motion capture's own
    contacts glide, and limbs that were changed here carry feet along."""
    speed = torch.diff(points, dim=1).norm(dim=-1) * pace
    speed = torch.cat([speed, speed[:, -1:]], 1)
    return ((MOVES - speed) / (MOVES - RESTS)).clamp(0.0, 1.0)


def random_cameras(draw: Draw, joints: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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


def guessed(draw: Draw, down: Tensor) -> Tensor:
    """Guesses (B, L, 3) of down (B, L, 3), wrong by up to some 20 degrees; most often that the camera is level."""
    spread = torch.deg2rad(draw.between(1, 15, 1, 1))
    wrong = F.normalize(down + spread * draw.normal(1, 3), dim=-1)
    level = torch.tensor([0.0, 1.0, 0.0]).expand_as(wrong)
    return torch.where(draw.chance(0.7, 1, 1), level, wrong)


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
