"""Detectors with the faults of real ones, for synthetic clips: what they see of bodies whose truth is known.

Batched torch. Pixels are measured in units of the picture's diagonal; level (B, 1, 1, 1): noise, 1 as measured of the
embedded detectors on rendered clips (docs/detectors.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..body.seen import CARRIERS, JOINTS, OFFSETS
from ..body.seen import KEYPOINTS as AT_JOINTS
from ..body.tokens import BOX_MARGIN, FEW, HINTS, KEYPOINTS, SEEN
from ..core import keypoints, skeleton
from .draw import Draw
from .kinematics import attached, matrix_from_axis_angle

_JOINT = skeleton.INDEX
_BODY = skeleton.neutral()
# Landmarks that no joint gives, on the joints that carry them (metres, rest frame). The face lies about SMPL-X's eyes
# as on the rendered clips.
_CARRIED = {
    "nose": ("head", (0.0, 0.028, 0.106)),
    "left_eye": ("head", (0.032, 0.057, 0.088)),
    "right_eye": ("head", (-0.032, 0.057, 0.088)),
    "left_ear": ("head", (0.070, 0.038, 0.025)),
    "right_ear": ("head", (-0.070, 0.038, 0.025)),
    **{name: (skeleton.JOINTS[j], tuple(p)) for name, (j, p) in _BODY.points.items() if name in skeleton.FOOT_POINTS},
}
_POINTS = keypoints.BODY + keypoints.FEET
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
_IS_LIMB = [any(part in name for part in ("elbow", "wrist", "knee", "ankle", "toe", "heel")) for name in _POINTS]
_IS_SMALL_TOE = ["small_toe" in name for name in _POINTS]
IS_FOOT = [name in keypoints.FEET for name in _POINTS]


def _by_part(**parts: float) -> Tensor:
    """A number for each of the 23 points, by the part of the body that is in its name."""
    return torch.tensor([next(value for part, value in parts.items() if part in name) for name in _POINTS])


# Where the embedded detectors see feet and faces on rendered clips, from where our neutral body, with feet a twelfth
# longer, has them (out, up, ahead; metres): heels above the sole, toes behind their tips, faces flatter. `body.seen`
# tells it of joints.
_SEEN_AT = {
    "heel": (-0.003, 0.044, 0.010), "big_toe": (0.012, 0.012, -0.026),
    "nose": (0.0, 0.012, -0.040), "eye": (-0.010, 0.002, -0.030), "ear": (-0.045, 0.001, 0.037),
}  # fmt: skip
# How the embedded detectors err (docs/detectors.md). Standard deviations as shares of the box: what a clip keeps, and
# what usually comes and goes.
_BIAS = _by_part(nose=0.006, eye=0.005, ear=0.003, shoulder=0.006, elbow=0.008, wrist=0.005, hip=0.003, knee=0.007,
                 ankle=0.006, toe=0.008, heel=0.006)  # fmt: skip
_NOISE = _by_part(nose=0.0050, eye=0.0046, ear=0.0042, shoulder=0.0056, elbow=0.0065, wrist=0.0067, hip=0.0060,
                  knee=0.0058, ankle=0.0060, toe=0.0072, heel=0.0069)  # fmt: skip
# Some moments are hard, and some points in them: logarithms by which errors then grow, one standard deviation.
_HARD_MOMENT, _HARD_POINT = 0.5, 0.55
# How much of errors and of hardness is left from one frame to the next.
_MEMORY = {"torso": 0.87, "limbs": 0.77, "hard": 0.9}
_HINT_ASIDE = 0.020, 0.030  # metres across the line of sight: what a clip keeps, and what comes and goes
# How far from the joint's centre a point is seen, metres a person.
_VAGUE = _by_part(nose=0.0, eye=0.0, ear=0.0, shoulder=0.015, elbow=0.010, wrist=0.010, hip=0.018, knee=0.010,
                  ankle=0.010, toe=0.0, heel=0.0)  # fmt: skip


def keypoints_3d(
    draw: Draw, turned: Tensor, joints: Tensor, size: Tensor, foot: Tensor, embedded: Tensor, level: Tensor
) -> Tensor:
    """The 23 body and foot keypoints (B, L, 23, 3) in metres of posed bodies of the given size (B,), whose feet are
    `foot` (B,) times as long as that says.

    Detectors place each point elsewhere on the body than the skeleton does, and on each person elsewhere again;
    embedded (B,): whether the embedded ones look.
    """
    aside = (embedded * draw.between(0.8, 1.2) * size)[:, None, None, None] * (level > 0)
    out = joints.new_empty(*joints.shape[:2], KEYPOINTS, 3)
    places, names, offsets = zip(*_FROM_POINT, strict=True)
    longer = torch.where(torch.tensor([_POINTS[k] in keypoints.FEET for k in places]), foot[:, None], 1.0)
    rest = torch.tensor(offsets, dtype=torch.float32)[None, None] * (size[:, None] * longer)[:, None, :, None]
    rest = rest + aside * torch.tensor([_seen_at(_POINTS[k]) for k in places])
    on_head = torch.tensor([name == "head" for name in names])[:, None]
    rest = rest + level * (0.008 * draw.normal(1, len(names), 3) + 0.012 * on_head * draw.normal(1, 1, 3))
    rest = rest.expand(*joints.shape[:2], -1, -1)
    out[:, :, list(places)] = attached(turned, joints, [_JOINT[n] for n in names], rest)
    shift = level * _VAGUE[AT_JOINTS, None].to(level.device) * draw.normal(1, len(AT_JOINTS), 3)
    shift = shift + aside * torch.tensor(OFFSETS, dtype=torch.float32)
    out[:, :, AT_JOINTS] = joints[:, :, JOINTS] + (turned[:, :, CARRIERS] @ shift[..., None])[..., 0]
    return out


def _seen_at(point: str) -> tuple[float, float, float]:
    """From where a point of the face or foot is on the neutral body to where the embedded detectors see it, metres."""
    side, _, part = point.partition("_")
    out, up, ahead = _SEEN_AT.get(part or point, (0.0, 0.0, 0.0))
    return -out if side == "right" else out, up, ahead


def detect(
    draw: Draw, seen: Tensor, size: Tensor, focal: Tensor, half: Tensor, embedded: Tensor, level: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What the detectors make of points seen (B, L, 23, 3), camera space.

    -> obs (B, L, 23, 3), box (B, L, 3): centre from the picture's middle and side, diagonals; hints (B, L, 58).
    """
    frames = seen.shape[1]
    depth = seen[..., 2:].clamp_min(0.2)
    pixels = seen[..., :2] / depth * focal[:, None, None, None]
    extent = (pixels.amax(2) - pixels.amin(2)).amax(-1).median(1).values[:, None, None, None]

    bias, noise = (spread[:, None].to(seen.device) for spread in (_BIAS, _NOISE))
    hard = torch.exp(
        _HARD_MOMENT * draw.wander(frames, 1, 1, memory=_MEMORY["hard"])
        + _HARD_POINT * draw.wander(frames, KEYPOINTS, 1, memory=_MEMORY["hard"])
    )
    error = (
        bias * draw.normal(1, KEYPOINTS, 2)
        + noise
        * hard
        * torch.where(
            torch.tensor(_IS_LIMB)[:, None],
            draw.wander(frames, KEYPOINTS, 2, memory=_MEMORY["limbs"]),
            draw.wander(frames, KEYPOINTS, 2, memory=_MEMORY["torso"]),
        )
        + 0.001 * draw.normal(frames, KEYPOINTS, 2)
    ) * level
    lost = _lost_limbs(draw, frames)
    error = error + lost[..., None] * 0.12 * draw.wander(frames, KEYPOINTS, 2, memory=0.95)
    found = pixels + error * extent

    confidence = 1.0 - 5.0 * error.norm(dim=-1) + 0.08 * draw.normal(frames, KEYPOINTS)
    confidence = confidence - 0.6 * lost * draw.between(0.2, 1.2)[:, None, None]
    outside = (found.abs() > half[:, None, None] * 1.0).any(-1)
    confidence = torch.where(outside, 0.25 * confidence, confidence).clamp(0.0, 1.0)
    no_feet = draw.chance(0.08)[:, None, None]  # detectors that know COCO's 17 keypoints only
    never = embedded[:, None, None] & torch.tensor(_IS_SMALL_TOE) | no_feet & torch.tensor(IS_FOOT)
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


def _lost_limbs(draw: Draw, frames: int) -> Tensor:
    """(B, L, 23) in 0..1: limbs that are hidden for a while."""
    lost = torch.zeros(draw.count, frames, KEYPOINTS)
    for side in ("left", "right"):
        for part in (_LEGS, _ARMS):
            mine = [k for k in part if _POINTS[k].startswith(side)]
            hidden = draw.chance(0.12)[:, None] & draw.span(frames, 8, frames)
            lost[:, :, mine] = hidden[..., None].float()
    return lost


def _hints(
    draw: Draw,
    seen: Tensor,
    size: Tensor,
    depth: Tensor,
    found: Tensor,
    pixels: Tensor,
    focal: Tensor,
    level: Tensor,
) -> Tensor:
    """The landmark model's 3D points: a little less exact than the pixels across the line of sight, vague along it."""
    frames = seen.shape[1]
    points = seen[:, :, _HINT_POINTS].clone()
    off = (found - pixels)[:, :, _HINT_POINTS] * depth[:, :, _HINT_POINTS] / focal[:, None, None, None]
    always, passing = _HINT_ASIDE
    aside = always * draw.normal(1, len(HINTS), 2) + passing * draw.wander(frames, len(HINTS), 2, memory=0.8)
    points[..., :2] = points[..., :2] + off + aside * level
    points = points - points[:, :, _HINT_HIPS].mean(2, keepdim=True)
    points[..., 2] = _mirrored_feet(draw, points[..., 2], level[..., 0])
    # The model leans bodies and flattens depth.
    always, sway = torch.tensor([7.0, 5.0, 1.0]), torch.tensor([4.0, 10.0, 2.0])
    lean = torch.deg2rad(always * draw.normal(1, 3) + sway * draw.wander(frames, 3, memory=0.9))
    points = points @ matrix_from_axis_angle(lean * level[..., 0]).transpose(-1, -2)
    flat = 1 - level[..., 0] * draw.between(0.05, 0.45)[:, None, None]
    points[..., 2] = points[..., 2] * flat.clamp_min(0.4)
    points[..., 2] = points[..., 2] + level[..., 0] * _vague_depth(draw, frames)
    points = points * (draw.between(0.90, 1.04) / size)[:, None, None, None]
    given = (~draw.chance(0.12))[:, None, None].float().expand(-1, frames, 1)
    return torch.cat([points.flatten(2) * given, given], -1)


def _vague_depth(draw: Draw, frames: int) -> Tensor:
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


def _mirrored_feet(draw: Draw, depth: Tensor, level: Tensor) -> Tensor:
    """Feet that the model takes for their mirror image in depth, for a while; depth (B, L, 19)."""
    out = depth.clone()
    for side in ("left", "right"):
        ankle, heel, toe = (HINTS.index(f"{side}_{part}") for part in ("ankle", "heel", "foot_index"))
        mirrored = draw.chance(0.5)[:, None] & draw.span(depth.shape[1], 4, 120) & (level[:, 0] > 0)
        for point in (heel, toe):
            out[..., point] = torch.where(mirrored, 2 * depth[..., ankle] - depth[..., point], depth[..., point])
    return out


def _swap_sides(draw: Draw, found: Tensor, confidence: Tensor, hints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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
