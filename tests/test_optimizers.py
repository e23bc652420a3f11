"""Optimizer steps, each computed by hand from Keras's formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import optimizers
from konv.initializers import Zeros
from konv.layers.variable import Variable
from konv.optimizers import SGD, Adam, Optimizer

GRADIENTS = [1.0, -2.0, 0.5]


def trajectory(optimizer, start=1.0, gradients=GRADIENTS, dtype="float64"):
    variable = Variable("w", (1,), np.dtype(dtype), Zeros(), 0)
    variable.assign(np.array([start]))
    values = []
    for gradient in gradients:
        optimizer.apply([np.array([gradient], dtype)], [variable])
        values.append(float(variable.value[0]))
    assert variable.value.dtype == dtype
    return values


def test_sgd():
    assert trajectory(SGD(0.1)) == pytest.approx([0.9, 1.1, 1.05])


def test_momentum():
    # v: -0.1, 0.9*-0.1+0.2 = 0.11, 0.9*0.11-0.05 = 0.049
    assert trajectory(SGD(0.1, momentum=0.9)) == pytest.approx([0.9, 1.01, 1.059])


def test_nesterov():
    # w += 0.9 v - lr g with the same v
    assert trajectory(SGD(0.1, momentum=0.9, nesterov=True)) == pytest.approx(
        [1 - 0.19, 1 - 0.19 + 0.299, 1 - 0.19 + 0.299 - 0.0059]
    )


def test_adam():
    w, m, v, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        w -= 0.001 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (math.sqrt(v) + 1e-7)
        expected.append(w)
    assert expected[0] == pytest.approx(0.999, abs=1e-8)  # the first step is the learning rate
    assert trajectory(Adam()) == pytest.approx(expected, rel=1e-13)
    # In float32 each of the three steps rounds a handful of times near 1.
    assert trajectory(Adam(), dtype="float32") == pytest.approx(expected, abs=3 * 2**-23)


def test_defaults_are_those_of_keras():
    assert SGD().get_config() == {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    assert Adam().get_config() == {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}


def test_each_variable_has_slots_of_its_own():
    optimizer = SGD(0.1, momentum=0.5)
    first, second = (Variable(name, (1,), np.dtype("float64"), Zeros(), 0) for name in "ab")
    optimizer.apply([np.ones(1)], [first])
    optimizer.apply([np.ones(1), np.ones(1)], [first, second])
    assert first.value[0] == pytest.approx(-0.1 - 0.15)
    assert second.value[0] == pytest.approx(-0.1)
    assert optimizer.iterations == 2
    assert optimizer.has_slots(first)
    assert not SGD().has_slots(first)


def test_learning_rate_can_change():
    optimizer = SGD(np.float64(0.1))
    optimizer.learning_rate = 0.2
    assert trajectory(optimizer, dtype="float32") == pytest.approx([0.8, 1.2, 1.1], rel=1e-6)


def test_update_is_given_the_rate_of_the_step():
    class Plain(Optimizer):
        def update(self, value, gradient, rate, *slots):
            value -= rate * gradient

    assert trajectory(Plain(0.1)) == trajectory(SGD(0.1))


def test_repr():
    assert repr(SGD(0.1)) == "SGD(learning_rate=0.1, momentum=0.0, nesterov=False)"


def test_names():
    assert isinstance(optimizers.get("adam"), Adam)
    assert isinstance(optimizers.get("SGD"), SGD)
    assert optimizers.get({"class_name": "SGD", "config": {"momentum": 0.5}}).momentum == 0.5


VARIABLE = Variable("w", (2,), np.dtype("float32"), Zeros(), 0)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: SGD("fast"), "SGD: learning_rate must be a number, received 'fast'"),
        (TypeError, lambda: SGD(True), "learning_rate must be a number"),
        (ValueError, lambda: SGD(-1), "learning_rate must be finite and at least 0, received -1"),
        (
            ValueError,
            lambda: Adam(math.nan),
            "Adam: learning_rate must be finite and at least 0, received nan",
        ),
        (ValueError, lambda: Adam(10**400), "learning_rate must be finite"),
        (ValueError, lambda: SGD(momentum=1.5), r"momentum must be in \[0, 1\], received 1.5"),
        (TypeError, lambda: SGD(nesterov=1), "nesterov must be True or False, received 1"),
        (ValueError, lambda: Adam(beta_1=1.0), r"beta_1 must be in \[0, 1\), received 1.0"),
        (ValueError, lambda: Adam(beta_2=-0.1), r"beta_2 must be in \[0, 1\)"),
        (ValueError, lambda: Adam(epsilon=math.inf), "epsilon must be finite and at least 0"),
        (ValueError, lambda: optimizers.get("rmsprop"), 'must be one of "sgd", "adam"'),
        (
            TypeError,
            lambda: optimizers.get(Adam),
            r"must be a str or an instance of Optimizer.*; did you forget \(\)\?$",
        ),
        (ValueError, lambda: SGD().apply([], [VARIABLE]), "one gradient for each variable, received 0 for 1"),
        (
            ValueError,
            lambda: SGD().apply([np.zeros(3)], [VARIABLE]),
            r"the gradient of 'w' must have its shape \(2,\), received \(3,\)",
        ),
        (
            NotImplementedError,
            lambda: Optimizer(0.1).apply([np.zeros(2)], [VARIABLE]),
            "update is not defined",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
