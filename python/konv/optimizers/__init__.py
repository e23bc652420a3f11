"""`konv.optimizers`: how gradients change weights, with Keras 3's formulas and defaults.

An optimizer keeps some arrays for each variable (its slots, zeros at first) and the number of steps made.
Everything is elementwise, in the variable's dtype, in one pass over each variable.
"""

from __future__ import annotations

from typing import Any

from konv._arguments import instance
from konv.optimizers import schedules
from konv.optimizers.adam import Adam, AdamW
from konv.optimizers.base import Optimizer
from konv.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "get", "schedules"]


def __dir__() -> list[str]:
    return __all__


_CLASSES: dict[str, type[Optimizer]] = {cls.__name__: cls for cls in (SGD, Adam, AdamW)}


def get(identifier: Any, where: str = "optimizers.get", name: str = "identifier") -> Optimizer:
    """Return the optimizer of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> from konv.optimizers import get
    >>> get("adam").learning_rate
    0.001
    """
    return instance(where, name, identifier, Optimizer, _CLASSES)
