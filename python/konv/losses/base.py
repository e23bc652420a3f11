"""The base of losses, and how values, weights and gradients go together.

The loss of a batch is `sum(weight * value) / count` over its values, added in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from konv._argument_names import KnowingArguments
from konv._arguments import call_text, snake_case, text
from konv.backend import NDArray
from konv.losses.arguments import as_array

Gradient = Callable[[Any], NDArray]
"""`scale -> the gradient of sum(scale * values)`; scale is a float or an array of the shape of the values."""


class Loss(KnowingArguments):
    """Base of losses: a value for each sample, and its gradient.

    A loss of one's own defines `per_sample` and, if it has arguments, `get_config`.

    Parameters
    ----------
    name : str, optional
        Default: the class's name in snake case.

    Attributes
    ----------
    fuses_with : str or None
        "softmax" or "sigmoid" if the loss of a model that ends in it is to be computed from what goes into
        that activation, by the loss that `on_logits` gives.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.losses import Loss
    >>> class MeanAbsoluteError(Loss):
    ...     def per_sample(self, y_true, y_pred):
    ...         difference = y_pred - y_true
    ...
    ...         def gradient(scale):
    ...             scale = np.asarray(scale, y_pred.dtype)[..., np.newaxis]
    ...             return np.sign(difference) * (scale / y_pred.shape[-1])
    ...
    ...         return abs(difference).mean(axis=-1), gradient
    >>> loss = MeanAbsoluteError()
    >>> loss(np.array([[1.0, 2.0]]), np.array([[1.5, 3.0]]))
    0.75
    >>> values, gradient = loss.per_sample(np.array([[1.0, 2.0]]), np.array([[1.5, 3.0]]))
    >>> gradient(1.0).tolist()
    [[0.5, 0.5]]
    """

    fuses_with: ClassVar[str | None] = None

    def __init__(self, *, name: str | None = None) -> None:
        cls = type(self).__name__
        self.name = snake_case(cls) if name is None else text(cls, "name", name)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Gradient]:
        """Return the values and what gives their gradient.

        Parameters
        ----------
        y_true : array
            Labels.
        y_pred : array
            Outputs of a model `(N, ...)`, float32 or float64. They must not be changed before the gradient is
            taken.

        Returns
        -------
        values : array
            The loss of each sample, `(N, ...)`, in the dtype of `y_pred`.
        gradient : callable
            `gradient(scale)` is the gradient of `sum(scale * values)` to `y_pred`, an array like it; `scale`
            is a float or an array of the shape of `values`.
        """
        raise NotImplementedError(f"{type(self).__name__}: per_sample is not defined")

    def check_labels(self, labels: str, y_true: NDArray, y_pred: tuple[int, ...]) -> None:
        """Raise ValueError, which calls them `labels`, if labels don't go with outputs of a shape.

        They are real numbers. The base class takes any.
        """

    def on_logits(self) -> Loss:
        """Return this loss for what goes into the activation `fuses_with`."""
        raise NotImplementedError(f"{type(self).__name__}: on_logits is not defined")

    def __call__(self, y_true: NDArray, y_pred: NDArray, sample_weight: Any = None) -> float:
        """Return `sum(weight * value) / count` over the values.

        Parameters
        ----------
        y_true : array
            Labels.
        y_pred : array
            Outputs of a model, float32 or float64.
        sample_weight : array, optional
            A weight for each sample, `(N,)`, or for each value; a number stands for all.
        """
        y_true, y_pred = as_array(self.name, "y_true", y_true), as_array(self.name, "y_pred", y_pred)
        with np.errstate(all="ignore"):
            values, _ = self.per_sample(y_true, y_pred)
            if sample_weight is None:
                return mean(values)
            weights = broadcast_weights(self.name, sample_weight, values.shape)
            return mean(np.multiply(weights, values, dtype=np.float64))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return call_text(self)


def mean(values: NDArray) -> float:
    """Mean of the losses of samples, summed in float64; 0 if there are none.

    Examples
    --------
    >>> mean(np.array([1.0, 2.0], np.float32)), mean(np.zeros(0))
    (1.5, 0.0)
    """
    values = as_array("mean", "values", values)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"mean: values must hold real numbers, received dtype {values.dtype}")
    return float(values.mean(dtype=np.float64)) if values.size else 0.0


def broadcast_weights(where: str, sample_weight: Any, shape: tuple[int, ...]) -> NDArray:
    """Return weights of samples as a read-only array of the shape of their values.

    The weights' axes are the first ones of the values; missing ones and those of length 1 are repeated.

    Raises
    ------
    TypeError
        If the weights are not real numbers.
    ValueError
        If their shape doesn't go with that of the values.

    Examples
    --------
    >>> broadcast_weights("fit: sample_weight", np.array([1.0, 2.0]), (2, 3)).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    weights = as_array(where, "sample_weight", sample_weight)
    if weights.dtype.kind not in "fiub":
        raise TypeError(f"{where}: sample_weight must hold real numbers, received dtype {weights.dtype}")
    own = weights.shape
    while len(own) > len(shape) and own[-1] == 1:
        own = own[:-1]
    own += (1,) * (len(shape) - len(own))
    if len(own) != len(shape) or any(one not in (1, size) for one, size in zip(own, shape, strict=True)):
        expected = " or ".join(map(str, dict.fromkeys((shape[:1], shape))))
        raise ValueError(f"{where}: sample_weight must have shape {expected}, received {weights.shape}")
    return np.broadcast_to(weights.reshape(own), shape)


def over_rows(
    formula: Callable[[NDArray, NDArray], tuple[NDArray, Gradient]], y_true: NDArray, y_pred: NDArray
) -> tuple[NDArray, Gradient]:
    """Apply a formula of rows to outputs of any rank.

    Parameters
    ----------
    formula : callable
        `(y_true, rows) -> (values, gradient)` for contiguous, aligned outputs `(rows, last axis of y_pred)`;
        values are `(rows,)`, and the scale that the gradient is given is `(rows, 1)` or `(1, 1)`.
    y_true : array
        As the formula takes them.
    y_pred : array
        `(N, ..., C)`, or `(N,)` for `(N, 1)`.
    """
    shape = y_pred.shape if y_pred.ndim > 1 else (len(y_pred), 1)
    rows = np.require(y_pred, requirements=["C", "A"]).reshape(-1, shape[-1])
    with np.errstate(all="ignore"):
        values, of_rows = formula(y_true, rows)

    def gradient(scale: Any) -> NDArray:
        with np.errstate(all="ignore"):
            grad = of_rows(np.asarray(scale, dtype=rows.dtype).reshape(-1, 1))
        return np.asarray(grad.reshape(y_pred.shape))

    return values.reshape(shape[:-1]), gradient
