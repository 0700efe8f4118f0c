"""A picture to judge takes by: frames of the clip with the reprojected skeletons, beside the solved scene.

    python packaging/contact_sheet.py VIDEO TAKE.npz... -o SHEET.png [--frames 5] [--no-render]

TAKE may be the index (.json) of a capture of several people. Columns: the video with the skeletons (light: left limbs,
dark: right; green dots: the keypoints that were found; red: a foot point on the floor), then the characters from the
solved camera and from the camera's right, rendered by Blender; with --no-render drawn as skeletons, within seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import sheet_drawing as drawing
from render_takes import render_views
from sheet_drawing import Image, Person

from backend.core import keypoints, skeleton
from backend.core.errors import MocapError
from backend.core.take import Take, read_take
from backend.video import VideoReader

CELL_AREA = 640 * 400  # pixels of one picture of the sheet
HEADER = 54
GAP = 6


def main(arguments: list[str]) -> int:
    """Make the sheet that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("takes", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=5, help="rows of the sheet")
    parser.add_argument("--no-render", action="store_true", help="draw skeletons instead of rendering in Blender")
    options = parser.parse_args(arguments)
    paths = [path for given in options.takes for path in take_files(given)]
    try:
        sheet = make_sheet(options.video, paths, options.frames, render=not options.no_render)
    except MocapError as error:
        print(f"contact_sheet.py: {error}", file=sys.stderr)
        return error.exit_status
    options.output.parent.mkdir(parents=True, exist_ok=True)
    save(sheet, options.output)
    print(f"{options.output}: {sheet.shape[1]}x{sheet.shape[0]}")
    return 0


def take_files(path: Path) -> list[Path]:
    """The take itself, or the takes that an index lists."""
    if path.suffix != ".json":
        return [path]
    return [path.parent / entry["file"] for entry in json.loads(path.read_text("utf-8"))["takes"]]


def make_sheet(video: Path, paths: list[Path], count: int, render: bool, blend: Path | None = None) -> Image:
    """The sheet of some takes of one clip: `count` rows of frames spread over them.

    blend: the scene that they were keyed in, to render that instead of one built from the takes.
    """
    takes = [read_take(path) for path in paths]
    frames = choose_frames(takes, count)
    pictures, scale = read_frames(video, frames)
    rows = []
    if render:
        with tempfile.TemporaryDirectory() as folder:
            rendered = render_views(paths, frames, pictures[0].shape[1::-1], Path(folder), blend)
    for k, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        people = [p for number, take in enumerate(takes) if (p := drawing.person_at(take, frame, number))]
        drawing.draw_overlay(picture, people, scale)
        views = rendered[k] if render else drawn_views(people, picture.shape, scale)
        time = float(next(t.times[t["frames"] == frame][0] for t in takes if frame in t["frames"]))
        drawing.write(picture, f"frame {frame}   {time:.2f} s", 10, 22)
        for view, label in zip(views, ("from the solved camera", "from the camera's right"), strict=True):
            drawing.write(view, label, 10, 22)
        rows.append(_beside([picture, *views]))
    body = np.concatenate([_padded(row) for row in rows])
    return np.concatenate([header(video.name, takes, body.shape[1]), body])


def choose_frames(takes: list[Take], count: int) -> list[int]:
    """Frame numbers of the video, evenly spread over those in which somebody is seen, ends left out."""
    seen = np.unique(np.concatenate([take["frames"] for take in takes]))
    count = min(count, len(seen))
    return [int(seen[int((k + 0.5) / count * len(seen))]) for k in range(count)]


def read_frames(video: Path, frames: list[int]) -> tuple[list[Image], float]:
    """The frames as pictures of about CELL_AREA pixels, and their size relative to the full one."""
    pictures: list[Image] = []
    for frame in frames:
        with VideoReader(video, first_frame=frame) as reader:
            info, rgb = reader.info, next(iter(reader)).rgb
        scale = (CELL_AREA / (info.width * info.height)) ** 0.5
        size = max(1, round(info.width * scale)), max(1, round(info.height * scale))
        pictures.append(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    return pictures, scale


def drawn_views(people: list[Person], shape: tuple[int, ...], scale: float) -> list[Image]:
    """The solved scene as skeletons, from the camera and from its right."""
    camera = np.full(shape, drawing.BACKGROUND, np.uint8)
    side = np.full((shape[0], max(shape[0], shape[1] * 2 // 3), 3), drawing.BACKGROUND, np.uint8)
    drawing.draw_camera_view(camera, people, scale)
    drawing.draw_side_view(side, people)
    return [camera, side]


def header(name: str, takes: list[Take], width: int) -> Image:
    """Two lines about the clip and the takes, one colour a person."""
    image = np.full((HEADER, width, 3), drawing.BACKGROUND, np.uint8)
    drawing.write(image, f"{name}   {len(takes)} {'person' if len(takes) == 1 else 'people'}", 10, 20, 0.55)
    x = 10
    for number, take in enumerate(takes):
        text = f"{number + 1}: {len(take)} frames, off by {reprojection_error(take):.1%} of the height"
        drawing.write(image, text, x, 44, 0.45, drawing.color_of(number))
        x += 9 * len(text)
    return image


def reprojection_error(take: Take) -> float:
    """Median distance of the projected limbs from the keypoints, relative to the person's height in the picture."""
    names = [
        f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist", "knee", "ankle")
    ]
    points = take["joints"][:, [skeleton.INDEX[n] for n in names]]
    seen = take["keypoints2d"][:, [keypoints.INDEX[n] for n in names]]
    camera = np.einsum("tij,tnj->tni", take["R"], points) + take["t"][:, None]
    pixels = camera[..., :2] / np.maximum(camera[..., 2:], 0.05) * take["focal"] + take["center"]
    sure = seen[..., 2] > 0.5
    if not sure.any():
        return float("nan")
    apart = np.linalg.norm(pixels - seen[..., :2], axis=-1)
    tall = 1.7 * float(take["focal"]) / np.maximum(camera[:, :1, 2], 0.05)  # a person at this distance
    return float(np.median((apart / tall)[sure]))


def save(image: Image, path: Path) -> None:
    """Write an RGB picture; unlike cv2.imwrite also under a name with any letters."""
    path.write_bytes(cv2.imencode(path.suffix, image[..., ::-1])[1].tobytes())


def _beside(images: list[Image]) -> Image:
    gap = np.zeros((images[0].shape[0], GAP, 3), np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)


def _padded(row: Image) -> Image:
    return np.concatenate([np.zeros((GAP, row.shape[1], 3), np.uint8), row])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
