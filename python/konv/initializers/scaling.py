"""Initializers that draw numbers whose variance goes by the shape: `VarianceScaling` and its named cases."""

from __future__ import annotations

import math
from typing import Any

from konv import _distributions
from konv._arguments import shown, text
from konv.backend import NDArray
from konv.initializers.base import Initializer, number
from konv.initializers.random import RandomInitializer


class VarianceScaling(RandomInitializer):
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
    >>> from konv.initializers import VarianceScaling
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
        self.scale = number(self, "scale", scale, low=0.0)
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
    >>> from konv.initializers import GlorotUniform
    >>> bool(abs(GlorotUniform(seed=1)((3, 3, 1, 32))).max() <= (6 / 297) ** 0.5)
    True
    """

    _arguments = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal of standard deviation sqrt(2 / (fan_in + fan_out)); arguments as `GlorotUniform`'s.

    Examples
    --------
    >>> from konv.initializers import GlorotNormal
    >>> bool(abs(GlorotNormal(seed=1)((200, 200)).std() - 200**-0.5) < 0.001)
    True
    """

    _arguments = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform in [-limit, limit) with limit = sqrt(6 / fan_in) (He et al., arXiv:1502.01852); arguments as
    `GlorotUniform`'s.

    Examples
    --------
    >>> from konv.initializers import HeUniform
    >>> bool(abs(HeUniform(seed=1)((100, 10))).max() <= (6 / 100) ** 0.5)
    True
    """

    _arguments = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal of standard deviation sqrt(2 / fan_in) (He et al., arXiv:1502.01852); arguments as
    `GlorotUniform`'s.

    Examples
    --------
    >>> from konv.initializers import HeNormal
    >>> bool(abs(HeNormal(seed=1)((200, 200)).std() - 0.1) < 0.001)
    True
    """

    _arguments = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform in [-limit, limit) with limit = sqrt(3 / fan_in); arguments as `GlorotUniform`'s.

    Examples
    --------
    >>> from konv.initializers import LecunUniform
    >>> bool(abs(LecunUniform(seed=1)((100, 10))).max() <= (3 / 100) ** 0.5)
    True
    """

    _arguments = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal of standard deviation sqrt(1 / fan_in) (LeCun et al.: Efficient BackProp, 1998);
    arguments as `GlorotUniform`'s.

    Examples
    --------
    >>> from konv.initializers import LecunNormal
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


def _one_of(initializer: Initializer, name: str, value: Any, known: Any) -> str:
    where = type(initializer).__name__
    if text(where, name, value) not in known:
        names = ", ".join(f'"{each}"' for each in known)
        raise ValueError(f"{where}: {name} must be one of {names}, received {shown(value)}")
    return str(value)
