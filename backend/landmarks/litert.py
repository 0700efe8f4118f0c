"""The embedded models on LiteRT (XNNPACK, CPU)."""

from __future__ import annotations

import queue
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from ..embedded import model_path

Floats = NDArray[np.float32]


class Model:
    """One .tflite model that any thread may call.

    An interpreter works for one thread at a time, so there is one for each thread that calls at the same moment.
    Each uses a single core: two persons on two cores are faster than one person on both.
    """

    def __init__(self, name: str) -> None:
        self._path = str(model_path(name))
        self._idle: queue.SimpleQueue[tuple[Any, int, list[int]]] = queue.SimpleQueue()
        self._idle.put(self._load())

    def __call__(self, picture: Floats) -> list[Floats]:
        """picture (H, W, 3) float32 as the model wants it -> its outputs, in the model's own order."""
        try:
            interpreter, inlet, outlets = self._idle.get_nowait()
        except queue.Empty:
            interpreter, inlet, outlets = self._load()
        interpreter.set_tensor(inlet, picture[None])
        interpreter.invoke()
        outputs = [interpreter.get_tensor(outlet) for outlet in outlets]
        self._idle.put((interpreter, inlet, outlets))
        return outputs

    def _load(self) -> tuple[Any, int, list[int]]:
        """A fresh interpreter with the indices of its input and outputs."""
        interpreter = Interpreter(model_path=self._path, num_threads=1)
        interpreter.allocate_tensors()
        inlet = interpreter.get_input_details()[0]["index"]
        return interpreter, inlet, [detail["index"] for detail in interpreter.get_output_details()]


def sigmoid(x: Floats) -> Floats:
    """Logistic function, safe for any size of x."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))
