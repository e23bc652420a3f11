"""What fit, evaluate and predict take their batches from, and how batches make up epochs."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from konv import Sequential, callbacks
from konv import _random as random
from konv.layers import Dense, Input, Layer
from konv.utils import set_random_seed
from weights import same_weights

CE = "sparse_categorical_crossentropy"
X = np.arange(20.0).reshape(10, 2) / 20
Y = np.arange(10) % 2


def network():
    set_random_seed(4)
    model = Sequential([Input((2,)), Dense(2, activation="softmax")])
    model.compile("adam", CE, metrics=["accuracy"])
    return model


def samples_seen(model):
    """Record which rows of X each batch holds, in the list returned."""
    seen = []
    forward = model.run_forward

    def recording(inputs, context, logits):
        seen.append(np.rint(inputs[0][:, 0] * 10).astype(int).tolist())
        return forward(inputs, context, logits)

    model.run_forward = recording
    return seen


def batches(size=4):
    return [(X[start : start + size], Y[start : start + size]) for start in range(0, 10, size)]


class Again:
    """An iterable that can be passed through again."""

    def __iter__(self):
        return iter(batches())


class Indexed:
    """As keras.utils.Sequence and PyDataset."""

    def __init__(self):
        self.ends = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return batches()[index]

    def on_epoch_end(self):
        self.ends += 1


class Numbered:
    """As keras.utils.PyDataset without a length."""

    num_batches = None

    def __getitem__(self, index):
        return batches()[index % 3]


@pytest.mark.parametrize(
    "data", [Again, Indexed, lambda: iter(batches() * 2), lambda: (b for b in batches() * 2)]
)
def test_batches_of_any_kind_train_as_arrays_do(data):
    model, twin = network(), network()
    steps = 3 if hasattr(data(), "__next__") else None
    history = model.fit(data(), epochs=2, shuffle=False, steps_per_epoch=steps, verbose=0).history
    assert history == twin.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    assert same_weights(model, twin)


@pytest.mark.parametrize("data", [Again, Indexed, lambda: iter(batches())])
def test_batches_of_any_kind_test_as_arrays_do(data):
    model = network()
    assert model.evaluate(data(), verbose=0) == model.evaluate(X, Y, batch_size=4, verbose=0)
    assert np.array_equal(model.predict(data(), verbose=0), model.predict(X, batch_size=4, verbose=0))
    history = model.fit(X, Y, validation_data=data(), verbose=0).history
    assert history["val_loss"] == [model.evaluate(X, Y, batch_size=4, verbose=0)[0]]


def test_batches_may_hold_weights_and_lists():
    model, twin = network(), network()
    weights = np.linspace(0, 2, 10)
    weighted = [[x, y, weights[4 * i : 4 * i + 4]] for i, (x, y) in enumerate(batches())]
    history = model.fit(iter(weighted), verbose=0).history
    assert history == twin.fit(X, Y, batch_size=4, sample_weight=weights, shuffle=False, verbose=0).history
    assert history != network().fit(X, Y, batch_size=4, shuffle=False, verbose=0).history


@pytest.mark.parametrize("batch", [X[:3], (X[:3],), (X[:3], Y[:3]), (X[:3], Y[:3], None), [X[:3], None]])
def test_predict_takes_inputs_with_and_without_labels(batch):
    model = network()
    expected = np.concatenate([model.predict(X[:3])] * 2)
    assert np.array_equal(model.predict(iter([batch, batch])), expected)


def test_an_iterator_that_ends_ends_training():
    model = network()
    with pytest.warns(UserWarning, match="^fit: x ran out of batches before all epochs and steps were done"):
        history = model.fit(iter(batches()), epochs=3, verbose=0)
    assert history.epoch == [0]
    assert model.step == 3
    with pytest.warns(UserWarning, match="^fit: x ran out of batches"):
        history = model.fit(iter(batches()), epochs=3, steps_per_epoch=2, verbose=0)
    assert history.epoch == [0, 1]
    assert model.step == 3 + 3


def test_an_iterator_gives_no_batch_too_many():
    given = iter(batches() * 2)
    network().fit(given, epochs=2, steps_per_epoch=2, verbose=0)
    assert len(list(given)) == 2


def test_an_endless_source_by_index():
    model = network()
    seen = samples_seen(model)
    model.fit(Numbered(), epochs=2, steps_per_epoch=2, verbose=0)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]


@pytest.mark.parametrize("data", [Again, Indexed])
def test_data_that_can_begin_again_goes_on_over_epochs(data):
    model = network()
    seen = samples_seen(model)
    model.fit(data(), epochs=2, steps_per_epoch=4, shuffle=False, verbose=0)
    assert [batch[0] for batch in seen] == [0, 4, 8, 0, 4, 8, 0, 4]


def test_a_source_by_index_is_shuffled_and_told_of_ends():
    data, model = Indexed(), network()
    seen = samples_seen(model)
    model.fit(data, epochs=3, verbose=0)
    seed, _ = model.random_state
    for epoch in range(3):
        order = random.permutation(random.derive(seed, random.SHUFFLE, 3 * epoch), 3).tolist()
        assert [batch[0] // 4 for batch in seen[3 * epoch : 3 * epoch + 3]] == order
    assert data.ends == 3


def test_batch_size_and_steps():
    model = network()
    seen = samples_seen(model)
    model.fit(X, Y, steps_per_epoch=4, epochs=2, shuffle=False, verbose=0)  # Keras: ceil(10 / 4) samples
    assert [len(batch) for batch in seen] == [3, 3, 3, 1] * 2
    seen.clear()
    model.evaluate(X, Y, steps=2, batch_size=3, verbose=0)
    assert seen == [[0, 1, 2], [3, 4, 5]]
    seen.clear()
    assert len(model.predict(X, steps=2, batch_size=3, verbose=0)) == 6
    model.fit(X[:4], Y[:4], shuffle=False, validation_data=(X, Y), verbose=0)
    assert [len(batch) for batch in seen[2:]] == [4, 10]
    with pytest.warns(UserWarning, match="^evaluate: x ran out of batches"):
        model.evaluate(X, Y, steps=3, batch_size=5, verbose=0)


def test_validation_steps_begin_at_the_start_each_time():
    model = network()
    seen = samples_seen(model)
    options = {"shuffle": False, "batch_size": 10, "epochs": 4, "verbose": 0}
    history = model.fit(
        X,
        Y,
        validation_data=(X[2:], Y[2:]),
        validation_steps=2,
        validation_batch_size=3,
        validation_freq=2,
        **options,
    ).history
    assert [batch for batch in seen if len(batch) == 3] == [[2, 3, 4], [5, 6, 7]] * 2
    assert len(history["val_loss"]) == 2
    assert (
        len(model.fit(X, Y, validation_split=0.5, validation_freq=[1, 4], **options).history["val_loss"]) == 2
    )


def test_validation_of_an_iterator_goes_on():
    model = network()
    tested = iter(batches(2))
    with pytest.warns(UserWarning, match="^fit: validation_data: x ran out of batches"):
        history = model.fit(X, Y, epochs=4, validation_data=tested, validation_steps=2, verbose=0).history
    assert len(history["loss"]) == 4
    assert len(history["val_loss"]) == 3


def test_a_shuffled_stream_of_steps_goes_on_where_a_run_left_off():
    """A run of 5 epochs of 2 steps over passes of 3 batches, and one that is taken up after 2 epochs."""
    whole = network()
    seen = samples_seen(whole)
    whole.fit(X, Y, batch_size=4, epochs=5, steps_per_epoch=2, verbose=0)
    seed, _ = whole.random_state
    for number in range(3):
        order = random.permutation(random.derive(seed, random.SHUFFLE, 3 * number), 10).tolist()
        assert [row for batch in seen[3 * number : 3 * number + 3] for row in batch] == order
    first, second = network(), network()
    first.fit(X, Y, batch_size=4, epochs=2, steps_per_epoch=2, verbose=0)
    later = samples_seen(second)
    second.set_weights(first.get_weights())
    second.optimizer = first.optimizer
    second.reset_random_state(*first.random_state)
    for old, new in zip(first.trainable_variables, second.trainable_variables, strict=True):
        for source, target in zip(first.optimizer.slots(old), second.optimizer.slots(new), strict=True):
            target[...] = source
    second.fit(X, Y, batch_size=4, epochs=5, initial_epoch=2, steps_per_epoch=2, verbose=0)
    assert later == seen[4:]
    assert same_weights(second, whole)


def test_arrays_of_any_kind(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, X)
    expected = network().fit(X, Y, batch_size=3, verbose=0).history
    views = np.zeros((10, 4))[:, ::2]
    views[:] = X
    for x in (np.load(path, mmap_mode="r"), np.asfortranarray(X), views, X.astype(">f8"), X[::-1][::-1]):
        assert network().fit(x, Y, batch_size=3, verbose=0).history == expected


def test_a_memory_map_is_read_batch_by_batch(tmp_path):
    path = tmp_path / "x.npy"
    mapped = np.lib.format.open_memmap(path, "w+", np.float32, (100_000, 64))
    mapped[:] = 1.0
    labels = np.zeros(100_000, np.uint8)
    model = Sequential([Input((64,)), Dense(2, activation="softmax")])
    model.compile("sgd", CE)
    model.fit(mapped, labels, batch_size=64, steps_per_epoch=2, verbose=0)
    tracemalloc.start()
    model.fit(mapped, labels, batch_size=64, steps_per_epoch=20, verbose=0, validation_split=0.01)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (
        peak < mapped.nbytes / 4
    )  # 25.6 MB; the order of the samples is 0.8 MB, drawing it a few times that


def test_predict_in_a_loop_keeps_nothing():
    model = network()
    tracemalloc.start()
    sizes = []
    for calls in (100, 600):
        for _ in range(calls):
            model.predict(X, batch_size=3, verbose=0)
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert (
        sizes[1] - sizes[0] < 20_000
    )  # the smallest object that each call could leave takes 48 bytes: 28,800


class Copy(Layer):
    """Keeps weak references to what it made."""

    def __init__(self):
        super().__init__(name="copy")
        self.made = []

    def forward(self, inputs, context):
        outputs, kept = inputs.copy(), inputs.copy()
        self.made += [weakref.ref(outputs), weakref.ref(kept)]
        return outputs, kept

    def backward(self, grad, saved, *, needs_input):
        self.made.append(weakref.ref(grad))
        return grad, []

    def alive(self):
        return sum(reference() is not None for reference in self.made)


def test_activations_are_freed_before_the_next_batch():
    layer = Copy()
    model = Sequential([Input((2,)), Dense(3), layer, Dense(2, activation="softmax")])
    model.compile("sgd", CE)
    alive = []

    class Watch(callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            alive.append(layer.alive())

        on_test_batch_begin = on_predict_batch_begin = on_train_batch_begin

    model.fit(X, Y, batch_size=2, validation_split=0.5, callbacks=[Watch()], verbose=0)
    model.predict(X, batch_size=2, callbacks=[Watch()], verbose=0)
    assert alive == [0] * 11
    assert len(layer.made) == 3 * 3 + 2 * 8


BAD_BATCH = r"^fit: batch 1: it must be a tuple \(x, y\) or \(x, y, sample_weight\), received"


@pytest.mark.parametrize(
    ("error", "batch", "message"),
    [
        (TypeError, None, BAD_BATCH),
        (TypeError, "ab", BAD_BATCH),
        (TypeError, X, BAD_BATCH),
        (ValueError, (X,), BAD_BATCH),
        (ValueError, (X, Y, None, 3), BAD_BATCH),
        (ValueError, (), BAD_BATCH),
        (ValueError, (X[:, :1], Y), r"^fit: batch 1: x must have shape \(None, 2\), as the model expects"),
        (
            ValueError,
            (X, Y[:3]),
            "^fit: batch 1: x and y must be equally long, 1 at least, received 10 and 3",
        ),
        (ValueError, (X[:0], Y[:0]), "^fit: batch 1: x and y must be equally long, 1 at least, received 0"),
        (ValueError, (X, np.zeros((10, 2))), r"^fit: batch 1: y must be integers of shape \(10,\)"),
        (TypeError, (X, None), "^fit: batch 1: y must be an array"),
        (TypeError, (X, ["a"] * 10), "^fit: batch 1: y must be an array"),
        (TypeError, ("a", Y), "^fit: batch 1: x must be an array"),
        (ValueError, (X, Y, np.ones(4)), "^fit: batch 1: x and sample_weight must be equally long"),
        (ValueError, (X, Y, np.ones((10, 3))), "^fit: batch 1: sample_weight must have shape"),
    ],
)
def test_a_bad_batch_is_told_and_the_model_stays_usable(error, batch, message):
    model = network()
    with pytest.raises(error, match=message):
        model.fit(iter([batches()[0], batch]), verbose=0)
    assert model.step == 1
    model.fit(X, Y, verbose=0)


def test_the_first_batch_is_checked_before_anything_is_told():
    class Told(callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("training began")

    good = iter(batches())
    bad = iter([(X, np.zeros((10, 2)))])
    with pytest.raises(ValueError, match=r"^fit: batch 0: y must be"):
        network().fit(bad, callbacks=[Told()], verbose=0)
    bad = iter([(X, np.zeros((10, 2)))])
    with pytest.raises(ValueError, match=r"^fit: validation_data: batch 0: y must be"):
        network().fit(good, validation_data=bad, callbacks=[Told()], verbose=0)


def counted(number):
    """Batches by index that say how many they are."""
    return type("Counted", (), {"num_batches": number, "__getitem__": lambda self, place: (X, Y)})()


def test_an_iterable_may_not_know_its_length():
    class Unknown:
        def __iter__(self):
            return iter(batches())

        def __len__(self):
            raise TypeError("its length is not known")

    assert network().fit(Unknown(), epochs=2, verbose=0).history == (
        network().fit(Again(), epochs=2, verbose=0).history
    )


def test_an_error_of_the_generator_comes_through():
    def failing():
        yield batches()[0]
        raise KeyError("lost")

    model = network()
    with pytest.raises(KeyError, match="lost"):
        model.fit(failing(), verbose=0)
    model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (ValueError, lambda m: m.fit(iter(batches()), Y), "^fit: y must not be given, for x gives batches"),
        (
            ValueError,
            lambda m: m.fit(iter(batches()), sample_weight=Y),
            "^fit: sample_weight must not be given, for x gives batches",
        ),
        (
            ValueError,
            lambda m: m.fit(Again(), validation_split=0.5),
            "^fit: validation_split must not be given, for x gives batches, received 0.5",
        ),
        (ValueError, lambda m: m.fit(iter([])), "^fit: x must give one batch at least, received none"),
        (ValueError, lambda m: m.evaluate(iter([])), "^evaluate: x must give one batch at least"),
        (ValueError, lambda m: m.predict(iter([])), "^predict: x must give one batch at least"),
        (
            ValueError,
            lambda m: m.predict(iter([(X, Y, None, 3)])),
            r"^predict: batch 0: it must be x, a tuple \(x,\) or a tuple \(x, y\)",
        ),
        (TypeError, lambda m: m.predict(iter(["a"])), "^predict: batch 0: x must be an array"),
        (ValueError, lambda m: m.fit(X, Y, steps_per_epoch=0), "^fit: steps_per_epoch must be an int of at"),
        (TypeError, lambda m: m.fit(X, Y, steps_per_epoch=1.5), "^fit: steps_per_epoch must be an int"),
        (ValueError, lambda m: m.fit(X, Y, validation_steps=0), "^fit: validation_steps must be an int of"),
        (TypeError, lambda m: m.fit(X, Y, validation_batch_size="2"), "^fit: validation_batch_size must be"),
        (ValueError, lambda m: m.fit(X, Y, validation_freq=0), "^fit: validation_freq must be an int of at"),
        (TypeError, lambda m: m.fit(X, Y, validation_freq=None), "^fit: validation_freq must be an int"),
        (
            TypeError,
            lambda m: m.fit(X, Y, validation_freq=["1"]),
            r"^fit: validation_freq \(each of the list\) must be an int",
        ),
        (ValueError, lambda m: m.evaluate(X, Y, steps=0), "^evaluate: steps must be an int of at least 1"),
        (TypeError, lambda m: m.evaluate(X, Y, callbacks=3), "^evaluate: callbacks must be a list"),
        (ValueError, lambda m: m.predict(X, steps=-1), "^predict: steps must be an int of at least 1"),
        (TypeError, lambda m: m.predict(X, callbacks=[1]), "^predict: callbacks must be a list"),
        (
            TypeError,
            lambda m: m.fit(X, Y, validation_data=(X,)),
            r"^fit: validation_data must be a pair \(x, y\), \(x, y, sample_weight\) or an iterable",
        ),
        (
            ValueError,
            lambda m: m.fit(X, Y, epochs=2, validation_data=iter(batches())),
            "^fit: validation_data must be something that can be iterated anew for each epoch",
        ),
        (TypeError, lambda m: m.fit("digits"), "^fit: x must be an array"),
        (TypeError, lambda m: m.fit(memoryview(X), Y), "^fit: x must be an array .* received memoryview"),
        (TypeError, lambda m: m.fit(counted("3")), "^fit: num_batches of x must be an int, received '3'"),
        (TypeError, lambda m: m.fit(counted(2.5)), "^fit: num_batches of x must be an int, received 2.5"),
        (ValueError, lambda m: m.predict(counted(-1)), "^predict: num_batches of x must be an int of at le"),
        (TypeError, lambda m: m.fit(7, Y), "^fit: x must be an array"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call(network())
