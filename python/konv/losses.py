"""`konv.losses`: what training makes small, with Keras 3's semantics (TensorFlow backend).

A loss gives one value for each sample (for outputs `(N, ..., classes)`, each of `(N, ...)`); that of a batch
is their mean. With z the logits and p the probabilities:

- categorical: `-sum(t * log(clip(p / sum(p))))`, from logits `sum(t * (logsumexp(z) - z))`;
- sparse categorical: `-log(softmax(log(clip(p)))[t])`, from logits `logsumexp(z) - z[t]`;

where clip keeps a probability in [1e-7, 1 - 1e-7].
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from konv._arguments import Shape, call_text, flag, instance
from konv.activations import softmax_forward

__all__ = ["CategoricalCrossentropy", "Crossentropy", "Loss", "SparseCategoricalCrossentropy", "get"]

NDArray = np.ndarray[Any, Any]

_EPSILON = 1e-7  # Keras's keras.config.epsilon()


class Loss:
    """Base of losses. A subclass defines `per_sample` and, if it has arguments, `get_config`."""

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Callable[[], NDArray]]:
        """Return the loss of each sample, and a function that gives the gradient of their sum to `y_pred`."""
        raise NotImplementedError(f"{type(self).__name__}: per_sample is not defined")

    def check_shapes(self, labels: str, y_true: Shape, y_pred: Shape) -> None:
        """Raise ValueError, which calls them `labels`, if labels of a shape don't go with outputs of a shape.

        Training asks once for all samples, before its first step.
        """

    def __call__(self, y_true: NDArray, y_pred: NDArray) -> float:
        """Return the mean over the samples.

        Parameters
        ----------
        y_true : array
            Labels.
        y_pred : array
            Outputs of a model, float32 or float64.
        """
        with np.errstate(all="ignore"):
            values, _ = self.per_sample(np.asarray(y_true), np.asarray(y_pred))
        return mean(values)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make another one like this."""
        return {}

    def __repr__(self) -> str:
        return call_text(self)


class Crossentropy(Loss):
    """Base of cross-entropies, from probabilities or from logits (before softmax).

    A model that ends in softmax is trained from its logits in either case: exact where a probability is 0 or
    1.

    Parameters
    ----------
    from_logits : bool
    """

    def __init__(self, from_logits: bool = False) -> None:
        self.from_logits = flag(type(self).__name__, "from_logits", from_logits)

    def on_logits(self) -> Crossentropy:
        """Return this loss for logits."""
        twin = copy.copy(self)
        twin.from_logits = True
        return twin

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits}


class CategoricalCrossentropy(Crossentropy):
    """Cross-entropy with labels as rows that sum to 1, such as one-hot rows `(N, ..., classes)`.

    Examples
    --------
    >>> loss = CategoricalCrossentropy()
    >>> round(loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Callable[[], NDArray]]:
        y_true = self._rows(y_true, y_pred)
        if self.from_logits:
            log_p, p = _log_softmax(y_pred)
            return -_sum(y_true * log_p)[..., 0], lambda: p * _sum(y_true) - y_true
        total = _sum(y_pred)
        p = y_pred / total
        clipped, inside = _clip(p)

        def gradient() -> NDArray:
            grad_p = np.where(inside, -y_true / clipped, 0)
            return (grad_p - _sum(grad_p * p)) / total

        return -_sum(y_true * np.log(clipped))[..., 0], gradient

    def check_shapes(self, labels: str, y_true: Shape, y_pred: Shape) -> None:
        if y_true != y_pred:
            advice = "for integer labels use sparse_categorical_crossentropy or konv.utils.to_categorical"
            raise _wrong_shape(labels, "rows of", y_pred, y_true, y_pred, advice)

    def _rows(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        where = "categorical_crossentropy"
        _check_outputs(where, y_pred)
        if y_true.dtype.kind not in "fiub":
            raise TypeError(f"{where}: y_true must hold real numbers, received dtype {y_true.dtype}")
        self.check_shapes(f"{where}: y_true", y_true.shape, y_pred.shape)
        return y_true.astype(y_pred.dtype, copy=False)


class SparseCategoricalCrossentropy(Crossentropy):
    """Cross-entropy with labels as integers, `(N, ...)` or `(N, ..., 1)` for outputs `(N, ..., classes)`.

    Examples
    --------
    >>> loss = SparseCategoricalCrossentropy()
    >>> round(loss(np.array([1]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Callable[[], NDArray]]:
        labels = self._labels(y_true, y_pred)
        if self.from_logits:
            inside = None
            log_p, p = _log_softmax(y_pred)
        else:
            clipped, inside = _clip(y_pred)
            log_p, p = _log_softmax(np.log(clipped))

        def gradient() -> NDArray:
            grad = p.copy()
            np.put_along_axis(grad, labels, np.take_along_axis(p, labels, -1) - 1, -1)
            return grad if inside is None else np.where(inside, grad / clipped, 0)

        return -np.take_along_axis(log_p, labels, -1)[..., 0], gradient

    def check_shapes(self, labels: str, y_true: Shape, y_pred: Shape) -> None:
        if y_true not in (y_pred[:-1], (*y_pred[:-1], 1)):
            advice = "for one-hot rows use categorical_crossentropy"
            raise _wrong_shape(labels, "integers of", y_pred[:-1], y_true, y_pred, advice)

    def _labels(self, y_true: NDArray, y_pred: NDArray) -> NDArray:
        """Return labels as int64 with a last axis of length 1."""
        where = "sparse_categorical_crossentropy"
        _check_outputs(where, y_pred)
        if y_true.dtype.kind not in "fiub":
            raise TypeError(f"{where}: y_true must hold integers, received dtype {y_true.dtype}")
        self.check_shapes(f"{where}: y_true", y_true.shape, y_pred.shape)
        y_true = y_true.reshape(*y_pred.shape[:-1], 1)
        classes = y_pred.shape[-1]
        with np.errstate(invalid="ignore"):  # NaN and what is too large become a wrong label, told below
            labels = y_true.astype(np.int64)
        wrong = (labels != y_true) | (labels < 0) | (labels >= classes)
        if wrong.any():
            raise ValueError(
                f"{where}: labels must be integers from 0 to {classes - 1}, received {y_true[wrong][0]}"
            )
        return labels


def mean(values: NDArray) -> float:
    """Mean of the losses of samples, summed in float64; 0 if there are none."""
    return float(values.mean(dtype=np.float64)) if values.size else 0.0


def _log_softmax(z: NDArray) -> tuple[NDArray, NDArray]:
    """Return log(softmax(z)) and softmax(z)."""
    p, _ = softmax_forward(z)
    shifted = z - z.max(axis=-1, keepdims=True)
    return shifted - np.log(_sum(np.exp(shifted))), p


def _clip(p: NDArray) -> tuple[NDArray, NDArray]:
    """Return probabilities away from 0 and 1, and where they were so before."""
    low, high = p.dtype.type(_EPSILON), p.dtype.type(1.0 - _EPSILON)
    return np.clip(p, low, high), ~((p < low) | (p > high))


def _sum(values: NDArray) -> NDArray:
    return np.asarray(values.sum(axis=-1, keepdims=True))


def _wrong_shape(
    labels: str,
    kind: str,
    expected: Shape,
    y_true: Shape,
    y_pred: Shape,
    advice: str,
) -> ValueError:
    if len(y_true) <= 2 < len(y_pred):  # labels of whole images, outputs for each pixel
        advice = f"the outputs have shape {y_pred}; is a Flatten missing?"
    return ValueError(f"{labels} must be {kind} shape {expected}, received shape {y_true}; {advice}")


def _check_outputs(where: str, y_pred: NDArray) -> None:
    if y_pred.dtype.kind != "f" or y_pred.ndim < 2 or y_pred.shape[-1] == 0:
        raise ValueError(
            f"{where}: y_pred must be floats of shape (N, ..., classes), "
            f"received dtype {y_pred.dtype} and shape {y_pred.shape}"
        )


_CLASSES: dict[str, type[Loss]] = {
    cls.__name__: cls for cls in (CategoricalCrossentropy, SparseCategoricalCrossentropy)
}


def get(identifier: Any, where: str = "losses.get", name: str = "identifier") -> Loss:
    """Return the loss of a name, of a `{"class_name": ..., "config": ...}`, or the one that is given.

    Examples
    --------
    >>> get("categorical_crossentropy").get_config()
    {'from_logits': False}
    """
    return instance(where, name, identifier, Loss, _CLASSES)
