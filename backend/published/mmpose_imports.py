"""Importing mmpose 1.3.2 for inference alone.

It imports things that its RTMPose never calls: compiled operators of mmcv, a part of mmdet, evaluation tools built for
another numpy. Where one of these cannot be imported, an empty stand-in takes its place while mmpose is imported; using
it then says what is missing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

_CLASSES = {
    "mmcv.ops": ("MultiScaleDeformableAttention", "DeformConv2d", "ModulatedDeformConv2d"),
    "mmcv.ops.multi_scale_deform_attn": ("MultiScaleDeformableAttention",),
    "xtcocotools.coco": ("COCO",),
    "xtcocotools.cocoeval": ("COCOeval",),
    "torchvision.transforms": ("ToPILImage",),
}


def apis() -> ModuleType:
    """`mmpose.apis`. Takes some seconds the first time."""
    if not hasattr(pkgutil, "find_loader"):  # gone since Python 3.14; mmengine asks it whether there is a module
        pkgutil.find_loader = importlib.util.find_spec  # type: ignore[assignment]
    with _stand_ins():
        return importlib.import_module("mmpose.apis")


@contextmanager
def _stand_ins() -> Iterator[None]:
    """What is missing stands in, and is gone again afterwards."""
    added: list[str] = []
    for needed, names in (
        ("six", ("six", "six.moves")),
        ("mmcv.ops", ("mmcv.ops", "mmcv.ops.multi_scale_deform_attn")),
        ("mmdet.utils", ("mmdet", "mmdet.utils")),
        ("torchvision", ("torchvision", "torchvision.transforms")),
        ("xtcocotools.mask", ("xtcocotools", "xtcocotools.mask", "xtcocotools.coco", "xtcocotools.cocoeval")),
        ("pkg_resources", ("pkg_resources",)),
    ):
        if not _importable(needed):
            added += names
            for name in names:
                sys.modules[name] = _stand_in(name)
    try:
        yield
    finally:
        for name in added:
            sys.modules.pop(name, None)


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except Exception:  # a broken package fails in any way it likes
        for loaded in [loaded for loaded in sys.modules if loaded == name or loaded.startswith(f"{name}.")]:
            del sys.modules[loaded]
        return False
    return True


def _stand_in(name: str) -> ModuleType:
    module: Any = ModuleType(name)
    module.__path__ = []
    for missing in _CLASSES.get(name, ()):
        setattr(module, missing, _missing(missing, name))
    if name == "six.moves":
        module.map, module.zip = map, zip
    elif name == "mmdet.utils":
        module.ConfigType, module.reduce_mean = dict, lambda tensor: tensor
    elif name == "pkg_resources":
        module.DistributionNotFound = importlib.metadata.PackageNotFoundError
        module.get_distribution = _distribution
    parent, _, leaf = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], leaf, module)
    return module


def _missing(name: str, package: str) -> type:
    def __init__(self: object, *parts: object, **more: object) -> None:  # noqa: N807
        raise ImportError(f"{name} needs {package}, which is not installed")

    return type(name, (), {"__init__": __init__})


def _distribution(name: str) -> SimpleNamespace:
    found = importlib.metadata.distribution(name)
    return SimpleNamespace(location=str(found.locate_file("")), version=found.version, project_name=name)
