"""`konv.ops.dense` and its gradients against the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference
from arrays import LAYOUTS, Array, draw, draw_integers, with_non_finite
from cases import DENSE_CASES, DenseCase, each
from konv import ops
from numeric_gradient import numeric_gradient
from tolerance import Expected, assert_close, assert_same_bits, expect

FLOAT64 = np.dtype("float64")
every_case = each(DENSE_CASES)


@dataclass(frozen=True)
class Arrays:
    """The arrays of one case."""

    x: Array
    kernel: Array
    bias: Array
    grad: Array


@cache
def arrays(case: DenseCase, dtype: np.dtype[Any], integers: bool = False) -> Arrays:
    make = draw_integers if integers else draw
    shapes = {
        "x": case.x,
        "kernel": (case.x[-1], case.units),
        "bias": (case.units,),
        "grad": (*case.x[:-1], case.units),
    }
    return Arrays(**{name: make(f"{case.name} {name}", shape, dtype) for name, shape in shapes.items()})


@cache
def expected_forward(case: DenseCase, dtype: np.dtype[Any], with_bias: bool = True) -> Expected:
    a = arrays(case, dtype)
    return expect(reference.dense, a.x, a.kernel, a.bias if with_bias else None)


@cache
def expected_gradient(case: DenseCase, dtype: np.dtype[Any], which: int) -> Expected:
    """The gradient of x (0), kernel (1) or bias (2)."""
    a = arrays(case, dtype)
    return expect(lambda *inputs: reference.dense_backward(*inputs)[which], a.grad, a.x, a.kernel)


def all_results(a: Arrays) -> list[Array]:
    """The output and the three gradients."""
    return [ops.dense(a.x, a.kernel, a.bias), *ops.dense_backward(a.grad, a.x, a.kernel)]


@every_case
def test_forward(isa: str, dtype: np.dtype[Any], case: DenseCase) -> None:
    a = arrays(case, dtype)
    assert_close(ops.dense(a.x, a.kernel, a.bias), expected_forward(case, dtype), dtype)


@every_case
def test_forward_without_bias(isa: str, dtype: np.dtype[Any], case: DenseCase) -> None:
    a = arrays(case, dtype)
    assert_close(ops.dense(a.x, a.kernel), expected_forward(case, dtype, with_bias=False), dtype)


@every_case
def test_forward_with_relu(isa: str, dtype: np.dtype[Any], case: DenseCase) -> None:
    a = arrays(case, dtype)
    y = ops.dense(a.x, a.kernel, a.bias, activation="relu")
    assert_close(y, expected_forward(case, dtype).relu(), dtype)
    assert_same_bits(y, ops.relu(ops.dense(a.x, a.kernel, a.bias)))


@pytest.mark.parametrize("name", ["x", "kernel", "bias"])
@every_case
def test_gradient(isa: str, dtype: np.dtype[Any], case: DenseCase, name: str) -> None:
    a = arrays(case, dtype)
    which = ("x", "kernel", "bias").index(name)
    gradients = ops.dense_backward(a.grad, a.x, a.kernel, needs=(name,))
    assert [gradient is None for gradient in gradients] == [i != which for i in range(3)]
    assert_close(gradients[which], expected_gradient(case, dtype, which), dtype)


@every_case
def test_integers_are_exact(isa: str, dtype: np.dtype[Any], case: DenseCase) -> None:
    a = arrays(case, dtype, integers=True)
    exact = [reference.dense(a.x, a.kernel, a.bias), *reference.dense_backward(a.grad, a.x, a.kernel)]
    for result, expected in zip(all_results(a), exact, strict=True):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


@each(DENSE_CASES, "unit", "vector", "more_axes")
def test_numeric_gradients(isa: str, case: DenseCase) -> None:
    """A dense layer is linear in each argument, so a step of 1 is exact on integers."""
    a = arrays(case, FLOAT64, integers=True)
    functions = (
        lambda x: ops.dense(x, a.kernel, a.bias),
        lambda kernel: ops.dense(a.x, kernel, a.bias),
        lambda bias: ops.dense(a.x, a.kernel, bias),
    )
    results = ops.dense_backward(a.grad, a.x, a.kernel)
    for function, array, gradient in zip(functions, (a.x, a.kernel, a.bias), results, strict=True):
        np.testing.assert_array_equal(gradient, numeric_gradient(function, array, a.grad, 1.0))


@every_case
def test_it_is_a_1x1_convolution(isa: str, dtype: np.dtype[Any], case: DenseCase) -> None:
    a = arrays(case, dtype, integers=True)
    rows = a.x.reshape(-1, 1, 1, case.x[-1])
    y = ops.conv2d(rows, a.kernel[None, None], a.bias)
    np.testing.assert_array_equal(ops.dense(a.x, a.kernel, a.bias), y.reshape(*case.x[:-1], case.units))


@pytest.mark.parametrize("layout", LAYOUTS)
@each(DENSE_CASES, "unit", "more_axes")
def test_layouts(dtype: np.dtype[Any], case: DenseCase, layout: str) -> None:
    plain = arrays(case, dtype)
    other = Arrays(**{name: LAYOUTS[layout](array) for name, array in vars(plain).items()})
    for result, expected in zip(all_results(other), all_results(plain), strict=True):
        assert_same_bits(result, expected)


@each(DENSE_CASES, "unit", "more_axes", "many_channels", "channels_17_to_15")
def test_non_finite_rows_stay_apart(isa: str, dtype: np.dtype[Any], case: DenseCase) -> None:
    a = arrays(case, dtype)
    x = with_non_finite(a.x)
    with np.errstate(invalid="ignore"):
        value = reference.dense(x, a.kernel, a.bias)
    assert_close(ops.dense(x, a.kernel, a.bias), Expected(value, expected_forward(case, dtype).error), dtype)
