"""A trained network for those who have no torch: its weights as .safetensors, its graph as .onnx that reads them there.

The graph names the weights' places in the .safetensors file as ONNX' external data, so that what ships exists once. The
weights ship in half precision; all computing is in single.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import set_external_data
from safetensors.torch import save_file
from torch import nn

from ..body.tokens import HINTS, KEYPOINTS
from ..core.skeleton import BODY
from .checkpoint import read_weights
from .footmr import FOOT_KEYPOINTS, FootEncoderRoPE
from .lifter import STATIC, Lifted, Lifter
from .orient import Orient

OPSET = 18
_FRAMES = 50  # of the example; the graph takes any number


# Network -> (class, shape of each input for one clip, names of the outputs); L frames.
SIGNATURES: dict[str, tuple[type[nn.Module], dict[str, tuple[int, ...]], tuple[str, ...]]] = {
    "lifter": (
        Lifter,
        {"obs": (KEYPOINTS, 3), "cliff_cam": (3,), "cam_angvel": (6,), "hints": (3 * len(HINTS) + 1,)},
        Lifted._fields,
    ),
    "footmr": (
        FootEncoderRoPE,
        {"obs": (len(FOOT_KEYPOINTS), 3), "cliff_cam": (3,), "global_rot6d": (24,)},
        ("ankles",),
    ),
    "orient": (
        Orient,
        {"turned": (BODY, 3, 3), "static": (STATIC,), "down": (3,), "cliff_cam": (3,), "guess": (3,)},
        ("direction", "spread"),
    ),
}


def export(name: str, weights: Sequence[Path], folder: Path) -> Path:
    """Write NAME.safetensors and NAME.onnx from a checkpoint or a .safetensors file. -> the .onnx

    Of several files, one of which was trained on from another, the average: what either has learnt by heart fades, what
    both know stays (model soups, Wortsman et al., ICML 2022).
    """
    kind, inputs, outputs = SIGNATURES[name]
    network = kind()
    read = [read_weights(path) for path in weights]
    network.load_state_dict({key: sum(each[key] for each in read) / len(read) for key in read[0]})
    network.eval()
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.half().contiguous() for key, tensor in network.state_dict().items()}
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.safetensors").chmod(0o644)  # it comes readable to nobody else

    example = {key: torch.rand(1, _FRAMES, *shape) for key, shape in inputs.items()}
    frames = torch.export.Dim("frames", min=2, max=1 << 16)
    program = torch.onnx.export(
        network,
        tuple(example.values()),
        dynamo=True,
        optimize=False,
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=[{1: frames} for _ in inputs],
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.value_info, model.graph):
        part.ClearField("metadata_props")  # where in our sources each node came from
    _refer(model, folder / f"{name}.safetensors")
    onnx.save_model(model, folder / f"{name}.onnx")
    return folder / f"{name}.onnx"


def _refer(model: onnx.ModelProto, weights: Path) -> None:
    """Replace the graph's copies of the weights by their places in the .safetensors file, and a cast from half."""
    with weights.open("rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    for tensor in model.graph.initializer:
        entry = header.get(tensor.name)
        if entry is None:
            continue
        first, last = entry["data_offsets"]
        whole = tensor.name
        tensor.name, tensor.data_type = f"{whole}.half", onnx.TensorProto.FLOAT16
        set_external_data(tensor, weights.name, offset=8 + size + first, length=last - first)
        tensor.ClearField("raw_data")
        cast = onnx.helper.make_node("Cast", [tensor.name], [whole], to=onnx.TensorProto.FLOAT)
        model.graph.node.insert(0, cast)
