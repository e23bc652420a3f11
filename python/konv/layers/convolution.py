"""Conv2D, and the base of layers that slide a window with a kernel over images."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from konv import ops
from konv._arguments import IntOrPair, PaddingArgument, Shape, at_least, channels_last
from konv.backend import Array
from konv.layers.affine import Affine, Prepared
from konv.layers.window import effective_size, output_shape, padding_argument, positive_pair
from konv.ops.prepared import prepare_conv2d


class Convolution(Affine):
    """A window of a kernel that slides over images `(N, H, W, C)`.

    A subclass defines what `Affine` asks for and `_window_shape`, unless it has an output size of its own.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        strides: IntOrPair,
        padding: PaddingArgument,
        data_format: str | None,
        dilation_rate: IntOrPair,
        **affine: Any,
    ) -> None:
        super().__init__(**affine)
        where = self.label
        channels_last(where, data_format)
        self.kernel_size = positive_pair(where, "kernel_size", kernel_size)
        self.strides = positive_pair(where, "strides", strides)
        self.padding = padding_argument(where, padding)
        self.dilation_rate = positive_pair(where, "dilation_rate", dilation_rate)

    def _window_shape(self, channels: int) -> tuple[tuple[int, int, int, int], int]:
        """Return the shape of the kernel `(kernel_h, kernel_w, in / groups, out)` that slides over inputs of
        so many channels, and its groups."""
        raise NotImplementedError(f"{self.label}: _window_shape is not defined")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def formula(shape: tuple[int, int, int, int]) -> tuple[int, ...]:
            kernel, groups = self._window_shape(self._channels_of(input_shape))
            return ops.conv2d_output_shape(shape, kernel, groups=groups, **self._geometry())

        return output_shape(input_shape, effective_size(self.kernel_size, self.dilation_rate), formula)

    def multiply_adds(self, input_shape: Shape) -> int | None:
        _, height, width, _ = self.compute_output_shape(input_shape)
        if height is None or width is None:
            return None
        weights = sum(math.prod(shape) for shape in self._kernel_shapes(self._channels_of(input_shape)))
        return height * width * weights

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_size": self.kernel_size, **self._geometry()}

    def _form(self, image: tuple[int, ...]) -> Hashable:
        return image, self.strides, self.padding, self.dilation_rate

    def _geometry(self) -> dict[str, Any]:
        return {"strides": self.strides, "padding": self.padding, "dilation_rate": self.dilation_rate}


class Conv2D(Convolution):
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
        Applied to the outputs, see `konv.activations`.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Conv2D
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
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
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
        where = self.label
        self.filters = at_least(1, where, "filters", filters)
        self.groups = at_least(1, where, "groups", groups)
        if self.filters % self.groups:
            raise ValueError(
                f"{where}: groups must divide filters, received groups={groups} and filters={filters}"
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}

    def _window_shape(self, channels: int) -> tuple[tuple[int, int, int, int], int]:
        if channels % self.groups:
            raise ValueError(
                f"groups must divide the input channels, received {self.groups} groups, {channels} channels"
            )
        return (*self.kernel_size, channels // self.groups, self.filters), self.groups

    def _kernel_shapes(self, channels: int) -> list[tuple[int, ...]]:
        return [self._window_shape(channels)[0]]

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> tuple[Array, Any]:
        outputs = ops.conv2d(
            inputs, self.kernel.value, bias, groups=self.groups, activation=fused, **self._geometry()
        )
        return outputs, inputs

    def _prepare(self, kernels: list[Array], image: tuple[int, ...]) -> Prepared:
        (kernel,) = kernels
        prepared = prepare_conv2d(kernel, image, groups=self.groups, **self._geometry())
        return (prepared,)

    def _gradients(self, grad: Array, saved: Any, needs: list[str]) -> tuple[Array | None, ...]:
        return ops.conv2d_backward(
            grad, saved, self.kernel.value, groups=self.groups, needs=needs, **self._geometry()
        )
