"""`konv.regularizers`: penalties on weights that training adds to the loss, with Keras's names.

The penalty is added to the loss as it stands, whatever the size of the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._argument_names import KnowingArguments
from konv._arguments import call_text, class_and_config, instance, real
from konv.backend import Array
from konv.ops.arguments import array

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]


def __dir__() -> list[str]:
    return __all__


class Regularizer(KnowingArguments):
    """Base of regularizers. A subclass defines both methods and, if it has arguments, `get_config`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.regularizers import Regularizer
    >>> class LargestWeight(Regularizer):
    ...     def __call__(self, value):
    ...         return float(abs(value).max())
    ...     def gradient(self, value):
    ...         return np.sign(value) * (abs(value) == abs(value).max())
    >>> LargestWeight()(np.array([2.0, -3.0]))
    3.0
    """

    def __call__(self, value: Array) -> float:
        """Return the penalty of a weight."""
        raise NotImplementedError(f"{type(self).__name__}: __call__ is not defined")

    def gradient(self, value: Array) -> Array:
        """Return the gradient of the penalty, an array like the weight."""
        raise NotImplementedError(f"{type(self).__name__}: gradient is not defined")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {}

    def __repr__(self) -> str:
        return call_text(self)


class L1L2(Regularizer):
    """`l1 * sum(|w|) + l2 * sum(w * w)`.

    Parameters
    ----------
    l1, l2 : float
        At least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.regularizers import L1L2
    >>> L1L2(l1=0.5, l2=0.25)(np.array([2.0, -1.0]))
    2.75
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        where = type(self).__name__
        self.l1 = real(where, "l1", l1, 0.0)
        self.l2 = real(where, "l2", l2, 0.0)

    def __call__(self, value: Array) -> float:
        value = self._taken(value)
        with np.errstate(all="ignore"):
            penalty = self.l1 * float(abs(value).sum(dtype=np.float64)) if self.l1 else 0.0
            return penalty + (self.l2 * float((value * value).sum(dtype=np.float64)) if self.l2 else 0.0)

    def gradient(self, value: Array) -> Array:
        value = self._taken(value)
        with np.errstate(all="ignore"):
            gradient = (2.0 * self.l2) * value
            if self.l1:
                gradient += self.l1 * np.sign(value)
        return gradient

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}

    def _taken(self, value: Array) -> Array:
        return array(type(self).__name__, "value", value)[1]


class L1(L1L2):
    """`l1 * sum(|w|)`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.regularizers import L1
    >>> L1(0.5)(np.array([2.0, -1.0]))
    1.5
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """`l2 * sum(w * w)`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.regularizers import L2
    >>> L2(0.5)(np.array([2.0, -1.0]))
    2.5
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


# Keras's other names of the same classes.
l1 = L1
l1_l2 = L1L2
l2 = L2

_CLASSES: dict[str, type[Regularizer]] = {"L1": L1, "L2": L2, "L1L2": L1L2, "l1_l2": L1L2}


def get(identifier: Any, where: str = "regularizers.get", name: str = "identifier") -> Regularizer | None:
    """Return the regularizer of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    None stays None: no penalty.

    Examples
    --------
    >>> from konv.regularizers import get
    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    if identifier is None:
        return None
    return instance(where, name, identifier, Regularizer, _CLASSES)


def described(regularizer: Regularizer | None) -> dict[str, Any] | None:
    """Describe a regularizer for a config, so that `get` finds it again; None stays None."""
    return None if regularizer is None else class_and_config(regularizer)
