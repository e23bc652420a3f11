"""Optimizers and schedules against Keras: weights after each step, learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import konv
from keras_build import construct
from keras_fixtures import Case, cases, for_each_case, rounding
from konv.initializers import Zeros
from konv.layers.variable import Variable

NAMES = ("kernel", "bias")


def variable(name: str, dtype: Any) -> Variable:
    """Return a variable that holds the recorded start."""
    start = cases("optimizers")["given"].array(f"start_{name}")
    made = Variable(name, start.shape, np.dtype(dtype), Zeros(), 0)
    made.assign(start)
    return made


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@for_each_case("optimizers", having="optimizer")
def test_trajectory(case: Case, dtype: str) -> None:
    """Each step changes a weight, of size below 16, by some 20 roundings of an update, which is below 16 too
    (Adam divides like by like). So step t is off by 20 t roundings of 16 at most. Keras rounds Python's
    numbers to float32, and computes cosines in it: the fixture's numbers suffer no rounding, but for
    defaults."""
    in_float32 = case["name"].endswith(("defaults", "cosine"))
    precision = "float32" if in_float32 else dtype
    given = cases("optimizers")["given"]
    gradients = {name: given.array(f"gradients_{name}") for name in NAMES}
    optimizer = construct(konv, case["optimizer"])
    variables = {name: variable(name, dtype) for name in NAMES}
    for step, learning_rate in enumerate(case.array("learning_rates")):
        assert optimizer.learning_rate == pytest.approx(
            learning_rate, rel=rounding("float32" if in_float32 else "float64", 20)
        )
        optimizer.apply(
            [gradients[name][step].astype(dtype) for name in NAMES], [variables[name] for name in NAMES]
        )
        assert optimizer.iterations == step + 1
        for name in NAMES:
            expected = case.array(name)[step]
            assert np.abs(expected).max() < 16
            np.testing.assert_allclose(
                variables[name].value, expected, rtol=0, atol=rounding(precision, 20 * (step + 1)) * 16
            )
            assert variables[name].value.dtype == dtype


@for_each_case("schedules")
def test_schedule(case: Case) -> None:
    """Keras computes a schedule in float32, some 20 operations; their sum may be smaller than what it is of,
    which is no larger than the largest rate."""
    schedule = construct(konv, case["schedule"])
    values, expected = [schedule(int(step)) for step in case.array("steps")], case.array("values")
    relative = rounding("float32", 20)
    np.testing.assert_allclose(values, expected, rtol=relative, atol=relative * expected.max())
