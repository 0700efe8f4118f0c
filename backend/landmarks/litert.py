"""The embedded models on LiteRT (XNNPACK, CPU)."""

from __future__ import annotations

import queue
from contextlib import suppress
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
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._idle.put(self._load())

    def __call__(self, picture: Floats) -> list[Floats]:
        """picture (H, W, 3) float32 as the model wants it -> its outputs, in the model's own order."""
        interpreter = None
        with suppress(queue.Empty):
            interpreter = self._idle.get_nowait()
        interpreter = interpreter or self._load()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
        interpreter.invoke()
        outputs = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        self._idle.put(interpreter)
        return outputs

    def _load(self) -> Any:
        interpreter = Interpreter(model_path=self._path, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter


def sigmoid(x: Floats) -> Floats:
    """Logistic function, safe for any size of x."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))
