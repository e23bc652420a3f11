"""Weights of layers: arrays that training or a layer changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from konv._arguments import require_memory, shown
from konv.backend import Array, NDArray
from konv.initializers import Initializer
from konv.regularizers import Regularizer


class Variable:
    """An array that a layer owns, made from its initializer when it is first read.

    A loaded model sets every value before anything reads it, so it spends no time on random numbers, and a
    file that claims enormous layers fails on its shapes before anything is allocated.

    Attributes
    ----------
    name : str
        Unique within its layer.
    shape : tuple of int
    dtype : dtype
    trainable : bool
        Whether gradients are computed for it while its layer is trainable.
    regularizer : Regularizer or None
        Penalty that training adds to the loss while the variable is trained.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        initializer: Initializer,
        key: int,
        *,
        trainable: bool = True,
        regularizer: Regularizer | None = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.trainable = trainable
        self.regularizer = regularizer
        self._initializer = initializer
        self._key = key

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def value(self) -> Array:
        """The array itself, not a copy: who changes it changes the weight."""
        value = self.__dict__.get("_value")
        if value is None:
            require_memory(f"weight '{self.name}'", self.shape, self.dtype)
            # Kernels change it in place, and a user's initializer may return any view.
            made = self._initializer(self.shape, self._key)
            self.check(made)
            made = np.require(made, self.dtype, ("C", "A", "W"))
            value = self.__dict__.setdefault("_value", made)  # one array, also if several threads make it
        return value

    def check(self, value: Any) -> None:
        """Raise unless `value` is an array that could be assigned."""
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"weight '{self.name}' must not be masked, received {shown(value)}")
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            received = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else shown(value)
            raise TypeError(
                f"weight '{self.name}' must be a NumPy array of real numbers, received {received}"
            )
        if value.shape != self.shape:
            raise ValueError(f"weight '{self.name}' must have shape {self.shape}, received {value.shape}")
        largest = np.finfo(self.dtype).max
        if value.dtype != self.dtype and (np.isfinite(value) & (np.abs(value) > largest)).any():
            raise ValueError(
                f"weight '{self.name}' must be in the range of {self.dtype}, up to {largest:.3g}, "
                f"received numbers up to {np.abs(value[np.isfinite(value)]).max():.3g}"
            )

    def assign(self, value: NDArray) -> None:
        """Take a copy of an array of the same shape."""
        self.check(value)
        self._value = np.array(value, self.dtype, order="C")

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return a copy of the value."""
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        return np.array(self.value, dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.name} {self.shape} {self.dtype}>"
