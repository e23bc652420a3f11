"""What training makes small: the losses of a model's outputs, weighted and added, with the metrics beside.

The loss of an output is sum(w * values) / count over the values of a batch, w the weights of the samples; the
whole loss is sum(loss_weight * loss) over the outputs and the penalties of the regularizers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from konv import activations, losses, metrics
from konv._arguments import shown
from konv.backend import Array
from konv.losses.base import broadcast_weights, mean
from konv.models.compile_arguments import CompileArguments
from konv.models.per_output import is_single, listed


class Watched(NamedTuple):
    """A metric of one output, its name in the logs, and whether samples' weights count."""

    name: str
    output: int
    template: metrics.Metric | str
    weighted: bool


class Objective:
    """Losses and metrics of each output.

    Parameters
    ----------
    where : str
        The function to name in an error.
    arguments : CompileArguments
    names : list of str
        Of the outputs.
    endings : list of str or None
        For each output the activation that it may be computed without, see `Layer.ends_in`.

    Attributes
    ----------
    losses : list of Loss or None
        For each output, as it is computed: from logits where `logits` says so.
    loss_weights : list of float
        For each output.
    loss_names : list of str or None
        For each output the name of its loss in the logs; None where the whole loss is all there is.
    watched : list of Watched
        The metrics, in the order of the logs, and their names, which are Keras's: those of several outputs
        begin with the output's, and where a metric of `weighted_metrics` has the name of another it is
        "weighted_NAME".
    logits : list of bool
        Which outputs are to be computed without their activation.
    given_logits : list of str
        Activations that are left out though the loss was told to expect logits.
    """

    def __init__(
        self, where: str, arguments: CompileArguments, names: Sequence[str], endings: Sequence[str | None]
    ) -> None:
        self._names = names
        self._endings = endings
        given = self._losses_of(where, arguments.loss)
        self.loss_weights = self._loss_weights_of(where, arguments.loss_weights)
        self.logits = [
            loss is not None and ending is not None and loss.fuses_with == ending
            for loss, ending in zip(given, endings, strict=True)
        ]
        self.losses = [
            loss.on_logits() if loss is not None and fused else loss
            for loss, fused in zip(given, self.logits, strict=True)
        ]
        self.given_logits = [
            str(ending)
            for loss, ending, fused in zip(given, endings, self.logits, strict=True)
            if fused and getattr(loss, "from_logits", False)
        ]
        several = sum(loss is not None for loss in given) > 1
        self.loss_names = [
            f"{name}_loss" if several and loss is not None else None
            for name, loss in zip(names, given, strict=True)
        ]
        self.watched = self._watched(where, arguments)

    def _losses_of(self, where: str, loss: Any) -> list[losses.Loss | None]:
        by_output = [loss] * len(self._names) if is_single(loss) else listed(where, "loss", loss, self._names)
        if not all(one is None or isinstance(one, losses.Loss) for one in by_output):
            raise TypeError(
                f"{where}: loss must have one loss or None for each output, received {shown(loss)}"
            )
        if all(one is None for one in by_output):
            raise ValueError(f"{where}: loss must be given for one output at least, received {shown(loss)}")
        return by_output

    def _loss_weights_of(self, where: str, weights: Any) -> list[float]:
        if weights is None:
            return [1.0] * len(self._names)
        by_output = listed(where, "loss_weights", [weights] if is_single(weights) else weights, self._names)
        if not all(one is None or isinstance(one, float) for one in by_output):
            raise TypeError(
                f"{where}: loss_weights must have one number for each output, received {shown(weights)}"
            )
        return [1.0 if one is None else one for one in by_output]

    def _watched(self, where: str, arguments: CompileArguments) -> list[Watched]:
        watched = [
            Watched(self._prefix(output) + metrics.template_name(template), output, template, False)
            for output, template in self._templates_of(where, "metrics", arguments.metrics)
        ]
        unweighted = {metric.name for metric in watched}
        for output, template in self._templates_of(where, "weighted_metrics", arguments.weighted_metrics):
            name = metrics.template_name(template)
            if self._prefix(output) + name in unweighted:
                name = f"weighted_{name}"
            watched.append(Watched(self._prefix(output) + name, output, template, True))
        names = ["loss", *filter(None, self.loss_names), *(metric.name for metric in watched)]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(
                f'{where}: metrics must have names of their own, other than "loss", '
                f"received twice {shown(twice)}"
            )
        if len(self._names) > 1:  # as Keras does
            watched.sort(key=lambda metric: metric.name)
        return watched

    def _prefix(self, output: int) -> str:
        return f"{self._names[output]}_" if len(self._names) > 1 else ""

    def _templates_of(self, where: str, argument: str, given: Any) -> list[tuple[int, metrics.Metric | str]]:
        """Return each metric with its output."""
        if not given:
            return []
        by_output = [given]
        if len(self._names) > 1 or isinstance(given, dict):
            by_output = listed(where, argument, given, self._names)
        return [
            (output, template)
            for output, own in enumerate(by_output)
            for template in _flat(where, argument, own)
        ]

    def is_labelled(self, output: int) -> bool:
        """Whether a loss or a metric asks for the labels of an output."""
        return self.losses[output] is not None or any(metric.output == output for metric in self.watched)

    def as_watched(self, outputs: Sequence[Array]) -> list[Array]:
        """Return outputs as metrics see them, with the activations that were left out."""
        watched = {metric.output for metric in self.watched}
        return [
            activations.get(ending)(array) if fused and output in watched else array
            for output, (array, fused, ending) in enumerate(
                zip(outputs, self.logits, self._endings, strict=True)
            )
        ]

    def loss_of(
        self, where: str, output: int, y: Array, y_pred: Array, weights: Array | None
    ) -> LossOfOutput:
        """Return the loss of one output over a batch: its labels, the output, the weights of its samples."""
        loss = self.losses[output]
        if loss is None:
            return LossOfOutput(None, None)
        values, gradient = loss.per_sample(y, y_pred)
        scale = self.loss_weights[output] / max(values.size, 1)
        if weights is None:
            return LossOfOutput(mean(values), lambda: gradient(scale))
        scales = broadcast_weights(where, weights, values.shape)
        weighted = np.multiply(scales, values, dtype=np.float64)
        return LossOfOutput(mean(weighted), lambda: gradient(scale * scales))


@dataclass(frozen=True)
class LossOfOutput:
    """The loss of one output over a batch.

    Attributes
    ----------
    value : float or None
        None if the output has no loss.
    gradient : callable or None
        Gives the gradient of the loss, times its weight, to the output.
    """

    value: float | None
    gradient: Callable[[], Array] | None


def _flat(where: str, argument: str, given: Any) -> list[metrics.Metric | str]:
    if isinstance(given, list):
        return [template for one in given for template in _flat(where, argument, one)]
    if isinstance(given, dict):
        raise TypeError(
            f"{where}: {argument} must have no dict inside of a list or a dict, received {shown(given)}"
        )
    return [] if given is None else [given]
