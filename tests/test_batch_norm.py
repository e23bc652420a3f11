"""`konv.ops.batch_norm`, `batch_norm_train` and `batch_norm_backward` against the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import reference
from arrays import LAYOUTS, Array, draw, guarded, with_non_finite
from cases import NORM_CASES, NormCase, each, pick
from konv import ops
from numeric_gradient import numeric_gradient
from tolerance import (
    Expected,
    assert_close,
    assert_same_bits,
    expect_batch_norm,
    expect_batch_norm_backward,
    expect_batch_norm_train,
)

FLOAT64 = np.dtype("float64")
every_case = each(NORM_CASES)
each_mode = pytest.mark.parametrize("training", [True, False], ids=["training", "frozen"])


@dataclass(frozen=True)
class Arrays:
    """The arrays of one case; mean and variance are those of x, rounded."""

    x: Array
    grad: Array
    gamma: Array | None
    beta: Array | None
    mean: Array
    variance: Array


@cache
def arrays(case: NormCase, dtype: np.dtype[Any]) -> Arrays:
    x = draw(f"{case.name} x", case.x, dtype, centre=case.centre)
    channels = case.x[-1:]
    _, mean, variance = reference.batch_norm_train(x, None, None)
    return Arrays(
        x,
        draw(f"{case.name} grad", case.x, dtype),
        draw(f"{case.name} gamma", channels, dtype) if case.scaled else None,
        draw(f"{case.name} beta", channels, dtype) if case.shifted else None,
        guarded(mean.astype(dtype)),
        guarded(variance.astype(dtype)),
    )


@cache
def expected_inference(case: NormCase, dtype: np.dtype[Any]) -> Expected:
    a = arrays(case, dtype)
    return expect_batch_norm(a.x, a.gamma, a.beta, a.mean, a.variance, case.epsilon)


@cache
def expected_training(case: NormCase, dtype: np.dtype[Any]) -> tuple[Expected, Expected, Expected]:
    a = arrays(case, dtype)
    return expect_batch_norm_train(a.x, a.gamma, a.beta, case.epsilon)


@cache
def expected_gradients(
    case: NormCase, dtype: np.dtype[Any], training: bool, relu: bool
) -> tuple[Expected, Expected, Expected]:
    a = arrays(case, dtype)
    grad = reference.relu_backward(a.grad, output(case, dtype)).astype(dtype) if relu else a.grad
    return expect_batch_norm_backward(grad, a.x, a.gamma, a.mean, a.variance, case.epsilon, training)


@cache
def output(case: NormCase, dtype: np.dtype[Any]) -> Array:
    """A result of the forward pass, to tell where its ReLU was open."""
    a = arrays(case, dtype)
    y = reference.batch_norm(a.x, a.gamma, a.beta, a.mean, a.variance, epsilon=case.epsilon)
    return guarded(reference.relu(y).astype(dtype))


@every_case
def test_inference(isa: str, dtype: np.dtype[Any], case: NormCase) -> None:
    a = arrays(case, dtype)
    arguments = (a.x, a.gamma, a.beta, a.mean, a.variance)
    y = ops.batch_norm(*arguments, epsilon=case.epsilon)
    assert_close(y, expected_inference(case, dtype), dtype)
    relu = ops.batch_norm(*arguments, epsilon=case.epsilon, activation="relu")
    assert_same_bits(relu, ops.relu(y))


@every_case
def test_training(isa: str, dtype: np.dtype[Any], case: NormCase) -> None:
    a = arrays(case, dtype)
    results = ops.batch_norm_train(a.x, a.gamma, a.beta, epsilon=case.epsilon)
    for result, expected in zip(results, expected_training(case, dtype), strict=True):
        assert_close(result, expected, dtype)
    relu = ops.batch_norm_train(a.x, a.gamma, a.beta, epsilon=case.epsilon, activation="relu")
    for result, expected in zip(relu, (ops.relu(results[0]), *results[1:]), strict=True):
        assert_same_bits(result, expected)


@each_mode
@pytest.mark.parametrize("activation", [None, "relu"], ids=["linear", "relu"])
@every_case
def test_backward(
    isa: str, dtype: np.dtype[Any], case: NormCase, training: bool, activation: str | None
) -> None:
    a = arrays(case, dtype)
    y = output(case, dtype) if activation else None
    results = ops.batch_norm_backward(
        *(a.grad, a.x, a.gamma, a.mean, a.variance),
        epsilon=case.epsilon,
        training=training,
        activation=activation,
        y=y,
    )
    for result, expected in zip(
        results, expected_gradients(case, dtype, training, activation == "relu"), strict=True
    ):
        assert_close(result, expected, dtype)


@each_mode
@pytest.mark.parametrize("activation", [None, "relu"], ids=["linear", "relu"])
@every_case
def test_backward_takes_the_gradient_of_the_relu_before(
    isa: str, dtype: np.dtype[Any], case: NormCase, training: bool, activation: str | None
) -> None:
    """To the bits of the two passes one after the other."""
    a = arrays(case, dtype)
    x = ops.relu(a.x)
    options = {"epsilon": case.epsilon, "training": training, "activation": activation}
    arguments = (a.grad, x, a.gamma, a.mean, a.variance)
    y = output(case, dtype) if activation else None
    grad_x, *grads = ops.batch_norm_backward(*arguments, **options, y=y)
    masked_x, *same = ops.batch_norm_backward(*arguments, **options, y=y, x_activation="relu")
    assert_same_bits(masked_x, ops.relu_backward(grad_x, x))
    for one, other in zip(same, grads, strict=True):
        assert_same_bits(one, other)


def test_the_relu_before_lets_a_nan_through(isa: str, dtype: np.dtype[Any]) -> None:
    x = np.array([[np.nan, 0.0, -0.0, 1.0]], dtype)
    ones = np.ones(4, dtype)
    grad_x, *_ = ops.batch_norm_backward(
        ones[None], x, None, 0 * ones, ones, epsilon=0, training=False, x_activation="relu"
    )
    assert grad_x.tolist() == [[1, 0, 0, 1]]


@each_mode
@each(NORM_CASES, "rows", "no_scale")
def test_numeric_gradients(isa: str, case: NormCase, training: bool) -> None:
    a = arrays(case, FLOAT64)

    def forward(x: Array, gamma: Array | None, beta: Array | None) -> Array:
        if training:
            return ops.batch_norm_train(x, gamma, beta)[0]
        return ops.batch_norm(x, gamma, beta, a.mean, a.variance)

    results = ops.batch_norm_backward(a.grad, a.x, a.gamma, a.mean, a.variance, training=training)
    functions = (
        (a.x, lambda x: forward(x, a.gamma, a.beta)),
        (a.gamma, lambda gamma: forward(a.x, gamma, a.beta)),
        (a.beta, lambda beta: forward(a.x, a.gamma, beta)),
    )
    for result, (array, function) in zip(results, functions, strict=True):
        if array is not None:
            numeric = numeric_gradient(function, array, a.grad, 1e-5)
            np.testing.assert_allclose(result, numeric, rtol=1e-7, atol=1e-7)


def test_constant_channel_is_exact(isa: str, dtype: np.dtype[Any]) -> None:
    """Its mean is the constant and its variance 0, not the rest of a cancellation."""
    x = np.full((4, 8, 8, 5), 1024.5, dtype)
    beta = draw("beta", (5,), dtype)
    y, mean, variance = ops.batch_norm_train(x, None, beta)
    assert (mean == 1024.5).all()
    assert not variance.any()
    assert_close(y, expect_batch_norm(x, None, beta, mean, variance, 1e-3), dtype)


def test_variance_is_biased(isa: str, dtype: np.dtype[Any]) -> None:
    x = np.array([[1.0], [3.0], [5.0], [7.0]], dtype)
    _, mean, variance = ops.batch_norm_train(x, None, None)
    assert (mean.tolist(), variance.tolist()) == ([4], [5])


def test_nothing_has_mean_and_variance_zero(isa: str, dtype: np.dtype[Any]) -> None:
    x = np.empty((0, 2, 2, 3), dtype)
    y, mean, variance = ops.batch_norm_train(x, None, None)
    assert y.shape == x.shape
    assert (mean.tolist(), variance.tolist()) == ([0, 0, 0], [0, 0, 0])
    grad_x, grad_gamma, grad_beta = ops.batch_norm_backward(x, x, None, mean, variance)
    assert grad_x.shape == x.shape
    assert (grad_gamma.tolist(), grad_beta.tolist()) == ([0, 0, 0], [0, 0, 0])


def test_non_finite_values_stay_in_their_channel(isa: str, dtype: np.dtype[Any]) -> None:
    a = arrays(pick(NORM_CASES, "channels_17")[0], dtype)
    x = a.x.copy()
    x[1, 2, 0, 3], x[0, 1, 1, 16] = np.nan, np.inf
    y, mean, variance = ops.batch_norm_train(x, a.gamma, a.beta)
    touched = np.isin(np.arange(17), (3, 16))
    for result in (mean, variance, y.reshape(-1, 17)[0], y.reshape(-1, 17)[-1]):
        np.testing.assert_array_equal(np.isfinite(result), ~touched)
    y = ops.batch_norm(with_non_finite(a.x), a.gamma, a.beta, a.mean, a.variance)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(with_non_finite(a.x)))
    relu = ops.batch_norm(with_non_finite(a.x), a.gamma, a.beta, a.mean, a.variance, activation="relu")
    np.testing.assert_array_equal(relu, reference.relu(y))


@pytest.mark.parametrize("rows", [1, 40, 5000])
@pytest.mark.parametrize("infinity", [np.inf, -np.inf])
def test_the_mean_of_one_infinity_is_that(isa: str, dtype: np.dtype[Any], rows: int, infinity: float) -> None:
    """Also where the means are distances from it: it stands in the first row of all, or of a block."""
    for row in {0, rows // 2, rows - 1}:
        x = np.ones((rows, 3), dtype)
        x[row, 1] = infinity
        _, mean, variance = ops.batch_norm_train(x, None, None)
        assert mean.tolist() == [1, infinity, 1]
        assert (variance[[0, 2]].tolist(), np.isnan(variance[1])) == ([0, 0], True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(dtype: np.dtype[Any], layout: str) -> None:
    a = arrays(pick(NORM_CASES, "unit")[0], dtype)
    change = LAYOUTS[layout]
    x, grad, gamma, beta, mean, variance = (
        change(v) for v in (a.x, a.grad, a.gamma, a.beta, a.mean, a.variance)
    )
    assert_same_bits(
        ops.batch_norm(x, gamma, beta, mean, variance),
        ops.batch_norm(a.x, a.gamma, a.beta, a.mean, a.variance),
    )
    pairs = [
        (ops.batch_norm_train(x, gamma, beta), ops.batch_norm_train(a.x, a.gamma, a.beta)),
        (
            ops.batch_norm_backward(grad, x, gamma, mean, variance),
            ops.batch_norm_backward(a.grad, a.x, a.gamma, a.mean, a.variance),
        ),
    ]
    for actual, expected in pairs:
        for one, other in zip(actual, expected, strict=True):
            assert_same_bits(one, other)
