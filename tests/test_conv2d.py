"""`konv.ops.conv2d` and its three gradients against the reference, on every ISA, dtype and algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

import reference
from arrays import LAYOUTS, Array, draw, draw_integers, with_non_finite
from cases import CONV_CASES, ConvCase, each, pick
from konv import ops
from numeric_gradient import numeric_gradient
from tolerance import (
    Expected,
    assert_close,
    assert_close_where_finite,
    assert_same_bits,
    expect,
)
from winograd import with_winograd

FLOAT64 = np.dtype("float64")
EXACT = ("direct", "reference")
"""The algorithms that sum products of the elements as they are: integers are exact, and nothing non-finite
spreads. The others have tests of their own."""

every_case = each(CONV_CASES)


@dataclass(frozen=True)
class Arrays:
    """The arrays of one case."""

    x: Array
    kernel: Array
    bias: Array
    grad: Array


@cache
def arrays(case: ConvCase, dtype: np.dtype[Any], integers: bool = False) -> Arrays:
    make = draw_integers if integers else draw
    y_shape = reference.conv2d_output_shape(case.x, case.kernel, **case.options)
    shapes = {"x": case.x, "kernel": case.kernel, "bias": case.kernel[3:], "grad": y_shape}
    return Arrays(**{name: make(f"{case.name} {name}", shape, dtype) for name, shape in shapes.items()})


@cache
def expected_forward(case: ConvCase, dtype: np.dtype[Any], with_bias: bool = True) -> Expected:
    a = arrays(case, dtype)
    expected = expect(partial(reference.conv2d, **case.options), a.x, a.kernel, a.bias if with_bias else None)
    return with_winograd(expected, "y", case, a.x, a.kernel, case.kernel[2])


@cache
def expected_gradient(case: ConvCase, dtype: np.dtype[Any], which: int) -> Expected:
    """The gradient of x (0), kernel (1) or bias (2)."""
    a = arrays(case, dtype)
    expected = expect(lambda *g: reference.conv2d_backward(*g, **case.options)[which], a.grad, a.x, a.kernel)
    if which > 0:
        return expected
    return with_winograd(expected, "x", case, a.grad, a.kernel, case.kernel[3] // case.groups)


def all_results(a: Arrays, case: ConvCase, algorithm: str = "auto") -> list[Array]:
    """The output and the three gradients."""
    y = ops.conv2d(a.x, a.kernel, a.bias, **case.options, algorithm=algorithm)
    return [y, *ops.conv2d_backward(a.grad, a.x, a.kernel, **case.options, algorithm=algorithm)]


@cache
def exact_results(case: ConvCase) -> list[Array]:
    a = arrays(case, FLOAT64, integers=True)
    y = reference.conv2d(a.x, a.kernel, a.bias, **case.options)
    return [y, *reference.conv2d_backward(a.grad, a.x, a.kernel, **case.options)]


# ---- values ---------------------------------------------------------------------------------------------


@every_case
def test_forward(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    assert_close(ops.conv2d(a.x, a.kernel, a.bias, **case.options), expected_forward(case, dtype), dtype)


@every_case
def test_forward_without_bias(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    y = ops.conv2d(a.x, a.kernel, **case.options)
    assert_close(y, expected_forward(case, dtype, with_bias=False), dtype)


@every_case
def test_forward_with_relu(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    y = ops.conv2d(a.x, a.kernel, a.bias, **case.options, activation="relu")
    assert_close(y, expected_forward(case, dtype).relu(), dtype)
    assert_same_bits(y, ops.relu(ops.conv2d(a.x, a.kernel, a.bias, **case.options)))


@every_case
def test_gradient_of_x(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    grad_x, *others = ops.conv2d_backward(a.grad, a.x, a.kernel, **case.options, needs=("x",))
    assert others == [None, None]
    assert_close(grad_x, expected_gradient(case, dtype, 0), dtype)


@every_case
def test_gradient_of_kernel(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    needs = ["kernel"]
    grad_x, grad_kernel, grad_bias = ops.conv2d_backward(a.grad, a.x, a.kernel, **case.options, needs=needs)
    assert (grad_x, grad_bias) == (None, None)
    assert_close(grad_kernel, expected_gradient(case, dtype, 1), dtype)


@every_case
def test_gradient_of_bias(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    *others, grad_bias = ops.conv2d_backward(a.grad, a.x, a.kernel, **case.options, needs={"bias"})
    assert others == [None, None]
    assert_close(grad_bias, expected_gradient(case, dtype, 2), dtype)


@pytest.mark.parametrize("algorithm", EXACT)
@every_case
def test_integers_are_exact(isa: str, dtype: np.dtype[Any], case: ConvCase, algorithm: str) -> None:
    results = all_results(arrays(case, dtype, integers=True), case, algorithm)
    for result, exact in zip(results, exact_results(case), strict=True):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, exact)


@every_case
def test_adjoint_identity(isa: str, dtype: np.dtype[Any], case: ConvCase) -> None:
    """<conv2d(x, kernel), g> = <x, grad_x> = <kernel, grad_kernel>, to the last digit on integers."""
    a = arrays(case, dtype, integers=True)
    options = {**case.options, "algorithm": "direct"}
    y = ops.conv2d(a.x, a.kernel, **options)
    grad_x, grad_kernel, _ = ops.conv2d_backward(a.grad, a.x, a.kernel, **options)
    inner = [np.sum(np.float64(p) * q) for p, q in ((y, a.grad), (a.x, grad_x), (a.kernel, grad_kernel))]
    assert inner[0] == inner[1] == inner[2]


@each(CONV_CASES, "one_pixel_same", "strided_uneven", "padding_beyond_kernel_strided", "grouped_to_one")
def test_numeric_gradients(isa: str, case: ConvCase) -> None:
    """A convolution is linear in each argument, so a step of 1 is exact on integers."""
    a = arrays(case, FLOAT64, integers=True)
    results = ops.conv2d_backward(a.grad, a.x, a.kernel, **case.options)
    functions = (
        lambda x: ops.conv2d(x, a.kernel, a.bias, **case.options),
        lambda kernel: ops.conv2d(a.x, kernel, a.bias, **case.options),
        lambda bias: ops.conv2d(a.x, a.kernel, bias, **case.options),
    )
    for function, array, gradient in zip(functions, (a.x, a.kernel, a.bias), results, strict=True):
        np.testing.assert_array_equal(gradient, numeric_gradient(function, array, a.grad, 1.0))


@every_case
def test_output_shape(case: ConvCase) -> None:
    expected = reference.conv2d_output_shape(case.x, case.kernel, **case.options)
    assert ops.conv2d_output_shape(case.x, case.kernel, **case.options) == expected


def test_spellings_of_one_padding_agree(isa: str, dtype: np.dtype[Any]) -> None:
    a = arrays(pick(CONV_CASES, "unit")[0], dtype)
    same = ops.conv2d(a.x, a.kernel, padding="same")
    for padding in (1, (1, 1), ((1, 1), (1, 1)), np.int64(1)):
        assert_same_bits(ops.conv2d(a.x, a.kernel, padding=padding), same)
    valid = ops.conv2d(a.x, a.kernel)
    for padding in (0, (0, 0), ((0, 0), (0, 0))):
        assert_same_bits(ops.conv2d(a.x, a.kernel, padding=padding), valid)


# ---- arrays of every kind -------------------------------------------------------------------------------

LAYOUT_CASES = ("same_asymmetric_strided", "grouped", "depthwise", "pointwise", "first_layer_color")


@pytest.mark.parametrize("layout", LAYOUTS)
@each(CONV_CASES, *LAYOUT_CASES)
def test_layouts(dtype: np.dtype[Any], case: ConvCase, layout: str) -> None:
    plain = arrays(case, dtype)
    other = Arrays(**{name: LAYOUTS[layout](array) for name, array in vars(plain).items()})
    for result, expected in zip(all_results(other, case), all_results(plain, case), strict=True):
        assert_same_bits(result, expected)


@each(CONV_CASES, *LAYOUT_CASES)
def test_results_are_plain_arrays_and_inputs_stay_as_they_are(dtype: np.dtype[Any], case: ConvCase) -> None:
    a = arrays(case, dtype)
    before = Arrays(**{name: array.copy() for name, array in vars(a).items()})
    for result in all_results(a, case):
        assert type(result) is np.ndarray
        assert result.flags.c_contiguous
        assert result.flags.aligned
        assert result.flags.writeable
    for name, array in vars(a).items():
        assert_same_bits(array, getattr(before, name))


def test_one_array_may_be_several_arguments(isa: str, dtype: np.dtype[Any]) -> None:
    square = draw_integers("square", (2, 2, 2, 2), dtype)
    np.testing.assert_array_equal(
        ops.conv2d(square, square, padding=1), reference.conv2d(square, square, padding=1)
    )


# ---- non-finite values ----------------------------------------------------------------------------------

NON_FINITE_CASES = (
    *(
        "same",
        "strided",
        "dilated",
        "grouped_tail",
        "depthwise",
        "first_layer_color",
        "pointwise",
        "wide_row",
    ),
    *("depthwise_multiplier_strided", "padding_beyond_kernel", "stride_beyond_kernel", "many_channels"),
)


@pytest.mark.parametrize("algorithm", EXACT)
@each(CONV_CASES, *NON_FINITE_CASES)
def test_non_finite_pixels(isa: str, dtype: np.dtype[Any], case: ConvCase, algorithm: str) -> None:
    """Just the outputs that read them are non-finite: no tile spreads them, no shortcut skips them."""
    a = arrays(case, dtype)
    x = with_non_finite(a.x)
    bound = expected_forward(case, dtype).error
    with np.errstate(invalid="ignore"):
        expected = Expected(reference.conv2d(x, a.kernel, a.bias, **case.options), bound)
    y = ops.conv2d(x, a.kernel, a.bias, **case.options, algorithm=algorithm)
    assert_close(y, expected, dtype)
    zeros = ops.conv2d(x, np.zeros_like(a.kernel), **case.options, algorithm=algorithm)
    np.testing.assert_array_equal(np.isfinite(zeros), np.isfinite(expected.value))
    relu = ops.conv2d(x, a.kernel, a.bias, **case.options, activation="relu", algorithm=algorithm)
    np.testing.assert_array_equal(relu, reference.relu(y))


@pytest.mark.parametrize("algorithm", EXACT)
@each(CONV_CASES, *NON_FINITE_CASES)
def test_non_finite_kernels(isa: str, dtype: np.dtype[Any], case: ConvCase, algorithm: str) -> None:
    """Other filters stay finite; a window that touches padding may multiply it by the kernel or not."""
    a = arrays(case, dtype)
    kernel, bias = with_non_finite(a.kernel), a.bias.copy()
    bias[-1] = np.nan
    bound = expected_forward(case, dtype).error
    with np.errstate(invalid="ignore"):
        expected = Expected(reference.conv2d(a.x, kernel, bias, **case.options), bound)
    y = ops.conv2d(a.x, kernel, bias, **case.options, algorithm=algorithm)
    assert_close_where_finite(y, expected, dtype)
    assert np.isnan(y[..., -1]).all()
    untouched = np.isfinite(kernel).all(axis=(0, 1, 2)) & np.isfinite(bias)
    assert np.isfinite(y[..., untouched]).all()


@pytest.mark.parametrize("algorithm", EXACT)
@each(CONV_CASES, *NON_FINITE_CASES)
def test_non_finite_gradients(isa: str, dtype: np.dtype[Any], case: ConvCase, algorithm: str) -> None:
    """The gradient of x is a convolution of grad, that of the kernel one of x by grad."""
    a = arrays(case, dtype)
    grad = with_non_finite(a.grad)
    results = ops.conv2d_backward(grad, a.x, a.kernel, **case.options, algorithm=algorithm)
    with np.errstate(invalid="ignore"):
        values = reference.conv2d_backward(grad, a.x, a.kernel, **case.options)
    expected = [Expected(v, expected_gradient(case, dtype, i).error) for i, v in enumerate(values)]
    assert_close(results[0], expected[0], dtype)
    assert_close_where_finite(results[1], expected[1], dtype)
    assert_close(results[2], expected[2], dtype)


@pytest.mark.parametrize("algorithm", EXACT)
@each(CONV_CASES, *NON_FINITE_CASES)
def test_gradients_of_non_finite_pixels(
    isa: str, dtype: np.dtype[Any], case: ConvCase, algorithm: str
) -> None:
    """The gradient of the kernel is non-finite just at the taps that read them, that of x nowhere."""
    a = arrays(case, dtype)
    x = with_non_finite(a.x)
    options = {**case.options, "algorithm": algorithm}
    grad_x, grad_kernel, _ = ops.conv2d_backward(a.grad, x, a.kernel, **options)
    with np.errstate(invalid="ignore"):
        _, value, _ = reference.conv2d_backward(a.grad, x, a.kernel, **case.options)
    assert_close(grad_kernel, Expected(value, expected_gradient(case, dtype, 1).error), dtype)
    assert_same_bits(grad_x, ops.conv2d_backward(a.grad, a.x, a.kernel, **options)[0])


# ---- the choice of the algorithm ------------------------------------------------------------------------


def test_an_algorithm_that_cannot_do_the_shape_is_a_value_error() -> None:
    x, kernel = np.ones((1, 4, 4, 1), np.float32), np.ones((2, 2, 1, 1), np.float32)
    message = (
        "conv2d: algorithm 'winograd' can't do this shape, expected one of 'auto', 'direct', 'reference' "
        "(x: (1, 4, 4, 1), kernel: (2, 2, 1, 1), groups=1)"
    )
    with pytest.raises(ValueError, match="winograd") as caught:
        ops.conv2d(x, kernel, algorithm="winograd")
    assert str(caught.value) == message


def test_the_environment_steers_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    """To an algorithm of that name, back to the best where it can't do the shape, and nothing but auto."""
    case = pick(CONV_CASES, "many_channels")[0]
    a = arrays(case, np.dtype("float32"))

    def run(algorithm: str = "auto", strides: int = 1) -> Array:
        return ops.conv2d(a.x, a.kernel, strides=strides, algorithm=algorithm)

    direct, winograd, by_reference = (run(name) for name in ("direct", "winograd", "reference"))
    assert (direct != by_reference).any()  # float64 sums differ from float32 ones
    assert (winograd != direct).any()
    for steered, expected in (("reference", by_reference), ("winograd", winograd), ("direct", direct)):
        monkeypatch.setenv("KONV_ALGORITHM", steered)
        assert_same_bits(run(), expected)
        assert_same_bits(run("direct"), direct)
    monkeypatch.setenv("KONV_ALGORITHM", "winograd")
    assert_same_bits(run(strides=3), run("direct", strides=3))
    monkeypatch.setenv("KONV_ALGORITHM", "")
    assert_same_bits(run(strides=3), run("direct", strides=3))
    monkeypatch.setenv("KONV_ALGORITHM", "fast")
    with pytest.raises(ValueError, match=r"KONV_ALGORITHM must be .*'reference', received 'fast'$"):
        run()
