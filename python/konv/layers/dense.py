"""Dense."""

from __future__ import annotations

import math
from typing import Any

from konv import ops
from konv._arguments import Shape, at_least
from konv.backend import Array
from konv.layers.affine import Affine, Prepared
from konv.ops.prepared import prepare_dense


class Dense(Affine):
    """`inputs @ kernel + bias` over the last axis: `(N, ..., C)` to `(N, ..., units)`.

    Weights: kernel `(C, units)`, bias `(units,)`.

    Parameters
    ----------
    units : int
    activation : str or Activation, optional
        Applied to the outputs, see `konv.activations`.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Dense
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
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            activation=activation,
            use_bias=use_bias,
            weights={
                "kernel_initializer": kernel_initializer,
                "bias_initializer": bias_initializer,
                "kernel_regularizer": kernel_regularizer,
                "bias_regularizer": bias_regularizer,
            },
            **options,
        )
        self.units = at_least(1, self.label, "units", units)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._channels_of(input_shape)
        return (*input_shape[:-1], self.units)

    def multiply_adds(self, input_shape: Shape) -> int | None:
        sizes = [size for size in input_shape[1:] if size is not None]
        return math.prod(sizes) * self.units if len(sizes) == len(input_shape) - 1 else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}

    def _kernel_shapes(self, channels: int) -> list[tuple[int, ...]]:
        return [(channels, self.units)]

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> tuple[Array, Any]:
        return ops.dense(inputs, self.kernel.value, bias, activation=fused), inputs

    def _prepare(self, kernels: list[Array], image: tuple[int, ...]) -> Prepared:
        (kernel,) = kernels
        return (prepare_dense(kernel),)

    def _gradients(self, grad: Array, saved: Any, needs: list[str]) -> tuple[Array | None, ...]:
        return ops.dense_backward(grad, saved, self.kernel.value, needs=needs)
