"""Shares of samples whose label is among the k largest outputs, as `tf.math.in_top_k` counts them.

A label is among them if fewer than k outputs are larger than its own: outputs that tie for the k-th place are
all in. A row with an output that is not finite, and a label that is no class, count as not in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import at_least
from konv.backend import NDArray
from konv.metrics.accuracy import integer_labels, row_labels
from konv.metrics.base import Metric


class TopKCategoricalAccuracy(Metric):
    """Share of samples where the class whose label is largest is among the k largest outputs.

    Labels are rows of the outputs' shape `(N, ..., classes)`.

    Parameters
    ----------
    k : int
        At least 1; it may exceed the number of classes.
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import TopKCategoricalAccuracy
    >>> metric = TopKCategoricalAccuracy(k=2)
    >>> metric.update_state(np.array([[0, 0, 1], [1, 0, 0]]), np.array([[0.1, 0.7, 0.2], [0.1, 0.5, 0.4]]))
    >>> metric.result()
    0.5
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = at_least(1, type(self).__name__, "k", k)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return _in_top_k(row_labels(self, y_true, y_pred), y_pred, self.k)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


class SparseTopKCategoricalAccuracy(Metric):
    """Share of samples where the class that the integer label names is among the k largest outputs.

    Labels are `(N, ...)` or `(N, ..., 1)` for outputs `(N, ..., classes)`.

    Parameters
    ----------
    k : int
        At least 1; it may exceed the number of classes.
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import SparseTopKCategoricalAccuracy
    >>> metric = SparseTopKCategoricalAccuracy(k=2)
    >>> metric.update_state(np.array([2, 0]), np.array([[0.1, 0.7, 0.2], [0.1, 0.5, 0.4]]))
    >>> metric.result()
    0.5
    """

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = at_least(1, type(self).__name__, "k", k)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return _in_top_k(integer_labels(self, y_true, y_pred), y_pred, self.k)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


def _in_top_k(y_true: NDArray, y_pred: NDArray, k: int) -> NDArray:
    classes = y_pred.shape[-1]
    labels = np.where((y_true >= 0) & (y_true < classes), y_true, 0).astype(np.int64)
    known = (labels == y_true) & np.isfinite(y_pred).all(axis=-1)
    own = np.take_along_axis(y_pred, labels[..., np.newaxis], axis=-1)
    return np.asarray(known & ((y_pred > own).sum(axis=-1) < k))
