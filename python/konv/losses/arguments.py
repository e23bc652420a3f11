"""What losses and metrics ask of labels and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import Shape, shown
from konv.backend import NDArray

EPSILON = 1e-7
"""How far clipped probabilities stay from 0 and 1: `keras.config.epsilon()`."""


def as_array(where: str, name: str, value: Any) -> NDArray:
    """Take an array, or what NumPy makes one from."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: {name} must not be masked, received {shown(value)} (fill its gaps first)")
    try:
        return np.asarray(value)
    except (TypeError, ValueError):  # such as rows of different lengths
        raise TypeError(f"{where}: {name} must be an array of numbers, received {shown(value)}") from None


def check_dtype(where: str, y_true: NDArray, kind: str = "real numbers") -> None:
    """Raise TypeError unless labels are numbers."""
    if y_true.dtype.kind not in "fiub":
        raise TypeError(f"{where}: y_true must hold {kind}, received dtype {y_true.dtype}")


def check_outputs(where: str, y_pred: NDArray, form: str, least_rank: int) -> None:
    """Raise ValueError unless outputs are float32 or float64 and have a last axis, `form` as words say it."""
    if y_pred.dtype not in (np.float32, np.float64) or y_pred.ndim < least_rank or y_pred.shape[-1] == 0:
        raise ValueError(
            f"{where}: y_pred must be floats of shape {form}, float32 or float64, "
            f"received dtype {y_pred.dtype} and shape {y_pred.shape}"
        )


def equal_but_for_last_1(y_true: Shape, y_pred: Shape) -> bool:
    """Say whether labels can be compared with outputs one by one: of one shape, but for a last axis of 1."""
    return bool(y_pred) and (y_true == y_pred or (*y_true, 1) == y_pred or y_true == (*y_pred, 1))


def clip(p: NDArray) -> NDArray:
    """Return probabilities kept in [1e-7, 1 - 1e-7]; a NaN stays NaN."""
    low, high = _bounds(p)
    clipped = np.maximum(p, low)
    return np.asarray(np.minimum(clipped, high, out=clipped))


def unclipped(p: NDArray) -> NDArray:
    """Say which probabilities `clip` leaves as they are, so which ones have a gradient."""
    low, high = _bounds(p)
    return np.asarray((p >= low) & (p <= high))


def _bounds(p: NDArray) -> tuple[Any, Any]:
    return p.dtype.type(EPSILON), p.dtype.type(1.0 - EPSILON)
