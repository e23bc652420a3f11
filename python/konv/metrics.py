"""`konv.metrics`: means over samples of what one wants to watch, with Keras's names.

"accuracy" (or "acc") becomes one of the three below by the shapes of labels and outputs, as in Keras: binary
for outputs of one value, sparse categorical for integer labels, else categorical.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from konv._arguments import call_text, instance, real, shown, snake_case, text

__all__ = [
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "Mean",
    "Metric",
    "SparseCategoricalAccuracy",
    "get",
]

NDArray = np.ndarray[Any, Any]

_BY_SHAPE = ("accuracy", "acc")


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
        self.count = 0

    def add(self, value: float, count: int) -> None:
        """Add the mean of `count` things."""
        self.total += value * count
        self.count += count

    def result(self) -> float:
        """Return the mean of all things added, 0 if there are none."""
        return self.total / self.count if self.count else 0.0


class Metric:
    """Base of metrics: the mean of `per_sample` over all samples since the last reset.

    Parameters
    ----------
    name : str, optional
        Default: the class's name in snake case.
    """

    def __init__(self, name: str | None = None) -> None:
        cls = type(self).__name__
        self.name = snake_case(cls) if name is None else text(cls, "name", name)
        self._mean = Mean()

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        """Return a number for each sample."""
        raise NotImplementedError(f"{type(self).__name__}: per_sample is not defined")

    def update_state(self, y_true: NDArray, y_pred: NDArray) -> None:
        """Take in a batch of labels and outputs."""
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        for name, array in (("y_true", y_true), ("y_pred", y_pred)):
            if array.dtype.kind not in "fiub":
                raise TypeError(
                    f"{type(self).__name__}: {name} must hold real numbers, received dtype {array.dtype}"
                )
        values = self.per_sample(y_true, y_pred)
        if values.size:
            self._mean.add(float(values.mean(dtype=np.float64)), values.size)

    def result(self) -> float:
        """Return the mean over the samples taken in, 0 if there are none."""
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


class BinaryAccuracy(Metric):
    """Share of outputs on the labels' side of a threshold.

    Parameters
    ----------
    name : str, optional
    threshold : float
        An output above it counts as 1. In [0, 1].

    Examples
    --------
    >>> metric = BinaryAccuracy()
    >>> metric.update_state(np.array([[1], [0]]), np.array([[0.7], [0.6]]))
    >>> metric.result()
    0.5
    """

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = real(type(self).__name__, "threshold", threshold, 0.0, 1.0)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        if y_true.shape != y_pred.shape and y_true.shape == y_pred.shape[:-1]:
            y_true = y_true[..., np.newaxis]
        _check_shape(self, y_true, y_pred.shape)
        return np.asarray(y_true == (y_pred > self.threshold))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class CategoricalAccuracy(Metric):
    """Share of samples whose largest output is where the row of labels is largest.

    Examples
    --------
    >>> metric = CategoricalAccuracy()
    >>> metric.update_state(np.array([[0, 1], [1, 0]]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    >>> metric.result()
    0.5
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        _check_shape(self, y_true, y_pred.shape)
        return np.asarray(y_true.argmax(axis=-1) == y_pred.argmax(axis=-1))


class SparseCategoricalAccuracy(Metric):
    """Share of samples whose largest output is the one that the integer label names.

    Examples
    --------
    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state(np.array([1, 0]), np.array([[0.2, 0.8], [0.4, 0.6]]))
    >>> metric.result()
    0.5
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
            y_true = y_true[..., 0]
        _check_shape(self, y_true, y_pred.shape[:-1])
        return np.asarray(y_true == y_pred.argmax(axis=-1))


def _check_shape(metric: Metric, y_true: NDArray, expected: tuple[int, ...]) -> None:
    if y_true.shape != expected or not expected:
        raise ValueError(
            f"{type(metric).__name__}: y_true must have shape {expected}, received {y_true.shape}"
        )


_CLASSES: dict[str, type[Metric]] = {
    cls.__name__: cls for cls in (BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy)
}


def get(identifier: Any, where: str = "metrics.get", name: str = "identifier") -> Metric:
    """Return the metric of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> get("categorical_accuracy").name
    'categorical_accuracy'
    """
    return instance(where, name, identifier, Metric, _CLASSES)


def template(identifier: Any, where: str) -> Metric | str:
    """Take a metric of `compile`: as `get`, or a name that the shapes of labels and outputs will resolve."""
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        return identifier
    return instance(where, "each of metrics", identifier, Metric, _CLASSES, _BY_SHAPE)


def resolve(template: Metric | str, y_true: NDArray, y_pred: NDArray) -> Metric:
    """Make a metric without samples from a template, for labels and outputs like these."""
    if isinstance(template, Metric):
        return template.fresh()
    if y_pred.shape[-1] == 1:
        return BinaryAccuracy(template)
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return SparseCategoricalAccuracy(template)
    return CategoricalAccuracy(template)


def template_name(template: Metric | str) -> str:
    """Name of the metric that a template will make."""
    return template if isinstance(template, str) else template.name


def check_names(templates: list[Metric | str], where: str) -> None:
    """Raise if two metrics, or a metric and the loss, would share a name in the logs."""
    names = [template_name(template) for template in templates]
    if len({"loss", *names}) != len(names) + 1:
        raise ValueError(
            f'{where}: metrics must have names of their own, other than "loss", received {shown(names)}'
        )
