"""A training step as a card replays it: thousands of small kernels, started with one call."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .synthesis import Batch
from .tasks import Told


class Recorded:
    """A step that is recorded once (a CUDA graph) and replayed for each batch after that.

    Without it a card waits for the processor most of the time. Whatever is no tensor, the learning rate for one, is in
    the replays what it was when recorded. Nothing in the step may wait for the card or bring numbers to it.
    """

    def __init__(self, step: Callable[[Batch], Told], batch: Batch) -> None:
        """Do the step once, with its figures in `told`, and record it for batches of this size."""
        self._batch = Batch(**{name: tensor.clone() for name, tensor in vars(batch).items()})
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.told = step(self._batch)  # makes what cannot be made while recording
        with torch.cuda.graph(self._graph, stream=stream):
            self._told = step(self._batch)
        torch.cuda.current_stream().wait_stream(stream)

    def __call__(self, batch: Batch) -> Told:
        """The step on another batch. -> its figures, until the next call"""
        for name, tensor in vars(self._batch).items():
            tensor.copy_(getattr(batch, name))
        self._graph.replay()
        return self._told
