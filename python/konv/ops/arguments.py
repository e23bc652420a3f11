"""Brings the arguments of `konv.ops` into the one form that kernels take.

Each function returns its argument normalised or raises with a message that says what was expected and what
was received. Sizes (ranks, channels, outputs, overflow) are checked once, in C++; what C++ can't see is
checked here: types, spellings, and ints that don't fit in 64 bits.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from konv.backend import Array, Backend, route

IntOrPair: TypeAlias = int | tuple[int, int]
"""One int for both axes, or (height, width)."""

PaddingArgument: TypeAlias = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
"""`"valid"`, `"same"`, one int for all sides, (height, width), or ((top, bottom), (left, right))."""

Pads: TypeAlias = str | tuple[int, int, int, int]
"""What kernels take: `"valid"`, `"same"` or (top, bottom, left, right)."""

ALL_GRADIENTS = ("x", "kernel", "bias")
"""Names of the gradients that `needs` may ask for."""

_PADDING_NAMES = frozenset({"valid", "same"})
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

_AN_INT = "an int"
_INT_OR_PAIR = "an int or a pair of ints (height, width)"
_PADDING = '"valid", "same", an int, (height, width) or ((top, bottom), (left, right))'
_SHAPE = "a tuple of 4 ints"
_EPSILON = "a finite number of at least 0"


def arrays(
    op: str, named: dict[str, Array | None], optional: tuple[str, ...] = ()
) -> tuple[Backend, list[Array]]:
    """Take arrays of one backend and one dtype; those named in `optional` may be None and stay so."""
    backend: Backend | None = None
    taken: list[Array] = []
    for name, value in named.items():
        if value is None and name in optional:
            taken.append(None)
            continue
        own_backend, array = route(value, f"{op}: {name}")
        dtype = array.dtype
        if backend is None:
            backend, first_name, first_dtype = own_backend, name, dtype
            if dtype not in backend.dtypes:
                expected = " or ".join(sorted(known.name for known in backend.dtypes))
                raise TypeError(f"{op}: {name} must have dtype {expected}, received {_dtype_text(dtype)}")
        elif own_backend is not backend:
            raise _mixed_backends(op, name, own_backend, first_name, backend)
        elif dtype is not first_dtype and dtype != first_dtype:
            raise TypeError(
                f"{op}: all arrays must have one dtype, received {name} of {_dtype_text(dtype)} "
                f"and {first_name} of {_dtype_text(first_dtype)}"
            )
        taken.append(backend.contiguous(array, op))
    assert backend is not None, "no op has only optional arrays"
    return backend, taken


def argmax_array(op: str, argmax: Array, backend: Backend, pool_size: tuple[int, int]) -> Array:
    """Take the positions that `max_pool2d_with_argmax` gave for windows of `pool_size`."""
    own_backend, argmax = route(argmax, f"{op}: argmax")
    if own_backend is not backend:
        raise _mixed_backends(op, "argmax", own_backend, "grad", backend)
    expected = np.dtype(np.uint8 if pool_size[0] * pool_size[1] <= 256 else np.int32)
    if min(pool_size) > 0 and argmax.dtype != expected:  # smaller windows are refused with the other sizes
        raise TypeError(
            f"{op}: argmax must have dtype {expected} for pool_size {pool_size}, "
            f"received {_dtype_text(argmax.dtype)}"
        )
    return backend.contiguous(argmax, op)


def integer(op: str, name: str, value: Any) -> int:
    """Take an int of Python or NumPy that fits in 64 bits."""
    return _int64(op, name, value, _AN_INT, value)


def pair(op: str, name: str, value: Any) -> tuple[int, int]:
    """Take an int or (height, width) as a pair."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{op}: {name} must be {_INT_OR_PAIR}, received {shown(value)}")
        height, width = value
        return _int64(op, name, height, _INT_OR_PAIR, value), _int64(op, name, width, _INT_OR_PAIR, value)
    both = _int64(op, name, value, _INT_OR_PAIR, value)
    return both, both


def optional_pair(op: str, name: str, value: Any) -> tuple[int, int] | None:
    """Take what `pair` takes, or None."""
    return None if value is None else pair(op, name, value)


def pads(op: str, value: Any) -> Pads:
    """Take a padding in any of its spellings."""
    if isinstance(value, str):
        if value not in _PADDING_NAMES:
            raise ValueError(f"{op}: padding must be {_PADDING}, received {shown(value)}")
        return value
    if not isinstance(value, (tuple, list)):
        same = _int64(op, "padding", value, _PADDING, value)
        return same, same, same, same
    if len(value) != 2:
        raise ValueError(f"{op}: padding must be {_PADDING}, received {shown(value)}")
    rows, columns = value
    if isinstance(rows, (tuple, list)) and isinstance(columns, (tuple, list)):
        if len(rows) != 2 or len(columns) != 2:
            raise ValueError(f"{op}: padding must be {_PADDING}, received {shown(value)}")
        sides = (*rows, *columns)
    else:
        sides = (rows, rows, columns, columns)
    top, bottom, left, right = (_int64(op, "padding", side, _PADDING, value) for side in sides)
    return top, bottom, left, right


def shape4(op: str, name: str, value: Any) -> tuple[int, int, int, int]:
    """Take the shape of an image batch or of a kernel."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{op}: {name} must be {_SHAPE}, received {shown(value)}")
    if len(value) != 4:
        raise ValueError(f"{op}: {name} must be {_SHAPE}, received {shown(value)}")
    a, b, c, d = (_int64(op, name, size, _SHAPE, value) for size in value)
    return a, b, c, d


def flag(op: str, name: str, value: Any) -> bool:
    """Take a bool of Python or NumPy."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be True or False, received {shown(value)}")
    return bool(value)


def is_relu(op: str, activation: Any) -> bool:
    """Take the name of an activation that kernels apply to their result."""
    if activation is None:
        return False
    if not isinstance(activation, str):
        raise TypeError(f'{op}: activation must be None or "relu", received {shown(activation)}')
    if activation != "relu":
        raise ValueError(f'{op}: activation must be None or "relu", received {shown(activation)}')
    return True


def algorithm_name(op: str, value: Any) -> str:
    """Take the name of an algorithm; C++ knows the names, and which of them can do the shape."""
    if not isinstance(value, str):
        raise TypeError(f"{op}: algorithm must be a str, received {shown(value)}")
    return value


def needed(op: str, needs: Iterable[str]) -> tuple[bool, bool, bool]:
    """Take the names of the gradients asked for, as one bool each for x, kernel and bias."""
    if not isinstance(needs, (tuple, list, set, frozenset)):
        raise TypeError(f"{op}: needs must be a tuple, list or set of names, received {shown(needs)}")
    for name in needs:
        if not isinstance(name, str):
            raise TypeError(f"{op}: needs must hold names, received {shown(needs)}")
        if name not in ALL_GRADIENTS:
            raise ValueError(f'{op}: needs may name "x", "kernel" and "bias", received {shown(needs)}')
    return "x" in needs, "kernel" in needs, "bias" in needs


def epsilon_value(op: str, value: Any) -> float:
    """Take what is added to a variance."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{op}: epsilon must be {_EPSILON}, received {shown(value)}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the largest float
        number = math.inf
    if not 0.0 <= number < math.inf:
        raise ValueError(f"{op}: epsilon must be {_EPSILON}, received {shown(value)}")
    return number


def _int64(op: str, name: str, value: Any, expected: str, received: Any) -> int:
    if type(value) is not int:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{op}: {name} must be {expected}, received {shown(received)}")
        value = int(value)
    number: int = value
    if not _INT64_MIN <= number <= _INT64_MAX:
        raise ValueError(f"{op}: {name} must fit in 64 bits, received {shown(received)}")
    return number


class _Shown(reprlib.Repr):
    """A repr that stays short, and that also holds for ints too long for Python to print."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80

    def repr_int(self, value: int, level: int) -> str:
        return str(value) if value.bit_length() <= 128 else f"<int of {value.bit_length()} bits>"

    def repr_ndarray(self, value: np.ndarray[Any, Any], level: int) -> str:
        return f"<array of shape {value.shape} and dtype {value.dtype}>"


_SHOWN = _Shown()


def shown(value: Any) -> str:
    """Show what was received, with its type."""
    return f"{_SHOWN.repr(value)} ({type(value).__name__})"


def _dtype_text(dtype: np.dtype[Any]) -> str:
    return dtype.name if dtype.isnative else f"{dtype.name} of foreign byte order"


def _mixed_backends(op: str, name: str, backend: Backend, first_name: str, first: Backend) -> TypeError:
    return TypeError(
        f"{op}: all arrays must be of one kind, received {name} of {backend.name} "
        f"and {first_name} of {first.name}"
    )
