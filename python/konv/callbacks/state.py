"""The state of callbacks: numbers and arrays by name, which files keep as tensors.

What comes from a file may be anything: it is taken apart by a `StateReader`, which checks names, shapes and
dtypes, before any of it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from konv._arguments import shown
from konv.backend import NDArray

State = tuple[str, dict[str, NDArray]]
"""Name of a callback's class, and its state."""

_NO_BOUND = 2**63 - 1


def as_arrays(where: str, state: Any) -> dict[str, NDArray]:
    """Turn what a `get_state` returned into arrays: ints into int64, floats into float64."""
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise TypeError(f"{where}: get_state must return a dict with names, received {shown(state)}")
    return {name: _as_array(where, name, value) for name, value in state.items()}


def _as_array(where: str, name: str, value: Any) -> NDArray:
    if isinstance(value, np.ndarray):
        array = value
    elif isinstance(value, (int, np.integer)) and -_NO_BOUND <= value <= _NO_BOUND:
        array = np.array(int(value), np.int64)
    elif isinstance(value, (float, np.floating)):
        array = np.array(float(value), np.float64)
    else:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{where}: get_state: {name} must be a number or an array, received {shown(value)}")
    return array


class StateReader:
    """Takes a state apart; whatever is not as asked for is a ValueError.

    Parameters
    ----------
    where : str
        The callback.
    state : dict
        Arrays, or numbers, by name.
    """

    def __init__(self, where: str, state: Any) -> None:
        if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
            raise ValueError(f"{where}: state must be a dict with names, received {shown(state)}")
        self._where = where
        self._unread = dict(state)

    def count(self, name: str) -> int:
        """Take an int of at least 0."""
        number = int(self.array(name, np.int64, ()))
        if number < 0:
            raise ValueError(f"{self._where}: state: {name} must be at least 0, received {number}")
        return number

    def number(self, name: str) -> float:
        """Take a float."""
        return float(self.array(name, np.float64, ()))

    def optional_number(self, name: str) -> float | None:
        """Take a float, None where there is none."""
        return self.number(name) if name in self._unread else None

    def array(self, name: str, dtype: Any, shape: tuple[int, ...] | None = None) -> NDArray:
        """Take an array of a dtype and a shape, any of one axis where `shape` is None."""
        if name not in self._unread:
            raise ValueError(
                f"{self._where}: state must have {name}, received {shown(sorted(self._unread))} besides what "
                "was taken"
            )
        value = self._unread.pop(name)
        try:
            array = _as_array(self._where, name, value)
        except TypeError:
            array = np.array(None)
        if array.dtype != dtype or (array.ndim != 1 if shape is None else array.shape != shape):
            wanted = "one axis" if shape is None else f"shape {shape}"
            raise ValueError(
                f"{self._where}: state: {name} must have {wanted} and dtype {np.dtype(dtype)}, "
                f"received {shown(value)}"
            )
        return array

    def names(self, prefix: str) -> list[str]:
        """Return the names not taken yet that begin with a prefix, in order."""
        return [name for name in self._unread if name.startswith(prefix)]

    def finish(self) -> None:
        """Refuse anything that was not asked for."""
        if self._unread:
            raise ValueError(
                f"{self._where}: state must have nothing else, received also {shown(sorted(self._unread))}"
            )
