"""Shares of samples that are right: one by one, and by the largest output.

The first of equal outputs counts as the largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import real
from konv.backend import NDArray
from konv.losses.arguments import equal_but_for_last_1
from konv.metrics.base import Metric


class Accuracy(Metric):
    """Share of outputs that equal their labels.

    Labels have the shape of the outputs; a last axis of 1 may be missing in either.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import Accuracy
    >>> metric = Accuracy()
    >>> metric.update_state(np.array([1, 2, 3, 4]), np.array([0, 2, 3, 4]))
    >>> metric.result()
    0.75
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return np.asarray(one_by_one(self, y_true, y_pred) == y_pred)


class BinaryAccuracy(Metric):
    """Share of outputs on the labels' side of a threshold.

    Labels, 0 or 1, have the shape of the outputs; a last axis of 1 may be missing in either.

    Parameters
    ----------
    name : str, optional
    threshold : float
        An output above it counts as 1. In [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import BinaryAccuracy
    >>> metric = BinaryAccuracy()
    >>> metric.update_state(np.array([[1], [0]]), np.array([[0.7], [0.6]]))
    >>> metric.result()
    0.5
    """

    def __init__(self, name: str | None = None, *, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = real(type(self).__name__, "threshold", threshold, 0.0, 1.0)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return np.asarray(one_by_one(self, y_true, y_pred) == (y_pred > self.threshold))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """Share of samples whose largest output is where the row of labels is largest.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import CategoricalAccuracy
    >>> metric = CategoricalAccuracy()
    >>> metric.update_state(np.array([[0, 1], [1, 0]]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    >>> metric.result()
    0.5
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return np.asarray(row_labels(self, y_true, y_pred) == y_pred.argmax(axis=-1))


class SparseCategoricalAccuracy(Metric):
    """Share of samples whose largest output is the one that the integer label names.

    Labels are `(N, ...)` or `(N, ..., 1)` for outputs `(N, ..., classes)`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import SparseCategoricalAccuracy
    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state(np.array([1, 0]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    >>> metric.result()
    0.5
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return np.asarray(integer_labels(self, y_true, y_pred) == y_pred.argmax(axis=-1))


def one_by_one(metric: Metric, y_true: NDArray, y_pred: NDArray) -> NDArray:
    """Take labels of the outputs' shape but for a last axis of 1; return them of that shape."""
    if not equal_but_for_last_1(y_true.shape, y_pred.shape):
        raise _wrong_shape(metric, y_true, y_pred.shape)
    return np.asarray(y_true.reshape(y_pred.shape))


def row_labels(metric: Metric, y_true: NDArray, y_pred: NDArray) -> NDArray:
    """Take rows of labels; return where each is largest."""
    _check_classes(metric, y_pred)
    if y_true.shape != y_pred.shape:
        raise _wrong_shape(metric, y_true, y_pred.shape)
    return np.asarray(y_true.argmax(axis=-1))


def integer_labels(metric: Metric, y_true: NDArray, y_pred: NDArray) -> NDArray:
    """Take a label for each row of outputs; return it without a last axis of 1."""
    _check_classes(metric, y_pred)
    if y_true.shape not in (y_pred.shape[:-1], (*y_pred.shape[:-1], 1)):
        raise _wrong_shape(metric, y_true, y_pred.shape[:-1])
    return np.asarray(y_true.reshape(y_pred.shape[:-1]))


def _check_classes(metric: Metric, y_pred: NDArray) -> None:
    if y_pred.ndim < 2 or y_pred.shape[-1] == 0:
        raise ValueError(
            f"{type(metric).__name__}: y_pred must have shape (N, ..., classes), received {y_pred.shape}"
        )


def _wrong_shape(metric: Metric, y_true: NDArray, expected: tuple[int, ...]) -> ValueError:
    return ValueError(f"{type(metric).__name__}: y_true must have shape {expected}, received {y_true.shape}")
