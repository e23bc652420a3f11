"""Gradients by central differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def numeric_gradient(function: Callable[[Array], Array], x: Array, grad: Array, step: float) -> Array:
    """The gradient of sum(grad * function(x)) by x, off by some step**2 where function is not linear."""
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        gradient[i] = np.sum(grad * (function(above) - function(below))) / (2 * step)
    return gradient
