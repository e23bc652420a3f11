"""Callbacks that change the learning rate: Keras's rules, and what they refuse."""

from __future__ import annotations

import math

import pytest

from konv import callbacks
from konv.callbacks import CallbackList, ReduceLROnPlateau
from watched import Model


def rates(callback, values, rate=1.0):
    model, seen = Model(rate), []

    class Record(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["learning_rate"])

    with CallbackList([callback, Record()], model, {}) as tell:
        tell("on_train_begin")
        for epoch, value in enumerate(values):
            tell("on_epoch_begin", epoch)
            tell("on_epoch_end", epoch, logs={"val_loss": value})
    return [*seen, model.optimizer.learning_rate]


@pytest.mark.parametrize("done", [1, 2, 3, 4, 5])
def test_plateaus_go_on_from_their_state(done):
    options, values = {"factor": 0.5, "patience": 2, "cooldown": 2}, [2] + [3] * 8
    first, second = ReduceLROnPlateau(**options), ReduceLROnPlateau(**options)
    before = rates(first, values[:done])
    second.on_train_begin = lambda logs=None: (
        ReduceLROnPlateau.on_train_begin(second),
        second.set_state(first.get_state()),
    )
    after = rates(second, values[done:], before[-1])
    assert before[:-1] + after == rates(ReduceLROnPlateau(**options), values)


@pytest.mark.parametrize(
    ("options", "values", "expected"),
    [
        ({"patience": 2}, [1, 1, 1, 1, 1], [1, 1, 1, 0.5, 0.5, 0.25]),
        ({"patience": 1, "cooldown": 2}, [1] * 6, [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 1, "min_lr": 0.4}, [1] * 4, [1, 1, 0.5, 0.4, 0.4]),
        ({"patience": 1}, [1, 0.99995, 0.9999, 0.9998], [1, 1, 0.5, 0.25, 0.25]),  # min_delta is 1e-4
        ({"patience": 1, "mode": "max"}, [1, 2, 3, 2], [1, 1, 1, 1, 0.5]),
        ({"patience": 1}, [math.nan, math.nan, 1, 2], [1, 0.5, 0.25, 0.25, 0.125]),
        ({"patience": 0}, [2, 1, 1], [1, 1, 1, 0.5]),
    ],
)
def test_reduce_lr_on_plateau(options, values, expected):
    assert rates(ReduceLROnPlateau(factor=0.5, **options), values) == expected


def test_reduce_lr_on_plateau_says_what_it_does(capsys):
    rates(ReduceLROnPlateau(factor=0.5, patience=1, verbose=1), [1, 1])
    assert capsys.readouterr().out == "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.5.\n"


def test_learning_rate_scheduler(capsys):
    both = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    assert rates(both, [0] * 3) == [1, 0.5, 0.25, 0.25]
    epoch_only = callbacks.LearningRateScheduler(lambda epoch: 1.0 / (epoch + 1), verbose=True)
    assert rates(epoch_only, [0] * 2) == [1, 0.5, 0.5]
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: LearningRateScheduler setting learning rate to 1.0.",
        "Epoch 2: LearningRateScheduler setting learning rate to 0.5.",
    ]


def test_a_type_error_in_a_schedule_is_not_swallowed():
    def schedule(epoch, rate=0.0):
        raise TypeError("a bug in the schedule")

    with pytest.raises(TypeError, match="a bug in the schedule"):
        rates(callbacks.LearningRateScheduler(schedule), [0])


@pytest.mark.parametrize(
    ("error", "value", "message"),
    [
        (TypeError, None, "must be a number, received None"),
        (TypeError, True, "must be a number, received True"),
        (ValueError, -1.0, "must be finite and at least 0, received -1.0"),
        (ValueError, math.nan, "must be finite and at least 0, received nan"),
    ],
)
def test_a_schedule_returns_a_learning_rate(error, value, message):
    with pytest.raises(error, match=f"^LearningRateScheduler: what schedule returns {message}"):
        rates(callbacks.LearningRateScheduler(lambda epoch: value), [0])


@pytest.mark.parametrize("error", [TypeError, ValueError])
@pytest.mark.parametrize(
    "callback", [ReduceLROnPlateau(), callbacks.LearningRateScheduler(lambda epoch, rate: rate)]
)
def test_an_optimizer_with_a_schedule_is_refused_before_training(callback, error):
    class Scheduled:
        @property
        def learning_rate(self):
            return 0.5

        @learning_rate.setter
        def learning_rate(self, rate):
            raise error("Adam: learning_rate follows a schedule")

    model = Model()
    model.optimizer = Scheduled()
    callback.set_model(model)
    name = type(callback).__name__
    with pytest.raises(error, match=f"^{name}: Adam: learning_rate follows a schedule"):
        callback.on_train_begin()


def test_a_built_in_schedule_that_does_not_tell_its_arguments_is_taken():
    assert rates(callbacks.LearningRateScheduler(max), [0]) == [1, 1]  # max(epoch, rate)
