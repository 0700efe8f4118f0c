"""Labels of MOYO, RICH and MOOF in their published layouts, about known motions, and takes of these motions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import clips
import numpy as np

from backend.core import rotations, skeleton
from backend.core.rotations import Array
from backend.core.skeleton import Skeleton
from backend.core.take import NpzWriter, read_take
from backend.evaluation import benchmarks, chains, compare
from backend.video import picture_times, video_hash

COUNT = 40  # frames
VIDEO, PICTURE = (128, 94), np.array([512.0, 376.0])  # the videos are four times smaller than what labels speak of
RICH = benchmarks.RICH_PICTURE[0] / PICTURE[0]  # how much larger RICH's pictures are
FOCAL, CENTER = 480.0, np.array([250.0, 200.0])  # of the labels' picture
SEEN = [chains.read_clips(clips.ROOT / "tests" / "golden" / "motion_clips.npz")[k] for k in (4, 8)]  # near the camera
Camera = tuple[Array, Array]  # R (3, 3) and t (3,): x_camera = R x + t
WORLD: Camera = rotations.to_matrix(rotations.from_axis_angle([0.4, -1.1, 2.0])), np.array([0.3, -0.5, 0.8])
TAKES: Camera = rotations.to_matrix(rotations.from_axis_angle([1.7, 0.1, -0.2])), np.array([0.2, 1.4, 3.0])


def motion(which: int = 0) -> tuple[Array, Array]:
    """Rotations (T, 55, 4) and pelvis (T, 3) in the camera's space; hands flat."""
    local = np.array(SEEN[which].local[:COUNT], float)
    local[:, 22:] = rotations.IDENTITY
    return local, np.array(SEEN[which].pelvis[:COUNT], float)


def parameters(body: Skeleton, which: int = 0, camera: Camera = WORLD) -> dict[str, Array]:
    """SMPL-X's parameters of a motion in the world of a camera."""
    local, pelvis = motion(which)
    turn = rotations.inverse(rotations.from_matrix(camera[0]))
    return {
        "global_orient": rotations.to_axis_angle(rotations.multiply(turn, local[:, 0])).astype(np.float32),
        "body_pose": rotations.to_axis_angle(local[:, 1:22]).reshape(COUNT, 63).astype(np.float32),
        "transl": (rotations.rotate(turn, pelvis - camera[1]) - body.offsets[0]).astype(np.float32),
    }


def matrix(camera: Camera = WORLD) -> Array:
    """(4, 4) from the world to the camera's space."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = camera
    return out


def lens(scale: float = 1.0) -> Array:
    """(3, 3) of the labels' picture, or of a larger one."""
    return np.array([[FOCAL * scale, 0, CENTER[0] * scale], [0, FOCAL * scale, CENTER[1] * scale], [0, 0, 1]])


def moyo(body: Skeleton, which: int = 0) -> dict[str, Any]:
    """`moyo_smplx_test_labels.pt` of one video, yoga.mp4."""
    told = {
        "gender": "female", "vidname": "yoga", "img_wh": PICTURE.astype(int), "K_fullimg": lens(), "T_w2c": matrix(),
        "imgname": [f"yoga/{k:05d}.jpg" for k in range(COUNT)], "smplx_params": parameters(body, which),
        "bbx_xyxy": np.zeros((COUNT, 4)),
    }  # fmt: skip
    return {"220923_yogi_1": told}


def rich(body: Skeleton, betas: Array, videos: dict[str, int]) -> dict[str, Any]:
    """`rich_test_labels.pt`: of each video which motion it shows, from its picture 5 on."""
    shape = {"betas": np.tile(betas, (COUNT, 1))}
    return {
        video: {"frame_id": 5 + np.arange(COUNT), "gender": "male", "gt_smplx_params": parameters(body, k) | shape}
        for video, k in videos.items()
    }


def moof(file: Path) -> dict[str, Any]:
    """The label in `annotations.pt` of the video that a take shows, all of the feet visible; boxes 200 pixels high."""
    take = read_take(file)
    points = np.concatenate([take["joints"][:, :22], take["keypoints_foot"]], 1)
    points = compare.project(take, points) * PICTURE[0] / VIDEO[0]
    middle = 0.5 * (points.min(1) + points.max(1))
    box = np.concatenate([middle - [45, 100], middle + [45, 100]], 1)
    return {
        "video_name": "spin", "img_wh": PICTURE, "bbx_xyxy": box,
        "gt_feet_kpts": np.concatenate([points[:, 22:], np.ones((len(points), 6, 1))], -1),
    }  # fmt: skip


def write_video(folder: Path, name: str, count: int = COUNT) -> Path:
    """FOLDER/videos/NAME.mp4, different for every name."""
    path = folder / "videos" / f"{name}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = clips.shapes(count, VIDEO[1], VIDEO[0])
    pictures[0][:4] = np.frombuffer(name.encode()[:4].ljust(4), np.uint8)[:, None, None]
    return clips.write_video(path, pictures[len(name) % 3 :] + pictures[: len(name) % 3], fps=30)


def write_take(path: Path, video: Path, body: Skeleton, local: Array, pelvis: Array, first: int = 0) -> Path:
    """What a capture without any error writes of a motion (camera space) that begins with a picture of the video.

    Its world is not the benchmark's: the camera stands somewhere else in it, TAKES.
    """
    turn = rotations.inverse(rotations.from_matrix(TAKES[0]))
    world = local.copy()
    world[:, 0] = rotations.multiply(turn, local[:, 0])
    pelvis = rotations.rotate(turn, pelvis - TAKES[1])
    turned, joints = skeleton.forward_kinematics(body, world, pelvis)
    count, scale = len(local), VIDEO[0] / PICTURE[0]
    arrays = {
        "poses": rotations.to_axis_angle(world).reshape(count, -1), "trans": pelvis - body.offsets[0],
        "rest_offsets": body.offsets, "joints": joints, "mocap_frame_rate": 30.0,
        "keypoints_foot": skeleton.posed_points(body, turned, joints, skeleton.FOOT_POINTS),
        "R": np.tile(TAKES[0], (count, 1, 1)), "t": np.tile(TAKES[1], (count, 1)),
        "focal": FOCAL * scale, "center": CENTER * scale, "image_size": np.array(VIDEO, float),
        "timestamps": picture_times(video)[first : first + count], "frames": first + np.arange(count), "up_axis": "z",
        "provenance": json.dumps({"video": {"name": video.name, "sha256": video_hash(video)}}),
    }  # fmt: skip
    with NpzWriter(path) as file:
        for name, value in arrays.items():
            file.put(name, value)
    return path
