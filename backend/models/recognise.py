"""Whether a file is the model that it is added as; opened without running anything in it."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import numpy as np

from ..core.errors import MocapError
from ..core.take import DAMAGE
from ..published.smplx import Surface
from .catalogue import PublishedModel

# Kinds that stand for each other: CamCalib's own container, and FootMR's with a GVHMR in it.
_ALSO = {"camcalib": ("camcalib", "camcalib in training", "whmr"), "gvhmr": ("gvhmr", "footmr")}
_SMPLX = ("v_template", "shapedirs", "J_regressor", "weights", "posedirs", "f")
_PICKLE = b"\x80"  # what PyTorch's older files begin with; the others are zip files


def check(model: PublishedModel, file: Path) -> bool:
    """Whether the file could be looked into: without PyTorch a checkpoint is only known to be one of some kind.

    Raises MocapError model-wrong, model-unsafe or model-unreadable when the file is not that model.
    """
    if model.kind == "smplx":
        missing = set(_SMPLX) - set(_arrays(file))
        if missing:
            raise MocapError("model-wrong", f"{file.name} is not {model.title}: it lacks {', '.join(sorted(missing))}.")
        Surface(file)
    elif model.kind == "markers":
        if _array(file).shape != (67,):
            raise MocapError("model-wrong", f"{file.name} is not {model.title}: it must hold 67 numbers.")
    elif importlib.util.find_spec("torch") is None:
        _check_container(file)
        return False
    else:
        _check_checkpoint(model, file)
    return True


def _check_container(file: Path) -> None:
    with file.open("rb") as stream:
        begin = stream.read(9)
    weights_only = file.suffix == ".safetensors" and begin.endswith(b"{")
    if not (weights_only or begin.startswith(_PICKLE) or zipfile.is_zipfile(file)):
        raise MocapError("model-unreadable", f"{file.name} is not a checkpoint of PyTorch.")


def _check_checkpoint(model: PublishedModel, file: Path) -> None:
    from ..published import checkpoints, pickled_modules

    if model.kind == "yolo":
        pickled_modules.read(file)
        return
    weights = checkpoints.read(file)
    if checkpoints.kind(weights) not in _ALSO.get(model.kind, (model.kind,)):
        what = f"{file.name} looks like {checkpoints.looks_like(weights)}; {model.title} was expected."
        raise MocapError("model-wrong", what)


def _arrays(file: Path) -> list[str]:
    """The names of the arrays in an .npz file; objects in it are not opened."""
    try:
        with np.load(file, allow_pickle=False) as content:
            return list(content.files) if hasattr(content, "files") else []
    except (*DAMAGE, TypeError, AttributeError) as error:
        raise MocapError("model-unreadable", f"{file.name} is not an .npz file ({error}).") from error


def _array(file: Path) -> np.ndarray:
    try:
        return np.asarray(np.load(file, allow_pickle=False))
    except DAMAGE as error:
        raise MocapError("model-unreadable", f"{file.name} is not an .npy file ({error}).") from error
