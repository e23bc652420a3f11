"""ZeroPadding2D."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import Shape, channels_last, int64, require_memory, shown
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.layers.window import check_images

_EXPECTED = "an int, (height, width) or ((top, bottom), (left, right)), each at least 0"


class ZeroPadding2D(Layer):
    """Zeros around images: `(N, H, W, C)` to `(N, top + H + bottom, left + W + right, C)`.

    Parameters
    ----------
    padding : int or tuple
        On all sides, (height, width), or ((top, bottom), (left, right)).
    data_format : {None, "channels_last"}
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import ZeroPadding2D
    >>> ZeroPadding2D(((0, 1), (2, 3))).compute_output_shape((None, 28, 28, 1))
    (None, 29, 33, 1)
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        channels_last(self.label, data_format)
        self.padding = _sides(self.label, padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_images(input_shape)
        n, height, width, channels = input_shape
        rows, columns = map(sum, self.padding)
        return (
            n,
            None if height is None else height + rows,
            None if width is None else width + columns,
            channels,
        )

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        n, height, width, channels = inputs.shape
        (top, bottom), (left, right) = self.padding
        shape = n, top + height + bottom, left + width + right, channels
        require_memory("the result", shape, inputs.dtype)
        outputs = context.backend.array_module.zeros(shape, inputs.dtype)
        outputs[self._inner(inputs.shape)] = inputs
        return outputs, inputs.shape

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        return grad[self._inner(saved)] if needs_input else None, []

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}

    def _inner(self, input_shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
        """Where in the outputs the inputs lie."""
        _, height, width, _ = input_shape
        (top, _), (left, _) = self.padding
        return np.s_[:, top : top + height, left : left + width]


def _sides(where: str, padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Take a padding as ((top, bottom), (left, right))."""
    axes = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    pairs = [axis if isinstance(axis, (tuple, list)) else (axis, axis) for axis in axes]
    if [len(pair) for pair in pairs] != [2, 2]:
        raise ValueError(f"{where}: padding must be {_EXPECTED}, received {shown(padding)}")
    top, bottom, left, right = (
        int64(where, "padding", side, _EXPECTED, padding) for pair in pairs for side in pair
    )
    if min(top, bottom, left, right) < 0:
        raise ValueError(f"{where}: padding must be {_EXPECTED}, received {shown(padding)}")
    return (top, bottom), (left, right)
