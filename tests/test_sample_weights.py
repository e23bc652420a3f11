"""Weights of samples and classes, and penalties of weights: what they do to losses, metrics and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

import konv
from konv import Sequential
from konv.layers import Conv2D, Dense, Input, Softmax
from konv.optimizers import SGD
from konv.utils import set_random_seed
from weights import same_weights

CE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(11)
X, Y = RNG.normal(size=(9, 4)), RNG.integers(0, 3, 9)
WEIGHTS = np.array([0, 1, 2, 0.5, 3, 1, 1, 0.25, 0])


def network(loss=CE, **options):
    set_random_seed(2)
    model = Sequential([Input((4,)), Dense(3, activation="softmax")])
    model.compile(SGD(0.5), loss, **options)
    return model


def values(model):
    return -np.log(model.predict(X, verbose=0).astype(np.float64)[np.arange(9), Y])


def test_a_batch_is_divided_by_its_count_and_not_by_its_weights():
    """Two samples with logits (0, w x), w = 0: both losses log 2, gradients of the logits (1/2, -1/2)."""
    model = Sequential([Input((1,)), Dense(2, use_bias=False), Softmax()])
    model.compile(SGD(1.0), CE)
    model.set_weights([np.zeros((1, 2))])
    x, y = np.array([[1.0], [1.0]]), np.array([1, 0])
    assert model.train_on_batch(x, y, sample_weight=np.array([3.0, 1.0])) == pytest.approx(2 * math.log(2))
    np.testing.assert_allclose(model.get_weights()[0], [[-0.5, 0.5]], rtol=1e-6)


def test_an_epoch_weighs_batches_by_samples():
    model = network()
    weighted = WEIGHTS * values(model)
    expected = (4 * weighted[:4].mean() + 4 * weighted[4:8].mean() + weighted[8]) / 9
    assert model.evaluate(X, Y, batch_size=4, sample_weight=WEIGHTS, verbose=0) == pytest.approx(
        expected, rel=1e-6
    )


def test_metrics_without_and_with_weights():
    model = network(metrics=["accuracy"], weighted_metrics=["accuracy"])
    right = model.predict(X, verbose=0).argmax(-1) == Y
    logs = model.evaluate(X, Y, sample_weight=WEIGHTS, batch_size=4, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "accuracy", "weighted_accuracy"]
    assert logs["accuracy"] == pytest.approx(right.mean())
    assert logs["weighted_accuracy"] == pytest.approx((WEIGHTS * right).sum() / WEIGHTS.sum())
    alone = network(weighted_metrics=["accuracy"]).evaluate(X, Y, verbose=0, return_dict=True)
    assert list(alone) == ["loss", "accuracy"]


@pytest.mark.parametrize("labels", [Y, Y[:, None], np.eye(3)[Y], Y.astype(float)])
def test_class_weights_are_sample_weights_by_label(labels):
    loss = "categorical_crossentropy" if labels.shape == (9, 3) else CE
    options = {"weighted_metrics": ["accuracy"]}
    model, twin = network(loss, **options), network(loss, **options)
    by_label = np.array([2.0, 1.0, 0.25])[Y]
    first = model.fit(X, labels, class_weight={0: 2.0, 2: 0.25}, batch_size=4, epochs=2, verbose=0).history
    second = twin.fit(X, labels, sample_weight=by_label, batch_size=4, epochs=2, verbose=0).history
    assert first == second
    assert same_weights(model, twin)


def test_class_and_sample_weights_multiply():
    model, twin = network(), network()
    both = model.train_on_batch(X, Y, WEIGHTS, {1: 3.0})
    assert both == twin.train_on_batch(X, Y, WEIGHTS * np.where(Y == 1, 3.0, 1.0))
    assert same_weights(model, twin)


def test_no_class_weights_are_ones():
    model, twin = network(), network()
    assert model.train_on_batch(X, Y, class_weight={}) == twin.train_on_batch(X, Y)
    assert same_weights(model, twin)


def test_class_weights_leave_validation_alone():
    model = network()
    history = model.fit(X, Y, class_weight={0: 9.0}, validation_data=(X, Y, WEIGHTS), verbose=0).history
    assert history["val_loss"] == [model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0)]


def test_validation_split_cuts_weights_too():
    split, given = network(), network()
    first = split.fit(X, Y, sample_weight=WEIGHTS, validation_split=0.4, verbose=0).history
    second = given.fit(
        X[:5], Y[:5], sample_weight=WEIGHTS[:5], validation_data=(X[5:], Y[5:], WEIGHTS[5:]), verbose=0
    ).history
    assert first == second


def per_pixel():
    set_random_seed(1)
    model = Sequential([Input((5, 6, 2)), Conv2D(3, 1, activation="softmax")])
    model.compile(SGD(0.5), CE, weighted_metrics=["accuracy"])
    return model


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1), (4, 5, 6), (4, 5, 6, 1)])
def test_weights_of_images_and_of_pixels(shape):
    images, labels = RNG.normal(size=(4, 5, 6, 2)), RNG.integers(0, 3, (4, 5, 6))
    weights = RNG.uniform(size=shape)
    model, twin = per_pixel(), per_pixel()
    whole = np.ones((4, 5, 6)) * weights.reshape((*shape, 1, 1, 1)[:3] if len(shape) < 4 else shape[:3])
    p = model.predict(images, verbose=0)
    entropy = -np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0].astype(np.float64))
    loss, accuracy = model.train_on_batch(images, labels, weights)
    assert loss == pytest.approx((whole * entropy).sum() / whole.size, rel=1e-5)
    assert accuracy == pytest.approx((whole * (p.argmax(-1) == labels)).sum() / whole.sum(), rel=1e-5)
    assert twin.train_on_batch(images, labels, whole) == pytest.approx([loss, accuracy])
    classes = np.where(labels == 2, 4.0, 1.0)
    expected = per_pixel().train_on_batch(images, labels, whole * classes)
    assert per_pixel().train_on_batch(images, labels, weights, {2: 4.0}) == pytest.approx(expected)


def regularized(kernel, loss=CE):
    model = network(loss)
    twin = Sequential([Input((4,)), Dense(3, activation="softmax", kernel_regularizer=kernel)])
    twin.compile(SGD(0.5), loss)
    twin.set_weights(model.get_weights())
    return model, twin


def test_penalties_are_added_to_the_loss_and_its_gradient():
    plain, penalized = regularized(konv.regularizers.L1L2(0.1, 0.01))
    kernel = plain.get_weights()[0]
    penalty = 0.1 * abs(kernel).sum() + 0.01 * np.square(kernel).sum()
    expected = plain.evaluate(X, Y, verbose=0) + penalty
    assert penalized.evaluate(X, Y, batch_size=4, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert penalized.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)
    assert penalized.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)
    plain.train_on_batch(X, Y)
    step = 0.5 * (0.1 * np.sign(kernel) + 0.02 * kernel)
    np.testing.assert_allclose(penalized.get_weights()[0], plain.get_weights()[0] - step, rtol=1e-5)
    np.testing.assert_array_equal(penalized.get_weights()[1], plain.get_weights()[1])


def test_a_frozen_weight_has_no_penalty():
    plain, penalized = regularized("l2")
    penalized.trainable = False
    assert penalized.evaluate(X, Y, verbose=0) == plain.evaluate(X, Y, verbose=0)


def test_a_shared_weight_is_penalized_once():
    set_random_seed(0)
    x = konv.Input((3,))
    shared = Dense(3, kernel_regularizer=konv.regularizers.L2(0.5))
    model = konv.Model(x, shared(shared(x)))
    model.compile(SGD(0.0), "mse")
    zeros = np.zeros((2, 3))
    assert model.evaluate(zeros, zeros, verbose=0) == pytest.approx(
        0.5 * np.square(shared.get_weights()[0]).sum(), rel=1e-6
    )


def test_a_binary_loss_after_sigmoid_is_computed_from_logits():
    """From probabilities the loss of a certain wrong answer would be -log(1e-7) = 16.1, without gradient."""
    model = Sequential([Input((1,)), Dense(1, use_bias=False, activation="sigmoid")])
    model.compile(SGD(0.01), "binary_crossentropy", metrics=["accuracy", "mse"])
    model.set_weights([np.array([[100.0]])])
    loss, accuracy, squared = model.train_on_batch(np.ones((1, 1)), np.zeros((1, 1)))
    assert loss == pytest.approx(100)
    assert (accuracy, squared) == (0.0, 1.0)  # metrics see the probability, 1
    assert model.get_weights()[0][0, 0] == pytest.approx(99.99)


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (
            TypeError,
            {"class_weight": [1, 2]},
            "^fit: class_weight must be a dict of numbers by label, received",
        ),
        (
            TypeError,
            {"class_weight": {"0": 1.0}},
            r"^fit: class_weight \(each label\) must be an int, received",
        ),
        (
            TypeError,
            {"class_weight": {0: "a"}},
            r"^fit: class_weight of 0 \(int\) must be a number, received",
        ),
        (ValueError, {"class_weight": {0: math.nan}}, r"^fit: class_weight of 0 \(int\) must be finite"),
        (TypeError, {"sample_weight": [1.0] * 9}, "^fit: sample_weight must be an array, received list"),
        (TypeError, {"sample_weight": 1.0}, "^fit: sample_weight must be an array"),
        (TypeError, {"sample_weight": np.array(["a"] * 9)}, "^fit: sample_weight must hold real numbers"),
        (ValueError, {"sample_weight": np.ones(8)}, "^fit: x and sample_weight must be equally long"),
        (ValueError, {"sample_weight": np.ones((9, 3))}, r"^fit: sample_weight must have shape \(9,\)"),
        (
            ValueError,
            {"sample_weight": {"x": np.ones(9)}},
            "^fit: sample_weight must have names of the model's",
        ),
    ],
)
def test_errors(error, options, message):
    with pytest.raises(error, match=message):
        network().fit(X, Y, **options)


def test_loss_weights_of_one_output():
    assert network(loss_weights=2.0).evaluate(X, Y, verbose=0) == pytest.approx(
        2 * network().evaluate(X, Y, verbose=0)
    )
