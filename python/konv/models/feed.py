"""Where the batches of training come from, and how they make up epochs.

A source gives passes through its data: arrays, objects of batches by index (as `keras.utils.PyDataset`), and
anything that can be iterated. A feed cuts the passes into epochs. Without `steps` an epoch is one pass. With
`steps` the passes are one stream, cut after so many batches: where a pass ends within an epoch the next one
begins.
"""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, Protocol

import numpy as np

from konv import _random
from konv._arguments import at_least
from konv.models.examples import Examples
from konv.models.signature import Signature

_BATCH_SIZE = 32

OrderKey = Callable[[int], int]
"""Key of the order of a pass whose next batch stands at a place."""


class Source(Protocol):
    """Data that can be passed through.

    Attributes
    ----------
    samples, batches : int or None
        Of a pass, None where that isn't known.
    batch_size : int or None
    once : bool
        Whether there is only one pass: an iterator goes on where it was.
    """

    samples: int | None
    batches: int | None
    batch_size: int | None
    once: bool

    def one_pass(self, place: int, key: int | None) -> Iterator[Examples]:
        """Give the batches of a pass from a place on, in the order that the key gives, if there is one."""


class ArraySource:
    """Arrays, cut into batches, the last one maybe smaller; shuffled sample by sample.

    Parameters
    ----------
    examples : Examples
        May have no samples, which make one batch.
    batch_size : int, optional
        Default: 32, or what makes `steps` batches of a pass, as in Keras.
    steps : int, optional
    """

    once = False

    def __init__(self, examples: Examples, batch_size: int | None = None, steps: int | None = None) -> None:
        count = len(examples)
        if batch_size is None:
            batch_size = max(-(-count // steps), 1) if steps else _BATCH_SIZE
        self._size = batch_size
        self._examples = examples
        self.batch_size: int | None = self._size
        self.samples: int | None = count
        self.batches: int | None = max(-(-count // self._size), 1)

    def one_pass(self, place: int, key: int | None) -> Iterator[Examples]:
        count = len(self._examples)
        order = None if key is None else _random.permutation(key, count)
        for start in range(place * self._size, max(count, 1), self._size):
            part = slice(start, start + self._size)
            yield self._examples[part if order is None else order[part]]


class IndexedSource:
    """An object whose `[i]` is a batch, with a length or `num_batches`; shuffled batch by batch.

    After each pass its `on_epoch_end` is called if it has one.
    """

    once = False
    samples: int | None = None
    batch_size: int | None = None

    def __init__(self, data: Any, signature: Signature, *, labelled: bool = True) -> None:
        self._data = data
        self._signature = signature
        self._labelled = labelled
        self.batches: int | None = len(data) if hasattr(data, "__len__") else data.num_batches
        if self.batches is not None:
            self.batches = at_least(0, signature.where, "num_batches of x", self.batches)

    def one_pass(self, place: int, key: int | None) -> Iterator[Examples]:
        if self.batches is None:
            places: Iterable[int] = itertools.count(place)
        else:
            order = np.arange(self.batches) if key is None else _random.permutation(key, self.batches)
            places = order[place:].tolist()
        for number in places:
            yield self._signature.batch(self._data[number], number, labelled=self._labelled)
        if hasattr(self._data, "on_epoch_end"):
            self._data.on_epoch_end()


class IterableSource:
    """Anything that can be iterated and gives batches, in the order in which it gives them."""

    samples: int | None = None
    batch_size: int | None = None

    def __init__(self, data: Iterable[Any], signature: Signature, *, labelled: bool = True) -> None:
        self._data = data
        self._signature = signature
        self._labelled = labelled
        self._given = 0
        self.once = hasattr(data, "__next__")
        self.batches: int | None = None
        if isinstance(data, Sized):
            with contextlib.suppress(TypeError):  # by which some say that their length isn't known
                self.batches = len(data)

    def one_pass(self, place: int, key: int | None) -> Iterator[Examples]:
        for given in self._data:
            yield self._signature.batch(given, self._given, labelled=self._labelled)
            self._given += 1


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


def gives_batches(x: Any) -> bool:
    """Whether data is an iterable of batches, not an array, or a list or dict of arrays.

    Examples
    --------
    >>> gives_batches(np.zeros(3)), gives_batches(iter([]))
    (False, True)
    """
    if isinstance(x, (list, tuple, dict, str, bytes, memoryview)):
        return False
    if hasattr(x, "__dlpack__") or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or _is_indexed(x)


def source_of_batches(signature: Signature, data: Any, *, labelled: bool = True) -> Source:
    """Return the source for something that `gives_batches`."""
    kind = IndexedSource if _is_indexed(data) else IterableSource
    return kind(data, signature, labelled=labelled)


def _is_indexed(data: Any) -> bool:
    return hasattr(data, "__getitem__") and (hasattr(data, "__len__") or hasattr(data, "num_batches"))
