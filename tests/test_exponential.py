"""Activations made of the exponential function: errors within their bounds, over the whole range.

The bounds are derived in docs/kernels-cpu.md, in units of u, half the distance from 1 to the next number: 3
for e^x, 4 for e^x - 1; then one for each further operation. Float32 is compared with float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from arrays import Array
from konv import _core

U = 2.0**-24
SMALLEST = np.finfo(np.float32).tiny
SPECIAL = [0.0, -0.0, 1e-45, -1e-45, 1e-30, -1e-30, 0.34657, -0.34657, 0.34658, -0.34658]

RANGE = np.concatenate(
    [np.linspace(-110, 110, 200_003), np.linspace(-1, 1, 20_001), np.geomspace(1e-40, 1, 5_001), SPECIAL]
).astype(np.float32)


def logistic(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "exact", "units"),
    [
        ("sigmoid", logistic, 3 + 2),  # an addition and a division
        ("silu", lambda x: x * logistic(x), 3 + 3),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), 4),
        ("tanh", np.tanh, 8),
    ],
)
def test_errors(isa: str, name: str, exact: Callable[[Array], Array], units: int) -> None:
    y, expected = getattr(_core, name)(RANGE), exact(RANGE.astype(np.float64))
    least = SMALLEST * np.maximum(1, np.abs(RANGE))  # silu is 0 where its sigmoid is
    errors, normal = np.abs(y - expected), np.abs(expected) >= least
    assert (errors[normal] / np.abs(expected[normal])).max() <= units * U
    assert (errors <= least)[~normal].all()


def test_float64_agrees_with_numpy(isa: str) -> None:
    x = np.concatenate([np.linspace(-750, 720, 100_001), np.linspace(-1, 1, 10_001)])
    with np.errstate(over="ignore", under="ignore"):
        expected = {"sigmoid": 1 / (1 + np.exp(-x)), "tanh": np.tanh(x)}
    u = 2.0**-53
    for name, units in (("sigmoid", 5 + 4), ("tanh", 8 + 2)):  # NumPy's own roundings too
        y = getattr(_core, name)(x)
        normal = np.abs(expected[name]) >= np.finfo(np.float64).tiny
        np.testing.assert_allclose(y[normal], expected[name][normal], rtol=units * u)


def test_signs_of_zero(isa: str, dtype: np.dtype[np.float32]) -> None:
    zeros = np.array([0.0, -0.0], dtype)
    assert np.signbit(_core.tanh(zeros)).tolist() == [False, True]
    for name in ("relu", "relu6"):
        assert not np.signbit(getattr(_core, name)(zeros)).any()


@pytest.mark.parametrize("name", ["elu", "sigmoid", "tanh", "silu", "leaky_relu", "relu6", "hard_sigmoid"])
def test_an_element_is_the_same_wherever_it_stands(isa: str, dtype: np.dtype[np.float32], name: str) -> None:
    x = np.random.default_rng(0).normal(0, 3, 67).astype(dtype)
    whole = getattr(_core, name)(x)
    slopes = getattr(_core, f"{name}_backward")(x, whole)
    for length in range(67):
        part = np.ascontiguousarray(x[67 - length :])
        assert np.array_equal(getattr(_core, name)(part), whole[67 - length :])
        backward = getattr(_core, f"{name}_backward")(part, np.ascontiguousarray(whole[67 - length :]))
        assert np.array_equal(backward, slopes[67 - length :])


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"^tanh_backward: grad"):
        _core.tanh_backward(np.zeros(3, np.float32), np.zeros(4, np.float32))
