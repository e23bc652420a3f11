"""Losses: values, mean, weighted mean, gradient; each in float32 too, where clipping rounds differently."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from fixture import Fixture

from keras_build import construct

RANDOM = np.random.default_rng(1)
LABELS = np.array([0, 3, 1, 2, 2])
ROWS = np.eye(4)[LABELS]
SOFT_ROWS = RANDOM.dirichlet(np.ones(4), 5)
PROBABILITIES = RANDOM.dirichlet(np.ones(4), 5)
UNNORMALISED = PROBABILITIES * np.array([[3.0], [0.2], [1.0], [50.0], [1e-3]])
CERTAIN = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [1e-8, 0, 1 - 1e-9, 1e-8]])
LOGITS = RANDOM.normal(0, 3, (5, 4))
LARGE_LOGITS = np.array(
    [[800.0, 0, -800, 1], [800, 0, -800, 1], [-1e4, 1e4, 0, 0], [90, 90, 90, 90], [0, 0, 0, -1e5]]
)
PIXELS = RANDOM.dirichlet(np.ones(3), (2, 3, 2))
PIXEL_LABELS = RANDOM.integers(0, 3, (2, 3, 2))
BITS = np.array([[1.0, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
SOFT_BITS = RANDOM.uniform(0, 1, (4, 3))
CHANCES = RANDOM.uniform(0.01, 0.99, (4, 3))
SATURATED = np.array([[1.0, 0, 0], [1, 1e-8, 1 - 1e-8], [0, 1, 0.5], [1e-7, 1 - 1e-7, 1e-6]])
BIT_LOGITS = RANDOM.normal(0, 3, (4, 3))
LARGE_BIT_LOGITS = np.array([[100.0, -100, -1e4], [1e4, 50, -50], [0, -0.0, 17], [-17, 800, -800]])

CATEGORICAL, SPARSE = "losses.CategoricalCrossentropy", "losses.SparseCategoricalCrossentropy"
BINARY, SQUARED = "losses.BinaryCrossentropy", "losses.MeanSquaredError"
FROM_LOGITS: dict[str, Any] = {"from_logits": True}
SMOOTHED: dict[str, Any] = {"label_smoothing": 0.1}

CASES: list[tuple[str, str, dict[str, Any], Any, Any]] = [
    ("categorical", CATEGORICAL, {}, ROWS, PROBABILITIES),
    ("categorical_soft_rows", CATEGORICAL, {}, SOFT_ROWS, PROBABILITIES),
    ("categorical_rows_of_any_sum", CATEGORICAL, {}, ROWS * 2 - 0.25, PROBABILITIES),
    ("categorical_unnormalised", CATEGORICAL, {}, ROWS, UNNORMALISED),
    ("categorical_certain", CATEGORICAL, {}, ROWS, CERTAIN),
    ("categorical_smoothed", CATEGORICAL, SMOOTHED, ROWS, PROBABILITIES),
    ("categorical_smoothed_certain", CATEGORICAL, SMOOTHED, ROWS, CERTAIN),
    ("categorical_pixels", CATEGORICAL, {}, np.eye(3)[PIXEL_LABELS], PIXELS),
    ("categorical_logits", CATEGORICAL, FROM_LOGITS, ROWS, LOGITS),
    ("categorical_logits_rows_of_any_sum", CATEGORICAL, FROM_LOGITS, ROWS * 2 - 0.25, LOGITS),
    ("categorical_logits_large", CATEGORICAL, FROM_LOGITS, ROWS, LARGE_LOGITS),
    ("categorical_logits_smoothed", CATEGORICAL, FROM_LOGITS | SMOOTHED, SOFT_ROWS, LOGITS),
    ("sparse", SPARSE, {}, LABELS, PROBABILITIES),
    ("sparse_column", SPARSE, {}, LABELS[:, None], PROBABILITIES),
    ("sparse_unnormalised", SPARSE, {}, LABELS, UNNORMALISED),
    ("sparse_certain", SPARSE, {}, LABELS, CERTAIN),
    ("sparse_pixels", SPARSE, {}, PIXEL_LABELS, PIXELS),
    ("sparse_logits", SPARSE, FROM_LOGITS, LABELS, LOGITS),
    ("sparse_logits_large", SPARSE, FROM_LOGITS, LABELS, LARGE_LOGITS),
    ("binary", BINARY, {}, BITS, CHANCES),
    ("binary_soft", BINARY, {}, SOFT_BITS, CHANCES),
    ("binary_saturated", BINARY, {}, BITS, SATURATED),
    ("binary_beyond_0_to_1", BINARY, {}, BITS, CHANCES * 3 - 1),
    ("binary_smoothed", BINARY, SMOOTHED, BITS, CHANCES),
    ("binary_smoothed_saturated", BINARY, SMOOTHED, BITS, SATURATED),
    ("binary_logits", BINARY, FROM_LOGITS, BITS, BIT_LOGITS),
    ("binary_logits_large", BINARY, FROM_LOGITS, BITS, LARGE_BIT_LOGITS),
    ("binary_logits_smoothed", BINARY, FROM_LOGITS | SMOOTHED, SOFT_BITS, BIT_LOGITS),
    ("squared", SQUARED, {}, SOFT_BITS, BIT_LOGITS),
    ("squared_pixels", SQUARED, {}, np.eye(3)[PIXEL_LABELS], PIXELS),
]


def record() -> Fixture:
    """Record every case in both dtypes."""
    fixture = Fixture()
    for name, loss, arguments, y_true, y_pred in CASES:
        for dtype in ("float64", "float32"):
            description = {"class": loss, "arguments": arguments}
            add(fixture, {"name": f"{name}_{dtype}", "loss": description}, dtype, y_true, y_pred)
    return fixture


def add(fixture: Fixture, case: dict[str, Any], dtype: str, y_true: Any, y_pred: Any) -> None:
    """Record one case."""
    y_true = y_true if y_true.dtype.kind == "i" else y_true.astype(dtype)
    y_pred = y_pred.astype(dtype)
    description, options = case["loss"], {"dtype": dtype}

    def loss(reduction: str | None) -> Any:
        arguments = {**description["arguments"], **options, "reduction": reduction}
        return construct(keras, {"class": description["class"], "arguments": arguments})

    outputs = tf.Variable(y_pred)
    with tf.GradientTape() as tape:
        values = loss(None)(y_true, outputs)
        random = np.random.default_rng(2)
        scale = random.uniform(0.2, 2.0, values.shape).astype(dtype)
        total = tf.reduce_sum(values * scale)
    sample_weight = random.uniform(0.0, 2.0, values.shape).astype(dtype)
    mean = loss("sum_over_batch_size")
    fixture.add(
        case,
        y_true=y_true,
        y_pred=y_pred,
        values=values,
        scale=scale,
        gradient=tape.gradient(total, outputs),
        mean=mean(y_true, y_pred),
        sample_weight=sample_weight,
        weighted=mean(y_true, y_pred, sample_weight),
    )
