"""How far a right result may lie from the reference: bounds that follow from the lengths of the sums.

A sum of n products, in any order and with or without fused multiply-adds, computed with unit roundoff u,
is off by at most gamma_n * sum(|a_i| |b_i|), where gamma_n = n u / (1 - n u) (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd edition, section 3.1, equation 3.5; a bias is one more term). The
reference is rounded too, in float64, so both gammas count. Terms and magnitude are themselves computed by
the reference, element by element: on arrays of ones it counts the terms, on absolute values it adds up
their magnitudes. Nothing is fitted.

A bound that grows with n can hide one lost term of thousands. So the op tests also run small integers,
whose products and partial sums are all exact below 2^24: there every order of summation gives the same
bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import reference

Array = NDArray[np.float64]


def gamma(terms: ArrayLike, dtype: DTypeLike) -> Array:
    """The relative error bound gamma_n of n = `terms` roundings in this dtype."""
    n_u = np.asarray(terms, np.float64) * (np.finfo(dtype).eps / 2)
    return np.where(n_u < 1, n_u / np.maximum(1 - n_u, 1e-300), np.inf)


def sum_error(terms: ArrayLike, magnitude: Array, dtype: DTypeLike) -> Array:
    """The greatest distance between a sum computed in this dtype and the same sum computed in float64."""
    return (gamma(terms, dtype) + gamma(terms, np.float64)) * magnitude


@dataclass(frozen=True)
class Expected:
    """What the reference says, and the greatest error of a right implementation, element by element."""

    value: Array
    error: Array

    def relu(self) -> Expected:
        """After ReLU, which brings no two numbers further apart."""
        return Expected(reference.relu(self.value), self.error)


def expect(function: Callable[..., Array], *arrays: NDArray[Any] | None, roundings: int = 0) -> Expected:
    """Run a reference that sums products of its arrays' elements, and bound the error of the arrays' dtype.

    `roundings` are those beyond one for each term: the division of a mean, for example.
    """
    value = function(*arrays)
    terms = function(*(None if a is None else np.ones_like(a) for a in arrays))
    magnitude = function(*(None if a is None else np.abs(a) for a in arrays))
    dtype = next(a.dtype for a in arrays if a is not None)
    return Expected(value, sum_error(terms + roundings, magnitude, dtype))


def assert_close(actual: NDArray[Any], expected: Expected, dtype: DTypeLike) -> None:
    """Check dtype, shape, where elements are finite, and the error of each that is."""
    assert actual.dtype == dtype, f"dtype {actual.dtype}, expected {np.dtype(dtype)}"
    assert actual.shape == expected.value.shape, f"shape {actual.shape}, expected {expected.value.shape}"
    finite = np.isfinite(expected.value)
    np.testing.assert_array_equal(np.isfinite(actual), finite, "finite elements differ")
    error = np.abs(np.where(finite, actual, 0.0) - np.where(finite, expected.value, 0.0))
    wrong = finite & ~(error <= expected.error)
    if wrong.any():
        i = tuple(int(axis) for axis in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{wrong.sum()} of {wrong.size} elements are wrong, first at {i}: {actual[i]!r}, expected "
            f"{expected.value[i]!r} within {expected.error[i]:.3g}"
        )


def assert_within(actual: NDArray[Any], value: Array, error: float, dtype: DTypeLike) -> None:
    """Check dtype, shape, and that no element is further off than one error."""
    assert_close(actual, Expected(value, np.broadcast_to(np.float64(error), value.shape)), dtype)


def assert_close_where_finite(actual: NDArray[Any], expected: Expected, dtype: DTypeLike) -> None:
    """What the reference finds non-finite is so; the rest may be, and is right where it is not."""
    finite = np.isfinite(actual)
    assert np.isfinite(expected.value[finite]).all()
    hidden = Expected(np.where(finite, expected.value, 0.0), np.where(finite, expected.error, 0.0))
    assert_close(np.where(finite, actual, actual.dtype.type(0)), hidden, dtype)


def assert_same_bits(actual: NDArray[Any], expected: NDArray[Any], what: str = "") -> None:
    """Check dtype, shape and every bit; unlike `==`, this tells -0.0 from 0.0 and NaN from nothing."""
    assert actual.dtype == expected.dtype, f"dtype {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    unsigned = f"u{actual.dtype.itemsize}"
    np.testing.assert_array_equal(
        np.ascontiguousarray(actual).view(unsigned), np.ascontiguousarray(expected).view(unsigned), what
    )


# ---- batch normalisation --------------------------------------------------------------------------------


def expect_batch_norm(
    x: NDArray[Any],
    scale: NDArray[Any] | None,
    shift: NDArray[Any] | None,
    mean: NDArray[Any],
    variance: NDArray[Any],
    epsilon: float,
) -> Expected:
    """Bound inference: y = (x - mean) * scale / sqrt(variance + epsilon) + shift.

    The factor s = scale / sqrt(variance + epsilon) takes 5 roundings (epsilon to the dtype, the sum of
    two numbers that are not negative, the root, the quotient, the product). Then either (x - mean) * s +
    shift, or x * s + (shift - mean * s), which is no more than 3 roundings of each of x * s, mean * s and
    shift. Hence gamma_8 * ((|x| + |mean|) |s| + |shift|) covers both.
    """
    value = reference.batch_norm(x, scale, shift, mean, variance, epsilon=epsilon)
    magnitude = batch_norm_magnitude(x, scale, shift, mean, variance, epsilon)
    return Expected(value, sum_error(8, magnitude, x.dtype))


def batch_norm_magnitude(
    x: ArrayLike,
    scale: ArrayLike | None,
    shift: ArrayLike | None,
    mean: ArrayLike,
    variance: ArrayLike,
    epsilon: float,
) -> Array:
    """(|x| + |mean|) |scale| / sqrt(variance + epsilon) + |shift|."""
    scale = None if scale is None else np.abs(scale)
    shift = None if shift is None else np.abs(shift)
    return reference.batch_norm(np.abs(x), scale, shift, -np.abs(np.asarray(mean)), variance, epsilon=epsilon)


def expect_batch_norm_train(
    x: NDArray[Any], scale: NDArray[Any] | None, shift: NDArray[Any] | None, epsilon: float
) -> tuple[Expected, Expected, Expected]:
    """Bound (y, mean, variance) of training in two passes: the mean, then the squared distances from it.

    With M elements in a channel (Chan, Golub and LeVeque 1983, Algorithms for computing the sample
    variance):
    - the mean is a sum of M terms and one division: d_mean = gamma_{M+1} * mean(|x|);
    - the squares about a mean that is off by d average to variance + d^2, since the distances from the
      true mean add up to 0; each takes 2 roundings of the distance and 1 of the square, and their sum M +
      1 more: d_variance = d_mean^2 + gamma_{M+4} * (variance + d_mean^2);
    - y is inference (see there) with both off: |s| * d_mean, and the change of s, whose relative size is
      at most (1 - d_variance / (variance + epsilon))^(-1/2) - 1, times |x - mean| + d_mean.
    """
    y, mean, variance = reference.batch_norm_train(x, scale, shift, epsilon=epsilon)
    count = max(x.size // x.shape[-1], 1)
    mean_magnitude = np.abs(reference.float64(x)).reshape(-1, x.shape[-1]).sum(axis=0) / count
    d_mean = sum_error(count + 1, mean_magnitude, x.dtype)
    d_variance = d_mean**2 + sum_error(count + 4, variance + d_mean**2, x.dtype)
    relative = d_variance / (variance + epsilon)
    change_of_s = np.where(relative < 1, 1 / np.sqrt(np.maximum(1 - relative, 1e-300)) - 1, np.inf)
    s = np.abs(1.0 if scale is None else scale) / np.sqrt(variance + epsilon)
    off_statistics = s * d_mean + s * change_of_s * (np.abs(x - mean) + d_mean)
    rounding = sum_error(8, batch_norm_magnitude(x, scale, shift, mean, variance, epsilon), x.dtype)
    return (
        Expected(y, off_statistics * (1 + change_of_s) + rounding * (1 + change_of_s)),
        Expected(mean, d_mean),
        Expected(variance, d_variance),
    )


def expect_batch_norm_backward(
    grad: NDArray[Any],
    x: NDArray[Any],
    scale: NDArray[Any] | None,
    mean: NDArray[Any],
    variance: NDArray[Any],
    epsilon: float,
    training: bool,
) -> tuple[Expected, Expected, Expected]:
    """Bound the gradients by x, gamma and beta, M elements in a channel; grad is the one behind the ReLU.

    - by beta, a sum: gamma_M * sum(|g|);
    - by gamma, a sum of products g * n with the normalised n = (x - mean) / sqrt(variance + epsilon),
      which costs 6 roundings and whose terms are bounded by |n| <= N = (|x| + |mean|) / sqrt(variance +
      epsilon): gamma_{M+8} * sum(|g| N);
    - by x, s * (g - mean(g) - n * mean(g n)): the longest chain is two normalised factors, a sum, a
      division by M, the factor s and two subtractions: gamma_{M+24} * |s| (|g| + mean(|g|) + N mean(|g|
      N)); without the statistics' part only gamma_8 * |s| |g|.
    """
    values = reference.batch_norm_backward(grad, x, scale, mean, variance, epsilon=epsilon, training=training)
    count = max(x.size // x.shape[-1], 1)
    n = batch_norm_magnitude(x, None, None, mean, variance, epsilon)
    g = np.abs(reference.float64(grad))
    s = np.abs(1.0 if scale is None else scale) / np.sqrt(reference.float64(variance) + epsilon)
    sum_g = g.reshape(-1, x.shape[-1]).sum(axis=0)
    sum_gn = (g * n).reshape(-1, x.shape[-1]).sum(axis=0)
    by_x = s * (g + sum_g / count + n * sum_gn / count) if training else s * g
    return (
        Expected(values[0], sum_error(count + 24 if training else 8, by_x, x.dtype)),
        Expected(values[1], sum_error(count + 8, sum_gn, x.dtype)),
        Expected(values[2], sum_error(count, sum_g, x.dtype)),
    )
