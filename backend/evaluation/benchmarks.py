"""The labels of public benchmarks as references that `python -m backend evaluate TAKES --against REFERENCES` reads.

Layouts as FootMR's and GVHMR's evaluation code have them (their `hmr4d_support`); what is marked ? may be missing:

    moyo  moyo_smplx_test_labels.pt   {key: {vidname, gender, img_wh, K_fullimg (3, 3), T_w2c (4, 4), smplx_params}}
          moyo_test_gt_v_template.pt? {v_template (10475, 3)}: the surface at rest of the one person
    rich  rich_test_labels.pt         {video: {frame_id (T,), gender, gt_smplx_params}}
          cam2params.pt               {SCENE_CAMERA: (T_w2c (4, 4), K (3, 3))}, of GVHMR's hmr4d/dataset/rich/resource
          w2az_sahmr.json? test.txt?  from there, too: which way is up in each scan, and of which scan a sequence is
    moof  annotations.pt              {video: {img_wh (2,), bbx_xyxy (T, 4), gt_feet_kpts (T, 6, 3)}}
    all   videos/VIDEO.mp4            what is captured

MOYO and RICH become takes that hold the truth (see `backend/core/take.py`), without contacts, keypoints and hands;
their `up_axis` is "unknown" where nothing tells it. Of MOOF only the feet in the picture are known; its references have

    feet2d (T, 6, 2) visible (T, 6)     `skeleton.FOOT_POINTS`, pixels of the upright frame; which of them can be seen
    box (T, 4)                          around the person: left, top, right, bottom, pixels
    timestamps frames mocap_frame_rate image_size provenance    as a take
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core import rotations, skeleton
from ..core.errors import MocapError
from ..core.rotations import Array
from ..core.skeleton import Skeleton
from ..core.take import NpzWriter
from ..published.smplx import BETAS, Shapes
from ..store import writing
from ..video import picture_times, probe, video_hash

RICH_PICTURE = np.array([4112.0, 3008.0])  # what its cameras' focal lengths speak of; two of them stand on their side
TEMPLATE = "moyo_test_gt_v_template.pt"
IN_PIXELS = ("focal", "center", "feet2d", "box")
ALIKE = 0.01  # shares by which a video's picture may be wider or narrower than the labels': sizes are whole pixels


@dataclass(frozen=True)
class Truth:
    """What the labels know of one video: in the pictures `frames` (T,), counted from 0; size (2,): width and height of
    the picture in which the labels count pixels; content: arrays of the reference, by name."""

    video: str
    frames: NDArray[np.int64]
    size: Array
    content: dict[str, Any]


@dataclass(frozen=True)
class Bodies:
    """The people's skeletons: their own where SMPL-X's files (`SMPLX_FEMALE.npz`, ...) lie in the folder."""

    folder: Path | None = None

    def shaped(self, gender: str, betas: Array) -> Skeleton:
        """Of shape betas (at least 10,). Raises MocapError model-missing, model-unreadable or model-wrong."""
        return self._shapes(gender).skeleton(betas[:BETAS]) if self.folder else skeleton.neutral()

    def within(self, gender: str, template: Array) -> Skeleton:
        """Of the surface at rest (V, 3), metres. Raises as `shaped`."""
        return self._shapes(gender).skeleton_within(template) if self.folder else skeleton.neutral()

    def _shapes(self, gender: str) -> Shapes:
        assert self.folder is not None
        file = self.folder / f"SMPLX_{gender.upper()}.npz"
        if not file.is_file():
            raise MocapError("model-missing", f"{file} is not there.", "Name the folder that has SMPL-X's .npz files.")
        return _read_shapes(file)


@lru_cache(maxsize=3)
def _read_shapes(file: Path) -> Shapes:
    return Shapes(file)


def load(benchmark: str, folder: Path, bodies: Bodies) -> Iterator[Truth]:
    """The truth of every video that the label files of a benchmark name; needs torch.

    Raises MocapError motion-unreadable, model-unreadable, model-unsafe, or as `Bodies` does.
    """

    def read(name: str) -> Any:
        if not (folder / name).is_file():
            raise _wrong(f"{folder} has no {name}.")
        from ..published.checkpoints import read_data

        return read_data(folder / name)

    if benchmark == "moof":
        return moof(read("annotations.pt"))
    if benchmark == "moyo":
        template = read(TEMPLATE) if (folder / TEMPLATE).is_file() else None
        return moyo(read("moyo_smplx_test_labels.pt"), template, bodies)
    return rich(read("rich_test_labels.pt"), read("cam2params.pt"), upright_rich(folder), bodies)


def write(truths: Iterator[Truth], folder: Path, output: Path) -> tuple[list[Path], list[str]]:
    """Write a reference, OUTPUT/VIDEO.npz, for every video that is there; -> these, and the videos that are not.

    Raises MocapError motion-unreadable where a video does not fit its labels or none is there; as `probe`; disk-full or
    output-unwritable.
    """
    written, missing = [], []
    for truth in truths:
        video = folder / "videos" / f"{truth.video}.mp4"
        if not video.is_file():
            missing.append(truth.video)
            continue
        content = _fitted(truth, video)
        path = output / (re.sub(r"[^\w.-]+", ".", truth.video) + ".npz")
        with writing(path):
            output.mkdir(parents=True, exist_ok=True)
            with NpzWriter(path) as file:
                for name, value in content.items():
                    file.put(name, value)
        written.append(path)
    if not written:
        some = f", such as {missing[0]}.mp4" if missing else ""
        raise _wrong(f"{folder / 'videos'} has none of the {len(missing)} videos of the labels{some}.")
    return written, missing


def _fitted(truth: Truth, video: Path) -> dict[str, Any]:
    """The arrays of a reference: pixels and times as in the video."""
    if not len(truth.frames):
        raise _wrong(f"The labels of {truth.video} name no picture of it.")
    info, times = probe(video), picture_times(video)
    size = np.array([info.width, info.height], float)
    scale, other = size / truth.size
    if abs(scale / other - 1) > ALIKE:
        wide, high = truth.size.astype(int)
        raise _wrong(f"{video.name} has {info.width} x {info.height} pixels; its labels are for {wide} x {high}.")
    if truth.frames.max() >= len(times):
        raise _wrong(f"{video.name} has {len(times)} pictures; its labels go on to number {truth.frames.max()}.")
    told = {"video": {"name": video.name, "sha256": video_hash(video)}, "clip": truth.video, "made by": "references"}
    return {
        **{name: value * scale if name in IN_PIXELS else value for name, value in truth.content.items()},
        "mocap_frame_rate": info.fps, "fps": info.fps, "image_size": size, "frames": truth.frames,
        "timestamps": times[truth.frames], "provenance": json.dumps(told, ensure_ascii=False),
    }  # fmt: skip


def moof(labels: Any) -> Iterator[Truth]:
    """MOOF: where the feet are in the picture."""
    for video, label in _videos(labels):
        feet = _array(video, label, "gt_feet_kpts", -1, 6, 3)
        box = _array(video, label, "bbx_xyxy", len(feet), 4)
        content = {"feet2d": feet[..., :2], "visible": feet[..., 2] == 1.0, "box": box}
        yield Truth(video, np.arange(len(feet)), _array(video, label, "img_wh", 2), content)


def moyo(labels: Any, template: Any, bodies: Bodies) -> Iterator[Truth]:
    """MOYO; template: the content of `moyo_test_gt_v_template.pt`, None where it is not there."""
    for key, label in _videos(labels):
        params, gender = _part(key, label, "smplx_params"), str(label.get("gender", "neutral"))
        body = skeleton.neutral()
        if template is not None:
            body = bodies.within(gender, _array(TEMPLATE, template, "v_template", -1, 3))
        elif "betas" in params:
            body = bodies.shaped(gender, _array(key, params, "betas", -1, np.shape(params["betas"])[-1])[0])
        w2c, lens = _array(key, label, "T_w2c", 4, 4), _array(key, label, "K_fullimg", 3, 3)
        content = _posed(key, params, body, w2c, lens)
        frames = np.arange(len(content["poses"]))
        yield Truth(str(label.get("vidname", key)), frames, _array(key, label, "img_wh", 2), content)


def rich(labels: Any, cameras: Any, upright: Mapping[str, Array], bodies: Bodies) -> Iterator[Truth]:
    """RICH; cameras: the content of `cam2params.pt`; upright: see `upright_rich`."""
    for video, label in _videos(labels):
        try:
            _, sequence, camera = video.split("/")  # such as test/Gym_013_burpee4/cam_06
            named = f"{sequence.split('_')[0]}_{int(camera.split('_')[1])}"
            seen = dict(zip(("T_w2c", "K"), cameras[named], strict=True))
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise _wrong(f"cam2params.pt has no camera for {video}.") from error
        params = _part(video, label, "gt_smplx_params")
        body = bodies.shaped(str(label.get("gender", "neutral")), _array(video, params, "betas", -1, BETAS)[0])
        w2c, lens = _array(named, seen, "T_w2c", 4, 4), _array(named, seen, "K", 3, 3)
        content = _posed(video, params, body, w2c, lens, upright.get(sequence))
        frames = _array(video, label, "frame_id", len(content["poses"])).astype(int)
        yield Truth(video, frames, RICH_PICTURE if lens[0, 2] > lens[1, 2] else RICH_PICTURE[::-1], content)


def upright_rich(folder: Path) -> dict[str, Array]:
    """Sequence -> what takes RICH's world (T_w2az, (4, 4)) to one with z up and the floor at 0; {} where not told.

    From `w2az_sahmr.json` and `test.txt`, whose columns begin with the sequence, its place and its scan. Raises
    MocapError motion-unreadable.
    """
    turns, scans = folder / "w2az_sahmr.json", folder / "test.txt"
    if not (turns.is_file() and scans.is_file()):
        return {}
    try:
        told = json.loads(turns.read_text())
        matrices = {scan: np.array(matrix, float).reshape(4, 4) for scan, matrix in told.items()}
        rows = [line.split() for line in scans.read_text().splitlines()[1:] if line.strip()]
        return {row[0]: matrices[f"{row[1]}_{row[2]}"] for row in rows}
    except (ValueError, AttributeError, KeyError, IndexError) as error:
        raise _wrong(f"{turns.name} and {scans.name} do not belong together ({error!r}).") from error


def _posed(
    video: str, params: Mapping[str, Any], body: Skeleton, w2c: Array, lens: Array, upright: Array | None = None
) -> dict[str, Any]:
    """The arrays of a take: a body of SMPL-X's parameters in their world, seen by a camera that stands still.

    w2c, upright (4, 4): from that world to the camera's space, and to an upright world; lens (3, 3).
    """
    root = _array(video, params, "global_orient", -1, 3)
    count = len(root)
    local = np.tile(rotations.IDENTITY, (count, skeleton.COUNT, 1))
    local[:, 0] = rotations.from_axis_angle(root)
    local[:, 1:22] = rotations.from_axis_angle(_array(video, params, "body_pose", count, 21, 3))
    pelvis = _array(video, params, "transl", count, 3) + body.offsets[0]
    if upright is not None:
        local[:, 0] = rotations.multiply(rotations.from_matrix(upright[:3, :3]), local[:, 0])
        pelvis = pelvis @ upright[:3, :3].T + upright[:3, 3]
        w2c = w2c @ np.linalg.inv(upright)
    turned, joints = skeleton.forward_kinematics(body, local, pelvis)
    if not np.isfinite(joints).all():
        raise _wrong(f"The labels of {video} hold numbers that are not finite.")
    return {
        "poses": rotations.to_axis_angle(local).reshape(count, 3 * skeleton.COUNT), "trans": pelvis - body.offsets[0],
        "betas": np.zeros(16), "gender": "neutral", "surface_model_type": "smplx", "rest_offsets": body.offsets,
        "joints": joints, "keypoints_foot": skeleton.posed_points(body, turned, joints, skeleton.FOOT_POINTS),
        "confidence": np.ones((count, skeleton.COUNT)), "focal": 0.5 * (lens[0, 0] + lens[1, 1]),
        "center": lens[:2, 2], "R": np.tile(w2c[:3, :3], (count, 1, 1)), "t": np.tile(w2c[:3, 3], (count, 1)),
        "up_axis": "unknown" if upright is None else "z",
    }  # fmt: skip


def _videos(labels: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(labels, Mapping) or not all(isinstance(label, Mapping) for label in labels.values()):
        raise _wrong("The file of labels does not name videos with what is known of each.")
    yield from ((str(video), label) for video, label in labels.items())


def _part(video: str, label: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = label.get(name)
    if not isinstance(part, Mapping):
        raise _wrong(f"The labels of {video} have no {name}.")
    return part


def _array(video: str, label: Mapping[str, Any], name: str, *shape: int) -> Array:
    try:
        return np.asarray(label[name], float).reshape(shape)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _wrong(f"The labels of {video} have no {name} of the shape {shape}.") from error


def _wrong(what: str) -> MocapError:
    return MocapError("motion-unreadable", what, "docs/evaluation.md lists the files and where they come from.")
