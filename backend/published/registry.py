"""The published networks among the engines: `engines.ENGINES` takes these in. Nothing here imports PyTorch.

What each needs, from where and under which licence stands in `models.catalogue`, by the names in `published`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import embedded
from ..engine import Engine
from ..job import Job
from ..look import BOX, Field, Looker
from ..models.catalogue import MODELS
from ..models.library import Library
from ..stages import BodySolver, FootRefiner, Orienter, Rooter, Tracker

# As `lookers` has them, which cannot be imported without PyTorch; a test holds the two together.
_TOKENS: tuple[Field, ...] = (BOX, ("token", "<f4", (1024,)))
_SMPL: tuple[Field, ...] = (BOX, ("smpl", "<f4", (24, 4)), ("betas", "<f4", (10,)))
_CAMCALIB: tuple[Field, ...] = (("camcalib", "<f4", (3,)),)
_WHMR: tuple[Field, ...] = (*_CAMCALIB, ("whmr_down", "<f4", (3,)))
_TORCH = ("torch", "cv2")


def _file(name: str) -> Path:
    return Library().path(name)


def _licence(*names: str) -> str:
    return "; ".join(dict.fromkeys(MODELS[name].licence for name in names))


def _nothing(job: Job) -> Any:
    return None


def _yolo(job: Job) -> Tracker:
    from .yolo import YoloTracker

    return YoloTracker(_file("yolo"), job.device)


def _yolo_botsort(job: Job) -> Tracker:
    from .yolo import YoloTracker

    return YoloTracker(_file("yolo"), job.device, follow="botsort")


def _look_vitpose(job: Job) -> Looker:
    from .lookers import ViTPoseLooker

    return ViTPoseLooker(_file("vitpose"), job.device)


def _look_rtmpose(job: Job) -> Looker:
    from .rtmpose import RTMPoseLooker

    return RTMPoseLooker(_file("rtmpose"), job.device)


def _look_hmr2(job: Job) -> Looker:
    from .lookers import HMR2Looker

    return HMR2Looker(_file("hmr2"), job.device)


def _look_token(job: Job) -> Looker:
    from .lookers import TokenLooker

    return TokenLooker(_file("hmr2a"), job.device)


def _look_camcalib(job: Job) -> Looker:
    from .lookers import CamCalibLooker

    return CamCalibLooker(_file("camcalib"), job.device)


def _look_whmr(job: Job) -> Looker:
    from .lookers import WHMRLooker

    return WHMRLooker(_file("whmr"), _file("whmr-markers"), job.device)


def _hmr2(job: Job) -> BodySolver:
    from .solvers import HMR2Solver

    return HMR2Solver()


def _gvhmr(job: Job) -> BodySolver:
    from .solvers import GVHMRSolver

    return GVHMRSolver(_file("gvhmr"), job.device, Library().extra("smplx"))


def _gvhmr23(job: Job) -> BodySolver:
    from .solvers import GVHMRSolver

    return GVHMRSolver(_file("footmr"), job.device, Library().extra("smplx"))


def _footmr(job: Job) -> FootRefiner:
    from .solvers import PublishedFootMR

    return PublishedFootMR(_file("footmr"), job.device)


def _camcalib(job: Job) -> Orienter:
    from .solvers import CamCalibOrienter

    return CamCalibOrienter()


def _root(job: Job) -> Rooter:
    from .world import make

    return make(_file("gvhmr"), job.device)


def _root23(job: Job) -> Rooter:
    from .world import make

    return make(_file("footmr"), job.device)


def _whmr(job: Job) -> Orienter:
    from .solvers import WHMROrienter

    return WHMROrienter()


ENGINES: dict[str, dict[str, Engine]] = {
    "track": {
        name: Engine(
            what=f"people by YOLO of Ultralytics, followed by {how}; their landmarks by the embedded models",
            licence=f"{_licence('yolo')}; {embedded.LICENCE}",
            make=make,
            packages=(*_TORCH, "torchvision", "ultralytics", "lap", "av", "ai_edge_litert"),
            group="yolo",
            models=embedded.models_with(embedded.FULL),
            published=("yolo",),
            memory="0.5 GB",
            fields=(BOX,),
        )
        for name, how, make in (("yolo", "ByteTrack", _yolo), ("yolo-botsort", "BoT-SORT", _yolo_botsort))
    },
    "keypoints": {
        "vitpose": Engine(
            what="body and foot keypoints by ViTPose",
            licence=_licence("vitpose"),
            make=_nothing,
            packages=_TORCH,
            group="gpu",
            published=("vitpose",),
            memory="2.6 GB, half of that on a GPU",
            look=_look_vitpose,
            fields=(BOX,),
        ),
        "rtmpose": Engine(
            what="all 133 keypoints by RTMPose, through mmpose",
            licence=_licence("rtmpose"),
            make=_nothing,
            packages=(*_TORCH, "mmpose", "mmengine", "mmcv"),
            group="rtmpose",
            published=("rtmpose",),
            memory="0.3 GB",
            look=_look_rtmpose,
            fields=(BOX,),
        ),
    },
    "body": {
        "hmr2": Engine(
            what="HMR2.0 of 4D-Humans, or a fine-tune of it: SMPL's rotations frame by frame",
            licence=_licence("hmr2"),
            make=_hmr2,
            packages=_TORCH,
            group="gpu",
            published=("hmr2",),
            memory="2.7 GB, half of that on a GPU",
            look=_look_hmr2,
            fields=_SMPL,
        ),
        "gvhmr": Engine(
            what="GVHMR: SMPL-X's rotations over time, and gravity",
            licence=_licence("gvhmr", "hmr2a"),
            make=_gvhmr,
            packages=_TORCH,
            group="gpu",
            published=("gvhmr", "hmr2a"),
            also=("smplx",),
            memory="2.9 GB, half of that on a GPU",
            look=_look_token,
            fields=_TOKENS,
        ),
        "gvhmr23": Engine(
            what="GVHMR with foot keypoints, as FootMR brings it",
            licence=_licence("footmr", "hmr2a"),
            make=_gvhmr23,
            packages=_TORCH,
            group="gpu",
            published=("footmr", "hmr2a"),
            also=("smplx",),
            memory="2.9 GB, half of that on a GPU",
            look=_look_token,
            fields=_TOKENS,
        ),
    },
    "root": {
        name: Engine(
            what="GVHMR's own world: composed of gravity-view coordinates, static joints held still",
            licence=_licence(file, "hmr2a"),
            make=make,
            packages=_TORCH,
            group="gpu",
            published=(file, "hmr2a"),
            memory="2.9 GB, half of that on a GPU",
            look=_look_token,
            fields=_TOKENS,
        )
        for name, file, make in (("gvhmr", "gvhmr", _root), ("gvhmr23", "footmr", _root23))
    },
    "feet": {
        "footmr-published": Engine(
            what="ankles by the official FootMR; made for gvhmr23",
            licence=_licence("footmr"),
            make=_footmr,
            packages=_TORCH,
            group="gpu",
            published=("footmr",),
            memory="0.1 GB",
            fields=(BOX,),
        ),
    },
    "orient": {
        "camcalib": Engine(
            what="which way is down from the whole picture, by CamCalib of SPEC",
            licence=_licence("camcalib"),
            make=_camcalib,
            packages=_TORCH,
            group="gpu",
            published=("camcalib",),
            memory="0.1 GB",
            look=_look_camcalib,
            fields=_CAMCALIB,
        ),
        "whmr": Engine(
            what="which way is down by W-HMR's OrientCorrect and CamCalib, beside any body engine",
            licence=_licence("whmr"),
            make=_whmr,
            packages=_TORCH,
            group="gpu",
            published=("whmr", "whmr-markers"),
            memory="0.6 GB",
            look=_look_whmr,
            fields=_WHMR,
        ),
    },
}
