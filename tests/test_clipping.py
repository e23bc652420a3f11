"""Gradients clipped by value, by norm and by their norm together, as one step of SGD shows them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv.initializers import Zeros
from konv.layers.variable import Variable
from konv.optimizers import SGD


def changes(optimizer, *gradients, dtype="float64"):
    """What one step at a learning rate of 1 takes off zeros."""
    variables = [Variable("w", np.shape(gradient), np.dtype(dtype), Zeros(), 0) for gradient in gradients]
    optimizer.apply([np.array(gradient, dtype) for gradient in gradients], variables)
    return [(-variable.value).tolist() for variable in variables]


def test_clipvalue():
    assert changes(SGD(1.0, clipvalue=2), [3.0, -4.0, 1.0]) == [[2.0, -2.0, 1.0]]
    assert changes(SGD(1.0, clipvalue=1e300), [3.0], dtype="float32") == [[3.0]]


def test_clipnorm_is_of_each_variable():
    assert changes(SGD(1.0, clipnorm=1), [3.0, 4.0], [0.5], [0.0]) == [
        pytest.approx([0.6, 0.8], rel=1e-15),
        [0.5],
        [0.0],
    ]


def test_global_clipnorm_is_of_all_variables():
    first, second = changes(SGD(1.0, global_clipnorm=1), [3.0], [[4.0]])
    assert first == pytest.approx([0.6], rel=1e-15)
    assert second[0] == pytest.approx([0.8], rel=1e-15)
    assert changes(SGD(1.0, global_clipnorm=1), [0.5], [0.25]) == [[0.5], [0.25]]
    assert changes(SGD(1.0, global_clipnorm=1), [0.0]) == [[0.0]]


@pytest.mark.parametrize("clip", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_a_clip_of_zero_clips_nothing(clip):
    assert changes(SGD(1.0, **{clip: 0}), [3.0, 4.0]) == [[3.0, 4.0]]


@pytest.mark.parametrize("clip", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_a_single_number_is_clipped(clip):
    for dtype in ("float32", "float64"):
        assert changes(SGD(1.0, **{clip: 2}), 4.0, dtype=dtype) == [2.0]
        assert changes(SGD(1.0, 0.5, **{clip: 2}), 1.0, dtype=dtype) == [1.0]


def test_norms_of_float32_neither_overflow_nor_vanish():
    assert changes(SGD(1.0, clipnorm=1), [3e30, 4e30], dtype="float32") == [
        pytest.approx([0.6, 0.8], rel=1e-6)
    ]
    tiny = np.array([3e-30, 4e-30], "float32").tolist()
    assert changes(SGD(1.0, clipnorm=1), tiny, dtype="float32") == [tiny]
    assert changes(SGD(1.0, global_clipnorm=5e-31), tiny, dtype="float32") == [
        pytest.approx([3e-31, 4e-31], rel=1e-6)
    ]


def test_clipping_what_is_not_finite():
    """As Keras: by value NaN stays; by norm inf is NaN; by the global norm everything is NaN."""
    gradients = [math.inf, 1.0], [2.0]
    assert changes(SGD(1.0, clipvalue=3), [math.nan, -math.inf]) == [
        pytest.approx([math.nan, -3], nan_ok=True)
    ]
    assert changes(SGD(1.0, clipnorm=1), *gradients) == [pytest.approx([math.nan, 0.0], nan_ok=True), [1.0]]
    for first in (math.inf, math.nan):
        assert changes(SGD(1.0, global_clipnorm=1), [first], [2.0]) == [
            pytest.approx([math.nan], nan_ok=True),
            pytest.approx([math.nan], nan_ok=True),
        ]
