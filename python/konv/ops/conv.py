"""2D convolution and its gradients."""

from __future__ import annotations

from collections.abc import Iterable

from konv._arguments import IntOrPair, PaddingArgument, integer, pads, pair, text
from konv.backend import NUMPY, Array
from konv.ops.arguments import ALL_GRADIENTS, arrays, is_relu, needed, shape4


def conv2d(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: IntOrPair = 1,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
) -> Array:
    """Convolve images with a bank of filters (cross-correlation, as everywhere in deep learning).

    Parameters
    ----------
    x : array of shape (N, H, W, C)
        Images, float32 or float64.
    kernel : array of shape (kernel_h, kernel_w, C / groups, filters)
        Filters, of the dtype of `x`.
    bias : array of shape (filters,), optional
        Added to each filter's response.
    strides : int or (h, w)
        Pixels between neighbouring windows.
    padding : "valid", "same", int, (h, w) or ((top, bottom), (left, right))
        Zeros around the image. "same" gives ``ceil(size / stride)`` outputs, the odd zero at the bottom and
        right.
    dilation_rate : int or (h, w)
        Pixels between neighbouring taps of a filter; a filter spans ``(kernel - 1) * dilation + 1`` pixels.
    groups : int
        Channels and filters are split into this many groups that don't see each other.
    activation : None or "relu"
        Applied to the result.
    algorithm : "auto", "direct", "winograd" or "reference"
        How to compute it. "auto" picks by shape alone, steered by the environment variable `KONV_ALGORITHM`.
        "winograd" can do float32 without dilation: kernels of 3x3, 4x4 and 5x5; with strides of 2 that of
        3x3; and for one group all with strides where ``ceil(kernel / strides)`` is 3, 4 or 5, alike along
        both axes.

    Returns
    -------
    y : array of shape (N, P, Q, filters)
        ``P = floor((H + top + bottom - (kernel_h - 1) * dilation - 1) / stride) + 1``, and Q likewise.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or arrays differ in dtype.
    ValueError
        If shapes don't fit together, the output would be empty, or the algorithm can't do the shape.
    MemoryError
        If the result and the scratch memory exceed the machine's.

    Notes
    -----
    ``y[n, p, q, k] = bias[k] + sum over r, s, c of x[n, i, j, c] * kernel[r, s, c, k]`` with
    ``i = p * stride_h + r * dilation_h - top`` and ``j = q * stride_w + s * dilation_w - left``
    (Goodfellow, Bengio, Courville: Deep Learning, section 9.1; sizes: Dumoulin, Visin, arXiv:1603.07285).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> patch = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.float32).reshape(1, 3, 3, 1)
    >>> kernel = np.array([[0, 2, 3], [2, 4, 1], [0, 3, 0]], np.float32).reshape(3, 3, 1, 1)
    >>> ops.conv2d(patch, kernel).item()
    12.0
    >>> ops.conv2d(patch, kernel, padding="same", strides=2).shape
    (1, 2, 2, 1)
    """
    backend, (x, kernel, bias) = arrays(
        "conv2d", {"x": x, "kernel": kernel, "bias": bias}, optional=("bias",)
    )
    return backend.kernels.conv2d(
        x,
        kernel,
        bias,
        pair("conv2d", "strides", strides),
        pads("conv2d", padding),
        pair("conv2d", "dilation_rate", dilation_rate),
        integer("conv2d", "groups", groups),
        is_relu("conv2d", activation),
        text("conv2d", "algorithm", algorithm),
    )


def conv2d_backward(
    grad: Array,
    x: Array,
    kernel: Array,
    *,
    strides: IntOrPair = 1,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    groups: int = 1,
    needs: Iterable[str] = ALL_GRADIENTS,
    algorithm: str = "auto",
) -> tuple[Array | None, Array | None, Array | None]:
    """Compute the gradients of `conv2d` (without activation) with respect to x, kernel and bias.

    Parameters
    ----------
    grad : array of shape (N, P, Q, filters)
        Gradient of the loss with respect to the result of `conv2d`.
    x, kernel : array
        What `conv2d` was given.
    strides, padding, dilation_rate, groups, algorithm
        As in `conv2d`.
    needs : tuple, list or set of str
        Which of "x", "kernel" and "bias" to compute.

    Returns
    -------
    grad_x : array of shape (N, H, W, C), or None where not needed
    grad_kernel : array of the shape of `kernel`, or None where not needed
    grad_bias : array of shape (filters,), or None where not needed

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `conv2d`; also if `needs` holds anything else than those names.

    Notes
    -----
    The gradient of x is the convolution's adjoint: ``<conv2d(x), grad> = <x, grad_x>``; likewise for the
    kernel. The gradient of the bias is the sum of `grad` over images and pixels (Dumoulin, Visin,
    arXiv:1603.07285).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.arange(9.0).reshape(1, 3, 3, 1)
    >>> grad_x, grad_kernel, grad_bias = ops.conv2d_backward(
    ...     np.ones((1, 2, 2, 1)), x, np.ones((2, 2, 1, 1)), needs=("kernel", "bias")
    ... )
    >>> grad_x is None, grad_kernel[:, :, 0, 0].tolist(), grad_bias.tolist()
    (True, [[8.0, 12.0], [20.0, 24.0]], [4.0])
    """
    op = "conv2d_backward"
    backend, (grad, x, kernel) = arrays(op, {"grad": grad, "x": x, "kernel": kernel})
    grad_x, grad_kernel, grad_bias = backend.kernels.conv2d_backward(
        grad,
        x,
        kernel,
        pair(op, "strides", strides),
        pads(op, padding),
        pair(op, "dilation_rate", dilation_rate),
        integer(op, "groups", groups),
        needed(op, needs),
        text(op, "algorithm", algorithm),
    )
    return grad_x, grad_kernel, grad_bias


def conv2d_output_shape(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    *,
    strides: IntOrPair = 1,
    padding: PaddingArgument = "valid",
    dilation_rate: IntOrPair = 1,
    groups: int = 1,
) -> tuple[int, int, int, int]:
    """Compute the shape of the result of `conv2d` without computing the result.

    Parameters
    ----------
    input_shape : (N, H, W, C)
    kernel_shape : (kernel_h, kernel_w, C / groups, filters)
    strides, padding, dilation_rate, groups
        As in `conv2d`.

    Returns
    -------
    shape : (N, P, Q, filters)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `conv2d`.

    Examples
    --------
    >>> from konv import ops
    >>> ops.conv2d_output_shape((1, 32, 32, 3), (5, 5, 3, 10), padding=2)
    (1, 32, 32, 10)
    """
    op = "conv2d_output_shape"
    n, p, q, filters = NUMPY.kernels.conv2d_output_shape(
        shape4(op, "input_shape", input_shape),
        shape4(op, "kernel_shape", kernel_shape),
        pair(op, "strides", strides),
        pads(op, padding),
        pair(op, "dilation_rate", dilation_rate),
        integer(op, "groups", groups),
    )
    return n, p, q, filters
