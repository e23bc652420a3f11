"""Callbacks that change the optimizer's learning rate between epochs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from konv._arguments import at_least, real, shown
from konv.callbacks.base import Callback, Logs, verbosity
from konv.callbacks.monitor import MonitorCallback
from konv.callbacks.progress_bar import announce
from konv.callbacks.state import StateReader


def _set_rate(callback: Callback, rate: float) -> None:
    """Set the optimizer's learning rate; an optimizer with a schedule of its own refuses."""
    try:
        callback.model.optimizer.learning_rate = rate
    except (TypeError, ValueError) as error:
        raise type(error)(f"{type(callback).__name__}: {error}") from error


def _require_settable(callback: Callback) -> None:
    """Fail before training, not at the first change."""
    _set_rate(callback, callback.model.optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    It adds `learning_rate` to the epoch's logs.

    Parameters
    ----------
    schedule : callable
        `schedule(epoch, learning_rate)`, or `schedule(epoch)`, returns the epoch's learning rate: a number of
        at least 0. Epochs count from 0.
    verbose : int
        Unless 0, it prints what it does.

    Raises
    ------
    TypeError, ValueError
        When training begins, if the optimizer has a schedule of its own; before an epoch, if `schedule`
        returns no learning rate.

    Examples
    --------
    >>> from konv.callbacks import LearningRateScheduler
    >>> from types import SimpleNamespace
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2, verbose=1)
    >>> halve.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.5)))
    >>> halve.on_epoch_begin(0)
    Epoch 1: LearningRateScheduler setting learning rate to 0.25.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        where = "LearningRateScheduler"
        if not callable(schedule):
            raise TypeError(f"{where}: schedule must be callable, received {shown(schedule)}")
        self._takes_rate = _takes(schedule, 0, 0.0)
        if not self._takes_rate and not _takes(schedule, 0):
            raise TypeError(
                f"{where}: schedule must take (epoch, learning_rate) or (epoch), received {shown(schedule)}"
            )
        self.schedule = schedule
        self.verbose = verbosity(where, verbose)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _require_settable(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rates = (self.model.optimizer.learning_rate,) if self._takes_rate else ()
        rate = real("LearningRateScheduler", "what schedule returns", self.schedule(epoch, *rates), 0.0)
        _set_rate(self, rate)
        if self.verbose:
            announce(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


def _takes(function: Callable[..., Any], *arguments: Any) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # some built-in functions don't tell their arguments
        return True
    return True


class ReduceLROnPlateau(MonitorCallback):
    """Lowers the learning rate when one of the logs has stopped to improve.

    It adds `learning_rate` to the epoch's logs: the one that the epoch was trained with. Each `fit` starts
    afresh, but one that goes on from a file, which goes on with what was counted.

    Parameters
    ----------
    monitor : str
        A name in the logs. Where an epoch's logs don't have it, a warning says so and the epoch isn't
        counted.
    factor : float
        In [0, 1): what the learning rate is multiplied by.
    patience : int
        After how many epochs without improvement.
    verbose : int
        Unless 0, it prints what it does.
    mode : {"auto", "min", "max"}
        Which values are better; "auto" goes by the name.
    min_delta : float
        By how much more a value must be better to be an improvement.
    cooldown : int
        How many epochs after a reduction aren't counted.
    min_lr : float
        The learning rate is not lowered below this.

    Raises
    ------
    TypeError, ValueError
        When training begins, if the optimizer has a schedule of its own.

    Examples
    --------
    >>> from konv.callbacks import ReduceLROnPlateau
    >>> from types import SimpleNamespace
    >>> reduce = ReduceLROnPlateau("loss", factor=0.5, patience=1, verbose=1)
    >>> reduce.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.5)))
    >>> reduce.on_train_begin()
    >>> for epoch in range(3):
    ...     reduce.on_epoch_end(epoch, {"loss": 1.0})
    Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.
    Epoch 3: ReduceLROnPlateau reducing learning rate to 0.125.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        where = "ReduceLROnPlateau"
        super().__init__(monitor, mode, min_delta)
        self.factor = real(where, "factor", factor, 0.0, 1.0, open_high=True)
        self.patience = at_least(0, where, "patience", patience)
        self.verbose = verbosity(where, verbose)
        self.cooldown = at_least(0, where, "cooldown", cooldown)
        self.min_lr = real(where, "min_lr", min_lr, 0.0)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.cooldown_counter = 0
        self.best = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        super().on_train_begin(logs)
        _require_settable(self)
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate
        current = self._monitored(logs)
        if current is None:
            self._warn_missing(logs, "the epoch isn't counted")
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improves(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = self.model.optimizer.learning_rate
        if old <= self.min_lr:
            return
        rate = max(old * self.factor, self.min_lr)
        _set_rate(self, rate)
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            announce(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"wait": self.wait, "cooldown_counter": self.cooldown_counter}
        return state if self.best is None else {**state, "best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        read = StateReader("ReduceLROnPlateau", state)
        wait, cooldown_counter = read.count("wait"), read.count("cooldown_counter")
        best = read.optional_number("best")
        read.finish()
        self.wait, self.cooldown_counter, self.best = wait, cooldown_counter, best
