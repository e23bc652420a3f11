"""Activations against Keras: values and gradients at kinks, extremes, NaN and infinities, in both dtypes."""

from __future__ import annotations

import numpy as np

from keras_fixtures import Case, for_each_case, rounding
from konv import activations

ROUNDED = ("leaky_relu", "gelu")
"""TensorFlow has their constants, 0.2 and sqrt(2), in float32 alone."""


def tolerance(case: Case) -> tuple[float, float]:
    """Return relative and absolute tolerance.

    An activation is some 20 operations, of an exp, erf or tanh good to a few roundings of its result. But
    1 - tanh(x)^2 and the like lose all but the roundings of 1, and x (1 + erf(x)) those of 6, beyond which it
    is 0: that is the absolute part.
    """
    dtype = np.float32 if case["activation"] in ROUNDED else case.array("x").dtype
    return rounding(dtype, 20), rounding(dtype, 20)


@for_each_case("activations")
def test_value(case: Case) -> None:
    """At -inf silu and gelu are NaN in Keras, -inf * 0, and their limit, 0, in Konv."""
    x, expected = case.array("x"), case.array("y")
    y, _ = activations.get(case["activation"]).forward(x)
    assert y.dtype == expected.dtype
    if case["activation"] in ("silu", "gelu"):
        assert np.isnan(expected[x == -np.inf]).all()
        expected = np.where(x == -np.inf, 0.0, expected)
    np.testing.assert_allclose(y, expected, *tolerance(case))


@for_each_case("activations")
def test_gradient(case: Case) -> None:
    """At NaN and infinities gradients are as each library likes: Keras's are 0, NaN or the upstream one."""
    activation = activations.get(case["activation"])
    _, kept = activation.forward(case.array("x"))
    gradient = activation.backward(case.array("upstream"), kept)
    finite = np.isfinite(case.array("x"))
    assert gradient.dtype == case.array("gradient").dtype
    assert gradient.shape == case.array("gradient").shape
    np.testing.assert_allclose(gradient[finite], case.array("gradient")[finite], *tolerance(case))
