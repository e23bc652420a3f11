"""Progress on standard output: a line for each epoch, and on a terminal a bar while it lasts."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from konv._arguments import shown
from konv.callbacks.base import Callback, Logs

Advance = Callable[[int], Any]

_BAR_FORMAT = "{desc}: {percentage:3.0f}%{postfix} |{bar:10}|"  # what a narrow terminal cuts off is the bar
_COUNT_FORMAT = "{desc}: {n_fmt} {unit}{postfix}"  # where the total isn't known

_SMALL = 1e-3  # numbers below this are shown by their first digits, not by four decimals


class _ProgressLines(Callback):
    """One line an epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._title = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._samples = 0
        self._start = time.perf_counter()
        self._seconds = 0.0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._samples = self.params["samples_seen"]
        self._seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        print(f"{self._title}: {self._seconds:.1f} s, {self._speed()}, {logs_text(logs)}", flush=True)

    def _speed(self) -> str:
        return f"{self._samples / max(self._seconds, 1e-9):.0f} images/s"


class _ProgressBar(_ProgressLines):
    """Also a bar while an epoch lasts, with means so far and images a second; its line takes its place.

    The bar counts samples, or steps where only their number is known.
    """

    _bar: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._by_steps = self.params["samples"] is None
        if self._by_steps:
            self._bar = _bar(self._title, self.params["steps"], "steps")
        else:
            self._bar = _bar(self._title, self.params["samples"], "images")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        self._bar.set_postfix_str(f"{self._speed()}, {logs_text(logs)}", refresh=False)
        self._bar.update((batch + 1 if self._by_steps else self._samples) - self._bar.n)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._bar.close()
        super().on_epoch_end(epoch, logs)

    def _on_exit(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(title: str, total: int | None, unit: str) -> Any:
    """Return a bar that leaves nothing behind when it is closed."""
    from tqdm import tqdm

    form = _COUNT_FORMAT if total is None else _BAR_FORMAT
    return tqdm(total=total, desc=title, unit=unit, bar_format=form, leave=False, file=sys.stdout)


def announce(message: str) -> None:
    """Print a line, above a bar where there is one."""
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stdout):
        print(message, flush=True)


def logs_text(logs: Logs | None) -> str:
    """Show logs on one line."""
    return ", ".join(f"{name} {_value_text(value)}" for name, value in (logs or {}).items())


def _value_text(value: Any) -> str:
    if not isinstance(value, (int, float, np.integer, np.floating)):
        return str(value)
    return f"{value:.3g}" if 0 < abs(value) < _SMALL else f"{value:.4f}"


def progress(where: str, verbose: Any) -> list[Callback]:
    """Return what shows progress: lines, with "auto" and 1 on a terminal a bar too, with 0 nothing."""
    message = f'{where}: verbose must be "auto", 0, 1 or 2, received {shown(verbose)}'
    if not isinstance(verbose, (str, int)):
        raise TypeError(message)
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(message)
    if verbose == 0:
        return []
    if sys.stdout is None:  # closed, or a program without a console
        return []
    return [_ProgressBar() if verbose != 2 and sys.stdout.isatty() else _ProgressLines()]


def no_progress(samples: int) -> None:
    """Show nothing of the progress."""


@contextlib.contextmanager
def sample_bar(where: str, verbose: Any, samples: int | None) -> Iterator[Advance]:
    """Give a function to tell of samples done; a terminal shows them as a bar unless verbose is 0.

    Where the number of samples is None, not known, the bar is a count.
    """
    if not any(isinstance(each, _ProgressBar) for each in progress(where, verbose)):
        yield no_progress
        return
    with _bar(where, samples, "images") as bar:
        yield bar.update
