"""Activations: values and gradients in both dtypes, at kinks, at extremes, at NaN and the infinities."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from fixture import Fixture

CASES: dict[str, dict[str, Any]] = {
    "linear": {},
    "relu": {},
    "relu6": {},
    "leaky_relu": {},
    "elu": {},
    "sigmoid": {},
    "tanh": {},
    "silu": {},
    "gelu": {},
    "hard_sigmoid": {},
    "softmax": {},
}
"""Names with further arguments."""

POSITIVE = [0.0, 1e-30, 1e-8, 1e-3, 0.1, 0.5, 1.0, 1.7, 2.5, 2.999, 3.0, 3.001, 4.5, 5.999, 6.0, 6.001]
POSITIVE += [9.0, 17.0, 20.0, 40.0, 87.0, 89.0, 104.0, 400.0, 709.0, 710.0, 746.0, 1e4, 1e19, 1e30, np.inf]
X = np.array([*POSITIVE, *(-x for x in POSITIVE), np.nan])
ROWS = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0, -4.0],
        [800.0, 0.0, -800.0, 799.0],
        [-1e30, -1e30, -1e30, -1e30],
        [1e30, 1.0, 0.0, -1e30],
        [-np.inf, 0.0, 1.0, 2.0],
        [np.inf, 0.0, 1.0, 2.0],
        [np.nan, 0.0, 1.0, 2.0],
        [-np.inf, -np.inf, -np.inf, -np.inf],
    ]
)


def record() -> Fixture:
    """Record every activation."""
    fixture = Fixture()
    for name, arguments in CASES.items():
        for dtype in ("float64", "float32"):
            with np.errstate(over="ignore"):
                x = (ROWS if name == "softmax" else X).astype(dtype)
            upstream = np.random.default_rng(6).uniform(0.5, 1.5, x.shape).astype(dtype)
            variable = tf.Variable(x)
            with tf.GradientTape() as tape:
                y = getattr(keras.activations, name)(variable, **arguments)
                total = tf.reduce_sum(y * upstream)
            gradient = tape.gradient(total, variable)
            case = {"name": f"{name}_{dtype}", "activation": name}
            fixture.add(case, x=x, y=y, upstream=upstream, gradient=gradient)
    return fixture
