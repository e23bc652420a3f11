"""Activations: values by their definitions, limits, and gradients by differences."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from konv import activations
from konv.activations import Activation
from konv.layers import Activation as ActivationLayer
from konv.layers import Context, Conv2D, Dense
from numeric_gradient import numeric_gradient


def logistic(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


# Each as its definition has it, one Python float at a time.
DEFINITIONS = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "sigmoid": logistic,
    "hard_sigmoid": lambda x: min(max(x + 3.0, 0.0), 6.0) / 6.0,
    "tanh": math.tanh,
    "silu": lambda x: x * logistic(x),
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2.0)) / 2.0,
}
AT_MINUS_INFINITY = {
    "linear": (-math.inf, 1.0),
    "leaky_relu": (-math.inf, 0.2),
    "elu": (-1.0, 0.0),
    "tanh": (-1.0, 0.0),
}  # value and slope; the others end at 0, flat
AT_INFINITY = {
    "relu6": (6.0, 0.0),
    "sigmoid": (1.0, 0.0),
    "hard_sigmoid": (1.0, 0.0),
    "tanh": (1.0, 0.0),
}  # the others rise with slope 1

ELEMENTWISE = pytest.mark.parametrize("name", DEFINITIONS)


@ELEMENTWISE
def test_values(name, dtype):
    x = np.concatenate([np.linspace(-8.0, 8.0, 321), [-1e-3, 1e-3, -80.0, 80.0, -1e30, 1e30]]).astype(dtype)
    y = activations.get(name)(x)
    expected = [DEFINITIONS[name](float(each)) for each in x]
    # A few roundings each; those of 1 - erf and of a result near 0 count absolutely.
    epsilon = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=8 * epsilon, atol=8 * epsilon)
    assert y.dtype == dtype


@ELEMENTWISE
def test_gradients(name):
    x = np.linspace(-7.05, 7.05, 48)  # no kink (0, 3, 6 and their negatives) within a step
    grad = np.random.default_rng(0).normal(size=x.shape)
    activation = activations.get(name)
    _, kept = activation.forward(x)
    numeric = numeric_gradient(activation, x, grad, 1e-5)
    np.testing.assert_allclose(activation.backward(grad, kept), numeric, rtol=1e-7, atol=1e-9)


@ELEMENTWISE
def test_limits_and_nan(name, dtype):
    activation = activations.get(name)
    x = np.array([-math.inf, math.inf, math.nan], dtype)
    y, kept = activation.forward(x)
    slope = activation.backward(np.ones_like(x), kept)
    below, above = AT_MINUS_INFINITY.get(name, (0.0, 0.0)), AT_INFINITY.get(name, (math.inf, 1.0))
    assert [y[0], slope[0]] == pytest.approx(below)
    assert [y[1], slope[1]] == pytest.approx(above)
    assert np.isnan(y[2])
    assert y.dtype == slope.dtype == dtype


@ELEMENTWISE
def test_largest_numbers_give_finite_slopes(name, dtype):
    activation = activations.get(name)
    x = np.array([-np.finfo(dtype).max, np.finfo(dtype).max], dtype)
    y, kept = activation.forward(x)
    assert not np.isnan(y).any()
    assert np.isfinite(activation.backward(np.ones_like(x), kept)).all()


@pytest.mark.parametrize("name", [*DEFINITIONS, "softmax"])
def test_nothing_that_is_given_changes(name):
    activation = activations.get(name)
    x, grad = np.random.default_rng(1).normal(size=(2, 3, 4))
    x_before, grad_before = x.copy(), grad.copy()
    y, kept = activation.forward(x)
    y_before = y.copy()
    twice = [activation.backward(grad, kept) for _ in range(2)]
    assert np.array_equal(x, x_before)
    assert np.array_equal(grad, grad_before)
    assert np.array_equal(y, y_before)
    assert np.array_equal(*twice)


@pytest.mark.parametrize("name", [*DEFINITIONS, "softmax"])
def test_arrays_in_any_order_and_empty_ones(name):
    activation = activations.get(name)
    x = np.random.default_rng(2).normal(size=(4, 6))
    assert np.array_equal(activation(x[::2, ::3]), activation(x[::2, ::3].copy()))
    y, kept = activation.forward(x[:0])
    assert y.shape == activation.backward(y, kept).shape == (0, 6)


@pytest.mark.parametrize("name", [*DEFINITIONS, "softmax"])
def test_arrays_without_axes(name, dtype):
    y = activations.get(name)(np.array(0.5, dtype))
    assert y.shape == ()
    assert y.dtype == dtype
    assert y == activations.get(name)(np.array([0.5], dtype))[0]


def test_softmax_by_hand():
    y = activations.softmax(np.array([[0.0, math.log(3.0)], [-math.inf, 5.0], [1e308, -1e308]]))
    np.testing.assert_allclose(y, [[0.25, 0.75], [0.0, 1.0], [1.0, 0.0]], rtol=1e-15)
    assert np.isnan(activations.softmax(np.array([[math.nan, 0.0]]))).all()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_along_any_axis(axis):
    x = np.random.default_rng(3).normal(size=(2, 3, 4))
    grad = np.random.default_rng(4).normal(size=x.shape)
    y, kept = activations.softmax_forward(x, axis)
    np.testing.assert_allclose(y.sum(axis), 1.0, rtol=1e-15)
    numeric = numeric_gradient(lambda x: activations.softmax_forward(x, axis)[0], x, grad, 1e-5)
    np.testing.assert_allclose(activations.softmax_backward(grad, kept, axis), numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", [*DEFINITIONS, "softmax"])
def test_names_find_them_again(name):
    activation = activations.get(name.upper())
    assert activation is getattr(activations, name)
    assert activations.name_in_config(pickle.loads(pickle.dumps(activation)), "here") == name
    assert name in activations.__all__


def test_swish_is_silu():
    assert activations.get("swish") is activations.get("Swish") is activations.silu
    assert ActivationLayer("swish").get_config()["activation"] == "silu"


@pytest.mark.parametrize("name", [*DEFINITIONS, "softmax"])
def test_what_is_left_out_for_logits(name):
    left_out = name if name in ("softmax", "sigmoid") else None
    for layer in (ActivationLayer(name), Dense(4, name), Conv2D(4, 1, activation=name)):
        assert layer.ends_in == left_out
    if left_out is None:
        return
    x = np.random.default_rng(5).normal(size=(2, 3, 3, 4)).astype(np.float32)
    for layer in (ActivationLayer(name), Dense(4, name), Conv2D(4, 1, activation=name)):
        layer.build(x.shape)
        logits, saved = layer.forward(x, Context(training=True, logits=True))
        assert np.array_equal(activations.get(name)(logits), layer(x))
        grad = np.ones_like(logits)
        grad_x, grads = layer.backward(grad, saved, needs_input=True)
        assert all(np.array_equal(each, grad.sum((0, 1, 2))) for each in grads[1:])
        assert isinstance(layer, ActivationLayer) == np.array_equal(grad_x, grad)


def test_one_of_its_own():
    square = Activation("square", lambda x: (x * x, x), lambda grad, x: 2 * x * grad)
    layer = ActivationLayer(square, name="mine")
    y, saved = layer.forward(np.array([[3.0]]), Context())
    assert y == 9.0
    assert layer.backward(np.array([[1.0]]), saved, needs_input=True)[0] == 6.0
    with pytest.raises(
        ValueError, match=r"^layer 'mine' \(Activation\): activation must be one of \"linear\""
    ):
        layer.get_config()


def test_inference_keeps_nothing():
    x = np.ones((2, 4), np.float32)
    for layer in (ActivationLayer("gelu"), Dense(3, "gelu")):
        layer.build(x.shape)
        assert layer.forward(x, Context(for_backward=False))[1] is None


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda: activations.get("tanhh"), 'identifier must be None or one of "linear", "relu"'),
        (ValueError, lambda: activations.get("swishh"), '"softmax", "swish", received .swishh.'),
        (
            TypeError,
            lambda: activations.get(3),
            "identifier must be None, a str or an Activation, received 3",
        ),
        (TypeError, lambda: activations.tanh([1.0]), "^tanh: x must be an array"),
        (TypeError, lambda: activations.gelu(np.arange(3)), "^gelu: x must have dtype float32 or float64"),
        (TypeError, lambda: activations.softmax(np.arange(3)), "^softmax: x must have dtype float32 or"),
        (
            ValueError,
            lambda: activations.softmax(np.zeros((2, 0))),
            r"^softmax: x must have elements along axis -1, received shape \(2, 0\)",
        ),
        (
            TypeError,
            lambda: ActivationLayer(7, name="mine"),
            r"^layer 'mine' \(Activation\): activation must be",
        ),
        (ValueError, lambda: ActivationLayer("relu7"), r"\(Activation\): activation must be None or one of"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
