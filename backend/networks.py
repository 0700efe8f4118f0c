"""Our own motion networks: which there are, and where. Trained by `backend/motion`, run by `backend/onnx.py`."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from .core.errors import MocapError

FOLDER = Path(__file__).parents[1] / "assets" / "motion"
NETWORKS = ("lifter", "footmr", "orient")
LICENCE = "Apache-2.0"


def model_path(name: str) -> Path:
    """The graph of one of NETWORKS; its weights lie beside it. Raises MocapError models-missing."""
    path = FOLDER / f"{name}.onnx"
    if not (path.is_file() and path.with_suffix(".safetensors").is_file()):
        raise MocapError("models-missing", f"The network {name} is not in {path.parent}.")
    return path


@cache
def checksum(name: str) -> str:
    """SHA-256 of a network's weights, for takes to say what made them. Raises MocapError models-missing."""
    return hashlib.sha256(model_path(name).with_suffix(".safetensors").read_bytes()).hexdigest()
