"""Max, average and sum pooling of `konv.ops`, forward and backward, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference
from arrays import LAYOUTS, Array, draw, draw_integers
from cases import POOL_CASES, PoolCase, each, pick
from konv import ops
from numeric_gradient import numeric_gradient
from tolerance import Expected, assert_close, assert_same_bits, expect, sum_error

FLOAT64 = np.dtype("float64")
every_case = each(POOL_CASES)
each_mean = pytest.mark.parametrize("include", [False, True], ids=["real_pixels", "padded_pixels"])


@cache
def image(case: PoolCase, dtype: np.dtype[Any]) -> Array:
    return draw(f"{case.name} x", case.x, dtype)


@cache
def gradient(case: PoolCase, dtype: np.dtype[Any]) -> Array:
    y_shape = reference.pool2d_output_shape(case.x, case.pool_size, **case.options)
    return draw(f"{case.name} grad", y_shape, dtype)


@cache
def spoilt_image(case: PoolCase) -> Array:
    """Integers, so many maxima tie, and a tenth each of NaN, inf, -inf and -0.0."""
    x = draw_integers(f"{case.name} x", case.x, FLOAT64)
    choice = np.random.default_rng(5).integers(0, 10, x.shape)
    for i, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
        x[choice == i] = value
    return x


def argmax_dtype(case: PoolCase) -> type[Any]:
    rows, columns = reference.pair(case.pool_size)
    return np.uint8 if rows * columns <= 256 else np.int32


# ---- maximum --------------------------------------------------------------------------------------------


@every_case
def test_max(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x = image(case, dtype)
    expected, positions = reference.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    y, argmax = ops.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    assert_same_bits(y, expected.astype(dtype))
    assert argmax.dtype == argmax_dtype(case)
    np.testing.assert_array_equal(argmax, positions)
    assert_same_bits(ops.max_pool2d(x, case.pool_size, **case.options), y)


@every_case
def test_max_of_ties_and_non_finite_values(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x = spoilt_image(case).astype(dtype)
    expected, positions = reference.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    y, argmax = ops.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    np.testing.assert_array_equal(argmax, positions)
    np.testing.assert_array_equal(y, expected)
    without = ops.max_pool2d(x, case.pool_size, **case.options)
    np.testing.assert_array_equal(without, expected)
    for result in (y, without):  # of 0.0 and -0.0 the first wins too
        np.testing.assert_array_equal(np.signbit(result[result == 0]), np.signbit(expected[expected == 0]))


@every_case
def test_max_backward(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x, grad = spoilt_image(case).astype(dtype), gradient(case, dtype)
    _, positions = reference.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    _, argmax = ops.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    expected = expect(
        lambda g: reference.max_pool2d_backward(g, positions, case.x, case.pool_size, **case.options), grad
    )
    grad_x = ops.max_pool2d_backward(grad, argmax, case.x, case.pool_size, **case.options)
    assert_close(grad_x, expected, dtype)


@every_case
def test_max_backward_of_integers_is_exact(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x = image(case, dtype)
    y, argmax = ops.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    grad = draw_integers("grad", y.shape, dtype)
    grad_x = ops.max_pool2d_backward(grad, argmax, case.x, case.pool_size, **case.options)
    exact = reference.max_pool2d_backward(grad, argmax, case.x, case.pool_size, **case.options)
    np.testing.assert_array_equal(grad_x, exact)
    real = np.isfinite(y)  # not a window of padding only
    assert np.sum(np.float64(grad_x)) == np.sum(np.float64(grad[real]))


def test_first_maximum_wins_and_nan_wins_over_it(isa: str, dtype: np.dtype[Any]) -> None:
    nan, inf = np.nan, np.inf
    windows = [
        ((1, 3, 3, 2), 1),
        ((0.0, -0.0, 0.0, 0.0), 0),
        ((-0.0, 0.0, 0.0, 0.0), 0),
        ((-inf, -inf, -inf, -inf), 0),
        ((inf, inf, 1, 2), 0),
        ((1, nan, inf, 2), 1),
        ((nan, nan, 1, 2), 0),
        ((-inf, -inf, nan, nan), 2),
        ((-inf, -inf, -inf, -1), 3),
    ]
    for channels in (1, 3, 16, 21):
        x = np.zeros((len(windows), 2, 2, channels), dtype)
        x[:] = np.array([window for window, _ in windows], dtype).reshape(-1, 2, 2, 1)
        y, argmax = ops.max_pool2d_with_argmax(x, 2)
        for i, (window, position) in enumerate(windows):
            assert (argmax[i] == position).all(), window
            assert_same_bits(np.abs(y[i]), np.abs(np.full((1, 1, channels), window[position], dtype)))


def test_padding_never_wins(isa: str, dtype: np.dtype[Any]) -> None:
    x = np.full((1, 2, 2, 5), -np.inf, dtype)
    y, argmax = ops.max_pool2d_with_argmax(x, 2, strides=1, padding=1)
    assert np.isneginf(y).all()
    assert argmax[0, :, :, 4].tolist() == [[3, 2, 2], [1, 0, 0], [1, 0, 0]]
    grad_x = ops.max_pool2d_backward(np.ones_like(y), argmax, x.shape, 2, strides=1, padding=1)
    assert grad_x[0, :, :, 4].tolist() == [[4, 2], [2, 1]]


@pytest.mark.parametrize("pixel", [-np.inf, np.nan, -5.0])
def test_window_without_pixels(isa: str, dtype: np.dtype[Any], pixel: float) -> None:
    """Every window but the middle one sees only padding."""
    x = np.full((1, 1, 1, 19), pixel, dtype)
    y, argmax = ops.max_pool2d_with_argmax(x, 1, strides=2, padding=2)
    assert np.isneginf(np.delete(y.reshape(9, 19), 4, axis=0)).all()
    np.testing.assert_array_equal(y[:, 1:2, 1:2], x)
    assert not argmax.any()
    grad = np.arange(y.size, dtype=dtype).reshape(y.shape)
    grad_x = ops.max_pool2d_backward(grad, argmax, x.shape, 1, strides=2, padding=2)
    np.testing.assert_array_equal(grad_x, grad[:, 1:2, 1:2])
    for include in (False, True):
        options = {"strides": 2, "padding": 2, "count_include_pad": include}
        mean = ops.avg_pool2d(x, 1, **options)
        assert not np.delete(mean.reshape(9, 19), 4, axis=0).any()
        grad_x = ops.avg_pool2d_backward(grad, x.shape, 1, **options)
        np.testing.assert_array_equal(grad_x, grad[:, 1:2, 1:2])
    assert not np.delete(ops.sum_pool2d(x, 1, strides=2, padding=2).reshape(9, 19), 4, axis=0).any()


# ---- average and sum ------------------------------------------------------------------------------------

# A mean is a sum of n pixels, then either a division or the product with a rounded reciprocal.
DIVISION = 2


@each_mean
@every_case
def test_avg(isa: str, dtype: np.dtype[Any], case: PoolCase, include: bool) -> None:
    x = image(case, dtype)
    options = {**case.options, "count_include_pad": include}
    value = reference.avg_pool2d(x, case.pool_size, **options)
    magnitude = reference.avg_pool2d(np.abs(x), case.pool_size, **options)
    terms = reference.sum_pool2d(np.ones(case.x), case.pool_size, **case.options)
    expected = Expected(value, sum_error(terms + DIVISION, magnitude, dtype))
    assert_close(ops.avg_pool2d(x, case.pool_size, **options), expected, dtype)


@each_mean
@every_case
def test_avg_backward(isa: str, dtype: np.dtype[Any], case: PoolCase, include: bool) -> None:
    grad = gradient(case, dtype)
    options = {**case.options, "count_include_pad": include}
    value = reference.avg_pool2d_backward(grad, case.x, case.pool_size, **options)
    magnitude = reference.avg_pool2d_backward(np.abs(grad), case.x, case.pool_size, **options)
    terms = reference.sum_pool2d_backward(np.ones_like(grad), case.x, case.pool_size, **case.options)
    expected = Expected(value, sum_error(terms + DIVISION, magnitude, dtype))
    assert_close(ops.avg_pool2d_backward(grad, case.x, case.pool_size, **options), expected, dtype)


@every_case
def test_sum(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x = image(case, dtype)
    expected = expect(lambda x: reference.sum_pool2d(x, case.pool_size, **case.options), x)
    assert_close(ops.sum_pool2d(x, case.pool_size, **case.options), expected, dtype)


@every_case
def test_sum_backward(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    grad = gradient(case, dtype)
    expected = expect(
        lambda g: reference.sum_pool2d_backward(g, case.x, case.pool_size, **case.options), grad
    )
    assert_close(ops.sum_pool2d_backward(grad, case.x, case.pool_size, **case.options), expected, dtype)


@every_case
def test_sums_of_integers_are_exact_and_adjoint(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x = draw_integers("x", case.x, dtype)
    y = ops.sum_pool2d(x, case.pool_size, **case.options)
    np.testing.assert_array_equal(y, reference.sum_pool2d(x, case.pool_size, **case.options))
    grad = draw_integers("grad", y.shape, dtype)
    grad_x = ops.sum_pool2d_backward(grad, case.x, case.pool_size, **case.options)
    exact = reference.sum_pool2d_backward(grad, case.x, case.pool_size, **case.options)
    np.testing.assert_array_equal(grad_x, exact)
    assert np.sum(np.float64(y) * grad) == np.sum(np.float64(x) * grad_x)


@each(POOL_CASES, "overlapping_padded", "padding_beyond_window", "dilated_strided_ceil", "same_asymmetric")
def test_non_finite_pixels_stay_in_their_windows(isa: str, dtype: np.dtype[Any], case: PoolCase) -> None:
    x = spoilt_image(case).astype(dtype)
    with np.errstate(invalid="ignore"):
        total = reference.sum_pool2d(x, case.pool_size, **case.options)
        mean = reference.avg_pool2d(x, case.pool_size, **case.options)
    np.testing.assert_array_equal(ops.sum_pool2d(x, case.pool_size, **case.options), total)
    actual = ops.avg_pool2d(x, case.pool_size, **case.options)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(mean))
    np.testing.assert_array_equal(np.isinf(actual), np.isinf(mean))


# ---- common to all --------------------------------------------------------------------------------------


@each(POOL_CASES, "overlapping_padded", "dilated_strided_ceil", "padding_beyond_window", "same_asymmetric")
def test_numeric_gradients(isa: str, case: PoolCase) -> None:
    """On whole numbers far apart no step of 1/4 changes a winner, and pooling is linear."""
    count = int(np.prod(case.x))
    x = np.random.default_rng(0).permutation(np.arange(float(count))).reshape(case.x)
    y_shape = reference.pool2d_output_shape(case.x, case.pool_size, **case.options)
    grad = draw_integers("grad", y_shape, FLOAT64)
    _, argmax = ops.max_pool2d_with_argmax(x, case.pool_size, **case.options)

    def finite_max(x: Array) -> Array:
        return np.nan_to_num(ops.max_pool2d(x, case.pool_size, **case.options), neginf=0.0)

    def check(function: Callable[[Array], Array], grad_x: Array) -> None:
        np.testing.assert_allclose(grad_x, numeric_gradient(function, x, grad, 0.25), rtol=0, atol=1e-9)

    size, options = case.pool_size, case.options
    check(finite_max, ops.max_pool2d_backward(grad, argmax, case.x, size, **options))
    check(
        lambda x: ops.sum_pool2d(x, size, **options), ops.sum_pool2d_backward(grad, case.x, size, **options)
    )
    check(
        lambda x: ops.avg_pool2d(x, size, **options), ops.avg_pool2d_backward(grad, case.x, size, **options)
    )


@every_case
def test_output_shape(case: PoolCase) -> None:
    expected = reference.pool2d_output_shape(case.x, case.pool_size, **case.options)
    assert ops.pool2d_output_shape(case.x, case.pool_size, **case.options) == expected


def results(x: Any, grad: Any, argmax: Any, case: PoolCase) -> list[Array]:
    """Everything that pooling computes."""
    size, options = case.pool_size, case.options
    return [
        *ops.max_pool2d_with_argmax(x, size, **options),
        ops.max_pool2d(x, size, **options),
        ops.avg_pool2d(x, size, **options),
        ops.sum_pool2d(x, size, **options),
        ops.max_pool2d_backward(grad, argmax, case.x, size, **options),
        ops.avg_pool2d_backward(grad, case.x, size, **options),
        ops.sum_pool2d_backward(grad, case.x, size, **options),
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
@each(POOL_CASES, "pairs", "overlapping_padded", "window_of_272")
def test_layouts(dtype: np.dtype[Any], case: PoolCase, layout: str) -> None:
    x, grad = image(case, dtype), gradient(case, dtype)
    _, argmax = ops.max_pool2d_with_argmax(x, case.pool_size, **case.options)
    change = LAYOUTS[layout]
    plain = results(x, grad, argmax, case)
    for actual, expected in zip(results(change(x), change(grad), change(argmax), case), plain, strict=True):
        assert_same_bits(actual, expected)


def test_strides_default_to_the_pool_size(isa: str, dtype: np.dtype[Any]) -> None:
    x = image(pick(POOL_CASES, "uneven")[0], dtype)
    assert_same_bits(ops.max_pool2d(x, (2, 3)), ops.max_pool2d(x, (2, 3), strides=(2, 3)))
    assert_same_bits(ops.max_pool2d(x, 2), ops.max_pool2d(x, (2, 2), strides=2))
