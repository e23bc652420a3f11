"""Samples of training data: arrays of the same length, for each input and each output of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from konv._arguments import integer, real, shown
from konv.backend import Array, NDArray
from konv.losses.base import broadcast_weights


@dataclass(frozen=True)
class Examples:
    """Samples, 1 at least unless they are for `predict`: a whole data set, or a batch of one.

    Attributes
    ----------
    x : list of array
        For each input of the model `(N, ...)`, real numbers of any dtype.
    y : list of array or None
        For each output its labels `(N, ...)`, None where nothing asks for them.
    weights : list of array or None
        For each output the weights of its samples, None where each weighs 1.

    Examples
    --------
    >>> Examples([np.zeros((10, 2))], [np.arange(10)], [None])[3:5].y
    [array([3, 4])]
    """

    x: list[Array]
    y: list[Any]
    weights: list[Any]

    def __len__(self) -> int:
        return len(self.x[0])

    def __getitem__(self, part: Any) -> Examples:
        """Return some of the samples, by a slice or by an array of their indices."""
        return Examples(
            [array[part] for array in self.x],
            [None if array is None else array[part] for array in self.y],
            [None if array is None else array[part] for array in self.weights],
        )

    def split(self, where: str, fraction: float) -> tuple[Examples, Examples]:
        """Cut off the last `fraction` of the samples."""
        start = math.floor(len(self) * (1.0 - fraction))
        if not 0 < start < len(self):
            raise ValueError(
                f"{where}: validation_split must leave samples on both sides, "
                f"received {fraction:g} of {len(self)} samples"
            )
        return self[:start], self[start:]


class ClassWeights:
    """Weights of samples by their labels, as `fit` takes them in `class_weight`: 1 for labels without one.

    Parameters
    ----------
    where : str
        Opens the messages of errors.
    weights : dict
        From the label, an int, to a finite number.

    Examples
    --------
    >>> ClassWeights("fit", {1: 5.0})(np.array([0, 1, 2]), 2)
    array([1., 5., 1.])
    """

    def __init__(self, where: str, weights: Any) -> None:
        if not isinstance(weights, dict):
            raise TypeError(
                f"{where}: class_weight must be a dict of numbers by label, received {shown(weights)}"
            )
        by_label = {
            integer(where, "class_weight (each label)", label): real(
                where, f"class_weight of {shown(label)}", weight
            )
            for label, weight in weights.items()
        }
        by_label = by_label or {0: 1.0}  # so that there is one to search
        self._labels = np.array(sorted(by_label), np.int64)
        self._weights = np.array([by_label[label] for label in sorted(by_label)])

    def __call__(self, y: NDArray, rank: int) -> NDArray:
        """Return the weight of each label.

        Parameters
        ----------
        y : array
            Labels as ints, `(N, ...)` or `(N, ..., 1)`, or as rows of a number for each class.
        rank : int
            Number of axes of the outputs; labels as ints may have one less.
        """
        if y.ndim == rank:
            y = y[..., 0] if y.shape[-1] == 1 else y.argmax(axis=-1)
        with np.errstate(invalid="ignore"):  # NaN is a wrong label, as the loss will tell
            labels = np.rint(y).astype(np.int64)
        places = np.minimum(np.searchsorted(self._labels, labels), len(self._labels) - 1)
        return np.where(self._labels[places] == labels, self._weights[places], 1.0)

    def applied(self, where: str, batch: Examples, rank: int) -> Examples:
        """Return a batch of a model of one output whose weights are multiplied by those of its labels."""
        (y,), (given,) = batch.y, batch.weights
        if y is None:
            return batch
        weights = self(y, rank)
        if given is not None:
            per_label = broadcast_weights(where, given, weights.shape)
            weights = weights * per_label
        return Examples(batch.x, batch.y, [weights])


def class_weights_of(where: str, given: Any, output_names: Sequence[str]) -> ClassWeights | None:
    """Take a `class_weight`, for a model whose outputs have names."""
    if given is None:
        return None
    if len(output_names) > 1:
        raise ValueError(
            f"{where}: class_weight must be None for a model of several outputs "
            f"({', '.join(output_names)}), use sample_weight; received {shown(given)}"
        )
    return ClassWeights(where, given)
