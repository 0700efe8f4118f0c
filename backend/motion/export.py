"""A trained network for those who have no torch: its weights as .safetensors, its graph as .onnx that reads them there.

The graph names the weights' places in the .safetensors file as ONNX' external data, so that what ships exists once. The
weights ship in half precision; all computing is in single.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import onnx
import torch
from onnx.external_data_helper import set_external_data
from safetensors.torch import save_file
from torch import Tensor, nn

from ..body.tokens import HINTS, KEYPOINTS
from .checkpoint import read_weights
from .footmr import FOOT_KEYPOINTS, FootEncoderRoPE
from .lifter import Lifted, Lifter
from .orient import Orient

OPSET = 18
_FRAMES = 50  # of the example; the graph takes any number


class _OrientOfTensors(nn.Module):
    """`Orient` with the lifter's outputs as inputs of their own."""

    def __init__(self, orient: Orient) -> None:
        super().__init__()
        self.orient = orient

    def forward(
        self, pose: Tensor, camera: Tensor, gravity: Tensor, static: Tensor, cliff_cam: Tensor, guess: Tensor
    ) -> tuple[Tensor, Tensor]:
        empty = pose.new_zeros(0)
        found: tuple[Tensor, Tensor] = self.orient(
            Lifted(pose, camera, gravity, empty, static, empty, empty), cliff_cam, guess
        )
        return found


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
        {"pose": (21, 6), "camera": (6,), "gravity": (6,), "static": (6,), "cliff_cam": (3,), "guess": (3,)},
        ("down", "spread"),
    ),
}


def export(name: str, weights: Path, folder: Path) -> Path:
    """Write NAME.safetensors and NAME.onnx from a checkpoint or a .safetensors file. -> the .onnx"""
    kind, inputs, outputs = SIGNATURES[name]
    network = kind()
    network.load_state_dict(read_weights(weights))
    network.eval()
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: tensor.half().contiguous() for key, tensor in network.state_dict().items()}
    save_file(tensors, folder / f"{name}.safetensors")
    (folder / f"{name}.safetensors").chmod(0o644)  # it comes readable to nobody else

    example = {key: torch.rand(1, _FRAMES, *shape) for key, shape in inputs.items()}
    frames = torch.export.Dim("frames", min=2, max=1 << 16)
    program = torch.onnx.export(
        as_functions(network),
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


def as_functions(network: nn.Module) -> nn.Module:
    """The network as a function of its inputs in SIGNATURES, in that order."""
    return _OrientOfTensors(network) if isinstance(network, Orient) else network


def _refer(model: onnx.ModelProto, weights: Path) -> None:
    """Replace the graph's copies of the weights by their places in the .safetensors file, and a cast from half."""
    with weights.open("rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
    for tensor in model.graph.initializer:
        entry = header.get(tensor.name) or header.get(tensor.name.removeprefix("orient."))
        if entry is None:
            continue
        first, last = entry["data_offsets"]
        whole = tensor.name
        tensor.name, tensor.data_type = f"{whole}.half", onnx.TensorProto.FLOAT16
        set_external_data(tensor, weights.name, offset=8 + size + first, length=last - first)
        tensor.ClearField("raw_data")
        cast = onnx.helper.make_node("Cast", [tensor.name], [whole], to=onnx.TensorProto.FLOAT)
        model.graph.node.insert(0, cast)
