"""Stage `track` by YOLO: people found by a detector of Ultralytics (v8, 11, 26) and followed by ByteTrack or BoT-SORT.

Who is where, YOLO tells; what their bodies, hands and faces do, the embedded landmark models, as in `people.tracker`.
Ultralytics' predictor is not used: it needs torchvision's compiled operators, opens files by running them, and would
decode the video once more. The network is built by Ultralytics' own code from the settings in the file.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import MocapError
from ..core.rotations import Array
from ..landmarks.face import FaceModel
from ..landmarks.hands import HandModel
from ..landmarks.pose import PoseLook, PoseModel
from ..look import BOX, record_with
from ..models.library import user_folder
from ..people.appearance import torso_colours
from ..people.track import Track
from ..people.tracker import Details
from ..stages import Earlier, Frame, Roi, Sighting
from . import pickled_modules
from .runtime import Runner, device_of

PERSON = 0  # the class of COCO
CONFIDENCE, OVERLAP = 0.1, 0.7  # what the trackers get to see: they sort out the doubtful ones themselves
SIDE, STRIDE, GREY = 640, 32, 114  # pixels of the longer side, what sides are a multiple of, and the border
TOGETHER = 8  # frames that are looked at at once
REGION = 1.25  # side of the landmark models' region in sides of the box
SAME = 0.3  # overlap from which on a box continues a person of an earlier run
RECORD = record_with([BOX])


@dataclass
class Detections:
    """People in a picture as Ultralytics' trackers want them. xyxy (N, 4) pixels; conf (N,)."""

    xyxy: NDArray[np.float32]
    conf: NDArray[np.float32]

    @property
    def cls(self) -> NDArray[np.float32]:
        """(N,) the class of each: all are people."""
        return np.full(len(self.conf), PERSON, np.float32)

    @property
    def xywh(self) -> NDArray[np.float32]:
        """(N, 4) centre, width, height."""
        low, high = self.xyxy[:, :2], self.xyxy[:, 2:]
        return np.concatenate([(low + high) / 2, high - low], 1)

    def __len__(self) -> int:
        return len(self.conf)

    def __getitem__(self, rows: Any) -> Detections:
        return Detections(self.xyxy[rows], self.conf[rows])


class YoloDetector:
    """People in pictures."""

    def __init__(self, file: Path, device: str) -> None:
        """Raises MocapError model-wrong, model-unsafe, model-unreadable, model-missing or device-missing."""
        _keep_quiet()
        from ultralytics.nn.tasks import DetectionModel

        saved = pickled_modules.read(file)
        if "yaml" not in saved.settings:
            raise MocapError("model-wrong", f"{file.name} does not say how its network is built.")
        network = DetectionModel(dict(saved.settings["yaml"]), verbose=False)
        own = network.state_dict()
        lacking = [name for name in own if name not in saved.weights]
        if lacking:
            raise MocapError("model-wrong", f"{file.name} is not a YOLO detector: it lacks {lacking[0]}.")
        network.load_state_dict({name: saved.weights[name] for name in own})
        network = network.fuse(verbose=False).requires_grad_(False).eval()
        self._end2end = bool(getattr(network, "end2end", False))
        self._runner = Runner(network, device_of(device))

    def detect(self, pictures: list[NDArray[np.uint8]]) -> list[Detections]:
        """People in pictures of one size."""
        from ultralytics.utils.nms import non_max_suppression

        boxed, scale, corner = letterboxed(pictures)

        def run(batch: torch.Tensor) -> torch.Tensor:
            out = self._runner.network(batch)
            return out[0] if isinstance(out, (tuple, list)) else out

        found = non_max_suppression(
            self._runner(boxed, run), CONFIDENCE, OVERLAP, classes=[PERSON], end2end=self._end2end
        )
        height, width = pictures[0].shape[:2]
        return [_in_picture(rows.numpy(), scale, corner, width, height) for rows in found]


class YoloTracker:
    """Implements `stages.Tracker`."""

    def __init__(self, file: Path, device: str, follow: str = "bytetrack", threads: int = 2) -> None:
        """follow: bytetrack or botsort. Raises as YoloDetector."""
        self._detector = YoloDetector(file, device)
        self._follower = _follower(follow)
        self._threads = max(1, threads)
        self._pose, self._hand, self._face = PoseModel(), HandModel(), FaceModel()
        self._people: dict[int, Track] = {}
        self._numbers: dict[int, int] = {}  # of the follower -> ours, in the order of appearance
        self._earlier: dict[int, Array] = {}
        self._next_number = 1

    def resume(self, earlier: Earlier) -> None:
        """See `stages.Tracker.resume`; who was in sight in the last frame keeps their number."""
        self._next_number = earlier.following
        in_sight = {n: record for n, record in earlier.people.items() if record["time"] == earlier.time}
        self._earlier = {n: record["box"].astype(float) for n, record in in_sight.items()}

    def track(self, frames: Iterable[Frame]) -> Generator[tuple[Frame, list[Sighting]], None, None]:
        """Yield each frame with the people seen in it."""
        pool = ThreadPoolExecutor(self._threads, "landmarks")
        try:
            source = iter(frames)
            while together := list(islice(source, TOGETHER)):
                found = self._detector.detect([frame.rgb for frame in together])
                for frame, detections in zip(together, found, strict=True):
                    yield frame, self._sightings(frame, detections, pool)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _sightings(self, frame: Frame, detections: Detections, pool: ThreadPoolExecutor) -> list[Sighting]:
        if frame.cut:
            self._follower.reset()
            self._people, self._numbers, self._earlier = {}, {}, {}
        rows = np.asarray(self._follower.update(detections, frame.rgb[..., ::-1]), float).reshape(-1, 8)
        boxes = {self._number(int(row[4]), row[:4] * frame.scale): row[:4] for row in rows}
        self._earlier = {}
        looks = pool.map(lambda item: self._see(frame, *item), boxes.items())
        seen = []
        for (number, box), look in zip(boxes.items(), looks, strict=True):
            person = self._people.get(number)
            if person is None:
                colours = torso_colours(frame.rgb, look.points)
                person = self._people[number] = Track(number, look, frame.time, colours, look.flag)
            else:
                person.advance(look, look.flag, frame.time, frame.rgb)
            seen.append((box, Details(self._hand, self._face, person, frame, pool)))
        return [_with_box(details.sighting(), box * frame.scale) for box, details in seen]

    def _number(self, followed: int, box: Array) -> int:
        """Our number of a person that the follower knows; box (4,) in full-size pixels."""
        if followed not in self._numbers:
            overlaps = {number: _overlap(box, other) for number, other in self._earlier.items()}
            known = max(overlaps, key=lambda number: overlaps[number], default=0)
            if known and overlaps[known] > SAME:
                self._numbers[followed] = known
                del self._earlier[known]
            else:
                self._numbers[followed] = self._next_number
                self._next_number += 1
        return self._numbers[followed]

    def _see(self, frame: Frame, number: int, box: Array) -> PoseLook:
        """The body in a box (4,) of `frame.rgb`: from where it was, else from the box, looked at twice."""
        person = self._people.get(number)
        if person is not None:
            look = self._pose.look(frame.rgb, person.expected_roi(frame.time))
            if look.flag > 0.5 and _holds(box, look.roi):
                return look
        x, y, side = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, max(box[2] - box[0], box[3] - box[1])
        rough = Roi(float(x), float(y), REGION * float(side), 0.0)
        return self._pose.look(frame.rgb, self._pose.look(frame.rgb, rough).roi)


def letterboxed(pictures: list[NDArray[np.uint8]]) -> tuple[list[NDArray[np.float32]], float, Array]:
    """Pictures (H, W, 3) of one size as YOLO sees them: (3, h, w) in 0..1, the longer side 640 pixels, a grey border up
    to multiples of 32. -> planes, their scale, and where (2,) the picture's corner is in them"""
    height, width = pictures[0].shape[:2]
    scale = SIDE / max(height, width)
    w, h = round(width * scale), round(height * scale)
    left, top = ((-w % STRIDE) // 2, (-h % STRIDE) // 2)
    planes = []
    for picture in pictures:
        canvas = np.full((h + -h % STRIDE, w + -w % STRIDE, 3), GREY, np.uint8)
        canvas[top : top + h, left : left + w] = cv2.resize(picture, (w, h), interpolation=cv2.INTER_LINEAR)
        planes.append(np.ascontiguousarray(canvas.transpose(2, 0, 1), np.float32) / np.float32(255))
    return planes, scale, np.array([left, top], float)


def _in_picture(rows: NDArray[np.float32], scale: float, corner: Array, width: int, height: int) -> Detections:
    xyxy = (rows[:, :4] - np.tile(corner, 2)) / scale
    xyxy = np.clip(xyxy, 0, np.array([width, height, width, height]))
    return Detections(xyxy.astype(np.float32), rows[:, 4].astype(np.float32))


def _follower(name: str) -> Any:
    """A tracker of Ultralytics with its own settings."""
    _keep_quiet()
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    settings = IterableSimpleNamespace(**YAML.load(check_yaml(f"{name}.yaml")))
    settings.device = torch.device("cpu")
    return TRACKER_MAP[settings.tracker_type](args=settings)


def _keep_quiet() -> None:
    """Ultralytics must not look anything up in the network, nor write into the user's home."""
    os.environ.setdefault("YOLO_OFFLINE", "True")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(user_folder() / "ultralytics"))
    os.environ.setdefault("YOLO_VERBOSE", "False")
    Path(os.environ["YOLO_CONFIG_DIR"]).mkdir(parents=True, exist_ok=True)


def _with_box(sighting: Sighting, box: Array) -> Sighting:
    record = np.zeros(1, RECORD)
    for name in sighting.observation.dtype.names or ():
        record[name] = sighting.observation[name]
    record["box"] = box
    return Sighting(sighting.track, record[0])


def _holds(box: Array, roi: Roi) -> bool:
    """Whether a region's middle, the hips, is in a box (4,)."""
    return bool(box[0] <= roi.x <= box[2] and box[1] <= roi.y <= box[3])


def _overlap(one: Array, two: Array) -> float:
    """Intersection over union of boxes (4,)."""
    inner = np.clip(np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2]), 0, None).prod()
    union = (one[2:] - one[:2]).prod() + (two[2:] - two[:2]).prod() - inner
    return float(inner / max(union, 1e-9))
