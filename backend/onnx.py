"""Our own networks, run by ONNX Runtime: no torch needed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .networks import model_path

# Its wheels tell Microsoft which machine runs what; nothing is sent from here, and nothing left in the home folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime  # reads that when it is loaded


class Network:
    """One of `networks.NETWORKS`. Call it with its inputs by name, one clip at a time: (L, ...) arrays for L frames."""

    def __init__(self, name: str, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        path = str(model_path(name))
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Outputs (L, ...) by name."""
        batch = {name: np.ascontiguousarray(value, np.float32)[None] for name, value in inputs.items()}
        found = self._session.run(self._outputs, batch)
        return {name: np.asarray(value)[0] for name, value in zip(self._outputs, found, strict=True)}
