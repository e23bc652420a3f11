"""`konv.ops.relu` and its gradient: exact, so compared bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference
from arrays import LAYOUTS, Array, draw
from cases import RELU_SHAPES
from konv import ops
from reference import Shape
from tolerance import assert_same_bits

every_shape = pytest.mark.parametrize("shape", RELU_SHAPES, ids=str)


def spoilt(name: str, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Numbers, a tenth each of NaN, inf, -inf, 0.0, -0.0 and the smallest denormals."""
    x = draw(name, shape, dtype)
    choice = np.random.default_rng(7).integers(0, 10, shape)
    tiny = np.finfo(dtype).smallest_subnormal
    for i, value in enumerate((np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, -tiny)):
        x[choice == i] = value
    return x


@every_shape
def test_relu(isa: str, dtype: np.dtype[Any], shape: Shape) -> None:
    x = spoilt("x", shape, dtype)
    y = ops.relu(x)
    np.testing.assert_array_equal(y, reference.relu(x))
    assert (y.dtype, y.shape) == (dtype, shape)
    assert not np.signbit(y[~np.isnan(y)]).any()


@every_shape
def test_relu_backward(isa: str, dtype: np.dtype[Any], shape: Shape) -> None:
    grad, y = draw("grad", shape, dtype), spoilt("y", shape, dtype)
    assert_same_bits(ops.relu_backward(grad, y), reference.relu_backward(grad, y).astype(dtype))
    grad = spoilt("spoilt grad", shape, dtype)
    np.testing.assert_array_equal(ops.relu_backward(grad, y), reference.relu_backward(grad, y))


def test_every_length_around_a_vector(isa: str, dtype: np.dtype[Any]) -> None:
    for length in range(70):
        x = spoilt("x", (length,), dtype)
        np.testing.assert_array_equal(ops.relu(x), reference.relu(x))
        grad = draw("grad", (length,), dtype)
        np.testing.assert_array_equal(ops.relu_backward(grad, x), reference.relu_backward(grad, x))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(dtype: np.dtype[Any], layout: str) -> None:
    x, grad = draw("x", (3, 4, 5), dtype), draw("grad", (3, 4, 5), dtype)
    change = LAYOUTS[layout]
    assert_same_bits(ops.relu(change(x)), ops.relu(x))
    assert_same_bits(ops.relu_backward(change(grad), change(x)), ops.relu_backward(grad, x))


def test_the_input_stays_as_it_is(dtype: np.dtype[Any]) -> None:
    x = draw("x", (5, 7), dtype)
    before = x.copy()
    y = ops.relu(x)
    assert not np.shares_memory(x, y)
    assert_same_bits(x, before)
