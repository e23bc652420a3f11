"""The fully connected layer's product and its gradients."""

from __future__ import annotations

from collections.abc import Iterable

from konv.backend import Array
from konv.ops.arguments import ALL_GRADIENTS, arrays, is_relu, needed


def dense(x: Array, kernel: Array, bias: Array | None = None, *, activation: str | None = None) -> Array:
    """Multiply the last axis by a matrix: a 1x1 convolution.

    Parameters
    ----------
    x : array of shape (..., C)
        Features, float32 or float64.
    kernel : array of shape (C, units)
        Weights, of the dtype of `x`.
    bias : array of shape (units,), optional
        Added to the product.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    y : array of shape (..., units)
        ``x @ kernel + bias``, with the same bits for any number of rows and of threads.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or arrays differ in dtype.
    ValueError
        If shapes don't fit together.
    MemoryError
        If the result exceeds the machine's memory.

    Notes
    -----
    ``y[..., k] = bias[k] + sum over c of x[..., c] * kernel[c, k]``
    (Goodfellow, Bengio, Courville: Deep Learning, section 6.1).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x = np.array([[1.0, 2.0]])
    >>> kernel = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
    >>> ops.dense(x, kernel, np.array([10.0, 20.0, 0.0]), activation="relu").tolist()
    [[11.0, 22.0, 0.0]]
    """
    op = "dense"
    backend, (x, kernel, bias) = arrays(op, {"x": x, "kernel": kernel, "bias": bias}, optional=("bias",))
    return backend.kernels.dense(x, kernel, bias, is_relu(op, activation))


def dense_backward(
    grad: Array, x: Array, kernel: Array, *, needs: Iterable[str] = ALL_GRADIENTS
) -> tuple[Array | None, Array | None, Array | None]:
    """Compute the gradients of `dense` (without activation) with respect to x, kernel and bias.

    Parameters
    ----------
    grad : array of shape (..., units)
        Gradient of the loss with respect to the result of `dense`.
    x, kernel : array
        What `dense` was given.
    needs : tuple, list or set of str
        Which of "x", "kernel" and "bias" to compute.

    Returns
    -------
    grad_x : array of shape (..., C), or None where not needed
        ``grad @ kernel.T``.
    grad_kernel : array of shape (C, units), or None where not needed
        ``x.T @ grad`` over all rows.
    grad_bias : array of shape (units,), or None where not needed
        Sum of `grad` over all rows.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `dense`; also if `needs` holds anything else than those names.

    Notes
    -----
    Goodfellow, Bengio, Courville: Deep Learning, section 6.5.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x, kernel = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])
    >>> grads = ops.dense_backward(np.ones((1, 2)), x, kernel)
    >>> [grad.tolist() for grad in grads]
    [[[7.0, 11.0]], [[1.0, 1.0], [2.0, 2.0]], [1.0, 1.0]]
    """
    op = "dense_backward"
    backend, (grad, x, kernel) = arrays(op, {"grad": grad, "x": x, "kernel": kernel})
    grad_x, grad_kernel, grad_bias = backend.kernels.dense_backward(grad, x, kernel, needed(op, needs))
    return grad_x, grad_kernel, grad_bias
