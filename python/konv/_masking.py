"""Zeroing some elements of an array in place."""

from __future__ import annotations

import numpy as np

from konv.backend import Array


def keep(array: Array, kept: Array) -> Array:
    """Zero the elements of a fresh array that are not kept, infinities and NaN too.

    The bits are multiplied by 0 or 1: for a random mask that is ten times as fast as `copyto` or `where`,
    which branch on each element.

    Parameters
    ----------
    array : array
        Float32 or float64; changed.
    kept : array of bool
        Of a shape that broadcasts to that of `array`.

    Returns
    -------
    array
        The array itself.

    Examples
    --------
    >>> keep(np.array([1.0, np.inf, np.nan]), np.array([True, False, False])).tolist()
    [1.0, 0.0, 0.0]
    """
    bits = array.view(np.dtype(f"u{array.dtype.itemsize}"))
    bits *= kept
    return array
