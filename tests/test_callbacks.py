"""Callbacks in general: the order that they are told in, their states, History, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import callbacks
from konv.callbacks import CallbackList, EarlyStopping, ReduceLROnPlateau
from watched import Model


def test_lambda_callback_takes_every_hook():
    hooks = [name for name in vars(callbacks.Callback) if name.startswith("on_")]
    assert len(hooks) == 14
    told = []
    made = {name: (lambda *args, name=name: told.append((name, *args))) for name in hooks}
    with CallbackList([callbacks.LambdaCallback(**made), callbacks.LambdaCallback()], None, {}) as tell:
        for name in hooks:
            numbers = [7] if "batch" in name or "epoch" in name else []
            tell(name, *numbers, logs={"loss": 1.0})
            assert told[-1] == (name, *numbers, {"loss": 1.0})
    assert len(told) == 14


def test_callbacks_of_a_higher_turn_are_told_later():
    told = []

    class Told(callbacks.Callback):
        def __init__(self, name, turn=0):
            self.name, self.turn = name, turn

        def on_epoch_end(self, epoch, logs=None):
            told.append(self.name)

    with CallbackList([Told("b", 2), Told("a", 1), Told("x"), Told("y")], None, {}) as tell:
        tell("on_epoch_end", 0)
    assert told == ["x", "y", "a", "b"]


def test_every_exit_is_run_though_one_fails():
    exited = []

    class Exit(callbacks.Callback):
        def __init__(self, name):
            self.name = name

        def _on_exit(self):
            exited.append(self.name)
            if self.name == "b":
                raise ValueError("b failed")

    with pytest.raises(ValueError, match="b failed"), CallbackList(list(map(Exit, "abc")), None, {}):
        pass
    assert exited == ["c", "b", "a"]
    with pytest.raises(ValueError, match="b failed") as caught, CallbackList([Exit("b")], None, {}):
        raise KeyboardInterrupt
    assert isinstance(caught.value.__context__, KeyboardInterrupt)


def test_states_go_to_their_class_in_order():
    class Other(EarlyStopping):
        pass

    saved = [EarlyStopping(), callbacks.Callback(), ReduceLROnPlateau(), EarlyStopping(), Other()]
    for number, callback in enumerate(saved):
        callback.wait = number
    with CallbackList(saved, Model(), {}) as tell:
        states = tell.states()
    names = ["EarlyStopping", "ReduceLROnPlateau", "EarlyStopping", "Other"]
    assert [name for name, _ in states] == names
    assert all(array.dtype == np.int64 for _, state in states for array in state.values())
    taking = [ReduceLROnPlateau(), EarlyStopping(patience=99), EarlyStopping(patience=99)]
    with CallbackList(taking, Model(), {}) as tell:
        tell.restore(states)
    assert [callback.wait for callback in taking] == [2, 0, 3]


def test_a_class_keeps_its_place_though_one_has_nothing_to_keep():
    class Sometimes(callbacks.Callback):
        def __init__(self, state):
            self.state = state

        def get_state(self):
            return self.state

        def set_state(self, state):
            self.state = state

    with CallbackList([Sometimes({}), Sometimes({"count": 3, "rate": np.float32(0.5)})], None, {}) as tell:
        states = tell.states()
    assert [state[1] for state in states] == [{}, {"count": np.int64(3), "rate": 0.5}]
    taking = [Sometimes(None), Sometimes(None)]
    with CallbackList(taking, None, {}) as tell:
        tell.restore(states)
    assert [callback.state for callback in taking] == [{}, {"count": 3, "rate": 0.5}]


@pytest.mark.parametrize("state", [None, [], {1: 2}])
def test_get_state_returns_a_dict(state):
    callback = callbacks.Callback()
    callback.get_state = lambda: state
    with (
        CallbackList([callback], None, {}) as tell,
        pytest.raises(TypeError, match=r"^Callback: get_state must return a dict with names, received"),
    ):
        tell.states()


@pytest.mark.parametrize("value", [None, "text", 2**64, np.array("text"), np.array([None]), 1j, [1.0]])
def test_a_state_has_numbers_and_arrays(value):
    callback = callbacks.Callback()
    callback.get_state = lambda: {"x": value}
    with (
        CallbackList([callback], None, {}) as tell,
        pytest.raises(TypeError, match=r"^Callback: get_state: x must be a number or an array, received"),
    ):
        tell.states()


GOOD = {"wait": 1, "stopped_epoch": 0, "best_epoch": 0, "best": 0.5}
WEIGHTS = {"best_weights/0": np.ones(2, np.float32), "best_weights/1": np.ones((), np.float32)}


@pytest.mark.parametrize(
    ("callback", "state", "message"),
    [
        (EarlyStopping(), None, "state must be a dict with names, received None"),
        (EarlyStopping(), {1: 2}, "state must be a dict with names, received"),
        (EarlyStopping(), {}, r"state must have wait, received \[\]"),
        (
            EarlyStopping(),
            {**GOOD, "wait": 0.5},
            r"state: wait must have shape \(\) and dtype int64, received 0.5",
        ),
        (EarlyStopping(), {**GOOD, "wait": -1}, "state: wait must be at least 0, received -1"),
        (EarlyStopping(), {**GOOD, "wait": "1"}, "state: wait must have shape .* received '1'"),
        (EarlyStopping(), {**GOOD, "wait": np.zeros(1, np.int64)}, "state: wait must have shape"),
        (EarlyStopping(), {**GOOD, "best": 1}, "state: best must have shape .* and dtype float64"),
        (EarlyStopping(), {**GOOD, "worst": 1}, r"state must have nothing else, received also \['worst'\]"),
        (
            EarlyStopping(),
            {**GOOD, "best_weights/0": np.ones(2, np.float32)},
            "state must have best_weights/1",
        ),
        (
            EarlyStopping(),
            {**GOOD, **WEIGHTS, "best_weights/0": np.ones(3, np.float32)},
            r"state: best_weights/0 must have shape \(2,\) and dtype float32",
        ),
        (EarlyStopping(), {**GOOD, **WEIGHTS, "best_weights/2": np.ones(3)}, "state must have nothing else"),
        (ReduceLROnPlateau(), {"wait": 0}, "state must have cooldown_counter"),
        (ReduceLROnPlateau(), {"wait": 0, "cooldown_counter": 0, "x": 0}, "state must have nothing else"),
        (callbacks.History(), {}, "state must have epoch"),
        (callbacks.History(), {"epoch": np.zeros(2)}, "state: epoch must have one axis and dtype int64"),
        (
            callbacks.History(),
            {"epoch": np.zeros(2, int), "loss": np.zeros(2)},
            "state must have nothing else",
        ),
        (
            callbacks.History(),
            {"epoch": np.zeros(2, int), "history/loss": np.zeros((2, 2))},
            "state: history/loss must have one axis and dtype float64",
        ),
        (callbacks.TerminateOnNaN(), {"x": 0}, "state must have nothing else"),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(callback, state, message):
    callback.set_model(Model())
    before = vars(callback).copy()
    with pytest.raises(ValueError, match=f"^{type(callback).__name__}: {message}"):
        callback.set_state(state)
    assert vars(callback) == before


def test_history_keeps_the_whole_run():
    history = callbacks.History()
    model = Model()
    with CallbackList([history], model, {}) as tell:
        tell("on_train_begin")
        tell("on_epoch_end", 0, logs={"loss": 0.5})
        tell("on_epoch_end", 1, logs={"loss": 0.25, "val_loss": 0.1, "note": "text"})
        [(_, state)] = tell.states()
    assert model.history is history
    resumed = callbacks.History()
    with CallbackList([resumed], model, {}) as tell:
        tell("on_train_begin")
        tell.restore([("History", state)])
        tell("on_epoch_end", 2, logs={"loss": 0.125, "val_loss": 0.2})
    assert resumed.epoch == [0, 1, 2]
    assert resumed.history == {"loss": [0.5, 0.25, 0.125], "val_loss": [0.1, 0.2]}
    assert repr(resumed) == "<History epochs=3 names=[loss, val_loss]>"
    resumed.on_train_begin()
    assert (resumed.epoch, resumed.history) == ([], {})


def test_a_state_needs_the_model():
    with pytest.raises(ValueError, match=r"^EarlyStopping: set_state must come after set_model"):
        EarlyStopping().set_state(GOOD)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (TypeError, lambda: EarlyStopping(3), "^EarlyStopping: monitor must be a str, received 3"),
        (TypeError, lambda: EarlyStopping(mode=3), "^EarlyStopping: mode must be a str, received 3"),
        (
            ValueError,
            lambda: EarlyStopping(mode="up"),
            '^EarlyStopping: mode must be "auto", "min" or "max", received \'up\'',
        ),
        (TypeError, lambda: EarlyStopping(min_delta="a"), "^EarlyStopping: min_delta must be a number"),
        (ValueError, lambda: EarlyStopping(min_delta=math.nan), "^EarlyStopping: min_delta must be finite"),
        (
            ValueError,
            lambda: EarlyStopping(patience=-1),
            "^EarlyStopping: patience must be an int of at least 0",
        ),
        (TypeError, lambda: EarlyStopping(patience=1.5), "^EarlyStopping: patience must be an int"),
        (TypeError, lambda: EarlyStopping(patience=True), "^EarlyStopping: patience must be an int"),
        (TypeError, lambda: EarlyStopping(verbose="auto"), "^EarlyStopping: verbose must be an int"),
        (
            ValueError,
            lambda: EarlyStopping(verbose=-1),
            "^EarlyStopping: verbose must be an int of at least 0",
        ),
        (ValueError, lambda: EarlyStopping(baseline=math.inf), "^EarlyStopping: baseline must be finite"),
        (
            TypeError,
            lambda: EarlyStopping(restore_best_weights=1),
            "^EarlyStopping: restore_best_weights must be True or False",
        ),
        (ValueError, lambda: EarlyStopping(start_from_epoch=-1), "^EarlyStopping: start_from_epoch must be"),
        (
            ValueError,
            lambda: ReduceLROnPlateau(factor=1.0),
            r"^ReduceLROnPlateau: factor must be in \[0, 1\)",
        ),
        (ValueError, lambda: ReduceLROnPlateau(cooldown=-1), "^ReduceLROnPlateau: cooldown must be"),
        (ValueError, lambda: ReduceLROnPlateau(patience=-1), "^ReduceLROnPlateau: patience must be"),
        (
            ValueError,
            lambda: ReduceLROnPlateau(min_lr=-1),
            "^ReduceLROnPlateau: min_lr must be finite and at",
        ),
        (TypeError, lambda: ReduceLROnPlateau(verbose=None), "^ReduceLROnPlateau: verbose must be an int"),
        (
            TypeError,
            lambda: callbacks.LearningRateScheduler(0.5),
            "^LearningRateScheduler: schedule must be callable, received 0.5",
        ),
        (
            TypeError,
            lambda: callbacks.LearningRateScheduler(lambda: 0.5),
            r"^LearningRateScheduler: schedule must take \(epoch, learning_rate\) or \(epoch\), received",
        ),
        (
            TypeError,
            lambda: callbacks.TerminateOnNaN(1),
            "^TerminateOnNaN: raise_error must be True or False",
        ),
        (
            TypeError,
            lambda: callbacks.LambdaCallback(on_epoch_end=3),
            "^LambdaCallback: on_epoch_end must be callable or None, received 3",
        ),
        (
            TypeError,
            lambda: callbacks.LambdaCallback(on_epoch=print),
            "^LambdaCallback: hooks must be of on_epoch_begin, .*, received 'on_epoch'",
        ),
    ],
)
def test_arguments_are_checked(error, call, message):
    with pytest.raises(error, match=message):
        call()
