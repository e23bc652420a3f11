"""Layers: gradients by differences, shapes, weights and names."""

from __future__ import annotations

import copy
import json
import pickle
import re

import numpy as np
import pytest

from konv import Sequential, layers
from konv.activations import relu, softmax
from konv.layers import (
    Activation,
    AveragePooling2D,
    Context,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    Layer,
    MaxPooling2D,
    ReLU,
    Rescaling,
    Reshape,
    SeparableConv2D,
    Softmax,
    SumPooling2D,
    ZeroPadding2D,
)
from konv.losses import SparseCategoricalCrossentropy
from numeric_gradient import numeric_gradient

STEP = 1e-5

# name: (layer, shape of the inputs)
CASES = {
    "conv": (lambda: Conv2D(3, 3, dtype="float64"), (2, 5, 4, 2)),
    "conv strided same": (lambda: Conv2D(4, (3, 2), (2, 1), "same", groups=2, dtype="float64"), (2, 5, 4, 2)),
    "conv dilated": (lambda: Conv2D(2, 2, dilation_rate=2, padding=1, dtype="float64"), (1, 4, 5, 1)),
    "conv relu": (lambda: Conv2D(3, 3, activation="relu", dtype="float64"), (2, 5, 4, 2)),
    "conv softmax": (lambda: Conv2D(3, 1, activation="softmax", dtype="float64"), (2, 2, 2, 2)),
    "conv no bias": (lambda: Conv2D(3, 3, use_bias=False, dtype="float64"), (1, 4, 4, 2)),
    "conv sigmoid": (lambda: Conv2D(3, 1, activation="sigmoid", dtype="float64"), (2, 2, 2, 2)),
    "depthwise": (lambda: DepthwiseConv2D(3, dtype="float64"), (2, 5, 4, 3)),
    "depthwise multiplied": (
        lambda: DepthwiseConv2D((3, 2), (2, 1), "same", 2, activation="relu", dtype="float64"),
        (2, 5, 4, 3),
    ),
    "depthwise no bias": (
        lambda: DepthwiseConv2D(2, dilation_rate=2, use_bias=False, dtype="float64"),
        (1, 4, 4, 2),
    ),
    "separable": (lambda: SeparableConv2D(4, 3, dtype="float64"), (2, 5, 4, 2)),
    "separable multiplied": (
        lambda: SeparableConv2D(3, 2, 2, "same", depth_multiplier=2, activation="tanh", dtype="float64"),
        (2, 5, 4, 2),
    ),
    "separable no bias": (
        lambda: SeparableConv2D(3, 3, padding=1, dilation_rate=2, use_bias=False, dtype="float64"),
        (1, 5, 5, 2),
    ),
    "transposed": (lambda: Conv2DTranspose(3, 3, dtype="float64"), (2, 3, 4, 2)),
    "transposed same": (
        lambda: Conv2DTranspose(2, (3, 2), 2, "same", activation="relu", dtype="float64"),
        (2, 3, 4, 3),
    ),
    "transposed explicit": (
        lambda: Conv2DTranspose(2, 3, 3, ((1, 0), (2, 1)), (1, 2), use_bias=False, dtype="float64"),
        (1, 3, 2, 2),
    ),
    "max pool": (lambda: MaxPooling2D(2), (2, 5, 4, 3)),
    "max pool overlapping": (lambda: MaxPooling2D(3, strides=1, padding="same"), (1, 4, 4, 2)),
    "average pool": (lambda: AveragePooling2D((3, 2), 2, "same"), (2, 5, 4, 3)),
    "sum pool": (lambda: SumPooling2D((3, 2), 2, "same"), (2, 5, 4, 3)),
    "global average pool": (lambda: GlobalAveragePooling2D(), (2, 5, 4, 3)),
    "global average pool keepdims": (lambda: GlobalAveragePooling2D(keepdims=True), (2, 3, 2, 3)),
    "global max pool": (lambda: GlobalMaxPooling2D(), (2, 5, 4, 3)),
    "global max pool keepdims": (lambda: GlobalMaxPooling2D(keepdims=True), (2, 20, 20, 1)),
    "zero padding": (lambda: ZeroPadding2D(((0, 1), (2, 3))), (2, 3, 2, 2)),
    "reshape": (lambda: Reshape((3, -1)), (2, 2, 3, 2)),
    "rescaling": (lambda: Rescaling(2.5, -1, dtype="float64"), (2, 3)),
    "rescaling by channel": (lambda: Rescaling((1, 2, 3), [0.5, 0, 1], dtype="float64"), (2, 2, 3)),
    "dropout": (lambda: Dropout(0.0), (2, 3)),
    **{
        name: (lambda name=name: Activation(name), (3, 4, 2))
        for name in (
            "linear",
            "relu6",
            "leaky_relu",
            "elu",
            "sigmoid",
            "hard_sigmoid",
            "tanh",
            "silu",
            "gelu",
        )
    },
    "activation relu": (lambda: Activation("relu"), (3, 4)),
    "activation softmax": (lambda: Activation("softmax"), (2, 3, 4)),
    "relu": (lambda: ReLU(), (3, 4, 2)),
    "relu variations": (lambda: ReLU(max_value=0.5, negative_slope=0.2, threshold=0.1), (5, 7)),
    "flatten": (lambda: Flatten(), (2, 3, 2)),
    "dense": (lambda: Dense(4, dtype="float64"), (3, 5)),
    "dense relu": (lambda: Dense(4, activation="relu", dtype="float64"), (3, 5)),
    "dense softmax": (lambda: Dense(4, activation="softmax", dtype="float64"), (2, 2, 3)),
    "dense no bias": (lambda: Dense(2, use_bias=False, dtype="float64"), (3, 5)),
    "softmax": (lambda: Softmax(), (3, 4)),
    "softmax of axis 1": (lambda: Softmax(axis=1), (2, 3, 4)),
}


@pytest.fixture(params=CASES)
def case(request):
    make, shape = CASES[request.param]
    layer = make()
    layer.build((None, *shape[1:]))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    # Distinct values far apart on the scale of the step: no maximum changes place, nothing crosses a kink.
    x = random.permutation(np.linspace(-1, 1, np.prod(shape))).reshape(shape)
    y, saved = layer.forward(x, Context(training=True))
    return layer, x, y, saved, random.normal(size=y.shape)


def test_gradients(case):
    layer, x, _, saved, grad = case
    grad_x, grads = layer.backward(grad, saved, needs_input=True)

    def forward(inputs):
        return layer.forward(inputs, Context(training=True))[0]

    np.testing.assert_allclose(grad_x, numeric_gradient(forward, x, grad, STEP), rtol=1e-7, atol=1e-8)
    assert len(grads) == len(layer.trainable_variables)
    for variable, grad_weight in zip(layer.trainable_variables, grads, strict=True):
        before = variable.value

        def of_weight(weight, variable=variable):
            variable.assign(weight)
            return forward(x)

        numeric = numeric_gradient(of_weight, before, grad, STEP)
        variable.assign(before)
        np.testing.assert_allclose(grad_weight, numeric, rtol=1e-7, atol=1e-8)


def test_shape_is_as_computed(case):
    layer, x, y, _, _ = case
    assert layer.compute_output_shape((None, *x.shape[1:])) == (None, *y.shape[1:])
    assert layer.compute_output_shape(x.shape) == y.shape


def test_passes_for_inference_agree_with_training(case):
    layer, x, y, _, _ = case
    assert np.array_equal(layer.forward(x, Context(for_backward=False))[0], y)


def test_an_image_does_not_depend_on_its_batch(case):
    layer, x, y, saved, grad = case
    grad_x, _ = layer.backward(grad, saved, needs_input=True)
    for i in range(len(x)):
        single, saved = layer.forward(x[i : i + 1], Context(training=True))
        assert np.array_equal(single[0], y[i])
        assert np.array_equal(layer.backward(grad[i : i + 1], saved, needs_input=True)[0][0], grad_x[i])


def test_empty_batch(case):
    layer, x, y, _, grad = case
    empty, saved = layer.forward(x[:0], Context(training=True))
    assert empty.shape == (0, *y.shape[1:])
    grad_x, grads = layer.backward(grad[:0], saved, needs_input=True)
    assert grad_x.shape == (0, *x.shape[1:])
    assert not any(each.any() for each in grads)


def test_gradients_are_computed_only_where_asked_for(case):
    layer, x, _, saved, grad = case
    grad_x, grads = layer.backward(grad, saved, needs_input=False)
    assert grad_x is None
    assert len(grads) == len(layer.variables)
    layer.trainable = False
    _, saved = layer.forward(x, Context(training=True))
    grad_x, grads = layer.backward(grad, saved, needs_input=True)
    assert grad_x.shape == x.shape
    assert grads == layer.trainable_variables == []


def test_config_makes_a_twin(case):
    layer, x, y, _, _ = case
    twin = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    twin.build((None, *x.shape[1:]))
    twin.set_weights(layer.get_weights())
    assert twin.get_config() == layer.get_config()
    assert np.array_equal(twin.forward(x, Context())[0], y)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_end_in_softmax_too(copied):
    assert copied(Dense(3, activation="softmax")).ends_in == "softmax"
    assert copied(Dense(3, activation="relu")).ends_in is None


class Halved(Dense):
    """Halves what comes out of softmax, so that a loss can't be computed from what goes into it."""

    def forward(self, inputs, context):
        outputs, saved = super().forward(inputs, context)
        return outputs / 2, saved


def test_a_layer_with_a_pass_of_its_own_leaves_no_activation_out():
    assert Halved(3, activation="softmax").ends_in is None
    model = Sequential([Input((2,)), Halved(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, labels = np.array([[1.0, -2.0], [3.0, 1.0]]), np.array([0, 2])
    expected = SparseCategoricalCrossentropy()(labels, model.predict(x, verbose=0))
    assert model.evaluate(x, labels, verbose=0) == pytest.approx(expected)


@pytest.mark.parametrize("layer", [Softmax(), Dense(4, "softmax"), Conv2D(4, 1, activation="softmax")])
def test_softmax_is_left_out_for_logits(layer):
    x = np.random.default_rng(3).normal(size=(2, 3, 3, 4)).astype(np.float32)
    layer.build(x.shape)
    logits, saved = layer.forward(x, Context(training=True, logits=True))
    assert np.array_equal(softmax(logits), layer(x))
    grad = np.ones_like(logits)
    _, grads = layer.backward(grad, saved, needs_input=True)
    assert all(np.array_equal(each, grad.sum((0, 1, 2))) for each in grads[1:])


@pytest.mark.parametrize(
    "layer", [MaxPooling2D(), GlobalMaxPooling2D(), ReLU(), ReLU(max_value=6), Softmax(), Conv2D(2, 1)]
)
def test_inference_keeps_nothing(layer):
    layer.build((None, 4, 4, 1))
    assert layer.forward(np.zeros((1, 4, 4, 1), np.float32), Context(for_backward=False))[1] is None


def test_unknown_sizes():
    shape = (None, None, None, 3)
    assert Conv2D(8, 3, dilation_rate=4).compute_output_shape(shape) == (None, None, None, 8)
    assert MaxPooling2D(7).compute_output_shape((None, 14, None, 3)) == (None, 2, None, 3)
    assert Flatten().compute_output_shape(shape) == (None, None)
    assert Dense(2).compute_output_shape((None, None, 3)) == (None, None, 2)
    assert DepthwiseConv2D(3, depth_multiplier=2).compute_output_shape(shape) == (None, None, None, 6)
    assert SeparableConv2D(8, 3).compute_output_shape((None, 9, None, 3)) == (None, 7, None, 8)
    assert Conv2DTranspose(8, 3, 2).compute_output_shape((None, 4, None, 3)) == (None, 9, None, 8)
    assert Conv2DTranspose(8, 3, padding=4).compute_output_shape(shape) == (None, None, None, 8)
    assert GlobalMaxPooling2D().compute_output_shape(shape) == (None, 3)
    assert GlobalAveragePooling2D(keepdims=True).compute_output_shape(shape) == (None, 1, 1, 3)
    assert ZeroPadding2D().compute_output_shape((None, 5, None, 3)) == (None, 7, None, 3)
    assert Reshape((-1, 3)).compute_output_shape(shape) == (None, None, 3)
    assert Reshape((4, 3)).compute_output_shape(shape) == (None, 4, 3)
    assert Reshape(()).compute_output_shape((None, 1)) == (None,)
    assert Rescaling([1, 2]).compute_output_shape((None, None)) == (None, None)
    assert Dropout(0.5, (None, 1)).compute_output_shape((None, None)) == (None, None)
    assert DepthwiseConv2D(3).multiply_adds(shape) is None
    assert Conv2DTranspose(8, 3).multiply_adds(shape) is None
    assert Conv2D(8, 3).multiply_adds(shape) is None
    assert Dense(2).multiply_adds((None, None, 3)) is None


def test_keras_order_shapes_and_initial_weights():
    layer = Conv2D(10, 5, padding=2, groups=1)
    layer.build((None, 32, 32, 3))
    kernel, bias = layer.get_weights()
    assert kernel.shape == (5, 5, 3, 10)
    assert np.abs(kernel).max() <= np.sqrt(6 / (75 + 250))
    assert bias.tolist() == [0] * 10
    assert layer.count_params() == 760
    assert layer.multiply_adds((None, 32, 32, 3)) == 32 * 32 * 750
    assert [variable.name for variable in layer.variables] == ["kernel", "bias"]


def test_weights_are_copies():
    layer = Dense(2)
    layer.build((None, 2))
    weights = layer.get_weights()
    weights[0][:] = 7
    assert not (layer.get_weights()[0] == 7).any()
    layer.set_weights(weights)
    weights[0][:] = 8
    assert (layer.get_weights()[0] == 7).all()
    assert np.array_equal(np.asarray(layer.kernel), layer.get_weights()[0])


def test_a_failed_set_weights_sets_none():
    layer = Dense(2)
    layer.build((None, 2))
    before = layer.get_weights()
    with pytest.raises(ValueError, match="weight 'bias' must have shape"):
        layer.set_weights([np.ones((2, 2)), np.ones(3)])
    assert np.array_equal(layer.get_weights()[0], before[0])


def test_automatic_names_count_up():
    class MyOwn2DLayer(Layer):
        pass

    assert [MyOwn2DLayer().name for _ in range(3)] == [
        "my_own2d_layer",
        "my_own2d_layer_1",
        "my_own2d_layer_2",
    ]
    bases = {
        Conv2D: "conv2d",
        MaxPooling2D: "max_pooling2d",
        AveragePooling2D: "average_pooling2d",
        ReLU: "re_lu",
    }
    for cls, base in bases.items():
        arguments = (1, 1) if cls is Conv2D else ()
        assert re.fullmatch(rf"{base}(_\d+)?", cls(*arguments).name)


def test_layers_can_be_called():
    layer = Dense(3)
    assert layer(np.ones((2, 4), np.uint8)).dtype == np.float32
    assert layer.built
    layer.build((None, 4))  # a second time changes nothing
    assert len(layer.variables) == 2


def test_inputs_are_never_equal():
    first, second = Input((2,), name="a"), Input((2,), name="a")
    assert first != second
    assert len({first, second}) == 2


def test_names_of_activations_are_taken_in_any_case():
    assert Dense(3, activation="ReLU").activation is relu


def test_relu_variations_by_hand():
    x = np.array([[-1.0, 0.0, 0.5, 1.0, 2.0, 3.0]], np.float32)
    layer = ReLU(max_value=2, negative_slope=0.5, threshold=1)
    assert layer(x).tolist() == [[-1.0, -0.5, -0.25, 0.0, 2.0, 2.0]]
    assert ReLU()(np.array([[-0.0, np.nan]], np.float32)).tobytes()[:4] == bytes(4)


@pytest.mark.parametrize(
    ("layer", "slopes"),
    [
        (ReLU(), {-1: 0, 0: 0, 1: 1}),
        (ReLU(6), {0: 0, 5: 1, 6: 0, 7: 0}),
        (ReLU(3), {0: 0, 2: 1, 3: 1, 4: 0}),
        (ReLU(negative_slope=0.5), {-1: 0.5, 0: 0.5, 1: 1}),
        (ReLU(6, 0.5), {-1: 0.5, 0: 0, 6: 1, 7: 0}),
        (ReLU(None, 0.5, 1), {0: 0.5, 1: 0, 2: 1}),
    ],
)
def test_slopes_of_relu_at_its_corners(layer, slopes):
    x = np.array([list(slopes)], float)
    _, saved = layer.forward(x, Context(training=True))
    grad_x, _ = layer.backward(np.ones_like(x), saved, needs_input=True)
    assert grad_x.tolist() == [list(slopes.values())]


@pytest.mark.parametrize("options", [{}, {"max_value": 6}, {"max_value": 2}, {"negative_slope": 0.5}])
def test_relu_of_infinities_and_nan(options):
    y = ReLU(**options)(np.array([[-np.inf, np.inf, np.nan]], np.float32))
    below = -np.inf if "negative_slope" in options else 0
    np.testing.assert_array_equal(y, [[below, options.get("max_value", np.inf), np.nan]])


def test_context_keys_differ():
    context = Context(seed=1, step=2)
    keys = {
        context.key,
        Context(seed=1, step=3).key,
        Context(seed=2, step=2).key,
        context.within(0).key,
        context.within(1).key,
        context.within(0, call=1).key,
        context.within(0).within(1).key,
    }
    assert len(keys) == 7
    assert context.within(1).key == Context(seed=1, step=2).within(1).key


def test_all_layers_are_listed():
    assert {"Conv2D", "Dense", "Flatten", "Softmax"} <= set(layers.__all__)


def test_float64_beyond_float32_becomes_infinite():
    """Without a warning of NumPy, which pytest would make an error."""
    assert np.isposinf(Activation("linear")(np.array([[1e300]]))).all()
