"""Sequential: how it is built, its gradients by differences, and that it keeps nothing longer than needed."""

from __future__ import annotations

import copy
import pickle
import weakref

import numpy as np
import pytest

from konv import Model, Sequential, losses
from konv.layers import (
    AveragePooling2D,
    BatchNormalization,
    Context,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Layer,
    MaxPooling2D,
    ReLU,
    Softmax,
)
from numeric_gradient import numeric_gradient

F64 = {"dtype": "float64"}


def small_network():
    return Sequential(
        [
            Input((7, 6, 2), **F64),
            Conv2D(3, 3, activation="relu", **F64),
            MaxPooling2D(2, strides=1, **F64),
            Conv2D(4, 2, padding="same", **F64),
            ReLU(**F64),
            AveragePooling2D((2, 1), **F64),
            Flatten(**F64),
            Dense(5, **F64),
            Softmax(**F64),
        ]
    )


def test_gradients_of_a_whole_network():
    model = small_network()
    random = np.random.default_rng(5)
    model.set_weights([random.normal(size=weight.shape) / 2 for weight in model.get_weights()])
    x = random.normal(size=(3, 7, 6, 2))
    labels = np.array([0, 3, 4])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)

    def total(inputs):
        outputs, _ = model.forward(inputs, Context(training=True, logits=True))
        return loss.per_sample(labels, outputs)[0]

    outputs, saved = model.forward(x, Context(training=True, logits=True))
    grad_x, grads = model.backward(loss.per_sample(labels, outputs)[1](1.0), saved, needs_input=True)
    assert saved == []
    ones = np.ones(3)
    np.testing.assert_allclose(grad_x, numeric_gradient(total, x, ones, 1e-6), rtol=1e-6, atol=1e-8)
    assert len(grads) == len(model.trainable_variables) == 6
    for variable, grad in zip(model.trainable_variables, grads, strict=True):
        before = variable.value

        def of_weight(weight, variable=variable):
            variable.assign(weight)
            return total(x)

        numeric = numeric_gradient(of_weight, before, ones, 1e-6)
        variable.assign(before)
        np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-8)


def test_built_by_an_input_by_input_shape_or_by_a_call():
    def layers(**options):
        return [Conv2D(4, 3, **options), Flatten(), Dense(2)]

    first = Sequential([Input((5, 5, 1)), *layers()])
    second = Sequential(layers(input_shape=(5, 5, 1)))
    third = Sequential()
    for layer in layers():
        third.add(layer)
    assert first.built
    assert second.built
    assert not third.built
    assert third(np.ones((2, 5, 5, 1))).shape == (2, 2)
    for model in (first, second, third):
        assert model.input_shape == (None, 5, 5, 1)
        assert model.output_shape == (None, 2)
        assert model.count_params() == 40 + 74
        assert [weight.shape for weight in model.get_weights()] == [(3, 3, 1, 4), (4,), (36, 2), (2,)]
        assert len(model.layers) == 3


def test_a_built_layer_must_fit_its_new_place():
    dense = Dense(2, name="d")
    dense.build((None, 4))
    with pytest.raises(ValueError, match=r"^layer 'd' \(Dense\): inputs must have 4 channels, .* 5\)$"):
        Sequential([Input((5,)), dense])
    inner = Sequential([Input((8, 8, 3)), Conv2D(2, 3, name="c"), Flatten()])
    with pytest.raises(ValueError, match=r"^layer 'c' \(Conv2D\): inputs must have 3 channels"):
        Sequential([Input((8, 8, 1)), inner])
    assert Sequential([Input((6, 6, 3)), inner]).output_shape == (None, 32)


def test_layers_can_be_found():
    model = Sequential([Dense(2, name="first"), Dense(3, name="second")])
    assert (
        model.get_layer("second") is model.get_layer(index=1) is model.get_layer(index=-1) is model.layers[1]
    )


def test_a_model_is_a_layer():
    features = Sequential([Conv2D(2, 3, activation="relu"), Flatten()], name="features")
    model = Sequential([features, Dense(3, activation="softmax", name="head")])
    model.build((None, 5, 5, 1))
    names = [name for name, _ in model.named_variables()]
    assert [name.split("/")[0] for name in names] == ["features", "features", "head", "head"]
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 1)).astype(np.float32)
    outputs, saved = model.forward(x, Context(training=True))
    grad_x, grads = model.backward(np.ones_like(outputs), saved, needs_input=True)
    assert grad_x.shape == x.shape
    assert [grad.shape for grad in grads] == [weight.shape for weight in model.get_weights()]
    assert model.multiply_adds(model.input_shape) == 9 * 18 + 18 * 3


class Spy(Layer):
    """Passes everything on, and notes what is asked of it."""

    def build(self, input_shape):
        self.asked = []
        self.alive = None

    def forward(self, inputs, context):
        outputs = inputs.copy()
        self.alive = weakref.ref(outputs)
        return outputs, outputs

    def backward(self, grad, saved, *, needs_input):
        self.asked.append(needs_input)
        return (grad if needs_input else None), []


def test_gradient_of_x_is_computed_only_below_which_there_are_weights():
    spies = [Spy() for _ in range(3)]
    model = Sequential([Input((4,)), spies[0], Dense(4), spies[1], Dense(4), spies[2]])

    def asked(needs_input):
        for spy in spies:
            spy.asked = []
        outputs, saved = model.forward(np.ones((2, 4), np.float32), Context(training=True))
        grad_x, grads = model.backward(outputs, saved, needs_input=needs_input)
        return [spy.asked for spy in spies], grad_x is not None, len(grads)

    assert asked(False) == ([[], [True], [True]], False, 4)
    assert asked(True) == ([[True], [True], [True]], True, 4)
    model.layers[1].trainable = False
    assert asked(False) == ([[], [], [True]], False, 2)
    model.trainable = False
    assert asked(False) == ([[], [], []], False, 0)
    assert not model.layers[3].trainable


class Releasing(Spy):
    """Notes whether what a later layer kept is gone when the gradient comes here."""

    def backward(self, grad, saved, *, needs_input):
        self.later_is_gone = self.later.alive() is None
        return super().backward(grad, saved, needs_input=needs_input)


def test_activations_are_freed_as_soon_as_they_are_spent():
    first, second = Releasing(), Spy()
    model = Sequential([Input((4,)), Dense(4), first, second, ReLU()])
    first.later = second
    outputs, saved = model.forward(np.ones((2, 4), np.float32), Context(training=True))
    grad = np.ones_like(outputs)
    del outputs
    model.backward(grad, saved, needs_input=False)
    assert first.later_is_gone


def test_config_makes_a_twin():
    model = Sequential([small_network(), Dense(2, **F64)], name="outer")
    model.build((None, 7, 6, 2))
    twin = Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    assert twin.get_config() == model.get_config()
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 2))
    assert np.array_equal(twin(x), model(x))


def test_pop_takes_the_last_layer_off():
    model = Sequential([Input((4,)), Dense(3), Dense(2, name="last")])
    last = model.layers[-1]
    assert model.pop() is last
    assert not hasattr(last, "output")
    assert (model.output_shape, len(model.layers)) == ((None, 3), 1)
    assert model(np.ones((1, 4))).shape == (1, 3)
    model.add(Dense(5))
    assert model.output.shape == model.output_shape == (None, 5)
    model.pop()
    model.pop()
    assert (model.built, model.inputs, model.outputs, model.output_shape) == (False, [], [], (None, 4))
    unbuilt = Sequential([Dense(3), Dense(2)])
    unbuilt.pop()
    assert unbuilt(np.ones((1, 4))).shape == (1, 3)


def test_tensors_are_there_once_the_input_shape_is_known():
    model = Sequential([Dense(3), Dense(2)], name="net")
    assert (model.inputs, model.outputs, model.input_names) == ([], [], [])
    model.build((None, 4))
    first, second = model.layers
    assert first.input is model.input is model.inputs[0]
    assert second.input is first.output
    assert second.output is model.output
    assert (model.input_names, model.output_names) == ([model.input.name], [second.name])
    model = Sequential([Input((4,), name="image"), Dense(2)])
    assert model.input_names == ["image"]
    assert Sequential.from_config(model.get_config()).input_names == ["image"]


def test_a_thousand_layers_are_copied_and_pickled():
    model = Sequential([Input((3,)), *(ReLU() for _ in range(2000)), Dense(2)])
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin(np.ones((1, 3))), model(np.ones((1, 3))))
        assert twin.layers[5].input is twin.layers[4].output
        assert twin.layers[5].output is not model.layers[5].output


def test_a_failed_add_changes_nothing():
    model = Sequential()
    with pytest.raises(ValueError, match=r"\(Conv2D\)"):
        model.add(Conv2D(1, 3, input_shape=(2, 2, 1)))
    assert (model.layers, model.input_shape, model.built) == ([], (), False)
    model.add(Conv2D(1, 3, input_shape=(3, 3, 1)))
    assert model.output_shape == (None, 1, 1, 1)


def two_outputs():
    x = Input((3,))
    return Model(x, [ReLU()(x), ReLU()(x)], name="two")


MODEL = r"^model 'net' \(Sequential\): "


def net(*layers):
    return Sequential(list(layers), name="net")


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: Sequential(Dense(3), name="net"), MODEL + "layers must be a list of layers"),
        (TypeError, lambda: net(3), MODEL + "each layer must be a konv.layers.Layer, received 3"),
        (TypeError, lambda: net(Dense), MODEL + "each layer must be a konv.layers.Layer"),
        (
            ValueError,
            lambda: net(Dense(1, name="a"), Dense(1, name="a")),
            MODEL + "layers must have different names",
        ),
        (
            ValueError,
            lambda: net(Dense(1, name="a"), Input((3,))),
            MODEL + r"Input must come first .* layer 'a'",
        ),
        (ValueError, lambda: net(Input((3,)), Input((3,))), MODEL + "Input must come first and once"),
        (
            ValueError,
            lambda: net(Dense(1), Dense(1, **F64)),
            MODEL + r"layer .* must have dtype float32, received",
        ),
        (ValueError, lambda: net().build((None, 3)), MODEL + "it must have a layer at least"),
        (ValueError, lambda: net(ReLU()).build(()), MODEL + "input_shape must have a batch axis"),
        (ValueError, lambda: net().pop(), MODEL + "pop needs a model with a layer"),
        (
            TypeError,
            lambda: net(Dense(2, name="d")(Input((3,)))),
            MODEL + r"a tensor must be what konv.Input returned, received one of layer 'd' \(Dense\)$",
        ),
        (
            ValueError,
            lambda: net(two_outputs()),
            MODEL + r"each layer must have one input and one output, received model 'two'",
        ),
        (AttributeError, lambda: net(Dense(2)).input, MODEL + "input needs a built model"),
        (AttributeError, lambda: net(Dense(2)).output, MODEL + "output needs a built model"),
        (
            ValueError,
            lambda: net().summary(),
            r"^summary: model 'net' .* must be built: begin with konv.Input",
        ),
        (
            ValueError,
            lambda: net(Input((8, 8, 1)), MaxPooling2D(9, name="m")),
            r"^layer 'm' \(MaxPooling2D\): ",
        ),
        (TypeError, lambda: net(Dense(1)).get_layer(np.array(["a", "b"])), "^get_layer: name must be a str"),
        (ValueError, lambda: net(Dense(1)).get_layer(), "get_layer: one of name and index must be given"),
        (ValueError, lambda: net(Dense(1, name="a")).get_layer("b"), "name must be one of a, received 'b'"),
        (ValueError, lambda: net(Dense(1)).get_layer(index=1), "index must be below 1, received 1"),
        (TypeError, lambda: net(Dense(1)).get_layer(index="1"), "index must be an int"),
        (TypeError, lambda: setattr(net(), "trainable", 1), MODEL + "trainable must be True or False"),
        (TypeError, lambda: Sequential.from_config(None), "Sequential: config must be a dict, received None"),
        (ValueError, lambda: Sequential.from_config({}), "Sequential: config must have name, trainable"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()


def test_a_model_can_not_hold_itself():
    model = net()
    for layer in (model, Sequential([Sequential([model])])):
        with pytest.raises(
            ValueError, match=MODEL + "a layer must not hold the model itself, received model"
        ):
            model.add(layer)
    assert model.layers == []


def test_repr_names_the_layers():
    assert repr(net(Dense(2, name="a"), Dense(3, name="b"))) == "<Sequential name=net layers=[a, b]>"


def test_errors_name_the_layer_once():
    inner = Sequential([Dense(2, name="deep")])
    model = Sequential([Input((3,)), inner])
    with pytest.raises(ValueError, match=r"^layer 'deep' \(Dense\): inputs must have 3 channels, as those"):
        model(np.ones((1, 4)))


def test_a_built_model_in_first_place_gives_the_input_shape():
    base = Sequential([Input((4, 4, 1)), Flatten()])
    model = Sequential([base, Dense(2)])
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 4, 4, 1), (None, 2))


def test_new_layers_take_no_name_that_was_given():
    given = Dense(2, name="my_dense_layer")

    class MyDenseLayer(Dense):
        pass

    assert given.name == "my_dense_layer"
    assert [MyDenseLayer(2).name for _ in range(2)] == ["my_dense_layer_1", "my_dense_layer_2"]
    model = Sequential([Input((2,)), given, MyDenseLayer(2)])  # as a new head on a model that was loaded
    assert len({layer.name for layer in model.layers}) == 2


def test_weights_by_keras_names():
    model = Sequential([Input((2,)), BatchNormalization(), Dense(3)])
    assert model.weights == model.variables
    assert model.trainable_weights == model.trainable_variables
    assert [variable.name for variable in model.non_trainable_weights] == ["moving_mean", "moving_variance"]
    kernel = model.layers[1].kernel.numpy()
    kernel[:] = 7
    assert not (model.layers[1].kernel.numpy() == 7).any()
