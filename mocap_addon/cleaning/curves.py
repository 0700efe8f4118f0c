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
    """Solve a symmetric positive definite system with two diagonals (T,) below the main one; right (T, C).

    Plain floats: rows depend on each other, and arrays of three numbers cost more than they save.
    """
    count = len(main)
    d, e, f = main.tolist(), one.tolist(), two.tolist()  # L D L^T with unit lower L: e and f become its diagonals
    for i in range(count - 1):
        step = e[i]
        e[i] = step / d[i]
        d[i + 1] -= e[i] * step
        if i + 2 < count:
            far = f[i]
            f[i] = far / d[i]
            d[i + 2] -= f[i] * far
            e[i + 1] -= f[i] * step
    columns = []
    for x in right.T.tolist():
        for i in range(1, count):
            x[i] -= e[i - 1] * x[i - 1] + (f[i - 2] * x[i - 2] if i > 1 else 0.0)
        x = [value / scale for value, scale in zip(x, d, strict=True)]
        for i in range(count - 2, -1, -1):
            x[i] -= e[i] * x[i + 1] + (f[i] * x[i + 2] if i + 2 < count else 0.0)
        columns.append(x)
    return np.array(columns).T
