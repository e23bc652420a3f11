"""`konv.metrics`: means over samples of what one wants to watch, with Keras's names.

"accuracy" (or "acc") becomes one of three accuracies by the shapes of labels and outputs, as in Keras: binary
for outputs of one value, sparse categorical for integer labels, else categorical.
"""

from __future__ import annotations

from typing import Any

from konv._arguments import instance
from konv.backend import NDArray
from konv.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
)
from konv.metrics.base import Metric
from konv.metrics.of_losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from konv.metrics.top_k import SparseTopKCategoricalAccuracy, TopKCategoricalAccuracy

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "get",
]


def __dir__() -> list[str]:
    return __all__


_BY_SHAPE = ("accuracy", "acc")

_CLASSES: dict[str, type[Metric]] = {
    cls.__name__: cls
    for cls in (
        BinaryAccuracy,
        CategoricalAccuracy,
        SparseCategoricalAccuracy,
        TopKCategoricalAccuracy,
        SparseTopKCategoricalAccuracy,
        BinaryCrossentropy,
        CategoricalCrossentropy,
        SparseCategoricalCrossentropy,
        MeanSquaredError,
    )
}
_CLASSES |= {"bce": BinaryCrossentropy, "mse": MeanSquaredError, "Accuracy": Accuracy}


def get(identifier: Any, where: str = "metrics.get", name: str = "identifier") -> Metric:
    """Return the metric of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> from konv.metrics import get
    >>> get("categorical_accuracy").name
    'categorical_accuracy'
    """
    return instance(where, name, identifier, Metric, _CLASSES)


def template(identifier: Any, where: str) -> Metric | str:
    """Take a metric of `compile`: as `get`, or a name that the shapes of labels and outputs will resolve.

    A metric that is named by a str bears that name in the logs.

    Examples
    --------
    >>> template("acc", "compile"), template("mse", "compile")
    ('acc', MeanSquaredError(name='mse'))
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        return identifier
    metric = instance(where, "each of metrics", identifier, Metric, _CLASSES, ("acc",))
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def resolve(template: Metric | str, y_true: NDArray, y_pred: NDArray) -> Metric:
    """Make a metric without samples from a template, for labels and outputs like these.

    Examples
    --------
    >>> import numpy as np
    >>> resolve("accuracy", np.zeros(8), np.zeros((8, 10)))
    SparseCategoricalAccuracy(name='accuracy')
    """
    if isinstance(template, Metric):
        return template.fresh()
    if y_pred.shape[-1] == 1:
        return BinaryAccuracy(template)
    if y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1:
        return SparseCategoricalAccuracy(template)
    return CategoricalAccuracy(template)


def template_name(template: Metric | str) -> str:
    """Name of the metric that a template will make.

    Examples
    --------
    >>> template_name("acc"), template_name(MeanSquaredError())
    ('acc', 'mean_squared_error')
    """
    return template if isinstance(template, str) else template.name
