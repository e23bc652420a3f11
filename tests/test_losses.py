"""Losses by hand, against their formulas in float64, and their gradients by differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import losses
from konv.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from numeric_gradient import numeric_gradient

ROWS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
P = np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])


def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)


def test_categorical_by_hand():
    # The example in Keras's documentation: 1.177.
    assert CategoricalCrossentropy()(ROWS, P) == pytest.approx((-math.log(0.95) - math.log(0.1)) / 2)


def test_categorical_divides_by_the_sum_then_clips():
    assert CategoricalCrossentropy()(ROWS, 7 * P) == pytest.approx(CategoricalCrossentropy()(ROWS, P))
    assert CategoricalCrossentropy()(ROWS[:1], np.array([[1.0, 0.0, 0.0]])) == pytest.approx(-math.log(1e-7))
    assert CategoricalCrossentropy()(ROWS[:1], np.array([[0.0, 1.0, 0.0]])) == pytest.approx(1e-7, rel=1e-6)


def test_sparse_clips_then_renormalises():
    labels = np.array([1, 2])
    assert SparseCategoricalCrossentropy()(labels, P) == pytest.approx(
        (-math.log(0.95 / (1 + 1e-7)) - math.log(0.1)) / 2, rel=1e-12
    )
    # Clipped to 1 - 1e-7 and twice 1e-7, which sum to 1 + 1e-7.
    certain = np.array([[1.0, 0.0, 0.0]])
    expected = -math.log(1e-7 / (1 + 1e-7))
    assert SparseCategoricalCrossentropy()(np.array([2]), certain) == pytest.approx(expected, rel=1e-12)
    # Unlike the categorical loss it clips before it divides.
    expected = -math.log((1 - 1e-7) / (1 - 1e-7 + 0.3 + 1e-7))
    assert SparseCategoricalCrossentropy()(np.array([0]), np.array([[3.0, 0.3, 0.0]])) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("shift", [0.0, 500.0, -500.0])
def test_logits(shift):
    z = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1000.0]])
    expected = (math.log(math.e + math.e**2 + math.e**3) - 2 + 1000) / 2
    rows, labels = np.array([[0, 1, 0], [1, 0, 0]]), np.array([[1], [0]])
    assert CategoricalCrossentropy(from_logits=True)(rows, z + shift) == pytest.approx(expected)
    assert SparseCategoricalCrossentropy(from_logits=True)(labels, z + shift) == pytest.approx(expected)


def test_labels_for_each_pixel():
    z = np.random.default_rng(0).normal(size=(2, 3, 3, 4))
    labels = np.random.default_rng(1).integers(0, 4, (2, 3, 3))
    expected = -np.log(np.take_along_axis(softmax(z), labels[..., None], -1)).mean()
    assert SparseCategoricalCrossentropy(from_logits=True)(labels, z) == pytest.approx(expected)
    assert CategoricalCrossentropy(from_logits=True)(np.eye(4)[labels], z) == pytest.approx(expected)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("loss_class", [CategoricalCrossentropy, SparseCategoricalCrossentropy])
def test_gradients(loss_class, from_logits):
    random = np.random.default_rng(2)
    y_pred = random.uniform(0.1, 0.9, (4, 5))
    labels = np.array([0, 4, 2, 2])
    y_true = labels if loss_class is SparseCategoricalCrossentropy else random.dirichlet(np.ones(5), 4)
    loss = loss_class(from_logits=from_logits)
    values, gradient = loss.per_sample(y_true, y_pred)
    numeric = numeric_gradient(
        lambda y: loss.per_sample(y_true, y)[0], y_pred, np.ones(values.shape), step=1e-6
    )
    np.testing.assert_allclose(gradient(), numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("loss_class", [CategoricalCrossentropy, SparseCategoricalCrossentropy])
def test_clipped_probabilities_have_no_gradient(loss_class):
    y_true = np.array([0]) if loss_class is SparseCategoricalCrossentropy else np.array([[1.0, 0.0]])
    _, gradient = loss_class().per_sample(y_true, np.array([[0.0, 1.0]]))
    assert gradient().tolist() == [[0.0, 0.0]]


def test_float32_stays_float32():
    for loss, y_true in [
        (CategoricalCrossentropy(), ROWS),
        (CategoricalCrossentropy(True), ROWS),
        (SparseCategoricalCrossentropy(), np.array([1.0, 2.0])),
        (SparseCategoricalCrossentropy(True), np.array([1, 2])),
    ]:
        values, gradient = loss.per_sample(y_true, P.astype(np.float32))
        assert values.dtype == gradient().dtype == np.float32


def test_no_samples():
    for from_logits in (False, True):
        assert CategoricalCrossentropy(from_logits)(np.zeros((0, 3)), np.zeros((0, 3))) == 0.0
        assert SparseCategoricalCrossentropy(from_logits)(np.zeros(0), np.zeros((0, 3))) == 0.0


def test_repr():
    assert repr(CategoricalCrossentropy()) == "CategoricalCrossentropy(from_logits=False)"


def test_names():
    assert isinstance(losses.get("sparse_categorical_crossentropy"), SparseCategoricalCrossentropy)
    described = {"class_name": "CategoricalCrossentropy", "config": {"from_logits": True}}
    assert losses.get(described).get_config() == {"from_logits": True}


CATEGORICAL, SPARSE = CategoricalCrossentropy(), SparseCategoricalCrossentropy()


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            ValueError,
            lambda: CATEGORICAL(np.array([1, 2]), P),
            r"rows of shape \(2, 3\), received shape \(2,\)",
        ),
        (TypeError, lambda: CATEGORICAL(np.array([["a"] * 3] * 2), P), "y_true must hold real numbers"),
        (ValueError, lambda: CATEGORICAL(ROWS, P[0]), r"y_pred must be floats of shape \(N, ..., classes\)"),
        (ValueError, lambda: CATEGORICAL(ROWS, ROWS.astype(int)), "y_pred must be floats"),
        (
            ValueError,
            lambda: SPARSE(ROWS, P),
            r"integers of shape \(2,\), received shape \(2, 3\); for one-hot",
        ),
        (ValueError, lambda: SPARSE(np.array([0, 3]), P), "labels must be integers from 0 to 2, received 3"),
        (ValueError, lambda: SPARSE(np.array([0, -1]), P), "from 0 to 2, received -1"),
        (ValueError, lambda: SPARSE(np.array([0, 0.5]), P), "received 0.5"),
        (ValueError, lambda: SPARSE(np.array([0, math.nan]), P), "received nan"),
        (TypeError, lambda: SPARSE(np.array(["a", "b"]), P), "y_true must hold integers"),
        (TypeError, lambda: CategoricalCrossentropy(from_logits=1), "from_logits must be True or False"),
        (ValueError, lambda: SPARSE(np.zeros(2), np.zeros((2, 0))), "y_pred must be floats of shape"),
        (
            ValueError,
            lambda: losses.get({"class_name": "CategoricalCrossentropy", "config": {"more": 1}}),
            "identifier must have a config of arguments of CategoricalCrossentropy, received {'more': 1}",
        ),
        (ValueError, lambda: losses.get("mse"), 'must be one of "categorical_crossentropy"'),
        (TypeError, lambda: losses.get(None), "must be a str or an instance of Loss, received None"),
        (NotImplementedError, lambda: losses.Loss()(ROWS, P), "per_sample is not defined"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
