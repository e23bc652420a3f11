"""Random numbers that are a pure function of a key and a position: Philox4x32-10.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A
block of four 32-bit words is ten rounds over a 128-bit counter under a 64-bit key, so that any part of a
stream can be drawn by itself, in any order, by any thread or device. Here the counter holds the number of the
block in its low 64 bits and a purpose in its third word: 0 for the words of a stream, 1 for deriving a key
from another.

A key is an int of 64 bits. It is derived along a path of ints: `derive(seed, SHUFFLE, step)`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from functools import partial

import numpy as np

from konv import _core
from konv.backend import Array, NDArray, route

# First step of the path under a model's seed, by use.
LAYER, SHUFFLE = 0, 1

_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85  # golden ratio; sqrt(3) - 1
_ROUNDS = 10
_LOW = 0xFFFFFFFF
_DERIVE = 1  # third word of the counter
_LARGEST_COUNT = 2**63 - 1  # what kernels can be asked for: a MemoryError


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Ten rounds of Philox4x32.

    Parameters
    ----------
    counter : tuple of int
        Four words below 2^32.
    key : tuple of int
        Two words below 2^32.

    Returns
    -------
    tuple of int
        Four words below 2^32.

    Examples
    --------
    >>> [f"{word:08x}" for word in philox4x32((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product_0, product_1 = c0 * _MULTIPLIER_0, c2 * _MULTIPLIER_1
        c0, c1 = (product_1 >> 32) ^ c1 ^ k0, product_1 & _LOW
        c2, c3 = (product_0 >> 32) ^ c3 ^ k1, product_0 & _LOW
        k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    return c0, c1, c2, c3


def derive(key: int, *path: int) -> int:
    """Derive a key from another, one ten-round block for each step of the path.

    Parameters
    ----------
    key : int
        0 to 2^64 - 1.
    *path : int
        Each 0 to 2^64 - 1.

    Returns
    -------
    int
        0 to 2^64 - 1.

    Examples
    --------
    >>> derive(7, 1, 2) == derive(derive(7, 1), 2)
    True
    """
    for step in path:
        low, high, _, _ = philox4x32((step & _LOW, step >> 32, _DERIVE, 0), (key & _LOW, key >> 32))
        key = low | high << 32
    return key


def words(key: int, count: int, *, offset: int = 0) -> NDArray:
    """Draw 32-bit words of a key's stream.

    Parameters
    ----------
    key : int
        0 to 2^64 - 1.
    count : int
        How many.
    offset : int
        Position in the stream of the first.

    Returns
    -------
    array
        `(count,)`, uint32.

    Examples
    --------
    >>> bool((words(1, 10)[3:] == words(1, 7, offset=3)).all())
    True
    """
    return _core.philox_words(key, offset, min(count, _LARGEST_COUNT))


def uniform(key: int, shape: tuple[int, ...], *, offset: int = 0) -> NDArray:
    """Draw uniform numbers in [0, 1): the high 24 bits of each word of the stream, exact in float32.

    Parameters
    ----------
    key : int
        0 to 2^64 - 1.
    shape : tuple of int
        Of the result; elements take words in C order.
    offset : int
        Position in the stream of the first element. A part of a batch draws what the whole batch would draw
        for it.

    Returns
    -------
    array
        Of `shape`, float32.

    Examples
    --------
    >>> uniform(0, (2,))
    array([0.39904642, 0.88052016], dtype=float32)
    """
    count = min(math.prod(shape), _LARGEST_COUNT)
    return _core.philox_uniform(key, offset, count).reshape(shape)


def dropout(key: int, array: Array, rate: float) -> Array:
    """Zero the elements whose uniform number is below a rate; scale the others by `1 / (1 - rate)`.

    Parameters
    ----------
    key : int
        0 to 2^64 - 1.
    array : array
        Float32 or float64; elements take words in C order.
    rate : float
        In [0, 1]; compared in float32.

    Returns
    -------
    array
        Of the shape and dtype of `array`, its own memory. What is dropped is +0.0, NaN and infinities too.

    Examples
    --------
    >>> dropout(0, np.ones(4, np.float32), 0.5).tolist()
    [0.0, 2.0, 2.0, 2.0]
    """
    backend, array = route(array, "dropout: x")
    return backend.kernels.dropout(backend.contiguous(array, "dropout"), key, 0, rate)


def permutation(key: int, count: int) -> NDArray:
    """Draw an order of `count` things.

    Each index takes two words of the key's stream as one number of 64 bits (low word first); the indices are
    sorted by their numbers, equal numbers by index.

    Parameters
    ----------
    key : int
        0 to 2^64 - 1.
    count : int
        At least 0.

    Returns
    -------
    array
        `(count,)`, the ints below `count`, int64.

    Examples
    --------
    >>> permutation(0, 5)
    array([3, 4, 2, 1, 0])
    """
    numbers = words(key, 2 * count).view(np.uint64)
    return np.argsort(numbers, kind="stable")


def _seeds_from(seed: int) -> Iterator[int]:
    return map(partial(derive, seed), itertools.count())


_seeds = _seeds_from(int.from_bytes(os.urandom(8), "little"))


def set_seed(seed: int) -> None:
    """Start the sequence of `new_seed` afresh from `seed` (0 to 2^64 - 1)."""
    global _seeds
    _seeds = _seeds_from(seed)


def new_seed() -> int:
    """Draw the next seed of this process; it starts from the system's entropy unless `set_seed` was
    called."""
    return next(_seeds)
