"""Metrics by hand: accuracy in its spellings, top-k as `tf.math.in_top_k` counts, losses as metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import losses, metrics
from konv.metrics import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from konv.metrics.base import Mean

P = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]], np.float32)


def score(metric, y_true, y_pred, sample_weight=None):
    metric.update_state(y_true, y_pred, sample_weight)
    return metric.result()


def test_by_hand():
    labels = np.array([1, 1, 2, 0])  # a tie goes to the first
    assert score(SparseCategoricalAccuracy(), labels, P) == 0.75
    assert score(SparseCategoricalAccuracy(), labels[:, None].astype(float), P) == 0.75
    assert score(CategoricalAccuracy(), np.eye(3)[labels], P) == 0.75
    ones = np.array([[0.5], [0.6], [0.2]])
    assert score(BinaryAccuracy(), np.array([[0], [0], [0]]), ones) == pytest.approx(2 / 3)
    assert score(BinaryAccuracy(threshold=0.1), np.array([1, 1, 1]), ones) == 1
    assert score(Accuracy(), np.array([1, 2, 3, 4]), np.array([[0], [2], [3], [4]])) == 0.75


@pytest.mark.parametrize("metric", [Accuracy, BinaryAccuracy])
@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [((4,), (4, 1)), ((4, 1), (4,)), ((4,), (4,)), ((2, 2), (2, 2, 1)), ((2, 2), (2, 2))],
)
def test_a_last_axis_of_1_may_be_missing(metric, y_true, y_pred):
    labels, outputs = np.array([0, 1, 1, 0]), np.array([0.0, 1.0, 0.0, 0.0])
    assert score(metric(), labels.reshape(y_true), outputs.reshape(y_pred)) == 0.75


def test_labels_that_are_no_class_are_never_right():
    labels = np.array([math.nan, 0.5, -1, 3])
    assert score(SparseCategoricalAccuracy(), labels, P) == 0
    assert score(SparseTopKCategoricalAccuracy(3), labels, P) == 0
    assert score(SparseTopKCategoricalAccuracy(3), np.array([1e300, -math.inf, math.inf, 1]), P) == 0.25


# Each row of outputs with, for k of 1, 2, 3 and 5, the classes among the k largest: from tf.math.in_top_k.
IN_TOP_K = [
    ([0.1, 0.4, 0.4, 0.1], ({1, 2}, {1, 2}, {0, 1, 2, 3}, {0, 1, 2, 3})),
    ([0.1, 0.2, 0.3, 0.4], ({3}, {2, 3}, {1, 2, 3}, {0, 1, 2, 3})),
    ([0.5, 0.5, 0.5, 0.5], ({0, 1, 2, 3},) * 4),
    ([math.nan, 0.4, 0.3, 0.1], (set(),) * 4),
    ([math.inf, 0.4, 0.3, 0.1], (set(),) * 4),
    ([0.1, -math.inf, 0.3, 0.1], (set(),) * 4),
    ([-math.inf] * 4, (set(),) * 4),
]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize(("outputs", "expected"), IN_TOP_K)
def test_top_k(outputs, expected, k):
    among = expected[(1, 2, 3, 5).index(k)]
    for label in range(4):
        outputs_here = np.array([outputs], np.float32)
        wanted = float(label in among)
        assert score(SparseTopKCategoricalAccuracy(k), np.array([label]), outputs_here) == wanted
        assert score(TopKCategoricalAccuracy(k), np.eye(4)[[label]], outputs_here) == wanted


def test_top_k_of_pixels():
    random = np.random.default_rng(0)
    outputs, labels = random.normal(size=(2, 3, 5, 6)), random.integers(0, 6, (2, 3, 5))
    best = np.argsort(outputs, axis=-1)[..., -2:]
    expected = (best == labels[..., None]).any(axis=-1).mean()
    assert score(SparseTopKCategoricalAccuracy(2), labels, outputs) == pytest.approx(expected)
    assert score(SparseTopKCategoricalAccuracy(2), labels[..., None], outputs) == pytest.approx(expected)
    assert score(TopKCategoricalAccuracy(2), np.eye(6)[labels], outputs) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "loss"),
    [
        (metrics.MeanSquaredError(), losses.MeanSquaredError()),
        (metrics.BinaryCrossentropy(), losses.BinaryCrossentropy()),
        (
            metrics.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
            losses.BinaryCrossentropy(True, 0.1),
        ),
        (metrics.CategoricalCrossentropy(), losses.CategoricalCrossentropy()),
        (
            metrics.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
            losses.CategoricalCrossentropy(True, 0.1),
        ),
        (metrics.SparseCategoricalCrossentropy(), losses.SparseCategoricalCrossentropy()),
        (
            metrics.SparseCategoricalCrossentropy(from_logits=True),
            losses.SparseCategoricalCrossentropy(True),
        ),
    ],
    ids=repr,
)
def test_losses_as_metrics(metric, loss):
    metric = metric.fresh()
    y_true = np.array([1, 0, 2, 1])
    if not isinstance(loss, losses.SparseCategoricalCrossentropy):
        y_true = np.eye(3)[y_true]
    metric.update_state(y_true[:3], P[:3])
    metric.update_state(y_true[3:], P[3:])
    assert metric.result() == pytest.approx(loss(y_true, P), rel=1e-15)
    assert metric.get_config() == loss.get_config()


def test_batches_weigh_by_their_samples():
    metric = SparseCategoricalAccuracy()
    assert metric.result() == 0
    metric.update_state(np.array([1, 1, 1]), P[:3])
    metric.update_state(np.array([0]), P[1:2])
    metric.update_state(np.zeros(0), P[:0])
    assert metric.result() == pytest.approx(2 / 4)
    metric.reset_state()
    assert metric.result() == 0


def test_samples_weigh_alike_whatever_their_size():
    metric = Accuracy()
    metric.update_state(np.zeros((1, 2, 2)), np.ones((1, 2, 2)))
    metric.update_state(np.zeros((3, 5, 5)), np.zeros((3, 5, 5)))
    assert metric.result() == 0.75
    metric.reset_state()
    metric.update_state(np.zeros((1, 2, 2)), np.ones((1, 2, 2)), np.array([1.0]))
    metric.update_state(np.zeros((3, 5, 5)), np.zeros((3, 5, 5)), np.ones((3, 5, 5)))
    assert metric.result() == 0.75


def test_weights():
    metric = SparseCategoricalAccuracy()
    labels = np.array([1, 1, 2, 0])  # right, wrong, right, right
    assert score(metric, labels, P, np.array([1.0, 2.0, 0.5, 0.5])) == 0.5
    assert score(metric, labels, P, np.array([[0.0], [4.0], [0.0], [0.0]])) == 2 / 8
    assert score(SparseCategoricalAccuracy(), labels, P, np.zeros(4)) == 0
    assert score(SparseCategoricalAccuracy(), labels, P, np.array([True, True, False, False])) == 0.5
    assert score(SparseCategoricalAccuracy(), labels, P, 3.0) == 0.75


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 3), (2, 1, 1), (2, 3, 1), (2, 3, 4)])
def test_weights_of_parts(shape):
    random = np.random.default_rng(1)
    y_true, y_pred = random.integers(0, 2, (2, 3, 4)), random.uniform(0, 1, (2, 3, 4))
    weights = random.uniform(0, 1, shape)
    whole = np.empty((2, 3, 4))
    whole[:] = weights.reshape(shape + (1,) * (3 - len(shape)))
    expected = (whole * (y_true == (y_pred > 0.5))).sum() / whole.sum()
    assert score(BinaryAccuracy(), y_true, y_pred, weights) == pytest.approx(expected, rel=1e-14)


def test_nan_shows_and_warns_of_nothing():
    y_pred = np.array([[math.nan, 1.0], [3e38, -3e38]], np.float32)
    assert math.isnan(score(metrics.MeanSquaredError(), np.zeros((2, 2)), y_pred))
    assert score(CategoricalAccuracy(), np.eye(2), y_pred) == 0.5
    assert score(BinaryAccuracy(), np.eye(2), y_pred) == 0


def test_a_running_mean():
    mean = Mean()
    assert mean.result() == 0
    mean.add(math.nan, 0)
    mean.add(2.0, 3)
    mean.add_sum(6.0, 1)
    assert mean.result() == 3.0


def test_a_fresh_copy_counts_for_itself():
    metric = CategoricalAccuracy("mine")
    metric.update_state(np.eye(3), P[:3])
    twin = metric.fresh()
    assert (twin.name, twin.result()) == ("mine", 0)
    assert metric.result() > 0


class Own(metrics.Metric):
    """A metric of one's own, of one number for a batch."""

    def per_sample(self, y_true, y_pred):
        return np.float64(3.0)


def test_a_metric_of_ones_own():
    assert (Own().name, score(Own(), P, P), repr(Own())) == ("own", 3.0, "Own(name='own')")


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


def test_templates():
    given = metrics.template(TopKCategoricalAccuracy(3, "top"), "compile")
    metric = metrics.resolve(given, P, P)
    assert (metric.name, metric.k, metric is given) == ("top", 3, False)
    for name in (
        "mse",
        "MSE",
        "BinaryAccuracy",
        "top_k_categorical_accuracy",
    ):  # the logs show what was written
        assert metrics.template_name(metrics.template(name, "compile")) == name
    described = {"class_name": "BinaryAccuracy", "config": {"name": "b", "threshold": 0.25}}
    assert metrics.template(described, "compile").get_config() == described["config"]


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("mse", metrics.MeanSquaredError),
        ("bce", metrics.BinaryCrossentropy),
        ("sparse_top_k_categorical_accuracy", SparseTopKCategoricalAccuracy),
        ("SparseCategoricalCrossentropy", metrics.SparseCategoricalCrossentropy),
    ],
)
def test_names(name, cls):
    metric = metrics.get(name)
    assert type(metric) is cls
    assert (
        metrics.get({"class_name": cls.__name__, "config": metric.get_config()}).get_config()
        == metric.get_config()
    )
    assert metrics.get(metric) is metric


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            ValueError,
            lambda: metrics.get("f1"),
            'must be one of "binary_accuracy".*"bce", "mse", "accuracy", received',
        ),
        (
            TypeError,
            lambda: metrics.template(3, "compile"),
            "compile: each of metrics must be a str or an instance",
        ),
        (ValueError, lambda: metrics.template("f1", "compile"), '"bce", "mse", "accuracy", "acc", received'),
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
            lambda: TopKCategoricalAccuracy(0),
            "^TopKCategoricalAccuracy: k must be an int of at least 1, received 0",
        ),
        (TypeError, lambda: SparseTopKCategoricalAccuracy(True), "k must be an int, received True"),
        (
            ValueError,
            lambda: score(CategoricalAccuracy(), np.zeros(4), P),
            r"CategoricalAccuracy: y_true must have shape \(4, 3\), received \(4,\)",
        ),
        (ValueError, lambda: score(SparseCategoricalAccuracy(), P, P), r"must have shape \(4,\)"),
        (ValueError, lambda: score(SparseTopKCategoricalAccuracy(), P, P), r"must have shape \(4,\)"),
        (ValueError, lambda: score(TopKCategoricalAccuracy(), P[0], P), r"must have shape \(4, 3\)"),
        (ValueError, lambda: score(BinaryAccuracy(), P, P[:2]), r"must have shape \(2, 3\)"),
        (
            ValueError,
            lambda: score(Accuracy(), np.zeros(()), np.zeros(())),
            r"Accuracy: y_true must have shape",
        ),
        (
            ValueError,
            lambda: score(SparseCategoricalAccuracy(), np.zeros(()), np.zeros(3)),
            r"^SparseCategoricalAccuracy: y_pred must have shape \(N, ..., classes\), received \(3,\)",
        ),
        (ValueError, lambda: score(CategoricalAccuracy(), P[:, :0], P[:, :0]), r"received \(4, 0\)"),
        (
            ValueError,
            lambda: score(CategoricalAccuracy(), P, P, np.ones(3)),
            r"^CategoricalAccuracy: sample_weight must have shape \(4,\), received \(3,\)",
        ),
        (
            ValueError,
            lambda: score(metrics.SparseCategoricalCrossentropy("mine"), np.array([7] * 4), P),
            r"^mine: y_true must hold integers from 0 to 2, received 7 at \[0\]",
        ),
        (
            TypeError,
            lambda: score(BinaryAccuracy(), np.array([1]), np.array(["a"])),
            "BinaryAccuracy: y_pred must hold real numbers, received dtype <U1",
        ),
        (
            TypeError,
            lambda: score(BinaryAccuracy(), [[1], [1, 2]], P),
            r"BinaryAccuracy: y_true must be an array of numbers, received \[\[1\], \[1, 2\]\] \(list\)",
        ),
        (
            TypeError,
            lambda: score(BinaryAccuracy(), np.array([1]), np.array([0.5]), np.ma.array([1.0], mask=[1])),
            "BinaryAccuracy: sample_weight must not be masked, received",
        ),
        (NotImplementedError, lambda: metrics.Metric().update_state(P, P), "per_sample is not defined"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
