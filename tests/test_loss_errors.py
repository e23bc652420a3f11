"""What losses refuse: labels, outputs, weights and arguments, and what the errors say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from konv import losses
from konv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from konv.losses.base import mean

ROWS = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
P = np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
BITS = np.array([[0.0, 1.0], [0.0, 0.0]])
CHANCES = np.array([[0.6, 0.4], [0.4, 0.6]])

CATEGORICAL, SPARSE = CategoricalCrossentropy(), SparseCategoricalCrossentropy()
BINARY, SQUARED = BinaryCrossentropy(), MeanSquaredError()


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (
            ValueError,
            lambda: CATEGORICAL(np.array([1, 2]), P),
            r"rows of shape \(2, 3\), received shape \(2,\); for integer labels",
        ),
        (TypeError, lambda: CATEGORICAL(np.array([["a"] * 3] * 2), P), "y_true must hold real numbers"),
        (
            ValueError,
            lambda: CATEGORICAL(ROWS, P[0]),
            r"^categorical_crossentropy: y_pred must be floats of shape \(N, ..., classes\), "
            r"float32 or float64, received dtype float64 and shape \(3,\)",
        ),
        (
            ValueError,
            lambda: CATEGORICAL(ROWS, ROWS.astype(int)),
            "y_pred must be floats.*received dtype int64",
        ),
        (ValueError, lambda: CATEGORICAL(ROWS, P.astype(np.float16)), "received dtype float16"),
        (ValueError, lambda: CATEGORICAL(np.eye(3), np.zeros((2, 4, 4, 3))), "is a Flatten missing"),
        (
            ValueError,
            lambda: SPARSE(ROWS, P),
            r"integers of shape \(2,\), received shape \(2, 3\); for one-hot",
        ),
        (
            ValueError,
            lambda: SPARSE(np.array([0, 3]), P),
            r"^sparse_categorical_crossentropy: y_true must hold integers from 0 to 2, received 3 at \[1\]",
        ),
        (ValueError, lambda: SPARSE(np.array([0, -1]), P), "from 0 to 2, received -1"),
        (
            ValueError,
            lambda: SPARSE(np.array([0, 2**63], np.uint64), P),
            r"received 9223372036854775808 at \[1\]",
        ),
        (ValueError, lambda: SPARSE(np.array([0, 0.5]), P), "received 0.5"),
        (ValueError, lambda: SPARSE(np.array([0, 1e30]), P), r"received 1e\+30"),
        (ValueError, lambda: SPARSE(np.array([0, math.nan]), P), "received nan"),
        (
            ValueError,
            lambda: SPARSE(np.array([[0, 0], [9, 0]]), np.zeros((2, 2, 3))),
            r"received 9 at \[1, 0\]",
        ),
        (TypeError, lambda: SPARSE(np.array(["a", "b"]), P), "y_true must hold integers, received dtype <U1"),
        (ValueError, lambda: SPARSE(np.zeros(2), np.zeros((2, 0))), "y_pred must be floats of shape"),
        (
            ValueError,
            lambda: BINARY(BITS, CHANCES[:, :1]),
            r"^binary_crossentropy: y_true must have the shape of the outputs, \(2, 1\), received \(2, 2\)",
        ),
        (ValueError, lambda: SQUARED(np.zeros(2), P), r"shape of the outputs, \(2, 3\), received \(2,\)"),
        (
            ValueError,
            lambda: SQUARED(np.float64(1), np.float64(1)),
            r"floats of shape \(N, ..., C\).* shape \(\)",
        ),
        (
            TypeError,
            lambda: SQUARED(BITS * 1j, CHANCES),
            "y_true must hold real numbers, received dtype complex",
        ),
        (TypeError, lambda: CategoricalCrossentropy(from_logits=1), "from_logits must be True or False"),
        (
            ValueError,
            lambda: CategoricalCrossentropy(label_smoothing=1.5),
            r"^CategoricalCrossentropy: label_smoothing must be in \[0, 1\], received 1.5",
        ),
        (
            TypeError,
            lambda: BinaryCrossentropy(label_smoothing=True),
            "^BinaryCrossentropy: label_smoothing must be a number, received True",
        ),
        (TypeError, lambda: MeanSquaredError(name=3), "^MeanSquaredError: name must be a str, received 3"),
        (
            ValueError,
            lambda: SQUARED(BITS, CHANCES, np.ones(3)),
            r"^mean_squared_error: sample_weight must have shape \(2,\), received \(3,\)",
        ),
        (
            ValueError,
            lambda: SQUARED(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), np.ones((3, 2))),
            r"sample_weight must have shape \(2,\) or \(2, 3\), received \(3, 2\)",
        ),
        (ValueError, lambda: SQUARED(BITS, CHANCES, BITS), r"shape \(2,\), received \(2, 2\)"),
        (
            TypeError,
            lambda: SQUARED(BITS, CHANCES, np.array(["a", "b"])),
            "sample_weight must hold real numbers, received dtype <U1",
        ),
        (
            TypeError,
            lambda: SQUARED(BITS, [[0.5], [0.5, 1.0]]),
            "^mean_squared_error: y_pred must be an array of numbers, received .* \\(list\\)",
        ),
        (
            TypeError,
            lambda: SQUARED(BITS, CHANCES, [1, [2]]),
            "^mean_squared_error: sample_weight must be an array of numbers, received",
        ),
        (
            TypeError,
            lambda: SQUARED(np.ma.array(BITS, mask=BITS > 0), CHANCES),
            "^mean_squared_error: y_true must not be masked, received",
        ),
        (TypeError, lambda: mean(["a"]), "^mean: values must hold real numbers, received dtype <U1"),
        (
            ValueError,
            lambda: losses.get({"class_name": "CategoricalCrossentropy", "config": {"more": 1}}),
            "identifier must have a config of arguments of CategoricalCrossentropy, received {'more': 1}",
        ),
        (ValueError, lambda: losses.get("mae"), 'must be one of "categorical_crossentropy".*"bce", "mse"'),
        (TypeError, lambda: losses.get(None), "must be a str or an instance of Loss, received None"),
        (NotImplementedError, lambda: losses.Loss()(ROWS, P), "^Loss: per_sample is not defined"),
        (NotImplementedError, lambda: SQUARED.on_logits(), "^MeanSquaredError: on_logits is not defined"),
    ],
)
def test_errors(error, call, message):
    with pytest.raises(error, match=message):
        call()
