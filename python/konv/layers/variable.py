"""Weights of layers: arrays that training or a layer changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from konv import _prepared
from konv._arguments import require_memory, shown
from konv.backend import Array, NDArray
from konv.initializers import Initializer
from konv.regularizers import Regularizer

_Arrays = tuple[NDArray, NDArray]


class Variable:
    """An array that a layer owns, made from its initializer when it is first read.

    A loaded model sets every value before anything reads it, so it spends no time on random numbers, and a
    file that claims enormous layers fails on its shapes before anything is allocated.

    Its value changes in `assign` and `changing` and nowhere else, and each change gives it another `version`.
    So what was computed from it (see `konv._prepared`) is never used after a change.

    Attributes
    ----------
    name : str
        Unique within its layer.
    shape : tuple of int
    dtype : dtype
    trainable : bool
        Whether gradients are computed for it while its layer is trainable.
    regularizer : Regularizer or None
        Penalty that training adds to the loss while the variable is trained.
    version : object
        Equal to what it was before if and only if the value has not been changed since. To be read before
        the value.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        initializer: Initializer,
        key: int,
        *,
        trainable: bool = True,
        regularizer: Regularizer | None = None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.trainable = trainable
        self.regularizer = regularizer
        self.version = object()
        self._initializer = initializer
        self._key = key

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def value(self) -> Array:
        """The array, read-only for good: `assign` changes it."""
        return self._arrays()[1]

    def _arrays(self) -> _Arrays:
        """Return the array, and itself read-only."""
        arrays: _Arrays | None = self.__dict__.get("_both")
        if arrays is None:
            require_memory(f"weight '{self.name}'", self.shape, self.dtype)
            made = self._initializer(self.shape, self._key)
            self.check(made)
            made = np.array(made, self.dtype, order="C")  # a user's initializer may keep what it returned
            # One array, also if several threads make it.
            arrays = self.__dict__.setdefault("_both", _with_view(made))
        return arrays

    def check(self, value: Any) -> None:
        """Raise unless `value` is an array that could be assigned."""
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"weight '{self.name}' must not be masked, received {shown(value)}")
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
            received = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else shown(value)
            raise TypeError(
                f"weight '{self.name}' must be a NumPy array of real numbers, received {received}"
            )
        if value.shape != self.shape:
            raise ValueError(f"weight '{self.name}' must have shape {self.shape}, received {value.shape}")
        largest = np.finfo(self.dtype).max
        if value.dtype != self.dtype and (np.isfinite(value) & (np.abs(value) > largest)).any():
            raise ValueError(
                f"weight '{self.name}' must be in the range of {self.dtype}, up to {largest:.3g}, "
                f"received numbers up to {np.abs(value[np.isfinite(value)]).max():.3g}"
            )

    def assign(self, value: NDArray) -> None:
        """Take a copy of an array of the same shape."""
        self.check(value)
        self._both = _with_view(np.array(value, self.dtype, order="C"))
        self._changed()

    @contextmanager
    def changing(self) -> Iterator[NDArray]:
        """Give the array itself, to be changed in place until the context ends."""
        array, _ = self._arrays()
        try:
            yield array
        finally:
            self._changed()

    def _changed(self) -> None:
        """Note a change, after it: who reads the version while it lasts will see another one."""
        self.version = object()
        _prepared.forget(self)
        _prepared.changed()

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return a copy of the value."""
        return np.array(self.value)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        return np.array(self.value, dtype)

    def __repr__(self) -> str:
        return f"<Variable {self.name} {self.shape} {self.dtype}>"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the view, which a pickle would make another array of."""
        state = dict(self.__dict__)
        if "_both" in state:
            state["_both"] = state["_both"][0]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_both" in state:
            self._both = _with_view(state["_both"])


def _with_view(array: NDArray) -> _Arrays:
    """Return an array, and itself read-only: over a buffer that is, for a plain view's `flags.writeable` may
    be set again, and the change would go unseen."""
    return array, np.asarray(array.data.toreadonly())
