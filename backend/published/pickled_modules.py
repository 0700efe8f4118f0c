"""Reading files that hold a whole pickled network (YOLO of ultralytics), without building it from its pickle.

Their publishers open them by running the pickle, which may do anything. Here every class in it is replaced by a record
that keeps what it was given: the weights and settings are picked from those, and the network is built by its own code.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..core.errors import MocapError

# What such a file may name: layers, and some harmless things that end up as records, too.
_LAYERS = re.compile(r"ultralytics\.nn\.(tasks|modules\.\w+)\.[A-Z]\w*|torch\.nn\.modules\.\w+\.[A-Z]\w*")
_MORE = re.compile(
    r"ultralytics\.utils\.(IterableSimpleNamespace|(loss|tal)\.\w+)|(builtins\.|__builtin__\.)?(set|getattr|slice)"
    r"|pathlib\.(_local\.)?(Posix|Windows)?Path|datetime\.datetime|_codecs\.encode"
    r"|numpy\.(_?core\.multiarray\.scalar|dtype|ndarray|_?core\.multiarray\._reconstruct)"
)


class Record:
    """Stands for any object: keeps its state."""

    state: Any

    def __init__(self, *parts: object) -> None:
        self.state = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state


class PickledNetwork(NamedTuple):
    """weights by name; settings: what the network's own attributes were (`yaml`, `names`, ...)."""

    weights: dict[str, Tensor]
    settings: dict[str, Any]


def read(path: Path) -> PickledNetwork:
    """The averaged network of a training's file, else the last one.

    Raises MocapError model-missing, model-unreadable, model-unsafe or model-wrong.
    """
    if not path.is_file():
        raise MocapError("model-missing", f"The model file {path} is not there.")
    damaged = f"{path.name} cannot be read as a YOLO file of ultralytics."
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, OSError, pickle.UnpicklingError) as error:
        raise MocapError("model-unreadable", damaged) from error
    for name in named:
        if not _LAYERS.fullmatch(name) and not _MORE.fullmatch(name):
            raise MocapError("model-unsafe", f"{path.name} asks to run {name} when it is opened; it was not run.")
    spelled = {name if "." in name else f"builtins.{name}" for name in named} | {f"__builtin__.{n}" for n in named}
    with torch.serialization.safe_globals([(Record, name) for name in spelled | set(named)]):
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError) as error:
            raise MocapError("model-unreadable", damaged) from error
    network = (content.get("ema") or content.get("model")) if isinstance(content, Mapping) else None
    if not isinstance(network, Record) or "_modules" not in network.state:
        raise MocapError("model-wrong", f"{path.name} holds no YOLO network of ultralytics.")
    return PickledNetwork(dict(_weights(network, "")), network.state)


def _weights(part: Record, prefix: str) -> list[tuple[str, Tensor]]:
    """Parameters and buffers of a layer and of those in it, as `state_dict` would name them."""
    own = {**part.state.get("_parameters", {}), **part.state.get("_buffers", {})}
    found = [(prefix + name, value.float()) for name, value in own.items() if value is not None]
    for name, inner in part.state.get("_modules", {}).items():
        if isinstance(inner, Record):
            found += _weights(inner, f"{prefix}{name}.")
    return found
