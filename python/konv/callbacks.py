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

_BAR_FORMAT = "{desc}: {percentage:3.0f}%{postfix} |{bar:10}|"  # what a narrow terminal cuts off is the bar


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

    def _on_exit(self) -> None:
        """When training is over, also by an error."""


class History(Callback):
    """What `fit` returns.

    Attributes
    ----------
    history : dict
        For each name in the logs a list with one value an epoch.
    epoch : list of int
        The epochs' numbers.
    """

    def __init__(self) -> None:
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        return f"<History epochs={len(self.epoch)} names=[{', '.join(self.history)}]>"


class _ProgressLines(Callback):
    """One line an epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._title = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._samples = 0
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._samples = min(self._samples + self.params["batch_size"], self.params["samples"])
        self._seconds = max(time.perf_counter() - self._start, 1e-9)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        print(f"{self._title}: {self._seconds:.1f} s, {self._speed()}, {logs_text(logs)}", flush=True)

    def _speed(self) -> str:
        return f"{self._samples / self._seconds:.0f} images/s"


class _ProgressBar(_ProgressLines):
    """Also a bar while an epoch lasts, with means so far and images a second; its line takes its place."""

    _bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._bar = _bar(self._title, self.params["samples"])

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        self._bar.set_postfix_str(f"{self._speed()}, {logs_text(logs)}", refresh=False)
        self._bar.update(self._samples - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._bar.close()
        super().on_epoch_end(epoch, logs)

    def _on_exit(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(title: str, samples: int) -> Any:
    """Return a bar that leaves nothing behind when it is closed."""
    from tqdm import tqdm

    return tqdm(total=samples, desc=title, bar_format=_BAR_FORMAT, leave=False, file=sys.stdout)


def logs_text(logs: Logs | None) -> str:
    """Show logs on one line."""
    return ", ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())


def progress(where: str, verbose: Any) -> list[Callback]:
    """Return what shows progress: lines, with "auto" and 1 on a terminal a bar too, with 0 nothing."""
    message = f'{where}: verbose must be "auto", 0, 1 or 2, received {shown(verbose)}'
    if not isinstance(verbose, (str, int)):
        raise TypeError(message)
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(message)
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
    with _bar(where, samples) as bar:
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

    def __enter__(self) -> CallbackList:
        return self

    def __exit__(self, *error: object) -> None:
        for callback in self._callbacks:
            callback._on_exit()

    def __call__(self, event: str, *number: int, logs: Logs | None = None) -> None:
        """Call the method `event` of each with the epoch's or batch's number, if it has one, and the logs."""
        for callback in self._callbacks:
            getattr(callback, event)(*number, logs)
