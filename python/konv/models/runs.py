"""What `fit`, `evaluate` and `predict` run over: their arguments, taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from konv._arguments import at_least, shown
from konv.models.examples import Examples
from konv.models.feed import ArraySource, Feed, Source, gives_batches, source_of_batches
from konv.models.signature import Signature

if TYPE_CHECKING:
    from konv.models.training import TrainableModel

Given = tuple[Any, Any, Any]
"""x, y and sample_weight as a user gave them."""


def source_of(
    where: str,
    signature: Signature,
    given: Given,
    batch_size: int | None,
    steps: int | None,
    split: float = 0.0,
) -> tuple[Source, Examples | None]:
    """Return the source of labelled data, and the share `split` of it that was taken off the end."""
    x, y, sample_weight = given
    if not gives_batches(x):
        examples = signature.examples(x, y, sample_weight)
        held_out = None
        if split:
            examples, held_out = examples.split(where, split)
        return ArraySource(examples, batch_size, steps), held_out
    for name, value in (("y", y), ("sample_weight", sample_weight), ("validation_split", split or None)):
        if value is not None:
            raise ValueError(
                f"{where}: {name} must not be given, for x gives batches, received {shown(value)}"
            )
    return source_of_batches(signature, x), None


def source_of_inputs(signature: Signature, x: Any, batch_size: int | None, steps: int | None) -> Source:
    """Return the source of data without labels."""
    if gives_batches(x):
        return source_of_batches(signature, x, labelled=False)
    return ArraySource(Examples(signature.inputs(x), [], []), batch_size, steps)


def validation_feed(
    model: TrainableModel, data: Any, batch_size: int | None, steps: int | None, *, times: int
) -> Feed | None:
    """Return what `fit` tests on, so many times, or None.

    `data` is `validation_data`, or the examples that were taken off.
    """
    where = "fit: validation_data"
    if data is None:
        return None
    signature = Signature(model, where)
    if isinstance(data, Examples):
        source: Source = ArraySource(data, batch_size, steps)
    elif isinstance(data, (tuple, list)) and 2 <= len(data) <= 3:
        x, y, sample_weight = (*data, None)[:3]
        source, _ = source_of(where, signature, (x, y, sample_weight), batch_size, steps)
    elif gives_batches(data):
        source = source_of_batches(signature, data)
    else:
        raise TypeError(
            f"{where} must be a pair (x, y), (x, y, sample_weight) or an iterable of batches, "
            f"received {shown(data)}"
        )
    if source.once and steps is None and times > 1:
        raise ValueError(
            f"{where} must be something that can be iterated anew for each epoch, "
            f"or validation_steps be given, received {shown(data)}"
        )
    return Feed(where, source, steps)


def optional_count(where: str, name: str, value: Any) -> int | None:
    """Take an int of at least 1, or None."""
    return None if value is None else at_least(1, where, name, value)


def validation_due(where: str, frequency: Any) -> Callable[[int], bool]:
    """Take `validation_freq`: return a function that says whether to test after an epoch, counted from 1.

    Examples
    --------
    >>> [epoch for epoch in range(1, 7) if validation_due("fit", 3)(epoch)]
    [3, 6]
    """
    if isinstance(frequency, (list, tuple, set, frozenset)):
        epochs = {at_least(1, where, "validation_freq (each of the list)", epoch) for epoch in frequency}
        return lambda epoch: epoch in epochs
    every = at_least(1, where, "validation_freq", frequency)
    return lambda epoch: epoch % every == 0


def params_of(feed: Feed, epochs: int, verbose: Any) -> dict[str, Any]:
    """Return what callbacks know of a run, see `konv.callbacks.Callback`."""
    return {
        "epochs": epochs,
        "steps": feed.steps,
        "samples": feed.samples,
        "samples_seen": 0,
        "batch_size": feed.batch_size,
        "verbose": verbose,
    }
