"""2D transposed convolution and its gradients."""

from __future__ import annotations

from collections.abc import Iterable

from konv._arguments import IntOrPair, PaddingArgument, integer, optional_pair, pads, pair, text
from konv.backend import NUMPY, Array
from konv.ops.arguments import ALL_GRADIENTS, arrays, needed, shape4


def conv2d_transpose(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: IntOrPair = 1,
    padding: PaddingArgument = "valid",
    output_padding: IntOrPair | None = None,
    dilation_rate: IntOrPair = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Array:
    """Apply the adjoint of a convolution: each input pixel adds a scaled filter to the (larger) output.

    Parameters
    ----------
    x : array of shape (N, H, W, in)
        Images, float32 or float64.
    kernel : array of shape (kernel_h, kernel_w, filters / groups, in)
        Filters, of the dtype of `x`.
    bias : array of shape (filters,), optional
        Added to the result.
    strides : int or (h, w)
        Output pixels between the filters of neighbouring input pixels.
    padding : "valid", "same", int, (h, w) or ((top, bottom), (left, right))
        That of the convolution whose adjoint this is: it is cut off the output.
    output_padding : int or (h, w), optional
        Chooses among the output sizes that the convolution maps to the input's size; below the stride.
    dilation_rate : int or (h, w)
        Pixels between neighbouring taps of a filter.
    groups : int
        As in `conv2d`.
    algorithm : "auto", "direct", "winograd" or "reference"
        As in `conv2d`.

    Returns
    -------
    y : array of shape (N, out_h, out_w, filters)
        Sizes as in the notes.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or arrays differ in dtype.
    ValueError
        If shapes don't fit together, or no convolution gives an input of this size from that output.
    MemoryError
        If the result and the scratch memory exceed the machine's.

    Notes
    -----
    With ``k_eff = (kernel - 1) * dilation + 1`` an axis of size `in` becomes, as in Keras 3 on TensorFlow:

    ============== ================================== =============================================
    padding        ``output_padding=None``            else
    ============== ================================== =============================================
    "valid"        in*stride + max(k_eff - stride, 0) (in-1)*stride + k_eff + output_padding
    "same"         in*stride                          (in-1)*stride + k_eff % 2 + output_padding
    (before,after) (in-1)*stride + k_eff - both       (in-1)*stride + k_eff - both + output_padding
    ============== ================================== =============================================

    See Dumoulin, Visin, arXiv:1603.07285, chapter 4.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.array([[1.0, 2.0]]).reshape(1, 1, 2, 1)
    >>> kernel = np.array([[1.0, 10.0, 100.0]]).reshape(1, 3, 1, 1)
    >>> ops.conv2d_transpose(x, kernel, strides=(1, 2)).ravel().tolist()
    [1.0, 10.0, 102.0, 20.0, 200.0]
    """
    op = "conv2d_transpose"
    backend, (x, kernel, bias) = arrays(op, {"x": x, "kernel": kernel, "bias": bias}, optional=("bias",))
    return backend.kernels.conv2d_transpose(
        x,
        kernel,
        bias,
        pair(op, "strides", strides),
        pads(op, padding),
        optional_pair(op, "output_padding", output_padding),
        pair(op, "dilation_rate", dilation_rate),
        integer(op, "groups", groups),
        text(op, "algorithm", algorithm),
    )


def conv2d_transpose_backward(
    grad: Array,
    x: Array,
    kernel: Array,
    *,
    strides: IntOrPair = 1,
    padding: PaddingArgument = "valid",
    output_padding: IntOrPair | None = None,
    dilation_rate: IntOrPair = 1,
    groups: int = 1,
    needs: Iterable[str] = ALL_GRADIENTS,
) -> tuple[Array | None, Array | None, Array | None]:
    """Compute the gradients of `conv2d_transpose` with respect to x, kernel and bias.

    Parameters
    ----------
    grad : array of shape (N, out_h, out_w, filters)
        Gradient of the loss with respect to the result of `conv2d_transpose`.
    x, kernel : array
        What `conv2d_transpose` was given.
    strides, padding, output_padding, dilation_rate, groups
        As in `conv2d_transpose`.
    needs : tuple, list or set of str
        Which of "x", "kernel" and "bias" to compute.

    Returns
    -------
    grad_x : array of shape (N, H, W, in), or None where not needed
        The convolution of `grad` with `kernel`.
    grad_kernel : array of the shape of `kernel`, or None where not needed
    grad_bias : array of shape (filters,), or None where not needed

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `conv2d_transpose`; also if `needs` holds anything else than those names.

    Notes
    -----
    The gradient of x is `conv2d` itself: the adjoint of the adjoint (Dumoulin, Visin, arXiv:1603.07285,
    chapter 4).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.array([[1.0, 2.0]]).reshape(1, 1, 2, 1)
    >>> kernel = np.array([[1.0, 10.0, 100.0]]).reshape(1, 3, 1, 1)
    >>> grad = np.ones((1, 1, 5, 1))
    >>> grad_x, grad_kernel, grad_bias = ops.conv2d_transpose_backward(grad, x, kernel, strides=(1, 2))
    >>> grad_x.ravel().tolist(), grad_kernel.ravel().tolist(), grad_bias.tolist()
    ([111.0, 111.0], [3.0, 3.0, 3.0], [5.0])
    """
    op = "conv2d_transpose_backward"
    backend, (grad, x, kernel) = arrays(op, {"grad": grad, "x": x, "kernel": kernel})
    grad_x, grad_kernel, grad_bias = backend.kernels.conv2d_transpose_backward(
        grad,
        x,
        kernel,
        pair(op, "strides", strides),
        pads(op, padding),
        optional_pair(op, "output_padding", output_padding),
        pair(op, "dilation_rate", dilation_rate),
        integer(op, "groups", groups),
        needed(op, needs),
        "auto",
    )
    return grad_x, grad_kernel, grad_bias


def conv2d_transpose_output_shape(
    input_shape: tuple[int, int, int, int],
    kernel_shape: tuple[int, int, int, int],
    *,
    strides: IntOrPair = 1,
    padding: PaddingArgument = "valid",
    output_padding: IntOrPair | None = None,
    dilation_rate: IntOrPair = 1,
    groups: int = 1,
) -> tuple[int, int, int, int]:
    """Compute the shape of the result of `conv2d_transpose` without computing the result.

    Parameters
    ----------
    input_shape : (N, H, W, in)
    kernel_shape : (kernel_h, kernel_w, filters / groups, in)
    strides, padding, output_padding, dilation_rate, groups
        As in `conv2d_transpose`.

    Returns
    -------
    shape : (N, out_h, out_w, filters)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `conv2d_transpose`.

    Examples
    --------
    >>> from konv import ops
    >>> ops.conv2d_transpose_output_shape((1, 7, 7, 64), (3, 3, 32, 64), strides=2, padding="same")
    (1, 14, 14, 32)
    """
    op = "conv2d_transpose_output_shape"
    n, height, width, filters = NUMPY.kernels.conv2d_transpose_output_shape(
        shape4(op, "input_shape", input_shape),
        shape4(op, "kernel_shape", kernel_shape),
        pair(op, "strides", strides),
        pads(op, padding),
        optional_pair(op, "output_padding", output_padding),
        pair(op, "dilation_rate", dilation_rate),
        integer(op, "groups", groups),
    )
    return n, height, width, filters
