"""The base of layers that apply a kernel, add a bias and end in an activation."""

from __future__ import annotations

from typing import Any

from konv import activations, initializers
from konv._arguments import Shape, class_and_config, flag
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context


class Affine(Layer):
    """A linear function of the inputs, given by a kernel, plus a bias `(channels of the outputs,)`, then an
    activation.

    A subclass defines `compute_output_shape`, which asks `_channels_of`, and the three methods below that
    raise NotImplementedError.
    """

    def __init__(
        self,
        *,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        where = self.label
        self.activation = activations.get(activation, where, "activation")
        self.use_bias = flag(where, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer, where, "kernel_initializer")
        self.bias_initializer = initializers.get(bias_initializer, where, "bias_initializer")
        self.kernel: Any = None
        self.bias: Any = None
        self._channels: int | None = None  # of the inputs, once it is built

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return the kernel's shape for inputs of so many channels."""
        raise NotImplementedError(f"{self.label}: _kernel_shape is not defined")

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> Array:
        """Return the outputs, after the activation if it is the fused one (`Activation.fused`)."""
        raise NotImplementedError(f"{self.label}: _apply is not defined")

    def _gradients(self, grad: Array, inputs: Array, needs: list[str]) -> tuple[Array | None, ...]:
        """Return the gradients of inputs, kernel and bias, those that `needs` names ("x" for the inputs)."""
        raise NotImplementedError(f"{self.label}: _gradients is not defined")

    def _channels_of(self, input_shape: Shape) -> int:
        """Return the channels of inputs of a shape; once the layer is built there is one right number."""
        channels = input_shape[-1]
        assert channels is not None, "compute_output_shape has checked it"
        if self._channels not in (None, channels):
            raise ValueError(
                f"inputs must have {self._channels} channels, as those it was built for, "
                f"received shape {input_shape}"
            )
        return channels

    def build(self, input_shape: Shape) -> None:
        channels = self._channels_of(input_shape)
        self.kernel = self.add_weight("kernel", self._kernel_shape(channels), self.kernel_initializer)
        if self.use_bias:
            outputs = self.compute_output_shape(input_shape)[-1]
            assert outputs is not None, "channels are known where a kernel is"
            self.bias = self.add_weight("bias", (outputs,), self.bias_initializer)
        self._channels = channels

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        activation = activations.linear if context.logits else self.activation
        bias = None if self.bias is None else self.bias.value
        outputs, kept = activation.finish(self._apply(inputs, bias, activation.fused))
        return outputs, (inputs, activation, kept)

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        inputs, activation, kept = saved
        grad = activation.backward(grad, kept)
        needs = ["x"] * needs_input + [variable.name for variable in self.trainable_variables]
        grad_inputs, *grads = self._gradients(grad, inputs, needs)
        return grad_inputs, [own for own in grads if own is not None]

    @property
    def ends_in(self) -> str | None:
        return "softmax" if self.activation == activations.softmax else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": activations.name_in_config(self.activation, self.label),
            "use_bias": self.use_bias,
            "kernel_initializer": class_and_config(self.kernel_initializer),
            "bias_initializer": class_and_config(self.bias_initializer),
        }
