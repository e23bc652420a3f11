"""`konv.losses`: what training makes small, with Keras 3's semantics (TensorFlow backend).

A loss gives one value for each sample (for outputs `(N, ..., C)`, each of `(N, ...)`); that of a batch is
`sum(weight * value) / count`. Each file says its formulas.
"""

from __future__ import annotations

from typing import Any

from konv._arguments import instance
from konv.losses.base import Loss
from konv.losses.categorical import CategoricalCrossentropy, SparseCategoricalCrossentropy
from konv.losses.crossentropy import Crossentropy
from konv.losses.elementwise import BinaryCrossentropy, MeanSquaredError

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Crossentropy",
    "Loss",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]


def __dir__() -> list[str]:
    return __all__


_CLASSES: dict[str, type[Loss]] = {
    cls.__name__: cls
    for cls in (CategoricalCrossentropy, SparseCategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError)
}
_CLASSES |= {"bce": BinaryCrossentropy, "mse": MeanSquaredError}


def get(identifier: Any, where: str = "losses.get", name: str = "identifier") -> Loss:
    """Return the loss of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> from konv.losses import get
    >>> get("mse")
    MeanSquaredError(name='mean_squared_error')
    """
    return instance(where, name, identifier, Loss, _CLASSES)
