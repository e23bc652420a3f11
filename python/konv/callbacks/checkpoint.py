"""Saving the model while it is trained."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping
from typing import Any

from konv._arguments import at_least, flag, path_of, real, shown
from konv.callbacks.base import Logs, verbosity
from konv.callbacks.monitor import MonitorCallback
from konv.callbacks.progress_bar import announce
from konv.callbacks.state import StateReader

_WHERE = "ModelCheckpoint"
_MODEL_ENDINGS = (".safetensors",)
_WEIGHTS_ENDINGS = (".safetensors", ".npz")


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, after each epoch or every so many batches.

    It is told of an epoch's end after all other callbacks, so that a file holds what they have counted; of
    several checkpoints, those that save only the best are told first. A file that was saved at the end of an
    epoch is one that training goes on from exactly: `konv.load_model`, then `fit` with `initial_epoch` and
    the same callbacks. Best value and counts live on over calls of `fit`, as in Keras.

    Parameters
    ----------
    filepath : str or path
        May have fields: `{epoch}`, counted from 1, `{batch}`, counted from 1, where `save_freq` is a number,
        and each name in the logs, with a format as in `"{epoch:02d}-{val_loss:.2f}.safetensors"`. It ends in
        ".safetensors", with `save_weights_only` also in ".npz". Folders are made where there are none.
    monitor : str
        With `save_best_only`, the name in the logs that says what is best. Where the logs don't have it, a
        warning says so and the model is saved.
    verbose : int
        Unless 0, it prints what it does.
    save_best_only : bool
        Whether to save only when the monitored value is the best so far.
    save_weights_only : bool
        Whether to call `model.save_weights` instead of `model.save`.
    mode : {"auto", "min", "max"}
        Which values are better; "auto" goes by the name.
    save_freq : "epoch" or int
        A number counts batches, over epochs; the logs are then means over the epoch so far.
    initial_value_threshold : float, optional
        With `save_best_only`, the value that the first one saved must be better than.

    Raises
    ------
    ValueError
        Also when saving, if the logs don't have a field of `filepath`, or if the file's name is a folder's.

    Examples
    --------
    >>> from konv.callbacks import ModelCheckpoint
    >>> class Model:
    ...     def save(self, filepath):
    ...         print("saved", filepath)
    >>> checkpoint = ModelCheckpoint("{epoch:02d}-{loss:.2f}.safetensors")
    >>> checkpoint.set_model(Model())
    >>> checkpoint.on_epoch_end(0, {"loss": 0.125})
    saved 01-0.12.safetensors
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.verbose = verbosity(_WHERE, verbose)
        self.save_best_only = flag(_WHERE, "save_best_only", save_best_only)
        self.save_weights_only = flag(_WHERE, "save_weights_only", save_weights_only)
        self.save_freq = _save_freq(save_freq)
        self.filepath = path_of(_WHERE, filepath)
        endings = _WEIGHTS_ENDINGS if self.save_weights_only else _MODEL_ENDINGS
        if not self.filepath.endswith(endings):
            raise ValueError(
                f"{_WHERE}: filepath must end in {' or '.join(endings)}, received {shown(filepath)}"
            )
        _check_template(self.filepath, self.save_freq != "epoch")
        if initial_value_threshold is not None:
            self.best = real(_WHERE, "initial_value_threshold", initial_value_threshold)
        self.turn = 1 if self.save_best_only else 2
        self._batches = 0  # since the last that was saved
        self._epoch = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.save_best_only:
            super().on_train_begin(logs)
        folder = os.path.dirname(self.filepath)
        if "{" not in folder:  # what is wrong with it shows before training
            _make_folder(folder)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save({"batch": batch + 1, "epoch": self._epoch + 1}, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save({"epoch": epoch + 1}, logs)

    def _save(self, numbers: dict[str, int], logs: Logs | None) -> None:
        filepath = self._formatted(numbers, logs or {})
        title = f"Epoch {numbers['epoch']}"
        if not self._is_due(title, filepath, logs):
            return
        _make_folder(os.path.dirname(filepath))
        if os.path.isdir(filepath):
            raise ValueError(
                f"{_WHERE}: filepath must be the name of a file, received a folder, {filepath!r}"
            )
        if self.save_weights_only:
            self.model.save_weights(filepath)
        else:
            self.model.save(filepath)
        self._announce(f"{title}: finished saving model to {filepath}")

    def _formatted(self, numbers: dict[str, int], logs: Logs) -> str:
        known = {**logs, **numbers}
        missing = [name for name in _fields(self.filepath) if name not in known]
        if missing:
            raise ValueError(
                f"{_WHERE}: filepath's fields must be {', '.join(known)} at that time, "
                f"received {', '.join(missing)} in {self.filepath!r}"
            )
        try:
            return path_of(_WHERE, self.filepath.format(**known))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{_WHERE}: filepath {self.filepath!r} can't be filled in: {error}") from None

    def _is_due(self, title: str, filepath: str, logs: Logs | None) -> bool:
        if not self.save_best_only:
            self._announce(f"{title}: saving model to {filepath}")
            return True
        current = self._monitored(logs)
        if current is None:
            self._warn_missing(logs, "the model is saved")
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._improves(current, self.best):
            self._announce(f"{title}: {self.monitor} did not improve from {best}")
            return False
        self._announce(
            f"{title}: {self.monitor} improved from {best} to {current:.5f}, saving model to {filepath}"
        )
        self.best = current
        return True

    def _announce(self, message: str) -> None:
        if self.verbose:
            announce(message)

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"batches": self._batches}
        return state if self.best is None else {**state, "best": self.best}

    def set_state(self, state: Mapping[str, Any]) -> None:
        read = StateReader(_WHERE, state)
        batches, best = read.count("batches"), read.optional_number("best")
        read.finish()
        self._batches = batches
        if best is not None:
            self.best = best


def _save_freq(value: Any) -> str | int:
    if isinstance(value, str):
        if value != "epoch":
            raise ValueError(f'{_WHERE}: save_freq must be "epoch" or an int, received {shown(value)}')
        return value
    return at_least(1, _WHERE, "save_freq", value)


def _fields(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


def _check_template(template: str, by_batches: bool) -> None:
    """Refuse what can't be filled in whatever the logs are."""
    expected = f"{_WHERE}: filepath must have fields such as {{epoch:02d}} and {{val_loss:.2f}}"
    received = f"received {shown(template)}"
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{expected}, {received}: {error}") from None
    numbers: dict[str, float] = {}
    for _, name, form, _ in fields:
        if name is None:
            continue
        if not name or name.isdigit() or re.search(r"[.\[]", name):
            raise ValueError(f"{expected}, each the name of one of the logs, {received}")
        if "{" in (form or "") or re.search(r"\d{4}", form or ""):
            raise ValueError(f"{expected}, less than 1000 characters wide, {received}")
        if name == "batch" and not by_batches:
            raise ValueError(f"{expected}, {{batch}} only where save_freq is a number, {received}")
        if name.startswith("val_") and by_batches:
            raise ValueError(f'{expected}, those of validation only with save_freq="epoch", {received}')
        numbers[name] = 1 if name in ("epoch", "batch") else 0.5
    try:
        template.format(**numbers)
    except ValueError as error:
        raise ValueError(f"{expected}, {received}: {error}") from None


def _make_folder(folder: str) -> None:
    if folder:
        os.makedirs(folder, exist_ok=True)
