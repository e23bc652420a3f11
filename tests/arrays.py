"""Arrays for the tests: drawn from a name, between guard bands of NaN, in every layout that an op must take.

A kernel that reads past the ends of an array meets NaN and shows it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from reference import Shape

Array = NDArray[Any]

GUARD = 37
"""Elements of NaN on each side of an array: odd, so that no vector load is aligned by luck."""


def guarded(array: Array) -> Array:
    """Copy an array to the middle of NaNs; the copy is contiguous."""
    fill = np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    band = np.full(array.size + 2 * GUARD, fill, array.dtype)
    band[GUARD : GUARD + array.size] = array.ravel()
    return band[GUARD : GUARD + array.size].reshape(array.shape)


def draw(name: str, shape: Shape, dtype: DTypeLike, *, centre: float = 0.0) -> Array:
    """Draw numbers of magnitude 0.5 to 1.5, so that no term of a sum is lost unseen, around `centre`."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    numbers = generator.uniform(0.5, 1.5, shape) * generator.choice((-1.0, 1.0), shape)
    return guarded(np.asarray(numbers + centre, dtype))


def draw_integers(name: str, shape: Shape, dtype: DTypeLike) -> Array:
    """Draw integers from -3 to 3: their sums of products are exact, and their maxima tie."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return guarded(np.asarray(generator.integers(-3, 4, shape), dtype))


def with_non_finite(array: Array) -> Array:
    """NaN, inf and -inf among the numbers, in the first, a middle and the last element."""
    spoilt: Array = array.copy()
    spoilt.flat[[0, array.size // 2, array.size - 1]] = np.nan, np.inf, -np.inf
    return spoilt


class DLPackOnly:
    """An array that offers nothing but the DLPack protocol."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def _every_other(array: Array) -> Array:
    """A view of every second element along each axis of an array twice as large, NaN or 0 between."""
    fill = np.nan if array.dtype.kind == "f" else 0
    wide = np.full([2 * n for n in array.shape], fill, array.dtype)
    view: Array = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def _reversed(array: Array) -> Array:
    """A view of negative strides."""
    return np.flip(np.flip(array).copy())


def _misaligned(array: Array) -> Array:
    """A contiguous copy that starts at an odd address."""
    raw = np.empty(array.nbytes + 1, np.uint8)
    view: Array = np.ndarray(array.shape, array.dtype, raw.data, 1)
    view[...] = array
    return view


def _read_only(array: Array) -> Array:
    """A copy that must not be written to."""
    copy: Array = array.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "column_major": np.asfortranarray,
    "every_other": _every_other,
    "reversed": _reversed,
    "misaligned": _misaligned,
    "read_only": _read_only,
    "dlpack": DLPackOnly,
}
"""Ways in which the same numbers can be handed to an op: the result must not depend on them."""
