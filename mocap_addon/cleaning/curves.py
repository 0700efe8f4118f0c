"""The smoothest curve through what is known of it: least squares with accelerations, solved without scipy."""

from __future__ import annotations

import numpy as np

from ...backend.core.rotations import Array


def accelerations(times: Array) -> Array:
    """(T - 2, 3) weights of three neighbouring frames in their second difference, for any spacing of times (T,)."""
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    last = 2.0 / (after * (before + after))
    first = 2.0 / (before * (before + after))
    return np.stack([first, -(first + last), last], axis=-1)


def fit(times: Array, goal: Array, sigma: Array, force: Array | float, drive: Array | None = None) -> Array:
    """argmin over x (T, C) of  |x - goal|^2 / sigma^2  +  |acceleration of x - drive|^2 / force^2.

    goal: (T, C). sigma: (T,), how surely x is there, one standard deviation. force: unit / s^2, one number or (T,), how
    far the acceleration may be from drive (T, C), which is zero when left out.
    """
    count = len(times)
    weight = 1.0 / np.asarray(sigma, float) ** 2
    right = weight[:, None] * goal
    main, one, two = weight.copy(), np.zeros(count), np.zeros(count)  # diagonal, and 1 and 2 rows below it
    if count > 2:
        strength = np.broadcast_to(1.0 / np.asarray(force, float), (count,))[1:-1, None]
        row = accelerations(times) * strength
        main[:-2] += row[:, 0] ** 2
        main[1:-1] += row[:, 1] ** 2
        main[2:] += row[:, 2] ** 2
        one[:-2] += row[:, 0] * row[:, 1]
        one[1:-1] += row[:, 1] * row[:, 2]
        two[:-2] += row[:, 0] * row[:, 2]
        if drive is not None:
            for k in range(3):
                right[k : count - 2 + k] += row[:, k, None] * strength * drive[1:-1]
    return _pentadiagonal(main, one, two, right)


def _pentadiagonal(main: Array, one: Array, two: Array, right: Array) -> Array:
    """Solve a symmetric positive definite system with two diagonals (T,) below the main one; right (T, C)."""
    count = len(main)
    d, e, f = main.tolist(), one.tolist(), two.tolist()
    x = np.array(right, float)
    # L D L^T with unit lower L; e and f become L's diagonals.
    for i in range(count):
        if i + 1 < count:
            step = e[i]
            e[i] = step / d[i]
            d[i + 1] -= e[i] * step
            x[i + 1] -= e[i] * x[i]
        if i + 2 < count:
            far = f[i]
            f[i] = far / d[i]
            d[i + 2] -= f[i] * far
            e[i + 1] -= f[i] * step
            x[i + 2] -= f[i] * x[i]
    x /= np.array(d)[:, None]
    for i in range(count - 2, -1, -1):
        x[i] -= e[i] * x[i + 1]
        if i + 2 < count:
            x[i] -= f[i] * x[i + 2]
    return x
