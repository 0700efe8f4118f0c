"""Fewer keys, with a bound on the error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations
from ...backend.core.rotations import Array

BLOCK = 2000  # rows; whole long takes would be looked at again and again until their stretches are short


def reduce_keys(times: Array, values: Array, bound_degrees: float) -> NDArray[np.int_]:
    """Rows of the rotations (T, 4) quaternions or (T, 3) Euler angles in radians to keep, with linear curves between
    them, so that no frame is off by more than the bound."""
    bound = np.radians(bound_degrees)
    if values.shape[1] == 4:
        values = rotations.continuous(values)

        def error(near: Array, rows: NDArray[np.int_]) -> Array:
            # The chord between unit quaternions: exact enough where it matters, and cheap.
            near = near / np.sqrt(np.einsum("tk,tk->t", near, near))[:, None]
            chord = near - values[rows]
            return 4.0 * np.arcsin(np.minimum(0.5 * np.sqrt(np.einsum("tk,tk->t", chord, chord)), 1.0))

    else:

        def error(near: Array, rows: NDArray[np.int_]) -> Array:
            return np.sum(np.abs(near - values[rows]), axis=1)

    return _split(times, values, bound, error)


def reduce_values(times: Array, values: Array, bound: float) -> NDArray[np.int_]:
    """Rows of any values (T, C) to keep, with linear curves between them, so that none is off by more than `bound`."""
    return _split(times, values, bound, lambda near, rows: np.max(np.abs(near - values[rows]), axis=1))


def _split(
    times: Array, values: Array, bound: float, error: Callable[[Array, NDArray[np.int_]], Array]
) -> NDArray[np.int_]:
    """Every stretch with too large an error is split where the error is largest, all stretches at once. The ends of
    blocks are always kept."""
    last = len(values) - 1
    ends = np.unique([*range(0, last, BLOCK), last])
    keys, start, end = [ends], ends[:-1], ends[1:]
    while True:
        open_ = end - start > 1
        start, end = start[open_], end[open_]
        if not len(start):
            break
        # The rows inside the stretches that are not settled yet, one after the other.
        count = end - start - 1
        first = np.cumsum(count) - count
        rows = np.arange(count.sum()) + np.repeat(start + 1 - first, count)
        a, b = np.repeat(start, count), np.repeat(end, count)
        share = ((times[rows] - times[a]) / (times[b] - times[a]))[:, None]
        off = error(values[a] + (values[b] - values[a]) * share, rows)
        worst = np.maximum.reduceat(off, first)
        bad = worst > bound
        at = np.flatnonzero((off == np.repeat(worst, count)) & np.repeat(bad, count))
        stretch = np.repeat(np.arange(len(start)), count)[at]
        split = rows[at[np.unique(stretch, return_index=True)[1]]]
        keys.append(split)
        start, end = np.concatenate([start[bad], split]), np.concatenate([split, end[bad]])
    return np.unique(np.concatenate(keys))
