"""The course's network, whose training step is measured: its data and its initial weights.

A step is forward, loss, backward and Adam on 128 images of 28x28 pixels that lie ready, and the loss as a
number. The layers: twice two 3x3 convolutions with ReLU and a max pooling, batch normalisation after nearly
every stage, 512 units, dropout, 10 classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BATCH, CLASSES, DROPOUT = 128, 10, 0.2
# Kernels in order, of convolutions (HWIO), then of dense layers.
KERNELS = ((3, 3, 1, 32), (3, 3, 32, 32), (3, 3, 32, 64), (3, 3, 64, 64), (1024, 512), (512, CLASSES))
FLATTENED = (4, 4, 64)  # what the first dense layer reads: height, width, channels
EPSILON, MOMENTUM = 1e-3, 0.99  # of batch normalisation
LEARNING_RATE, ADAM_EPSILON = 1e-3, 1e-7


def images_and_labels(count: int = BATCH) -> tuple[Array, Array]:
    """Return images `(count, 28, 28, 1)` in [0, 1) and labels `(count,)`."""
    random = np.random.default_rng(0)
    return random.random((count, 28, 28, 1), np.float32), random.integers(0, CLASSES, count)


def kernels() -> list[Array]:
    """Return the same initial kernels for every library, with Glorot's limits; biases are 0."""
    random = np.random.default_rng(1)
    limits = [np.sqrt(6 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1]))) for shape in KERNELS]
    return [
        random.uniform(-limit, limit, shape).astype(np.float32)
        for limit, shape in zip(limits, KERNELS, strict=True)
    ]
