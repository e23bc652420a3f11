"""Kernels prepared once for many forward passes, as layers keep them for inference.

Results have the bits of `conv2d` and `dense`, and of a sum and a ReLU after them. Not public: who changes the
kernel must prepare it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from konv._arguments import IntOrPair, PaddingArgument, integer, pads, pair
from konv.backend import Array, Backend
from konv.ops.arguments import array, arrays, is_relu

__all__ = ["apply_prepared", "bind_prepared", "prepare_conv2d", "prepare_dense"]


def prepare_conv2d(
    kernel: Array,
    image: tuple[int, ...],
    *,
    strides: IntOrPair,
    padding: PaddingArgument,
    dilation_rate: IntOrPair,
    groups: int = 1,
) -> Any:
    """Prepare a kernel for `conv2d` of images `(H, W, C)`, with the algorithm "auto"."""
    op = "prepare_conv2d"
    backend, kernel = array(op, "kernel", kernel)
    return backend.kernels.prepare_conv2d(
        kernel,
        image,
        pair(op, "strides", strides),
        pads(op, padding),
        pair(op, "dilation_rate", dilation_rate),
        integer(op, "groups", groups),
        "auto",
    )


def prepare_dense(kernel: Array) -> Any:
    """Prepare a kernel for `dense`."""
    backend, kernel = array("prepare_dense", "kernel", kernel)
    return backend.kernels.prepare_dense(kernel)


def apply_prepared(
    prepared: Any,
    x: Array,
    bias: Array | None = None,
    activation: str | None = None,
    addend: Array | None = None,
) -> Array:
    """Return the result of `conv2d` or `dense` with the kernel that was prepared; an addend, of the shape of
    the result, comes after the bias and before the activation."""
    op = "apply_prepared"
    named = {"x": x, "bias": bias, "addend": addend}
    backend, (x, bias, addend) = arrays(op, named, optional=("bias", "addend"))
    return backend.kernels.apply_prepared(x, prepared, bias, is_relu(op, activation), addend)


def bind_prepared(
    backend: Backend, kernels: Sequence[Any], bias: Array | None = None, activation: str | None = None
) -> Callable[[Array, Array | None], Array]:
    """Return a function of x and addend that applies kernels one after another, bias, addend and activation
    with the last.

    It does nothing in Python but to call the backend's kernels: both are the backend's own arrays, and what
    kernels can't read as it lies is a TypeError.
    """
    apply, relu = backend.kernels.apply_prepared, is_relu("bind_prepared", activation)
    *before, last = kernels

    def bound(x: Array, addend: Array | None) -> Array:
        for kernel in before:
            x = apply(x, kernel, None, False, None)
        return apply(x, last, bias, relu, addend)

    return bound
