"""Input: where a model begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from konv._arguments import Shape, shape_of
from konv.layers.base import automatic_name, checked_dtype, checked_name


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array that has no values yet; two of them are never equal.

    Attributes
    ----------
    shape : tuple
        With the batch, which is None: `(None, 28, 28, 1)`.
    dtype : dtype
    name : str
    """

    shape: Shape
    dtype: np.dtype[Any]
    name: str


def Input(shape: tuple[int | None, ...], *, dtype: Any = "float32", name: str | None = None) -> Tensor:  # noqa: N802
    """Declare what goes into a model.

    Parameters
    ----------
    shape : tuple
        Of one input, without the batch; None where a size isn't known: `(28, 28, 1)`.
    dtype : {"float32", "float64"}
        What inputs are cast to.
    name : str, optional

    Examples
    --------
    >>> Input((28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    return Tensor(
        (None, *shape_of("Input", "shape", shape)),
        checked_dtype("Input", dtype),
        automatic_name("input_layer") if name is None else checked_name("Input", name),
    )
