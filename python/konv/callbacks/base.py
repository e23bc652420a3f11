"""The base of callbacks: every hook, doing nothing, and the state that a saved model keeps of a callback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from konv._argument_names import KnowingArguments
from konv._arguments import at_least, shown
from konv.callbacks.state import StateReader

Logs = dict[str, Any]


class Callback(KnowingArguments):
    """Base of callbacks. A subclass defines the hooks that it needs.

    Every hook takes `logs` last: a dict of numbers by name, or None where there are none. One dict goes to
    all callbacks in turn, so what one adds to it the later ones see.

    Attributes
    ----------
    model : Model
        The one that is trained. Setting its `stop_training` to True ends training.
    params : dict
        `epochs`; `steps` an epoch, `samples` an epoch and `batch_size`, each None if unknown; `samples_seen`,
        the number of samples of this epoch so far; `verbose`.
    turn : int
        Callbacks of a higher turn are told of each event after all of a lower one, those of the same turn in
        the order of their list. It is 0 unless a callback saves the model: a file then holds what every
        other callback has made of the epoch.

    Examples
    --------
    A callback that ends training once the loss is low enough, and counts how often it was asked over all
    runs, also over those that go on from a file:

    >>> from konv.callbacks import Callback
    >>> class StopBelow(Callback):
    ...     def __init__(self, loss):
    ...         self.loss = loss
    ...         self.asked = 0
    ...
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.asked += 1
    ...         if logs["loss"] < self.loss:
    ...             self.model.stop_training = True
    ...
    ...     def get_state(self):
    ...         return {"asked": self.asked}
    ...
    ...     def set_state(self, state):
    ...         self.asked = int(state["asked"])
    >>> import numpy as np
    >>> from konv import Sequential
    >>> from konv.layers import Dense
    >>> model = Sequential([Dense(2, input_shape=(3,), activation="softmax")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> stop = StopBelow(loss=10.0)
    >>> model.fit(np.zeros((4, 3)), np.zeros(4), epochs=100, verbose=0, callbacks=[stop]).epoch
    [0]
    >>> stop.get_state()
    {'asked': 1}
    """

    model: Any = None
    params: dict[str, Any] = {}  # noqa: RUF012
    turn: int = 0

    def set_model(self, model: Any) -> None:
        """Take the model, before anything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Take what is known of the run, before it begins."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of `fit`."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; `logs` are those of that epoch, None if there was none."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; they count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; `logs` has means over the epoch, those of validation as
        `val_...`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step; they count from 0 in each epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; `logs` has means over the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before `evaluate`, or before the validation of an epoch."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After `evaluate`, or after the validation of an epoch; `logs` has means over all batches."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `evaluate`; they count from 0."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `evaluate`; `logs` has means over all batches so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of `predict`; they count from 0."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of `predict`; `logs["outputs"]` are its outputs."""

    def get_state(self) -> dict[str, Any]:
        """Return what a saved model must keep for training to go on exactly: numbers and arrays by name."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `get_state` returned, as arrays, after `on_train_begin` of a run that goes on.

        Raises
        ------
        ValueError
            If it can't be a state of this callback; nothing is changed then.
        """
        StateReader(type(self).__name__, state).finish()

    def _on_exit(self) -> None:
        """When the run is over, also by an error."""


def checked(where: str, callbacks: Any) -> list[Callback]:
    """Take a list of callbacks, one, or None."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if not isinstance(callbacks, (list, tuple)) or not all(isinstance(each, Callback) for each in callbacks):
        raise TypeError(
            f"{where}: callbacks must be a list of konv.callbacks.Callback, received {shown(callbacks)}"
        )
    return list(callbacks)


def verbosity(where: str, value: Any) -> bool:
    """Take `verbose` of a callback: whether it prints what it does."""
    return value if isinstance(value, bool) else at_least(0, where, "verbose", value) > 0
