"""Arrays of training data: checked once, then cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from konv._arguments import Shape

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
    def checked(cls, where: str, x: NDArray, y: NDArray) -> Examples:
        """Take two arrays that have a batch axis."""
        if len(x) != len(y) or len(x) == 0:
            raise ValueError(
                f"{where}: x and y must be equally long, 1 at least, received {len(x)} and {len(y)}"
            )
        return cls(x, y)

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


def check_inputs(where: str, x: NDArray, input_shape: Shape) -> None:
    """Raise unless an array of inputs, maybe none, is of a model's `input_shape`."""
    fits = x.ndim == len(input_shape) and all(
        wanted in (None, size) for wanted, size in zip(input_shape[1:], x.shape[1:], strict=True)
    )
    if not fits:
        hint = "; x[..., None] adds an axis of channels" if (*x.shape[1:], 1) == input_shape[1:] else ""
        raise ValueError(
            f"{where}: x must have shape {input_shape}, as the model expects, received {x.shape}{hint}"
        )
