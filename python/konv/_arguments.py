"""Checks of plain arguments (numbers, flags, names, shapes), and how messages show what was received.

Each function returns its argument normalised, or raises with a message that opens with `where` (an op, layer
or function) and says what was expected and what was received. Arrays are taken by `konv.ops.arguments`.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import reprlib
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np

from konv import _core
from konv.backend import NDArray

Shape = tuple[int | None, ...]
"""A shape in which None stands for a size that isn't known yet."""

IntOrPair: TypeAlias = int | tuple[int, int]
"""One int for both axes, or (height, width)."""

PaddingArgument: TypeAlias = str | int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]
"""`"valid"`, `"same"`, one int for all sides, (height, width), or ((top, bottom), (left, right))."""

Pads: TypeAlias = str | tuple[int, int, int, int]
"""What kernels take: `"valid"`, `"same"` or (top, bottom, left, right)."""

T = TypeVar("T")

_PADDING_NAMES = frozenset({"valid", "same"})
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

_NO_NUMBERS = (bool, np.timedelta64)  # though by their bases they are ints

_AN_INT = "an int"
_INT_OR_PAIR = "an int or a pair of ints (height, width)"
_PADDING = '"valid", "same", an int, (height, width) or ((top, bottom), (left, right))'


class _Shown(reprlib.Repr):
    """A repr that stays short, and that also holds for ints too long for Python to print."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80

    def repr_int(self, value: int, level: int) -> str:
        return str(value) if value.bit_length() <= 128 else f"<int of {value.bit_length()} bits>"

    def repr_ndarray(self, value: NDArray, level: int) -> str:
        return f"<array of shape {value.shape} and dtype {value.dtype}>"


_SHOWN = _Shown()


def shown(value: Any) -> str:
    """Show what was received, with its type."""
    return f"{_SHOWN.repr(value)} ({type(value).__name__})"


def int64(where: str, name: str, value: Any, expected: str, received: Any) -> int:
    """Take an int that fits in 64 bits, as one `expected` part of what was `received`."""
    if type(value) is not int:
        if not isinstance(value, (int, np.integer)) or isinstance(value, _NO_NUMBERS):
            raise TypeError(f"{where}: {name} must be {expected}, received {shown(received)}")
        value = int(value)
    number: int = value
    if not _INT64_MIN <= number <= _INT64_MAX:
        raise ValueError(f"{where}: {name} must fit in 64 bits, received {shown(received)}")
    return number


def integer(where: str, name: str, value: Any) -> int:
    """Take an int of Python or NumPy that fits in 64 bits."""
    return int64(where, name, value, _AN_INT, value)


def pair(where: str, name: str, value: Any) -> tuple[int, int]:
    """Take an int or (height, width) as a pair."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{where}: {name} must be {_INT_OR_PAIR}, received {shown(value)}")
        height, width = value
        return int64(where, name, height, _INT_OR_PAIR, value), int64(where, name, width, _INT_OR_PAIR, value)
    both = int64(where, name, value, _INT_OR_PAIR, value)
    return both, both


def optional_pair(where: str, name: str, value: Any) -> tuple[int, int] | None:
    """Take what `pair` takes, or None."""
    return None if value is None else pair(where, name, value)


def pads(where: str, value: Any) -> Pads:
    """Take a padding in any of its spellings."""
    if isinstance(value, str):
        if value not in _PADDING_NAMES:
            raise ValueError(f"{where}: padding must be {_PADDING}, received {shown(value)}")
        return value
    if not isinstance(value, (tuple, list)):
        same = int64(where, "padding", value, _PADDING, value)
        return same, same, same, same
    if len(value) != 2:
        raise ValueError(f"{where}: padding must be {_PADDING}, received {shown(value)}")
    rows, columns = value
    if isinstance(rows, (tuple, list)) and isinstance(columns, (tuple, list)):
        if len(rows) != 2 or len(columns) != 2:
            raise ValueError(f"{where}: padding must be {_PADDING}, received {shown(value)}")
        sides = (*rows, *columns)
    else:
        sides = (rows, rows, columns, columns)
    top, bottom, left, right = (int64(where, "padding", side, _PADDING, value) for side in sides)
    return top, bottom, left, right


def flag(where: str, name: str, value: Any) -> bool:
    """Take a bool of Python or NumPy."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{where}: {name} must be True or False, received {shown(value)}")
    return bool(value)


def at_least(low: int, where: str, name: str, value: Any) -> int:
    """Take an int of at least `low` that fits in 64 bits."""
    number = integer(where, name, value)
    if number < low:
        raise ValueError(f"{where}: {name} must be an int of at least {low}, received {shown(value)}")
    return number


def optional_count(where: str, name: str, value: Any) -> int | None:
    """Take an int of at least 1, or None."""
    return None if value is None else at_least(1, where, name, value)


def real(
    where: str,
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_high: bool = False,
) -> float:
    """Take a finite number from `low` to `high`, without `high` itself if `open_high`."""
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, _NO_NUMBERS):
        raise TypeError(f"{where}: {name} must be a number, received {shown(value)}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond the largest float
        number = math.inf
    if not math.isfinite(number) or not low <= number <= high or (open_high and number == high):
        if high < math.inf:
            wanted = f"in [{low:g}, {high:g}{')' if open_high else ']'}"
        else:
            wanted = "finite" if low == -math.inf else f"finite and at least {low:g}"
        raise ValueError(f"{where}: {name} must be {wanted}, received {shown(value)}")
    return number


def shape_of(where: str, name: str, value: Any, low: int = 1) -> Shape:
    """Take a tuple or list of sizes of at least `low`, None where a size isn't known."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{where}: {name} must be a tuple of ints or None, received {shown(value)}")
    return tuple(
        None if size is None else at_least(low, where, f"{name} (each size)", size) for size in value
    )


def text(where: str, name: str, value: Any) -> str:
    """Take a str."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {name} must be a str, received {shown(value)}")
    return value


def channels_last(where: str, value: Any) -> None:
    """Refuse any layout but NHWC."""
    if value is not None and text(where, "data_format", value) != "channels_last":
        raise ValueError(
            f'{where}: data_format must be None or "channels_last" (N, H, W, C), the only layout; '
            f"received {shown(value)}"
        )


def path_of(where: str, value: Any, name: str = "filepath") -> str:
    """Take the path of a file."""
    try:
        path = os.fsdecode(value)
    except TypeError:
        raise TypeError(
            f"{where}: {name} must be a str, bytes or os.PathLike, received {shown(value)}"
        ) from None
    if not path or "\0" in path:
        raise ValueError(f"{where}: {name} must be the name of a file, received {shown(value)}")
    return path


def require_memory(what: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise MemoryError if this process can't have an array of a shape."""
    needed = math.prod(shape) * dtype.itemsize
    try:
        _core.require_memory(what, min(needed, _INT64_MAX))
    except MemoryError:
        raise MemoryError(
            f"{what} must fit into the available memory, received shape {shape}, {needed} bytes"
        ) from None


def snake_case(name: str) -> str:
    """Name of a class as Keras writes it: `Conv2D` is conv2d, `MaxPooling2D` max_pooling2d, `ReLU` re_lu."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def instance(
    where: str,
    name: str,
    value: Any,
    kind: type[T],
    classes: Mapping[str, type[T]],
    other_names: tuple[str, ...] = (),
) -> T:
    """Take an instance of `kind`, the name of one of `classes`, or a class's `{"class_name": ..., "config":
    ...}`.

    Names are those of `classes`, in any case, or in snake case; an error lists `other_names` too, which the
    caller takes.
    """
    if isinstance(value, kind):
        return value
    config: Any = {}
    class_name: Any = value
    if isinstance(value, dict):
        if not is_class_and_config(value):
            raise ValueError(f'{where}: {name} must have "class_name" and "config", received {shown(value)}')
        class_name, config = value["class_name"], value["config"]
    if not isinstance(class_name, str):
        raise TypeError(
            f"{where}: {name} must be a str or an instance of {kind.__name__}, received {shown(value)}"
            + ("; did you forget ()?" if isinstance(value, type) and issubclass(value, kind) else "")
        )
    wanted = class_name.lower()
    for known, cls in classes.items():
        if wanted in (known.lower(), snake_case(known)):
            try:
                inspect.signature(cls).bind(**config)
            except TypeError:
                raise ValueError(
                    f"{where}: {name} must have a config of arguments of {known}, received {shown(config)}"
                ) from None
            try:
                return cls(**config)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where}: {name}: {error}") from None
    names = ", ".join(f'"{each}"' for each in (*map(snake_case, classes), *other_names))
    raise ValueError(f"{where}: {name} must be one of {names}, received {shown(class_name)}")


def class_and_config(value: Any) -> dict[str, Any]:
    """Describe an instance by its class and its `get_config()`, as `instance` takes it."""
    return {"class_name": type(value).__name__, "config": value.get_config()}


def is_class_and_config(value: Any) -> bool:
    """Whether a value is such a description; entries beside these two, such as Keras writes, do no harm."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("class_name"), str)
        and isinstance(value.get("config"), dict)
    )


def call_text(value: Any) -> str:
    """Show an instance as the call that makes another one like it, by its `get_config()`."""
    arguments = ", ".join(f"{name}={argument!r}" for name, argument in value.get_config().items())
    return f"{type(value).__name__}({arguments})"
