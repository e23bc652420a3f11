"""`konv.ops.conv2d_transpose` and its gradients against the reference, and as the adjoint of `conv2d`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import reference
from arrays import LAYOUTS, Array, draw, draw_integers, with_non_finite
from cases import TRANSPOSE_CASES, TransposeCase, each
from konv import ops
from numeric_gradient import numeric_gradient
from tolerance import Expected, assert_close, assert_same_bits, expect
from winograd import with_winograd

FLOAT64 = np.dtype("float64")
every_case = each(TRANSPOSE_CASES)


@dataclass(frozen=True)
class Arrays:
    """The arrays of one case."""

    x: Array
    kernel: Array
    bias: Array
    grad: Array


@cache
def arrays(case: TransposeCase, dtype: np.dtype[Any], integers: bool = False) -> Arrays:
    make = draw_integers if integers else draw
    y_shape = reference.conv2d_transpose_output_shape(case.x, case.kernel, **case.options)
    shapes = {"x": case.x, "kernel": case.kernel, "bias": y_shape[3:], "grad": y_shape}
    return Arrays(**{name: make(f"{case.name} {name}", shape, dtype) for name, shape in shapes.items()})


@cache
def expected_forward(case: TransposeCase, dtype: np.dtype[Any], with_bias: bool = True) -> Expected:
    a = arrays(case, dtype)
    function = partial(reference.conv2d_transpose, **case.options)
    expected = expect(function, a.x, a.kernel, a.bias if with_bias else None)
    return with_winograd(expected, "x", case, a.x, a.kernel, case.kernel[3] // case.groups)


@cache
def expected_gradient(case: TransposeCase, dtype: np.dtype[Any], which: int) -> Expected:
    """The gradient of x (0), kernel (1) or bias (2)."""
    a = arrays(case, dtype)
    backward = partial(reference.conv2d_transpose_backward, **case.options)
    expected = expect(lambda *inputs: backward(*inputs)[which], a.grad, a.x, a.kernel)
    return with_winograd(expected, "y", case, a.grad, a.kernel, case.kernel[2]) if which == 0 else expected


def all_results(a: Arrays, case: TransposeCase) -> list[Array]:
    """The output and the three gradients."""
    y = ops.conv2d_transpose(a.x, a.kernel, a.bias, **case.options)
    return [y, *ops.conv2d_transpose_backward(a.grad, a.x, a.kernel, **case.options)]


@cache
def exact_results(case: TransposeCase) -> list[Array]:
    a = arrays(case, FLOAT64, integers=True)
    y = reference.conv2d_transpose(a.x, a.kernel, a.bias, **case.options)
    return [y, *reference.conv2d_transpose_backward(a.grad, a.x, a.kernel, **case.options)]


@every_case
def test_forward(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    a = arrays(case, dtype)
    y = ops.conv2d_transpose(a.x, a.kernel, a.bias, **case.options)
    assert_close(y, expected_forward(case, dtype), dtype)


@every_case
def test_forward_without_bias(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    a = arrays(case, dtype)
    y = ops.conv2d_transpose(a.x, a.kernel, **case.options)
    assert_close(y, expected_forward(case, dtype, with_bias=False), dtype)


@every_case
def test_gradient_of_x(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    a = arrays(case, dtype)
    grad_x, *others = ops.conv2d_transpose_backward(a.grad, a.x, a.kernel, **case.options, needs=("x",))
    assert others == [None, None]
    assert_close(grad_x, expected_gradient(case, dtype, 0), dtype)


@every_case
def test_gradient_of_kernel(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    a = arrays(case, dtype)
    results = ops.conv2d_transpose_backward(a.grad, a.x, a.kernel, **case.options, needs=["kernel"])
    assert (results[0], results[2]) == (None, None)
    assert_close(results[1], expected_gradient(case, dtype, 1), dtype)


@every_case
def test_gradient_of_bias(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    a = arrays(case, dtype)
    *others, grad_bias = ops.conv2d_transpose_backward(a.grad, a.x, a.kernel, **case.options, needs={"bias"})
    assert others == [None, None]
    assert_close(grad_bias, expected_gradient(case, dtype, 2), dtype)


@pytest.mark.parametrize("algorithm", ["direct", "reference"])
@every_case
def test_integers_are_exact(
    isa: str, dtype: np.dtype[Any], case: TransposeCase, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONV_ALGORITHM", algorithm)
    a = arrays(case, dtype, integers=True)
    for result, expected in zip(all_results(a, case), exact_results(case), strict=True):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


@every_case
def test_it_is_the_adjoint_of_conv2d(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    """<conv2d_transpose(x, kernel), g> = <x, conv2d(g, kernel)>, to the last digit on integers."""
    a = arrays(case, dtype, integers=True)
    y = ops.conv2d_transpose(a.x, a.kernel, **case.options, algorithm="direct")
    options = {**case.conv_options, "algorithm": "direct"}
    back = ops.conv2d(a.grad, a.kernel, **options)
    assert back.shape == a.x.shape
    assert np.sum(np.float64(y) * a.grad) == np.sum(np.float64(a.x) * back)
    grad_x, _, _ = ops.conv2d_backward(a.x, a.grad, a.kernel, **options, needs=("x",))
    np.testing.assert_array_equal(y, grad_x)


@each(TRANSPOSE_CASES, "one_pixel_strided", "same_output_padding", "padded_asymmetric")
def test_numeric_gradients(isa: str, case: TransposeCase) -> None:
    """A transposed convolution is linear in each argument, so a step of 1 is exact on integers."""
    a = arrays(case, FLOAT64, integers=True)
    results = ops.conv2d_transpose_backward(a.grad, a.x, a.kernel, **case.options)
    functions = (
        lambda x: ops.conv2d_transpose(x, a.kernel, a.bias, **case.options),
        lambda kernel: ops.conv2d_transpose(a.x, kernel, a.bias, **case.options),
        lambda bias: ops.conv2d_transpose(a.x, a.kernel, bias, **case.options),
    )
    for function, array, gradient in zip(functions, (a.x, a.kernel, a.bias), results, strict=True):
        np.testing.assert_array_equal(gradient, numeric_gradient(function, array, a.grad, 1.0))


@every_case
def test_output_shape(case: TransposeCase) -> None:
    expected = reference.conv2d_transpose_output_shape(case.x, case.kernel, **case.options)
    assert ops.conv2d_transpose_output_shape(case.x, case.kernel, **case.options) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
@each(TRANSPOSE_CASES, "same_strided", "grouped", "depthwise")
def test_layouts(dtype: np.dtype[Any], case: TransposeCase, layout: str) -> None:
    plain = arrays(case, dtype)
    other = Arrays(**{name: LAYOUTS[layout](array) for name, array in vars(plain).items()})
    for result, expected in zip(all_results(other, case), all_results(plain, case), strict=True):
        assert_same_bits(result, expected)


@each(
    TRANSPOSE_CASES,
    "same_strided",
    "stride_beyond_kernel",
    "grouped_tail",
    "dilated",
    "depthwise",
    "wide_row",
)
def test_non_finite_pixels(isa: str, dtype: np.dtype[Any], case: TransposeCase) -> None:
    a = arrays(case, dtype)
    x = with_non_finite(a.x)
    with np.errstate(invalid="ignore"):
        value = reference.conv2d_transpose(x, a.kernel, a.bias, **case.options)
    y = ops.conv2d_transpose(x, a.kernel, a.bias, **case.options)
    assert_close(y, Expected(value, expected_forward(case, dtype).error), dtype)
