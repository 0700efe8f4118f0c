"""Clips of a known body in a known motion seen by a known camera, with the exact truth beside them, into out/clips.

    python3 packaging/dev.py render-clips --motions FILE.npz [NAME...] [--random N [--seed N]] [--frames N]
        [--height PIXELS] [--output FOLDER]

FILE holds motions at 30 frames a second: root_orient (N, 3), body_pose (N, 21, 3), trans (N, 3), contacts (N, 4),
seq_name, seq_start, seq_length (S,), y up, floor at y = 0. Each clip becomes NAME.mp4, a few of its frames as NAME.png
and a take per person, NAME.truth.1.npz, NAME.truth.2.npz, ...: `python -m backend evaluate` measures against these.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from clip_body import PARTS
from clip_motion import Performance, perform
from clip_scenes import FPS, SCENES, SIZE, TALKING, TRAVELLING, Scene, random_scenes

from backend.core import keypoints, rotations
from backend.core import skeleton as sk
from backend.core.rotations import Array
from backend.core.take import NpzWriter
from backend.video import video_hash

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out" / "clips"
FIXED = SCENES | TRAVELLING | TALKING
SCRIPT = Path(__file__).with_name("render_clip_in_blender.py")
COLORS = {
    "skin": (206, 158, 128), "shirt": (150, 60, 60), "trousers": (58, 62, 78), "shoes": (222, 220, 214),
    "hair": (62, 42, 30), "eye": (235, 232, 226), "iris": (44, 34, 28), "brow": (66, 46, 34), "lips": (168, 92, 84),
    "mouth": (58, 26, 26),
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Render the clips that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="render-clips", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FIXED)} (default: all)")
    parser.add_argument("--motions", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--random", type=int, metavar="N", help="instead: N random ones, without shadows")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="of the random ones; another one, other clips")
    parser.add_argument("--frames", type=int, default=90, help="length of each clip (default: 90, three seconds)")
    parser.add_argument("--height", type=int, default=SIZE[1], help=f"of the picture, in pixels (default: {SIZE[1]})")
    parser.add_argument("--output", type=Path, default=OUT, metavar="FOLDER")
    options = parser.parse_args(arguments)
    with np.load(options.motions) as data:
        motions = dict(data)
    scenes = random_scenes(motions, options.random, options.frames, options.seed) if options.random else FIXED
    if unknown := set(options.names) - set(scenes):
        parser.error(f"there is no clip {', '.join(sorted(unknown))}")
    options.output.mkdir(parents=True, exist_ok=True)
    size = (round(options.height * SIZE[0] / SIZE[1] / 2) * 2, options.height)
    for name in options.names or scenes:
        print(make_clip(name, scenes[name], motions, options.frames, size, options.output), flush=True)
    return 0


def make_clip(
    name: str, scene: Scene, motions: dict[str, Array], frames: int, size: tuple[int, int], folder: Path
) -> Path:
    """Render one clip and write its truth. -> the video"""
    actors = [perform(actor, motions, frames) for actor in scene.actors]
    count = min(len(actor.pelvis) for actor in actors)
    times = np.arange(count) / FPS
    looking, t = scene.camera(times, actors[0].pelvis[:count])
    focal = scene.focal * float(np.hypot(*size))
    video = folder / f"{name}.mp4"
    with tempfile.TemporaryDirectory() as temporary:
        pictures = _render(scene, actors, looking, t, focal, size, Path(temporary))
        _encode(pictures, video)
        chosen = pictures[len(pictures) // 8 :: max(1, len(pictures) // 4)][:4]
        cv2.imwrite(str(folder / f"{name}.png"), np.concatenate([cv2.imread(str(path)) for path in chosen], axis=1))
    told = {"video": {"name": video.name, "sha256": video_hash(video)}, "made by": "render-clips"}
    for number, actor in enumerate(actors, 1):
        with NpzWriter(folder / f"{name}.truth.{number}.npz") as file:
            for key, value in truth(actor, times, looking, t, focal, size).items():
                file.put(key, value)
            file.put("provenance", json.dumps({**told, "motion": scene.actors[number - 1].motion, "track": number}))
    return video


def truth(actor: Performance, times: Array, looking: Array, t: Array, focal: float, size: tuple[int, int]) -> dict:
    """The arrays of a take file, all of them exact."""
    count = len(times)
    body, local, pelvis = actor.body.skeleton, actor.local[:count], actor.pelvis[:count]
    turned, joints = (array[:count] for array in actor.posed)
    points = np.zeros((count, keypoints.COUNT, 3))
    known = np.zeros(keypoints.COUNT, bool)
    for k, (joint, offset) in _keypoints(body).items():
        points[:, k] = joints[:, joint] + rotations.rotate(turned[:, joint], offset)
        known[k] = True
    seen = np.einsum("tab,tkb->tka", looking, points) + t[:, None]
    pixels = seen[..., :2] / np.maximum(seen[..., 2:], 0.05) * focal + 0.5 * np.array(size)
    inside = ((pixels >= 0) & (pixels < size)).all(-1) & (seen[..., 2] > 0.05) & known
    return {
        "poses": rotations.to_axis_angle(local).reshape(count, -1),
        "trans": pelvis - body.offsets[0],
        "betas": np.zeros(16),
        "gender": "neutral",
        "mocap_frame_rate": FPS,
        "surface_model_type": "smplx",
        "rest_offsets": body.offsets,
        "joints": joints,
        "keypoints_foot": sk.posed_points(body, turned, joints, sk.FOOT_POINTS),
        "contacts": actor.contacts[:count],
        "confidence": np.ones((count, sk.COUNT)),
        "keypoints2d": np.concatenate([pixels, inside[..., None]], -1),
        "focal": focal,
        "center": 0.5 * np.array(size, float),
        "image_size": np.array(size, float),
        "R": looking,
        "t": t,
        "timestamps": times,
        "frames": np.arange(count),
        "fps": FPS,
        "up_axis": "z",
    }


def _keypoints(body: sk.Skeleton) -> dict[int, tuple[int, Array]]:
    """COCO-WholeBody keypoint -> joint and offset; without the face's 68."""
    found = {}
    for name, k in keypoints.INDEX.items():
        found[k] = body.points[name] if name in body.points else (sk.INDEX[name], np.zeros(3))
    for side, part in (("left", keypoints.LEFT_HAND), ("right", keypoints.RIGHT_HAND)):
        found[part.start] = (sk.INDEX[f"{side}_wrist"], np.zeros(3))
        for n, finger in enumerate(("thumb", "index", "middle", "ring", "pinky")):
            chain = [(sk.INDEX[f"{side}_{finger}{k}"], np.zeros(3)) for k in (1, 2, 3)]
            for k, point in enumerate([*chain, body.points[f"{side}_{finger}_tip"]], part.start + 1 + 4 * n):
                found[k] = point
    return found


def _render(
    scene: Scene, actors: list[Performance], looking: Array, t: Array, focal: float, size: tuple[int, int], folder: Path
) -> list[Path]:
    told = {"focal": focal, "size": size, "shadows": scene.shadows}
    arrays: dict[str, Array] = {"R": looking, "t": t, **{name: np.array(value) for name, value in told.items()}}
    for k, (actor, performance) in enumerate(zip(scene.actors, actors, strict=True)):
        rows = slice(len(t))
        arrays[f"vertices{k}"] = performance.body.skin(*(array[rows] for array in performance.posed)).astype("f4")
        arrays[f"faces{k}"], arrays[f"parts{k}"] = performance.body.faces, performance.body.parts
        arrays[f"colors{k}"] = np.array([{**COLORS, **actor.clothes}[part] for part in PARTS])
    np.savez(folder / "job.npz", **arrays)
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder / "blender")}
    command = [sys.executable, str(SCRIPT), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise RuntimeError(f"Blender could not render the clip:\n{result.stdout[-1000:]}{result.stderr[-3000:]}")
    return [folder / f"{frame:04d}.png" for frame in range(len(t))]


def _encode(pictures: list[Path], video: Path) -> None:
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options={"crf": "20", "preset": "fast"})
        stream.pix_fmt = "yuv420p"
        stream.height, stream.width = cv2.imread(str(pictures[0])).shape[:2]
        for path in pictures:
            rgb = cv2.imread(str(path))[..., ::-1]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
