"""Conv2D."""

from __future__ import annotations

import math
from typing import Any

from konv import activations, initializers, ops
from konv._arguments import Shape, at_least, channels_last, class_and_config
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.layers.window import output_shape, padding_argument, positive_pair
from konv.ops.arguments import IntOrPair, PaddingArgument, flag


class Conv2D(Layer):
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
        super().__init__(**options)
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
        self.activation = activations.get(activation, where, "activation")
        self.use_bias = flag(where, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, where, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, where, "bias_initializer")
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight("kernel", self._kernel_shape(input_shape), self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.filters,), self.bias_initializer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def formula(shape: tuple[int, int, int, int]) -> tuple[int, ...]:
            return ops.conv2d_output_shape(shape, self._kernel_shape(input_shape), **self._geometry())

        height, width = (
            (size - 1) * rate + 1 for size, rate in zip(self.kernel_size, self.dilation_rate, strict=True)
        )
        return output_shape(input_shape, (height, width), formula)

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        activation = activations.linear if context.logits else self.activation
        outputs = ops.conv2d(
            inputs,
            self.kernel.value,
            None if self.bias is None else self.bias.value,
            activation=activation.fused,
            **self._geometry(),
        )
        outputs, kept = activation.finish(outputs)
        return outputs, (inputs, activation, kept)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        inputs, activation, kept = saved
        grad = activation.backward(grad, kept)
        needs = ["x"] * needs_input + [variable.name for variable in self.trainable_variables]
        grad_inputs, *grads = ops.conv2d_backward(
            grad, inputs, self.kernel.value, needs=needs, **self._geometry()
        )
        return grad_inputs, [own for own in grads if own is not None]

    def multiply_adds(self, input_shape: Shape) -> int | None:
        _, height, width, _ = self.compute_output_shape(input_shape)
        if height is None or width is None:
            return None
        return height * width * math.prod(self._kernel_shape(input_shape))

    @property
    def ends_in_softmax(self) -> bool:
        return self.activation == activations.softmax

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
            "kernel_initializer": class_and_config(self.kernel_initializer),
            "bias_initializer": class_and_config(self.bias_initializer),
        }

    def _geometry(self) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
        }

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, int, int, int]:
        channels = input_shape[-1]
        assert channels is not None
        if channels % self.groups:
            raise ValueError(
                f"groups must divide the input channels, received {self.groups} groups, {channels} channels"
            )
        return (*self.kernel_size, channels // self.groups, self.filters)
