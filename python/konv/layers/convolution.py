"""Conv2D."""

from __future__ import annotations

import math
from typing import Any

from konv import ops
from konv._arguments import IntOrPair, PaddingArgument, Shape, at_least, channels_last
from konv.backend import Array
from konv.layers.affine import Affine
from konv.layers.window import output_shape, padding_argument, positive_pair


class Conv2D(Affine):
    """Convolution of images `(N, H, W, C)` with a kernel `(kernel_h, kernel_w, C / groups, filters)`.

    Weights: kernel, bias `(filters,)`.

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation_rate : int or (int, int)
        Of height and width. Stride and dilation may both exceed 1.
    padding : str, int or tuple
        "valid", "same", an int, (h, w) or ((top, bottom), (left, right)).
    data_format : {None, "channels_last"}
    groups : int
        Divides the channels of inputs and outputs; each group is convolved by itself.
    activation : str or Activation, optional
        Applied to the outputs: "relu", "softmax" or "linear".
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> Conv2D(10, 5, padding=2).compute_output_shape((None, 32, 32, 3))
    (None, 32, 32, 10)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: PaddingArgument = "valid",
        data_format: str | None = None,
        dilation_rate: IntOrPair = (1, 1),
        groups: int = 1,
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
        where = self.label
        channels_last(where, data_format)
        self.filters = at_least(1, where, "filters", filters)
        self.kernel_size = positive_pair(where, "kernel_size", kernel_size)
        self.strides = positive_pair(where, "strides", strides)
        self.padding = padding_argument(where, padding)
        self.dilation_rate = positive_pair(where, "dilation_rate", dilation_rate)
        self.groups = at_least(1, where, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"{where}: groups must divide filters, received groups={groups} and filters={filters}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def formula(shape: tuple[int, int, int, int]) -> tuple[int, ...]:
            kernel = self._kernel_shape(self._channels_of(input_shape))
            return ops.conv2d_output_shape(shape, kernel, **self._geometry())

        height, width = (
            (size - 1) * rate + 1 for size, rate in zip(self.kernel_size, self.dilation_rate, strict=True)
        )
        return output_shape(input_shape, (height, width), formula)

    def multiply_adds(self, input_shape: Shape) -> int | None:
        _, height, width, _ = self.compute_output_shape(input_shape)
        if height is None or width is None:
            return None
        return height * width * math.prod(self._kernel_shape(self._channels_of(input_shape)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            **self._geometry(),
        }

    def _geometry(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }

    def _kernel_shape(self, channels: int) -> tuple[int, int, int, int]:
        if channels % self.groups:
            raise ValueError(
                f"groups must divide the input channels, received {self.groups} groups, {channels} channels"
            )
        return (*self.kernel_size, channels // self.groups, self.filters)

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> Array:
        return ops.conv2d(inputs, self.kernel.value, bias, activation=fused, **self._geometry())

    def _gradients(self, grad: Array, inputs: Array, needs: list[str]) -> tuple[Array | None, ...]:
        return ops.conv2d_backward(grad, inputs, self.kernel.value, needs=needs, **self._geometry())
