"""Losses as metrics: their mean over all samples, without regularizers."""

from __future__ import annotations

from typing import Any

from konv import losses
from konv.backend import NDArray
from konv.metrics.base import Metric


class LossMetric(Metric):
    """The mean of a loss.

    Parameters
    ----------
    loss : Loss
        Its name is the metric's, and its arguments are too.
    """

    def __init__(self, loss: losses.Loss) -> None:
        super().__init__(loss.name)
        self._loss = loss

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        return self._loss.per_sample(y_true, y_pred)[0]

    def get_config(self) -> dict[str, Any]:
        return {**self._loss.get_config(), **super().get_config()}


class MeanSquaredError(LossMetric):
    """`konv.losses.MeanSquaredError` as a metric.

    Parameters
    ----------
    name : str, optional

    Examples
    --------
    >>> from konv.metrics import MeanSquaredError
    >>> import numpy as np
    >>> metric = MeanSquaredError()
    >>> metric.update_state(np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]]))
    >>> metric.result()
    0.5
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.MeanSquaredError(name=name))


class BinaryCrossentropy(LossMetric):
    """`konv.losses.BinaryCrossentropy` as a metric.

    Parameters
    ----------
    name : str, optional
    from_logits : bool
    label_smoothing : float
        In [0, 1].

    Examples
    --------
    >>> from konv.metrics import BinaryCrossentropy
    >>> import numpy as np
    >>> metric = BinaryCrossentropy()
    >>> metric.update_state(np.array([[0, 1], [0, 0]]), np.array([[0.6, 0.4], [0.4, 0.6]]))
    >>> round(metric.result(), 4)
    0.8149
    """

    def __init__(
        self, name: str | None = None, *, from_logits: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing, name=name))


class CategoricalCrossentropy(LossMetric):
    """`konv.losses.CategoricalCrossentropy` as a metric.

    Parameters
    ----------
    name : str, optional
    from_logits : bool
    label_smoothing : float
        In [0, 1].

    Examples
    --------
    >>> from konv.metrics import CategoricalCrossentropy
    >>> import numpy as np
    >>> metric = CategoricalCrossentropy()
    >>> metric.update_state(np.array([[0, 1, 0], [0, 0, 1]]), np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]]))
    >>> round(metric.result(), 4)
    1.1769
    """

    def __init__(
        self, name: str | None = None, *, from_logits: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, name=name))


class SparseCategoricalCrossentropy(LossMetric):
    """`konv.losses.SparseCategoricalCrossentropy` as a metric.

    Parameters
    ----------
    name : str, optional
    from_logits : bool

    Examples
    --------
    >>> from konv.metrics import SparseCategoricalCrossentropy
    >>> import numpy as np
    >>> metric = SparseCategoricalCrossentropy()
    >>> metric.update_state(np.array([1, 2]), np.array([[0.05, 0.95, 0], [0.1, 0.8, 0.1]]))
    >>> round(metric.result(), 4)
    1.1769
    """

    def __init__(self, name: str | None = None, *, from_logits: bool = False) -> None:
        super().__init__(losses.SparseCategoricalCrossentropy(from_logits, name=name))
