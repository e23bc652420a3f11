"""`konv.utils`: reproducible runs, and labels as one-hot rows."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from konv import _random
from konv._arguments import at_least, require_memory, shown
from konv.backend import NDArray

__all__ = ["set_random_seed", "to_categorical"]


def __dir__() -> list[str]:
    return __all__


def set_random_seed(seed: int) -> None:
    """Make everything random that follows repeat, to the bit, for any number of threads.

    Layers and models made, and models compiled, after this call take their seeds from `seed`. It seeds the
    generators of Python's `random` and of `numpy.random` too, for the scripts around the model.

    Parameters
    ----------
    seed : int
        0 to 2^32 - 1.

    Raises
    ------
    TypeError
        If `seed` is not an int.
    ValueError
        If `seed` is out of range.

    Examples
    --------
    >>> from konv.utils import set_random_seed
    >>> set_random_seed(42)
    """
    seed = at_least(0, "set_random_seed", "seed", seed)
    if seed >= 2**32:
        raise ValueError(f"set_random_seed: seed must be below 2**32, received {shown(seed)}")
    python_random.seed(seed)
    np.random.seed(seed)
    _random.set_seed(seed)


def to_categorical(x: Any, num_classes: int | None = None) -> NDArray:
    """Turn integer labels into one-hot rows.

    Parameters
    ----------
    x : array_like of int
        Labels of any shape, 0 to `num_classes - 1`. A last axis of length 1 is dropped.
    num_classes : int, optional
        Default: the largest label plus 1.

    Returns
    -------
    array
        `x.shape + (num_classes,)`, float32.

    Raises
    ------
    TypeError
        If `x` doesn't hold integers.
    ValueError
        If a label is out of range.
    MemoryError
        If the result can't be held.

    Examples
    --------
    >>> from konv.utils import to_categorical
    >>> to_categorical([0, 2], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    where = "to_categorical"
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{where}: x must not be masked, received {shown(x)} (fill its gaps first)")
    try:
        labels = np.asarray(x)
    except ValueError:  # rows of different lengths
        raise TypeError(f"{where}: x must be an array of integers, received {shown(x)}") from None
    if labels.dtype.kind not in "iu" and labels.size:
        raise TypeError(f"{where}: x must hold integers, received dtype {labels.dtype}")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, -1)
    classes = high + 1 if num_classes is None else at_least(1, where, "num_classes", num_classes)
    if low < 0 or high >= classes:
        bounds = "at least 0" if num_classes is None else f"from 0 to {classes - 1}"
        raise ValueError(f"{where}: labels must be {bounds}, received {low} to {high}")
    flat = labels.reshape(-1).astype(np.int64)
    require_memory(f"{where}: the result", (flat.size, classes), np.dtype(np.float32))
    rows = np.zeros((flat.size, classes), np.float32)
    rows[np.arange(flat.size), flat] = 1.0
    return rows.reshape(*labels.shape, classes)
