"""Functional models: gradients by differences, sharing, what is refused; all on small graphs."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from konv import Model, Sequential, losses
from konv.layers import (
    AveragePooling2D,
    Context,
    Conv2D,
    Dense,
    Flatten,
    Input,
    InputLayer,
    Layer,
    ReLU,
    Softmax,
)
from numeric_gradient import numeric_gradient

F64 = {"dtype": "float64"}


class Sum(Layer):
    """Adds its inputs, and passes one gradient array on to all of them."""

    several_inputs = True

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, inputs, context):
        return sum(inputs), len(inputs)

    def backward(self, grad, saved, *, needs_input):
        return [grad] * saved if needs_input else None, []


class Product(Layer):
    several_inputs = True

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def forward(self, inputs, context):
        first, second = inputs
        return first * second, inputs

    def backward(self, grad, saved, *, needs_input):
        first, second = saved
        return [grad * second, grad * first] if needs_input else None, []


class Halves(Layer):
    """Several outputs: the two halves of the last axis."""

    several_outputs = True

    def compute_output_shape(self, input_shape):
        return [(*input_shape[:-1], input_shape[-1] // 2)] * 2

    def forward(self, inputs, context):
        return np.split(inputs, 2, axis=-1), inputs.shape

    def backward(self, grad, saved, *, needs_input):
        if not needs_input:
            return None, []
        empty = np.zeros((*saved[:-1], saved[-1] // 2))
        return np.concatenate([empty if part is None else part for part in grad], axis=-1), []


def residual():
    x = Input((6, 6, 2), **F64)
    y = Conv2D(2, 3, padding="same", activation="relu", **F64)(x)
    y = Sum(**F64)([x, Conv2D(2, 3, padding="same", **F64)(y)])
    return Model(x, Dense(3, **F64)(Flatten(**F64)(AveragePooling2D(3, **F64)(ReLU(**F64)(y)))))


def shared_layer():
    x = Input((4,), **F64)
    shared = Dense(4, **F64)
    y = shared(Dense(4, activation="relu", **F64)(shared(x)))
    return Model(x, Product(**F64)([y, shared(x)]))


def two_inputs():
    a, b = Input((4,), **F64), Input((3, 2), **F64)
    y = Product(**F64)([Dense(5, **F64)(a), Dense(5, **F64)(Flatten(**F64)(b))])
    return Model([a, b], Dense(2, **F64)(y))


def two_outputs():
    x = Input((4,), **F64)
    y = Dense(3, activation="relu", **F64)(x)
    z = Dense(3, **F64)(y)
    return Model(x, [z, Sum(**F64)([y, z]), y])


def nested():
    branch = two_outputs()
    head = Sequential([Dense(4, **F64), ReLU(**F64), Dense(4, **F64)])
    x = Input((4,), **F64)
    first, second, _ = branch(head(x))
    third, *_ = branch(x)
    return Model(x, Sum(**F64)([first, second, third]))


def halves():
    x = Input((4,), **F64)
    low, high = Halves(**F64)(Dense(6, **F64)(x))
    only, _ = Halves(**F64)(Dense(6, **F64)(x))
    return Model(x, [Product(**F64)([low, high]), Sum(**F64)([only, low])])


def output_is_used_inside():
    x = Input((4,), **F64)
    y = Dense(4, **F64)(x)
    return Model(x, [y, Dense(4, **F64)(y), y, x])


NETWORKS = [residual, shared_layer, two_inputs, two_outputs, nested, halves, output_is_used_inside]


def randomized(model, random):
    model.set_weights([random.normal(size=weight.shape) / 2 for weight in model.get_weights()])
    return [random.normal(size=(3, *tensor.shape[1:])) for tensor in model.inputs]


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_of_whole_graphs(network):
    model = network()
    random = np.random.default_rng(3)
    inputs = randomized(model, random)
    context = Context(training=True)
    none = [False] * len(model.outputs)
    outputs, saved = model.run_forward(inputs, context, none)
    scales = [random.normal(size=output.shape) for output in outputs]

    def total(given):
        return sum(
            np.sum(scale * output)
            for scale, output in zip(scales, model.run_forward(given, context, none)[0], strict=True)
        )

    grad_inputs, grads = model.run_backward(scales, saved, needs_input=True)
    assert saved == []
    for index, grad in enumerate(grad_inputs):

        def of_input(array, index=index):
            return total([*inputs[:index], array, *inputs[index + 1 :]])

        numeric = numeric_gradient(of_input, inputs[index], np.ones(()), 1e-6)
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-8)
    assert len(grads) == len(model.trainable_variables) == len(model.get_weights())
    for variable, grad in zip(model.trainable_variables, grads, strict=True):
        before = variable.value

        def of_weight(weight, variable=variable):
            variable.assign(weight)
            return total(inputs)

        numeric = numeric_gradient(of_weight, before, np.ones(()), 1e-6)
        variable.assign(before)
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("network", NETWORKS)
def test_config_copy_and_pickle_make_twins(network):
    model = network()
    inputs = randomized(model, np.random.default_rng(4))
    inputs = inputs if model.several_inputs else inputs[0]
    twin = Model.from_config(model.get_config(), {cls.__name__: cls for cls in (Sum, Product, Halves)})
    assert twin.get_config() == model.get_config()
    twin.set_weights(model.get_weights())
    for other in (twin, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), copy.copy(model)):
        np.testing.assert_equal(other(inputs), model(inputs))
        assert (other.input_names, other.output_names) == (model.input_names, model.output_names)
        assert (other.input_shape, other.output_shape) == (model.input_shape, model.output_shape)
    assert not any(
        mine is theirs for mine, theirs in zip(model.variables, copy.deepcopy(model).variables, strict=True)
    )


@pytest.mark.parametrize("nest", [False, True])
@pytest.mark.parametrize("end", ["dense", "layer"])
def test_softmax_is_left_out_of_the_gradient(nest, end):
    x = Input((4,), **F64)
    y = Dense(3, activation="softmax", **F64)(x) if end == "dense" else Softmax(**F64)(Dense(3, **F64)(x))
    other = Dense(2, **F64)(x)
    model = Model(x, [other, y])
    if nest:
        outer = Input((4,), **F64)
        model = Model(outer, model(outer))
    assert model.output_activations == [None, "softmax"]
    random = np.random.default_rng(5)
    inputs = randomized(model, random)
    labels, loss = np.array([0, 2, 1]), losses.SparseCategoricalCrossentropy(from_logits=True)

    def total(array):
        logits = model.run_forward([array], Context(training=True), [False, True])[0][1]
        return loss.per_sample(labels, logits)[0]

    outputs, saved = model.run_forward(inputs, Context(training=True), [False, True])
    exact = model.run_forward(inputs, Context(), [False, False])[0][1]
    assert np.allclose(exact.sum(axis=-1), 1.0)
    assert not np.allclose(outputs[1].sum(axis=-1), 1.0)
    gradient = loss.per_sample(labels, outputs[1])[1](1.0)
    (grad_x,), grads = model.run_backward([None, gradient], saved, needs_input=True)
    np.testing.assert_allclose(
        grad_x, numeric_gradient(total, inputs[0], np.ones(3), 1e-6), rtol=1e-6, atol=1e-8
    )
    zero = [not grad.any() for grad in grads]
    names = [name.split("/")[-2] for name, _ in model.named_variables()]
    assert zero == [name == other.name for name in names]


def test_an_activation_stays_where_the_tensor_has_another_use():
    x = Input((4,))
    y = Dense(3, activation="softmax")(x)
    assert Model(x, [y, ReLU()(y)]).output_activations == [None, None]
    assert Model(x, [y, y]).output_activations == [None, None]
    assert Model(x, [y]).output_activations == ["softmax"]
    assert Model(x, x).output_activations == [None]
    model = Model(x, [y, ReLU()(y)])
    for logits in ([True, False], [False, False]):
        outputs, _ = model.run_forward([np.ones((1, 4), np.float32)], Context(), logits)
        assert abs(outputs[0].sum() - 1) < 1e-6  # float32, three terms


def test_feature_maps_of_a_trained_model():
    model = Sequential([Input((8, 8, 1)), Conv2D(2, 3), Flatten(), Dense(3, activation="softmax")])
    features = Model(model.input, [layer.output for layer in model.layers])
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    first, second, third = features(x)
    assert np.array_equal(third, model(x))
    assert np.array_equal(second, first.reshape(2, -1))
    assert features.get_layer(index=1) is model.layers[0]
    assert features.variables == model.variables
    model.set_weights([weight * 0 for weight in model.get_weights()])
    assert not features(x)[0].any()
    one = Model(model.input, [model.layers[0].output])
    assert one(x).shape == one.predict(x, verbose=0).shape == (2, 6, 6, 2)  # as in Keras


def test_a_model_from_the_middle_of_another():
    x = Input((4,), name="x")
    middle = Dense(3, name="a")(x)
    whole = Model(x, Dense(2, name="b")(middle))
    end = Model(middle, whole.output)
    start = Model(x, middle)
    ones = np.ones((1, 4), np.float32)
    assert np.array_equal(end(start(ones)), whole(ones))
    assert [type(layer) for layer in end.layers] == [InputLayer, Dense]
    assert end.layers[1] is whole.layers[2]
    assert end.input is not middle
    assert Model.from_config(end.get_config()).input_shape == (None, 3)


def test_layers_stand_in_the_order_of_keras():
    """The order that Keras 3 gives the same graph: by distance from the outputs, then by the walk back."""
    a, b = Input((4,), name="a"), Input((4,), name="b")
    late = Dense(4, name="late")(b)
    early = Dense(4, name="early")(a)
    deep = Dense(4, name="deep")(early)
    top = Sum(name="top")([late, Sum(name="low")([deep, early])])
    model = Model([a, b], [top, Dense(1, name="side")(early)])
    names = [layer.name for layer in model.layers]
    assert names == ["a", "early", "b", "deep", "late", "low", "top", "side"]
    assert [name for name, _ in model.named_variables()] == [
        f"{layer}/{weight}" for layer in ("early", "deep", "late", "side") for weight in ("kernel", "bias")
    ]


def test_inputs_by_name():
    a, b = Input((2,), name="a"), Input((3,), name="b")
    model = Model({"b": b, "a": a}, Sum()([Dense(2)(a), Dense(2)(b)]))
    assert model.input_names == ["a", "b"]
    arrays = {"b": np.ones((1, 3)), "a": np.zeros((1, 2))}
    assert np.array_equal(model(arrays), model([arrays["a"], arrays["b"]]))
    assert model({"a": a, "b": b}).shape == (None, 2)
    single = Model([a], a)
    assert np.array_equal(single([np.ones((1, 2))]), single(np.ones((1, 2))))


def test_an_input_that_nothing_uses():
    a, b = Input((2,)), Input((3,))
    model = Model([a, b], Dense(2)(a))
    outputs, saved = model.run_forward(
        [np.ones((1, 2), np.float32), np.ones((1, 3), np.float32)], Context(), [False]
    )
    grad_inputs, _ = model.run_backward(outputs, saved, needs_input=True)
    assert grad_inputs[1] is None
    assert model.layers[0] in (a.node.layer, b.node.layer)
    assert Model.from_config(model.get_config()).input_names == model.input_names


def test_names_of_outputs_are_unique():
    x = Input((4,))
    shared = Dense(4, name="d")
    y = shared(x)
    model = Model(x, [y, shared(y), Dense(1, name="d_1")(y), ReLU(name="r")(y)])
    assert model.output_names == ["d_2", "d_3", "d_1", "r"]


def test_batch_size_is_noted():
    x = Input((4,), batch_size=8)
    assert x.shape == (8, 4)
    model = Model(x, Dense(2)(x))
    assert model.output_shape == (8, 2)
    assert model(np.ones((3, 4))).shape == (3, 2)
    assert Model.from_config(model.get_config()).input_shape == (8, 4)


class Telling(Layer):
    """Adds 1 in training."""

    def forward(self, inputs, context):
        return inputs + np.float32(context.training), context.path

    def backward(self, grad, saved, *, needs_input):
        return grad, []


def test_a_place_may_say_whether_it_is_training():
    layer = Telling()
    x = Input((1,))
    inner = Model(x, layer(x), name="inner")
    outer = Input((1,))
    model = Model(outer, [inner(outer), inner(outer, training=False), inner(outer, training=True)])
    zero = np.zeros((1, 1), np.float32)
    for twin in (model, Model.from_config(model.get_config(), {"Telling": Telling}), copy.deepcopy(model)):
        assert [float(y[0, 0]) for y in twin(zero)] == [0, 0, 1]
        assert [float(y[0, 0]) for y in twin(zero, training=True)] == [1, 0, 1]


def test_each_call_of_a_layer_has_a_path_of_its_own():
    layer = Telling()
    x = Input((1,))
    model = Model(x, layer(layer(ReLU()(x))))
    _, saved = model.run_forward([np.zeros((1, 1), np.float32)], Context(), [False])
    position = model.layers.index(layer)
    assert saved[1:3] == [(position, 0), (position, 1)]


def test_freezing():
    x = Input((4,))
    dense = Dense(2)
    model = Model(x, dense(x), trainable=False)
    assert (dense.trainable, model.trainable_variables) == (False, [])
    model.trainable = True
    assert len(model.trainable_variables) == 2
    dense.trainable = False
    assert Model(x, dense(x)).trainable
    assert not dense.trainable
    assert not Model.from_config(model.get_config()).layers[1].trainable


def test_weights_shared_between_models_inside_are_counted_once_and_can_not_be_described():
    dense = Dense(4, name="d")
    inner = Sequential([Input((4,)), dense], name="inner")
    x = Input((4,))
    model = Model(x, Sum()([inner(x), dense(x)]), name="net")
    assert model.count_params() == 20
    assert len(model.get_weights()) == len(model.named_variables()) == 2
    with pytest.raises(ValueError, match=r"^model 'net' \(Model\): each weight must be of one of its layers"):
        model.get_config()


def test_a_sequential_can_not_hold_itself_through_a_graph():
    model = Sequential([Input((4,)), Dense(4)], name="net")
    x = Input((4,))
    outer = Model(x, model(x), name="outer")
    with pytest.raises(ValueError, match=r"must not hold the model itself, received model 'outer'"):
        model.add(outer)


X = Input((4,), name="x")
Y = Input((3,), name="y")
D = Dense(2, name="d")(X)
WIDE = Input((4,), name="wide", **F64)
MODEL = r"^model 'net' \(Model\): "


def net(inputs, outputs, **options):
    return Model(inputs, outputs, name="net", **options)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: net(np.ones(3), D), MODEL + "inputs must be a tensor, as konv.Input .* of shape"),
        (TypeError, lambda: net([X, 3], D), MODEL + r"inputs must be a tensor.* received 3 \(int\)"),
        (TypeError, lambda: net([], D), MODEL + r"inputs must be a tensor.* received \[\] \(list\)"),
        (TypeError, lambda: net(X, []), MODEL + "outputs must be a tensor"),
        (TypeError, lambda: net(X, {"d": D}), MODEL + "outputs must be a tensor"),
        (TypeError, lambda: net(X, Dense(2)), MODEL + "outputs must be a tensor"),
        (TypeError, lambda: net({3: 3}, D), MODEL + "inputs must be a tensor"),
        (
            ValueError,
            lambda: net({"z": X}, D),
            MODEL + "each key of inputs must be the name .* 'x', received 'z'",
        ),
        (
            ValueError,
            lambda: net([X, X], D),
            MODEL + r"inputs must be different tensors, received \['x', 'x'\]",
        ),
        (
            ValueError,
            lambda: net([X, WIDE], D),
            MODEL + r"inputs must have one dtype, received \['float32', 'float64'\]",
        ),
        (
            ValueError,
            lambda: net(Y, D),
            MODEL
            + "outputs must depend on nothing but the inputs, received 'd', which needs the input 'x' too$",
        ),
        (ValueError, lambda: net(D, X), MODEL + "outputs must depend on .* received 'x', which needs"),
        (
            ValueError,
            lambda: net(X, Dense(2, name="d")(D)),
            MODEL + "layers must have different names, received 2 named 'd'; give them others with name=$",
        ),
        (TypeError, lambda: net(X, D, trainable=1), MODEL + "trainable must be True or False, received 1"),
        (TypeError, lambda: setattr(net(X, D), "trainable", 1), MODEL + "trainable must be True or False"),
        (
            ValueError,
            lambda: Dense(2, name="e")(WIDE),
            r"^layer 'e' \(Dense\): inputs must have dtype float32, as .*, received float64 from 'wide'$",
        ),
        (
            TypeError,
            lambda: Dense(2, name="e")([X]),
            r"^layer 'e' \(Dense\): inputs must be one tensor, received",
        ),
        (
            TypeError,
            lambda: Sum(name="s")([X, np.ones((1, 4))]),
            r"^layer 's' \(Sum\): inputs must be all arrays or all tensors, received",
        ),
        (
            TypeError,
            lambda: Sum(name="s")(X),
            r"^layer 's' \(Sum\): inputs must be a list of arrays or tensors",
        ),
        (
            TypeError,
            lambda: Dense(2, name="e")(X, training=1),
            r"'e' \(Dense\): training must be True or False",
        ),
        (
            ValueError,
            lambda: D.node.layer(Y),
            r"^layer 'd' \(Dense\): inputs must have 4 channels, as those it was built for",
        ),
        (TypeError, lambda: X.node.layer(np.ones(1)), r"^layer 'x' \(InputLayer\): an input begins a model"),
        (
            AttributeError,
            lambda: Dense(2, name="e").output,
            r"^layer 'e' \(Dense\): output needs a layer that was called on a tensor",
        ),
        (AttributeError, lambda: Dense(2, name="e").input, r"^layer 'e' \(Dense\): input needs a layer"),
        (ValueError, lambda: net([X, Y], D)([np.ones((1, 4))]), MODEL + "inputs must be 2, received 1"),
        (
            ValueError,
            lambda: net([X, Y], D).build([(None, 4)]),
            MODEL + "inputs must be 2, received 1 shapes",
        ),
        (
            ValueError,
            lambda: net([X, Y], D)({"x": np.ones((1, 4))}),
            MODEL + r"inputs must have the keys x, y, received \['x'\]",
        ),
        (ValueError, lambda: InputLayer((4,), 0, name="i"), r"^layer 'i' \(InputLayer\): batch_size must be"),
        (TypeError, lambda: InputLayer(name="i"), r"^layer 'i' \(InputLayer\): shape must be a tuple"),
        (TypeError, lambda: Input(), "^Input: shape must be a tuple of ints or None, received None"),
        (ValueError, lambda: Input((3,), 0), "^Input: batch_size must be an int of at least 1, received 0"),
        (ValueError, lambda: Input((3,), name="a/b"), "^Input: name must be a str that is not empty"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()


class Miscounting(Layer):
    def forward(self, inputs, context):
        return inputs, None

    def backward(self, grad, saved, *, needs_input):
        return grad, [grad]


def test_a_backward_with_too_many_gradients_is_told():
    x = Input((4,))
    model = Model(x, Miscounting(name="m")(Dense(4)(x)))
    outputs, saved = model.run_forward([np.ones((1, 4), np.float32)], Context(), [False])
    with pytest.raises(
        ValueError, match=r"^layer 'm' \(Miscounting\): backward must return 0 gradients .* 1$"
    ):
        model.run_backward(outputs, saved, needs_input=False)
