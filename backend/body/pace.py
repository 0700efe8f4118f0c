"""Observations at the pace that the networks learnt from: frames in between where there are fewer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from ..core import rotations
from ..core.smoothing import GAP
from .tokens import RATE

CURVED = ("time", "roi", "box", "keypoints", "landmarks", "hands")


def paced(observations: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """(T,) OBSERVATIONs with others in between, so that about 30 a second follow each other, and the rows (T,) of the
    given ones among them. The same where there are as many."""
    steps = np.diff(observations["time"])
    parts = np.where(steps < GAP, np.maximum(np.round(steps * RATE), 1), 1).astype(int)
    rows = np.concatenate([[0], np.cumsum(parts)])
    if len(observations) < 2 or rows[-1] == len(observations) - 1:
        return observations, np.arange(len(observations))
    before = np.append(np.repeat(np.arange(len(parts)), parts), len(parts))
    share = np.arange(len(before)) - rows[before]
    at = before + share / np.append(parts, 1)[before]
    out = observations[np.round(at).astype(int)].copy()
    for name in set(CURVED).intersection(out.dtype.names or ()):
        values = observations[name].astype(float).reshape(len(observations), -1)
        found = PchipInterpolator(np.arange(len(values)), values)(at)
        out[name] = found.reshape(out[name].shape)
    turns = observations["turn"].astype(float)
    following = np.minimum(before + 1, len(turns) - 1)
    out["turn"] = rotations.slerp(turns[before], turns[following], at - before)
    return out, rows
