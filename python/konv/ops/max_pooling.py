"""Max pooling and its gradient."""

from __future__ import annotations

from konv._arguments import IntOrPair, PaddingArgument
from konv.backend import Array
from konv.ops.arguments import argmax_array, array, shape4
from konv.ops.pooling import window


def max_pool2d(
    x: Array,
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Take the maximum of each window and channel. A NaN wins over everything.

    Parameters
    ----------
    x : array of shape (N, H, W, C)
        Images, float32 or float64.
    pool_size : int or (h, w)
        Pixels in a window.
    strides : int or (h, w), optional
        Pixels between neighbouring windows; None is `pool_size`.
    padding : "valid", "same", int, (h, w) or ((top, bottom), (left, right))
        Pixels around the image that no window takes; a window without any real pixel gives -inf.
    dilation_rate : int or (h, w)
        Pixels between neighbouring positions of a window.
    ceil_mode : bool
        Round the output size up, unless the last window would start at or beyond the end of the image. No
        effect with "same".

    Returns
    -------
    y : array of shape (N, P, Q, C)
        ``P = floor((H + top + bottom - (pool_h - 1) * dilation - 1) / stride) + 1``, and Q likewise.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `x` is no batch of images, or the output would be empty.
    MemoryError
        If the result exceeds the machine's memory.

    Notes
    -----
    Goodfellow, Bengio, Courville: Deep Learning, section 9.3; sizes: Dumoulin, Visin, arXiv:1603.07285.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> ops.max_pool2d(x, 2)[0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    backend, x = array("max_pool2d", "x", x)
    where = window("max_pool2d", pool_size, strides, padding, dilation_rate, ceil_mode)
    return backend.kernels.max_pool2d(x, *where, False)


def max_pool2d_with_argmax(
    x: Array,
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """Take the maximum of each window and channel, and where in its window it stood.

    Parameters
    ----------
    x, pool_size, strides, padding, dilation_rate, ceil_mode
        As in `max_pool2d`.

    Returns
    -------
    y : array of shape (N, P, Q, C)
        As `max_pool2d` gives it.
    argmax : array of shape (N, P, Q, C)
        ``row * pool_w + column`` inside the window, uint8 for windows of up to 256 positions, else int32. The
        first maximum in row-major order, or the first NaN; 0 for a window without any real pixel.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `max_pool2d`; ValueError also if a window has more positions than int32 counts.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> y, argmax = ops.max_pool2d_with_argmax(np.array([[1.0, 3.0], [3.0, 2.0]]).reshape(1, 2, 2, 1), 2)
    >>> y.item(), argmax.item(), argmax.dtype.name
    (3.0, 1, 'uint8')
    """
    op = "max_pool2d_with_argmax"
    backend, x = array(op, "x", x)
    where = window(op, pool_size, strides, padding, dilation_rate, ceil_mode)
    y, argmax = backend.kernels.max_pool2d(x, *where, True)
    return y, argmax


def max_pool2d_backward(
    grad: Array,
    argmax: Array,
    input_shape: tuple[int, int, int, int],
    pool_size: IntOrPair,
    *,
    strides: IntOrPair | None = None,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Compute the gradient of max pooling: each window's gradient goes to its maximum.

    Parameters
    ----------
    grad : array of shape (N, P, Q, C)
        Gradient of the loss with respect to the result, float32 or float64.
    argmax : array of shape (N, P, Q, C)
        What `max_pool2d_with_argmax` gave.
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
        As in `max_pool2d`; TypeError also if `argmax` hasn't the dtype that such windows have.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.array([[1.0, 3.0], [3.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> y, argmax = ops.max_pool2d_with_argmax(x, 2)
    >>> ops.max_pool2d_backward(np.full_like(y, 5.0), argmax, x.shape, 2)[0, :, :, 0].tolist()
    [[0.0, 5.0], [0.0, 0.0]]
    """
    op = "max_pool2d_backward"
    backend, grad = array(op, "grad", grad)
    where = window(op, pool_size, strides, padding, dilation_rate, ceil_mode)
    argmax = argmax_array(op, argmax, backend)
    return backend.kernels.max_pool2d_backward(grad, argmax, shape4(op, "input_shape", input_shape), *where)
