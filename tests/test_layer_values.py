"""Layers against the reference and by hand, and their weights against Keras's."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from konv import layers, ops
from konv.layers import (
    AveragePooling2D,
    Context,
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling2D,
    Rescaling,
    Reshape,
    SeparableConv2D,
    SumPooling2D,
    ZeroPadding2D,
)


@pytest.mark.parametrize(
    ("layer", "shapes", "multiply_adds"),
    [
        (
            DepthwiseConv2D(3, depth_multiplier=2),
            {"kernel": (3, 3, 5, 2), "bias": (10,)},
            6 * 6 * 9 * 10,
        ),
        (
            SeparableConv2D(7, 3, 2, depth_multiplier=2),
            {"depthwise_kernel": (3, 3, 5, 2), "pointwise_kernel": (1, 1, 10, 7), "bias": (7,)},
            3 * 3 * (9 * 10 + 10 * 7),
        ),
        (Conv2DTranspose(7, 3, 2), {"kernel": (3, 3, 7, 5), "bias": (7,)}, 8 * 8 * 9 * 5 * 7),
        (Conv2D(6, 3, use_bias=False), {"kernel": (3, 3, 5, 6)}, 6 * 6 * 9 * 5 * 6),
    ],
)
def test_weights_and_multiply_adds(layer, shapes, multiply_adds):
    layer.build((None, 8, 8, 5))
    assert {variable.name: variable.shape for variable in layer.variables} == shapes
    assert list(shapes) == [variable.name for variable in layer.variables]
    assert layer.multiply_adds((None, 8, 8, 5)) == multiply_adds
    for variable in layer.variables:
        if variable.name == "bias":
            assert not variable.value.any()
        else:  # Keras counts the fans of every kernel as (..., in, out)
            window = variable.shape[0] * variable.shape[1]
            limit = np.sqrt(6 / (window * (variable.shape[2] + variable.shape[3])))
            assert 0.7 * limit < np.abs(variable.value).max() <= limit


def random_images(shape=(2, 6, 5, 3)):
    return np.random.default_rng(0).normal(size=shape)


def test_depthwise_is_a_convolution_of_each_channel():
    layer, x = DepthwiseConv2D(3, 2, "same", depth_multiplier=2, dtype="float64"), random_images()
    y = layer(x)
    for c in range(3):
        for m in range(2):
            kernel = layer.kernel.value[:, :, c : c + 1, m : m + 1]
            expected = reference.conv2d(x[..., c : c + 1], kernel, strides=2, padding="same")
            np.testing.assert_allclose(y[..., 2 * c + m], expected[..., 0], rtol=1e-13, atol=1e-14)


def test_separable_is_depthwise_then_1x1():
    x = random_images()
    depthwise = DepthwiseConv2D(3, 2, "same", depth_multiplier=2, use_bias=False, dtype="float64")
    pointwise = Conv2D(4, 1, activation="relu", dtype="float64")
    layer = SeparableConv2D(4, 3, 2, "same", depth_multiplier=2, activation="relu", dtype="float64")
    expected = pointwise(depthwise(x))
    layer.build(x.shape)
    layer.set_weights([*depthwise.get_weights(), pointwise.get_weights()[0], np.ones(4)])
    pointwise.set_weights([pointwise.get_weights()[0], np.ones(4)])
    assert not np.array_equal(layer(x), expected)
    assert np.array_equal(layer(x), pointwise(depthwise(x)))


def test_transposed_adds_a_bias_and_ends_in_an_activation():
    x = random_images()
    layer = Conv2DTranspose(4, 3, 2, "same", activation="relu", dtype="float64")
    layer.build(x.shape)
    bias = np.array([-1.0, 0.0, 1.0, 2.0])
    layer.set_weights([layer.get_weights()[0], bias])
    expected = reference.conv2d_transpose(x, layer.kernel.value, strides=2, padding="same") + bias
    np.testing.assert_allclose(layer(x), np.maximum(expected, 0), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("trained", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("needs_input", [False, True])
def test_gradients_of_some_of_the_weights(trained, needs_input):
    layer, x = SeparableConv2D(4, 3, dtype="float64"), random_images()
    layer.build(x.shape)
    y, saved = layer.forward(x, Context(training=True))
    all_x, all_grads = layer.backward(y, saved, needs_input=True)
    for number, variable in enumerate(layer.variables):
        variable.trainable = number in trained
    grad_x, grads = layer.backward(y, saved, needs_input=needs_input)
    assert (grad_x is None) == (not needs_input)
    assert grad_x is None or np.array_equal(grad_x, all_x)
    assert len(grads) == len(trained)
    assert all(np.array_equal(own, all_grads[number]) for own, number in zip(grads, trained, strict=True))


def test_separable_stops_at_the_weights_that_are_trained(monkeypatch):
    layer, x = SeparableConv2D(4, 3, dtype="float64"), random_images()
    layer.build(x.shape)
    y, saved = layer.forward(x, Context(training=True))
    asked = []
    whole = ops.conv2d_backward

    def conv2d_backward(*arrays, needs, **geometry):
        asked.append(list(needs))
        return whole(*arrays, needs=needs, **geometry)

    monkeypatch.setattr(ops, "conv2d_backward", conv2d_backward)
    layer.kernels[0].trainable = False
    layer.backward(y, saved, needs_input=False)
    assert asked == [["kernel", "bias"]]


def test_equal_maxima_share_the_gradient():
    x = np.array([[2.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)
    layer = GlobalMaxPooling2D()
    for image, expected in [(x, [0, 0, 0, 6]), (np.minimum(x, 2), [2, 0, 2, 2]), (x * np.nan, [np.nan] * 4)]:
        _, saved = layer.forward(image, Context(training=True))
        grad_x, _ = layer.backward(np.array([[6.0]]), saved, needs_input=True)
        np.testing.assert_array_equal(grad_x.ravel(), expected)


def test_pooling_by_hand():
    x = np.arange(12.0).reshape(1, 3, 2, 2)
    assert GlobalAveragePooling2D()(x).tolist() == [[5, 6]]
    assert GlobalMaxPooling2D()(x).tolist() == [[10, 11]]
    assert GlobalMaxPooling2D(keepdims=True)(x).tolist() == [[[[10, 11]]]]
    assert SumPooling2D(2)(x).tolist() == [[[[12, 16]]]]


def test_pooling_takes_a_name_in_the_place_that_keras_has():
    for layer in (MaxPooling2D, AveragePooling2D, SumPooling2D):
        assert layer(2, 2, "valid", None, "pool").name == "pool"


def test_padding_reshape_and_rescaling_by_hand():
    x = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    assert ZeroPadding2D(((1, 0), (0, 2)))(x)[0, :, :, 0].tolist() == [[0, 0, 0, 0], [1, 2, 0, 0]]
    assert ZeroPadding2D((1, 0))(x)[0, :, :, 0].tolist() == [[0, 0], [1, 2], [0, 0]]
    assert ZeroPadding2D(1)(x).shape == (1, 3, 4, 1)
    assert Reshape((-1,))(x).tolist() == [[1, 2]]
    assert Rescaling(np.array([2.0, 10.0]), 1)(np.array([[3, 4]], np.uint8)).tolist() == [[7, 41]]
    assert np.isinf(Rescaling(1e38)(np.array([[1e30]], np.float32)))


def test_other_names_are_the_same_classes():
    names = {
        "AvgPool2D": AveragePooling2D,
        "Convolution2D": Conv2D,
        "Convolution2DTranspose": Conv2DTranspose,
        "GlobalAvgPool2D": GlobalAveragePooling2D,
        "GlobalMaxPool2D": GlobalMaxPooling2D,
        "MaxPool2D": MaxPooling2D,
        "SeparableConvolution2D": SeparableConv2D,
    }
    assert all(getattr(layers, name) is cls and name in layers.__all__ for name, cls in names.items())
