"""The runs of `fit` that record_fits.py records: models, arguments, and the arrays that they share."""

from __future__ import annotations

from typing import Any

import numpy as np

RANDOM = np.random.default_rng(8)
IMAGES = np.round(RANDOM.normal(size=(30, 6, 6, 2)) * 16) / 16
CLASSES = RANDOM.integers(0, 4, 30)
VECTORS = np.round(RANDOM.normal(size=(22, 5)) * 16) / 16
BITS = (VECTORS[:, :1] + RANDOM.normal(size=(22, 1)) > 0).astype(float)
ARRAYS = {
    "images": IMAGES,
    "rows": np.eye(4)[CLASSES],
    "classes": CLASSES,
    "pixel_classes": RANDOM.integers(0, 3, (30, 6, 6)),
    "weights": RANDOM.integers(0, 9, 30) / 4,
    "val_images": IMAGES[:7] * 0.5 + 0.25,
    "val_rows": np.eye(4)[CLASSES[:7]],
    "val_classes": CLASSES[:7],
    "val_weights": np.arange(7) / 4,
    "vectors": VECTORS,
    "large_vectors": VECTORS * 100,
    "bits": BITS,
    "flat_bits": BITS[:, 0],
    "three_bits": (VECTORS[:, :3] > 0.25).astype(float),
    "targets": VECTORS[:, 1:4] * VECTORS[:, :1],
    "vector_classes": RANDOM.integers(0, 3, 22),
    "other_weights": np.arange(22) / 8,
    "vector_weights": np.r_[np.zeros(8), RANDOM.integers(0, 9, 14) / 4],
}


def layer(name: str, **arguments: Any) -> dict[str, Any]:
    """Describe a layer."""
    return {"class": f"layers.{name}", "arguments": arguments}


def of(path: str, **arguments: Any) -> dict[str, Any]:
    """Describe an object of another module."""
    return {"class": path, "arguments": arguments}


def node(name: str, cls: str, of: list[str], **arguments: Any) -> dict[str, Any]:
    """Describe a layer of a graph."""
    return layer(cls, **arguments) | {"name": name, "of": of}


ADAM = {"learning_rate": 2**-7, "beta_1": 0.875, "beta_2": 0.96875, "epsilon": 2**-23}
L2 = of("regularizers.L2", l2=2**-6)
CNN = {
    "input_shape": [6, 6, 2],
    "layers": [
        layer("Conv2D", filters=4, kernel_size=3, padding="same", activation="relu", kernel_regularizer=L2),
        layer("BatchNormalization", momentum=0.8),
        layer("ReLU"),  # without it the next normalization undoes beta: a gradient of nothing but rounding
        layer("MaxPooling2D"),
        layer("Dropout", rate=0.0),
        layer("Conv2D", filters=5, kernel_size=2, use_bias=False),
        layer("BatchNormalization"),
        layer("ReLU"),
        layer("Flatten"),
        layer("Dense", units=4, activation="softmax", bias_regularizer=of("regularizers.L1", l1=2**-5)),
    ],
}
CNN_CASE = {
    "model": CNN,
    "compile": {
        "optimizer": of("optimizers.Adam", **ADAM),
        "loss": "categorical_crossentropy",
        "metrics": ["accuracy", "categorical_crossentropy"],
        "weighted_metrics": [of("metrics.CategoricalAccuracy", name="weighted_accuracy")],
    },
    "data": {"x": "images", "y": "rows", "sample_weight": "weights"},
    "fit": {"batch_size": 8, "epochs": 4, "validation_split": 0.24},
}


def dense(units: int, activation: str | None, **arguments: Any) -> dict[str, Any]:
    """Describe a perceptron of vectors."""
    hidden = layer("Dense", units=6, activation="tanh")
    return {
        "input_shape": [5],
        "layers": [hidden, layer("Dense", units=units, activation=activation, **arguments)],
    }


SOFTMAX_LAYER = dense(3, None)
SOFTMAX_LAYER["layers"].append(layer("Softmax"))
SATURATED_SOFTMAX = {"input_shape": [5], "layers": [layer("Dense", units=3, activation="softmax")]}
SATURATED_SIGMOID = {
    "input_shape": [5],
    "layers": [layer("Dense", units=1), layer("Activation", activation="sigmoid")],
}
PROBABILITIES_LATER = {  # softmax is not last: no logits to be had
    "input_shape": [5],
    "layers": [layer("Dense", units=3, activation="softmax"), layer("Rescaling", scale=0.5, offset=0.125)],
}
PIXELS = {
    "input_shape": [6, 6, 2],
    "layers": [layer("Conv2D", filters=3, kernel_size=3, padding="same", activation="softmax")],
}
FROZEN = {
    "input_shape": [6, 6, 2],
    "layers": [
        layer("Conv2D", filters=3, kernel_size=3, trainable=False, kernel_regularizer=L2),
        layer("BatchNormalization", trainable=False),
        layer("ReLU"),
        layer("GlobalAveragePooling2D"),
        layer("Dense", units=4, activation="softmax"),
    ],
}
RESIDUAL = {  # a layer used twice, a tensor used three times
    "inputs": {"image": [6, 6, 2]},
    "nodes": [
        node("wide", "Conv2D", ["image"], filters=3, kernel_size=3, padding="same"),
        node("first", "Conv2D", ["wide"], filters=3, kernel_size=3, padding="same", activation="relu"),
        node("normal", "BatchNormalization", ["first"]),
        node("second", "Conv2D", ["normal"], filters=3, kernel_size=1, activation="silu"),
        node("sum", "Add", ["wide", "second"]),
        node("all", "Concatenate", ["sum", "wide", "first"]),
        node("pooled", "GlobalAveragePooling2D", ["all"]),
        node("classes", "Dense", ["pooled"], units=4, activation="softmax"),
    ],
    "outputs": ["classes"],
}
TWO = {
    "inputs": {"left": [5], "right": [3]},
    "nodes": [
        node("hidden_left", "Dense", ["left"], units=4, activation="tanh", kernel_regularizer=L2),
        node("hidden_right", "Dense", ["right"], units=3),
        node("joined", "Concatenate", ["hidden_left", "hidden_right"]),
        node("kind", "Dense", ["joined"], units=3, activation="softmax"),
        node("value", "Dense", ["joined"], units=1, activation="sigmoid"),
    ],
    "outputs": ["kind", "value"],
}
TWO_DATA = {"x": ["vectors", "targets"], "y": ["vector_classes", "bits"]}
SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"
SHORT = {"batch_size": 8, "epochs": 3}
SGD = of("optimizers.SGD", learning_rate=0.125)
VECTORS_SPARSE = {"x": "vectors", "y": "vector_classes"}

CASES: dict[str, dict[str, Any]] = {
    "cnn": CNN_CASE,
    "cnn_float32": CNN_CASE | {"dtype": "float32"},
    "class_weight": {
        "model": CNN,
        "compile": {
            "optimizer": of(
                "optimizers.SGD", learning_rate=0.0625, momentum=0.875, nesterov=True, clipnorm=1.0
            ),
            "loss": SPARSE,
            "metrics": ["acc"],
            "weighted_metrics": ["sparse_categorical_accuracy"],
        },
        "data": {
            "x": "images",
            "y": "classes",
            "validation_data": ["val_images", "val_classes", "val_weights"],
        },
        "fit": SHORT | {"class_weight": {"0": 1.0, "1": 2.5, "2": 0.5, "3": 0.0}, "validation_batch_size": 3},
    },
    "residual": {
        "model": RESIDUAL,
        "compile": {
            "optimizer": of("optimizers.AdamW", **ADAM, weight_decay=0.0625),
            "loss": SPARSE,
            "metrics": ["accuracy"],
        },
        "data": {"x": "images", "y": "classes"},
        "fit": SHORT,
    },
    "frozen": {
        "model": FROZEN,
        "compile": {"optimizer": SGD, "loss": "categorical_crossentropy"},
        "data": {"x": "images", "y": "rows", "validation_data": ["val_images", "val_rows"]},
        "fit": SHORT,
    },
    "pixels": {
        "model": PIXELS,
        "compile": {"optimizer": SGD, "loss": SPARSE, "metrics": ["accuracy"]},
        "data": {"x": "images", "y": "pixel_classes"},
        "fit": SHORT,
    },
    "binary": {
        "model": dense(1, "sigmoid"),
        "compile": {"optimizer": SGD, "loss": BINARY, "metrics": ["accuracy", "bce"]},
        "data": {"x": "vectors", "y": "bits"},
        "fit": SHORT,
    },
    "binary_flat_labels": {
        "model": dense(1, "sigmoid"),
        "compile": {"optimizer": SGD, "loss": BINARY, "metrics": ["accuracy"]},
        "data": {"x": "vectors", "y": "flat_bits", "sample_weight": "vector_weights"},
        "fit": SHORT,
    },
    "binary_saturated": {
        "model": SATURATED_SIGMOID,
        "compile": {"optimizer": SGD, "loss": BINARY, "metrics": ["accuracy"]},
        "data": {"x": "large_vectors", "y": "bits"},
        "fit": SHORT,
    },
    "binary_three": {
        "model": dense(3, "sigmoid"),
        "compile": {"optimizer": SGD, "loss": of("losses.BinaryCrossentropy", label_smoothing=0.2)},
        "data": {"x": "vectors", "y": "three_bits"},
        "fit": SHORT,
    },
    "binary_logits": {
        "model": dense(3, None),
        "compile": {"optimizer": SGD, "loss": of("losses.BinaryCrossentropy", from_logits=True)},
        "data": {"x": "vectors", "y": "three_bits"},
        "fit": SHORT,
    },
    "sparse_logits": {
        "model": dense(3, None),
        "compile": {
            "optimizer": SGD,
            "loss": of("losses.SparseCategoricalCrossentropy", from_logits=True),
            "metrics": ["accuracy"],
        },
        "data": VECTORS_SPARSE,
        "fit": SHORT,
        "on_batches": 8,
    },
    "softmax_layer": {
        "model": SOFTMAX_LAYER,
        "compile": {"optimizer": SGD, "loss": SPARSE, "metrics": ["accuracy", SPARSE]},
        "data": VECTORS_SPARSE,
        "fit": SHORT,
    },
    "softmax_saturated": {
        "model": SATURATED_SOFTMAX,
        "compile": {"optimizer": SGD, "loss": SPARSE, "metrics": ["accuracy"]},
        "data": {"x": "large_vectors", "y": "vector_classes"},
        "fit": SHORT,
    },
    "probabilities_later": {
        "model": PROBABILITIES_LATER,
        "compile": {"optimizer": SGD, "loss": SPARSE, "metrics": ["accuracy"]},
        "data": VECTORS_SPARSE,
        "fit": SHORT,
    },
    "squared": {
        "model": dense(3, "linear", bias_regularizer=of("regularizers.L1L2", l1=2**-6, l2=2**-5)),
        "compile": {
            "optimizer": of("optimizers.Adam", **ADAM, amsgrad=True, clipvalue=0.0625),
            "loss": "mse",
            "metrics": ["mse"],
            "weighted_metrics": [of("metrics.MeanSquaredError", name="weighted")],
        },
        "data": {"x": "vectors", "y": "targets", "sample_weight": "vector_weights"},
        "fit": SHORT,
    },
    # With batches of one size: else Keras's means of the outputs' own losses depend on what TensorFlow
    # traced.
    "two_of_lists": {
        "model": TWO,
        "compile": {
            "optimizer": SGD,
            "loss": [SPARSE, BINARY],
            "loss_weights": [0.5, 2.0],
            "metrics": [["accuracy"], ["accuracy", "mse"]],
        },
        "data": TWO_DATA,
        "fit": {"batch_size": 5, "epochs": 3, "validation_split": 0.3, "validation_batch_size": 7},
    },
    "two_of_dicts": {
        "model": TWO,
        "compile": {
            "optimizer": SGD,
            "loss": {"kind": SPARSE, "value": "mse"},
            "loss_weights": {"kind": 1.0, "value": 0.25},
            "metrics": {"value": ["accuracy"]},
            "weighted_metrics": {"kind": ["accuracy"]},
        },
        "data": {
            "x": {"left": "vectors", "right": "targets"},
            "y": {"kind": "vector_classes", "value": "bits"},
        },
        "fit": {"batch_size": 11, "epochs": 3},
    },
    "two_with_weights": {
        "model": TWO,
        "compile": {
            "optimizer": SGD,
            "loss": [SPARSE, BINARY],
            "metrics": ["accuracy", None],
            "weighted_metrics": [[], ["mse", "accuracy"]],
        },
        "data": TWO_DATA | {"sample_weight": ["vector_weights", "other_weights"]},
        "fit": {"batch_size": 11, "epochs": 2},
    },
    "two_with_one_loss": {
        "model": TWO,
        "compile": {"optimizer": SGD, "loss": [SPARSE, None], "metrics": [["accuracy"], ["accuracy"]]},
        "data": TWO_DATA,
        "fit": {"batch_size": 11, "epochs": 2},
    },
    "initial_epoch": {
        "rounded": True,
        "model": dense(3, "softmax"),
        "compile": {"optimizer": "sgd", "loss": SPARSE, "metrics": ["accuracy"]},
        "data": VECTORS_SPARSE,
        "fit": {
            "batch_size": 5,
            "epochs": 6,
            "initial_epoch": 2,
            "validation_split": 0.2,
            "validation_freq": 2,
        },
    },
    "validation_freq_list": {
        "rounded": True,
        "model": dense(3, "softmax"),
        "compile": {"optimizer": "adam", "loss": SPARSE},
        "data": VECTORS_SPARSE,
        "fit": {"epochs": 5, "validation_split": 0.2, "validation_freq": [1, 4]},
    },
    "steps_per_epoch": {
        "model": dense(3, "softmax"),
        "compile": {"optimizer": SGD, "loss": SPARSE, "metrics": ["accuracy"]},
        "data": VECTORS_SPARSE,
        "fit": {"batch_size": 6, "epochs": 3, "steps_per_epoch": 2},
    },
    "steps_of_generator": {
        "model": dense(3, "softmax"),
        "compile": {"optimizer": SGD, "loss": SPARSE, "metrics": ["accuracy"]},
        "data": VECTORS_SPARSE,
        "generator_of": 6,
        "fit": {"epochs": 3, "steps_per_epoch": 3},
    },
    "schedule": {
        "rounded": True,
        "model": dense(3, "softmax"),
        "compile": {
            "optimizer": of(
                "optimizers.AdamW",
                learning_rate=of(
                    "optimizers.schedules.CosineDecay",
                    initial_learning_rate=0.0,
                    decay_steps=6,
                    warmup_target=0.125,
                    warmup_steps=3,
                ),
                weight_decay=0.125,
            ),
            "loss": SPARSE,
        },
        "data": VECTORS_SPARSE,
        "fit": SHORT | {"epochs": 4},
    },
    "reduce_on_plateau": {
        "model": dense(3, "softmax"),
        "compile": {
            "optimizer": of("optimizers.SGD", learning_rate=2.0),
            "loss": SPARSE,
            "metrics": ["accuracy"],
        },
        "data": VECTORS_SPARSE,
        "callbacks": [
            of(
                "callbacks.ReduceLROnPlateau",
                monitor="val_loss",
                factor=0.5,
                patience=1,
                min_lr=0.375,
                cooldown=1,
            )
        ],
        "fit": {"batch_size": 8, "epochs": 10, "validation_split": 0.3},
    },
    "early_stopping": {
        "model": dense(3, "softmax"),
        "compile": {
            "optimizer": of("optimizers.SGD", learning_rate=0.5),
            "loss": SPARSE,
            "metrics": ["accuracy"],
        },
        "data": VECTORS_SPARSE,
        "callbacks": [of("callbacks.EarlyStopping", patience=2, restore_best_weights=True)],
        "fit": {"batch_size": 8, "epochs": 15, "validation_split": 0.3},
    },
    "learning_rate_scheduler": {
        "model": dense(3, "softmax"),
        "compile": {"optimizer": SGD, "loss": SPARSE},
        "data": VECTORS_SPARSE,
        "callbacks": [
            of("callbacks.LearningRateScheduler", schedule={"function": "halve_every_second_epoch"})
        ],
        "fit": SHORT | {"epochs": 5},
    },
    "terminate_on_nan": {
        "model": dense(3, None),
        "compile": {"optimizer": of("optimizers.SGD", learning_rate=1e200), "loss": "mse"},
        "data": {"x": "vectors", "y": "targets"},
        "callbacks": [of("callbacks.TerminateOnNaN")],
        "fit": SHORT,
    },
}
