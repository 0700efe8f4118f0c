"""Whether a file is the model that it is added as; opened without running anything in it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from ..core.errors import MocapError
from ..core.take import DAMAGE
from .catalogue import PublishedModel

# Kinds that stand for each other: CamCalib's own container, and FootMR's with a GVHMR in it.
_ALSO = {"camcalib": ("camcalib", "camcalib in training", "whmr"), "gvhmr": ("gvhmr", "footmr")}
_SMPLX = ("v_template", "shapedirs", "J_regressor", "kintree_table")


def check(model: PublishedModel, file: Path) -> None:
    """Raises MocapError model-wrong, model-unsafe or model-unreadable when the file is not that model."""
    if model.kind == "smplx":
        missing = set(_SMPLX) - set(_arrays(file))
        if missing:
            raise MocapError("model-wrong", f"{file.name} is not {model.title}: it lacks {', '.join(sorted(missing))}.")
    elif model.kind == "markers":
        if _array(file).shape != (67,):
            raise MocapError("model-wrong", f"{file.name} is not {model.title}: it must hold 67 numbers.")
    elif importlib.util.find_spec("torch") is not None:
        _check_checkpoint(model, file)


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
