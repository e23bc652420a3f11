"""The base of layers that apply kernels, add a bias and end in an activation."""

from __future__ import annotations

from typing import Any, ClassVar

from konv import activations, initializers, regularizers
from konv._arguments import Shape, class_and_config, flag
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.channels import known_channels
from konv.layers.context import Context
from konv.layers.variable import Variable


class Affine(Layer):
    """A linear function of the inputs, given by kernels, plus a bias `(channels of the outputs,)`, then an
    activation.

    A subclass defines `compute_output_shape`, which asks `_channels_of`, and the three methods below that
    raise NotImplementedError. Where its kernels aren't one of name "kernel" with arguments
    `kernel_initializer` and `kernel_regularizer`, `_kernels` says so.

    Parameters
    ----------
    activation : str or Activation, optional
    use_bias : bool
    weights : dict
        For each kernel and the bias the arguments `..._initializer` (str or Initializer) and
        `..._regularizer` (None, str or Regularizer), by their names.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.
    """

    _kernels: ClassVar[dict[str, str]] = {"kernel": "kernel"}
    """For each kernel its name, in order, and what the names of its arguments start with."""

    def __init__(self, *, activation: Any, use_bias: bool, weights: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        where = self.label
        self.activation = activations.get(activation, where, "activation")
        self.use_bias = flag(where, "use_bias", use_bias)
        arguments = (*self._kernels.values(), "bias")
        self.initializers = {
            each: initializers.get(weights[f"{each}_initializer"], where, f"{each}_initializer")
            for each in arguments
        }
        self.regularizers = {
            each: regularizers.get(weights[f"{each}_regularizer"], where, f"{each}_regularizer")
            for each in arguments
        }
        self.kernels: list[Variable] = []
        self.bias: Variable | None = None
        self._channels: int | None = None  # of the inputs, once it is built

    def _kernel_shapes(self, channels: int) -> list[tuple[int, ...]]:
        """Return the kernels' shapes for inputs of so many channels."""
        raise NotImplementedError(f"{self.label}: _kernel_shapes is not defined")

    def _apply(self, inputs: Array, bias: Array | None, fused: str | None) -> tuple[Array, Any]:
        """Return the outputs, after the activation if it is the fused one (`Activation.fused`), and what
        `_gradients` needs."""
        raise NotImplementedError(f"{self.label}: _apply is not defined")

    def _gradients(self, grad: Array, saved: Any, needs: list[str]) -> tuple[Array | None, ...]:
        """Return the gradients of inputs, kernels and bias, those that `needs` names ("x" for the inputs),
        else None."""
        raise NotImplementedError(f"{self.label}: _gradients is not defined")

    def _channels_of(self, input_shape: Shape) -> int:
        """Return the channels of inputs of a shape; once the layer is built there is one right number."""
        return known_channels(input_shape, self._channels)

    @property
    def kernel(self) -> Any:
        """The kernel, the first if there are several; None until the layer is built."""
        return self.kernels[0] if self.kernels else None

    def build(self, input_shape: Shape) -> None:
        channels = self._channels_of(input_shape)
        shapes = self._kernel_shapes(channels)
        self.kernels = [
            self._add(name, argument, shape)
            for (name, argument), shape in zip(self._kernels.items(), shapes, strict=True)
        ]
        if self.use_bias:
            outputs = self.compute_output_shape(input_shape)[-1]
            assert outputs is not None, "channels are known where a kernel is"
            self.bias = self._add("bias", "bias", (outputs,))
        self._channels = channels

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        activation = activations.linear if context.logits else self.activation
        bias = None if self.bias is None else self.bias.value
        outputs, of_kernels = self._apply(inputs, bias, activation.fused)
        outputs, kept = activation.finish(outputs)
        return outputs, (of_kernels, activation, kept) if context.for_backward else None

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        of_kernels, activation, kept = saved
        needs = ["x"] * needs_input + [variable.name for variable in self.trainable_variables]
        if not needs:
            return None, []
        grad_inputs, *grads = self._gradients(activation.backward(grad, kept), of_kernels, needs)
        return grad_inputs, [own for own in grads if own is not None]

    @property
    def ends_in(self) -> str | None:
        return activations.left_out_for_logits(self.activation)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": activations.name_in_config(self.activation, self.label),
            "use_bias": self.use_bias,
            **{f"{each}_initializer": class_and_config(own) for each, own in self.initializers.items()},
            **{f"{each}_regularizer": regularizers.described(own) for each, own in self.regularizers.items()},
        }

    def _add(self, name: str, argument: str, shape: tuple[int, ...]) -> Variable:
        return self.add_weight(
            name, shape, self.initializers[argument], regularizer=self.regularizers[argument]
        )
