"""Activation, ReLU and Softmax as layers."""

from __future__ import annotations

from typing import Any

from konv import activations
from konv._arguments import Shape, integer, real
from konv._masking import keep
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context


class Activation(Layer):
    """One of the functions of `konv.activations`.

    Parameters
    ----------
    activation : str or Activation
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Activation
    >>> import numpy as np
    >>> Activation("relu6")(np.array([[-1.0, 3.0, 7.0]], np.float32))
    array([[0., 3., 6.]], dtype=float32)
    """

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation, self.label, "activation")

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        if context.logits:
            return inputs, (activations.linear, None)
        outputs, kept = self.activation.forward(inputs)
        return outputs, (self.activation, kept) if context.for_backward else None

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        activation, kept = saved
        return activation.backward(grad, kept), []

    @property
    def ends_in(self) -> str | None:
        return activations.left_out_for_logits(self.activation)

    @property
    def fused_as(self) -> str | None:
        return self.activation.fused

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "activation": activations.name_in_config(self.activation, self.label),
        }


class ReLU(Layer):
    """`max(x, 0)`, with Keras's variations.

    `max_value` where `x >= max_value`, `x` where `threshold < x < max_value`, else `negative_slope * (x -
    threshold)`. NaN stays NaN; with the defaults -0.0 becomes +0.0. At the corners the gradients are Keras's:
    1 at `max_value`, 0 at `threshold`, but 0 at a `max_value` of 6 that stands alone, as for `relu6`, and
    `negative_slope` at 0 where it stands alone, as for `leaky_relu`.

    Parameters
    ----------
    max_value : float, optional
        At least 0.
    negative_slope, threshold : float
        At least 0.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import ReLU
    >>> import numpy as np
    >>> ReLU(max_value=6.0)(np.array([[-1.0, 3.0, 7.0]], np.float32))
    array([[0., 3., 6.]], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else real(self.label, "max_value", max_value, 0.0)
        self.negative_slope = real(self.label, "negative_slope", negative_slope, 0.0)
        self.threshold = real(self.label, "threshold", threshold, 0.0)

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        if (simple := self._simple) is not None:
            outputs, kept = simple.forward(inputs)
            return outputs, kept if context.for_backward else None
        xp = context.backend.array_module
        outputs = keep(inputs.copy(), ~(inputs <= self.threshold))
        if self.max_value is not None:
            xp.minimum(outputs, self.max_value, out=outputs)
        if self.negative_slope:
            below = inputs - self.threshold
            xp.minimum(below, 0.0, out=below)
            below *= self.negative_slope
            outputs += below
        return outputs, inputs if context.for_backward else None

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        if (simple := self._simple) is not None:
            return simple.backward(grad, saved), []
        flat = saved <= self.threshold
        if self.max_value is not None:
            flat |= saved > self.max_value
        grad_inputs = keep(grad.copy(), ~flat)
        if self.negative_slope:
            alone = self.max_value is None and self.threshold == 0.0
            falling = saved <= 0.0 if alone else saved < self.threshold
            grad_inputs += keep(grad * self.negative_slope, falling)
        return grad_inputs, []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }

    @property
    def fused_as(self) -> str | None:
        return None if self._simple is None else self._simple.fused

    @property
    def _simple(self) -> activations.Activation | None:
        """The activation that this is, if it is one."""
        if self.negative_slope == 0.0 and self.threshold == 0.0:
            if self.max_value is None:
                return activations.relu
            if self.max_value == 6.0:
                return activations.relu6
        return None


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` along an axis.

    Parameters
    ----------
    axis : int
        Not the batch's.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Softmax
    >>> import numpy as np
    >>> Softmax()(np.zeros((1, 4), np.float32))
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = integer(self.label, "axis", axis)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rank = len(input_shape)
        if not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(
                f"axis must be one of the axes after the batch's, received {self.axis} for {input_shape}"
            )
        return input_shape

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        self.compute_output_shape(inputs.shape)
        if context.logits:
            return inputs, None
        outputs, kept = activations.softmax_forward(inputs, self.axis)
        return outputs, kept if context.for_backward else None

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        if not needs_input:
            return None, []
        return (grad if saved is None else activations.softmax_backward(grad, saved, self.axis)), []

    @property
    def ends_in(self) -> str | None:
        return "softmax" if self.axis == -1 else None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
