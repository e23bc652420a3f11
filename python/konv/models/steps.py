"""Steps of training and testing, one by one or over an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from konv import callbacks as cb
from konv.backend import Array, route
from konv.models.compiled import CompiledModel
from konv.models.examples import ClassWeights, Examples
from konv.models.feed import Feed
from konv.models.objective import Objective
from konv.models.scores import Scores


def train_epoch(
    model: CompiledModel,
    objective: Objective,
    feed: Feed,
    tell: cb.CallbackList,
    class_weights: ClassWeights | None,
) -> cb.Logs:
    """Train on the next epoch of a feed, up to where a callback stops it; return the means over it."""
    scores = Scores(objective)
    tell.params["samples_seen"] = 0
    for number, batch in enumerate(feed.epoch()):
        tell("on_train_batch_begin", number)
        train_step("fit", model, objective, batch, scores, class_weights)
        tell.params["samples_seen"] += len(batch)
        tell("on_train_batch_end", number, logs=scores.logs())
        if model.stop_training:
            break
    return scores.logs()


def test_epoch(
    where: str,
    model: CompiledModel,
    objective: Objective,
    feed: Feed,
    tell: cb.CallbackList,
    advance: cb.Advance,
) -> cb.Logs:
    """Test on the next epoch of a feed; return the means over it, none if the feed has run out of batches."""
    if not feed.ready():
        return {}
    scores, added = Scores(objective), penalty(model)
    tell("on_test_begin")
    for number, batch in enumerate(feed.epoch()):
        tell("on_test_batch_begin", number)
        test_step(where, model, objective, batch, scores, added)
        advance(len(batch))
        tell("on_test_batch_end", number, logs=scores.logs())
    logs = scores.logs()
    tell("on_test_end", logs=logs)
    return logs


def train_step(
    where: str,
    model: CompiledModel,
    objective: Objective,
    batch: Examples,
    scores: Scores,
    class_weights: ClassWeights | None = None,
) -> None:
    """Change a model by one batch; `scores` takes in what the batch was before."""
    variables = model.trainable_variables
    with np.errstate(all="ignore"):  # what diverges shows in the loss
        outputs, saved = run(model, batch.x, objective.logits, training=True)
        if class_weights is not None:
            batch = class_weights.applied(where, batch, outputs[0].ndim)
        values, grads = _losses(where, objective, batch, outputs, needs_gradients=True)
        scores.add(batch, outputs, values, penalty(model))
        del outputs  # before the gradients take memory
        _, gradients = model.run_backward(grads, saved, needs_input=False)
        for place, variable in enumerate(variables):
            if variable.regularizer is not None:
                gradients[place] = gradients[place] + variable.regularizer.gradient(variable.value)
        model.optimizer.apply(gradients, variables)
    model.step += 1


def test_step(
    where: str, model: CompiledModel, objective: Objective, batch: Examples, scores: Scores, added: float
) -> None:
    """Test a model on one batch; `added` is its `penalty`."""
    with np.errstate(all="ignore"):
        outputs, _ = run(model, batch.x, objective.logits, for_backward=False)
        values, _ = _losses(where, objective, batch, outputs, needs_gradients=False)
        scores.add(batch, outputs, values, added)


def run(
    model: CompiledModel, x: Sequence[Array], logits: Sequence[bool], **fields: Any
) -> tuple[list[Array], Any]:
    """Cast a batch and run it forward, on the backend that it lies on.

    `fields` are those of the `Context`.
    """
    backend, _ = route(x[0], f"{model.label}: inputs")
    inputs = [
        array.astype(tensor.dtype, order="C", copy=False)
        for array, tensor in zip(x, model.inputs, strict=True)
    ]
    return model.run_forward(inputs, model.new_context(backend=backend, **fields), logits)


def penalty(model: CompiledModel) -> float:
    """Return what regularizers add to the loss."""
    return sum(
        variable.regularizer(variable.value)
        for variable in model.trainable_variables
        if variable.regularizer is not None
    )


def _losses(
    where: str, objective: Objective, batch: Examples, outputs: Sequence[Array], *, needs_gradients: bool
) -> tuple[list[float | None], list[Array | None]]:
    """Return the loss of each output and its gradient to it, None where there is none."""
    values: list[float | None] = []
    grads: list[Array | None] = []
    for output, y_pred in enumerate(outputs):
        loss = objective.loss_of(where, output, batch.y[output], y_pred, batch.weights[output])
        values.append(loss.value)
        grads.append(loss.gradient() if needs_gradients and loss.gradient is not None else None)
    return values, grads
