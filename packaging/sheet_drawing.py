"""Drawing skeletons of takes with OpenCV: over the video, through the solved camera, and from the side."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.core import keypoints, skeleton
from backend.core.rotations import Array
from backend.core.take import Take

Image = NDArray[np.uint8]
Color = tuple[int, int, int]

BACKGROUND = (38, 40, 44)
GRID = (74, 78, 84)
TEXT = (235, 235, 235)
SEEN = (90, 255, 120)  # keypoints that the landmark models found
GROUNDED = (255, 60, 60)  # points of the foot that touch the floor

_HUES = (0.58, 0.08, 0.83, 0.15, 0.47, 0.0, 0.72, 0.3)  # neighbours far apart
_NO_LINE = ("jaw", "left_eye_smplhf", "right_eye_smplhf")
_BONES = [(int(p), j) for j, p in enumerate(skeleton.PARENTS) if p >= 0 and skeleton.JOINTS[j] not in _NO_LINE]
# Joint -> point of the foot, row of `keypoints_foot`.
_FEET = [
    ("left_foot", 0),
    ("left_foot", 1),
    ("left_ankle", 2),
    ("right_foot", 3),
    ("right_foot", 4),
    ("right_ankle", 5),
]
_CONTACT_POINTS = (2, 0, 5, 3)  # rows of `keypoints_foot` in the order of `skeleton.CONTACTS`


@dataclass(frozen=True)
class Person:
    """One take at one moment. joints (55, 3), foot (6, 3) and head_top (3,) metres, world; seen (133, 3) pixels and
    confidence; contacts (4,); rotation (3, 3) and t (3,) of the camera, focal and center (2,) in pixels."""

    number: int
    joints: Array
    foot: Array
    head_top: Array
    seen: Array
    contacts: NDArray[np.uint8]
    rotation: Array
    t: Array
    focal: float
    center: Array

    def project(self, points: Array) -> tuple[Array, NDArray[np.bool_]]:
        """World points (N, 3) -> pixels of the full-size frame (N, 2), and which of them lie before the camera."""
        camera = points @ self.rotation.T + self.t
        before = camera[:, 2] > 0.05
        depth = np.where(before, camera[:, 2], 1.0)
        return camera[:, :2] / depth[:, None] * self.focal + self.center, before


def person_at(take: Take, frame: int, number: int) -> Person | None:
    """The person of a take in a frame of the video; None when not seen in it."""
    rows = np.flatnonzero(take["frames"] == frame)
    if not len(rows):
        return None
    row = rows[0]
    body = skeleton.neutral().with_offsets(take["rest_offsets"])
    turned, joints = skeleton.forward_kinematics(body, take.rotations[row : row + 1], take.pelvis[row : row + 1])
    return Person(
        number,
        take["joints"][row].astype(float),
        take["keypoints_foot"][row].astype(float),
        skeleton.posed_points(body, turned, joints, ("head_top",))[0, 0],
        take["keypoints2d"][row].astype(float),
        take["contacts"][row],
        take["R"][row].astype(float),
        take["t"][row].astype(float),
        float(take["focal"]),
        take["center"].astype(float),
    )


def color_of(number: int, side: str = "") -> Color:
    """RGB of a person: left limbs lighter, right limbs darker."""
    lightness = {"left": 0.74, "right": 0.40}.get(side, 0.58)
    red, green, blue = colorsys.hls_to_rgb(_HUES[number % len(_HUES)], lightness, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_overlay(image: Image, people: list[Person], scale: float) -> None:
    """The reprojected skeletons and, as small dots, the keypoints they come from. scale: image / full-size pixels."""
    for person in people:
        _draw_body(image, person, lambda points, p=person: _scaled(p.project(points), scale))
    for person in people:
        _draw_seen(image, person, scale)
        (head,), (visible,) = _scaled(person.project(person.head_top[None]), scale)
        if visible and len(people) > 1:
            write(
                image, str(person.number + 1), int(head[0]) - 5, int(head[1]) - 6, 0.5, color_of(person.number, "left")
            )


def draw_camera_view(image: Image, people: list[Person], scale: float) -> None:
    """The skeletons and the floor as the solved camera sees them."""
    if not people:
        return
    camera = people[0]
    around = np.mean([p.joints[0, :2] for p in people], axis=0).round()
    for line in _floor_lines(around):
        pixels, before = _scaled(camera.project(line), scale)
        for k in range(len(line) - 1):
            if before[k] and before[k + 1]:
                _line(image, pixels[k], pixels[k + 1], GRID, 1)
    for person in people:
        _draw_body(image, person, lambda points, p=person: _scaled(p.project(points), scale))


def draw_side_view(image: Image, people: list[Person]) -> None:
    """The skeletons seen from the camera's right, without perspective: the camera is on the left, floor at z = 0."""
    if not people:
        return
    height, width = image.shape[:2]
    forward = people[0].rotation[2, :2] / max(float(np.linalg.norm(people[0].rotation[2, :2])), 1e-6)
    everyone = np.concatenate([p.joints for p in people])
    along = everyone[:, :2] @ forward
    low, high = min(0.0, float(everyone[:, 2].min())), max(2.0, float(everyone[:, 2].max()))
    meter = min(height / (high - low + 0.5), width / (float(np.ptp(along)) + 1.0))
    middle = (float(along.min()) + float(along.max())) / 2

    def project(points: Array) -> tuple[Array, NDArray[np.bool_]]:
        x = width / 2 + (points[:, :2] @ forward - middle) * meter
        y = height - (0.25 - low + points[:, 2]) * meter
        return np.stack([x, y], axis=1), np.ones(len(points), bool)

    reach = width / meter / 2
    for distance in range(int(np.ceil(middle - reach)), int(np.floor(middle + reach)) + 1):
        x = width / 2 + (distance - middle) * meter
        _line(image, (x, 0), (x, height), GRID, 1)
    for level in np.arange(np.ceil(low), high + 1):
        y = height - (0.25 - low + level) * meter
        _line(image, (0, y), (width, y), GRID if level else TEXT, 1)
    for person in people:
        _draw_body(image, person, project)


def write(image: Image, text: str, x: int, y: int, size: float = 0.5, color: Color = TEXT) -> None:
    """A line of text with a dark rim; letters that OpenCV has no picture of become question marks."""
    text = text.encode("ascii", "replace").decode()
    for ink, thickness in (((0, 0, 0), 3), (color, 1)):
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, thickness, cv2.LINE_AA)


def _draw_body(image: Image, person: Person, project) -> None:  # type: ignore[no-untyped-def]
    points = np.concatenate([person.joints, person.foot, person.head_top[None]])
    pixels, before = project(points)
    feet = [(skeleton.INDEX[joint], skeleton.COUNT + row) for joint, row in _FEET]
    lines = [*_BONES, *feet, (skeleton.INDEX["head"], len(points) - 1)]
    for rim in (True, False):
        for a, b in lines:
            if not (before[a] and before[b]):
                continue
            name = skeleton.JOINTS[b] if b < skeleton.COUNT else skeleton.JOINTS[a]
            thickness = 1 if 25 <= b < skeleton.COUNT else 2
            color = (0, 0, 0) if rim else color_of(person.number, name.split("_")[0])
            _line(image, pixels[a], pixels[b], color, thickness + 2 * rim)
    for row, grounded in zip(_CONTACT_POINTS, person.contacts, strict=True):
        if grounded and before[skeleton.COUNT + row]:
            _dot(image, pixels[skeleton.COUNT + row], GROUNDED, 4)


def _draw_seen(image: Image, person: Person, scale: float) -> None:
    for index, (x, y, confidence) in enumerate(person.seen):
        if confidence > 0.3:
            radius = 2 if index < keypoints.FACE.start else 1
            _dot(image, np.array([x, y]) * scale, SEEN, radius)


def _floor_lines(center: Array) -> list[Array]:
    """A grid of one metre on the floor around a point, in short pieces so that those behind the camera drop out."""
    steps = np.linspace(-6, 6, 49)
    lines = []
    for k in range(-6, 7):
        for x, y in ((steps, np.full_like(steps, k)), (np.full_like(steps, k), steps)):
            lines.append(np.stack([x + center[0], y + center[1], np.zeros_like(steps)], axis=1))
    return lines


def _scaled(projected: tuple[Array, NDArray[np.bool_]], scale: float) -> tuple[Array, NDArray[np.bool_]]:
    return projected[0] * scale, projected[1]


_SHIFT = 3  # OpenCV draws at fractions of a pixel: 1/8


def _line(image: Image, a, b, color: Color, thickness: int) -> None:  # type: ignore[no-untyped-def]
    ends = [tuple(int(v) for v in np.clip(np.round(np.asarray(p) * 2**_SHIFT), -(2**24), 2**24)) for p in (a, b)]
    cv2.line(image, *ends, color, thickness, cv2.LINE_AA, _SHIFT)


def _dot(image: Image, at, color: Color, radius: int) -> None:  # type: ignore[no-untyped-def]
    x, y = (int(v) for v in np.clip(np.round(np.asarray(at) * 2**_SHIFT), -(2**24), 2**24))
    cv2.circle(image, (x, y), radius << _SHIFT, color, -1, cv2.LINE_AA, _SHIFT)
