"""`konv.initializers`: what weights start from.

An initializer is called with a shape and a key of `konv._random` and returns a float32 array, the same for
the same key.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from konv import _random
from konv._arguments import at_least, call_text, instance, require_memory, shape_of, shown

__all__ = ["GlorotUniform", "Initializer", "Zeros", "get"]

NDArray = np.ndarray[Any, Any]


class Initializer:
    """Base of initializers. A subclass defines `__call__` and, if it has arguments, `get_config`."""

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        """Return an array of `shape`; numbers are drawn from `key`, by default from a new seed of the
        process."""
        raise NotImplementedError(f"{type(self).__name__}: __call__ is not defined")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {}

    def __repr__(self) -> str:
        return call_text(self)


class Zeros(Initializer):
    """Zeros.

    Examples
    --------
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.zeros(_sizes("Zeros", shape), np.float32)


class GlorotUniform(Initializer):
    """Uniform in [-limit, limit) with limit = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    For a kernel `(..., in, out)` the fans are `in` and `out` times the sizes before them.

    Parameters
    ----------
    seed : int, optional
        0 to 2^64 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> bool(abs(GlorotUniform(seed=1)((3, 3, 1, 32))).max() <= (6 / 297) ** 0.5)
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else at_least(0, "GlorotUniform", "seed", seed)

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        shape = _sizes("GlorotUniform", shape)
        if self.seed is not None:
            key = self.seed
        elif key is None:
            key = _random.new_seed()
        numbers = _random.uniform(key, shape)
        limit = math.sqrt(6.0 / sum(_fans(shape)))
        numbers *= np.float32(2.0 * limit)
        numbers -= np.float32(limit)
        return numbers

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of one weight, as Keras counts them."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _sizes(where: str, shape: Any) -> tuple[int, ...]:
    sizes = shape_of(where, "shape", shape)
    if None in sizes:
        raise ValueError(f"{where}: every size of shape must be known, received {shown(shape)}")
    known = tuple(size for size in sizes if size is not None)
    require_memory(f"{where}: the result", known, np.dtype(np.float32))
    return known


_CLASSES: dict[str, type[Initializer]] = {cls.__name__: cls for cls in (GlorotUniform, Zeros)}


def get(identifier: Any, where: str = "initializers.get", name: str = "identifier") -> Initializer:
    """Return the initializer of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> get("glorot_uniform").get_config()
    {'seed': None}
    """
    return instance(where, name, identifier, Initializer, _CLASSES)
