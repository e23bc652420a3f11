"""The rectifier and its gradient."""

from __future__ import annotations

from konv.backend import Array
from konv.ops.arguments import array, arrays


def relu(x: Array) -> Array:
    """Replace negative elements by zero; -0.0 gives 0.0, NaN stays NaN.

    Parameters
    ----------
    x : array of any shape
        Float32 or float64.

    Returns
    -------
    y : array of the shape of `x`

    Raises
    ------
    TypeError
        If `x` is not an array of float32 or float64.
    MemoryError
        If the result exceeds the machine's memory.

    Notes
    -----
    ``y = max(x, 0)`` (Nair, Hinton: Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> ops.relu(np.array([-1.0, -0.0, 2.0, np.nan])).tolist()
    [0.0, 0.0, 2.0, nan]
    """
    backend, x = array("relu", "x", x)
    return backend.kernels.relu(x)


def relu_backward(grad: Array, y: Array) -> Array:
    """Compute the gradient of `relu` from its result.

    Parameters
    ----------
    grad : array of any shape
        Gradient of the loss with respect to the result of `relu`.
    y : array of the shape of `grad`
        The result of `relu`; its input serves as well.

    Returns
    -------
    grad_x : array of the shape of `grad`
        `grad` where not ``y <= 0`` (so also where y is NaN), else zero.

    Raises
    ------
    TypeError
        If an argument is not an array of float32 or float64, or they differ in dtype.
    ValueError
        If shapes differ.
    MemoryError
        If the result exceeds the machine's memory.

    Notes
    -----
    The derivative at 0 is taken as 0 (Goodfellow, Bengio, Courville: Deep Learning, section 6.3).

    Examples
    --------
    >>> import numpy as np
    >>> from konv import ops
    >>> ops.relu_backward(np.array([5.0, 6.0, 7.0]), np.array([0.0, 2.0, np.nan])).tolist()
    [0.0, 6.0, 7.0]
    """
    backend, (grad, y) = arrays("relu_backward", {"grad": grad, "y": y})
    return backend.kernels.relu_backward(grad, y)
