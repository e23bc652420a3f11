"""`konv.callbacks`: what happens beside the training loop: records and progress.

`fit` calls each callback's methods as training goes on, Keras's names: `on_train_begin`, `on_epoch_begin`,
`on_train_batch_begin`, `on_train_batch_end`, `on_epoch_end`, `on_train_end`. Each takes `logs` last, None
where there are none.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from konv._arguments import shown

__all__ = ["Callback", "History"]

Logs = dict[str, float]
Advance = Callable[[int], Any]


class Callback:
    """Base of callbacks. A subclass defines the methods that it needs.

    Attributes
    ----------
    model : Sequential
        The one that is trained. Setting its `stop_training` to True ends training after the epoch.
    params : dict
        `epochs`; `samples`, the number of training samples; `batch_size`.
    """

    model: Any = None
    params: dict[str, int] = {}  # noqa: RUF012

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

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


class History(Callback):
    """What `fit` returns.

    Attributes
    ----------
    history : dict
        For each name in the logs a list with one value an epoch.
    epoch : list of int
        The epochs' numbers.
    """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class _ProgressLines(Callback):
    """One line an epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._end = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        seconds = max(self._end - self._start, 1e-9)
        speed = f"{seconds:.1f} s, {self.params['samples'] / seconds:.0f} images/s"
        print(f"Epoch {epoch + 1}/{self.params['epochs']}: {speed}, {logs_text(logs)}", flush=True)


class _ProgressBar(Callback):
    """One bar an epoch, with means so far and images a second."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        from tqdm import tqdm

        description = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._bar = tqdm(total=self.params["samples"], desc=description, unit=" images", file=sys.stdout)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._bar.set_postfix_str(logs_text(logs), refresh=False)
        self._bar.update(min(self.params["batch_size"], self.params["samples"] - self._bar.n))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._bar.set_postfix_str(logs_text(logs))
        self._bar.close()


def logs_text(logs: Logs | None) -> str:
    """Show logs on one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())


def progress(where: str, verbose: Any) -> list[Callback]:
    """Return what shows progress: "auto" and 1 a bar on a terminal and lines in a pipe, 2 lines, 0
    nothing."""
    if verbose != "auto" and not (isinstance(verbose, int) and 0 <= verbose <= 2):
        raise ValueError(f'{where}: verbose must be "auto", 0, 1 or 2, received {shown(verbose)}')
    if verbose == 0:
        return []
    return [_ProgressBar() if verbose != 2 and sys.stdout.isatty() else _ProgressLines()]


def unseen(samples: int) -> None:
    """Show nothing of the progress."""


@contextlib.contextmanager
def sample_bar(where: str, verbose: Any, samples: int) -> Iterator[Advance]:
    """Give a function to tell of samples done; a terminal shows them as a bar unless verbose is 0."""
    if not any(isinstance(each, _ProgressBar) for each in progress(where, verbose)):
        yield unseen
        return
    from tqdm import tqdm

    with tqdm(total=samples, unit=" images", file=sys.stdout, leave=False) as bar:
        yield bar.update


def checked(where: str, callbacks: Any) -> list[Callback]:
    """Take a list of callbacks, or None."""
    if callbacks is None:
        return []
    if not isinstance(callbacks, (list, tuple)) or not all(isinstance(each, Callback) for each in callbacks):
        raise TypeError(
            f"{where}: callbacks must be a list of konv.callbacks.Callback, received {shown(callbacks)}"
        )
    return list(callbacks)


class CallbackList:
    """Calls all callbacks in turn.

    Parameters
    ----------
    callbacks : sequence of Callback
    model : Sequential
    params : dict
        See `Callback`.
    """

    def __init__(self, callbacks: Sequence[Callback], model: Any, params: dict[str, int]) -> None:
        self._callbacks = callbacks
        for callback in callbacks:
            callback.model = model
            callback.params = params

    def __call__(self, event: str, *number: int, logs: Logs | None = None) -> None:
        """Call the method `event` of each with the epoch's or batch's number, if it has one, and the logs."""
        for callback in self._callbacks:
            getattr(callback, event)(*number, logs)
