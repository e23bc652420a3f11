"""Where the windows of a pooling lie, and how many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from konv._arguments import IntOrPair, PaddingArgument, Pads, flag, pads, pair
from konv.backend import NUMPY, Array
from konv.ops.arguments import shape4


def window(
    op: str, pool_size: Any, strides: Any, padding: Any, dilation_rate: Any, ceil_mode: Any
) -> tuple[tuple[int, int], tuple[int, int], Pads, tuple[int, int], bool]:
    """Take the arguments that say where pooling windows lie; strides None is pool_size."""
    size = pair(op, "pool_size", pool_size)
    return (
        size,
        size if strides is None else pair(op, "strides", strides),
        pads(op, padding),
        pair(op, "dilation_rate", dilation_rate),
        flag(op, "ceil_mode", ceil_mode),
    )


def bind_pool2d(
    kernel: Callable[..., Array],
    *further: Any,
    pool_size: IntOrPair,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
) -> Callable[[Array], Array]:
    """Return a function of x alone that calls a backend's kernel of pooling and does nothing else.

    `further` are the kernel's last arguments. What it can't read as it lies is a TypeError. Not public.
    """
    arguments = (*window("bind_pool2d", pool_size, strides, padding, 1, False), *further)
    return lambda x: kernel(x, *arguments)


def pool2d_output_shape(
    input_shape: tuple[int, int, int, int],
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
) -> tuple[int, int, int, int]:
    """Compute the shape of the result of a pooling without computing the result.

    Parameters
    ----------
    input_shape : (N, H, W, C)
    pool_size, strides, padding, dilation_rate, ceil_mode
        As in `max_pool2d`.

    Returns
    -------
    shape : (N, P, Q, C)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `max_pool2d`.

    Examples
    --------
    >>> from konv import ops
    >>> ops.pool2d_output_shape((8, 7, 7, 64), 2), ops.pool2d_output_shape((8, 7, 7, 64), 2, ceil_mode=True)
    ((8, 3, 3, 64), (8, 4, 4, 64))
    """
    op = "pool2d_output_shape"
    n, p, q, channels = NUMPY.kernels.pool2d_output_shape(
        shape4(op, "input_shape", input_shape),
        *window(op, pool_size, strides, padding, dilation_rate, ceil_mode),
    )
    return n, p, q, channels
