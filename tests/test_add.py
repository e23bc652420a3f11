"""Sums of two arrays, with and without ReLU: exact to the bit, being one rounding of each element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference
from arrays import draw, guarded, with_non_finite
from konv import _core
from tolerance import assert_same_bits


@pytest.mark.parametrize("length", [*range(70), 20011])
def test_sums(isa: str, dtype: np.dtype[Any], length: int) -> None:
    a, b = draw("a", (length,), dtype), draw("b", (length,), dtype)
    assert_same_bits(_core.add(a, b, False), a + b)
    assert_same_bits(_core.add(a, b, True), reference.relu(a + b).astype(dtype))


def test_non_finite_sums_and_zeros(isa: str, dtype: np.dtype[Any]) -> None:
    a = guarded(np.array([np.nan, 1, np.inf, np.inf, -np.inf, -0.0, -0.0, 3, -3], dtype))
    b = guarded(np.array([1, np.nan, 1, -np.inf, 1, -0.0, 0.0, -3, 3], dtype))
    y, rectified = _core.add(a, b, False), _core.add(a, b, True)
    np.testing.assert_array_equal(y, [np.nan, np.nan, np.inf, np.nan, -np.inf, 0, 0, 0, 0])
    np.testing.assert_array_equal(rectified, [np.nan, np.nan, np.inf, np.nan, 0, 0, 0, 0, 0])
    assert np.signbit(y[5])
    assert not np.signbit(rectified[5:]).any()


def test_an_array_can_be_added_to_itself(isa: str, dtype: np.dtype[Any]) -> None:
    a = with_non_finite(draw("a", (3, 5, 7), dtype))
    assert_same_bits(_core.add(a, a, False), a + a)


def test_threads_do_not_change_a_bit(dtype: np.dtype[Any], set_threads: Callable[[int], None]) -> None:
    a, b = draw("a", (100003,), dtype), draw("b", (100003,), dtype)
    for threads in (1, 2, 3, 4):
        set_threads(threads)
        assert_same_bits(_core.add(a, b, False), a + b)


def test_arrays_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match=r"add: b must have the shape \(2, 3\), received \(3, 2\)"):
        _core.add(np.zeros((2, 3)), np.zeros((3, 2)), False)
    with pytest.raises(TypeError, match="add: b must have the dtype float64 of the first array"):
        _core.add(np.zeros(3), np.zeros(3, np.float32), False)
