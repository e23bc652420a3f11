"""Accuracy in its spellings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import metrics
from konv.metrics import BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy

P = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]], np.float32)


def accuracy(metric, y_true, y_pred):
    metric.update_state(y_true, y_pred)
    return metric.result()


def test_by_hand():
    labels = np.array([1, 1, 2, 0])  # a tie goes to the first
    assert accuracy(SparseCategoricalAccuracy(), labels, P) == 0.75
    assert accuracy(SparseCategoricalAccuracy(), labels[:, None].astype(float), P) == 0.75
    assert accuracy(CategoricalAccuracy(), np.eye(3)[labels], P) == 0.75
    ones = np.array([[0.5], [0.6], [0.2]])
    assert accuracy(BinaryAccuracy(), np.array([[0], [0], [0]]), ones) == pytest.approx(2 / 3)
    assert accuracy(BinaryAccuracy(threshold=0.1), np.array([1, 1, 1]), ones) == 1


def test_batches_weigh_by_their_samples():
    metric = SparseCategoricalAccuracy()
    assert metric.result() == 0
    metric.update_state(np.array([1, 1, 1]), P[:3])
    metric.update_state(np.array([0]), P[1:2])
    metric.update_state(np.zeros(0), P[:0])
    assert metric.result() == pytest.approx(2 / 4)
    metric.reset_state()
    assert metric.result() == 0


def test_a_fresh_copy_counts_for_itself():
    metric = CategoricalAccuracy("mine")
    metric.update_state(np.eye(3), P[:3])
    twin = metric.fresh()
    assert (twin.name, twin.result()) == ("mine", 0)
    assert metric.result() > 0


@pytest.mark.parametrize("name", ["accuracy", "acc"])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        ((4, 1), (4, 1), BinaryAccuracy),
        ((4,), (4, 1), BinaryAccuracy),
        ((4,), (4, 3), SparseCategoricalAccuracy),
        ((4, 1), (4, 3), SparseCategoricalAccuracy),
        ((4, 3), (4, 3), CategoricalAccuracy),
        ((4, 5, 5), (4, 5, 5, 3), SparseCategoricalAccuracy),
    ],
)
def test_accuracy_is_resolved_by_shape(name, y_true, y_pred, expected):
    metric = metrics.resolve(metrics.template(name, "test"), np.zeros(y_true), np.zeros(y_pred))
    assert type(metric) is expected
    assert metric.name == name


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: metrics.get("f1"), 'must be one of "binary_accuracy"'),
        (
            TypeError,
            lambda: metrics.template(3, "compile"),
            "compile: each of metrics must be a str or an instance",
        ),
        (
            TypeError,
            lambda: CategoricalAccuracy(name=3),
            "CategoricalAccuracy: name must be a str, received 3",
        ),
        (
            ValueError,
            lambda: BinaryAccuracy(threshold=math.nan),
            r"threshold must be in \[0, 1\], received nan",
        ),
        (
            ValueError,
            lambda: accuracy(CategoricalAccuracy(), np.zeros(4), P),
            r"CategoricalAccuracy: y_true must have shape \(4, 3\), received \(4,\)",
        ),
        (ValueError, lambda: accuracy(SparseCategoricalAccuracy(), P, P), r"must have shape \(4,\)"),
        (ValueError, lambda: accuracy(BinaryAccuracy(), P, P[:2]), r"must have shape \(2, 3\)"),
        (
            ValueError,
            lambda: metrics.check_names(["acc", "acc"], "compile"),
            "metrics must have names of their own",
        ),
        (
            TypeError,
            lambda: accuracy(BinaryAccuracy(), np.array([1]), np.array(["a"])),
            "BinaryAccuracy: y_pred must hold real numbers, received dtype <U1",
        ),
        (NotImplementedError, lambda: metrics.Metric().update_state(P, P), "per_sample is not defined"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
