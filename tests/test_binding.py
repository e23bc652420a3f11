"""Layers that inference binds before the first of them runs: the same bits and errors as one by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from konv import Input, Model, Sequential, _prepared, activations, ops
from konv.backend import NUMPY
from konv.layers import (
    Add,
    AveragePooling2D,
    BatchNormalization,
    Context,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    ReLU,
    SeparableConv2D,
    SumPooling2D,
)
from konv.layers.base import Call
from konv.models import graph, inference
from konv.models.inference import BoundSteps
from tolerance import assert_same_bits

Array = np.ndarray[Any, Any]


def residual() -> Model:
    """A network of all kinds of layers that can be bound, of an addend, and of some that can't be."""
    x = Input((9, 8, 4))
    y = ReLU()(BatchNormalization()(Conv2D(6, 3, padding="same", use_bias=False)(x)))
    z = SeparableConv2D(6, 3, padding="same", activation="relu")(y)
    z = Add()([y, DepthwiseConv2D(3, padding="same")(z)])
    z = MaxPooling2D(2)(ReLU()(z))
    z = Conv2D(5, 2, activation="tanh")(z)
    z = Dense(4)(Conv2D(7, 1)(z))
    model = Model(x, Dense(3, activation="softmax")(Flatten()(z)))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def images(count: int = 2) -> Array:
    return np.random.default_rng(1).normal(size=(count, 9, 8, 4)).astype(np.float32)


def unbound(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Array]) -> Array:
    with monkeypatch.context() as patch:
        patch.setattr(BoundSteps, "from_step", lambda *_: [])
        return run()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps run bound, one after another, each time that it was tried."""
    counts: list[int] = []
    from_step = BoundSteps.from_step

    def counted(*arguments: Any) -> list[Call]:
        found = from_step(*arguments)
        counts.append(len(found))
        return found

    monkeypatch.setattr(BoundSteps, "from_step", counted)
    return counts


def test_same_bits_as_one_by_one(monkeypatch: pytest.MonkeyPatch, calls: list[int]) -> None:
    model = residual()

    def succeeds(*arguments: Any) -> bool:
        assert inference.succeeds(*arguments), "a layer's forward was run in place of what was bound"
        return True

    monkeypatch.setattr(graph, "succeeds", succeeds)
    for x in map(images, (2, 0, 3)):
        calls.clear()
        outputs = model.predict_on_batch(x)
        assert [count for count in calls if count] == [4, 3]  # to pooling, tanh to Flatten
        assert_same_bits(outputs, unbound(monkeypatch, partial(model.predict_on_batch, x)))


def test_outputs_in_the_middle_and_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Input((4,))
    a = Dense(5)(x)
    model = Model(x, [a, Dense(3, activation="softmax")(Dense(4)(a))])
    model.compile("sgd", ["mse", "categorical_crossentropy"])
    data = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    targets = [np.ones((6, 5), np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2] * 2]]
    for run in (lambda: model.predict_on_batch(data), lambda: model.test_on_batch(data, targets)):
        for own, alone in zip(run(), unbound(monkeypatch, run), strict=True):
            assert_same_bits(np.asarray(own), np.asarray(alone))


def test_training_binds_nothing(calls: list[int]) -> None:
    model = Sequential([Input((4,)), Dense(5), Dense(3)])
    model.compile("sgd", "mse")
    model.train_on_batch(np.ones((2, 4), np.float32), np.ones((2, 3), np.float32))
    assert not calls


def test_a_layer_with_a_pass_of_its_own_runs_it() -> None:
    class Doubled(Dense):
        def forward(self, inputs: Array, context: Any) -> tuple[Array, Any]:
            outputs, saved = super().forward(inputs, context)
            return 2 * outputs, saved

    model = Sequential([Input((4,)), Doubled(4), Dense(3)])
    plain = Sequential([Input((4,)), Dense(4), Dense(3)])
    plain.set_weights(model.get_weights())
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(model.predict_on_batch(x), 2 * plain.predict_on_batch(x), rtol=1e-6)


class Within(Layer):
    """What a function makes of the inputs, somewhere within a model."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Any, context: Context) -> tuple[Any, Any]:
        return self.function(inputs), None


STRANGE = {
    "not contiguous": np.arange(24, dtype=np.float32).reshape(4, 6).T,
    "not aligned": np.frombuffer(bytes(97), np.uint8)[1:].view(np.float32).reshape(6, 4),
    "a subclass": np.ones((6, 4), np.float32).view(np.recarray),
}


@pytest.mark.parametrize("what", STRANGE)
def test_arrays_that_kernels_cannot_read_as_they_lie(what: str) -> None:
    array = STRANGE[what]
    model = Sequential([Input((4,)), Within(lambda _: array), Dense(3), Dense(2)])
    expected = np.array(array, order="C")
    for layer in model.layers[1:]:
        expected = layer(expected)
    assert_same_bits(model.predict_on_batch(np.zeros((6, 4), np.float32)), expected)


WRONG = {
    "of float64": (np.ones((2, 4)), TypeError, "must have dtype|must have the dtype|one dtype"),
    "of other channels": (np.ones((2, 5), np.float32), ValueError, "channels|dimensions"),
    "masked": (np.ma.masked_array(np.ones((2, 4), np.float32)), TypeError, "must not be masked"),
}


@pytest.mark.parametrize("what", WRONG)
def test_errors_name_the_layer(what: str) -> None:
    array, kind, message = WRONG[what]
    model = Sequential(
        [Input((4,)), Within(lambda _: array), Dense(4, name="first"), Dense(3, name="second")]
    )
    with pytest.raises(kind, match=f"(?s)layer 'first'.*({message})"):
        model.predict_on_batch(np.zeros((2, 4), np.float32))


def test_an_addend_of_another_kind_is_not_misread() -> None:
    x = Input((4,))
    masked = np.ma.masked_array(np.ones((2, 3), np.float32), mask=True)
    given = Within(lambda _: masked)(Dense(3)(x))
    model = Model(x, Add()([Dense(3, name="last")(x), given]))
    with pytest.raises(TypeError, match="must not be masked"):
        model.predict_on_batch(np.zeros((2, 4), np.float32))


def test_what_fails_is_bound_anew_without_what_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = residual()
    expected = model.predict_on_batch(images())
    _prepared.forget_all()
    apply, failed = NUMPY.kernels.apply_prepared, []

    def failing(*arguments: Any) -> Any:
        kept = sum(len(forms) for forms in _prepared._kept.values())
        if kept > 2:
            failed.append(kept)
            raise MemoryError
        return apply(*arguments)

    monkeypatch.setattr(NUMPY.kernels, "apply_prepared", failing)
    assert_same_bits(model.predict_on_batch(images()), expected)
    assert failed


def test_what_lacked_memory_is_bound_the_next_time(monkeypatch: pytest.MonkeyPatch, calls: list[int]) -> None:
    model = residual()
    expected = model.predict_on_batch(images())
    usual = calls.copy()
    _prepared.forget_all()
    prepare, kernels = NUMPY.kernels.prepare_conv2d, []

    def failing(*arguments: Any) -> Any:
        kernels.append(arguments[0])
        if len(kernels) == 2:
            raise MemoryError
        return prepare(*arguments)

    monkeypatch.setattr(NUMPY.kernels, "prepare_conv2d", failing)
    for bound in (False, True):
        calls.clear()
        assert_same_bits(model.predict_on_batch(images()), expected)
        assert (calls == usual) == bound


POOLING: dict[str, tuple[Callable[[], Layer], str, Any]] = {
    "max": (lambda: MaxPooling2D(2), "strides", (1, 1)),
    "average": (lambda: AveragePooling2D(2), "padding", "same"),
    "sum": (lambda: SumPooling2D(2), "pool_size", (1, 2)),
    "global": (GlobalAveragePooling2D, "keepdims", True),
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("kind", POOLING)
def test_pooling_is_bound_to_what_it_is_now(kind: str, relu: bool) -> None:
    make, attribute, value = POOLING[kind]
    pooling = make()
    model = Sequential([Input((7, 9, 4)), pooling, *[ReLU()] * relu])
    x = np.random.default_rng(2).normal(size=(2, 7, 9, 4)).astype(np.float32)
    for _ in range(2):
        expected, _ = pooling.forward(x, Context(for_backward=False))
        if relu:
            expected = ops.relu(expected)
        if not relu or pooling.fuses(norm=False, add=False, relu=True):
            bound = pooling.bind(x.shape, relu=relu, backend=NUMPY)  # if it raised, a model would run forward
            assert_same_bits(bound(x, None), expected)
        assert_same_bits(model.predict_on_batch(x), expected)
        for images in (1, 0):
            assert_same_bits(model.predict_on_batch(x[:images]), model.predict_on_batch(x)[:images])
        setattr(pooling, attribute, value)


@pytest.mark.parametrize("kind", POOLING)
def test_pooling_reads_what_kernels_cannot(kind: str) -> None:
    """Kernels take arrays of one float dtype, dense, aligned, of four axes: else the op tells, or copies."""
    make, _, _ = POOLING[kind]
    x = np.random.default_rng(2).normal(size=(2, 9, 7, 4)).astype(np.float32)
    for given in (
        x.transpose(0, 2, 1, 3),
        x[:, ::-1],
        np.frombuffer(b"\0" + x.tobytes(), "u1")[1:].view("f4"),
    ):
        given = given.reshape(x.shape) if given.ndim == 1 else given
        pooling = make()
        model = Sequential([Input(given.shape[1:]), Within(lambda _, given=given: given), pooling])
        for _ in range(2):
            expected, _ = pooling.forward(given.copy(), Context(for_backward=False))
            assert_same_bits(model.predict_on_batch(np.zeros(given.shape, np.float32)), expected)
    for wrong, message in ((x.astype(int), "dtype"), (x[0], r"\(7,|\(N, H, W, C\)|images")):
        model = Sequential([Input((9, 7, 4)), Within(lambda _, wrong=wrong: wrong), make()])
        for _ in range(2):
            with pytest.raises((TypeError, ValueError), match=f"(?s)^layer '.*{message}"):
                model.predict_on_batch(x)


def test_a_layer_may_change_one_that_comes_after_it() -> None:
    changes: list[Array] = []
    dense = Dense(3)

    def change(inputs: Any) -> Any:
        if changes:
            dense.kernel.assign(changes.pop())
        return inputs

    model = Sequential([Input((4,)), Dense(4), Within(change), dense])
    x = np.random.default_rng(3).normal(size=(2, 4)).astype(np.float32)
    for _ in range(2):
        before = model.predict_on_batch(x)
    changes.append(2 * dense.kernel.numpy())
    assert_same_bits(model.predict_on_batch(x), 2 * before)


def test_what_is_no_array_may_pass_between_layers() -> None:
    model = Sequential([Input((4,)), Dense(4), Within(lambda x: x.tolist()), Within(np.float32), Dense(2)])
    x = np.random.default_rng(3).normal(size=(2, 4)).astype(np.float32)
    for _ in range(2):
        assert_same_bits(model.predict_on_batch(x), model.layers[3](model.layers[0](x)))


def test_what_a_layer_makes_of_a_size_of_its_own_is_bound_to_its_size() -> None:
    rows = 3
    pooling = GlobalAveragePooling2D()
    model = Sequential([Input((9, 8, 4)), Within(lambda x: x[:, :rows]), pooling])
    for rows in (3, 5, 3):
        assert_same_bits(model.predict_on_batch(images()), pooling(images()[:, :rows]))


def test_an_attribute_that_is_deleted_is_a_change() -> None:
    class Pooling(GlobalAveragePooling2D):
        keepdims = True

    model = Sequential([Input((9, 8, 4)), Pooling()])
    assert model.predict_on_batch(images()).shape == (len(images()), 4)
    del model.layers[0].keepdims
    assert model.predict_on_batch(images()).shape == (len(images()), 1, 1, 4)


def test_layers_that_leave_out_an_activation_are_not_bound_to_it() -> None:
    told: list[bool] = []

    class Softmax(Layer):
        ends_in = "softmax"

        def forward(self, inputs: Any, context: Context) -> tuple[Any, Any]:
            told.append(context.logits)
            return inputs if context.logits else activations.softmax(inputs), None

        def bind(self, input_shape: tuple[int, ...], **_: Any) -> Callable[[Any, Any], Any]:
            return lambda x, _: activations.softmax(x)

    model = Sequential([Input((3,)), Softmax()])
    model.compile("adam", "categorical_crossentropy")
    x = np.eye(2, 3, dtype=np.float32)
    for _ in range(2):
        assert_same_bits(model.predict_on_batch(x), activations.softmax(x))
        assert told == []
        model.test_on_batch(x, x)
        assert told == [True]
        told.clear()
