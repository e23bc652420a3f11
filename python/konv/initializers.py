"""`konv.initializers`: what weights start from, with Keras's names, arguments and distributions.

An initializer is called with a shape and a key of `konv._random` and returns a float32 array, the same for
the same key.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from konv import _distributions, _random
from konv._arguments import at_least, call_text, instance, real, require_memory, shape_of, shown, text

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
]

NDArray = np.ndarray[Any, Any]

_LARGEST = float(np.finfo(np.float32).max)


class Initializer:
    """Base of initializers. A subclass defines `__call__` and, if it has arguments, `get_config`.

    Examples
    --------
    >>> class Rising(Initializer):
    ...     def __call__(self, shape, key=None):
    ...         return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
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


class Constant(Initializer):
    """One number everywhere.

    Parameters
    ----------
    value : float
        In the range of float32.

    Examples
    --------
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = _number(self, "value", value)

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.full(_sizes(self, shape), self.value, np.float32)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Zeros(Initializer):
    """Zeros.

    Examples
    --------
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.zeros(_sizes(self, shape), np.float32)


class Ones(Initializer):
    """Ones.

    Examples
    --------
    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        return np.ones(_sizes(self, shape), np.float32)


class _Random(Initializer):
    """Base of initializers that draw numbers. A subclass defines `_draw`.

    Parameters
    ----------
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else at_least(0, type(self).__name__, "seed", seed)

    def __call__(self, shape: tuple[int, ...], key: int | None = None) -> NDArray:
        shape = _sizes(self, shape)
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


class RandomUniform(_Random):
    """Uniform in [minval, maxval).

    Parameters
    ----------
    minval, maxval : float
        In the range of float32, `minval` at most `maxval`.
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> bool(RandomUniform(2.0, 3.0, seed=1)((100,)).min() >= 2.0)
    True
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval = _number(self, "minval", minval)
        self.maxval = _number(self, "maxval", maxval)
        if not 0.0 <= self.maxval - self.minval <= _LARGEST:
            raise ValueError(
                f"{type(self).__name__}: minval must be at most maxval, their difference in the range of "
                f"float32, received minval={self.minval} and maxval={self.maxval}"
            )

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        return _distributions.uniform(key, shape, self.minval, self.maxval)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class RandomNormal(_Random):
    """Normally distributed.

    Parameters
    ----------
    mean, stddev : float
        In the range of float32, `stddev` at least 0.
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> bool(abs(RandomNormal(stddev=0.1, seed=1)((1000,)).std() - 0.1) < 0.01)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = _number(self, "mean", mean)
        self.stddev = _number(self, "stddev", stddev, low=0.0)

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
    >>> bool(abs(TruncatedNormal(stddev=0.1, seed=1)((1000,))).max() <= 0.2)
    True
    """

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        return _distributions.truncated_normal(key, shape, self.mean, self.stddev)


class VarianceScaling(_Random):
    """Random numbers whose variance is `scale / fan`.

    For a kernel `(..., in, out)` the fans are `in` and `out` times the sizes before them.

    Parameters
    ----------
    scale : float
        More than 0.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Which fan: inputs of one weight's sum, outputs that one input goes to, or their mean.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        The truncated one is cut off at two standard deviations and then has the variance; the uniform one
        lies in [-limit, limit) with `limit = sqrt(3 * scale / fan)`.
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> weights = VarianceScaling(2.0, "fan_out", "uniform", seed=1)((3, 3, 8, 16))
    >>> bool(abs(weights).max() <= (6 / 144) ** 0.5)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self.scale = _number(self, "scale", scale, low=0.0)
        if self.scale == 0.0:
            raise ValueError(f"{type(self).__name__}: scale must be more than 0, received {shown(scale)}")
        self.mode = _one_of(self, "mode", mode, _FANS)
        self.distribution = _one_of(self, "distribution", distribution, _DISTRIBUTIONS)

    def _draw(self, shape: tuple[int, ...], key: int) -> NDArray:
        variance = self.scale / _FANS[self.mode](*_fans(shape))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return _distributions.uniform(key, shape, -limit, limit)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return _distributions.normal(key, shape, 0.0, stddev)
        return _distributions.truncated_normal(key, shape, 0.0, stddev / _distributions.TRUNCATED_STDDEV)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "seed": self.seed,
        }


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` that goes by a name; only the seed is chosen."""

    _arguments: tuple[float, str, str]  # scale, mode, distribution

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self._arguments, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_NamedScaling):
    """Uniform in [-limit, limit) with limit = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    For a kernel `(..., in, out)` the fans are `in` and `out` times the sizes before them.

    Parameters
    ----------
    seed : int, optional
        0 to 2^63 - 1. With a seed every call with one shape gives the same numbers.

    Examples
    --------
    >>> bool(abs(GlorotUniform(seed=1)((3, 3, 1, 32))).max() <= (6 / 297) ** 0.5)
    True
    """

    _arguments = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)); arguments as `GlorotUniform`'s.

    Examples
    --------
    >>> bool(abs(GlorotNormal(seed=1)((200, 200)).std() - 200**-0.5) < 0.001)
    True
    """

    _arguments = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform in [-limit, limit) with limit = sqrt(6 / fan_in) (He et al., arXiv:1502.01852); arguments as
    `GlorotUniform`'s.

    Examples
    --------
    >>> bool(abs(HeUniform(seed=1)((100, 10))).max() <= (6 / 100) ** 0.5)
    True
    """

    _arguments = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al., arXiv:1502.01852); arguments as
    `GlorotUniform`'s.

    Examples
    --------
    >>> bool(abs(HeNormal(seed=1)((200, 200)).std() - 0.1) < 0.001)
    True
    """

    _arguments = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform in [-limit, limit) with limit = sqrt(3 / fan_in); arguments as `GlorotUniform`'s.

    Examples
    --------
    >>> bool(abs(LecunUniform(seed=1)((100, 10))).max() <= (3 / 100) ** 0.5)
    True
    """

    _arguments = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al.: Efficient BackProp, 1998);
    arguments as `GlorotUniform`'s.

    Examples
    --------
    >>> bool(abs(LecunNormal(seed=1)((200, 200)).std() - 200**-0.5) < 0.001)
    True
    """

    _arguments = (1.0, "fan_in", "truncated_normal")


_FANS = {
    "fan_in": lambda fan_in, fan_out: fan_in,
    "fan_out": lambda fan_in, fan_out: fan_out,
    "fan_avg": lambda fan_in, fan_out: (fan_in + fan_out) / 2.0,
}
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of one weight, as Keras counts them."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


def _number(initializer: Initializer, name: str, value: Any, low: float = -_LARGEST) -> float:
    return real(type(initializer).__name__, name, value, low, _LARGEST)


def _one_of(initializer: Initializer, name: str, value: Any, known: Any) -> str:
    where = type(initializer).__name__
    if text(where, name, value) not in known:
        names = ", ".join(f'"{each}"' for each in known)
        raise ValueError(f"{where}: {name} must be one of {names}, received {shown(value)}")
    return str(value)


def _sizes(initializer: Initializer, shape: Any) -> tuple[int, ...]:
    where = type(initializer).__name__
    sizes = shape_of(where, "shape", shape)
    if None in sizes:
        raise ValueError(f"{where}: every size of shape must be known, received {shown(shape)}")
    known = tuple(size for size in sizes if size is not None)
    require_memory(f"{where}: the result", known, np.dtype(np.float32))
    return known


_CLASSES: dict[str, type[Initializer]] = {
    cls.__name__: cls
    for cls in (
        Constant,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Ones,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        Zeros,
    )
}
_KERAS_1_NAMES: dict[str, type[Initializer]] = {"normal": RandomNormal, "uniform": RandomUniform}


def get(identifier: Any, where: str = "initializers.get", name: str = "identifier") -> Initializer:
    """Return the initializer of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    "normal" and "uniform" are short for "random_normal" and "random_uniform".

    Examples
    --------
    >>> get("glorot_uniform").get_config()
    {'seed': None}
    """
    return instance(where, name, identifier, Initializer, {**_CLASSES, **_KERAS_1_NAMES})
