"""Arrays of training data: checked once, then cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from konv._arguments import Shape
from konv.ops.arguments import shown

NDArray = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Examples:
    """Inputs and labels of the same length, at least 1.

    Attributes
    ----------
    x : array
        `(N, ...)`, real numbers of any dtype.
    y : array
        `(N, ...)`.
    """

    x: NDArray
    y: NDArray

    @classmethod
    def checked(cls, where: str, x: Any, y: Any, input_shape: Shape) -> Examples:
        """Take two arrays; `input_shape` is what the model expects."""
        inputs = checked_inputs(where, x, input_shape)
        labels = _array(where, "y", y)
        if len(inputs) != len(labels) or len(inputs) == 0:
            raise ValueError(
                f"{where}: x and y must be equally long, 1 at least, received {len(inputs)} and {len(labels)}"
            )
        return cls(inputs, labels)

    def __len__(self) -> int:
        return len(self.x)

    def batches(self, batch_size: int, order: NDArray | None = None) -> Iterator[tuple[NDArray, NDArray]]:
        """Give batches in turn, the last one maybe smaller; `order` gives the place of each sample, as an
        index."""
        for start in range(0, len(self), batch_size):
            part: Any = slice(start, start + batch_size)
            if order is not None:
                part = order[part]
            yield self.x[part], self.y[part]

    def split(self, where: str, fraction: float) -> tuple[Examples, Examples]:
        """Cut off the last `fraction` of the samples."""
        start = math.floor(len(self) * (1.0 - fraction))
        if not 0 < start < len(self):
            raise ValueError(
                f"{where}: validation_split must leave samples on both sides, "
                f"received {fraction:g} of {len(self)} samples"
            )
        return Examples(self.x[:start], self.y[:start]), Examples(self.x[start:], self.y[start:])


def checked_inputs(where: str, x: Any, input_shape: Shape) -> NDArray:
    """Take an array of inputs, maybe none, for a model of `input_shape`."""
    inputs = _array(where, "x", x)
    fits = inputs.ndim == len(input_shape) and all(
        wanted in (None, size) for wanted, size in zip(input_shape[1:], inputs.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"{where}: x must have shape {input_shape}, as the model expects, received {inputs.shape}"
        )
    return inputs


def _array(where: str, name: str, value: Any) -> NDArray:
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: {name} must be a NumPy array, received {shown(value)}")
    if value.dtype.kind not in "fiub":
        raise TypeError(f"{where}: {name} must hold real numbers, received dtype {value.dtype}")
    if value.ndim == 0:
        raise ValueError(f"{where}: {name} must have a batch axis, received shape ()")
    return value
