"""What ships runs without torch and says the same: the exported networks against the torch ones they came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backend import networks, onnx
from backend.motion.checkpoint import read_weights
from backend.motion.export import SIGNATURES, export


@pytest.mark.parametrize("name", networks.NETWORKS)
@pytest.mark.parametrize("frames", [2, 37, 120, 400])
def test_the_exported_network_is_the_trained_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, frames: int
) -> None:
    kind, shapes, _ = SIGNATURES[name]
    weights = networks.FOLDER / f"{name}.safetensors"
    network = kind()
    network.load_state_dict(read_weights(weights))
    export(name, [weights], tmp_path)
    random = torch.Generator().manual_seed(frames)
    inputs = {key: torch.rand(1, frames, *shape, generator=random) for key, shape in shapes.items()}
    with torch.no_grad():
        expected = network(*inputs.values())
    expected = [expected] if isinstance(expected, torch.Tensor) else list(expected)
    for folder in (networks.FOLDER, tmp_path):  # what ships, and what a training of today would ship
        monkeypatch.setattr(networks, "FOLDER", folder)
        found = onnx.Network(name)(**{key: tensor[0].numpy() for key, tensor in inputs.items()})
        for value, wanted in zip(found.values(), expected, strict=True):
            np.testing.assert_allclose(value, wanted[0].numpy(), atol=1e-4)


def test_of_several_weights_the_average_is_exported(tmp_path: Path) -> None:
    weights = read_weights(networks.FOLDER / "orient.safetensors")
    files = [tmp_path / "none.safetensors", tmp_path / "twice.safetensors"]
    for file, share in zip(files, (0.0, 2.0), strict=True):
        save_file({key: share * tensor for key, tensor in weights.items()}, file)
    export("orient", files, tmp_path)
    for key, tensor in read_weights(tmp_path / "orient.safetensors").items():
        torch.testing.assert_close(tensor, weights[key])
