"""Prepared kernels in layers: kept for inference, and never used after a weight has changed."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import konv
from konv import Model, Sequential, _core, _prepared
from konv.layers import (
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    Input,
    Layer,
    ReLU,
    SeparableConv2D,
)
from tolerance import assert_same_bits

Array = np.ndarray[Any, Any]

AFFINE: dict[str, Callable[[], Layer]] = {
    "conv": lambda: Conv2D(4, 3, padding="same"),
    "depthwise": lambda: DepthwiseConv2D(3, depth_multiplier=2),
    "separable": lambda: SeparableConv2D(4, 3),
    "dense": lambda: Dense(4),
    "transposed": lambda: Conv2DTranspose(4, 3),
}


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    _prepared.forget_all()


def forms() -> int:
    return sum(len(entries) for entries in _prepared._kept.values())


def bindings(monkeypatch: pytest.MonkeyPatch) -> list[Layer]:
    """Return a list that every convolution joins when it is bound."""
    bound: list[Layer] = []
    bind = Conv2D.bind

    def noted(self: Conv2D, *arguments: Any, **options: Any) -> Any:
        bound.append(self)
        return bind(self, *arguments, **options)

    monkeypatch.setattr(Conv2D, "bind", noted)
    return bound


def network(layer: Layer | None = None) -> Model:
    model = Sequential([Input((6, 5, 4)), layer or Conv2D(4, 3), BatchNormalization(), ReLU()])
    for each in (Conv2D(3, 2), GlobalAveragePooling2D(), Dense(2)):
        model.add(each)
    model.compile("adam", "mse")
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


def images(count: int = 3) -> Array:
    return np.random.default_rng(1).normal(size=(count, 6, 5, 4)).astype(np.float32)


def labels() -> Array:
    return np.ones((3, 2), np.float32)


def fresh(model: Model, x: Array) -> Array:
    """Predict with a copy of a model, for which nothing is kept."""
    outputs: Array = copy.deepcopy(model).predict_on_batch(x)
    return outputs


PREDICTIONS: dict[str, Callable[[Model, Array], Any]] = {
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "call": lambda model, x: model(x),
}


@pytest.mark.parametrize("way", PREDICTIONS)
@pytest.mark.parametrize("kind", AFFINE)
def test_is_kept_and_has_the_same_bits(kind: str, way: str) -> None:
    model, predict = network(AFFINE[kind]()), PREDICTIONS[way]
    first = predict(model, images())
    assert forms() == 3 - (kind == "transposed")
    made = {id(form) for entries in _prepared._kept.values() for _, form in entries.values()}
    assert_same_bits(predict(model, images()), first)
    assert made == {id(form) for entries in _prepared._kept.values() for _, form in entries.values()}
    for count in (0, 1, 2):
        assert_same_bits(predict(model, images()[:count]), first[:count])


@pytest.mark.parametrize("kind", AFFINE)
def test_a_layer_has_the_bits_of_the_op(kind: str) -> None:
    layer = AFFINE[kind]()
    layer.build((None, 6, 5, 4))
    outputs, _ = layer.forward(images(), konv.layers.Context(training=True))  # not prepared
    assert forms() == 0
    assert_same_bits(layer(images()), outputs)


def set_kernel(model: Model, _: Path) -> None:
    model.layers[0].kernel.assign(model.layers[0].kernel.numpy() + 1)


def set_bias(model: Model, _: Path) -> None:
    model.layers[0].bias.assign(model.layers[0].bias.numpy() + 1)


def set_layer(model: Model, _: Path) -> None:
    model.layers[0].set_weights([weight + 1 for weight in model.layers[0].get_weights()])


def set_model(model: Model, _: Path) -> None:
    model.set_weights([weight + 1 for weight in model.get_weights()])


def set_norm(model: Model, _: Path) -> None:
    model.layers[1].set_weights([weight + 1 for weight in model.layers[1].get_weights()])


def set_moving_mean(model: Model, _: Path) -> None:
    model.layers[1].moving_mean.assign(model.layers[1].moving_mean.numpy() + 1)


def train(model: Model, _: Path) -> None:
    model.train_on_batch(images(), labels())


def train_norm_alone(model: Model, _: Path) -> None:
    for layer in model.layers:
        layer.trainable = isinstance(layer, BatchNormalization)
    model.train_on_batch(images(), labels())


def call_training(model: Model, _: Path) -> None:
    model(images(), training=True)  # moves the averages


def change_in_place(model: Model, _: Path) -> None:
    with model.layers[0].kernel.changing() as array:
        array += 1


def fit_and_restore(model: Model, _: Path) -> None:
    stopping = konv.callbacks.EarlyStopping(
        "loss", patience=0, restore_best_weights=True, start_from_epoch=0, mode="max"
    )
    model.fit(images(), labels(), epochs=4, verbose=0, callbacks=[stopping])


def load_weights(model: Model, folder: Path) -> None:
    before = model.get_weights()
    set_model(model, folder)
    model.save_weights(folder / "w.npz")
    model.set_weights(before)
    model.predict_on_batch(images())
    model.load_weights(folder / "w.npz")


def resize_epsilon(model: Model, _: Path) -> None:
    model.layers[1].epsilon = 0.5


def change_stride(model: Model, _: Path) -> None:
    model.layers[0].strides = (2, 1)


def drop_bias(model: Model, _: Path) -> None:
    model.layers[0].bias = None


def share_bias(model: Model, _: Path) -> None:
    other = Conv2D(4, 3)
    other.build((None, 6, 5, 4))
    model.layers[0].bias = other.bias
    model.predict_on_batch(images())
    other.bias.assign(other.bias.numpy() + 1)


def drop_beta(model: Model, _: Path) -> None:
    model.layers[1].beta = None


def set_state(model: Model, _: Path) -> None:
    layer = model.layers[0]
    layer.__setstate__(layer.__getstate__() | {"strides": (2, 1)})


CHANGES = [
    set_kernel,
    set_bias,
    set_layer,
    set_model,
    set_norm,
    set_moving_mean,
    train,
    train_norm_alone,
    call_training,
    change_in_place,
    fit_and_restore,
    load_weights,
    resize_epsilon,
    change_stride,
    drop_bias,
    share_bias,
    drop_beta,
    set_state,
]


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_is_missed(change: Callable[[Model, Path], None], tmp_path: Path) -> None:
    model = network()
    before = model.predict_on_batch(images())
    change(model, tmp_path)
    after = model.predict_on_batch(images())
    assert (after != before).any()
    assert_same_bits(after, fresh(model, images()))
    assert_same_bits(model.predict_on_batch(images()), after)


@pytest.mark.parametrize("change", CHANGES)
def test_no_change_is_missed_by_a_model_that_shares_the_layers(
    change: Callable[[Model, Path], None], tmp_path: Path
) -> None:
    model = network()
    other = Model(model.input, [layer.output for layer in model.layers])
    before = other.predict_on_batch(images())
    change(model, tmp_path)
    after = other.predict_on_batch(images())
    assert (after[-1] != before[-1]).any()
    twin = copy.deepcopy(model)
    expected = Model(twin.input, [layer.output for layer in twin.layers]).predict_on_batch(images())
    for own, wanted in zip(after, expected, strict=True):
        assert_same_bits(own, wanted)


def test_layers_are_bound_once_until_anything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, bound = network(), bindings(monkeypatch)
    model.predict_on_batch(images())
    assert len(bound) == 2
    for count in (3, 2, 1):
        model.predict_on_batch(images()[:count])
    assert len(bound) == 2
    Dense(2).trainable = False  # of another model, even
    model.predict_on_batch(images())
    assert len(bound) == 4
    set_bias(model, Path())
    model.predict_on_batch(images())
    assert len(bound) == 6


def test_images_of_other_sizes_are_bound_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    model, bound = Model(x := Input((None, None, 4)), Conv2D(3, 3)(x)), bindings(monkeypatch)
    arrays = [np.ones((1, size, size, 4), np.float32) for size in (5, 6)]
    expected = [fresh(model, array) for array in arrays]
    bound.clear()
    for _ in range(3):
        for array, outputs in zip(arrays, expected, strict=True):
            assert_same_bits(model.predict_on_batch(array), outputs)
    assert bound == [model.layers[1]] * 2


def test_the_environment_steers_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Conv2D(4, 3)
    model = Sequential([Input((6, 5, 4)), layer])
    model.predict_on_batch(images())
    monkeypatch.setenv("KONV_ALGORITHM", "reference")
    outputs = model.predict_on_batch(images())
    expected = konv.ops.conv2d(images(), layer.kernel.value, layer.bias.value, algorithm="reference")
    assert_same_bits(outputs, expected)


def test_the_environment_steers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = Conv2D(4, 3)
    layer(images())
    monkeypatch.setenv("KONV_ALGORITHM", "reference")
    outputs = layer(images())
    expected = konv.ops.conv2d(images(), layer.kernel.value, layer.bias.value, algorithm="reference")
    assert_same_bits(outputs, expected)


def test_one_kernel_before_two_norms() -> None:
    x = Input((6, 5, 4))
    conv = Conv2D(4, 3)
    norms = [BatchNormalization(name=name) for name in "ab"]
    model = Model(x, [norm(conv(x)) for norm in norms])
    for offset, norm in enumerate(norms):
        norm.set_weights([weight + offset + 1 for weight in norm.get_weights()])
    for _ in range(2):
        for output, norm in zip(model(images()), norms, strict=True):
            np.testing.assert_allclose(output, norm(conv(images())), rtol=1e-4, atol=1e-4)
    assert forms() == 3  # one for each norm, and the layer called by itself


def test_images_of_many_sizes_keep_few_forms() -> None:
    model = Model(x := Input((None, None, 4)), Conv2D(3, 3)(x))
    for size in range(3, 30):
        model(np.zeros((1, size, size, 4), np.float32))
    assert 1 < forms() <= 4
    (form,) = {form.nbytes for entries in _prepared._kept.values() for _, ((form,), *_) in entries.values()}
    konv.clear_cache()
    in_use = _core.pool_info()["bytes_in_use"]
    for size in range(3, 30):
        model(np.zeros((1, size, size, 4), np.float32))
    assert _core.pool_info()["bytes_in_use"] <= in_use + 4 * form


def test_training_frees_it() -> None:
    model = network()
    in_use = _core.pool_info()["bytes_in_use"]
    model.predict_on_batch(images())
    assert forms() == 3
    assert _core.pool_info()["bytes_in_use"] > in_use
    model.layers[0].kernel.assign(model.layers[0].kernel.numpy())
    model.layers[3].kernel.assign(model.layers[3].kernel.numpy())
    model.layers[5].kernel.assign(model.layers[5].kernel.numpy())
    assert forms() == 0
    assert _core.pool_info()["bytes_in_use"] == in_use
    model.predict_on_batch(images())
    model.train_on_batch(images(), labels())
    assert forms() == 0


def test_clear_cache_frees_it() -> None:
    konv.clear_cache()
    model = network()
    x = images()
    outputs = model.predict_on_batch(x)
    in_use = _core.pool_info()["bytes_in_use"]
    konv.clear_cache()
    assert forms() == 0
    assert _core.pool_info()["bytes_in_use"] < in_use
    assert_same_bits(model.predict_on_batch(x), outputs)


def test_it_dies_with_the_layer() -> None:
    model = network()
    in_use = _core.pool_info()["bytes_in_use"]
    model.predict_on_batch(images())
    assert _core.pool_info()["bytes_in_use"] > in_use
    del model
    gc.collect()
    assert forms() == 0
    assert _core.pool_info()["bytes_in_use"] <= in_use


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_their_own(copied: Callable[[Model], Model]) -> None:
    model = network()
    before = model.predict_on_batch(images())
    size = len(pickle.dumps(network()))
    assert len(pickle.dumps(model)) < size + 2000
    twin = copied(model)
    set_model(twin, Path())
    assert_same_bits(model.predict_on_batch(images()), before)
    assert (twin.predict_on_batch(images()) != before).any()


def test_without_memory_for_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    expected = model.predict_on_batch(images())
    _prepared.forget_all()
    apply = _core.apply_prepared
    failures = []

    def failing(*arguments: Any) -> Any:
        if forms() > 1:
            failures.append(forms())
            raise MemoryError
        return apply(*arguments)

    monkeypatch.setattr(_core, "apply_prepared", failing)
    assert_same_bits(model.predict_on_batch(images()), expected)
    assert failures


def test_a_change_while_it_is_made_is_not_missed() -> None:
    layer = Dense(2)
    layer.build((None, 3))
    kernel = layer.kernel

    def make() -> Array:
        value: Array = kernel.numpy()
        kernel.assign(value + 1)
        return value

    before = _prepared.kept(kernel, "key", [kernel], make)
    assert_same_bits(_prepared.kept(kernel, "key", [kernel], kernel.numpy), before + 1)


def test_threads_predict_at_once() -> None:
    model = network()
    x = images()
    expected = fresh(model, x)
    for _ in range(20):
        _prepared.forget_all()
        start = threading.Barrier(4)

        def predict(start: threading.Barrier = start) -> Array:
            start.wait()
            outputs: Array = model.predict_on_batch(x)
            return outputs

        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(predict) for _ in range(4)]:
                assert_same_bits(future.result(), expected)


def test_threads_that_predict_while_weights_change_leave_nothing_stale() -> None:
    model = Sequential([Input((64,)), Dense(64), BatchNormalization(), ReLU()])
    x = np.ones((1, 64), np.float32)
    done = threading.Event()

    def predict() -> None:
        while not done.is_set():
            model(x)

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(predict) for _ in range(2)]
        for number in range(300):
            with model.layers[0].kernel.changing() as kernel:
                kernel[...] = number % 7
            model.layers[1].moving_mean.assign(np.full(64, number % 5, np.float32))
        done.set()
        for future in running:
            future.result()
    assert_same_bits(model(x), fresh(model, x))


def test_flattened_images_and_float64() -> None:
    model = Sequential(
        [Input((3, 3, 2), dtype="float64"), Flatten(dtype="float64"), Dense(2, dtype="float64")]
    )
    outputs = model(np.ones((2, 3, 3, 2)))
    assert outputs.dtype == np.float64
    assert_same_bits(model(np.ones((2, 3, 3, 2))), outputs)


def test_a_change_while_something_is_made_is_not_missed() -> None:
    owner = Dense(2)

    def make() -> int:
        _prepared.changed()
        return 1

    assert [_prepared.while_unchanged(owner, "key", each) for each in (make, lambda: 2, make)] == [1, 2, 2]


def test_what_is_fused_without_backward_is_not_trained() -> None:
    model = network()
    model.layers[1].trainable = False
    other = copy.deepcopy(model)
    model(np.ones((2, 7, 6, 4), np.float32), training=True)
    for each in (model, other):
        each.train_on_batch(images(), labels())
    for own, wanted in zip(model.get_weights(), other.get_weights(), strict=True):
        assert_same_bits(own, wanted)
