"""The networks that `konv train` knows by name."""

from __future__ import annotations

import konv


def cnn(input_shape: tuple[int, int, int], classes: int) -> konv.Sequential:
    """Build the classic small CNN: twice two 3x3 convolutions and a pooling, then two dense layers.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 4x4 pixels.
    classes : int
        The model gives this many probabilities, `(n, classes)`.
    """
    layers = konv.layers
    return konv.Sequential(
        [
            konv.Input(input_shape),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(classes, activation="softmax"),
        ]
    )


NETWORKS = {"cnn": cnn}
