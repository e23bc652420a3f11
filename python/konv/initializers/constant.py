"""Initializers that give one number everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv.backend import NDArray
from konv.initializers.base import Initializer, number, sizes_of


class Constant(Initializer):
    """One number everywhere.

    Parameters
    ----------
    value : float
        In the range of float32.

    Examples
    --------
    >>> from konv.initializers import Constant
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = number(self, "value", value)

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.full(sizes_of(self, shape), self.value, np.float32)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Zeros(Initializer):
    """Zeros.

    Examples
    --------
    >>> from konv.initializers import Zeros
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.zeros(sizes_of(self, shape), np.float32)


class Ones(Initializer):
    """Ones.

    Examples
    --------
    >>> from konv.initializers import Ones
    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.ones(sizes_of(self, shape), np.float32)
