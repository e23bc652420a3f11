"""BatchNormalization: the batch's statistics in training, moving averages otherwise, and both gradients."""

from __future__ import annotations

import json

import numpy as np
import pytest

from konv.layers import BatchNormalization, Context
from konv.regularizers import L2
from numeric_gradient import numeric_gradient

TRAINING, INFERENCE = Context(training=True), Context(training=False)


def make(shape=(4, 3, 2, 3), **arguments):
    """A built layer with weights unlike their initial ones, and inputs for it."""
    layer = BatchNormalization(name="mine", dtype="float64", **arguments)
    layer.build((None, *shape[1:]))
    random = np.random.default_rng(0)
    layer.set_weights([random.uniform(0.5, 2.0, size=weight.shape) for weight in layer.get_weights()])
    return layer, random.normal(1.0, 2.0, size=shape)


def normalised(layer, x, mean, variance):
    gamma = 1.0 if layer.gamma is None else layer.gamma.value
    beta = 0.0 if layer.beta is None else layer.beta.value
    return gamma * (x - mean) / np.sqrt(variance + layer.epsilon) + beta


def test_training_normalises_by_the_batch_and_moves_the_averages():
    layer, x = make(momentum=0.9, epsilon=0.01)
    _, _, moving_mean, moving_variance = layer.get_weights()
    y = layer(x, training=True)
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y, normalised(layer, x, mean, variance), rtol=1e-12, atol=1e-13)
    weights = layer.get_weights()
    np.testing.assert_allclose(weights[2], 0.9 * moving_mean + 0.1 * mean, rtol=1e-13)
    np.testing.assert_allclose(weights[3], 0.9 * moving_variance + 0.1 * variance, rtol=1e-13)


@pytest.mark.parametrize("frozen", [False, True])
def test_inference_and_frozen_layers_use_the_averages_and_leave_them(frozen):
    layer, x = make()
    layer.trainable = not frozen
    before = layer.get_weights()
    y = layer(x, training=frozen)
    np.testing.assert_allclose(y, normalised(layer, x, *before[2:]), rtol=1e-12, atol=1e-13)
    assert all(np.array_equal(*pair) for pair in zip(before, layer.get_weights(), strict=True))


@pytest.mark.parametrize("context", [TRAINING, INFERENCE], ids=["training", "inference"])
@pytest.mark.parametrize(
    "arguments", [{}, {"center": False}, {"scale": False}, {"center": False, "scale": False}]
)
@pytest.mark.parametrize("shape", [(5, 3), (3, 2, 2, 2)])
def test_gradients(shape, arguments, context):
    layer, x = make(shape, **arguments)
    weights = layer.get_weights()
    y, saved = layer.forward(x, context)
    grad = np.random.default_rng(1).normal(size=y.shape)
    layer.set_weights(weights)

    def forward(inputs):
        layer.moving_mean.assign(weights[-2])
        layer.moving_variance.assign(weights[-1])
        return layer.forward(inputs, context)[0]

    grad_x, grads = layer.backward(grad, saved, needs_input=True)
    np.testing.assert_allclose(grad_x, numeric_gradient(forward, x, grad, 1e-5), rtol=1e-6, atol=1e-8)
    trained = layer.trainable_variables
    assert [variable.name for variable in trained] == [
        name for name in ("gamma", "beta") if arguments.get({"gamma": "scale", "beta": "center"}[name], True)
    ]
    for variable, grad_weight in zip(trained, grads, strict=True):
        before = variable.value

        def of_weight(weight, variable=variable):
            variable.assign(weight)
            return forward(x)

        numeric = numeric_gradient(of_weight, before, grad, 1e-5)
        variable.assign(before)
        np.testing.assert_allclose(grad_weight, numeric, rtol=1e-6, atol=1e-8)
    assert layer.backward(grad, saved, needs_input=False)[0] is None


def test_a_frozen_layer_has_the_gradient_of_inference():
    layer, x = make()
    layer.trainable = False
    y, saved = layer.forward(x, TRAINING)
    grad_x, grads = layer.backward(np.ones_like(y), saved, needs_input=True)
    expected = layer.gamma.value / np.sqrt(layer.moving_variance.value + layer.epsilon)
    np.testing.assert_allclose(grad_x, np.broadcast_to(expected, x.shape), rtol=1e-12)
    assert grads == []
    assert layer.backward(y, saved, needs_input=False) == (None, [])


def test_a_gradient_belongs_to_its_own_forward_pass():
    layer, x = make()
    y, saved = layer.forward(x, INFERENCE)
    expected = layer.backward(np.ones_like(y), saved, needs_input=True)[0]
    layer.forward(100 * x, TRAINING)  # moves the averages
    assert np.array_equal(layer.backward(np.ones_like(y), saved, needs_input=True)[0], expected)


def test_an_empty_batch_leaves_the_averages():
    layer, x = make()
    before = layer.get_weights()
    y, saved = layer.forward(x[:0], TRAINING)
    assert y.shape == x[:0].shape
    assert all(np.array_equal(*pair) for pair in zip(before, layer.get_weights(), strict=True))
    grad_x, grads = layer.backward(y, saved, needs_input=True)
    assert grad_x.shape == x[:0].shape
    assert not any(each.any() for each in grads)


def test_infinities_give_nan_without_warnings():
    layer = BatchNormalization()
    y = layer(np.array([[np.inf], [1.0]], np.float32), training=True)
    assert np.isnan(y).all()
    assert np.isnan(layer.moving_variance.value).all()


def test_inference_does_not_depend_on_the_batch():
    layer, x = make()
    y = layer(x)
    assert all(np.array_equal(layer(x[i : i + 1])[0], y[i]) for i in range(len(x)))


def test_inference_keeps_nothing():
    layer, x = make()
    assert layer.forward(x, Context(training=False, for_backward=False))[1] is None
    assert layer.forward(x, Context(training=True, for_backward=False))[1] is None


def test_keras_order_and_initial_weights():
    layer = BatchNormalization()
    layer.build((None, 7, 7, 5))
    assert [variable.name for variable in layer.variables] == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ]
    assert [weight.tolist() for weight in layer.get_weights()] == [[1] * 5, [0] * 5, [0] * 5, [1] * 5]
    assert [variable.trainable for variable in layer.variables] == [True, True, False, False]
    assert (layer.momentum, layer.epsilon, layer.count_params()) == (0.99, 0.001, 20)
    assert layer.multiply_adds((None, 7, 7, 5)) == 0


@pytest.mark.parametrize(("axis", "shape"), [(-1, (None, 4, 4, 3)), (3, (None, 4, 4, 3)), (1, (None, 3))])
def test_the_axis_of_the_channels(axis, shape):
    layer = BatchNormalization(axis)
    layer.build(shape)
    assert layer.gamma.shape == (3,)
    assert layer.compute_output_shape(shape) == shape


def test_config_makes_a_twin():
    layer, x = make(
        momentum=0.5, epsilon=0.5, scale=False, beta_regularizer=L2(0.5), gamma_initializer="zeros"
    )
    config = json.loads(json.dumps(layer.get_config()))
    twin = BatchNormalization.from_config(config)
    twin.build((None, *x.shape[1:]))
    twin.set_weights(layer.get_weights())
    assert twin.get_config() == layer.get_config()
    assert twin.beta.regularizer.get_config() == {"l2": 0.5}
    assert np.array_equal(twin(x), layer(x))


LABEL = r"^layer 'mine' \(BatchNormalization\): "


@pytest.mark.parametrize(
    ("error", "arguments", "message"),
    [
        (TypeError, {"axis": 1.0}, "axis must be an int, received 1.0"),
        (TypeError, {"momentum": "0.9"}, "momentum must be a number"),
        (ValueError, {"momentum": 1.5}, r"momentum must be in \[0, 1\], received 1.5"),
        (ValueError, {"momentum": np.nan}, r"momentum must be in \[0, 1\]"),
        (ValueError, {"epsilon": -1e-3}, "epsilon must be finite and at least 0"),
        (TypeError, {"epsilon": True}, "epsilon must be a number, received True"),
        (TypeError, {"center": 1}, "center must be True or False"),
        (TypeError, {"scale": None}, "scale must be True or False"),
        (ValueError, {"beta_initializer": "he"}, "beta_initializer must be one of"),
        (TypeError, {"gamma_initializer": None}, "gamma_initializer must be a str or an instance"),
        (TypeError, {"moving_mean_initializer": 0}, "moving_mean_initializer must be a str or an instance"),
        (
            ValueError,
            {"moving_variance_initializer": {}},
            'moving_variance_initializer must have "class_name"',
        ),
        (ValueError, {"beta_regularizer": "l3"}, "beta_regularizer must be one of"),
        (TypeError, {"gamma_regularizer": 0.1}, "gamma_regularizer must be a str or an instance"),
    ],
)
def test_errors(error, arguments, message):
    with pytest.raises(error, match=LABEL + message):
        BatchNormalization(name="mine", **arguments)


def test_errors_of_shapes():
    with pytest.raises(
        ValueError, match=LABEL + "axis must be that of the channels, -1 or 3, received 1 for"
    ):
        BatchNormalization(1, name="mine").build((None, 3, 4, 4))
    with pytest.raises(
        ValueError, match=LABEL + "inputs must have a batch axis and a last axis of known size"
    ):
        BatchNormalization(name="mine").build((None, None))
    layer = BatchNormalization(name="mine")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=LABEL + "inputs must have 3 channels, as those it was built for"):
        layer.build((None, 4))
    with pytest.raises(ValueError, match=LABEL):
        layer(np.ones((2, 4), np.float32))
