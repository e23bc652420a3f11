"""Batch normalization: inference, training and gradients."""

from __future__ import annotations

from konv._arguments import flag, real
from konv.backend import Array
from konv.ops.arguments import arrays, is_relu


def batch_norm(
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-3,
    activation: str | None = None,
) -> Array:
    """Normalise each channel with given statistics, as in inference.

    Parameters
    ----------
    x : array of shape (..., C)
        Float32 or float64.
    gamma, beta : array of shape (C,), or None
        Scale and offset; None leaves them out.
    mean, variance : array of shape (C,)
        Statistics of each channel.
    epsilon : float
        Added to the variance.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    y : array of the shape of `x`

    Raises
    ------
    TypeError
        If an argument has the wrong type, or arrays differ in dtype.
    ValueError
        If shapes don't fit together, or `epsilon` is negative or not finite.
    MemoryError
        If the result exceeds the machine's memory.

    Notes
    -----
    ``y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`` (Ioffe, Szegedy, arXiv:1502.03167, algorithm
    2).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> mean, variance = np.array([4.0]), np.array([4.0])
    >>> ops.batch_norm(np.array([[2.0], [8.0]]), None, None, mean, variance, epsilon=0).tolist()
    [[-1.0], [2.0]]
    """
    op = "batch_norm"
    backend, (x, gamma, beta, mean, variance) = arrays(
        op,
        {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "variance": variance},
        optional=("gamma", "beta"),
    )
    return backend.kernels.batch_norm(
        x, gamma, beta, mean, variance, real(op, "epsilon", epsilon, 0.0), is_relu(op, activation)
    )


def batch_norm_train(
    x: Array,
    gamma: Array | None,
    beta: Array | None,
    *,
    epsilon: float = 1e-3,
    activation: str | None = None,
) -> tuple[Array, Array, Array]:
    """Normalise each channel with its own statistics over the batch, as in training.

    Parameters
    ----------
    x : array of shape (..., C)
        Float32 or float64.
    gamma, beta : array of shape (C,), or None
        Scale and offset; None leaves them out.
    epsilon : float
        Added to the variance.
    activation : None or "relu"
        Applied to the result.

    Returns
    -------
    y : array of the shape of `x`
    mean, variance : array of shape (C,)
        Statistics of each channel, the variance biased; both 0 where `x` has no elements.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `batch_norm`.

    Notes
    -----
    Ioffe, Szegedy, arXiv:1502.03167, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> y, mean, variance = ops.batch_norm_train(np.array([[2.0], [6.0]]), None, None, epsilon=0)
    >>> y.tolist(), mean.tolist(), variance.tolist()
    ([[-1.0], [1.0]], [4.0], [4.0])
    """
    op = "batch_norm_train"
    backend, (x, gamma, beta) = arrays(op, {"x": x, "gamma": gamma, "beta": beta}, optional=("gamma", "beta"))
    y, mean, variance = backend.kernels.batch_norm_train(
        x, gamma, beta, real(op, "epsilon", epsilon, 0.0), is_relu(op, activation)
    )
    return y, mean, variance


def batch_norm_backward(
    grad: Array,
    x: Array,
    gamma: Array | None,
    mean: Array,
    variance: Array,
    *,
    epsilon: float = 1e-3,
    training: bool = True,
    activation: str | None = None,
    y: Array | None = None,
    x_activation: str | None = None,
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `batch_norm_train`, or of `batch_norm`, with respect to x, gamma and beta.

    Parameters
    ----------
    grad : array of shape (..., C)
        Gradient of the loss with respect to the result.
    x, gamma : array
        What the forward pass was given; gamma None counts as ones.
    mean, variance : array of shape (C,)
        Statistics that the forward pass used.
    epsilon : float
        As in the forward pass.
    training : bool
        True if the statistics came from `x` (`batch_norm_train`); False treats them as constants
        (`batch_norm`).
    activation : None or "relu"
        As in the forward pass.
    y : array of the shape of `x`, optional
        Result of the forward pass; needed with ``activation="relu"``.
    x_activation : None or "relu"
        With "relu" `x` is the result of a ReLU, and `grad_x` the gradient of what went into that: 0 where ``x
        <= 0``, with the bits that `relu_backward` would give.

    Returns
    -------
    grad_x : array of the shape of `x`
    grad_gamma, grad_beta : array of shape (C,)

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in `batch_norm`; ValueError also if y is None with ``activation="relu"``.

    Notes
    -----
    Ioffe, Szegedy, arXiv:1502.03167, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> x, gamma = np.array([[2.0], [6.0]]), np.array([3.0])
    >>> mean, variance = np.array([4.0]), np.array([4.0])
    >>> grads = ops.batch_norm_backward(
    ...     np.array([[1.0], [0.0]]), x, gamma, mean, variance, epsilon=0, training=False
    ... )
    >>> [grad.tolist() for grad in grads]
    [[[1.5], [0.0]], [-1.0], [1.0]]
    """
    op = "batch_norm_backward"
    backend, (grad, x, gamma, mean, variance, y) = arrays(
        op,
        {"grad": grad, "x": x, "gamma": gamma, "mean": mean, "variance": variance, "y": y},
        optional=("gamma", "y"),
    )
    grad_x, grad_gamma, grad_beta = backend.kernels.batch_norm_backward(
        grad,
        x,
        gamma,
        mean,
        variance,
        real(op, "epsilon", epsilon, 0.0),
        flag(op, "training", training),
        is_relu(op, activation),
        y,
        is_relu(op, x_activation, "x_activation"),
    )
    return grad_x, grad_gamma, grad_beta
