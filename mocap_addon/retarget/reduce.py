"""Fewer keys, with a bound on the error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...backend.core import rotations
from ...backend.core.rotations import Array


def reduce_keys(times: Array, values: Array, bound_degrees: float) -> NDArray[np.int_]:
    """Rows of the rotations (T, 4) quaternions or (T, 3) Euler angles in radians to keep, with linear curves between
    them, so that no frame is off by more than the bound."""
    bound = np.radians(bound_degrees)
    if values.shape[1] == 4:
        values = rotations.continuous(values)

        def error(near: Array, rows: NDArray[np.int_]) -> Array:
            cosine = np.abs(np.sum(rotations.normalize(near) * values[rows], axis=1))
            return 2.0 * np.arccos(np.minimum(cosine, 1.0))

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
    """Every stretch with too large an error gets a key where the error is largest, all stretches at once."""
    last = len(values) - 1
    keys = np.unique([0, last])
    rows = np.arange(last + 1)
    while len(keys) > 1:
        stretch = np.searchsorted(keys, rows[:-1], side="right") - 1
        a, b = keys[stretch], keys[stretch + 1]
        share = ((times[:-1] - times[a]) / (times[b] - times[a]))[:, None]
        off = error(values[a] + (values[b] - values[a]) * share, rows[:-1])
        worst = np.maximum.reduceat(off, keys[:-1])
        bad = worst > bound
        if not bad.any():
            break
        at = np.flatnonzero((off == worst[stretch]) & bad[stretch])
        keys = np.union1d(keys, at[np.unique(stretch[at], return_index=True)[1]])
    return keys
