"""Initializers that draw numbers from a distribution which their arguments say."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv import _distributions, _random
from konv._arguments import at_least, shown
from konv.backend import NDArray
from konv.initializers.base import LARGEST, Initializer, number, sizes_of


class RandomInitializer(Initializer):
    """Base of initializers that draw numbers. A subclass defines `_draw`.

    Parameters
    ----------
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> draw = RandomNormal(seed=7)
    >>> np.array_equal(draw((3,)), draw((3,)))
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else at_least(0, type(self).__name__, "seed", seed)

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        shape = sizes_of(self, shape)
        if self.seed is not None:
            key = self.seed
        elif key is None:
            key = _random.new_seed()
        elif not isinstance(key, (int, np.integer)) or not 0 <= key < 2**64:
            where, kind = type(self).__name__, ValueError if isinstance(key, (int, np.integer)) else TypeError
            raise kind(f"{where}: key must be an int from 0 to 2**64 - 1, received {shown(key)}")
        return self._draw(shape, key)

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        raise NotImplementedError(f"{type(self).__name__}: _draw is not defined")


class RandomUniform(RandomInitializer):
    """Uniform in [minval, maxval).

    Parameters
    ----------
    minval, maxval : float
        In the range of float32, `minval` at most `maxval`.
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> from konv.initializers import RandomUniform
    >>> bool(RandomUniform(2.0, 3.0, seed=1)((100,)).min() >= 2.0)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = number(self, "minval", minval)
        self.maxval = number(self, "maxval", maxval)
        if not 0.0 <= self.maxval - self.minval <= LARGEST:
            raise ValueError(
                f"{type(self).__name__}: minval must be at most maxval, their difference in the range of "
                f"float32, received minval={self.minval} and maxval={self.maxval}"
            )

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        return _distributions.uniform(key, shape, self.minval, self.maxval)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normally distributed.

    Parameters
    ----------
    mean, stddev : float
        In the range of float32, `stddev` at least 0.
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> from konv.initializers import RandomNormal
    >>> bool(abs(RandomNormal(stddev=0.1, seed=1)((1000,)).std() - 0.1) < 0.01)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = number(self, "mean", mean)
        self.stddev = number(self, "stddev", stddev, low=0.0)

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        return _distributions.normal(key, shape, self.mean, self.stddev)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normally distributed, but never more than two standard deviations from the mean.

    `stddev` is that of the distribution before it is cut off; what is left has 0.8796 of it.

    Parameters
    ----------
    mean, stddev : float
        In the range of float32, `stddev` at least 0.
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> from konv.initializers import TruncatedNormal
    >>> bool(abs(TruncatedNormal(stddev=0.1, seed=1)((1000,))).max() <= 0.2)
    True
    """

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        return _distributions.truncated_normal(key, shape, self.mean, self.stddev)
