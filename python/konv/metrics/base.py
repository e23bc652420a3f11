"""The base of metrics, and running means."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from konv._argument_names import KnowingArguments
from konv._arguments import call_text, snake_case, text
from konv.backend import NDArray
from konv.losses.arguments import as_array
from konv.losses.base import broadcast_weights


class Mean:
    """A running mean: a sum in float64 over a count.

    Examples
    --------
    >>> loss = Mean()
    >>> loss.add(2.0, 3)
    >>> loss.add(6.0, 1)
    >>> loss.result()
    3.0
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0.0

    def add(self, value: float, count: float) -> None:
        """Add the mean of `count` things."""
        if count:
            self.add_sum(value * count, count)

    def add_sum(self, total: float, count: float) -> None:
        """Add the sum of `count` things, or a sum of weighted things and that of their weights."""
        self.total += total
        self.count += count

    def result(self) -> float:
        """Return the mean of all things added, 0 if there are none."""
        return self.total / self.count if self.count else 0.0


class Metric(KnowingArguments):
    """Base of metrics: the mean of `per_sample` over all samples since the last reset.

    A metric of one's own defines `per_sample` and, if it has arguments, `get_config`.

    Parameters
    ----------
    name : str, optional
        Default: the class's name in snake case.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.metrics import Metric
    >>> class LargestError(Metric):
    ...     def per_sample(self, y_true, y_pred):
    ...         return abs(y_true - y_pred).max(axis=-1)
    >>> metric = LargestError()
    >>> metric.update_state(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.5, 1.0], [2.0, 2.0]]))
    >>> metric.name, metric.result()
    ('largest_error', 0.75)
    """

    def __init__(self, name: str | None = None) -> None:
        cls = type(self).__name__
        self.name = snake_case(cls) if name is None else text(cls, "name", name)
        self._mean = Mean()

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        """Return a number for each sample, `(N, ...)`."""
        raise NotImplementedError(f"{type(self).__name__}: per_sample is not defined")

    def update_state(self, y_true: NDArray, y_pred: NDArray, sample_weight: Any = None) -> None:
        """Take in a batch.

        Parameters
        ----------
        y_true, y_pred : array
            Labels and outputs, of real numbers.
        sample_weight : array, optional
            A weight for each sample, `(N,)`, or for each number that `per_sample` gives.
        """
        where = type(self).__name__
        y_true, y_pred = as_array(where, "y_true", y_true), as_array(where, "y_pred", y_pred)
        for name, array in (("y_true", y_true), ("y_pred", y_pred)):
            if array.dtype.kind not in "fiub":
                raise TypeError(f"{where}: {name} must hold real numbers, received dtype {array.dtype}")
        with np.errstate(all="ignore"):
            values = np.atleast_1d(self.per_sample(y_true, y_pred))
            if not values.size:
                return
            each = values.size // len(values)  # values of one sample: samples weigh alike whatever their size
            if sample_weight is None:
                self._mean.add_sum(float(values.sum(dtype=np.float64)) / each, len(values))
                return
            weights = broadcast_weights(where, sample_weight, values.shape)
            total = float(np.multiply(weights, values, dtype=np.float64).sum())
            self._mean.add_sum(total / each, float(weights.sum(dtype=np.float64)) / each)

    def result(self) -> float:
        """Return `sum(weight * value) / sum(weight)` over the samples taken in, 0 if there are none."""
        return self._mean.result()

    def reset_state(self) -> None:
        """Forget all samples."""
        self._mean = Mean()

    def fresh(self) -> Metric:
        """Return a copy without samples."""
        twin = copy.copy(self)
        twin.reset_state()
        return twin

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {"name": self.name}

    def __repr__(self) -> str:
        return call_text(self)
