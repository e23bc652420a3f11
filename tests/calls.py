"""One good call of each op, all arguments by name, for tests that change one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from konv import ops


def image(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape) / 8


WINDOWS = {"strides": 1, "padding": "valid", "dilation_rate": 1}
POOLING = {"pool_size": 2, **WINDOWS, "ceil_mode": False}
X, KERNEL, BIAS = image(2, 5, 5, 4), image(3, 3, 4, 8), image(8)
CHANNELS = image(4) + 1

CALLS: dict[str, dict[str, Any]] = {
    "conv2d": {"x": X, "kernel": KERNEL, "bias": BIAS, **WINDOWS}
    | {"groups": 1, "activation": None, "algorithm": "auto"},
    "conv2d_backward": {"grad": image(2, 3, 3, 8), "x": X, "kernel": KERNEL, **WINDOWS}
    | {"groups": 1, "needs": ("x", "kernel", "bias"), "algorithm": "auto"},
    "conv2d_transpose": {"x": X, "kernel": image(3, 3, 8, 4), "bias": BIAS, **WINDOWS}
    | {"output_padding": None, "groups": 1, "algorithm": "auto"},
    "conv2d_transpose_backward": {"grad": image(2, 7, 7, 8), "x": X, "kernel": image(3, 3, 8, 4), **WINDOWS}
    | {"output_padding": None, "groups": 1, "needs": ("x", "kernel", "bias")},
    "max_pool2d": {"x": X, **POOLING},
    "max_pool2d_with_argmax": {"x": X, **POOLING},
    "max_pool2d_backward": {"grad": image(2, 4, 4, 4), "argmax": np.zeros((2, 4, 4, 4), np.uint8)}
    | {"input_shape": X.shape, **POOLING},
    "avg_pool2d": {"x": X, **POOLING, "count_include_pad": False},
    "avg_pool2d_backward": {"grad": image(2, 4, 4, 4), "input_shape": X.shape, **POOLING}
    | {"count_include_pad": False},
    "sum_pool2d": {"x": X, **POOLING},
    "sum_pool2d_backward": {"grad": image(2, 4, 4, 4), "input_shape": X.shape, **POOLING},
    "relu": {"x": X},
    "relu_backward": {"grad": X, "y": X},
    "batch_norm": {"x": X, "gamma": CHANNELS, "beta": CHANNELS, "mean": CHANNELS, "variance": CHANNELS}
    | {"epsilon": 1e-3, "activation": None},
    "batch_norm_train": {"x": X, "gamma": CHANNELS, "beta": CHANNELS, "epsilon": 1e-3, "activation": None},
    "batch_norm_backward": {"grad": X, "x": X, "gamma": CHANNELS, "mean": CHANNELS, "variance": CHANNELS}
    | {"epsilon": 1e-3, "training": True, "activation": "relu", "y": X},
    "dense": {"x": X, "kernel": image(4, 8), "bias": BIAS, "activation": None},
    "dense_backward": {"grad": image(2, 5, 5, 8), "x": X, "kernel": image(4, 8)}
    | {"needs": ("x", "kernel", "bias")},
    "conv2d_output_shape": {"input_shape": X.shape, "kernel_shape": KERNEL.shape, **WINDOWS, "groups": 1},
    "conv2d_transpose_output_shape": {"input_shape": X.shape, "kernel_shape": (3, 3, 8, 4), **WINDOWS}
    | {"output_padding": None, "groups": 1},
    "pool2d_output_shape": {"input_shape": X.shape, **POOLING},
}
OPTIONAL = {"bias", "gamma", "beta", "output_padding"}
FLOAT_ARRAYS = {"x", "kernel", "bias", "grad", "gamma", "beta", "mean", "variance", "y"}
PAIRS = {"strides", "dilation_rate", "pool_size", "output_padding"}
SHAPES = {"input_shape", "kernel_shape"}
FLAGS = {"ceil_mode", "count_include_pad", "training"}


def call(op: str, **changes: Any) -> Any:
    return getattr(ops, op)(**(CALLS[op] | changes))


def arguments(*names: str) -> list[tuple[str, str]]:
    """Every (op, argument) with one of these argument names."""
    return [(op, name) for op, good in CALLS.items() for name in good if name in names]


def error_of(op: str, **changes: Any) -> Exception | None:
    """The error that a call ends with, if any."""
    try:
        call(op, **changes)
    except Exception as error:
        return error
    return None


def refused(error: type[Exception], op: str, argument: str, value: Any) -> None:
    """Expect an error that names the op and the argument and says what was expected."""
    with pytest.raises(error) as caught:
        call(op, **{argument: value})
    message = str(caught.value)
    assert message.startswith(op), message
    assert argument in message, message
    assert " must " in message, message
