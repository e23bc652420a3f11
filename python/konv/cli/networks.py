"""The networks that `konv train` knows by name.

Each is made for images `(height, width, channels)` and gives one probability for each class, `(n, classes)`.
"""

from __future__ import annotations

import konv
from konv.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
)

SMALL = 24  # images under so many pixels are padded, or nothing would be left of them


def cnn(input_shape: tuple[int, int, int], classes: int) -> konv.Sequential:
    """Build the CNN of the classic course: twice two 3x3 convolutions and a pooling, then two dense layers.

    Batch normalisation stands after nearly every stage. With images of 28x28x1 and 10 classes it has 601,578
    parameters.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 4x4 pixels.
    classes : int
    """
    padding = "same" if min(input_shape[:2]) < SMALL else "valid"
    model = konv.Sequential([konv.Input(input_shape)])
    for filters in (32, 64):
        model.add(Conv2D(filters, 3, padding=padding))
        model.add(Activation("relu"))
        model.add(BatchNormalization())
        model.add(Conv2D(filters, 3, padding=padding))
        model.add(Activation("relu"))
        model.add(MaxPooling2D(2))
        if filters == 32:
            model.add(BatchNormalization())
    model.add(Flatten())
    model.add(BatchNormalization())
    model.add(Dense(512))
    model.add(Activation("relu"))
    model.add(BatchNormalization())
    model.add(Dropout(0.2))
    model.add(Dense(classes, activation="softmax"))
    return model


def lenet5(input_shape: tuple[int, int, int], classes: int) -> konv.Sequential:
    """Build LeNet-5 (LeCun, Bottou, Bengio, Haffner, Proceedings of the IEEE 86 (11), 1998).

    As it is built today: average pooling without weights, every map of the second convolution reads all maps
    of the first, and softmax at the end. It is made for 32x32 pixels, so smaller images are padded. With 10
    classes and images of 28x28x1 or 32x32x1 it has 61,706 parameters.

    Parameters
    ----------
    input_shape : (height, width, channels)
        At least 4x4 pixels.
    classes : int
    """
    size = min(input_shape[:2])
    return konv.Sequential(
        [
            konv.Input(input_shape),
            Conv2D(6, 5, padding="same" if size < 32 else "valid", activation="tanh"),
            AveragePooling2D(2),
            Conv2D(16, 5, padding="same" if size < SMALL else "valid", activation="tanh"),
            AveragePooling2D(2),
            Flatten(),
            Dense(120, activation="tanh"),
            Dense(84, activation="tanh"),
            Dense(classes, activation="softmax"),
        ]
    )


NETWORKS = {"cnn": cnn, "lenet5": lenet5}
