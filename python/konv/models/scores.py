"""Loss and metrics over the batches of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv import metrics

NDArray = np.ndarray[Any, Any]


class Scores:
    """Means of the loss and the metrics; the batches' losses weigh by their number of samples.

    Parameters
    ----------
    templates : list
        Of the metrics, see `konv.metrics.template`.
    """

    def __init__(self, templates: list[metrics.Metric | str]) -> None:
        self._templates = templates
        self._loss = metrics.Mean()
        self._metrics: list[metrics.Metric] | None = None

    def add(self, loss: float, y_true: NDArray, y_pred: NDArray) -> None:
        """Take in a batch: the mean of its losses, its labels and its outputs."""
        self._loss.add(loss, len(y_true))
        if self._metrics is None:
            self._metrics = [metrics.resolve(template, y_true, y_pred) for template in self._templates]
        for metric in self._metrics:
            metric.update_state(y_true, y_pred)

    def logs(self) -> dict[str, float]:
        """Return the means by name, the loss first."""
        return {"loss": self._loss.result()} | {
            metric.name: metric.result() for metric in self._metrics or []
        }
