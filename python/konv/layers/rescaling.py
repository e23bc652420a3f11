"""Rescaling."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import Shape, real, shown
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context


class Rescaling(Layer):
    """`inputs * scale + offset`.

    Parameters
    ----------
    scale, offset : float or sequence of float
        One number, or one for each channel (the last axis).
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Rescaling
    >>> import numpy as np
    >>> Rescaling(2 / 255, -1)(np.array([[0, 255]], np.uint8))
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = _numbers(self.label, "scale", scale, self.dtype)
        self.offset = _numbers(self.label, "offset", offset, self.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for name, numbers in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(numbers, list) and input_shape[-1] not in (None, len(numbers)):
                raise ValueError(
                    f"{name} must be one number or one for each channel, "
                    f"received {len(numbers)} for inputs of shape {input_shape}"
                )
        return input_shape

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        self.compute_output_shape(inputs.shape)
        xp = context.backend.array_module
        scale = xp.asarray(self.scale, self.dtype)
        with np.errstate(all="ignore"):
            outputs = inputs * scale
            outputs += xp.asarray(self.offset, self.dtype)
        return outputs, scale

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        with np.errstate(all="ignore"):
            return grad * saved, []

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


def _numbers(where: str, name: str, value: Any, dtype: np.dtype[Any]) -> float | list[float]:
    """Take a number, or a list, tuple or array of one axis of them, in the range of a dtype."""
    largest = float(np.finfo(dtype).max)
    if isinstance(value, np.ndarray):
        if value.ndim != 1:
            raise ValueError(
                f"{where}: {name} must be one number or one for each channel, received {shown(value)}"
            )
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return real(where, name, value, -largest, largest)
    if not value:
        raise ValueError(
            f"{where}: {name} must be one number or one for each channel, received {shown(value)}"
        )
    return [real(where, f"{name} (each number)", number, -largest, largest) for number in value]
