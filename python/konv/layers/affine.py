"""The base of layers that apply kernels, add a bias and end in an activation."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, ClassVar

import numpy as np

from konv import _prepared, activations, initializers, regularizers
from konv._arguments import Shape, class_and_config, flag
from konv.backend import Array, Backend
from konv.layers.base import Call, Layer
from konv.layers.batch_normalization import BatchNormalization
from konv.layers.channels import known_channels
from konv.layers.context import Context
from konv.layers.variable import Variable
from konv.ops.addition import add
from konv.ops.prepared import apply_prepared, bind_prepared

Prepared = tuple[Any, ...]
"""Kernels in the form of their algorithm (`konv.ops.prepared`), to be applied one after another."""

_WithNorm = tuple[Prepared, Array | None, Callable[..., Array] | None]


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

    _prepares: ClassVar[bool] = True
    """Whether inference keeps kernels in the form of their algorithm; a subclass then defines `_prepare`."""

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
        self.kernels: tuple[Variable, ...] = ()
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

    def _prepare(self, kernels: list[Array], image: tuple[int, ...]) -> Prepared:
        """Return what `_infer` applies in place of `_apply` to inputs of shape `(N, *image)`."""
        raise NotImplementedError(f"{self.label}: _prepare is not defined")

    def _form(self, image: tuple[int, ...]) -> Hashable:
        """Return all that `_prepare` depends on but the kernels."""
        return None

    def _scaled(self, kernel: Array, scale: Array) -> Array:
        """Return the last kernel for outputs whose channels are multiplied by `scale`."""
        return kernel * scale

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
        self.kernels = tuple(
            self._add(name, argument, shape)
            for (name, argument), shape in zip(self._kernels.items(), shapes, strict=True)
        )
        if self.use_bias:
            outputs = self.compute_output_shape(input_shape)[-1]
            assert outputs is not None, "channels are known where a kernel is"
            self.bias = self._add("bias", "bias", (outputs,))
        self._channels = channels

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        activation = activations.linear if context.logits else self.activation
        if context.relu:
            activation = activations.relu
        if not context.for_backward:
            outputs = self._infer(inputs, context, activation.fused)
            return activation.finish(outputs)[0], None
        bias = None if self.bias is None else self.bias.value
        outputs, of_kernels = self._apply(inputs, bias, activation.fused)
        outputs, kept = activation.finish(outputs)
        if context.masked:
            activation, kept = activations.linear, None
        return outputs, (of_kernels, activation, kept)

    def fuses(self, *, norm: bool, add: bool, relu: bool) -> bool:
        return self.activation == activations.linear and (self._prepares or not (norm or add))

    @property
    def ends_in_relu(self) -> bool:
        return self.activation == activations.relu

    def bind(
        self, input_shape: tuple[int, ...], *, norm: BatchNormalization | None, relu: bool, backend: Backend
    ) -> Call | None:
        activation = activations.relu if relu else self.activation
        if not self._prepares or not (activation.fused or activation == activations.linear):
            return None
        kernels, bias, after = self._prepared_for(input_shape[1:], norm)
        if after is not None:
            return None
        return bind_prepared(backend, kernels, bias, activation.fused)

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

    def _infer(self, inputs: Array, context: Context, fused: str | None) -> Array:
        """Return the outputs for inference."""
        if not self._prepares:
            return self._apply(inputs, None if self.bias is None else self.bias.value, fused)[0]
        try:
            return self._apply_prepared(inputs, context, fused)
        except MemoryError:  # maybe for what is kept
            _prepared.forget_all()
            return self._apply_prepared(inputs, context, fused)

    def _apply_prepared(self, inputs: Array, context: Context, fused: str | None) -> Array:
        """Apply kernels that are kept prepared until a weight changes, with the normalization in them."""
        addend = context.addend
        (*before, last), bias, after = self._prepared_for(inputs.shape[1:], context.norm)
        for kernel in before:
            inputs = apply_prepared(kernel, inputs)
        if after is None:
            return apply_prepared(last, inputs, bias, fused, addend)
        outputs = apply_prepared(last, inputs, bias)
        if addend is None:
            return after(outputs, activation=fused)
        return add(after(outputs), addend, relu=fused is not None)

    def _prepared_for(self, image: tuple[int, ...], norm: BatchNormalization | None) -> _WithNorm:
        """Return the layer for inputs of shape `(N, *image)`, kept until a weight changes."""
        read = [*self.kernels, self.bias]
        if norm is not None:
            read += norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance
        sources = [variable for variable in read if variable is not None]
        # By its id, for what is kept must not keep layers alive.
        by_norm = None if norm is None else (id(norm), norm.epsilon)
        key = (self._form(image), by_norm, os.environ.get("KONV_ALGORITHM"))
        return _prepared.kept(self.kernels[0], key, sources, lambda: self._prepared_with(norm, image))

    def _prepared_with(self, norm: BatchNormalization | None, image: tuple[int, ...]) -> _WithNorm:
        """Return the layer with a normalization as prepared kernels, the bias that they are to be given, and
        what is to be applied after them."""
        bias = None if self.bias is None else self.bias.value
        kernels = [kernel.value for kernel in self.kernels]
        if norm is None:
            return self._prepare(kernels, image), bias, None
        scale, shift = norm.scale_and_shift()
        with np.errstate(all="ignore"):
            last = self._scaled(kernels[-1], scale.astype(self.dtype))
            folded = (shift if bias is None else shift + scale * bias).astype(self.dtype)
        if np.isfinite(last).all() and np.isfinite(folded).all():
            return self._prepare([*kernels[:-1], last], image), folded, None
        # With what is beyond the largest number in them, sums would be NaN that are none layer by layer.
        return self._prepare(kernels, image), bias, norm.by_moving_averages()

    def _add(self, name: str, argument: str, shape: tuple[int, ...]) -> Variable:
        return self.add_weight(
            name, shape, self.initializers[argument], regularizer=self.regularizers[argument]
        )
