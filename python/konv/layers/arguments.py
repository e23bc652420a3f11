"""Arguments of all layers: names, also those that are given to layers without one, and dtypes."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from konv._arguments import shown, text

_DTYPES = {
    spelling: dtype
    for dtype in (np.dtype(np.float32), np.dtype(np.float64))
    for spelling in (dtype, dtype.type, dtype.name)
}
_name_counts: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
_given_names: set[str] = set()


def automatic_name(base: str) -> str:
    """Number the names of this process: conv2d, conv2d_1, ..., without those that were given.

    So a new layer doesn't share its name with one of a model that was loaded.
    """
    for number in _name_counts[base]:
        name = f"{base}_{number}" if number else base
        if name not in _given_names:
            break
    return name


def checked_name(where: str, name: Any) -> str:
    """Take a name that can stand in the path of a weight."""
    if not text(where, "name", name) or "/" in name or not name.isprintable():
        raise ValueError(
            f"{where}: name must be a str that is not empty, printable and without '/', "
            f"received {shown(name)}"
        )
    _given_names.add(name)
    return str(name)


def checked_dtype(where: str, dtype: Any) -> np.dtype[Any]:
    """Take a dtype that kernels compute in."""
    message = f'{where}: dtype must be "float32" or "float64", received {shown(dtype)}'
    if not isinstance(dtype, (str, type, np.dtype)):
        raise TypeError(message)
    if dtype not in _DTYPES:
        raise ValueError(message)
    return _DTYPES[dtype]
