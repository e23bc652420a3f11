"""The base of initializers, and what all ask of their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._argument_names import KnowingArguments
from konv._arguments import call_text, real, require_memory, shape_of, shown
from konv.backend import NDArray

LARGEST = float(np.finfo(np.float32).max)


class Initializer(KnowingArguments):
    """Base of initializers. A subclass defines `__call__` and, if it has arguments, `get_config`.

    Examples
    --------
    >>> import numpy as np
    >>> from konv.initializers import Initializer
    >>> class Rising(Initializer):
    ...     def __call__(self, shape, key=None):
    ...         return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    >>> Rising()((2, 2)).tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        """Return an array of `shape`; numbers are drawn from `key`, by default from a new seed of the
        process."""
        raise NotImplementedError(f"{type(self).__name__}: __call__ is not defined")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {}

    def __repr__(self) -> str:
        return call_text(self)


def number(initializer: Initializer, name: str, value: Any, low: float = -LARGEST) -> float:
    """Take a number in the range of float32."""
    return real(type(initializer).__name__, name, value, low, LARGEST)


def sizes_of(initializer: Initializer, shape: Any) -> tuple[int, ...]:
    """Take a shape whose sizes are known, of an array that memory can hold."""
    where = type(initializer).__name__
    sizes = shape_of(where, "shape", shape)
    if None in sizes:
        raise ValueError(f"{where}: every size of shape must be known, received {shown(shape)}")
    known = tuple(size for size in sizes if size is not None)
    require_memory(f"{where}: the result", known, np.dtype(np.float32))
    return known
