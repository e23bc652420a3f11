"""Dense."""

from __future__ import annotations

import math
from typing import Any

from konv import activations, initializers, ops
from konv._arguments import Shape, at_least, class_and_config
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.ops.arguments import flag


class Dense(Layer):
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
        super().__init__(**options)
        where = self.label
        self.units = at_least(1, where, "units", units)
        self.activation = activations.get(activation, where, "activation")
        self.use_bias = flag(where, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, where, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, where, "bias_initializer")
        self.kernel: Any = None
        self.bias: Any = None

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        assert channels is not None
        self.kernel = self.add_weight("kernel", (channels, self.units), self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.units,), self.bias_initializer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"inputs must have a batch axis and a last axis of known size, received shape {input_shape}"
            )
        return (*input_shape[:-1], self.units)

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        activation = activations.linear if context.logits else self.activation
        bias = None if self.bias is None else self.bias.value
        outputs = ops.dense(inputs, self.kernel.value, bias, activation=activation.fused)
        outputs, kept = activation.finish(outputs)
        return outputs, (inputs, activation, kept)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        inputs, activation, kept = saved
        grad = activation.backward(grad, kept)
        needs = ["x"] * needs_input + [variable.name for variable in self.trainable_variables]
        grad_inputs, *grads = ops.dense_backward(grad, inputs, self.kernel.value, needs=needs)
        return grad_inputs, [own for own in grads if own is not None]

    def multiply_adds(self, input_shape: Shape) -> int | None:
        sizes = [size for size in input_shape[1:] if size is not None]
        return math.prod(sizes) * self.units if len(sizes) == len(input_shape) - 1 else None

    @property
    def ends_in_softmax(self) -> bool:
        return self.activation == activations.softmax

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": self.activation.name,
            "use_bias": self.use_bias,
            "kernel_initializer": class_and_config(self.kernel_initializer),
            "bias_initializer": class_and_config(self.bias_initializer),
        }
