"""Dense."""

from __future__ import annotations

import math
from typing import Any

from konv import ops
from konv._arguments import Shape, at_least
from konv.backend import Array
from konv.layers.affine import Affine


class Dense(Affine):
    """`inputs @ kernel + bias` over the last axis: `(N, ..., C)` to `(N, ..., units)`.

    Weights: kernel `(C, units)`, bias `(units,)`.

    Parameters
    ----------
    units : int
    activation : str or Activation, optional
        Applied to the outputs: "relu", "softmax" or "linear".
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> Dense(10, activation="softmax").compute_output_shape((None, 64))
    (None, 10)
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            **options,
        )
        self.units = at_least(1, self.label, "units", units)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"inputs must have a batch axis and a last axis of known size, received shape {input_shape}"
            )
        return (*input_shape[:-1], self._kernel_shape(self._channels_of(input_shape))[1])

    def multiply_adds(self, input_shape: Shape) -> int | None:
        sizes = [size for size in input_shape[1:] if size is not None]
        return math.prod(sizes) * self.units if len(sizes) == len(input_shape) - 1 else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}

    def _kernel_shape(self, channels: int) -> tuple[int, int]:
        return channels, self.units

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> Array:
        return ops.dense(inputs, self.kernel.value, bias, activation=fused)

    def _gradients(self, grad: Array, inputs: Array, needs: list[str]) -> tuple[Array | None, ...]:
        return ops.dense_backward(grad, inputs, self.kernel.value, needs=needs)
