"""The error function of `_core`, against Python's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arrays import draw
from konv import _core
from tolerance import assert_same_bits


def test_values(dtype: np.dtype[Any]) -> None:
    x = np.linspace(-6, 6, 1001, dtype=dtype).reshape(7, 11, 13)
    y = _core.erf(x)
    expected = [math.erf(value) for value in x.ravel().tolist()]
    # glibc states at most 2 units in the last place for either precision.
    np.testing.assert_allclose(y.ravel(), expected, rtol=2 * np.finfo(dtype).eps)
    assert (y.shape, y.dtype) == (x.shape, dtype)


def test_special_values(dtype: np.dtype[Any]) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
    assert_same_bits(_core.erf(x)[1:], np.array([1.0, -1.0, 0.0, -0.0], dtype))
    assert np.isnan(_core.erf(x)[0])
    assert _core.erf(np.zeros((0, 3), dtype)).shape == (0, 3)


def test_threads_do_not_change_a_bit(dtype: np.dtype[Any], set_threads: Callable[[int], None]) -> None:
    x = draw("x", (3 * 8192 + 5,), dtype)  # several blocks of the driver and a tail
    set_threads(1)
    expected = _core.erf(x)
    assert np.isfinite(expected).all()
    set_threads(3)
    assert_same_bits(_core.erf(x), expected)


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^erf: x must have the dtype float32 or float64, received int64"):
        _core.erf(np.zeros(3, np.int64))
