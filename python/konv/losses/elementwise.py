"""Losses that compare labels and outputs one by one and take the mean over the last axis.

Formulas are those of Keras 3's TensorFlow backend. With z a logit, p a probability (or any output) and t its
label, and clip keeping a probability in [1e-7, 1 - 1e-7]:

- binary cross-entropy: `-(t * log(clip(p)) + (1 - t) * log(1 - clip(p)))`, from logits
  `max(z, 0) - z * t + log(1 + exp(-|z|))`; a clipped probability has no gradient;
- squared error: `(p - t)**2`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import Shape, real
from konv.backend import NDArray
from konv.losses.arguments import check_dtype, check_outputs, clip, equal_but_for_last_1, unclipped
from konv.losses.base import Gradient, Loss, over_rows
from konv.losses.crossentropy import Crossentropy


class BinaryCrossentropy(Crossentropy):
    """Cross-entropy of outputs that are each the probability of a yes, averaged over the last axis.

    Labels have the shape of the outputs `(N, ..., C)`; a last axis of 1 may be missing in either.

    Parameters
    ----------
    from_logits : bool
    label_smoothing : float
        In [0, 1]: s makes labels y `y * (1 - s) + s / 2`.
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from konv.losses import BinaryCrossentropy
    >>> loss = BinaryCrossentropy()
    >>> round(loss(np.array([[0, 1], [0, 0]]), np.array([[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

    fuses_with = "sigmoid"

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, *, name: str | None = None
    ) -> None:
        super().__init__(from_logits, name=name)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Gradient]:
        labels = _labels(self, y_true, y_pred)
        if self.label_smoothing:
            with np.errstate(all="ignore"):
                labels = labels * (1.0 - self.label_smoothing)
                labels += 0.5 * self.label_smoothing
        return over_rows(_binary_of_logits if self.from_logits else _binary, labels, y_pred)

    def check_labels(self, labels: str, y_true: NDArray, y_pred: tuple[int, ...]) -> None:
        _check_shapes(labels, y_true.shape, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


class MeanSquaredError(Loss):
    """Mean over the last axis of the squared difference.

    Labels have the shape of the outputs `(N, ..., C)`; a last axis of 1 may be missing in either.

    Parameters
    ----------
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from konv.losses import MeanSquaredError
    >>> MeanSquaredError()(np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]]))
    0.5
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Gradient]:
        return over_rows(_squared, _labels(self, y_true, y_pred), y_pred)

    def check_labels(self, labels: str, y_true: NDArray, y_pred: tuple[int, ...]) -> None:
        _check_shapes(labels, y_true.shape, y_pred)


def _binary(y_true: NDArray, p: NDArray) -> tuple[NDArray, Gradient]:
    def gradient(scale: NDArray) -> NDArray:
        clipped = clip(p)
        grad = clipped - y_true
        grad /= clipped * (1 - clipped)
        np.copyto(grad, 0, where=~unclipped(p))
        grad *= scale / p.shape[-1]
        return grad

    clipped = clip(p)
    values = y_true * np.log(clipped)
    values += (1 - y_true) * np.log(1 - clipped)
    return -values.mean(axis=-1), gradient


def _binary_of_logits(y_true: NDArray, z: NDArray) -> tuple[NDArray, Gradient]:
    exp = abs(z)
    np.negative(exp, out=exp)
    np.exp(exp, out=exp)
    values = np.log1p(exp)
    values += np.maximum(z, 0)
    values -= z * y_true

    def gradient(scale: NDArray) -> NDArray:
        grad = np.where(z >= 0, 1, exp)
        grad /= 1 + exp  # now sigmoid(z)
        grad -= y_true
        grad *= scale / z.shape[-1]
        return grad

    return values.mean(axis=-1), gradient


def _squared(y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Gradient]:
    difference = y_pred - y_true

    def gradient(scale: NDArray) -> NDArray:
        return np.asarray(difference * (scale * 2 / y_pred.shape[-1]))

    return np.square(difference).mean(axis=-1), gradient


def _labels(loss: Loss, y_true: NDArray, y_pred: NDArray) -> NDArray:
    """Return labels as rows of the dtype of the outputs."""
    check_outputs(loss.name, y_pred, "(N, ..., C)", 1)
    check_dtype(loss.name, y_true)
    loss.check_labels(f"{loss.name}: y_true", y_true, y_pred.shape)
    with np.errstate(all="ignore"):
        labels = np.ascontiguousarray(y_true, y_pred.dtype)
    return labels.reshape(-1, y_pred.shape[-1] if y_pred.ndim > 1 else 1)


def _check_shapes(labels: str, y_true: Shape, y_pred: Shape) -> None:
    if not equal_but_for_last_1(y_true, y_pred):
        raise ValueError(f"{labels} must have the shape of the outputs, {y_pred}, received {y_true}")
