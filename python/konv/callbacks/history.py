"""The record of a run that `fit` returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from konv.callbacks.base import Callback, Logs
from konv.callbacks.state import StateReader

_PREFIX = "history/"


class History(Callback):
    """What `fit` returns; the model has it too, as `model.history`.

    Its state is the whole record, of the logs that are numbers: a run that goes on from a file returns the
    history of all its epochs.

    Attributes
    ----------
    history : dict
        For each name in the logs a list with one value an epoch; those of validation only have the epochs
        with validation.
    epoch : list of int
        The epochs' numbers.

    Examples
    --------
    >>> from konv.callbacks import History
    >>> history = History()
    >>> history.on_epoch_end(0, {"loss": 0.5})
    >>> history.on_epoch_end(1, {"loss": 0.25})
    >>> history.history
    {'loss': [0.5, 0.25]}
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        model.history = self

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.history = {}
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def get_state(self) -> dict[str, Any]:
        values = {
            _PREFIX + name: np.array(values, np.float64)
            for name, values in self.history.items()
            if all(isinstance(value, (float, int, np.floating, np.integer)) for value in values)
        }
        return {"epoch": np.array(self.epoch, np.int64), **values}

    def set_state(self, state: Mapping[str, Any]) -> None:
        read = StateReader("History", state)
        epoch: list[int] = read.array("epoch", np.int64).tolist()
        history: dict[str, list[float]] = {
            name.removeprefix(_PREFIX): read.array(name, np.float64).tolist() for name in read.names(_PREFIX)
        }
        read.finish()
        self.epoch, self.history = epoch, history

    def __repr__(self) -> str:
        return f"<History epochs={len(self.epoch)} names=[{', '.join(self.history)}]>"
