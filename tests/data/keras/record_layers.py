"""Layers: outputs, gradients of inputs and weights, weights' order; what training changes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from fixture import Fixture

from keras_build import construct_layer, draw

IMAGE = (2, 7, 6, 3)
SMALL = (3, 5)
CONV: dict[str, Any] = {"filters": 4, "kernel_size": 3}
SAME: dict[str, Any] = {"padding": "same"}
KERNEL_2_3: dict[str, Any] = {"filters": 5, "kernel_size": [2, 3], "strides": [2, 1]}

CASES: list[tuple[str, str, dict[str, Any], Any]] = [
    ("conv", "Conv2D", CONV, IMAGE),
    ("conv_same", "Conv2D", CONV | SAME, IMAGE),
    ("conv_same_strides", "Conv2D", CONV | SAME | {"strides": 2}, IMAGE),
    ("conv_uneven", "Conv2D", KERNEL_2_3, IMAGE),
    ("conv_uneven_same", "Conv2D", KERNEL_2_3 | SAME, IMAGE),
    ("conv_dilation", "Conv2D", CONV | {"dilation_rate": 2}, IMAGE),
    ("conv_dilation_same", "Conv2D", CONV | SAME | {"dilation_rate": [2, 3]}, IMAGE),
    ("conv_groups", "Conv2D", CONV | {"groups": 2, "strides": 2}, (2, 7, 6, 4)),
    ("conv_no_bias", "Conv2D", CONV | {"use_bias": False}, IMAGE),
    ("conv_relu", "Conv2D", CONV | {"activation": "relu"}, IMAGE),
    ("conv_softmax", "Conv2D", CONV | {"activation": "softmax"}, IMAGE),
    ("depthwise", "DepthwiseConv2D", {"kernel_size": 3}, IMAGE),
    (
        "depthwise_same",
        "DepthwiseConv2D",
        {"kernel_size": 3, "strides": 2, "depth_multiplier": 2} | SAME,
        IMAGE,
    ),
    ("depthwise_dilation", "DepthwiseConv2D", {"kernel_size": [2, 3], "dilation_rate": 2} | SAME, IMAGE),
    ("depthwise_relu", "DepthwiseConv2D", {"kernel_size": 2, "activation": "relu", "use_bias": False}, IMAGE),
    ("separable", "SeparableConv2D", CONV, IMAGE),
    ("separable_same", "SeparableConv2D", CONV | SAME | {"strides": 2, "depth_multiplier": 2}, IMAGE),
    ("separable_relu", "SeparableConv2D", CONV | {"dilation_rate": 2, "activation": "relu"}, IMAGE),
    ("separable_no_bias", "SeparableConv2D", CONV | {"use_bias": False}, IMAGE),
    ("transpose", "Conv2DTranspose", CONV, (2, 4, 3, 3)),
    ("transpose_strides", "Conv2DTranspose", CONV | {"strides": 2}, (2, 4, 3, 3)),
    ("transpose_same", "Conv2DTranspose", CONV | SAME | {"strides": 2}, (2, 4, 3, 3)),
    (
        "transpose_wide",
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": [2, 1], "strides": [3, 2]},
        (2, 4, 3, 3),
    ),
    ("transpose_wide_same", "Conv2DTranspose", KERNEL_2_3 | SAME, (2, 4, 3, 3)),
    ("transpose_output_padding", "Conv2DTranspose", CONV | {"strides": 2, "output_padding": 1}, (2, 4, 3, 3)),
    (
        "transpose_same_output_padding",
        "Conv2DTranspose",
        CONV | SAME | {"strides": [3, 2], "output_padding": [1, 0], "activation": "relu"},
        (2, 4, 3, 3),
    ),
    ("max_pooling", "MaxPooling2D", {}, IMAGE),
    ("max_pooling_same", "MaxPooling2D", {"pool_size": 3, "strides": 2} | SAME, IMAGE),
    ("max_pooling_overlap", "MaxPooling2D", {"pool_size": [3, 2], "strides": 1}, IMAGE),
    ("average_pooling", "AveragePooling2D", {"pool_size": 2}, IMAGE),
    ("average_pooling_same", "AveragePooling2D", {"pool_size": 3, "strides": 2} | SAME, IMAGE),
    ("average_pooling_overlap", "AveragePooling2D", {"pool_size": [3, 2], "strides": 1} | SAME, IMAGE),
    ("global_average", "GlobalAveragePooling2D", {}, IMAGE),
    ("global_average_kept", "GlobalAveragePooling2D", {"keepdims": True}, IMAGE),
    ("global_max", "GlobalMaxPooling2D", {}, IMAGE),
    ("global_max_kept", "GlobalMaxPooling2D", {"keepdims": True}, IMAGE),
    ("zero_padding", "ZeroPadding2D", {}, IMAGE),
    ("zero_padding_2_1", "ZeroPadding2D", {"padding": [2, 1]}, IMAGE),
    ("zero_padding_each", "ZeroPadding2D", {"padding": [[0, 1], [2, 3]]}, IMAGE),
    ("flatten", "Flatten", {}, IMAGE),
    ("reshape", "Reshape", {"target_shape": [6, 21]}, IMAGE),
    ("reshape_rest", "Reshape", {"target_shape": [3, -1, 2]}, IMAGE),
    ("dense", "Dense", {"units": 4}, (5, 6)),
    ("dense_no_bias", "Dense", {"units": 4, "use_bias": False, "activation": "tanh"}, (5, 6)),
    ("dense_pixels", "Dense", {"units": 4, "activation": "sigmoid"}, IMAGE),
    ("dense_softmax", "Dense", {"units": 4, "activation": "softmax"}, (5, 6)),
    ("dropout", "Dropout", {"rate": 0.5}, IMAGE),
    ("rescaling", "Rescaling", {"scale": 0.25, "offset": -1.0}, IMAGE),
    ("rescaling_channels", "Rescaling", {"scale": [0.5, 2.0, 3.0], "offset": [1.5, 0.0, -1.0]}, IMAGE),
    ("relu", "ReLU", {}, IMAGE),
    ("relu_limits", "ReLU", {"max_value": 0.875, "negative_slope": 0.125, "threshold": 0.625}, IMAGE),
    ("softmax", "Softmax", {}, IMAGE),
    ("softmax_rows", "Softmax", {"axis": 1}, IMAGE),
    ("add", "Add", {}, [IMAGE, IMAGE]),
    ("add_3", "Add", {}, [IMAGE, IMAGE, IMAGE]),
    ("add_broadcast", "Add", {}, [IMAGE, (2, 1, 6, 3)]),
    ("concatenate", "Concatenate", {}, [IMAGE, (2, 7, 6, 1), (2, 7, 6, 2)]),
    ("concatenate_rows", "Concatenate", {"axis": 1}, [IMAGE, (2, 3, 6, 3)]),
    ("batch_normalization", "BatchNormalization", {}, IMAGE),
    ("batch_normalization_2d", "BatchNormalization", {"momentum": 0.7, "epsilon": 0.1}, (6, 4)),
    ("batch_normalization_no_center", "BatchNormalization", {"center": False}, IMAGE),
    ("batch_normalization_no_scale", "BatchNormalization", {"scale": False}, IMAGE),
    ("batch_normalization_plain", "BatchNormalization", {"center": False, "scale": False}, IMAGE),
    ("batch_normalization_frozen", "BatchNormalization", {"trainable": False}, IMAGE),
    ("conv_frozen", "Conv2D", CONV | {"trainable": False}, IMAGE),
]
CASES += [
    (f"activation_{name}", "Activation", {"activation": name}, SMALL)
    for name in (
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "sigmoid",
        "tanh",
        "softmax",
        "silu",
        "gelu",
        "hard_sigmoid",
        "linear",
    )
]
RANDOM_IN_TRAINING = ("Dropout",)
"""Recorded in inference alone: in training only their statistics can be compared."""


def record() -> Fixture:
    """Record every layer on numbers without ties, max pooling on small integers too."""
    fixture = Fixture()
    for number, (name, layer, arguments, shapes) in enumerate(CASES):
        random = np.random.default_rng(100 + number)
        inputs = [draw(random, shape) for shape in (shapes if isinstance(shapes, list) else [shapes])]
        add(fixture, name, layer, arguments, inputs, random)
    random = np.random.default_rng(7)
    for name, layer in (("max_pooling_ties", "MaxPooling2D"), ("global_max_ties", "GlobalMaxPooling2D")):
        add(fixture, name, layer, {}, [random.integers(0, 2, IMAGE).astype(float)], random)
    return fixture


def add(fixture: Fixture, name: str, cls: str, arguments: Any, inputs: list[Any], random: Any) -> None:
    """Record one layer: in inference, then two steps of training without changes of the trainable weights."""
    description = {"class": f"layers.{cls}", "arguments": arguments}
    layer = construct_layer(keras, description, "float64")
    layer.build(inputs[0].shape if len(inputs) == 1 else [x.shape for x in inputs])
    weights = [draw(random, weight.shape) for weight in layer.get_weights()]
    if cls == "BatchNormalization":
        weights[-1] = np.abs(weights[-1])  # the moving variance
    layer.set_weights(weights)
    paths = [weight.path.split("/")[-1] for weight in layer.weights]
    case = {"name": name, "layer": description, "weights": paths, "count": layer.count_params()}
    arrays = {f"input_{i}": x for i, x in enumerate(inputs)} | {
        f"weight_{i}": w for i, w in enumerate(weights)
    }
    arrays["upstream"] = draw(random, layer(inputs[0] if len(inputs) == 1 else inputs).shape)
    for mode in ("inference",) if cls in RANDOM_IN_TRAINING else ("inference", "training"):
        output, by_input, by_weight = gradients(
            layer, inputs, arrays["upstream"], training=mode == "training"
        )
        passed = {"output": output}
        passed |= {f"by_input_{i}": gradient for i, gradient in enumerate(by_input)}
        passed |= {f"by_weight_{i}": gradient for i, gradient in enumerate(by_weight)}
        same = mode == "training" and all(
            np.array_equal(passed[key], arrays[f"inference_{key}"]) for key in passed
        )
        if not same:
            arrays |= {f"{mode}_{key}": array for key, array in passed.items()}
    if "training_output" in arrays:  # then training moves weights too, once more with other inputs
        gradients(layer, [x * 0.5 + 1.0 for x in inputs], arrays["upstream"], training=True)
        arrays |= {f"moved_{i}": weight for i, weight in enumerate(layer.get_weights())}
    fixture.add(case, **arrays)


def gradients(
    layer: Any, inputs: list[Any], upstream: Any, *, training: bool
) -> tuple[Any, list[Any], list[Any]]:
    """Return outputs, and the gradients of sum(upstream * outputs) by the inputs and trainable weights."""
    variables = [tf.Variable(x) for x in inputs]
    options = {"training": training} if "training" in layer._call_signature.parameters else {}
    with tf.GradientTape() as tape:
        tensors = [tf.convert_to_tensor(variable) for variable in variables]
        outputs = layer(tensors[0] if len(tensors) == 1 else tensors, **options)
        total = tf.reduce_sum(outputs * upstream)
    by_weight = [weight.value for weight in layer.trainable_weights]
    by = tape.gradient(total, [*variables, *by_weight])
    return outputs.numpy(), [g.numpy() for g in by[: len(inputs)]], [g.numpy() for g in by[len(inputs) :]]
