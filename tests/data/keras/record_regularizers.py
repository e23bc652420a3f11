"""Regularizers: the penalty of a weight, and its gradient."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from fixture import Fixture

from keras_build import construct, draw

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("l1", "L1", {"l1": 0.0625}),
    ("l2", "L2", {"l2": 0.0625}),
    ("l1_l2", "L1L2", {"l1": 0.125, "l2": 0.0625}),
    ("l1_l2_defaults", "L1L2", {}),
    ("l1_defaults", "L1", {}),
    ("l2_defaults", "L2", {}),
]


def record() -> Fixture:
    """Record every regularizer on a weight with zeros."""
    fixture = Fixture()
    value = draw(np.random.default_rng(10), (3, 5))
    value[1, 2:4] = 0.0
    fixture.add({"name": "given"}, value=value)
    for name, cls, arguments in CASES:
        description = {"class": f"regularizers.{cls}", "arguments": arguments}
        variable = tf.Variable(value)
        with tf.GradientTape() as tape:
            penalty = tf.convert_to_tensor(construct(keras, description)(variable.value()), tf.float64)
        gradient = tape.gradient(penalty, variable, unconnected_gradients="zero")
        fixture.add({"name": name, "regularizer": description}, penalty=penalty, gradient=gradient)
    return fixture
