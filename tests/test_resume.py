"""A run that goes on from a checkpoint, with all that its callbacks knew, ends as one never stopped."""

from __future__ import annotations

import numpy as np
import pytest

import konv
from konv import Sequential, callbacks
from konv.layers import Dense, Dropout

EPOCHS = 12


class Killed(Exception):  # noqa: N818 - no error
    """What ends a run before its time."""


class Kill(callbacks.Callback):
    """Ends a run once the files of an epoch have been written."""

    turn = 9

    def __init__(self, epochs):
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epochs:
            raise Killed


def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(24, 3)), rng.integers(0, 2, 24)


def train(model, folder, kill_after=0):
    x, y = data()
    given = [
        callbacks.ModelCheckpoint(folder / "last.safetensors"),
        callbacks.ModelCheckpoint(folder / "best{epoch}.safetensors", save_best_only=True),
        callbacks.CSVLogger(folder / "log.csv", append=True),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, cooldown=1),
        callbacks.EarlyStopping(patience=3, restore_best_weights=True),
        Kill(kill_after),
    ]
    return model.fit(
        x[:16],
        y[:16],
        batch_size=5,
        epochs=EPOCHS,
        initial_epoch=model.epoch,
        verbose=0,
        validation_data=(x[16:], y[16:]),
        callbacks=given,
    )


def network():
    konv.utils.set_random_seed(3)
    model = Sequential(
        [Dense(8, input_shape=(3,), activation="relu"), Dropout(0.5), Dense(2, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 0.1
    return model


def test_a_killed_run_goes_on_exactly(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    model = network()
    history = train(model, whole)
    epochs = len(history.epoch)
    assert 4 < epochs < EPOCHS  # it was stopped early
    assert len(set(history.history["learning_rate"])) > 1  # and its learning rate was lowered
    for kill_after in range(1, epochs + 1):
        folder = tmp_path / str(kill_after)
        folder.mkdir()
        with pytest.raises(Killed):
            train(network(), folder, kill_after)
        resumed = konv.load_model(folder / "last.safetensors")
        assert resumed.epoch == kill_after
        went_on = train(resumed, folder)
        assert went_on.epoch == history.epoch
        assert went_on.history == history.history
        for weight, expected in zip(resumed.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, expected)
        assert (folder / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
        assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}
