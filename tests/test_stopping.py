"""EarlyStopping and TerminateOnNaN: when they end a run, by Keras's rules, and with which weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import Sequential, callbacks, metrics
from konv.callbacks import CallbackList, EarlyStopping, ReduceLROnPlateau
from konv.layers import Dense
from watched import Model, run


@pytest.mark.parametrize(
    ("options", "values", "epochs"),
    [
        ({}, [3, 2, 2, 1], 3),  # patience 0: the first that doesn't improve ends it
        ({}, [3, 4, 4], 2),
        ({"patience": 2}, [3, 4, 2, 4, 2, 1], 5),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.4, 2.2, 1], 2),
        ({"patience": 2, "min_delta": -0.5}, [3, 2.6, 2.4, 2.2, 2, 1], 5),  # 2.4 improves on 3
        ({"mode": "max"}, [1, 2, 3, 3], 4),
        ({"patience": 2, "baseline": 1.0}, [3, 2, 1.5, 1.4, 1.4], 5),  # improving, but not past the baseline
        ({"patience": 2, "baseline": 2.5}, [3, 2, 2, 2, 2], 4),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 5], 5),
        ({"start_from_epoch": 3}, [1, 2, 3, 4, 3, 3], 6),
        ({"patience": 1}, [math.nan, math.nan, 1], 2),  # NaN is no best to measure others by
        ({"patience": 2}, [math.nan, 5, 4, math.nan, 4.5, 1], 5),
        ({"patience": 1}, [math.inf, 5, 4, 3], 4),
    ],
)
def test_early_stopping_ends_after_its_patience(options, values, epochs):
    stop = EarlyStopping(**options)
    assert len(run(stop, values)) == epochs


def test_early_stopping_never_ends_a_run_after_epoch_0():
    stop = EarlyStopping(patience=0)
    assert run(stop, [math.nan, 1.0, 2.0]) == [0, 1, 2]
    assert stop.stopped_epoch == 2


def test_each_fit_starts_afresh():
    stop = EarlyStopping(patience=1)
    assert run(stop, [1, 2, 3]) == [0, 1]
    assert run(stop, [5, 4, 6]) == [0, 1, 2]
    assert stop.best == 4


def test_early_stopping_restores_the_best_weights(capsys):
    model = Model()
    stop = EarlyStopping(patience=2, restore_best_weights=True, verbose=1)
    run(stop, [3, 1, 2, 2, 2], model)
    assert [weight.tolist() for weight in model.weights] == [[1, 1], 1]
    assert stop.best_epoch == 1
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 4: early stopping",
        "Restoring model weights from the end of the best epoch: 2.",
    ]
    model = Model()
    run(EarlyStopping(restore_best_weights=True, patience=9), [3, 1, 2], model)  # the last epoch ended it
    assert model.weights[0].tolist() == [1, 1]
    model = Model()
    run(EarlyStopping(restore_best_weights=True, patience=9), [math.nan, math.nan], model)
    assert model.weights[0].tolist() == [0, 0]  # as in Keras, the first where none improved


def test_best_weights_are_kept_whatever_the_baseline():
    model = Model()
    run(EarlyStopping(restore_best_weights=True, patience=3, baseline=0.5), [3, 1, 2, 4], model)
    assert model.weights[0].tolist() == [1, 1]


def test_early_stopping_without_restoring_leaves_the_weights(capsys):
    model = Model()
    stop = EarlyStopping()
    run(stop, [1, 2], model)
    assert model.weights[0].tolist() == [1, 1]
    assert stop.best_weights is None
    assert capsys.readouterr().out == ""


def test_a_missing_monitor_warns():
    model = Model()
    for callback in (EarlyStopping("f1", mode="max"), ReduceLROnPlateau("f1", mode="max")):
        callback.set_model(model)
        callback.on_train_begin()
        with pytest.warns(UserWarning, match=r"monitor must be one of the logs \(.*loss.*\), received 'f1'"):
            callback.on_epoch_end(0, {"loss": 1.0})
        assert callback.wait == 0
    with pytest.warns(UserWarning, match=r"logs \(\), received 'f1': the epoch isn't counted"):
        callback.on_epoch_end(1)


@pytest.mark.parametrize("first", range(1, 6))
@pytest.mark.parametrize("make", [EarlyStopping, ReduceLROnPlateau])
def test_a_resumed_run_goes_on_exactly(make, first):
    values = [3, 2.5, 2.6, 1, 1.5, 1.2, 1.1, 1.3]

    def callback():
        if make is EarlyStopping:
            return EarlyStopping(patience=3, restore_best_weights=True)
        return ReduceLROnPlateau(factor=0.5, patience=1, cooldown=1)

    whole, before, after = callback(), callback(), callback()
    model = Model()
    epochs = run(whole, values, model)
    stopped = Model()
    with CallbackList([before], stopped, {}) as tell:  # killed: no on_train_end
        tell("on_train_begin")
        for epoch in range(first):
            for weight in stopped.weights:
                weight[...] = epoch
            tell("on_epoch_end", epoch, logs={"val_loss": values[epoch]})
        [(name, state)] = tell.states()
    assert name == make.__name__
    resumed = Model(stopped.optimizer.learning_rate)
    assert run(after, values[first:], resumed, first, state) == epochs[first:]
    assert resumed.optimizer.learning_rate == model.optimizer.learning_rate
    assert [weight.tolist() for weight in resumed.weights] == [weight.tolist() for weight in model.weights]
    for attribute in ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter"):
        assert getattr(after, attribute, None) == getattr(whole, attribute, None)


def test_a_run_that_was_stopped_stays_stopped_unless_patience_grew():
    stop = EarlyStopping(patience=1)
    run(stop, [1, 2])
    state = stop.get_state()
    model = Model()
    assert run(EarlyStopping(patience=1), [3, 3], model, 2, state) == []
    assert model.stop_training
    assert run(EarlyStopping(patience=3), [3, 3, 3], first=2, state=state) == [2, 3]


def test_best_weights_of_a_state_are_left_where_nobody_wants_them():
    stop = EarlyStopping(patience=5, restore_best_weights=True)
    run(stop, [1, 2])
    model = Model()
    other = EarlyStopping(patience=5)
    run(other, [3.0], model, 2, stop.get_state())
    assert other.best_weights is None
    assert model.weights[0].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("monitor", "rises"),
    [
        ("loss", False),
        ("val_loss", False),
        ("accuracy", True),
        ("val_accuracy", True),
        ("val_right", True),
        ("val_Acc", True),
        ("val_mse", False),
        ("a_loss", False),
        ("val_b_right", True),
        ("val_weighted_mine", False),
        ("val_a_weighted_mine", False),
    ],
)
def test_mode_auto_goes_by_the_name(monitor, rises):
    class MeanSquaredError(metrics.Metric):
        pass

    class Mine(MeanSquaredError):  # noqa: N818 - a metric
        pass

    model = Model()
    model.output_names = ["a", "b"]
    right = metrics.SparseCategoricalAccuracy(name="right")
    model.metrics = {"a": ["accuracy", "Acc", MeanSquaredError("mse")], "b": [right]}
    model.weighted_metrics = [Mine("mine")]
    stop = EarlyStopping(monitor)
    with CallbackList([stop], model, {}) as tell:
        tell("on_train_begin")
        for epoch in range(3):
            tell("on_epoch_end", epoch, logs={monitor: epoch})
    assert model.stop_training is not rises


def test_mode_auto_knows_the_weighted_metrics_of_a_model():
    model = Sequential([Dense(2, input_shape=(3,), activation="softmax")])
    x, y = np.zeros((4, 3)), np.zeros(4)
    for metrics_, monitor in (([], "accuracy"), (["accuracy"], "weighted_accuracy")):
        model.compile(
            "sgd", "sparse_categorical_crossentropy", metrics=metrics_, weighted_metrics=["accuracy"]
        )
        stop = EarlyStopping(monitor, patience=9)
        model.fit(x, y, verbose=0, callbacks=[stop])
        assert stop.best is not None


def test_mode_auto_refuses_what_it_does_not_know():
    class Odd(metrics.Metric):
        pass

    model = Model()
    model.metrics = [Odd("odd"), "custom"]
    for monitor in ("val_f1", "lr", "val_odd", "custom"):
        callback = EarlyStopping(monitor)
        callback.set_model(model)
        with pytest.raises(
            ValueError,
            match=f"^EarlyStopping: monitor must be a loss or metric .* received '{monitor}' with mode",
        ):
            callback.on_train_begin()


def test_what_is_watched_is_a_number():
    stop = EarlyStopping()
    assert len(run(stop, [np.float32(2), np.int64(1), np.float64(2)])) == 3
    with pytest.raises(
        TypeError, match=r"^EarlyStopping: val_loss in the logs must be a number, received <array"
    ):
        run(stop, [np.zeros(2)])
    with pytest.raises(
        TypeError, match=r"^EarlyStopping: val_loss in the logs must be a number, received 'low'"
    ):
        run(stop, ["low"])


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_terminate_on_nan(loss, capsys):
    model = Model()
    terminate = callbacks.TerminateOnNaN()
    terminate.set_model(model)
    terminate.on_train_batch_end(0, {"loss": 1.0})
    terminate.on_train_batch_end(1, {"other": math.nan})
    terminate.on_train_batch_end(2)
    assert not model.stop_training
    terminate.on_train_batch_end(3, {"loss": loss})
    assert model.stop_training
    assert capsys.readouterr().out == "Batch 3: Invalid loss, terminating training\n"
    with pytest.raises(RuntimeError, match=r"^TerminateOnNaN: loss must be finite, received .* at batch 4"):
        callbacks.TerminateOnNaN(raise_error=True).on_train_batch_end(4, {"loss": loss})


def test_callbacks_in_fit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
    model = Sequential([Dense(2, input_shape=(3,), activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = []

    def remember(epoch, logs):
        if epoch == 0:
            best.extend(model.get_weights())

    history = model.fit(
        x,
        y,
        epochs=9,
        verbose=0,
        validation_data=(x, y),
        callbacks=[
            ReduceLROnPlateau(factor=0.5, patience=1, min_delta=10.0),
            EarlyStopping("val_accuracy", min_delta=2.0, patience=3, restore_best_weights=True),
            callbacks.LambdaCallback(on_epoch_end=remember),
        ],
    )
    assert history.epoch == [0, 1, 2, 3]
    assert history.history["learning_rate"] == [0.01, 0.01, 0.005, 0.0025]
    for weight, kept in zip(model.get_weights(), best, strict=True):
        np.testing.assert_array_equal(weight, kept)
