"""Where the batches of training come from.

A source gives passes through its data: arrays, objects of batches by index (as `keras.utils.PyDataset`), and
anything that can be iterated.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sized
from typing import Any, Protocol

import numpy as np

from konv import _random
from konv._arguments import at_least, shown
from konv.models.examples import Examples
from konv.models.signature import Signature

_BATCH_SIZE = 32

Given = tuple[Any, Any, Any]
"""x, y and sample_weight as a user gave them."""


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


def _is_indexed(data: Any) -> bool:
    return hasattr(data, "__getitem__") and (hasattr(data, "__len__") or hasattr(data, "num_batches"))
