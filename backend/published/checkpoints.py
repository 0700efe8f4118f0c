"""Reading published checkpoints without running anything that is in them.

A checkpoint is a pickle, and a pickle can run any code when it is opened. Files are therefore read with
`weights_only=True`. Training containers (Lightning, mmengine) carry more than weights: settings, histories, counters.
In the place of what LEFT_OUT names stand empty shells, which are dropped; whatever asks for more is refused.
"""

from __future__ import annotations

import codecs
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import MocapError

Weights = dict[str, Tensor]


class Shell:
    """Stands for an object that is of no use here: takes whatever it is given and does nothing."""

    def __init__(self, *parts: object, **more: object) -> None: ...
    def __setstate__(self, state: object) -> None: ...


def empty_mapping(*parts: object) -> OrderedDict[str, object]:
    """Stands for a mapping of a class that is of no use here."""
    return OrderedDict()


# What the publishers' training code leaves in a container beside the weights, and what takes the place of each.
_MAPPINGS = (
    "yacs.config.CfgNode", "addict.addict.Dict", "easydict.EasyDict", "mmcv.utils.config.ConfigDict",
    "mmengine.config.config.ConfigDict", "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict", "lightning.fabric.utilities.data.AttributeDict",
)  # fmt: skip
_OBJECTS = (
    "omegaconf.base.ContainerMetadata", "omegaconf.base.Metadata", "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig", "omegaconf.nodes.AnyNode", "omegaconf.nodes.BooleanNode",
    "omegaconf.nodes.FloatNode", "omegaconf.nodes.IntegerNode", "omegaconf.nodes.StringNode", "typing.Any",
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", "mmengine.logging.history_buffer.HistoryBuffer",
    "argparse.Namespace", "datetime.datetime", "pathlib.PosixPath", "pathlib.WindowsPath",
    "builtins.getattr", "builtins.dict", "builtins.list", "builtins.int", "builtins.object",
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "_codecs.encode",
)  # fmt: skip
LEFT_OUT: list[tuple[Callable[..., object], str]] = [
    *((OrderedDict, name) for name in _MAPPINGS),
    (empty_mapping, "collections.defaultdict"),
    *((Shell, name) for name in _OBJECTS),
    *((Shell, name.replace("builtins", "__builtin__")) for name in _OBJECTS if name.startswith("builtins")),
]

# What arrays of numpy are made of in a pickle; what else they may hold goes through the same list.
_RECONSTRUCT, _NUMBER = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
ARRAYS: list[Any] = [
    *((_RECONSTRUCT, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((_NUMBER, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (codecs.encode, "_codecs.encode"), np.ndarray, np.dtype, *{type(np.dtype(code)) for code in "?bBhHiIlLqQefdSUO"},
]  # fmt: skip

# How the tensors of each published network can be told, and what a person would call it.
SIGNS = {
    "hmr2": ("smpl_head.decpose.weight", "HMR2.0 (4D-Humans)"),
    "footmr": ("pipeline.foot_motion_refiner.final_layer.fc1.weight", "FootMR with its GVHMR for 23 keypoints"),
    "gvhmr": ("pipeline.denoiser3d.learned_pos_params", "GVHMR"),
    "vitpose": ("keypoint_head.deconv_layers.0.weight", "ViTPose"),
    "whmr": ("global_orient.decrot.weight", "W-HMR"),
    "camcalib": ("fc_vfov.weight", "CamCalib of SPEC"),
    "camcalib in training": ("model.fc_vfov.weight", "CamCalib of SPEC"),
    "rtmpose": ("head.final_layer.weight", "RTMPose of mmpose"),
    "smpl": ("v_template", "an SMPL body model"),
}


def read(path: Path) -> Weights:
    """The tensors of a checkpoint by name, out of its container; they stay on disk until they are used.

    Raises MocapError model-missing, model-unreadable or model-unsafe.
    """
    if not path.is_file():
        raise MocapError("model-missing", f"The model file {path} is not there.")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise MocapError("model-unreadable", f"{path.name} is damaged: {error}.") from error
    return _tensors(_opened(path))


def read_data(path: Path) -> Any:
    """What a file of labels holds: mappings, lists, text, numbers, and arrays of numpy in the place of tensors.

    Raises MocapError model-missing, model-unreadable or model-unsafe.
    """
    if not path.is_file():
        raise MocapError("model-missing", f"The file {path} is not there.")
    return _as_arrays(_opened(path, ARRAYS))


def _as_arrays(content: Any) -> Any:
    if isinstance(content, Tensor):
        return content.detach().numpy()
    if isinstance(content, Mapping):
        return {name: _as_arrays(value) for name, value in content.items()}
    return [_as_arrays(value) for value in content] if isinstance(content, list | tuple) else content


def _opened(path: Path, allowed: Sequence[Any] = LEFT_OUT) -> Any:
    """The content of a pickled checkpoint. Raises MocapError model-unreadable or model-unsafe."""
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL ([\w.]+)|(reduce|Can only)", str(error))
        if wanted:
            what = f"{path.name} asks to run {wanted[1] or 'something'} when it is opened; it was not run."
            raise MocapError("model-unsafe", what) from error
        raise MocapError("model-unreadable", f"{path.name} is not a checkpoint of PyTorch.") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MocapError("model-unreadable", f"{path.name} cannot be read as a checkpoint ({said}).") from error


def _tensors(content: Any) -> Weights:
    """The tensors of an opened file: flat, or in the `state_dict` or `model` of a container; none when it has none."""
    for inner in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(inner), Mapping):
            content = content[inner]
    if not isinstance(content, Mapping):
        return {}
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module."): value for name, value in tensors.items()}


def kind(weights: Iterable[str]) -> str | None:
    """Which of SIGNS the tensors' names tell; None when none."""
    names = set(weights)
    return next((kind for kind, (sign, _) in SIGNS.items() if sign in names), None)


def looks_like(weights: Mapping[str, Tensor]) -> str:
    """What a file seems to be, for a person."""
    found = kind(weights)
    if found is not None:
        return SIGNS[found][1]
    if not weights:
        return "a file without tensors"
    some = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in list(weights.items())[:3])
    return f"an unknown network of {len(weights)} tensors ({some}, ...)"


def expect(wanted: str, weights: Mapping[str, Tensor], path: Path, needed: Iterable[str] = ()) -> None:
    """Raises MocapError model-wrong when a file does not look like that one of SIGNS, or lacks a tensor that is needed
    to tell its size."""
    expected = SIGNS[wanted][1]
    if kind(weights) != wanted:
        raise MocapError("model-wrong", f"{path.name} looks like {looks_like(weights)}; {expected} was expected.")
    if lacking := [name for name in needed if name not in weights]:
        what = f"{path.name} is not the {expected} that was expected: it has no {lacking[0]}."
        raise MocapError("model-wrong", what)


def part(weights: Weights, prefix: str) -> Weights:
    """The tensors below a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def load(network: nn.Module, weights: Weights, expected: str, path: Path) -> None:
    """Put weights into a network, every one of it; what the file has beyond that is left.

    expected: what the file should be, for a person. Raises MocapError model-wrong.
    """
    own = network.state_dict()
    own = {name: tensor for name, tensor in own.items() if not name.endswith("num_batches_tracked")}
    missing = [name for name in own if name not in weights]
    if missing:
        what = f"{path.name} looks like {looks_like(weights)}; {expected} was expected, which has {missing[0]}."
        raise MocapError("model-wrong", what)
    for name, tensor in own.items():
        if weights[name].shape != tensor.shape:
            has, wants = tuple(weights[name].shape), tuple(tensor.shape)
            what = f"{path.name} is not {expected}: its {name} has the shape {has}, not {wants}."
            raise MocapError("model-wrong", what)
    network.load_state_dict({name: weights[name] for name in own}, strict=False, assign=False)
    network.requires_grad_(False).eval()
