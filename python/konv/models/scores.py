"""Loss and metrics over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Sequence

from konv import metrics
from konv.backend import Array
from konv.metrics.base import Mean
from konv.models.examples import Examples
from konv.models.objective import Objective


class Scores:
    """Means of the losses and the metrics; the batches' losses weigh by their number of samples.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._loss = Mean()
        self._losses = [Mean() for _ in objective.losses]
        self._metrics: list[metrics.Metric] = []

    def add(
        self, batch: Examples, outputs: Sequence[Array], values: Sequence[float | None], penalty: float
    ) -> None:
        """Take in a batch: its labels and weights, the outputs, their losses and what regularizers add."""
        objective, count = self._objective, len(batch)
        total = penalty
        for value, weight, mean in zip(values, objective.loss_weights, self._losses, strict=True):
            if value is not None:
                total += weight * value
                mean.add(value, count)
        self._loss.add(total, count)
        outputs = objective.as_watched(outputs)
        if not self._metrics:
            self._metrics = [
                metrics.resolve(template, batch.y[output], outputs[output])
                for _, output, template, _ in objective.watched
            ]
        for metric, (_, output, _, weighted) in zip(self._metrics, objective.watched, strict=True):
            weights = batch.weights[output] if weighted else None
            metric.update_state(batch.y[output], outputs[output], weights)

    def logs(self) -> dict[str, float]:
        """Return the means by name: the loss, those of several outputs, then the metrics."""
        logs = {"loss": self._loss.result()}
        for name, mean in zip(self._objective.loss_names, self._losses, strict=True):
            if name:
                logs[name] = mean.result()
        for metric, watched in zip(self._metrics, self._objective.watched, strict=True):
            logs[watched.name] = metric.result()
        return logs
