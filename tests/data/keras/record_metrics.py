"""Metrics: results after each of two batches, without and with weights; what "accuracy" means by shapes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from fixture import Fixture
from keras.src.trainers.compile_utils import get_metric

from keras_build import construct

RANDOM = np.random.default_rng(3)
LABELS = RANDOM.integers(0, 6, 14)
ROWS = np.eye(6)[LABELS]
EIGHTHS = RANDOM.integers(0, 4, (14, 6)) / 8  # many ties
SCORES = RANDOM.normal(size=(14, 6))
PROBABILITIES = RANDOM.dirichlet(np.ones(6), 14)
NAN_SCORES = np.where(RANDOM.uniform(size=(14, 6)) < 0.15, np.nan, SCORES)
INF_SCORES = np.where(RANDOM.uniform(size=(14, 6)) < 0.15, np.inf, SCORES)
PIXEL_LABELS = RANDOM.integers(0, 3, (6, 2, 3))
PIXELS = RANDOM.normal(size=(6, 2, 3, 3))
BITS = RANDOM.integers(0, 2, (14, 3)).astype(float)
CHANCES = RANDOM.integers(0, 9, (14, 3)) / 8  # some exactly at the threshold

CASES: list[tuple[str, str, dict[str, Any], Any, Any]] = [
    ("accuracy", "Accuracy", {}, LABELS, RANDOM.integers(0, 3, 14)),
    ("accuracy_2d", "Accuracy", {}, BITS, np.round(CHANCES)),
    ("binary", "BinaryAccuracy", {}, BITS, CHANCES),
    ("binary_one", "BinaryAccuracy", {}, BITS[:, :1], CHANCES[:, :1]),
    ("binary_threshold", "BinaryAccuracy", {"threshold": 0.75, "name": "above"}, BITS, CHANCES),
    ("categorical", "CategoricalAccuracy", {}, ROWS, SCORES),
    ("categorical_ties", "CategoricalAccuracy", {}, ROWS, EIGHTHS),
    ("categorical_pixels", "CategoricalAccuracy", {}, np.eye(3)[PIXEL_LABELS], PIXELS),
    ("sparse", "SparseCategoricalAccuracy", {}, LABELS, SCORES),
    ("sparse_column", "SparseCategoricalAccuracy", {}, LABELS[:, None], EIGHTHS),
    ("sparse_pixels", "SparseCategoricalAccuracy", {}, PIXEL_LABELS, PIXELS),
    ("top_5", "TopKCategoricalAccuracy", {}, ROWS, SCORES),
    ("top_2_ties", "TopKCategoricalAccuracy", {"k": 2}, ROWS, EIGHTHS),
    ("top_1_ties", "TopKCategoricalAccuracy", {"k": 1, "name": "best"}, ROWS, EIGHTHS),
    ("top_3_inf", "TopKCategoricalAccuracy", {"k": 3}, ROWS, INF_SCORES),
    ("top_9_of_6", "TopKCategoricalAccuracy", {"k": 9}, ROWS, SCORES),
    ("sparse_top_5", "SparseTopKCategoricalAccuracy", {}, LABELS, SCORES),
    ("sparse_top_2_ties", "SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, EIGHTHS),
    ("sparse_top_3_nan", "SparseTopKCategoricalAccuracy", {"k": 3}, LABELS, NAN_SCORES),
    ("sparse_top_2_pixels", "SparseTopKCategoricalAccuracy", {"k": 2}, PIXEL_LABELS, PIXELS),
    ("squared", "MeanSquaredError", {}, BITS, CHANCES),
    ("squared_pixels", "MeanSquaredError", {}, np.eye(3)[PIXEL_LABELS], PIXELS),
    ("binary_crossentropy", "BinaryCrossentropy", {}, BITS, CHANCES),
    ("binary_crossentropy_logits", "BinaryCrossentropy", {"from_logits": True}, BITS, CHANCES * 9 - 4),
    ("crossentropy", "CategoricalCrossentropy", {"label_smoothing": 0.2}, ROWS, PROBABILITIES),
    ("crossentropy_logits", "CategoricalCrossentropy", {"from_logits": True}, ROWS, SCORES),
    ("sparse_crossentropy", "SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES),
    ("sparse_crossentropy_logits", "SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, SCORES),
]

RESOLVED = [
    ((8, 1), (8, 1)),
    ((8,), (8, 1)),
    ((8, 4), (8, 4)),
    ((8, 1), (8, 4)),
    ((8,), (8, 4)),
    ((8, 2), (8, 2)),
    ((8, 1), (8, 2)),
    ((8, 5, 5, 3), (8, 5, 5, 3)),
    ((8, 5, 5), (8, 5, 5, 3)),
    ((8, 5, 5, 1), (8, 5, 5, 3)),
    ((8, 5, 5, 1), (8, 5, 5, 1)),
]
"""Shapes of labels and outputs."""


def record() -> Fixture:
    """Record every metric, then what names stand for."""
    fixture = Fixture()
    for name, metric, arguments, y_true, y_pred in CASES:
        add(fixture, name, {"class": f"metrics.{metric}", "arguments": arguments}, y_true, y_pred)
    named = [(identifier, shapes) for identifier in ("accuracy", "acc") for shapes in RESOLVED]
    named += [
        (identifier, ((8, 4), (8, 4))) for identifier in ("mse", "BinaryAccuracy", "categorical_accuracy")
    ]
    for number, (identifier, (y_true_shape, y_pred_shape)) in enumerate(named):
        resolved = get_metric(identifier, np.zeros(y_true_shape), np.zeros(y_pred_shape))
        case = {
            "name": f"{identifier}_{number}",
            "identifier": identifier,
            "shapes": [y_true_shape, y_pred_shape],
            "resolved": type(resolved).__name__,
            "shown_as": resolved.name,
        }
        fixture.add(case)
    return fixture


def add(fixture: Fixture, name: str, description: dict[str, Any], y_true: Any, y_pred: Any) -> None:
    """Record one metric over a batch of three quarters, and then the rest."""
    dtype = "float32" if "TopK" in description["class"] else "float64"  # all that tf.math.in_top_k takes
    y_pred = y_pred.astype(dtype)
    split = 3 * len(y_pred) // 4
    weights = {
        "unweighted": None,
        "weighted": np.random.default_rng(4).uniform(0.0, 2.0, len(y_pred)),
    }
    if y_pred.ndim > 2:
        weights["weighted"] = np.random.default_rng(4).uniform(0.0, 2.0, y_pred.shape[:-1])
    arrays: dict[str, Any] = {"y_true": y_true, "y_pred": y_pred, "sample_weight": weights["weighted"]}
    shown_as = ""
    for key, weight in weights.items():
        arguments = {**description["arguments"], "dtype": dtype}
        metric, results = construct(keras, {"class": description["class"], "arguments": arguments}), []
        for part in (slice(0, split), slice(split, None)):
            metric.update_state(y_true[part], y_pred[part], None if weight is None else weight[part])
            results.append(float(metric.result()))
        arrays[key], shown_as = results, metric.name
    fixture.add({"name": name, "metric": description, "shown_as": shown_as, "split": split}, **arrays)
