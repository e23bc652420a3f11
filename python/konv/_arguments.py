"""Checks of arguments that layers, models and training share, beside those of `konv.ops.arguments`.

Each function returns its argument normalised, or raises with a message that opens with `where` (a layer or
function) and says what was expected and what was received.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from konv import _core
from konv.ops.arguments import integer, shown

Shape = tuple[int | None, ...]
"""A shape in which None stands for a size that isn't known yet."""

T = TypeVar("T")

_INT64_MAX = 2**63 - 1


def at_least(low: int, where: str, name: str, value: Any) -> int:
    """Take an int of at least `low` that fits in 64 bits."""
    number = integer(where, name, value)
    if number < low:
        raise ValueError(f"{where}: {name} must be an int of at least {low}, received {shown(value)}")
    return number


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
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
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


def shape_of(where: str, name: str, value: Any) -> Shape:
    """Take a tuple or list of sizes of at least 1, None where a size isn't known."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{where}: {name} must be a tuple of ints or None, received {shown(value)}")
    return tuple(None if size is None else at_least(1, where, f"{name} (each size)", size) for size in value)


def text(where: str, name: str, value: Any) -> str:
    """Take a str."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {name} must be a str, received {shown(value)}")
    return value


def channels_last(where: str, value: Any) -> None:
    """Refuse any layout but NHWC."""
    if value is not None and value != "channels_last":
        raise ValueError(
            f'{where}: data_format must be None or "channels_last" (N, H, W, C), the only layout; '
            f"received {shown(value)}"
        )


def require_memory(where: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise MemoryError if this process can't have an array of a shape."""
    _core.require_memory(where, min(math.prod(shape) * dtype.itemsize, _INT64_MAX))


def snake_case(name: str) -> str:
    """Name of a class as Keras writes it: `Conv2D` is conv2d, `MaxPooling2D` max_pooling2d, `ReLU` re_lu."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def instance(where: str, name: str, value: Any, kind: type[T], classes: Mapping[str, type[T]]) -> T:
    """Take an instance of `kind`, the name of one of `classes`, or a class's `{"class_name": ..., "config":
    ...}`.

    Names are those of `classes`, in any case, or in snake case.
    """
    if isinstance(value, kind):
        return value
    config: Any = {}
    class_name: Any = value
    if isinstance(value, dict):
        class_name, config = value.get("class_name"), value.get("config")
        if not isinstance(class_name, str) or not isinstance(config, dict):
            raise ValueError(f'{where}: {name} must have "class_name" and "config", received {shown(value)}')
    if not isinstance(class_name, str):
        raise TypeError(
            f"{where}: {name} must be a str or an instance of {kind.__name__}, received {shown(value)}"
        )
    wanted = class_name.lower()
    for known, cls in classes.items():
        if wanted in (known.lower(), snake_case(known)):
            return cls(**config)
    names = ", ".join(f'"{snake_case(known)}"' for known in classes)
    raise ValueError(f"{where}: {name} must be one of {names}, received {shown(class_name)}")


def class_and_config(value: Any) -> dict[str, Any]:
    """Describe an instance by its class and its `get_config()`, as `instance` takes it."""
    return {"class_name": type(value).__name__, "config": value.get_config()}
