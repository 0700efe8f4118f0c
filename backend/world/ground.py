"""Gravity and floor from what people do: they stand upright, and their planted feet lie in a plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core import rotations
from ..core import skeleton as sk
from ..core.rotations import Array, normalize
from ..core.skeleton import INDEX as JOINT
from ..core.skeleton import Skeleton
from ..stages import Camera, Motion
from . import vertical
from .contacts import SEEN, SPEED, contact_points, sideways_speed, to_world

# How far each source of "up" may be off, radians (or metres), one standard deviation.
LEVEL_SIGMA = np.radians(12.0)  # people hold cameras roughly level
ANYHOW_SIGMA = np.radians(60.0)  # what is left of that where somebody has thought of it already
BODY_SIGMA = np.radians(6.0)  # a standing or walking body, averaged over a clip
EDGE_SIGMA = np.radians(1.0)  # a straight edge
PLUMB_SIGMA = np.radians(0.5)  # a line that somebody drew along something vertical
NETWORK_SIGMA = np.radians(6.0)  # however sure a network is: people are built and dressed as it has never seen them
FEW = 8  # planted feet; fewer tell nothing
FLOOR_SIGMA = 0.06  # metres: planted feet off a plane,
FLOOR_FAR = 0.015  # or this part of their distance: pixels are larger out there
DEPTH_SIGMA = 0.06  # part of the distance: noise of a foot's depth

RESIZE = 1.2  # whoever would stand on the common floor at up to this much larger or smaller does stand on it
FLOOR_SHARE = 0.2  # of all planted feet must agree before a level counts as the floor


@dataclass(frozen=True)
class Ground:
    """The camera over the floor, and for each person the factor by which their bones grow or shrink to stand on it;
    unit: metres in a unit of the camera's path."""

    camera: Camera
    sizes: dict[int, float]
    unit: float = 0.0


def find_ground(
    people: dict[int, tuple[Skeleton, Motion]],
    camera: Camera,
    tilt: float | None = None,
    edges: vertical.Edges | None = None,
    plumb: Array | None = None,
) -> Ground:
    """One floor for everyone.

    How tall a person is cannot be seen; that all stand on one floor tells how tall they are compared with each other:
    a person whose feet come out above or below the floor is farther away and larger, or nearer and smaller. Whoever
    would have to change too much stands on something else (a wall, a stage) and keeps their size.
    people: motions in camera space by track (a subsample of frames will do). tilt, edges, plumb: see
    `upright_camera`.
    """
    camera = upright_camera(list(people.values()), camera, tilt, edges, plumb)
    up = rotations.rotate(camera.rotation, [0.0, 0.0, 1.0])
    heights = {}
    for track, (skeleton, motion) in people.items():
        planted = _planted(skeleton, motion, up)
        if len(planted) >= FEW:
            heights[track] = to_world(planted, camera)[:, 2]
    if not heights:
        return Ground(camera, dict.fromkeys(people, 1.0))

    eye = to_world(np.zeros(3), camera)[2]
    levels = {track: float(np.median(h)) for track, h in heights.items()}
    floor = _common_level(levels, {track: len(h) for track, h in heights.items()}, eye)
    sizes = {track: (eye - floor) / (eye - level) for track, level in levels.items() if eye - level > 0.1}
    sizes = {track: size for track, size in sizes.items() if 1 / RESIZE < size < RESIZE}
    return Ground(replace(camera, t=camera.t + floor * up), {track: sizes.get(track, 1.0) for track in people})


def _common_level(levels: dict[int, float], evidence: dict[int, int], eye: float) -> float:
    """The lowest level that enough planted feet agree on."""
    for level in sorted(levels.values()):
        near = [t for t, other in levels.items() if abs(other - level) < (RESIZE - 1) * abs(eye - level)]
        if sum(evidence[t] for t in near) >= FLOOR_SHARE * sum(evidence.values()):
            return float(np.average([levels[t] for t in near], weights=[evidence[t] for t in near]))
    return min(levels.values())


def upright_camera(
    people: list[tuple[Skeleton, Motion]],
    camera: Camera,
    tilt: float | None = None,
    edges: vertical.Edges | None = None,
    plumb: Array | None = None,
) -> Camera:
    """The camera over the floor: world z up, floor at z = 0, the first person starting near the origin, the camera
    looking along the world's +y.

    people: motions in camera space (a subsample of frames will do; time gaps are harmless). camera: one that was
    measured keeps its up. tilt: degrees that the camera looks down, where they are known; edges: of the background;
    plumb (3, 3): what lines say that somebody drew, see `vertical`.
    """
    up = rotations.rotate(camera.rotation, [0.0, 0.0, 1.0])
    if not camera.measured:
        up = _up(people, camera, tilt, edges, plumb)
    start = people[0][1].pelvis[0]
    feet = np.concatenate([_planted(skeleton, motion, up) for skeleton, motion in people])
    if len(feet) >= FEW:
        floor = float(np.median(feet @ up))
    else:  # nobody stood still: the lowest points of the feet
        floor = min(float(np.quantile(contact_points(s, m) @ up, 0.05)) for s, m in people)
    return _standing(camera, up, start - (start @ up - floor) * up)


def _up(
    people: list[tuple[Skeleton, Motion]],
    camera: Camera,
    tilt: float | None,
    edges: vertical.Edges | None,
    plumb: Array | None,
) -> Array:
    """(3,) which way is up in camera space, if the camera is held about as it is taken for: see `upright_camera`."""
    level = rotations.rotate(camera.rotation, [0.0, 0.0, 1.0])
    told = any(motion.spread is not None for _, motion in people)  # the network knows that cameras are held level
    sigma = ANYHOW_SIGMA if told else LEVEL_SIGMA
    precision, pull = np.eye(3) / sigma**2, level / sigma**2
    for skeleton, motion in people:
        if motion.down is not None and motion.spread is not None:
            direction, sigma = _told_up(motion.down, motion.spread)
            precision += np.eye(3) / sigma**2
            pull += direction / sigma**2
        elif (body := _body_up(skeleton, motion)) is not None:
            direction, certainty = body
            precision += np.eye(3) * certainty / BODY_SIGMA**2
            pull += direction * certainty / BODY_SIGMA**2
        planted = _planted(skeleton, motion, normalize(pull))
        if len(planted) >= FEW:
            off = max(FLOOR_SIGMA, FLOOR_FAR * float(np.linalg.norm(planted.mean(0))))
            precision += _spread(planted) / off**2
    if plumb is not None:
        precision += plumb / PLUMB_SIGMA**2
    up = normalize(np.linalg.solve(precision, pull))
    if plumb is None and edges is not None:
        form = vertical.seen(edges, camera, up)
        up = normalize(np.linalg.solve(precision + form / EDGE_SIGMA**2, pull))
    if tilt is not None:
        up = np.append(normalize(up[:2]) * np.cos(np.radians(tilt)), -np.sin(np.radians(tilt)))
    return up


def _standing(camera: Camera, up: Array, origin: Array) -> Camera:
    """The camera whose world has this up direction and origin (camera space), y along the view."""
    forward = np.array([0.0, 0.0, 1.0]) - up[2] * up
    if np.linalg.norm(forward) < 0.2:  # looking straight down or up: the picture's upper edge is "ahead"
        forward = np.array([0.0, -1.0, 0.0]) + up[1] * up
    y = normalize(forward)
    world_axes = np.stack([np.cross(y, up), y, up], axis=-1)
    return replace(camera, rotation=rotations.from_matrix(world_axes), t=origin, measured=True)


def _told_up(down: Array, spread: Array) -> tuple[Array, float]:
    """One up direction from what a network says of each frame (T, 3) with standard deviations (T,) radians, and how
    far it may be off. The frames of a clip are wrong alike: many do not make it much surer."""
    direction = normalize(np.sum(-down / spread[:, None] ** 2, axis=0))
    return direction, max(float(np.median(spread)), NETWORK_SIGMA)


def _body_up(skeleton: Skeleton, motion: Motion) -> tuple[Array, float] | None:
    """Mean direction ankles -> neck of the frames in which the body is stretched out, and how sure that is (0..1)."""
    _, joints = sk.forward_kinematics(skeleton, motion.rotations, motion.pelvis)
    ankles = joints[:, [JOINT["left_ankle"], JOINT["right_ankle"]]].mean(1)
    legs = normalize(motion.pelvis - ankles)
    trunk = normalize(joints[:, JOINT["neck"]] - motion.pelvis)
    knees = rotations.to_axis_angle(motion.rotations[:, [JOINT["left_knee"], JOINT["right_knee"]]])
    straight = np.linalg.norm(knees, axis=-1).min(1) < np.radians(40)
    standing = straight & (np.sum(legs * trunk, -1) > np.cos(np.radians(25)))
    if standing.sum() < 5:
        return None
    directions = normalize(joints[standing, JOINT["neck"]] - ankles[standing])
    return normalize(directions.mean(0)), float(standing.mean())


def _planted(skeleton: Skeleton, motion: Motion, up: Array) -> Array:
    """(N, 3) camera space: foot points in sight that stand still while they are the lower ones of the body."""
    points = contact_points(skeleton, motion)
    height = points @ up
    lowest = height < height.min(1, keepdims=True) + 0.06
    in_sight = motion.confidence[:, sk.ANKLES].repeat(2, axis=1) > SEEN
    return points[(sideways_speed(points, motion.times, motion.eye) < SPEED[0]) & lowest & in_sight]


def _spread(planted: Array) -> Array:
    """(3, 3) m^2: how far the planted points spread, less what the noise of their depth alone would spread."""
    centre = planted.mean(0)
    scatter = (planted - centre).T @ (planted - centre) / len(planted)
    ray = normalize(centre)
    scatter = scatter - np.outer(ray, ray) * min((DEPTH_SIGMA * np.linalg.norm(centre)) ** 2, ray @ scatter @ ray)
    values, axes = np.linalg.eigh(scatter)
    return (axes * np.maximum(values, 0.0)) @ axes.T
