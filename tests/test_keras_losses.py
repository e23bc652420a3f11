"""Losses against Keras: values, mean, weighted mean, gradient, in both dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

import konv
from keras_build import construct
from keras_fixtures import Array, Case, for_each_case, rounding


def tolerance(case: Case) -> tuple[float, float]:
    """Return relative and absolute tolerance of a value of the loss.

    A value is a sum of at most 4 terms (12 for means of values), each a product of what exp, log, a division
    by a sum and a clip gave: 40 roundings bound it with room. Where terms cancel they are of the order of the
    largest logit (or 1), so as many roundings of that are the absolute part. What is lost near a probability
    of 1 is absolute too: log(1 - d) is off by the rounding of 1 - d.
    """
    y_pred = case.array("y_pred")
    relative = rounding(y_pred.dtype, 40)
    return relative, relative * max(1.0, float(np.abs(y_pred).max())) / 4


def gradient_tolerance(case: Case) -> tuple[float, float]:
    """Return tolerances of the gradient.

    From probabilities it has quotients up to 1 / clip: cancelling ones leave 40 roundings of the largest
    gradient. From logits and of a square it is of order 1.
    """
    gradient = case.array("gradient")
    relative = rounding(gradient.dtype, 40)
    finite = gradient[np.isfinite(gradient)]
    return relative, relative * max(1.0, float(np.abs(finite).max())) / 4


def assert_close(actual: Any, expected: Array, tolerances: tuple[float, float]) -> None:
    """Check shape, NaN, infinities and numbers."""
    assert np.shape(actual) == expected.shape
    np.testing.assert_allclose(actual, expected, *tolerances)


@for_each_case("losses")
def test_values(case: Case) -> None:
    loss = construct(konv, case["loss"])
    values, _ = loss.per_sample(case.array("y_true"), case.array("y_pred"))
    assert values.dtype == case.array("y_pred").dtype
    assert_close(values, case.array("values"), tolerance(case))


@for_each_case("losses")
def test_means(case: Case) -> None:
    loss = construct(konv, case["loss"])
    y_true, y_pred = case.array("y_true"), case.array("y_pred")
    relative, absolute = tolerance(case)
    assert_close(loss(y_true, y_pred), case.array("mean"), (relative, absolute))
    # The weights are at most 2.
    weighted = loss(y_true, y_pred, case.array("sample_weight"))
    assert_close(weighted, case.array("weighted"), (relative, 2 * absolute))


@for_each_case("losses")
def test_gradient(case: Case) -> None:
    loss = construct(konv, case["loss"])
    y_pred = case.array("y_pred")
    _, gradient = loss.per_sample(case.array("y_true"), y_pred)
    by_y_pred = gradient(case.array("scale"))
    assert by_y_pred.dtype == y_pred.dtype
    assert_close(by_y_pred, case.array("gradient"), gradient_tolerance(case))
