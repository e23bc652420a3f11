"""Softmax and its cross-entropies against their formulas in extended precision, to the bounds of each step.

With u the unit roundoff and d = z - max, rounded once, exp(d) is off by (3 + |d|) u of itself (see
csrc/cpu/kernels/exponential.hpp), rounded once more below the least normal number. As d exp(-d) is below 0.4
and the sum of n exponentials at least 1, the sum is off by (3 + n + 0.4 n) u of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from arrays import Array
from konv import _core
from konv.activations import softmax
from konv.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from tolerance import assert_same_bits

CLASSES = [1, 2, 3, 8, 10, 15, 16, 17, 31, 33, 64, 100, 1000]
SPREADS = {"near": 1.0, "far": 40.0, "beyond": 1e4}
each_shape = pytest.mark.parametrize("classes", CLASSES)
each_spread = pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS)


def logits(classes: int, spread: float, dtype: np.dtype[Any], rows: int = 37) -> Array:
    random = np.random.default_rng(classes)
    return (random.normal(size=(rows, classes)) * spread + random.normal(size=(rows, 1))).astype(dtype)


class Exact:
    """Softmax of logits in extended precision, and bounds of the errors that a kernel may make."""

    def __init__(self, z: Array) -> None:
        z, info = np.longdouble(z), np.finfo(z.dtype)
        self.u = np.longdouble(info.eps) / 2
        self.largest = z.max(axis=-1, keepdims=True)
        self.distance = z - self.largest
        e = np.exp(self.distance)
        self.total = e.sum(axis=-1, keepdims=True)
        self.p = e / self.total
        self.of_total = (3 + 1.4 * z.shape[-1]) * self.u
        # of the exponential, of the sum, of the quotient and the product; and what is too small
        relative = (3 + abs(self.distance) + 2) * self.u + self.of_total
        self.of_p = relative * self.p + 2 * np.longdouble(info.tiny)


def test_exponentials(isa: str, dtype: np.dtype[Any]) -> None:
    """Alone: the gradient of logits whose largest is said to be 0 and whose sum 1."""
    info = np.finfo(dtype)
    least = np.log(np.longdouble(info.tiny))
    x = np.linspace(float(np.log(np.longdouble(info.smallest_subnormal))) - 3, 0, 400_003, dtype=dtype)
    x[-3:] = -info.tiny, -info.smallest_subnormal, -0.0
    z = np.stack([np.zeros_like(x), x], axis=-1)
    zeros, ones = np.zeros(len(x), dtype), np.ones(len(x), dtype)
    labels = np.zeros(len(x), np.int64)
    found = _core.softmax_cross_entropy_backward(z, labels, None, zeros, ones, None, ones[:1])[:, 1]
    exact = np.exp(np.longdouble(x))
    normal = x >= dtype.type(least) * (1 - info.eps)
    allowed = 3 * np.longdouble(info.eps) / 2 * exact + np.where(normal, 0, info.smallest_subnormal)
    assert (abs(found - exact) <= allowed).all()
    assert (found[-3:] == 1).all()


@each_spread
@each_shape
def test_softmax(isa: str, dtype: np.dtype[Any], classes: int, spread: float) -> None:
    z = logits(classes, spread, dtype)
    exact = Exact(z)
    y = softmax(z)
    assert (y.dtype, y.shape) == (dtype, z.shape)
    assert (abs(y - exact.p) <= exact.of_p).all()
    assert_same_bits(softmax(z[3]), y[3])  # a row alone, of one axis


@each_spread
@each_shape
def test_sparse(isa: str, dtype: np.dtype[Any], classes: int, spread: float) -> None:
    z = logits(classes, spread, dtype)
    labels = np.random.default_rng(1).integers(0, classes, len(z))
    scale = np.random.default_rng(2).normal(size=len(z)).astype(dtype)
    exact = Exact(z)
    values, gradient = SparseCategoricalCrossentropy(from_logits=True).per_sample(labels, z)
    log_total = np.log(exact.total[:, 0])
    distance = exact.distance[np.arange(len(z)), labels]
    bound = exact.of_total + exact.u * (3 * log_total + 2 * abs(distance))
    assert (abs(values - (log_total - distance)) <= bound).all()

    one_hot = np.eye(classes)[labels]
    expected = scale[:, None] * (exact.p - one_hot)
    bound = abs(scale[:, None]) * exact.of_p + exact.u * abs(expected)
    assert (abs(gradient(scale) - expected) <= 1.01 * bound).all()


@each_spread
@each_shape
def test_categorical(isa: str, dtype: np.dtype[Any], classes: int, spread: float) -> None:
    z = logits(classes, spread, dtype)
    t = np.random.default_rng(1).uniform(-1, 2, z.shape).astype(dtype)
    scale = np.random.default_rng(2).normal(size=len(z)).astype(dtype)
    exact = Exact(z)
    weight, magnitude = np.longdouble(t).sum(axis=-1), abs(np.longdouble(t)).sum(axis=-1)
    values, gradient = CategoricalCrossentropy(from_logits=True).per_sample(t, z)
    log_total = np.log(exact.total[:, 0])
    labelled = (t * exact.distance).sum(axis=-1)
    sums = (classes + 4) * exact.u
    bound = magnitude * (exact.of_total + (sums + 4 * exact.u) * log_total)
    bound += sums * abs(t * exact.distance).sum(axis=-1)
    assert (abs(values - (weight * log_total - labelled)) <= bound).all()

    expected = scale[:, None] * (exact.p * weight[:, None] - t)
    relative = magnitude[:, None] * (exact.of_p + sums * exact.p) + 2 * exact.u * abs(t)
    bound = abs(scale[:, None]) * relative + 2 * exact.u * abs(expected)
    assert (abs(gradient(scale) - expected) <= 1.01 * bound).all()


@each_shape
def test_one_hot_rows_have_the_bits_of_labels(isa: str, dtype: np.dtype[Any], classes: int) -> None:
    """The gradient subtracts them from a rounded product, as labels are subtracted afterwards."""
    z = logits(classes, 1.0, dtype)
    labels = np.random.default_rng(1).integers(0, classes, len(z))
    scale = np.random.default_rng(2).normal(size=len(z)).astype(dtype)
    _, of_labels = SparseCategoricalCrossentropy(from_logits=True).per_sample(labels, z)
    one_hot = np.eye(classes, dtype=dtype)[labels]
    _, of_one_hot = CategoricalCrossentropy(from_logits=True).per_sample(one_hot, z)
    assert_same_bits(of_one_hot(scale), of_labels(scale))


def test_no_rows(dtype: np.dtype[Any]) -> None:
    z = np.empty((0, 5), dtype)
    assert softmax(z).shape == z.shape
    values, gradient = SparseCategoricalCrossentropy(from_logits=True).per_sample(np.empty(0, int), z)
    assert (values.shape, gradient(1.0).shape) == ((0,), z.shape)


def test_infinities_and_nan(isa: str, dtype: np.dtype[Any]) -> None:
    """A row is NaN where no largest number is left; other rows don't see it."""
    inf, nan = np.inf, np.nan
    z = np.array([[0, -inf, 0], [0, nan, 1], [0, inf, 1], [-inf] * 3, [1e30, 0, -1e30], [0, 0, 0]], dtype)
    expected = np.array([[0.5, 0, 0.5], *[[nan] * 3] * 3, [1, 0, 0], [1 / 3] * 3])
    wide = np.concatenate([z, np.full((6, 20), -inf, dtype)], axis=1)
    np.testing.assert_allclose(softmax(z), expected, rtol=1e-6)
    np.testing.assert_allclose(softmax(wide)[:, :3], expected, rtol=1e-6)
    loss = SparseCategoricalCrossentropy(from_logits=True)
    values, gradient = loss.per_sample(np.zeros(6, int), z)
    np.testing.assert_array_equal(np.isnan(values), np.isnan(expected[:, 0]))
    np.testing.assert_array_equal(np.isnan(gradient(1.0)), np.isnan(expected))
    assert values[4] == 0


def test_threads_do_not_change_a_bit(
    isa: str, dtype: np.dtype[Any], set_threads: Callable[[int], None]
) -> None:
    z = logits(21, 3.0, dtype, rows=5000)
    labels = np.random.default_rng(1).integers(0, 21, len(z))
    t = np.random.default_rng(2).uniform(size=z.shape).astype(dtype)

    def results(threads: int) -> list[Array]:
        set_threads(threads)
        sparse, of_sparse = SparseCategoricalCrossentropy(True).per_sample(labels, z)
        rows, of_rows = CategoricalCrossentropy(True).per_sample(t, z)
        return [softmax(z), sparse, of_sparse(0.1), rows, of_rows(0.1)]

    expected = results(1)
    for own, whole in zip(results(3), expected, strict=True):
        assert_same_bits(own, whole)


Z, LABELS = np.zeros((4, 3), np.float32), np.zeros(4, np.int64)
ROW = np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: _core.softmax(Z[:, :0]), "^softmax: the last axis must have at least 1 element"),
        (TypeError, lambda: _core.softmax(LABELS), "^softmax: x must have the dtype float32 or float64"),
        (
            ValueError,
            lambda: _core.softmax_cross_entropy(Z, np.full(4, 3), None),
            "^softmax_cross_entropy: labels must lie in 0..2, received 3$",
        ),
        (
            ValueError,
            lambda: _core.softmax_cross_entropy(Z, np.full(4, -1), None),
            "^softmax_cross_entropy: labels must lie in 0..2, received -1$",
        ),
        (ValueError, lambda: _core.softmax_cross_entropy(Z, LABELS[:3], None), "labels must have the shape"),
        (TypeError, lambda: _core.softmax_cross_entropy(Z, ROW, None), "labels must have the dtype int64"),
        (ValueError, lambda: _core.softmax_cross_entropy(Z, None, Z[:3]), "weights must have the shape"),
        (
            ValueError,
            lambda: _core.softmax_cross_entropy(Z, None, None),
            "^softmax_cross_entropy: one of labels and weights must be given$",
        ),
        (
            ValueError,
            lambda: _core.softmax_cross_entropy_backward(Z, LABELS, None, ROW, ROW, ROW, ROW),
            "weights and their sums must be given together$",
        ),
        (
            ValueError,
            lambda: _core.softmax_cross_entropy_backward(Z, LABELS, None, ROW, ROW, None, ROW[:3]),
            "scale must have the shape",
        ),
        (
            ValueError,
            lambda: _core.softmax_cross_entropy_backward(Z, LABELS, None, ROW[:3], ROW, None, ROW),
            "largest must have the shape",
        ),
    ],
)
def test_errors_of_the_kernel_module(error: type[Exception], call: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
