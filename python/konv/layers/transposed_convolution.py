"""Conv2DTranspose."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from konv import ops
from konv._arguments import IntOrPair, PaddingArgument, Shape, at_least, optional_pair
from konv.backend import Array
from konv.layers.convolution import Convolution
from konv.layers.window import output_shape


class Conv2DTranspose(Convolution):
    """Transposed convolution of images `(N, H, W, C)`: each pixel adds a scaled filter to larger outputs.

    Weights: kernel `(kernel_h, kernel_w, filters, C)`, bias `(filters,)`. `konv.ops.conv2d_transpose` says
    how large the outputs are.

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation_rate : int or (int, int)
        Of height and width. Stride and dilation may both exceed 1.
    padding : str, int or tuple
        "valid", "same", an int, (h, w) or ((top, bottom), (left, right)): that of the convolution whose
        adjoint this is, cut off the outputs.
    output_padding : int or (int, int), optional
        Chooses among the sizes that the convolution maps to that of the inputs; below the strides.
    data_format : {None, "channels_last"}
    activation : str or Activation, optional
        Applied to the outputs, see `konv.activations`.
    use_bias : bool
    kernel_initializer, bias_initializer : str or Initializer
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Conv2DTranspose
    >>> Conv2DTranspose(8, 3, strides=2, padding="same").compute_output_shape((None, 7, 7, 16))
    (None, 14, 14, 8)
    """

    _prepares: ClassVar[bool] = False

    def __init__(
        self,
        filters: int,
        kernel_size: IntOrPair,
        strides: IntOrPair = (1, 1),
        padding: PaddingArgument = "valid",
        output_padding: IntOrPair | None = None,
        data_format: str | None = None,
        dilation_rate: IntOrPair = (1, 1),
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
        self.output_padding = optional_pair(where, "output_padding", output_padding)
        if self.output_padding is not None and not all(
            0 <= extra < stride for extra, stride in zip(self.output_padding, self.strides, strict=True)
        ):
            raise ValueError(
                f"{where}: output_padding must be at least 0 and below strides, "
                f"received output_padding={output_padding} and strides={self.strides}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def formula(shape: tuple[int, int, int, int]) -> tuple[int, ...]:
            (kernel,) = self._kernel_shapes(self._channels_of(input_shape))
            height, width, filters, channels = kernel
            return ops.conv2d_transpose_output_shape(
                shape, (height, width, filters, channels), **self._geometry()
            )

        # One more pixel than the padding cuts off is always enough.
        if isinstance(self.padding, tuple):
            (top, bottom), (left, right) = self.padding
            return output_shape(input_shape, (top + bottom + 1, left + right + 1), formula)
        return output_shape(input_shape, (1, 1), formula)

    def multiply_adds(self, input_shape: Shape) -> int | None:
        _, height, width, channels = input_shape
        if height is None or width is None or channels is None:
            return None
        return height * width * math.prod(self._kernel_shapes(channels)[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}

    def _geometry(self) -> dict[str, Any]:
        return {**super()._geometry(), "output_padding": self.output_padding}

    def _kernel_shapes(self, channels: int) -> list[tuple[int, ...]]:
        return [(*self.kernel_size, self.filters, channels)]

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> tuple[Array, Any]:
        outputs = ops.conv2d_transpose(inputs, self.kernel.value, bias, **self._geometry())
        return ops.relu(outputs) if fused else outputs, inputs

    def _gradients(self, grad: Array, saved: Any, needs: list[str]) -> tuple[Array | None, ...]:
        return ops.conv2d_transpose_backward(grad, saved, self.kernel.value, needs=needs, **self._geometry())
