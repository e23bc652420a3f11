"""Regularizers against Keras: penalty and gradient of a weight with zeros."""

from __future__ import annotations

import numpy as np
import pytest

import konv
from keras_build import construct
from keras_fixtures import Case, cases, for_each_case, rounding


@for_each_case("regularizers", having="regularizer")
def test_penalty_and_gradient(case: Case) -> None:
    """15 terms, each of 4 roundings. Keras's 0.01, the default, may be that of float32."""
    regularizer = construct(konv, case["regularizer"])
    value = cases("regularizers")["given"].array("value")
    relative = rounding("float32" if case["name"].endswith("defaults") else "float64", 15 + 4)
    assert regularizer(value) == pytest.approx(float(case.array("penalty")), rel=relative)
    np.testing.assert_allclose(regularizer.gradient(value), case.array("gradient"), rtol=relative)
