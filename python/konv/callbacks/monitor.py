"""The base of callbacks that watch one of the logs: which way is better, and what counts as better."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from konv._arguments import real, shown, text
from konv.callbacks.base import Callback, Logs

_MODES = ("auto", "min", "max")

_MODE_OF_NAME = {"accuracy": "max", "acc": "max"}  # of metrics whose class the labels will tell
_MODE_OF_CLASS = {"Accuracy": "max", "Crossentropy": "min", "Error": "min"}  # by the end of its name


class MonitorCallback(Callback):
    """Base of callbacks that watch one of the logs.

    A value is an improvement on another one if it is better by more than `min_delta`; any number is one on
    None, NaN never is one.

    Parameters
    ----------
    monitor : str
        A name in the logs.
    mode : {"auto", "min", "max"}
        Which values are better. "auto" goes by the name: losses are minimized, and each metric of the model
        goes its own way.
    min_delta : float
        Its absolute value is taken.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        where = type(self).__name__
        self.monitor = text(where, "monitor", monitor)
        if text(where, "mode", mode) not in _MODES:
            raise ValueError(f'{where}: mode must be "auto", "min" or "max", received {shown(mode)}')
        self.mode = mode
        self.min_delta = abs(real(where, "min_delta", min_delta))
        self.best: float | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._find_sign()

    def _find_sign(self) -> None:
        mode = self.mode if self.mode != "auto" else _mode_of_log(self.monitor, self.model)
        if mode is None:
            known = ["loss", *map(_name, _flat(getattr(self.model, "metrics", None)))]
            raise ValueError(
                f"{type(self).__name__}: monitor must be a loss or metric of the model ({', '.join(known)}; "
                f'those of validation as val_...), or mode "min" or "max" say which values are better; '
                f"received '{self.monitor}' with mode \"auto\""
            )
        self._sign = 1.0 if mode == "max" else -1.0

    def _monitored(self, logs: Logs | None) -> float | None:
        """Take the value that is watched, None where the logs don't have it."""
        value: Any = (logs or {}).get(self.monitor)
        if value is None:
            return None
        if not isinstance(value, (int, float, np.integer, np.floating)):
            raise TypeError(
                f"{type(self).__name__}: {self.monitor} in the logs must be a number, received {shown(value)}"
            )
        return float(value)

    def _warn_missing(self, logs: Logs | None, consequence: str) -> None:
        warnings.warn(
            f"{type(self).__name__}: monitor must be one of the logs ({', '.join(logs or {})}), "
            f"received '{self.monitor}': {consequence}",
            stacklevel=3,
        )

    def _improves(self, value: float, reference: float | None) -> bool:
        if math.isnan(value):
            return False
        return reference is None or self._sign * value - self.min_delta > self._sign * reference


def _mode_of_log(log: str, model: Any) -> str | None:
    """Return "min" or "max" for a loss or a metric of a model, None for what is neither."""
    log = log.removeprefix("val_")
    outputs = ["", *(f"{name}_" for name in getattr(model, "output_names", ()))]
    if log in {f"{output}loss" for output in outputs}:
        return "min"
    for attribute, prefix in (("metrics", ""), ("weighted_metrics", ""), ("weighted_metrics", "weighted_")):
        for metric in _flat(getattr(model, attribute, None)):
            if log in {f"{output}{prefix}{_name(metric)}" for output in outputs}:
                return _mode_of_metric(metric)
    return None


def _name(metric: Any) -> str:
    return metric if isinstance(metric, str) else str(metric.name)


def _mode_of_metric(metric: Any) -> str | None:
    if isinstance(metric, str):
        return _MODE_OF_NAME.get(metric.lower())
    names = [cls.__name__ for cls in type(metric).__mro__]
    return next(
        (mode for name in names for ending, mode in _MODE_OF_CLASS.items() if name.endswith(ending)), None
    )


def _flat(metrics: Any) -> Iterator[Any]:
    """Go through metrics that may be in lists and dicts of the model's outputs."""
    if isinstance(metrics, dict):
        metrics = list(metrics.values())
    if isinstance(metrics, (list, tuple)):
        for each in metrics:
            yield from _flat(each)
    elif metrics is not None:
        yield metrics
