"""Average and sum pooling, with their gradients."""

from __future__ import annotations

from konv._arguments import IntOrPair, PaddingArgument, flag
from konv.backend import Array
from konv.ops.arguments import array, shape4
from konv.ops.pooling import window


def avg_pool2d(
    x: Array,
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Array:
    """Take the mean of each window and channel.

    Parameters
    ----------
    x, pool_size, strides, padding, dilation_rate, ceil_mode
        As in `max_pool2d`.
    count_include_pad : bool
        False divides by the number of real pixels in the window (Keras), True by the part of the window
        inside the padded image (PyTorch).

    Returns
    -------
    y : array of shape (N, P, Q, C)
        0 for a window without any real pixel.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `max_pool2d`.

    Notes
    -----
    Goodfellow, Bengio, Courville: Deep Learning, section 9.3; sizes: Dumoulin, Visin, arXiv:1603.07285.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> ops.avg_pool2d(x, 2)[0, :, :, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    op = "avg_pool2d"
    backend, x = array(op, "x", x)
    where = window(op, pool_size, strides, padding, dilation_rate, ceil_mode)
    return backend.kernels.avg_pool2d(x, *where, flag(op, "count_include_pad", count_include_pad))


def avg_pool2d_backward(
    grad: Array,
    input_shape: tuple[int, int, int, int],
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Array:
    """Compute the gradient of average pooling: each window's gradient is shared out among its pixels.

    Parameters
    ----------
    grad : array of shape (N, P, Q, C)
        Gradient of the loss with respect to the result, float32 or float64.
    input_shape : (N, H, W, C)
        Shape of the pooled images.
    pool_size, strides, padding, dilation_rate, ceil_mode, count_include_pad
        As in the forward pass.

    Returns
    -------
    grad_x : array of shape (N, H, W, C)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> ops.avg_pool2d_backward(np.full((1, 1, 1, 1), 8.0), (1, 2, 2, 1), 2)[0, :, :, 0].tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    op = "avg_pool2d_backward"
    backend, grad = array(op, "grad", grad)
    where = window(op, pool_size, strides, padding, dilation_rate, ceil_mode)
    return backend.kernels.avg_pool2d_backward(
        grad,
        shape4(op, "input_shape", input_shape),
        *where,
        flag(op, "count_include_pad", count_include_pad),
    )


def sum_pool2d(
    x: Array,
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Take the sum of each window and channel.

    Parameters
    ----------
    x, pool_size, strides, padding, dilation_rate, ceil_mode
        As in `max_pool2d`.

    Returns
    -------
    y : array of shape (N, P, Q, C)
        0 for a window without any real pixel.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `max_pool2d`.

    Notes
    -----
    `avg_pool2d` without its division.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> ops.sum_pool2d(x, 2)[0, :, :, 0].tolist()
    [[10.0, 18.0], [42.0, 50.0]]
    """
    op = "sum_pool2d"
    backend, x = array(op, "x", x)
    return backend.kernels.sum_pool2d(x, *window(op, pool_size, strides, padding, dilation_rate, ceil_mode))


def sum_pool2d_backward(
    grad: Array,
    input_shape: tuple[int, int, int, int],
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Compute the gradient of sum pooling: each pixel adds up the gradients of the windows that cover it.

    Parameters
    ----------
    grad : array of shape (N, P, Q, C)
        Gradient of the loss with respect to the result, float32 or float64.
    input_shape : (N, H, W, C)
        Shape of the pooled images.
    pool_size, strides, padding, dilation_rate, ceil_mode
        As in the forward pass.

    Returns
    -------
    grad_x : array of shape (N, H, W, C)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `sum_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> ops.sum_pool2d_backward(np.ones((1, 1, 2, 1)), (1, 1, 3, 1), (1, 2), strides=1).ravel().tolist()
    [1.0, 2.0, 1.0]
    """
    op = "sum_pool2d_backward"
    backend, grad = array(op, "grad", grad)
    where = window(op, pool_size, strides, padding, dilation_rate, ceil_mode)
    return backend.kernels.sum_pool2d_backward(grad, shape4(op, "input_shape", input_shape), *where)
