"""Flatten."""

from __future__ import annotations

import math
from typing import Any

from konv._arguments import Shape, channels_last
from konv.backend import Array
from konv.layers.base import Call, Layer
from konv.layers.context import Context


class Flatten(Layer):
    """All axes after the batch's as one: `(N, H, W, C)` to `(N, H * W * C)`.

    Examples
    --------
    >>> from konv.layers import Flatten
    >>> Flatten().compute_output_shape((None, 4, 4, 16))
    (None, 256)
    """

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        channels_last(self.label, data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        sizes = [size for size in input_shape[1:] if size is not None]
        return (input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:])), inputs.shape

    def bind(self, input_shape: tuple[int, ...], **_: Any) -> Call:
        size = math.prod(input_shape[1:])
        return lambda x, _: x.reshape(x.shape[0], size)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        return grad.reshape(saved) if needs_input else None, []
