"""Unbroken runs of rows in which something is so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs(on: NDArray[np.bool_]) -> NDArray[np.int_]:
    """(R, 2) first row and the one after the last of each run of True in (T,)."""
    return np.flatnonzero(np.diff(np.concatenate([[0], on.astype(np.int8), [0]]))).reshape(-1, 2)
