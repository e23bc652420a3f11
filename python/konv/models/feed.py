"""How the batches of training make up epochs.

A feed cuts the passes through a source into epochs. Without `steps` an epoch is one pass. With `steps` the
passes are one stream, cut after so many batches: where a pass ends within an epoch the next one begins.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from konv._arguments import at_least, shown
from konv.models.compiled import CompiledModel
from konv.models.examples import Examples
from konv.models.signature import Signature
from konv.models.sources import ArraySource, Source, gives_batches, source_of, source_of_batches

OrderKey = Callable[[int], int]
"""Key of the order of a pass whose next batch stands at a place."""


class Feed:
    """The batches of each epoch.

    Parameters
    ----------
    where : str
        The function to name in an error.
    source : Source
    steps : int, optional
        Batches in an epoch. Default: a pass through the data.
    wraps : bool
        Whether an epoch goes on with another pass where one ends before `steps`.
    position : int
        Number of batches of the stream to leave out, for a run that goes on. A source whose number of batches
        isn't known begins at its own beginning.
    key : callable, optional
        Gives the key of the order of a pass, from the place in it of its first batch; without one the order
        is that of the data.
    """

    def __init__(
        self,
        where: str,
        source: Source,
        steps: int | None = None,
        *,
        wraps: bool = False,
        position: int = 0,
        key: OrderKey | None = None,
    ) -> None:
        self._where = where
        self._source = source
        self._steps = steps
        self._wraps = wraps and steps is not None
        self._place = position % source.batches if source.batches else 0
        self._key = key
        self._pass: Iterator[Examples] | None = None
        self._held: Examples | None = None
        self._is_fresh = True  # nothing was drawn yet

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, None if that isn't known."""
        return self._source.batches if self._steps is None else self._steps

    @property
    def samples(self) -> int | None:
        """Samples in an epoch, None if that isn't known."""
        return self._source.samples if self._steps in (None, self._source.batches) else None

    @property
    def batch_size(self) -> int | None:
        """Samples in a batch, None if that isn't known."""
        return self._source.batch_size

    def ready(self) -> bool:
        """Draw the first batch of the next epoch, and so check it; return whether there is one.

        It warns if an iterator has no more.
        """
        if self._held is None:
            self._held = self._draw(begin=True)
            if self._held is None:
                self._warn()
        return self._held is not None

    def epoch(self) -> Iterator[Examples]:
        """Give the batches of the next epoch. It warns if the data ends before `steps`."""
        for number in itertools.count() if self._steps is None else range(self._steps):
            batch, self._held = self._held, None
            if batch is None:
                batch = self._draw(begin=number == 0 or self._wraps)
            if batch is None:
                if self._steps is not None:
                    self._warn()
                return
            yield batch

    def rewind(self) -> None:
        """Begin the next epoch where the data begins, if it can be passed through again."""
        if not self._source.once:
            self._pass = self._held = None

    def _draw(self, *, begin: bool) -> Examples | None:
        """Take the next batch: where a pass is over, that of the next pass if `begin`, else None."""
        batch = None if self._pass is None else next(self._pass, None)
        if batch is None:
            self._pass = None
            if not begin:
                return None
            key = None if self._key is None else self._key(self._place)
            self._pass, self._place = self._source.one_pass(self._place, key), 0
            batch = next(self._pass, None)
            if batch is None and (self._is_fresh or not self._source.once):
                raise ValueError(f"{self._where}: x must give one batch at least, received none")
        self._is_fresh = False
        return batch

    def _warn(self) -> None:
        warnings.warn(
            f"{self._where}: x ran out of batches before all epochs and steps were done", stacklevel=4
        )


def validation_feed(
    model: CompiledModel, data: Any, batch_size: int | None, steps: int | None, *, times: int
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
