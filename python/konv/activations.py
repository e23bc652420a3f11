"""`konv.activations`: elementwise functions and softmax, each with its gradient.

`linear` is x, `relu` max(x, 0), `softmax` exp(x) / sum(exp(x)) along the last axis. Each can be called with
an array, `relu(x)`, and stand in `activation=` of a layer, as can its name.

An `Activation` maps an array to a result and what its gradient needs, kept by the caller. Where a kernel can
apply it to its own result, `fused` is the kernel's name for it, and what its gradient needs is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from konv import ops
from konv._arguments import shown
from konv.backend import Array, route

__all__ = ["Activation", "get", "linear", "relu", "softmax"]


@dataclass(frozen=True)
class Activation:
    """A function of an array with its gradient.

    Attributes
    ----------
    name : str
        Keras's name.
    forward : callable
        `x -> (y, kept)`.
    backward : callable
        `(grad, kept) -> grad_x`, where `grad` is the gradient of `y`.
    fused : str or None
        What `konv.ops` calls it in `activation=`; then `kept` is `y`.

    Examples
    --------
    >>> softmax(np.zeros((1, 4))).tolist(), relu(np.array([-1.0, 2.0])).tolist()
    ([[0.25, 0.25, 0.25, 0.25]], [0.0, 2.0])
    """

    name: str
    forward: Callable[[Array], tuple[Array, Any]]
    backward: Callable[[Array, Any], Array]
    fused: str | None = None

    def __call__(self, x: Array) -> Array:
        """Return the function of `x`."""
        return self.forward(x)[0]

    def finish(self, x: Array) -> tuple[Array, Any]:
        """Forward for the result of an op that was called with `activation=self.fused`."""
        return (x, x) if self.fused else self.forward(x)


def softmax_forward(x: Array, axis: int = -1) -> tuple[Array, Array]:
    """Return softmax of `x` along an axis, `exp(x - max) / sum`, as the result and as what its gradient
    needs."""
    backend, x = route(x, "softmax: x")
    with np.errstate(all="ignore"):
        y = x - x.max(axis=axis, keepdims=True)
        backend.array_module.exp(y, out=y)
        y /= y.sum(axis=axis, keepdims=True)
    return y, y


def softmax_backward(grad: Array, y: Array, axis: int = -1) -> Array:
    """Return the gradient of x from the result of softmax: `y * (grad - sum(grad * y))`."""
    with np.errstate(all="ignore"):
        return y * (grad - (grad * y).sum(axis=axis, keepdims=True))


def _linear_forward(x: Array) -> tuple[Array, None]:
    return x, None


def _linear_backward(grad: Array, kept: None) -> Array:
    return grad


def _relu_forward(x: Array) -> tuple[Array, Array]:
    y = ops.relu(x)
    return y, y


linear = Activation("linear", forward=_linear_forward, backward=_linear_backward)
relu = Activation("relu", forward=_relu_forward, backward=ops.relu_backward, fused="relu")
softmax = Activation("softmax", forward=softmax_forward, backward=softmax_backward)

_ACTIVATIONS = {activation.name: activation for activation in (linear, relu, softmax)}


def get(identifier: Any, where: str = "activations.get", name: str = "identifier") -> Activation:
    """Return the activation of a name in any case (None is linear), or the one that is given.

    Examples
    --------
    >>> get("relu").name, get(None).name
    ('relu', 'linear')
    """
    if identifier is None:
        return linear
    if isinstance(identifier, Activation):
        return identifier
    if not isinstance(identifier, str):
        raise TypeError(f"{where}: {name} must be None, a str or an Activation, received {shown(identifier)}")
    if identifier.lower() not in _ACTIVATIONS:
        names = ", ".join(f'"{known}"' for known in _ACTIVATIONS)
        raise ValueError(f"{where}: {name} must be None or one of {names}, received {shown(identifier)}")
    return _ACTIVATIONS[identifier.lower()]


def name_in_config(activation: Activation, where: str) -> str:
    """Return the name under which `get` finds an activation again."""
    if _ACTIVATIONS.get(activation.name) != activation:
        names = ", ".join(f'"{known}"' for known in _ACTIVATIONS)
        raise ValueError(
            f"{where}: activation must be one of {names} to go into a config or file, "
            f"received one of its own named {shown(activation.name)}; a layer of its own can go there"
        )
    return activation.name
