"""ReLU and Softmax as layers."""

from __future__ import annotations

from typing import Any

from konv import activations, ops
from konv._arguments import Shape, integer, real
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context


class ReLU(Layer):
    """`max(x, 0)`, with Keras's variations.

    `max_value` where `x >= max_value`, `x` where `threshold <= x < max_value`, else `negative_slope * (x -
    threshold)`. With the defaults a NaN stays NaN and -0.0 becomes +0.0.

    Parameters
    ----------
    max_value : float, optional
        At least 0.
    negative_slope, threshold : float
        At least 0.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else real(self.label, "max_value", max_value, 0.0)
        self.negative_slope = real(self.label, "negative_slope", negative_slope, 0.0)
        self.threshold = real(self.label, "threshold", threshold, 0.0)

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        if self._is_plain:
            outputs = ops.relu(inputs)
            return outputs, outputs
        xp = context.backend.array_module
        outputs = xp.where(inputs < self.threshold, self.negative_slope * (inputs - self.threshold), inputs)
        if self.max_value is not None:
            outputs = xp.minimum(outputs, self.max_value)
        return outputs, (xp, inputs)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        if self._is_plain:
            return ops.relu_backward(grad, saved), []
        xp, inputs = saved
        slope = xp.where(inputs < self.threshold, self.negative_slope, 1.0).astype(grad.dtype)
        if self.max_value is not None:
            slope[inputs >= self.max_value] = 0.0
        return grad * slope, []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }

    @property
    def _is_plain(self) -> bool:
        return self.max_value is None and self.negative_slope == 0.0 and self.threshold == 0.0


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` along an axis.

    Parameters
    ----------
    axis : int
        Not the batch's.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax()(np.zeros((1, 4), np.float32))
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = integer(self.label, "axis", axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rank = len(input_shape)
        if not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(
                f"axis must be one of the axes after the batch's, received {self.axis} for {input_shape}"
            )
        return input_shape

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        if context.logits:
            return inputs, None
        return activations.softmax_forward(inputs, self.axis)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        return (grad if saved is None else activations.softmax_backward(grad, saved, self.axis)), []

    @property
    def ends_in(self) -> str | None:
        return "softmax" if self.axis == -1 else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
