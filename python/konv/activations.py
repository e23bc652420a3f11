"""`konv.activations`: functions of single elements, and softmax, each with its gradient.

Each can be called with an array, `relu(x)`, and stand in `activation=` of a layer, as can its name:

============ ===================================================================
linear       x
relu         max(x, 0)
relu6        min(max(x, 0), 6)
leaky_relu   x, but 0.2 x below 0
elu          x, but exp(x) - 1 below 0
sigmoid      1 / (1 + exp(-x))
hard_sigmoid relu6(x + 3) / 6
tanh         tanh(x)
silu         x * sigmoid(x), also by the name "swish"
gelu         x * Phi(x), Phi the normal distribution (Hendrycks, Gimpel, arXiv:1606.08415)
softmax      exp(x) / sum(exp(x)) along the last axis
============ ===================================================================

At infinities the results (except softmax's) and gradients are the limits; NaN stays NaN.

An `Activation` maps an array to a result and what its gradient needs, kept by the caller. Where a kernel can
apply it to its own result, `fused` is the kernel's name for it, and what its gradient needs is the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from konv._arguments import shown
from konv.backend import Array
from konv.ops.arguments import array, arrays

__all__ = [
    "Activation",
    "elu",
    "gelu",
    "get",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]


def __dir__() -> list[str]:
    return __all__


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
    >>> import numpy as np
    >>> from konv.activations import relu, softmax
    >>> softmax(np.zeros((1, 4))).tolist(), relu(np.array([-1.0, 2.0])).tolist()
    ([[0.25, 0.25, 0.25, 0.25]], [0.0, 2.0])
    """

    name: str
    forward: Callable[[Array], tuple[Array, Any]]
    backward: Callable[[Array, Any], Array]
    fused: str | None = None

    def __call__(self, x: Array) -> Array:
        """Return the function of `x`."""
        if getattr(x, "ndim", 1) == 0:  # NumPy would make scalars of it on the way
            return self.forward(x.reshape(1))[0].reshape(())
        return self.forward(x)[0]

    def finish(self, x: Array) -> tuple[Array, Any]:
        """Forward for the result of an op that was called with `activation=self.fused`."""
        return (x, x) if self.fused else self.forward(x)


def softmax_forward(x: Array, axis: int = -1) -> tuple[Array, Array]:
    """Return softmax of `x` along an axis, `exp(x - max) / sum`, as the result and as what its gradient
    needs."""
    backend, x = array("softmax", "x", x)
    if not x.shape[axis]:
        raise ValueError(f"softmax: x must have elements along axis {axis}, received shape {x.shape}")
    if axis in (-1, x.ndim - 1):
        y = backend.kernels.softmax(x)
        return y, y
    with np.errstate(all="ignore"):
        y = x - x.max(axis=axis, keepdims=True)
        backend.array_module.exp(y, out=y)
        y /= y.sum(axis=axis, keepdims=True)
    return y, y


def softmax_backward(grad: Array, y: Array, axis: int = -1) -> Array:
    """Return the gradient of x from the result of softmax: `y * (grad - sum(grad * y))`."""
    with np.errstate(all="ignore"):
        grad_x = grad * y
        total = grad_x.sum(axis=axis, keepdims=True)
        total = y * total
        grad_x -= total
    return grad_x


@dataclass(frozen=True)
class _Forward:
    """One pass of a kernel; the gradient needs its result, or else its input."""

    name: str
    keeps_input: bool = False

    def __call__(self, x: Array) -> tuple[Array, Array]:
        backend, x = array(self.name, "x", x)
        y = getattr(backend.kernels, self.name)(x)
        return y, x if self.keeps_input else y


@dataclass(frozen=True)
class _Backward:
    """One pass of the gradient's kernel."""

    name: str

    def __call__(self, grad: Array, kept: Array) -> Array:
        backend, (grad, kept) = arrays(self.name, {"grad": grad, "kept": kept})
        return getattr(backend.kernels, self.name)(grad, kept)


def _of_kernel(name: str, *, keeps_input: bool = False, fused: str | None = None) -> Activation:
    return Activation(name, _Forward(name, keeps_input), _Backward(f"{name}_backward"), fused)


def _linear_forward(x: Array) -> tuple[Array, None]:
    return x, None


def _linear_backward(grad: Array, kept: None) -> Array:
    return grad


def _gelu_forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
    backend, x = array("gelu", "x", x)
    share = backend.kernels.erf(x * math.sqrt(0.5))  # becomes Phi(x)
    share += 1.0
    share *= 0.5
    y = backend.array_module.maximum(x, -_largest(x))  # at minus infinity the share is 0
    y *= share
    return y, (x, share)


def _gelu_backward(grad: Array, kept: tuple[Array, Array]) -> Array:
    backend, (grad, x, share) = arrays("gelu", {"grad": grad, "x": kept[0], "share": kept[1]})
    with np.errstate(all="ignore"):
        density = x * x
        density *= -0.5
        backend.array_module.exp(density, out=density)
        density *= 1.0 / math.sqrt(2.0 * math.pi)
        slope = backend.array_module.clip(x, -_largest(x), _largest(x))  # infinite where density is 0
        slope *= density
        slope += share
        slope *= grad
    return slope


def _largest(x: Array) -> float:
    return float(np.finfo(x.dtype).max)


linear = Activation("linear", forward=_linear_forward, backward=_linear_backward)
relu = _of_kernel("relu", fused="relu")
relu6 = _of_kernel("relu6")
leaky_relu = _of_kernel("leaky_relu")
elu = _of_kernel("elu")
sigmoid = _of_kernel("sigmoid")
hard_sigmoid = _of_kernel("hard_sigmoid")
tanh = _of_kernel("tanh")
silu = _of_kernel("silu", keeps_input=True)
gelu = Activation("gelu", forward=_gelu_forward, backward=_gelu_backward)
softmax = Activation("softmax", forward=softmax_forward, backward=softmax_backward)

_ACTIVATIONS = {
    activation.name: activation
    for activation in (
        linear,
        relu,
        relu6,
        leaky_relu,
        elu,
        sigmoid,
        hard_sigmoid,
        tanh,
        silu,
        gelu,
        softmax,
    )
}
_ALIASES = {"swish": silu}


def left_out_for_logits(activation: Activation) -> str | None:
    """Return the name of an activation that a layer leaves out if `context.logits`, for a cross-entropy can
    be computed from what goes into it; None if it is none of those."""
    return activation.name if activation in (softmax, sigmoid) else None


def get(identifier: Any, where: str = "activations.get", name: str = "identifier") -> Activation:
    """Return the activation of a name in any case (None is linear), or the one that is given.

    Examples
    --------
    >>> from konv.activations import get
    >>> get("relu").name, get(None).name
    ('relu', 'linear')
    """
    if identifier is None:
        return linear
    if isinstance(identifier, Activation):
        return identifier
    if not isinstance(identifier, str):
        raise TypeError(f"{where}: {name} must be None, a str or an Activation, received {shown(identifier)}")
    known_by_name = _ACTIVATIONS | _ALIASES
    if identifier.lower() not in known_by_name:
        names = ", ".join(f'"{known}"' for known in known_by_name)
        raise ValueError(f"{where}: {name} must be None or one of {names}, received {shown(identifier)}")
    return known_by_name[identifier.lower()]


def name_in_config(activation: Activation, where: str) -> str:
    """Return the name under which `get` finds an activation again."""
    if _ACTIVATIONS.get(activation.name) != activation:
        names = ", ".join(f'"{known}"' for known in _ACTIVATIONS)
        raise ValueError(
            f"{where}: activation must be one of {names} to go into a config or file, "
            f"received one of its own named {shown(activation.name)}; a layer of its own can go there"
        )
    return activation.name
