"""Callbacks that end training before its last epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from konv._arguments import at_least, flag, real
from konv.backend import NDArray
from konv.callbacks.base import Callback, Logs, verbosity
from konv.callbacks.monitor import MonitorCallback
from konv.callbacks.progress_bar import announce
from konv.callbacks.state import StateReader

_WEIGHTS = "best_weights/"


class EarlyStopping(MonitorCallback):
    """Ends training when one of the logs has stopped to improve.

    Each `fit` starts afresh, but one that goes on from a file, which goes on with what was counted.

    Parameters
    ----------
    monitor : str
        A name in the logs. Where an epoch's logs don't have it, a warning says so and the epoch isn't
        counted.
    min_delta : float
        By how much more a value must be better to be an improvement.
    patience : int
        Training ends after so many epochs without improvement, though never after its very first epoch.
    verbose : int
        Unless 0, it prints what it does.
    mode : {"auto", "min", "max"}
        Which values are better; "auto" goes by the name.
    baseline : float, optional
        Epochs also count as without improvement until a value improves on this.
    restore_best_weights : bool
        Whether the model ends with the weights of its best epoch, whatever the baseline.
    start_from_epoch : int
        Epochs before this one aren't watched.

    Examples
    --------
    >>> from konv.callbacks import EarlyStopping
    >>> import numpy as np
    >>> from konv import Sequential
    >>> from konv.layers import Dense
    >>> model = Sequential([Dense(2, input_shape=(3,), activation="softmax")])
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> stop = EarlyStopping("loss", min_delta=10.0, patience=2)
    >>> model.fit(np.zeros((4, 3)), np.zeros(4), epochs=100, verbose=0, callbacks=[stop]).epoch
    [0, 1, 2]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        where = "EarlyStopping"
        super().__init__(monitor, mode, min_delta)
        self.patience = at_least(0, where, "patience", patience)
        self.verbose = verbosity(where, verbose)
        self.baseline = None if baseline is None else real(where, "baseline", baseline)
        self.restore_best_weights = flag(where, "restore_best_weights", restore_best_weights)
        self.start_from_epoch = at_least(0, where, "start_from_epoch", start_from_epoch)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: list[NDArray] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        current = self._monitored(logs)
        if current is None:
            self._warn_missing(logs, "the epoch isn't counted")
        if current is None or epoch < self.start_from_epoch:
            return
        improved = self._improves(current, self.best)
        if improved:
            self.best = current
        if improved or (self.restore_best_weights and self.best_weights is None):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        self.wait += 1
        if improved:
            if self.baseline is None or self._improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            announce(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                announce(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best_epoch": self.best_epoch,
        }
        if self.best is not None:
            state["best"] = self.best
        return state | {f"{_WEIGHTS}{i}": array for i, array in enumerate(self.best_weights or ())}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take what `get_state` returned; a run that had been stopped, and still would be, stops again."""
        if self.model is None:
            raise ValueError("EarlyStopping: set_state must come after set_model, received no model before")
        read = StateReader("EarlyStopping", state)
        wait, stopped_epoch, best_epoch = map(read.count, ("wait", "stopped_epoch", "best_epoch"))
        best = read.optional_number("best")
        weights = None
        if read.names(_WEIGHTS):
            weights = [
                read.array(f"{_WEIGHTS}{i}", like.dtype, like.shape).copy()
                for i, like in enumerate(self.model.get_weights())
            ]
        read.finish()
        self.wait, self.best_epoch, self.best = wait, best_epoch, best
        self.best_weights = weights if self.restore_best_weights else None
        self.stopped_epoch = stopped_epoch if wait >= self.patience else 0
        if self.stopped_epoch:
            self.model.stop_training = True


class TerminateOnNaN(Callback):
    """Ends training at the first batch after which the loss is NaN or infinite.

    Parameters
    ----------
    raise_error : bool
        Whether by a RuntimeError, instead of by `model.stop_training`.

    Examples
    --------
    >>> from konv.callbacks import TerminateOnNaN
    >>> from types import SimpleNamespace
    >>> callback = TerminateOnNaN()
    >>> callback.set_model(SimpleNamespace(stop_training=False))
    >>> callback.on_train_batch_end(7, {"loss": float("nan")})
    Batch 7: Invalid loss, terminating training
    >>> callback.model.stop_training
    True
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = flag("TerminateOnNaN", "raise_error", raise_error)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"TerminateOnNaN: loss must be finite, received {loss} at batch {batch}")
        announce(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
