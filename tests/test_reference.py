"""The reference itself: answers worked out by hand on 3x3 images, and gradients by central differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import reference
from arrays import draw
from cases import (
    CONV_CASES,
    NORM_CASES,
    POOL_CASES,
    TRANSPOSE_CASES,
    ConvCase,
    NormCase,
    PoolCase,
    TransposeCase,
    each,
)
from numeric_gradient import numeric_gradient

Array = NDArray[np.float64]

IMAGE = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
"""1 2 3 / 4 5 6 / 7 8 9"""
CROSS = np.array([[0.0, 1.0], [10.0, 100.0]]).reshape(2, 2, 1, 1)
"""Digits that show which pixel met which tap."""
NAN = float("nan")


def plane(array: NDArray[Any]) -> list[list[float]]:
    """The rows of the only channel of the only image."""
    rows: list[list[float]] = array[0, :, :, 0].tolist()
    return rows


# ---- by hand --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, [[542, 653], [875, 986]]),
        ({"strides": (2, 1)}, [[542, 653]]),
        ({"padding": "same"}, [[542, 653, 60], [875, 986, 90], [8, 9, 0]]),
        ({"padding": "same", "strides": 2}, [[542, 60], [8, 0]]),
        ({"padding": ((1, 0), (0, 0))}, [[210, 320], [542, 653], [875, 986]]),
        ({"padding": (0, 1), "strides": (1, 3)}, [[401, 60], [704, 90]]),
        ({"padding": 1, "strides": 3}, [[100, 30], [7, 0]]),
        ({"dilation_rate": 2}, [[973]]),
        (
            {"padding": ((1, 1), (1, 0)), "dilation_rate": (2, 1)},
            [[400, 540, 650], [701, 872, 983], [4, 5, 6]],
        ),
    ],
)
def test_conv2d_by_hand(options: dict[str, Any], answer: list[list[float]]) -> None:
    assert plane(reference.conv2d(IMAGE, CROSS, **options)) == answer


def test_conv2d_sums_channels_and_keeps_groups_apart() -> None:
    x = np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 1, 4)
    assert reference.conv2d(x, np.ones((1, 1, 4, 1)), [0.5]).ravel().tolist() == [1111.5]
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 1, 2, 2)
    assert reference.conv2d(x, kernel, groups=2).ravel().tolist() == [1 + 30, 200 + 4000]
    depthwise = reference.conv2d(x, np.array([1.0, 2.0, 3.0, -4.0]).reshape(1, 1, 1, 4), groups=4)
    assert depthwise.ravel().tolist() == [1, 20, 300, -4000]
    relu = reference.conv2d(x, np.ones((1, 1, 4, 2)) * [1.0, -1.0], activation="relu")
    assert relu.ravel().tolist() == [1111, 0]


def test_conv2d_backward_by_hand() -> None:
    grad = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    grad_x, grad_kernel, grad_bias = reference.conv2d_backward(grad, IMAGE, CROSS)
    assert plane(grad_x) == [[0, 1, 2], [10, 123, 204], [30, 340, 400]]
    assert grad_kernel[:, :, 0, 0].tolist() == [
        [1 + 4 + 12 + 20, 2 + 6 + 15 + 24],
        [4 + 10 + 21 + 32, 5 + 12 + 24 + 36],
    ]
    assert grad_bias.tolist() == [10]


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, [[0, 1, 2], [10, 123, 204], [30, 340, 400]]),
        ({"strides": 2}, [[0, 1, 0, 2], [10, 100, 20, 200], [0, 3, 0, 4], [30, 300, 40, 400]]),
        ({"padding": "same"}, [[0, 1], [10, 123]]),
        ({"padding": ((1, 0), (0, 1))}, [[10, 123], [30, 340]]),
        ({"dilation_rate": 2}, [[0, 0, 1, 2], [0, 0, 3, 4], [10, 20, 100, 200], [30, 40, 300, 400]]),
        ({"strides": (3, 1)}, [[0, 1, 2], [10, 120, 200], [0, 0, 0], [0, 3, 4], [30, 340, 400], [0, 0, 0]]),
        (
            {"strides": (3, 1), "output_padding": 0},
            [[0, 1, 2], [10, 120, 200], [0, 0, 0], [0, 3, 4], [30, 340, 400]],
        ),
    ],
)
def test_conv2d_transpose_by_hand(options: dict[str, Any], answer: list[list[float]]) -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    assert plane(reference.conv2d_transpose(x, CROSS, **options)) == answer


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, [[5]]),
        ({"strides": 1}, [[5, 6], [8, 9]]),
        ({"ceil_mode": True}, [[5, 6], [8, 9]]),
        ({"padding": "same"}, [[5, 6], [8, 9]]),
        ({"padding": ((1, 0), (0, 0))}, [[2], [8]]),
        ({"strides": 1, "dilation_rate": 2}, [[9]]),
        ({"padding": ((0, 2), (0, 0))}, [[5], [8]]),
        ({"padding": ((0, 3), (0, 0))}, [[5], [8], [-np.inf]]),
    ],
)
def test_max_pool2d_by_hand(options: dict[str, Any], answer: list[list[float]]) -> None:
    assert plane(reference.max_pool2d(IMAGE, 2, **options)) == answer


@pytest.mark.parametrize(
    ("window", "maximum", "position"),
    [
        ([1.0, 3.0, 3.0, 2.0], 3.0, 1),  # the first of equals
        ([-np.inf] * 4, -np.inf, 0),
        ([1.0, NAN, 9.0, np.inf], NAN, 1),  # NaN beats everything ...
        ([NAN, NAN, 9.0, 1.0], NAN, 0),  # ... but an earlier NaN
    ],
)
def test_max_pool2d_with_argmax_by_hand(window: list[float], maximum: float, position: int) -> None:
    y, argmax = reference.max_pool2d_with_argmax(np.reshape(window, (1, 2, 2, 1)), 2)
    np.testing.assert_array_equal(y.ravel(), [maximum])
    assert argmax.ravel().tolist() == [position]


def test_padding_never_wins_a_window() -> None:
    lowest = np.full((1, 1, 1, 1), -np.inf)
    y, argmax = reference.max_pool2d_with_argmax(lowest, 2, strides=1, padding=1)
    assert plane(y) == [[-np.inf] * 2] * 2
    assert plane(argmax) == [[3, 2], [1, 0]]
    empty, position = reference.max_pool2d_with_argmax(lowest, 1, strides=1, padding=1)
    assert plane(empty) == [[-np.inf] * 3] * 3
    assert plane(position) == [[0] * 3] * 3
    grad_x = reference.max_pool2d_backward(
        np.ones((1, 3, 3, 1)), position, (1, 1, 1, 1), 1, strides=1, padding=1
    )
    assert plane(grad_x) == [[1]]


def test_max_pool2d_backward_by_hand() -> None:
    _, argmax = reference.max_pool2d_with_argmax(IMAGE[:, ::-1], 2, strides=1)
    grad = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    grad_x = reference.max_pool2d_backward(grad, argmax, IMAGE.shape, 2, strides=1)
    assert plane(grad_x) == [[0, 1, 2], [0, 3, 4], [0, 0, 0]]


@pytest.mark.parametrize(
    ("options", "total", "real_pixels", "padded_pixels"),
    [
        ({}, [[12]], [[4]], [[4]]),
        ({"ceil_mode": True}, [[12, 9], [15, 9]], [[4, 2], [2, 1]], [[4, 2], [2, 1]]),
        ({"padding": "same"}, [[12, 9], [15, 9]], [[4, 2], [2, 1]], [[4, 4], [4, 4]]),
        ({"padding": (1, 0)}, [[3], [24]], [[2], [4]], [[4], [4]]),
        (
            {"padding": 1, "strides": 3, "ceil_mode": True},
            [[1, 3], [7, 9]],
            [[1, 1], [1, 1]],
            [[4, 4], [4, 4]],
        ),
        ({"padding": ((0, 3), (0, 0))}, [[12], [15], [0]], [[4], [2], [1]], [[4], [4], [4]]),
    ],
)
def test_sum_and_avg_pool2d_by_hand(
    options: dict[str, Any],
    total: list[list[float]],
    real_pixels: list[list[float]],
    padded_pixels: list[list[float]],
) -> None:
    assert plane(reference.sum_pool2d(IMAGE, 2, **options)) == total
    for include, pixels in ((False, real_pixels), (True, padded_pixels)):
        mean = reference.avg_pool2d(IMAGE, 2, count_include_pad=include, **options)
        np.testing.assert_array_equal(plane(mean), np.divide(total, pixels))


def test_sum_and_avg_pool2d_backward_by_hand() -> None:
    grad = np.array([[4.0, 8.0], [12.0, 16.0]]).reshape(1, 2, 2, 1)
    grad_x = reference.sum_pool2d_backward(grad, IMAGE.shape, 2, strides=1)
    assert plane(grad_x) == [[4, 12, 8], [16, 40, 24], [12, 28, 16]]
    grad_x = reference.avg_pool2d_backward(grad, IMAGE.shape, 2, ceil_mode=True)
    assert plane(grad_x) == [[1, 1, 4], [1, 1, 4], [6, 6, 16]]
    grad_x = reference.avg_pool2d_backward(grad, IMAGE.shape, 2, padding="same", count_include_pad=True)
    assert plane(grad_x) == [[1, 1, 2], [1, 1, 2], [3, 3, 4]]


def test_relu_by_hand() -> None:
    x = np.array([-1.0, -0.0, 0.0, 2.0, NAN, np.inf, -np.inf])
    np.testing.assert_array_equal(reference.relu(x), [0, 0, 0, 2, NAN, np.inf, 0])
    assert not np.signbit(reference.relu(x)).any()
    assert reference.relu_backward(np.arange(1.0, 8.0), x).tolist() == [0, 0, 0, 4, 5, 6, 0]


def test_dense_by_hand() -> None:
    x, kernel = np.array([[1.0, 2.0]]), np.array([[1.0, 10.0], [100.0, -1000.0]])
    assert reference.dense(x, kernel, [0.5, 0.25]).tolist() == [[201.5, -1989.75]]
    assert reference.dense(x, kernel, activation="relu").tolist() == [[201, 0]]
    grad_x, grad_kernel, grad_bias = reference.dense_backward([[3.0, 4.0]], x, kernel)
    assert (grad_x.tolist(), grad_bias.tolist()) == ([[43, -3700]], [3, 4])
    assert grad_kernel.tolist() == [[3, 4], [6, 8]]


def test_batch_norm_by_hand() -> None:
    x = np.array([[1.0], [3.0], [5.0], [7.0]])  # mean 4, variance (9 + 1 + 1 + 9) / 4 = 5
    y, mean, variance = reference.batch_norm_train(x, [6.0], [1.0], epsilon=4.0)
    assert (mean.tolist(), variance.tolist()) == ([4], [5])
    assert y.ravel().tolist() == [-5, -1, 3, 7]
    relu, _, _ = reference.batch_norm_train(x, [6.0], [1.0], epsilon=4.0, activation="relu")
    assert relu.ravel().tolist() == [0, 0, 3, 7]
    grad = np.array([[1.0], [0.0], [0.0], [0.0]])
    frozen = reference.batch_norm_backward(grad, x, [6.0], mean, variance, epsilon=4.0, training=False)
    assert [g.ravel().tolist() for g in frozen] == [[2, 0, 0, 0], [-1], [1]]
    # 6 / 3 * (grad - 1 / 4 - n * -1 / 4) with n = (x - 4) / 3 = -1, -1/3, 1/3, 1
    moving = reference.batch_norm_backward(grad, x, [6.0], mean, variance, epsilon=4.0)
    np.testing.assert_allclose(moving[0].ravel(), [1.0, -2 / 3, -1 / 3, 0.0], atol=1e-15)
    masked = reference.batch_norm_backward(
        grad, x, [6.0], mean, variance, epsilon=4.0, activation="relu", y=relu
    )
    assert [np.abs(g).sum() for g in masked] == [0, 0, 0]


def test_batch_norm_train_of_nothing_gives_zeros() -> None:
    y, mean, variance = reference.batch_norm_train(np.zeros((0, 2, 3)), None, None)
    assert (y.shape, mean.tolist(), variance.tolist()) == ((0, 2, 3), [0, 0, 0], [0, 0, 0])


# ---- by central differences -----------------------------------------------------------------------------


def check(function: Callable[..., Array], gradients: tuple[Array, ...], grad: Array, *inputs: Array) -> None:
    """Each gradient is the numeric one of its input; the step is the cube root of the rounding error."""
    for i, (gradient, x) in enumerate(zip(gradients, inputs, strict=True)):
        others = (inputs[:i], inputs[i + 1 :])

        def of_one(value: Array, others: tuple[tuple[Array, ...], ...] = others) -> Array:
            return function(*others[0], value, *others[1])

        numeric = numeric_gradient(of_one, x, grad, step=1e-5)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-7)


def arrays_for(case: ConvCase | TransposeCase, filters: int) -> tuple[Array, Array, Array]:
    """x, kernel and bias."""
    shapes = {"x": case.x, "kernel": case.kernel, "bias": (filters,)}
    x, kernel, bias = (draw(case.name + what, shape, np.float64) for what, shape in shapes.items())
    return x, kernel, bias


@each(CONV_CASES, "one_pixel_same", "dilated_strided_coprime", "grouped", "padded_asymmetric_strided")
def test_conv2d_backward_is_the_gradient(case: ConvCase) -> None:
    x, kernel, bias = arrays_for(case, case.kernel[3])
    grad = draw("grad", reference.conv2d_output_shape(case.x, case.kernel, **case.options), np.float64)
    gradients = reference.conv2d_backward(grad, x, kernel, **case.options)
    check(partial(reference.conv2d, **case.options), gradients, grad, x, kernel, bias)


@each(TRANSPOSE_CASES, "same_output_padding", "stride_beyond_kernel", "grouped", "padded_asymmetric")
def test_conv2d_transpose_backward_is_the_gradient(case: TransposeCase) -> None:
    shape = reference.conv2d_transpose_output_shape(case.x, case.kernel, **case.options)
    x, kernel, bias = arrays_for(case, shape[3])
    grad = draw("grad", shape, np.float64)
    gradients = reference.conv2d_transpose_backward(grad, x, kernel, **case.options)
    check(partial(reference.conv2d_transpose, **case.options), gradients, grad, x, kernel, bias)


@each(TRANSPOSE_CASES)
def test_conv2d_transpose_has_the_size_that_conv2d_takes_back(case: TransposeCase) -> None:
    shape = reference.conv2d_transpose_output_shape(case.x, case.kernel, **case.options)
    assert reference.conv2d_output_shape(shape, case.kernel, **case.conv_options) == case.x


@each(POOL_CASES, "ceil_padded", "dilated_same", "padding_beyond_window", "same_asymmetric")
def test_pool2d_backward_is_the_gradient(case: PoolCase) -> None:
    x = draw(case.name, case.x, np.float64)
    size, options = case.pool_size, case.options
    shape = reference.pool2d_output_shape(case.x, size, **options)
    grad = draw("grad", shape, np.float64)
    apart = np.random.default_rng(0).permutation(np.arange(float(x.size))).reshape(x.shape)
    _, argmax = reference.max_pool2d_with_argmax(apart, size, **options)

    def finite_max(image: Array) -> Array:
        return np.nan_to_num(reference.max_pool2d(image, size, **options), neginf=0.0)

    check(finite_max, (reference.max_pool2d_backward(grad, argmax, case.x, size, **options),), grad, apart)
    total = reference.sum_pool2d_backward(grad, case.x, size, **options)
    check(lambda image: reference.sum_pool2d(image, size, **options), (total,), grad, x)
    for include in (False, True):
        options = {**case.options, "count_include_pad": include}
        mean = reference.avg_pool2d_backward(grad, case.x, size, **options)
        check(partial(reference.avg_pool2d, pool_size=size, **options), (mean,), grad, x)


@each(NORM_CASES, "unit", "rows", "one_channel")
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "frozen"])
def test_batch_norm_backward_is_the_gradient(case: NormCase, activation: str | None, training: bool) -> None:
    x, grad = draw(case.name, case.x, np.float64), draw("grad", case.x, np.float64)
    gamma, beta = draw("gamma", case.x[-1:], np.float64), draw("beta", case.x[-1:], np.float64)
    y, mean, variance = reference.batch_norm_train(x, gamma, beta, activation=activation)

    def function(x: Array, gamma: Array, beta: Array) -> Array:
        if training:
            return reference.batch_norm_train(x, gamma, beta, activation=activation)[0]
        return reference.batch_norm(x, gamma, beta, mean, variance, activation=activation)

    gradients = reference.batch_norm_backward(
        grad, x, gamma, mean, variance, training=training, activation=activation, y=y
    )
    check(function, gradients, grad, x, gamma, beta)


def test_dense_backward_is_the_gradient() -> None:
    x, kernel, bias = (draw(str(shape), shape, np.float64) for shape in ((2, 3, 4), (4, 5), (5,)))
    grad = draw("grad", (2, 3, 5), np.float64)
    check(reference.dense, reference.dense_backward(grad, x, kernel), grad, x, kernel, bias)
