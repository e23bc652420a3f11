"""ModelCheckpoint: what it saves, when, under which name, and what it refuses before training."""

from __future__ import annotations

import itertools
import math
import os
import pathlib

import numpy as np
import pytest

import konv
from konv import Sequential
from konv.callbacks import Callback, CallbackList, EarlyStopping, ModelCheckpoint
from konv.layers import Dense


class Model:
    """Notes what is saved where, and the states of all callbacks at that time."""

    stop_training = False

    def __init__(self):
        self.saved = []
        self.states = []
        self.tell = None

    def save(self, filepath):
        self.saved.append(filepath)
        states = self.tell.states()
        self.states.append(
            [(name, {key: array.tolist() for key, array in state.items()}) for name, state in states]
        )
        self.last_states = states

    def save_weights(self, filepath):
        self.saved.append(f"weights: {filepath}")

    def get_weights(self):
        return []


def run(given, values, model=None, first=0, states=(), batches=0):
    """Tell callbacks of epochs with these values of "val_loss"; return what was saved."""
    model = model or Model()
    with CallbackList(given, model, {}) as model.tell:
        model.tell("on_train_begin")
        model.tell.restore(states)
        for epoch, value in enumerate(values, first):
            model.tell("on_epoch_begin", epoch)
            for batch in range(batches):
                model.tell("on_train_batch_end", batch, logs={"loss": 1 / (batch + 1)})
            model.tell("on_epoch_end", epoch, logs={"loss": 0.125, "val_loss": value})
    return model.saved


def test_every_epoch_has_its_file(tmp_path):
    template = tmp_path / "{epoch:02d}-{val_loss:.2f}-{loss}.safetensors"
    names = [os.path.basename(path) for path in run([ModelCheckpoint(template)], [0.5, 1 / 3])]
    assert names == ["01-0.50-0.125.safetensors", "02-0.33-0.125.safetensors"]


def test_folders_are_made(tmp_path):
    [path] = run([ModelCheckpoint(tmp_path / "a" / "{epoch}" / "m.safetensors")], [1.0])
    assert os.path.isdir(os.path.dirname(path))
    assert path == str(tmp_path / "a" / "1" / "m.safetensors")
    checkpoint = ModelCheckpoint(tmp_path / "b" / "{epoch}.safetensors")
    checkpoint.on_train_begin()  # what is wrong with a folder shows before training
    assert (tmp_path / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        ModelCheckpoint(tmp_path / "file" / "m.safetensors").on_train_begin()


@pytest.mark.parametrize(
    ("options", "values", "saved"),
    [
        ({}, [3, 1, 2, 1, 0], [0, 1, 4]),
        ({"mode": "max"}, [3, 1, 2, 4, 4], [0, 3]),
        ({"initial_value_threshold": 2.5}, [3, 2.6, 2, 2.2], [2]),
        ({}, [math.nan, 3, math.nan, 2], [1, 3]),
        ({}, [math.inf, 3], [0, 1]),
    ],
)
def test_save_best_only(options, values, saved):
    checkpoint = ModelCheckpoint("{epoch}.safetensors", save_best_only=True, **options)
    assert run([checkpoint], values) == [f"{epoch + 1}.safetensors" for epoch in saved]


def test_the_best_lives_on_over_runs():
    checkpoint = ModelCheckpoint("{epoch}.safetensors", save_best_only=True)
    assert run([checkpoint], [3, 1]) == ["1.safetensors", "2.safetensors"]
    assert run([checkpoint], [2, 0.5]) == ["2.safetensors"]


def test_weights_only():
    checkpoint = ModelCheckpoint("{epoch}.npz", save_weights_only=True)
    assert run([checkpoint], [1]) == ["weights: 1.npz"]


def test_every_so_many_batches():
    checkpoint = ModelCheckpoint("{epoch}-{batch}-{loss:.1f}.safetensors", save_freq=3)
    saved = [path.removesuffix(".safetensors") for path in run([checkpoint], [1] * 3, batches=4)]
    assert saved == ["1-3-0.3", "2-2-0.5", "3-1-1.0", "3-4-0.2"]  # each third of 12 in a row
    best = ModelCheckpoint("{epoch}-{batch}.safetensors", "loss", save_best_only=True, save_freq=1)
    assert run([best], [1, 1], batches=2) == ["1-1.safetensors", "1-2.safetensors"]


def test_a_missing_monitor_warns_and_saves():
    checkpoint = ModelCheckpoint("m.safetensors", "f1", save_best_only=True, mode="max")
    with pytest.warns(
        UserWarning, match="monitor must be one of the logs .*received 'f1': the model is saved"
    ):
        assert run([checkpoint], [1]) == ["m.safetensors"]


def test_the_direction_matters_only_for_the_best():
    assert run([ModelCheckpoint("m.safetensors", "f1")], [1]) == ["m.safetensors"]
    with pytest.raises(
        ValueError, match=r"^ModelCheckpoint: monitor must be a loss or metric of the model \(loss"
    ):
        run([ModelCheckpoint("m.safetensors", "f1", save_best_only=True)], [1])


def test_it_says_what_it_does(capsys):
    run([ModelCheckpoint("m.safetensors", verbose=1, save_best_only=True)], [2, 1, 1])
    run([ModelCheckpoint("{epoch}.safetensors", verbose=1)], [2])
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1: val_loss improved from None to 2.00000, saving model to m.safetensors",
        "Epoch 1: finished saving model to m.safetensors",
        "Epoch 2: val_loss improved from 2.00000 to 1.00000, saving model to m.safetensors",
        "Epoch 2: finished saving model to m.safetensors",
        "Epoch 3: val_loss did not improve from 1.00000",
        "Epoch 1: saving model to 1.safetensors",
        "Epoch 1: finished saving model to 1.safetensors",
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_a_file_holds_everybodys_state_after_the_epoch(order):
    def make():
        given = [
            ModelCheckpoint("last.safetensors"),
            ModelCheckpoint("best.safetensors", save_best_only=True),
            EarlyStopping(patience=9),
            konv.callbacks.History(),
        ]
        return [given[place] for place in order]

    values = [3, 1, 2, 0.5]
    whole = Model()
    run(make(), values, whole)
    for stopped in range(1, 4):  # go on from the file of each epoch
        before, after = Model(), Model()
        run(make(), values[:stopped], before)
        assert before.saved[-1] == "last.safetensors"
        run(make(), values[stopped:], after, stopped, before.last_states)
        assert before.saved + after.saved == whole.saved
        assert before.states + after.states == whole.states


def test_batches_are_counted_over_a_pause():
    def make():
        return [ModelCheckpoint("{epoch}-{batch}.safetensors", save_freq=3)]

    whole, before, after = Model(), Model(), Model()
    run(make(), [1] * 3, whole, batches=4)
    first = make()
    run(first, [1], before, batches=4)
    run(make(), [1] * 2, after, 1, before.tell.states(), batches=4)
    assert before.saved + after.saved == whole.saved


def test_a_state_without_best_leaves_the_threshold():
    checkpoint = ModelCheckpoint("m.safetensors", save_best_only=True, initial_value_threshold=0.5)
    checkpoint.set_state({"batches": 2})
    assert checkpoint.best == 0.5
    checkpoint.set_state({"batches": 2, "best": 0.25})
    assert checkpoint.get_state() == {"batches": 2, "best": 0.25}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "state must have batches"),
        ({"batches": -1}, "state: batches must be at least 0"),
        ({"batches": 1, "best": np.zeros(2)}, r"state: best must have shape \(\) and dtype float64"),
        ({"batches": 1, "worst": 1.0}, "state must have nothing else"),
    ],
)
def test_a_wrong_state_is_refused(state, message):
    checkpoint = ModelCheckpoint("m.safetensors")
    with pytest.raises(ValueError, match=f"^ModelCheckpoint: {message}"):
        checkpoint.set_state(state)
    assert checkpoint.get_state() == {"batches": 0}


TEMPLATE = r"^ModelCheckpoint: filepath must have fields such as {epoch:02d} and {val_loss:.2f}"


@pytest.mark.parametrize(
    ("error", "options", "message"),
    [
        (TypeError, {"filepath": 3}, "^ModelCheckpoint: filepath must be a str, bytes or os.PathLike"),
        (ValueError, {"filepath": ""}, "^ModelCheckpoint: filepath must be the name of a file"),
        (
            ValueError,
            {"filepath": "m.keras"},
            "^ModelCheckpoint: filepath must end in .safetensors, received",
        ),
        (ValueError, {"filepath": "m.npz"}, "^ModelCheckpoint: filepath must end in .safetensors, received"),
        (
            ValueError,
            {"filepath": "m.weights.h5", "save_weights_only": True},
            "^ModelCheckpoint: filepath must end in .safetensors or .npz, received",
        ),
        (ValueError, {"filepath": "{epoch.safetensors"}, TEMPLATE + ", received .*expected '}'"),
        (
            ValueError,
            {"filepath": "{}.safetensors"},
            TEMPLATE + ", each the name of one of the logs, received",
        ),
        (
            ValueError,
            {"filepath": "{0}.safetensors"},
            TEMPLATE + ", each the name of one of the logs, received",
        ),
        (ValueError, {"filepath": "{a.b}.safetensors"}, TEMPLATE + ", each the name of one of the logs"),
        (ValueError, {"filepath": "{a[0]}.safetensors"}, TEMPLATE + ", each the name of one of the logs"),
        (
            ValueError,
            {"filepath": "{epoch:{loss}}.safetensors"},
            TEMPLATE + ", less than 1000 characters wide",
        ),
        (
            ValueError,
            {"filepath": "{epoch:9999999999d}.safetensors"},
            TEMPLATE + ", less than 1000 characters",
        ),
        (
            ValueError,
            {"filepath": "{loss:d}.safetensors"},
            TEMPLATE + ", received .*: Unknown format code 'd'",
        ),
        (ValueError, {"filepath": "{loss!x}.safetensors"}, TEMPLATE + ", received .*"),
        (
            ValueError,
            {"filepath": "{batch}.safetensors"},
            TEMPLATE + ", {batch} only where save_freq is a number",
        ),
        (
            ValueError,
            {"filepath": "{val_loss}.safetensors", "save_freq": 5},
            TEMPLATE + ', those of validation only with save_freq="epoch"',
        ),
        (TypeError, {"monitor": None}, "^ModelCheckpoint: monitor must be a str"),
        (TypeError, {"verbose": 0.5}, "^ModelCheckpoint: verbose must be an int"),
        (TypeError, {"save_best_only": 1}, "^ModelCheckpoint: save_best_only must be True or False"),
        (TypeError, {"save_weights_only": None}, "^ModelCheckpoint: save_weights_only must be True or False"),
        (ValueError, {"mode": "best"}, '^ModelCheckpoint: mode must be "auto", "min" or "max"'),
        (
            ValueError,
            {"save_freq": "batch"},
            "^ModelCheckpoint: save_freq must be \"epoch\" or an int, received 'batch'",
        ),
        (
            ValueError,
            {"save_freq": 0},
            "^ModelCheckpoint: save_freq must be an int of at least 1, received 0",
        ),
        (TypeError, {"save_freq": True}, "^ModelCheckpoint: save_freq must be an int, received True"),
        (
            ValueError,
            {"initial_value_threshold": math.nan},
            "^ModelCheckpoint: initial_value_threshold must be",
        ),
    ],
)
def test_arguments_are_checked(error, options, message):
    with pytest.raises(error, match=message):
        ModelCheckpoint(**{"filepath": "m.safetensors", **options})


def test_a_missing_log_is_named_with_those_that_exist():
    message = (
        "^ModelCheckpoint: filepath's fields must be loss, val_loss, epoch at that time, "
        "received f1 in '{epoch}-{f1:.2f}.safetensors'"
    )
    with pytest.raises(ValueError, match=message):
        run([ModelCheckpoint("{epoch}-{f1:.2f}.safetensors")], [1])


def test_what_does_not_fit_its_format_is_an_error():
    checkpoint = ModelCheckpoint("{note:.2f}.safetensors")
    with pytest.raises(
        ValueError, match=r"^ModelCheckpoint: filepath .* can't be filled in: Unknown format code"
    ):
        checkpoint.on_epoch_end(0, {"note": "text"})


def test_the_name_of_a_folder_is_refused(tmp_path):
    (tmp_path / "1.safetensors").mkdir()
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.safetensors")
    with pytest.raises(
        ValueError, match=r"^ModelCheckpoint: filepath must be the name of a file, received a folder, "
    ):
        run([checkpoint], [1])


def test_braces_can_be_written():
    assert run([ModelCheckpoint("{{{epoch}}}.safetensors")], [1]) == ["{1}.safetensors"]


def test_checkpoints_of_a_fit(tmp_path):
    x, y = np.arange(12.0).reshape(4, 3), np.array([0, 1, 0, 1])
    model = Sequential([Dense(2, input_shape=(3,), activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    weights = []

    class Remember(Callback):
        def on_epoch_end(self, epoch, logs=None):
            weights.append(self.model.get_weights())

    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.safetensors")
    model.fit(x, y, epochs=2, verbose=0, callbacks=[checkpoint, Remember()])
    assert sorted(os.listdir(tmp_path)) == ["1.safetensors", "2.safetensors"]
    for path, kept in zip(sorted(pathlib.Path(tmp_path).iterdir()), weights, strict=True):
        for loaded, weight in zip(konv.load_model(path).get_weights(), kept, strict=True):
            np.testing.assert_array_equal(loaded, weight)
