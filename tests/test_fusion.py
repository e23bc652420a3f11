"""Fusion: which layers do the work of others, and that nobody can tell."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from konv import Model, Sequential, activations
from konv.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Context,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Input,
    Layer,
    MaxPooling2D,
    ReLU,
    SeparableConv2D,
)
from konv.models import graph_model
from konv.models.fusion import fused
from tolerance import assert_same_bits

UNIT_ROUNDOFF = 2.0**-24
SHAPE = (6, 5, 4)

Array = np.ndarray[Any, Any]


def chain(*layers: Layer) -> Model:
    return Sequential([Input(SHAPE), *layers])


def relu(**options: Any) -> Layer:
    return Activation("relu", **options)


def randomized(model: Model, seed: int = 0) -> Model:
    random = np.random.default_rng(seed)
    weights = [random.normal(size=weight.shape) for weight in model.get_weights()]
    for place, variable in enumerate(model.variables):
        if variable.name == "moving_variance":
            weights[place] = np.abs(weights[place]) + 0.1
    model.set_weights(weights)
    return model


def images(count: int = 3, shape: tuple[int, ...] = SHAPE) -> Array:
    return np.random.default_rng(7).normal(size=(count, *shape)).astype(np.float32)


def unfused(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(graph_model, "fused", lambda graph, *_, **__: graph)
    return monkeypatch


def steps_of(model: Model, *, training: bool = False, for_backward: bool = False) -> list[str]:
    """Describe the steps that run: "conv" for one layer alone, "conv+norm+relu" for what became one."""
    shapes = [tensor.shape for tensor in model.inputs]
    graph = fused(model.graph, shapes, training=training, for_backward=for_backward)
    return [
        step.layer.name
        + "+norm" * (step.norm is not None)
        + "+add" * (step.addend is not None)
        + "+relu" * step.relu
        for step in graph.steps
    ]


CHAINS: dict[str, tuple[Callable[[], list[Layer]], str, str]] = {
    # what it is made of; its steps in inference; its steps in training
    "conv, relu": (lambda: [Conv2D(3, 3, name="c"), relu()], "c+relu", "c+relu"),
    "conv, ReLU": (lambda: [Conv2D(3, 3, name="c"), ReLU()], "c+relu", "c+relu"),
    "dense, relu": (lambda: [Dense(3, name="d"), relu()], "d+relu", "d+relu"),
    "depthwise": (lambda: [DepthwiseConv2D(3, name="c"), relu()], "c+relu", "c+relu"),
    "transposed": (lambda: [Conv2DTranspose(3, 3, name="c"), relu()], "c+relu", "c+relu"),
    "norm, relu": (lambda: [BatchNormalization(name="n"), relu()], "n+relu", "n+relu"),
    "conv, norm": (
        lambda: [Conv2D(3, 3, name="c"), BatchNormalization(name="n")],
        "c+norm",
        "c n",
    ),
    "conv, norm, relu": (
        lambda: [Conv2D(3, 3, name="c"), BatchNormalization(name="n"), relu(name="r")],
        "c+norm+relu",
        "c n+relu",
    ),
    "separable": (
        lambda: [SeparableConv2D(3, 3, name="c"), BatchNormalization(name="n"), relu()],
        "c+norm+relu",
        "c n+relu",
    ),
    "transposed, norm": (
        lambda: [Conv2DTranspose(3, 3, name="c"), BatchNormalization(name="n"), relu()],
        "c n+relu",
        "c n+relu",
    ),
    "two norms": (
        lambda: [Conv2D(3, 3, name="c"), BatchNormalization(name="n"), BatchNormalization(name="m")],
        "c+norm m",
        "c n m",
    ),
    "two relus": (lambda: [Conv2D(3, 3, name="c"), relu(), relu(name="r")], "c+relu r", "c+relu r"),
    "relu, norm": (
        lambda: [Conv2D(3, 3, name="c"), relu(), BatchNormalization(name="n")],
        "c+relu n",
        "c+relu n",
    ),
    "an activation of its own": (
        lambda: [Conv2D(3, 3, activation="relu", name="c"), BatchNormalization(name="n"), relu()],
        "c n+relu",
        "c n+relu",
    ),
    "relu6": (lambda: [Conv2D(3, 3, name="c"), ReLU(6.0, name="r")], "c r", "c r"),
    "leaky": (lambda: [Conv2D(3, 3, name="c"), ReLU(negative_slope=0.1, name="r")], "c r", "c r"),
    "between": (lambda: [Conv2D(3, 3, name="c"), Dropout(0.5, name="p"), relu(name="r")], "c p r", "c p r"),
    "frozen norm": (
        lambda: [Conv2D(3, 3, name="c"), BatchNormalization(trainable=False, name="n"), relu()],
        "c+norm+relu",
        "c n+relu",
    ),
    "relu, max": (
        lambda: [Conv2D(3, 3, name="c"), relu(), MaxPooling2D(name="m")],
        "c+relu m",
        "c m+relu",
    ),
    "norm, relu, max": (
        lambda: [
            Conv2D(3, 3, name="c"),
            BatchNormalization(name="n"),
            ReLU(),
            MaxPooling2D(3, strides=2, padding="same", name="m"),
        ],
        "c+norm+relu m",
        "c n m+relu",
    ),
    "max, relu": (lambda: [MaxPooling2D(name="m"), relu()], "m+relu", "m+relu"),
    "relu, max, relu": (
        lambda: [Conv2D(3, 3, name="c"), relu(), MaxPooling2D(name="m"), relu(name="r")],
        "c+relu m+relu",
        "c m+relu r",
    ),
    "max without strides": (
        lambda: [Conv2D(3, 3, name="c"), relu(), MaxPooling2D(2, strides=1, name="m")],
        "c+relu m",
        "c+relu m",
    ),
    "max that pads": (
        lambda: [Conv2D(3, 3, name="c"), relu(), MaxPooling2D(2, padding=3, name="m")],
        "c+relu m",
        "c+relu m",
    ),
    "average": (
        lambda: [Conv2D(3, 3, name="c"), relu(), AveragePooling2D(name="a")],
        "c+relu a",
        "c+relu a",
    ),
    "relu first": (lambda: [relu(name="r"), Conv2D(3, 3, name="c")], "r c", "r c"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_what_fuses(name: str) -> None:
    make, inference, training = CHAINS[name]
    model = chain(*make())
    assert steps_of(model) == inference.split()
    assert steps_of(model, training=True, for_backward=True) == training.split()


def test_a_norm_of_the_batch_does_not_fuse_without_backward_either() -> None:
    model = chain(Conv2D(3, 3, name="c"), BatchNormalization(name="n"))
    assert steps_of(model, training=True) == ["c", "n"]
    model.get_layer("n").trainable = False
    assert steps_of(model, training=True) == ["c+norm"]


def test_a_norm_that_is_told_in_its_place_whether_it_trains() -> None:
    x = Input(SHAPE)
    conv = Conv2D(3, 3, name="c")(x)
    for told, expected in ((True, ["c", "n"]), (False, ["c+norm"])):
        model = Model(x, BatchNormalization(name="n")(conv, training=told))
        assert steps_of(model, training=not told) == expected


def test_outputs_are_not_fused_over() -> None:
    x = Input(SHAPE)
    conv = Conv2D(3, 3, name="c")(x)
    norm = BatchNormalization(name="n")(conv)
    end = relu(name="r")(norm)
    assert steps_of(Model(x, end)) == ["c+norm+relu"]
    assert steps_of(Model(x, [norm, end])) == ["c+norm", "r"]
    assert steps_of(Model(x, [end, conv])) == ["c", "n+relu"]
    assert steps_of(Model(x, [conv, norm, end])) == ["c", "n", "r"]


def test_two_readers_are_not_fused_over() -> None:
    x = Input(SHAPE)
    conv = Conv2D(3, 3, name="c")(x)
    for join in (Add(name="a")([conv, relu(name="r")(conv)]), relu(name="r")(Add(name="a")([conv, conv]))):
        assert steps_of(Model(x, join))[0] == "c"


@pytest.mark.parametrize("training", [False, True])
def test_sums_fuse(training: bool) -> None:
    x = Input(SHAPE)
    y = relu()(Add(name="a")([x, x, Conv2D(4, 1, name="c")(x)]))
    assert steps_of(Model(x, y), training=training, for_backward=training) == ["c", "a+relu"]


def test_convolutions_take_sums_over() -> None:
    x = Input(SHAPE)
    conv = Conv2D(4, 1, name="c")(x)
    norm = BatchNormalization(name="n")(conv)
    for inputs in ([norm, x], [x, norm]):
        assert steps_of(Model(x, relu()(Add(name="a")(inputs)))) == ["c+norm+add+relu"]
    assert steps_of(Model(x, Add(name="a")([conv, x]))) == ["c+add"]
    assert steps_of(Model(x, Add(name="a")([Dense(4, name="d")(x), x]))) == ["d+add"]
    assert steps_of(Model(x, BatchNormalization(name="m")(Add(name="a")([conv, x])))) == ["c+add", "m"]
    model = Model(x, relu()(Add(name="a")([norm, x])))
    assert steps_of(model, training=True, for_backward=True) == ["c", "n", "a+relu"]


def test_the_later_of_two_convolutions_takes_their_sum_over() -> None:
    x = Input(SHAPE)
    first, second = (Conv2D(4, 1, name=name)(x) for name in "cd")
    norm = BatchNormalization(name="n")
    assert steps_of(Model(x, relu()(Add(name="a")([norm(first), second])))) == ["c+norm", "d+add+relu"]
    assert steps_of(Model(x, relu()(Add(name="a")([second, norm(first)])))) == ["d", "c+norm+add+relu"]


def test_sums_that_do_not_fuse_with_convolutions() -> None:
    x = Input(SHAPE)
    conv = Conv2D(4, 1, name="c")(x)
    add = Add(name="a")
    assert steps_of(Model(x, add([conv, x, x]))) == ["c", "a"]
    assert steps_of(Model(x, add([conv]))) == ["c", "a"]
    assert steps_of(Model(x, add([conv, conv]))) == ["c", "a"]
    assert steps_of(Model(x, [conv, add([conv, x])])) == ["c", "a"]
    assert steps_of(Model(x, add([relu(name="r")(conv), x]))) == ["c+relu", "a"]
    assert steps_of(Model(x, add([Conv2DTranspose(4, 1, name="t")(x), x]))) == ["t", "a"]
    # Of other shapes, or maybe of others: sizes of 1 are repeated.
    assert steps_of(Model(x, add([conv, Dense(1, name="d")(x)]))) == ["c", "d", "a"]
    unknown = Input((None, 5, 4))
    assert steps_of(Model(unknown, add([Conv2D(4, 1, name="c")(unknown), unknown]))) == ["c", "a"]


def strided_sum() -> Model:
    """A sum whose two arrays have one shape for images of one pixel only."""
    x = Input((1, 1, 4))
    return Model(x, relu()(Add(name="a")([Conv2D(4, 1, strides=2)(x), Conv2D(4, 1, name="c")(x)])))


def test_sums_of_inputs_of_other_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = strided_sum()
    x = Input((2, 2, 4))
    outer = randomized(Model(x, inner(x)))
    assert len(steps_of(inner)) == 2
    found = outer.predict(images(shape=(2, 2, 4)), verbose=0)
    unfused(monkeypatch)
    assert_same_bits(found, outer.predict(images(shape=(2, 2, 4)), verbose=0))


def test_sums_of_inputs_of_different_batches() -> None:
    x, y = Input(SHAPE), Input(SHAPE)
    model = Model([x, y], Add(name="a")([Conv2D(4, 1)(x), y]))
    with pytest.raises(ValueError, match=r"^layer 'a' \(Add\): inputs must have equal sizes"):
        model([images(2), images(1)])


class Halving(Add):
    def forward(self, inputs: list[Array], context: Context) -> tuple[Array, Any]:
        outputs, saved = super().forward(inputs, context)
        return outputs / 2, saved


def test_a_sum_with_a_pass_of_its_own_does_not_fuse() -> None:
    x = Input(SHAPE)
    assert steps_of(Model(x, Halving(name="h")([Conv2D(4, 1, name="c")(x), x]))) == ["c", "h"]


def test_sums_of_convolutions_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Input(SHAPE)
    y = relu()(Add()([Conv2D(4, 3, padding="same")(x), x]))
    z = Add()([SeparableConv2D(5, 3, padding="same")(y), Dense(5)(x)])
    model = randomized(Model(x, [relu()(Add()([z, Conv2D(5, 1)(y)])), y]))
    assert len(steps_of(model)) == 4
    found = model.predict(images(), verbose=0)
    unfused(monkeypatch)
    for own, other in zip(found, model.predict(images(), verbose=0), strict=True):
        assert_same_bits(own, other)


def test_a_shared_layer_fuses_where_it_can() -> None:
    x = Input(SHAPE)
    shared = Conv2D(4, 3, padding="same", name="c")
    first = relu()(shared(x))
    model = Model(x, shared(first))
    assert steps_of(model) == ["c+relu", "c"]


def test_fusion_follows_what_layers_are_changed_to() -> None:
    conv, end = Conv2D(3, 3, name="c"), relu(name="r")
    model = chain(conv, end)
    assert steps_of(model) == ["c+relu"]
    end.activation = activations.get("elu")
    assert steps_of(model) == ["c", "r"]
    end.activation = activations.relu
    conv.activation = activations.get("tanh")
    assert steps_of(model) == ["c", "r"]
    conv.activation = activations.linear
    assert steps_of(model) == ["c+relu"]


class Shouting(Conv2D):
    """A convolution with a pass of its own, which must see its own outputs before any ReLU."""

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        outputs, saved = super().forward(inputs, context)
        return -outputs, saved

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> Any:
        return super().backward(-grad, saved, needs_input=needs_input)


class Doubling(ReLU):
    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        outputs, saved = super().forward(inputs, context)
        return 2 * outputs, saved


class Amplified:
    """A pass of its own for whichever layer comes after it."""

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        outputs, saved = super().forward(inputs, context)  # type: ignore[misc]
        return 2 * outputs + 1, saved


class AmplifiedConv2D(Amplified, Conv2D):
    pass


class AmplifiedReLU(Amplified, ReLU):
    pass


class AmplifiedNorm(Amplified, BatchNormalization):
    pass


class Heir(AmplifiedConv2D):
    pass


def test_a_pass_of_another_base_does_not_fuse() -> None:
    assert steps_of(chain(AmplifiedConv2D(3, 3, name="c"), relu(name="r"))) == ["c", "r"]
    assert steps_of(chain(Heir(3, 3, name="c"), norm())) == ["c", "n"]
    assert steps_of(chain(Conv2D(3, 3, name="c"), AmplifiedReLU(name="r"))) == ["c", "r"]
    assert steps_of(chain(Conv2D(3, 3, name="c"), AmplifiedNorm(name="n"))) == ["c", "n"]
    assert masks_of(chain(AmplifiedConv2D(3, 3, activation="relu"), norm())) == []
    assert masks_of(chain(Conv2D(3, 3, activation="relu"), AmplifiedNorm())) == []


def test_layers_with_passes_of_their_own_do_not_fuse() -> None:
    model = chain(Shouting(3, 3, name="c"), relu(name="r"))
    assert steps_of(model) == ["c", "r"]
    assert (model(images()) >= 0).all()
    assert steps_of(chain(Conv2D(3, 3, name="c"), Doubling(name="r"))) == ["c", "r"]


def masks_of(model: Model) -> list[str]:
    """Describe who takes gradients of ReLUs in training: "conv>norm", what ends in one and what takes it."""
    graph = fused(model.graph, [tensor.shape for tensor in model.inputs], training=True, for_backward=True)
    reading = {step.inputs[0]: step for step in graph.steps if step.masks}
    pairs = [(step, reading[step.outputs[0]]) for step in graph.steps if step.masked]
    assert len(pairs) == len(reading)
    return [f"{step.layer.name}>{reader.layer.name}" for step, reader in pairs]


def norm(name: str = "n") -> Layer:
    return BatchNormalization(name=name)


MASKS: dict[str, tuple[Callable[[], list[Layer]], str]] = {
    "conv, relu": (lambda: [Conv2D(3, 3, name="c"), relu(), norm()], "c>n"),
    "its own relu": (lambda: [Dense(3, activation="relu", name="d"), norm()], "d>n"),
    "relu, max": (lambda: [Conv2D(3, 3), relu(), MaxPooling2D(name="m"), norm()], "m>n"),
    "its own relu, max": (lambda: [Conv2D(3, 3, activation="relu", name="c"), MaxPooling2D(name="m")], "c>m"),
    "its own relu, max, norm": (
        lambda: [Conv2D(3, 3, activation="relu", name="c"), MaxPooling2D(name="m"), norm()],
        "c>m m>n",
    ),
    "max without strides": (lambda: [Conv2D(3, 3, activation="relu"), MaxPooling2D(2, 1), norm()], ""),
    "max, norm": (lambda: [Conv2D(3, 3), MaxPooling2D(), norm()], ""),
    "norm, relu": (lambda: [norm("o"), relu(), norm()], "o>n"),
    "two": (lambda: [Dense(3, name="d"), relu(), norm("o"), ReLU(), norm()], "d>o o>n"),
    "no relu": (lambda: [Conv2D(3, 3), norm()], ""),
    "tanh": (lambda: [Conv2D(3, 3, activation="tanh"), norm()], ""),
    "a relu alone": (lambda: [Dropout(0.5), relu(), norm()], ""),
    "something between": (lambda: [Conv2D(3, 3, activation="relu"), Dropout(0.5), norm()], ""),
    "two relus": (lambda: [Conv2D(3, 3, activation="relu"), relu(), Dense(2)], ""),
    "frozen": (
        lambda: [Dense(3, activation="relu", name="d"), BatchNormalization(trainable=False, name="n")],
        "d>n",
    ),
}


@pytest.mark.parametrize("name", MASKS)
def test_who_takes_the_gradient_of_a_relu(name: str) -> None:
    make, expected = MASKS[name]
    assert masks_of(chain(*make())) == expected.split()


def test_a_sum_leaves_the_gradient_of_its_relu() -> None:
    x = Input(SHAPE)
    y = norm()(relu()(Add(name="a")([x, Conv2D(4, 1)(x)])))
    assert masks_of(Model(x, y)) == ["a>n"]


def test_what_others_read_too_is_not_masked() -> None:
    x = Input(SHAPE)
    y = Conv2D(4, 3, padding="same", activation="relu")(x)
    assert masks_of(Model(x, [y, norm()(y)])) == []
    assert masks_of(Model(x, Add()([y, norm()(y)]))) == []
    assert masks_of(Model(x, [norm()(y), norm("o")(y)])) == []


def test_nothing_is_masked_without_backward() -> None:
    graph = chain(Conv2D(3, 3, activation="relu"), norm()).graph
    steps = fused(graph, [(None, *SHAPE)], training=True, for_backward=False).steps
    assert not any(step.masks or step.masked for step in steps)


def test_masks_follow_what_layers_are_changed_to() -> None:
    model = chain(Conv2D(3, 3, activation="relu", name="c"), norm())
    assert masks_of(model) == ["c>n"]
    model.get_layer("c").activation = activations.get("elu")
    assert masks_of(model) == []


class HalvingGradients(BatchNormalization):
    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> Any:
        return super().backward(grad / 2, saved, needs_input=needs_input)


def test_layers_with_passes_of_their_own_take_their_own_gradients() -> None:
    """The negated outputs of a ReLU are not positive anywhere."""
    assert masks_of(chain(Shouting(3, 3, activation="relu"), norm())) == []
    assert masks_of(chain(Dense(3, activation="relu"), HalvingGradients())) == []


def residual() -> Model:
    x = Input(SHAPE)
    y = relu()(BatchNormalization()(Conv2D(5, 3, padding="same")(x)))
    y = BatchNormalization()(Conv2D(4, 1, use_bias=False)(y))
    y = relu()(Add()([x, y]))
    y = relu()(BatchNormalization(scale=False)(DepthwiseConv2D(3, depth_multiplier=2)(y)))
    y = BatchNormalization(center=False)(SeparableConv2D(4, 3)(y))
    y = GlobalAveragePooling2D()(relu()(y))
    return Model(x, BatchNormalization()(Dense(3)(ReLU()(Dense(6)(y)))))


def sums() -> Model:
    """Of three arrays, of one, and of arrays of different shapes."""
    x = Input(SHAPE)
    y = relu()(Add()([x, Conv2D(4, 3, padding="same")(x), Conv2D(4, 1)(x)]))
    y = relu()(Add()([relu()(Add()([y])), Dense(1)(x)]))
    return Model(x, [y, relu()(Add()([y, y]))])


def pooled() -> Model:
    """With ties of zeros in the pooled windows, and two readers of a ReLU."""
    x = Input(SHAPE)
    y = MaxPooling2D(2, padding="same")(relu()(Dense(4, kernel_initializer="zeros")(relu()(x))))
    z = relu()(Conv2D(4, 3, padding="same")(x))
    ends = [MaxPooling2D(3, strides=2, padding="same")(z), MaxPooling2D(2, strides=2, padding="same")(z)]
    w = MaxPooling2D((2, 1))(ReLU()(BatchNormalization()(x)))
    return Model(x, [relu()(Add()([y, *ends])), relu()(MaxPooling2D(2, padding=2)(ReLU()(w)))])


def nested() -> Model:
    inner = Sequential([Input(SHAPE), Conv2D(4, 3, padding="same"), BatchNormalization(), relu()])
    x = Input(SHAPE)
    return Model(x, [inner(inner(x)), relu()(Conv2D(2, 3)(relu()(inner(x))))])


def pair_of_outputs() -> Model:
    x = Input(SHAPE)
    y = Conv2D(4, 3)(x)
    return Model(x, [relu()(y), y, BatchNormalization()(y)])


def course() -> Model:
    layers = [Conv2D(5, 3), relu(), BatchNormalization(), Conv2D(4, 3), relu(), GlobalAveragePooling2D()]
    return chain(*layers, BatchNormalization(), Dense(4), relu(), Dense(3))


def rectified() -> Model:
    """All that ends in a ReLU, each before a normalization."""
    x = Input(SHAPE)
    y = BatchNormalization()(relu()(Conv2D(4, 3, padding="same")(x)))
    y = BatchNormalization(scale=False)(relu()(y))
    y = BatchNormalization()(relu()(Add()([y, DepthwiseConv2D(3, padding="same", activation="relu")(x)])))
    y = BatchNormalization(center=False)(MaxPooling2D(2)(ReLU()(y)))
    return Model(x, BatchNormalization()(Dense(3, activation="relu")(y)))


def rectified_and_pooled() -> Model:
    """Layers with a ReLU of their own before max pooling: windows that overlap or don't, one before a
    normalization, and one without a real gain."""
    conv = {"kernel_size": 3, "padding": "same", "activation": "relu"}
    x = Input(SHAPE)
    y = MaxPooling2D(3, strides=2, padding="same")(Conv2D(4, **conv)(x))
    z = BatchNormalization()(MaxPooling2D((1, 2))(Conv2D(5, **conv)(y)))
    return Model(x, [z, MaxPooling2D(2, strides=1)(Conv2D(3, **conv)(x))])


NETWORKS = [residual, sums, pooled, nested, pair_of_outputs, course, rectified, rectified_and_pooled]


def passes(model: Model, x: Array) -> tuple[list[Array], list[Array], list[Array]]:
    """Return outputs, gradients and weights of a training pass."""
    outputs, saved = model.run_forward([x], Context(training=True), [False] * len(model.outputs))
    grads = [np.cos(np.arange(output.size, dtype=np.float32)).reshape(output.shape) for output in outputs]
    grad_inputs, grad_weights = model.run_backward(list(grads), saved, needs_input=True)
    return outputs, [*grad_inputs, *grad_weights], model.get_weights()


@pytest.mark.parametrize("frozen", [False, True], ids=["", "frozen"])
@pytest.mark.parametrize("network", NETWORKS)
def test_training_has_the_same_bits(
    network: Callable[[], Model], frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = randomized(network())
    for layer in model.layers:
        layer.trainable = not (frozen and isinstance(layer, BatchNormalization))
    twin = copy.deepcopy(model)
    found = passes(model, images())
    unfused(monkeypatch)
    for ours, theirs in zip(found, passes(twin, images()), strict=True):
        for own, other in zip(ours, theirs, strict=True):
            assert_same_bits(own, other)


@pytest.mark.parametrize("network", NETWORKS)
def test_inference_is_near(network: Callable[[], Model], monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomized(network())
    found = model.predict(images(), verbose=0)
    unfused(monkeypatch)
    for own, other in zip(*(listed(y) for y in (found, model.predict(images(), verbose=0))), strict=True):
        # The bound of one convolution is tested below; here a wrong scale or shift would show.
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def listed(outputs: Any) -> list[Array]:
    return outputs if isinstance(outputs, list) else [outputs]


AFFINE: dict[str, Callable[..., Layer]] = {
    "conv": lambda **options: Conv2D(6, 3, padding="same", **options),
    "grouped": lambda **options: Conv2D(6, 3, groups=2, strides=2, **options),
    "depthwise": lambda **options: DepthwiseConv2D(3, depth_multiplier=3, **options),
    "separable": lambda **options: SeparableConv2D(5, 3, depth_multiplier=2, **options),
    "dense": lambda **options: Dense(5, **options),
}


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("end", [[], [ReLU]], ids=["", "relu"])
@pytest.mark.parametrize("kind", AFFINE)
def test_norm_in_the_kernel_is_within_the_bound(
    kind: str, end: list[Any], use_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KONV_ALGORITHM", "direct")
    layer, norm = AFFINE[kind](use_bias=use_bias), BatchNormalization()
    model = randomized(chain(layer, norm, *(cls() for cls in end)))
    assert len(steps_of(model)) == 1
    x = images()
    found = model(x)

    # Magnitudes of the terms of each output, by the layer itself on absolute values.
    magnitudes = copy.deepcopy(layer)
    magnitudes.set_weights([np.abs(weight) for weight in layer.get_weights()])
    scale, _ = norm.scale_and_shift()
    terms = np.float64(magnitudes(np.abs(x)))
    magnitude = np.abs(norm.beta.value) + np.abs(scale) * (np.abs(norm.moving_mean.value) + terms)
    length = np.prod([size for kernel in layer.kernels for size in kernel.shape[:-1]])
    bound = 8 * UNIT_ROUNDOFF * magnitude + 2 * length * UNIT_ROUNDOFF * np.abs(scale) * terms

    unfused(monkeypatch)
    expected = model(x)
    assert found.dtype == expected.dtype == np.float32
    assert (np.abs(np.float64(found) - expected) <= bound).all()
    assert (found != expected).any()  # or nothing was fused


@pytest.mark.parametrize("added", [False, True], ids=["", "sum"])
def test_norm_beyond_the_largest_number_stays_apart(added: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, conv, norm = Input(SHAPE), Conv2D(4, 3, padding="same"), BatchNormalization(epsilon=0.0)
    y = norm(conv(x))
    model = randomized(Model(x, ReLU()(Add()([y, x]) if added else y)))
    assert len(steps_of(model)) == 1
    kernel, bias = conv.get_weights()
    tiny = np.full(4, 1e-30, np.float32)
    conv.set_weights([kernel * 1e30, bias * 0])
    norm.set_weights([tiny, tiny, norm.moving_mean.value, np.full(4, 1e-38, np.float32)])
    for gamma in (tiny, np.full(4, 1e19, np.float32)):  # scales of 1e-11, and of 1e38
        norm.gamma.assign(gamma)
        found = model(images())
        with monkeypatch.context() as patched:
            unfused(patched)
            expected = model(images())
        assert np.array_equal(np.isfinite(found), np.isfinite(expected))
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        finite = np.isfinite(expected)
        np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-4, atol=1e-4)


def test_a_shift_beyond_the_largest_number_stays_apart() -> None:
    dense, norm = Dense(1, kernel_initializer="ones"), BatchNormalization(epsilon=0.0)
    model = chain(dense, norm)
    dense.kernel.assign(np.full((4, 1), 1e37, np.float32))
    norm.moving_mean.assign(np.full(1, 3e38, np.float32))
    norm.moving_variance.assign(np.full(1, 0.01, np.float32))
    assert len(steps_of(model)) == 1
    # 3e38 less its mean, not the difference of ten times each.
    assert np.isfinite(model(np.full((1, *SHAPE), 7.5, np.float32))).all()


def test_moving_averages_of_zeros_and_infinities() -> None:
    model = chain(Dense(1, kernel_initializer="ones"), BatchNormalization(epsilon=0.0))
    model.layers[1].moving_variance.assign(np.zeros(1, np.float32))
    found = model(np.array([[[[1.0] * 4] * 5] * 6], np.float32))
    assert np.isposinf(found).all()  # (4 - 0) / 0, as layer by layer


@pytest.mark.parametrize("for_backward", [False, True])
def test_errors_name_the_layer_that_fails(for_backward: bool) -> None:
    model = chain(Conv2D(3, 3, name="mine"), BatchNormalization(), relu())
    context = Context(for_backward=for_backward)
    with pytest.raises(
        ValueError, match=r"^layer 'mine' \(Conv2D\): kernel has 4 input channels but x has 3"
    ):
        model.run_forward([images(shape=(6, 5, 3))], context, [False])


@pytest.mark.parametrize("epsilon", [-0.01, np.nan, "small"])
def test_a_wrong_epsilon_is_an_error_of_the_norm(epsilon: Any) -> None:
    norm = BatchNormalization(name="n")
    model = chain(Conv2D(3, 3, name="c"), norm)
    assert steps_of(model) == ["c+norm"]
    norm.epsilon = epsilon
    with pytest.raises((TypeError, ValueError), match=r"^layer 'n' \(BatchNormalization\): epsilon must be"):
        model(images())


def test_layers_called_by_themselves_fuse_nothing() -> None:
    conv = Conv2D(3, 3)
    model = randomized(chain(conv, relu()))
    assert (conv(images()) < 0).any()
    assert (model(images()) >= 0).all()
