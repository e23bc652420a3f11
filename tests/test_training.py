"""Training: the loop, its numbers, its determinism, and what it refuses."""

from __future__ import annotations

import copy
import gc
import math
import time

import numpy as np
import pytest

import konv
from arrays import DLPackOnly
from konv import Sequential, callbacks, losses, metrics
from konv import _random as random
from konv.layers import Conv2D, Dense, Flatten, Input, MaxPooling2D, Softmax
from konv.utils import set_random_seed, to_categorical
from weights import same_weights


def digits(count):
    (x, y), _ = konv.datasets.digits.load_data()
    return x[:count, ..., None] / 16.0, y[:count]


def network(seed=0, loss="sparse_categorical_crossentropy", optimizer="adam", dtype="float32"):
    set_random_seed(seed)
    model = Sequential(
        [
            Input((8, 8, 1), dtype=dtype),
            Conv2D(8, 3, activation="relu", padding="same", dtype=dtype),
            MaxPooling2D(dtype=dtype),
            Flatten(dtype=dtype),
            Dense(10, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


def linear_model():
    """One weight w and logits (0, w x): small enough to train by hand."""
    model = Sequential([Input((2,)), Dense(2, use_bias=False), Softmax()])
    model.set_weights([np.zeros((2, 2))])
    return model


def batches_seen(model):
    """Record the first column of every batch that a model is trained or tested on, in the list returned."""
    seen = []
    forward = model.run_forward

    def recording(inputs, context, logits):
        seen.append(inputs[0][:, 0].tolist())
        return forward(inputs, context, logits)

    model.run_forward = recording
    return seen


def test_steps_by_hand():
    model = linear_model()
    model.compile(konv.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.array([[1, 0], [0, 2], [0, 2]], np.uint8)
    y = np.array([1, 1, 0])
    history = model.fit(x, y, batch_size=2, epochs=1, shuffle=False, verbose=0).history
    # Step 1, both p = (1/2, 1/2), label 1: gradient of the logits (1/2, -1/2) / 2, loss log 2, and a tie is
    # class 0, so wrong. Then w = [[-1/8, 1/8], [-1/4, 1/4]].
    # Step 2: logits (-1/2, 1/2), label 0: loss log(1 + e), wrong again.
    second = math.log(1 + math.e)
    assert history["loss"] == pytest.approx([(2 * math.log(2) + second) / 3], rel=1e-6)
    assert history["accuracy"] == [0.0]
    p1 = math.e / (1 + math.e)
    expected = [[-0.125, 0.125], [-0.25 + 0.5 * 2 * p1, 0.25 - 0.5 * 2 * p1]]
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-6)
    assert model.step == model.optimizer.iterations == 2


def test_softmax_and_crossentropy_are_one():
    """From probabilities the loss of a certain wrong answer would be -log(1e-7) = 16.1, without gradient."""
    x = np.array([[1, 0]], np.float32)
    for loss, y in [("sparse_categorical_crossentropy", [0]), ("categorical_crossentropy", [[1, 0]])]:
        model = linear_model()
        model.set_weights([np.array([[0, 100], [0, 0]])])
        model.compile("sgd", loss)
        assert model.train_on_batch(x, np.array(y)) == pytest.approx(100)
        assert model.get_weights()[0][0] == pytest.approx([0.01, 99.99])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("float64", 1e-12)])
def test_loss_trajectory(dtype, tolerance):
    """The whole path: random numbers, kernels, gradients, optimizer. Recorded in float64.

    In float32 nine steps round each number some hundred times by 6e-8 of a loss of 2. In float64 the order of
    the sums differs between ISAs.
    """
    x, y = digits(96)
    model = network(optimizer=konv.optimizers.Adam(0.01), dtype=dtype)
    history = model.fit(x, y, batch_size=32, epochs=3, verbose=0).history
    assert history["loss"] == pytest.approx(TRAJECTORY, abs=tolerance)


TRAJECTORY = [2.298174116453263, 2.145360579212955, 1.995171737847815]


def test_it_learns():
    x, y = digits(320)
    model = network(optimizer=konv.optimizers.Adam(0.01))
    history = model.fit(x, y, epochs=10, verbose=0, validation_split=0.2)
    assert history.history["val_accuracy"][-1] > 0.85
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy == np.mean(model.predict(x).argmax(-1) == y) > 0.95
    probabilities = model.predict(x)[np.arange(320), y].astype(np.float64)
    assert loss == pytest.approx(-np.log(probabilities).mean(), rel=1e-5)


def test_one_hot_labels_train_alike():
    x, y = digits(64)
    sparse, rows = network(), network(loss="categorical_crossentropy")
    first = sparse.fit(x, y, epochs=2, verbose=0).history
    second = rows.fit(x, to_categorical(y, 10), epochs=2, verbose=0).history
    assert first == second
    assert same_weights(sparse, rows)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_seed_fixes_every_bit(set_threads, threads):
    x, y = digits(100)
    first, second = network(seed=7), network(seed=7)
    first.fit(x, y, epochs=2, verbose=0)
    set_threads(threads)
    second.fit(x, y, epochs=2, verbose=0)
    assert same_weights(first, second)
    other = network(seed=8)
    other.fit(x, y, epochs=2, verbose=0)
    assert not same_weights(first, other)


def test_compile_takes_the_seed_anew():
    x, y = digits(64)
    model = network()
    start = model.get_weights()
    runs = []
    for _ in range(2):
        model.set_weights(start)
        set_random_seed(5)
        model.compile("adam", "sparse_categorical_crossentropy")
        runs.append(model.fit(x, y, batch_size=16, epochs=2, verbose=0).history)
    assert runs[0] == runs[1]


def test_epochs_are_shuffled_by_seed_and_step():
    x, y = np.arange(20.0).reshape(10, 2), np.zeros(10)
    model = linear_model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    seen = batches_seen(model)
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    orders = [[value / 2 for batch in seen[i : i + 3] for value in batch] for i in (0, 3)]
    seed, _ = model.random_state
    for order, start in zip(orders, (0, 3), strict=True):
        assert order == random.permutation(random.derive(seed, random.SHUFFLE, start), 10).tolist()
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    seen.clear()
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert [value for batch in seen for value in batch] == x[:, 0].tolist()


def test_validation_split_takes_the_tail():
    x, y = digits(50)
    split, given = network(), network()
    first = split.fit(x, y, validation_split=0.3, verbose=0).history
    second = given.fit(x[:35], y[:35], validation_data=(x[35:], y[35:]), verbose=0).history
    assert first == second
    assert set(first) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_initial_epoch():
    x, y = digits(20)
    model = network()
    assert model.fit(x, y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]
    assert model.fit(x, y, epochs=3, initial_epoch=3, verbose=0).history == {}


def test_a_billion_epochs_can_be_stopped():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    x, y = digits(20)
    history = network().fit(x, y, epochs=10**9, callbacks=[Stop()], verbose=0)
    assert history.epoch == [0, 1]


def test_callbacks_are_called_in_order():
    class Record(callbacks.Callback):
        def __init__(self):
            self.events = []

        def __getattribute__(self, name):
            if name.startswith("on_"):
                self.events.append(name[3:])
            return super().__getattribute__(name)

    record = Record()
    x, y = digits(20)
    network().fit(x, y, batch_size=10, callbacks=[record], verbose=0)
    batch = ["train_batch_begin", "train_batch_end"]
    assert record.events == ["train_begin", "epoch_begin", *batch, *batch, "epoch_end", "train_end"]
    assert record.params == {
        "epochs": 1,
        "steps": 2,
        "samples": 20,
        "samples_seen": 20,
        "batch_size": 10,
        "verbose": 0,
    }


def test_every_hook_is_given_logs_as_in_keras():
    class Record(callbacks.Callback):
        def __init__(self):
            self.logs = {}

        def on_train_begin(self, logs=None):
            self.logs["train_begin"] = logs

        def on_epoch_begin(self, epoch, logs=None):
            self.logs["epoch_begin"] = logs

        def on_train_batch_begin(self, batch, logs=None):
            self.logs["train_batch_begin"] = logs

        def on_train_batch_end(self, batch, logs=None):
            self.logs["train_batch_end"] = logs

        def on_epoch_end(self, epoch, logs=None):
            self.logs["epoch_end"] = logs

        def on_train_end(self, logs=None):
            self.logs["train_end"] = logs

    record = Record()
    x, y = digits(20)
    network().fit(x, y, validation_data=(x, y), callbacks=[record, callbacks.Callback()], verbose=0)
    for begin in ("train_begin", "epoch_begin", "train_batch_begin"):
        assert record.logs[begin] is None
    assert set(record.logs["train_batch_end"]) == {"loss", "accuracy"}
    assert set(record.logs["epoch_end"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert record.logs["train_end"] == record.logs["epoch_end"]
    network().fit(x, y, initial_epoch=1, callbacks=[record], verbose=0)
    assert record.logs["train_end"] is None


class Events(callbacks.Callback):
    """Records every hook but those of the batches of training, with its number and the names of its logs."""

    def __init__(self):
        self.events = []

    def __getattribute__(self, name):
        if not name.startswith("on_") or name.startswith("on_train_batch"):
            return super().__getattribute__(name)
        return lambda *arguments: self.events.append((name[3:], *arguments[:-1], sorted(arguments[-1] or [])))


def test_hooks_of_tests_also_within_fit():
    x, y = digits(20)
    events, model = Events(), network()
    tested = [
        ("test_begin", []),
        ("test_batch_begin", 0, []),
        ("test_batch_end", 0, ["accuracy", "loss"]),
        ("test_batch_begin", 1, []),
        ("test_batch_end", 1, ["accuracy", "loss"]),
        ("test_end", ["accuracy", "loss"]),
    ]
    model.evaluate(x, y, batch_size=10, callbacks=[events], verbose=0)
    assert events.events == tested
    assert events.model is model
    assert events.params["steps"] == 2
    events.events.clear()
    model.fit(x, y, batch_size=10, validation_data=(x, y), callbacks=[events], verbose=0)
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert events.events == [
        ("train_begin", []),
        ("epoch_begin", 0, []),
        *tested,
        ("epoch_end", 0, names),
        ("train_end", names),
    ]


def test_hooks_of_predict():
    x, _ = digits(20)
    events = Events()
    network().predict(x, batch_size=16, callbacks=[events], verbose=0)
    assert events.events == [
        ("predict_begin", []),
        ("predict_batch_begin", 0, []),
        ("predict_batch_end", 0, ["outputs"]),
        ("predict_batch_begin", 1, []),
        ("predict_batch_end", 1, ["outputs"]),
        ("predict_end", []),
    ]


def test_training_stops_after_a_batch_and_the_epoch_is_told():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1
            self.seen = self.params["samples_seen"]

    x, y = digits(40)
    stop, model = Stop(), network()
    history = model.fit(x, y, batch_size=10, epochs=3, validation_data=(x, y), callbacks=[stop], verbose=0)
    assert (model.step, history.epoch, stop.seen) == (2, [0], 20)
    assert "val_loss" in history.history
    assert len(model.fit(x, y, verbose=0).epoch) == 1  # it is not stopped for good


def test_an_error_in_a_callback_leaves_the_model_usable():
    class Fail(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise RuntimeError("disk full")

    x, y = digits(40)
    model = network()
    with pytest.raises(RuntimeError, match="disk full"):
        model.fit(x, y, batch_size=10, callbacks=[Fail()], verbose=0)
    assert (model.step, model.optimizer.iterations, model.epoch) == (2, 2, 0)
    assert math.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


class Counter(callbacks.Callback):
    """Counts epochs over all runs, and notes what the model said of its own epoch."""

    def __init__(self):
        self.count = 0
        self.model_epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1
        self.model_epochs.append(self.model.epoch)

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = int(state["count"])


def test_the_model_knows_its_epoch_and_its_callbacks():
    x, y = digits(20)
    model, counter = network(), Counter()
    assert (model.epoch, model.callback_states()) == (0, [])
    model.fit(x, y, epochs=3, callbacks=[counter], verbose=0)
    assert counter.model_epochs == [1, 2, 3]
    assert model.epoch == 3
    assert dict(model.callback_states())["Counter"]["count"] == 3
    model.compile("adam", "sparse_categorical_crossentropy")
    assert (model.epoch, model.callback_states()) == (0, [])


@pytest.mark.parametrize(
    ("epoch", "initial_epoch", "count"),
    [(3, 3, 7 + 2), (3, 2, 3), (3, 0, 5), (0, 0, 5)],
)
def test_callbacks_get_their_states_back_if_the_run_goes_on(epoch, initial_epoch, count):
    x, y = digits(20)
    model, counter = network(), Counter()
    model.restore_training(epoch, [("Counter", {"count": np.array(7)}), ("Other", {"a": np.array(1)})])
    assert len(model.callback_states()) == 2
    model.fit(x, y, initial_epoch=initial_epoch, epochs=5, callbacks=[counter], verbose=0)
    assert counter.count == count
    model.fit(x, y, initial_epoch=5, epochs=6, callbacks=[Counter()], verbose=0)
    assert dict(model.callback_states())["Counter"]["count"] == 1  # states are handed out once


def test_a_copy_of_a_model_keeps_the_states_without_the_callbacks():
    x, y = digits(20)
    model = network()
    model.fit(x, y, epochs=2, callbacks=[Counter()], verbose=0)
    twin = copy.deepcopy(model)
    assert dict(twin.callback_states())["Counter"]["count"] == 2
    assert same_weights(model, twin)
    twin.fit(x, y, verbose=0)
    assert not same_weights(model, twin)


def test_batches_return_their_own_scores():
    x, y = digits(20)
    model = network(optimizer=konv.optimizers.SGD(0.0))
    expected = model.evaluate(x[10:], y[10:], verbose=0)
    assert model.train_on_batch(x[:10], y[:10]) != expected
    assert model.train_on_batch(x[10:], y[10:]) == expected
    assert model.test_on_batch(x[10:], y[10:]) == expected
    assert model.test_on_batch(x[10:], y[10:], return_dict=True) == dict(
        zip(("loss", "accuracy"), expected, strict=True)
    )
    assert model.step == 2
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert isinstance(model.evaluate(x, y, verbose=0), float)


def test_evaluate_weighs_batches_by_their_samples():
    x, y = digits(50)
    model = network()
    whole = model.evaluate(x, y, batch_size=50, verbose=0)
    assert model.evaluate(x, y, batch_size=15, verbose=0) == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 10**9])
def test_predictions_do_not_depend_on_the_batch(batch_size):
    x, _ = digits(20)
    model = network()
    assert np.array_equal(model.predict(x, batch_size=batch_size), model.predict(x))
    assert np.array_equal(model.predict(x.astype(np.float32)), model(x))


def test_predict_nothing():
    assert network().predict(np.zeros((0, 8, 8, 1))).shape == (0, 10)


def test_inputs_of_any_kind_are_cast():
    x, y = digits(20)
    x = (x * 16).astype(np.uint8)
    model, twin = network(), network()
    model.fit(x, y.astype(float), verbose=0)
    twin.fit(np.asfortranarray(x.astype(np.float64)), y[:, None], verbose=0)
    assert same_weights(model, twin)


def test_arrays_of_other_libraries_are_taken():
    x, y = digits(20)
    model, twin = network(), network()
    given = DLPackOnly(x), DLPackOnly(y)
    assert model.fit(*given, verbose=0).history == twin.fit(x, y, verbose=0).history
    assert same_weights(model, twin)
    assert model.evaluate(*given, verbose=0) == twin.evaluate(x, y, verbose=0)
    assert model.train_on_batch(*given) == twin.train_on_batch(x, y)
    assert np.array_equal(model.predict(given[0], batch_size=8), twin.predict(x))
    assert np.array_equal(model.predict_on_batch(given[0]), twin.predict_on_batch(x))
    unbuilt = Sequential([Flatten(), Dense(10)])
    assert unbuilt.predict(given[0]).shape == (20, 10)


def test_built_at_the_first_call():
    x, y = digits(20)
    model = Sequential([Flatten(), Dense(10)])
    model.compile(
        "sgd",
        losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[metrics.SparseCategoricalAccuracy()],
    )
    history = model.fit(x, y, verbose=0).history
    assert set(history) == {"loss", "sparse_categorical_accuracy"}
    assert model.predict(x).shape == (20, 10)


def test_a_frozen_model_is_trained_without_change():
    x, y = digits(20)
    model = network()
    model.trainable = False
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert model.step == 1


def test_divergence_shows_in_the_loss_and_warns_of_nothing():
    x, y = digits(20)
    model = network(optimizer=konv.optimizers.SGD(1e30))
    history = model.fit(x, y, batch_size=5, epochs=3, verbose=0).history
    assert not math.isfinite(history["loss"][-1])
    assert not math.isfinite(model.evaluate(x, y, verbose=0)[0])


def test_memory_stays_flat():
    x, y = digits(40)
    model = network()
    model.fit(x, y, verbose=0)
    model.predict(x)  # inference keeps some objects, see konv._prepared
    gc.collect()
    before = len(gc.get_objects())
    model.fit(x, y, epochs=5, verbose=0)
    model.predict(x)
    gc.collect()
    assert len(gc.get_objects()) - before < 50


def test_history_names_what_it_has():
    x, y = digits(20)
    assert repr(callbacks.History()) == "<History epochs=0 names=[]>"
    assert repr(network().fit(x, y, epochs=2, verbose=0)) == "<History epochs=2 names=[loss, accuracy]>"


def test_the_loop_itself_costs_little():
    """Of 300 steps of about a millisecond; the median of several tries, for the machine is shared."""
    x, y = digits(300)
    model = network()
    batches = [(x[i : i + 1], y[i : i + 1]) for i in range(300)]
    ratios = []
    for _ in range(5):
        start = time.perf_counter()
        for batch in batches:
            model.train_on_batch(*batch)
        middle = time.perf_counter()
        model.fit(x, y, batch_size=1, verbose=0)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    assert sorted(ratios)[2] < 1.1


def test_logits_loss_after_softmax_warns():
    with pytest.warns(UserWarning, match="from_logits=True but the model ends in softmax"):
        linear_model().compile("sgd", losses.CategoricalCrossentropy(from_logits=True))
