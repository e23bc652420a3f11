"""Regularizers: penalties, their gradients, and how layers hold them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from konv import regularizers
from konv.layers import BatchNormalization, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, SeparableConv2D
from konv.regularizers import L1, L1L2, L2
from numeric_gradient import numeric_gradient

W = np.array([[2.0, -1.0], [0.5, -3.0]])


@pytest.mark.parametrize(
    ("regularizer", "penalty"),
    [(L1(0.5), 3.25), (L2(0.5), 7.125), (L1L2(0.5, 2.0), 3.25 + 28.5), (L1L2(), 0.0), (L1(), 0.065)],
)
def test_penalty_and_gradient(regularizer, penalty):
    assert regularizer(W) == pytest.approx(penalty, rel=1e-14)
    numeric = numeric_gradient(lambda w: np.float64(regularizer(w)), W, np.float64(1), 1e-5)
    np.testing.assert_allclose(regularizer.gradient(W), numeric, rtol=1e-9, atol=1e-10)


def test_gradients_have_the_dtype_of_the_weight(dtype):
    assert L1L2(0.1, 0.1).gradient(W.astype(dtype)).dtype == dtype


def test_at_zero_the_gradient_is_zero():
    assert L1L2(0.1, 0.1).gradient(np.zeros(2)).tolist() == [0, 0]


def test_many_small_weights_add_up():
    # Added one by one in float32 these would stop short of 2**24 / 1e8 of the sum.
    weights = np.full(10**5, 1e-3, np.float32)
    assert L1(1.0)(weights) == pytest.approx(100.0, rel=1e-6)


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("l1", L1(0.01)),
        ("L2", L2(0.01)),
        ("l1l2", L1L2(0.0, 0.0)),
        ({"class_name": "L2", "config": {"l2": 0.5}}, L2(0.5)),
    ],
)
def test_names(identifier, expected):
    assert repr(regularizers.get(identifier)) == repr(expected)


def test_none_and_one_that_is_given():
    assert regularizers.get(None) is None
    assert regularizers.described(None) is None
    own = L2(0.1)
    assert regularizers.get(own) is own
    assert repr(regularizers.get(regularizers.described(own))) == "L2(l2=0.1)"


@pytest.mark.parametrize(
    ("layer", "regularized"),
    [
        (Dense(3, kernel_regularizer="l2", bias_regularizer=L1(0.5)), {"kernel": "L2", "bias": "L1"}),
        (Conv2D(3, 2, kernel_regularizer=L1L2(0.1, 0.2)), {"kernel": "L1L2"}),
        (Conv2DTranspose(3, 2, bias_regularizer="l1"), {"bias": "L1"}),
        (DepthwiseConv2D(2, depthwise_regularizer="l2"), {"kernel": "L2"}),
        (
            SeparableConv2D(3, 2, depthwise_regularizer="l2", pointwise_regularizer="l1"),
            {"depthwise_kernel": "L2", "pointwise_kernel": "L1"},
        ),
        (BatchNormalization(beta_regularizer="l1", gamma_regularizer="l2"), {"beta": "L1", "gamma": "L2"}),
    ],
)
def test_layers_hold_them(layer, regularized):
    twin = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    for each in (layer, twin):
        each.build((None, 4, 4, 2))
        held = {v.name: type(v.regularizer).__name__ for v in each.variables if v.regularizer is not None}
        assert held == regularized


def test_other_names_are_the_same_classes():
    assert (regularizers.l1, regularizers.l2, regularizers.l1_l2) == (L1, L2, L1L2)
    assert isinstance(regularizers.get("l1_l2"), L1L2)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: L1("0.1"), "^L1: l1 must be a number, received '0.1'"),
        (ValueError, lambda: L2(-0.1), "^L2: l2 must be finite and at least 0"),
        (ValueError, lambda: L1L2(np.inf), "^L1L2: l1 must be finite and at least 0"),
        (TypeError, lambda: L1()([1.0]), "^L1: value must be an array .*, received list"),
        (TypeError, lambda: L2().gradient(W > 0), "^L2: value must have dtype .*, received bool"),
        (TypeError, lambda: L1L2()(np.ma.array(W)), "^L1L2: value must not be masked"),
        (
            ValueError,
            lambda: regularizers.get("l3"),
            'identifier must be one of "l1", "l2", "l1l2", "l1_l2", received',
        ),
        (TypeError, lambda: regularizers.get(0.1), "identifier must be a str or an instance of Regularizer"),
        (
            NotImplementedError,
            lambda: regularizers.Regularizer()(W),
            "^Regularizer: __call__ is not defined$",
        ),
        (
            NotImplementedError,
            lambda: regularizers.Regularizer().gradient(W),
            "^Regularizer: gradient is not defined$",
        ),
        (
            ValueError,
            lambda: Dense(3, kernel_regularizer="l3", name="mine"),
            r"^layer 'mine' \(Dense\): kernel_regularizer must be one of",
        ),
        (
            TypeError,
            lambda: DepthwiseConv2D(3, depthwise_regularizer=1, name="mine"),
            r"^layer 'mine' \(DepthwiseConv2D\): depthwise_regularizer must be a str or an instance",
        ),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
