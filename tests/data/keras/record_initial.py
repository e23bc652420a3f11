"""How layers start: largest, mean and standard deviation of each weight; the course's network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from fixture import Fixture

from keras_build import build_model, construct_layer

LAYERS: list[tuple[str, str, dict[str, Any], tuple[int, ...]]] = [
    ("conv", "Conv2D", {"filters": 64, "kernel_size": 5}, (1, 8, 8, 40)),
    ("conv_groups", "Conv2D", {"filters": 96, "kernel_size": 5, "groups": 2}, (1, 8, 8, 48)),
    ("depthwise", "DepthwiseConv2D", {"kernel_size": 7, "depth_multiplier": 8}, (1, 8, 8, 96)),
    (
        "separable",
        "SeparableConv2D",
        {"filters": 256, "kernel_size": 7, "depth_multiplier": 4},
        (1, 8, 8, 96),
    ),
    ("transpose", "Conv2DTranspose", {"filters": 24, "kernel_size": 5}, (1, 8, 8, 80)),
    ("dense", "Dense", {"units": 300}, (1, 200)),
    ("batch_normalization", "BatchNormalization", {}, (1, 8, 8, 4)),
]
LAYERS += [
    (f"dense_{name}", "Dense", {"units": 300, "kernel_initializer": name}, (1, 200))
    for name in ("glorot_normal", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform", "zeros", "ones")
]

BLOCK_32 = {"class": "layers.Conv2D", "arguments": {"filters": 32, "kernel_size": 3}}
BLOCK_64 = {"class": "layers.Conv2D", "arguments": {"filters": 64, "kernel_size": 3}}
RELU = {"class": "layers.Activation", "arguments": {"activation": "relu"}}
POOL = {"class": "layers.MaxPooling2D", "arguments": {"pool_size": 2}}
NORMALIZE = {"class": "layers.BatchNormalization"}
COURSE_NETWORK = {
    "input_shape": [28, 28, 1],
    "layers": [
        *(BLOCK_32, RELU, NORMALIZE, BLOCK_32, RELU, POOL, NORMALIZE),
        *(BLOCK_64, RELU, NORMALIZE, BLOCK_64, RELU, POOL),
        *({"class": "layers.Flatten"}, NORMALIZE),
        *({"class": "layers.Dense", "arguments": {"units": 512}}, RELU, NORMALIZE),
        {"class": "layers.Dropout", "arguments": {"rate": 0.2}},
        {"class": "layers.Dense", "arguments": {"units": 10, "activation": "softmax"}},
    ],
}


def record() -> Fixture:
    """Record statistics of the weights of large layers, and the shapes of the course's network."""
    fixture = Fixture()
    for name, cls, arguments, shape in LAYERS:
        description = {"class": f"layers.{cls}", "arguments": arguments}
        layer = construct_layer(keras, description, "float64")
        layer.build(shape)
        weights = [
            {
                "name": weight.path.split("/")[-1],
                "shape": list(weight.shape),
                "largest": float(np.abs(weight).max()),
                "mean": float(np.mean(weight)),
                "deviation": float(np.std(weight)),
            }
            for weight in layer.weights
        ]
        fixture.add({"name": name, "layer": description, "input_shape": list(shape), "weights": weights})
    model = build_model(keras, COURSE_NETWORK, "float32")
    case = {
        "name": "course_network",
        "model": COURSE_NETWORK,
        "count": model.count_params(),
        "shapes": [list(weight.shape) for weight in model.get_weights()],
        "trainable_shapes": [list(weight.shape) for weight in model.trainable_weights],
    }
    fixture.add(case)
    return fixture
