"""Random numbers of distributions, float32, each a function of a key of `konv._random` and a shape.

Normal numbers are pairs of uniform ones through Box and Muller's formula (Annals of Mathematical Statistics
29, 1958). A truncated normal draws those beyond two standard deviations again, from keys derived for each
attempt.
"""

from __future__ import annotations

import math

import numpy as np

from konv import _random
from konv.backend import NDArray

TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal distribution that is cut off at -2 and 2."""


def uniform(key: int, shape: tuple[int, ...], low: float, high: float) -> NDArray:
    """Draw numbers in [low, high).

    Examples
    --------
    >>> uniform(0, (2,), 0.0, 2.0)
    array([0.79809284, 1.7610403 ], dtype=float32)
    """
    return _scaled(_random.uniform(key, shape), high - low, low)


def normal(key: int, shape: tuple[int, ...], mean: float, stddev: float) -> NDArray:
    """Draw normally distributed numbers.

    Examples
    --------
    >>> normal(0, (2,), 5.0, 0.0)
    array([5., 5.], dtype=float32)
    """
    return _scaled(_standard_normal(key, math.prod(shape)), stddev, mean).reshape(shape)


def truncated_normal(key: int, shape: tuple[int, ...], mean: float, stddev: float) -> NDArray:
    """Draw normally distributed numbers at most two standard deviations from the mean.

    `stddev` is that before truncation, which leaves `TRUNCATED_STDDEV` of it.

    Examples
    --------
    >>> bool(abs(truncated_normal(0, (1000,), 0.0, 1.0)).max() <= 2.0)
    True
    """
    numbers = _standard_normal(key, math.prod(shape))
    attempt = 0
    while (outside := np.flatnonzero(np.abs(numbers) > 2.0)).size:
        attempt += 1
        numbers[outside] = _standard_normal(_random.derive(key, attempt), outside.size)
    return _scaled(numbers, stddev, mean).reshape(shape)


def _standard_normal(key: int, count: int) -> NDArray:
    """Draw numbers of mean 0 and standard deviation 1: each pair takes a radius and an angle."""
    radius, angle = _random.uniform(key, (2, -(-count // 2)))
    np.subtract(1.0, radius, out=radius)  # in (0, 1]: its logarithm is finite
    np.log(radius, out=radius)
    radius *= np.float32(-2.0)
    np.sqrt(radius, out=radius)
    angle *= np.float32(2.0 * math.pi)
    numbers = np.empty((2, radius.size), np.float32)
    np.cos(angle, out=numbers[0])
    np.sin(angle, out=numbers[1])
    numbers *= radius
    return numbers.reshape(-1)[:count]


def _scaled(numbers: NDArray, factor: float, offset: float) -> NDArray:
    """Scale and shift float32 numbers in place."""
    with np.errstate(all="ignore"):
        numbers *= np.float32(factor)
        numbers += np.float32(offset)
    return numbers
