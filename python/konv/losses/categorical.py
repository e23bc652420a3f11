"""Cross-entropies of classes, by the formulas of Keras 3's TensorFlow backend.

With z the logits, p the probabilities and t the labels of a row, and clip keeping a probability in
[1e-7, 1 - 1e-7]:

- categorical: `-sum(t * log(clip(p / sum(p))))`, from logits `sum(t * (logsumexp(z) - z))`;
- sparse categorical: `-log(softmax(log(clip(p)))[t])`, from logits `logsumexp(z) - z[t]`.

softmax(log(c)) is c / sum(c), so the sparse loss is computed as `log(sum(clip(p)) / clip(p)[t])`. A clipped
probability has no gradient. In float32 a loss is exact to some 1e-7, not to a share of itself. From logits,
as a model is trained that ends in softmax, values and gradient are a pass of a kernel each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import Shape, real
from konv.backend import NUMPY, NDArray
from konv.losses.arguments import check_dtype, check_outputs, clip, unclipped
from konv.losses.base import Gradient, over_rows
from konv.losses.crossentropy import Crossentropy

_FORM, _LEAST_RANK = "(N, ..., classes)", 2


class CategoricalCrossentropy(Crossentropy):
    """Cross-entropy with labels as rows that sum to 1, such as one-hot rows `(N, ..., classes)`.

    Parameters
    ----------
    from_logits : bool
    label_smoothing : float
        In [0, 1]: s makes labels y `y * (1 - s) + s / classes`.
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from konv.losses import CategoricalCrossentropy
    >>> loss = CategoricalCrossentropy()
    >>> round(loss(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    fuses_with = "softmax"

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, *, name: str | None = None
    ) -> None:
        super().__init__(from_logits, name=name)
        self.label_smoothing = real(type(self).__name__, "label_smoothing", label_smoothing, 0.0, 1.0)

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Gradient]:
        check_outputs(self.name, y_pred, _FORM, _LEAST_RANK)
        check_dtype(self.name, y_true)
        self.check_labels(f"{self.name}: y_true", y_true, y_pred.shape)
        classes = y_pred.shape[-1]
        with np.errstate(all="ignore"):
            rows = np.require(y_true, y_pred.dtype, ["C", "A"]).reshape(-1, classes)
            if self.label_smoothing:
                rows = rows * (1.0 - self.label_smoothing)
                rows += self.label_smoothing / classes
        return over_rows(_categorical_of_logits if self.from_logits else _categorical, rows, y_pred)

    def check_labels(self, labels: str, y_true: NDArray, y_pred: tuple[int, ...]) -> None:
        if y_true.shape != y_pred:
            advice = "for integer labels use sparse_categorical_crossentropy or konv.utils.to_categorical"
            raise _wrong_shape(labels, "rows of", y_pred, y_true.shape, y_pred, advice)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


class SparseCategoricalCrossentropy(Crossentropy):
    """Cross-entropy with labels as integers, `(N, ...)` or `(N, ..., 1)` for outputs `(N, ..., classes)`.

    Parameters
    ----------
    from_logits : bool
    name : str, optional

    Examples
    --------
    >>> import numpy as np
    >>> from konv.losses import SparseCategoricalCrossentropy
    >>> loss = SparseCategoricalCrossentropy()
    >>> round(loss(np.array([1]), np.array([[0.5, 0.5]])), 4)
    0.6931
    """

    fuses_with = "softmax"

    def per_sample(self, y_true: NDArray, y_pred: NDArray) -> tuple[NDArray, Gradient]:
        check_outputs(self.name, y_pred, _FORM, _LEAST_RANK)
        check_dtype(self.name, y_true, "integers")
        self.check_labels(f"{self.name}: y_true", y_true, y_pred.shape)
        labels = y_true.astype(np.int64).reshape(-1)
        return over_rows(_sparse_of_logits if self.from_logits else _sparse, labels, y_pred)

    def check_labels(self, labels: str, y_true: NDArray, y_pred: tuple[int, ...]) -> None:
        if y_true.shape not in (y_pred[:-1], (*y_pred[:-1], 1)):
            advice = "for one-hot rows use categorical_crossentropy"
            raise _wrong_shape(labels, "integers of", y_pred[:-1], y_true.shape, y_pred, advice)
        _check_range(labels, y_true, y_pred[-1])


def _categorical(y_true: NDArray, p: NDArray) -> tuple[NDArray, Gradient]:
    total = _sum(p)
    p = p / total
    clipped = clip(p)
    values = -_dot(y_true, np.log(clipped, out=clipped))

    def gradient(scale: NDArray) -> NDArray:
        grad: NDArray = y_true / clip(p)
        np.copyto(grad, 0, where=~unclipped(p))
        np.subtract(_dot(grad, p)[:, np.newaxis], grad, out=grad)
        grad *= scale / total
        return grad

    return values, gradient


def _categorical_of_logits(y_true: NDArray, z: NDArray) -> tuple[NDArray, Gradient]:
    return _of_logits(z, None, y_true)


def _sparse(labels: NDArray, p: NDArray) -> tuple[NDArray, Gradient]:
    places = labels + np.arange(0, p.size, p.shape[-1])
    total = _sum(clip(p))
    labelled = p.reshape(-1).take(places)
    clipped = clip(labelled)

    def gradient(scale: NDArray) -> NDArray:
        grad: NDArray = unclipped(p) * (scale / total)
        grad.reshape(-1)[places] -= unclipped(labelled) * (scale[:, 0] / clipped)
        return grad

    return np.log(total[:, 0] / clipped), gradient


def _sparse_of_logits(labels: NDArray, z: NDArray) -> tuple[NDArray, Gradient]:
    return _of_logits(z, labels, None)


def _of_logits(z: NDArray, labels: NDArray | None, weights: NDArray | None) -> tuple[NDArray, Gradient]:
    values, largest, total, weight = NUMPY.kernels.softmax_cross_entropy(z, labels, weights)

    def gradient(scale: NDArray) -> NDArray:
        scale = np.ascontiguousarray(scale.reshape(-1))
        grad: NDArray = NUMPY.kernels.softmax_cross_entropy_backward(
            z, labels, weights, largest, total, weight, scale
        )
        return grad

    return values, gradient


def _sum(rows: NDArray) -> NDArray:
    """Sum of each row, `(rows, 1)`: einsum takes a fifth of the time of `sum` where rows are short."""
    return np.asarray(np.einsum("rc->r", rows)[:, np.newaxis])


def _dot(a: NDArray, b: NDArray) -> NDArray:
    """Sum of products of each row."""
    return np.asarray(np.einsum("rc,rc->r", a, b))


def _check_range(labels: str, y_true: NDArray, classes: int) -> None:
    """Raise ValueError unless labels are integers below the number of classes."""
    with np.errstate(all="ignore"):
        right = (y_true >= 0) & (y_true < classes)
        if y_true.dtype.kind == "f":
            right &= y_true == np.floor(y_true)
    if not right.all():
        index = np.unravel_index(right.argmin(), right.shape)
        raise ValueError(
            f"{labels} must hold integers from 0 to {classes - 1}, "
            f"received {y_true[index]} at {list(map(int, index))}"
        )


def _wrong_shape(
    labels: str, kind: str, expected: Shape, y_true: Shape, y_pred: Shape, advice: str
) -> ValueError:
    if len(y_true) <= 2 < len(y_pred):  # labels of whole images, outputs for each pixel
        advice = f"the outputs have shape {y_pred}; is a Flatten missing?"
    return ValueError(f"{labels} must be {kind} shape {expected}, received shape {y_true}; {advice}")
