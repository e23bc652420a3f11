"""The course's network in Keras's names: with Keras itself on any backend, and in Konv."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from konv.bench.course_network import CLASSES, images_and_labels, kernels
from konv.bench.prepared import Prepared


def course_model(keras: Any, dropout: float, metrics: list[str] | None = None) -> Any:
    """Build and compile the network.

    Parameters
    ----------
    keras : module
        `konv` or `keras`.
    dropout : float
    metrics : list of str, optional
    """
    layers = keras.layers

    def conv(filters: int) -> list[Any]:
        return [layers.Conv2D(filters, 3), layers.ReLU()]

    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *(*conv(32), layers.BatchNormalization(), *conv(32)),
            *(layers.MaxPooling2D(), layers.BatchNormalization()),
            *(*conv(64), layers.BatchNormalization(), *conv(64)),
            *(layers.MaxPooling2D(), layers.Flatten(), layers.BatchNormalization()),
            *(layers.Dense(512), layers.ReLU(), layers.BatchNormalization(), layers.Dropout(dropout)),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    affine = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))]
    for layer, kernel in zip(affine, kernels(), strict=True):
        layer.set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics)
    return model


def prepare_step(keras: Any, place: Callable[[Any], Any], dropout: float, steps: int) -> Prepared:
    """Prepare so many training steps on one batch, which `place` has brought into the library's form.

    The result is their losses.
    """
    model = course_model(keras, dropout)
    x, y = map(place, images_and_labels())

    def train(_: None) -> list[float]:
        return [float(model.train_on_batch(x, y)) for _ in range(steps)]

    return Prepared(train, [None], lambda losses: [np.array(losses)])
