"""The arguments of `compile`, taken but not yet shared out among the outputs."""

from __future__ import annotations

from typing import Any

from konv import losses, metrics
from konv._arguments import class_and_config, real, shown
from konv.models.per_output import each, is_single


class CompileArguments:
    """What `compile` was given beside the optimizer, checked one by one.

    Parameters
    ----------
    loss, loss_weights, metrics, weighted_metrics
        As `konv.Model.compile` takes them.
    """

    def __init__(self, loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> None:
        if is_single(loss):
            self.loss: Any = losses.get(loss, "compile", "loss")
        else:
            self.loss = each(loss, lambda one: None if one is None else losses.get(one, "compile", "loss"))
        self.loss_weights = each(loss_weights, _loss_weight)
        self.metrics = _templates("metrics", metrics)
        self.weighted_metrics = _templates("weighted_metrics", weighted_metrics)

    def config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this; `json` can write them."""
        return {
            "loss": each(self.loss, _described),
            "loss_weights": self.loss_weights,
            "metrics": each(self.metrics, _described),
            "weighted_metrics": each(self.weighted_metrics, _described),
        }


def _loss_weight(weight: Any) -> float | None:
    return None if weight is None else real("compile", "each of loss_weights", weight)


def _templates(argument: str, given: Any) -> Any:
    if given is not None and not isinstance(given, (list, tuple, dict)):
        raise TypeError(f"compile: {argument} must be a list or a dict, received {shown(given)}")
    return each(
        [] if given is None else given, lambda one: None if one is None else metrics.template(one, "compile")
    )


def _described(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else class_and_config(value)
