"""The calls whose instructions are counted, and what runs under Callgrind: each call thrice, the last counts.

Shapes are small, since Callgrind takes fifty times as long, but reach all that a kernel does: whole tiles,
tails and edges. Algorithms are named, so that another rule for "auto" changes no count.

    valgrind --tool=callgrind --instr-atstart=no ... python calls.py client_requests.so
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from konv import _core, ops

Call = Callable[[], object]
Array = np.ndarray[Any, Any]


def _array(*shape: int) -> Array:
    return np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float32)


def _convolution(x: tuple[int, ...], kernel: tuple[int, ...], **options: Any) -> dict[str, Call]:
    """The three passes of a convolution."""
    xs, ks, bias = _array(*x), _array(*kernel), _array(kernel[3])
    shape = {name: value for name, value in options.items() if name != "algorithm"}
    grad = _array(*ops.conv2d_output_shape(x, kernel, **shape))
    backward = partial(ops.conv2d_backward, grad, xs, ks, **options)
    return {
        "forward": partial(ops.conv2d, xs, ks, bias, activation="relu", **options),
        "gradient of x": partial(backward, needs=("x",)),
        "gradient of kernel": partial(backward, needs=("kernel",)),
    }


def _pooling() -> dict[str, Call]:
    x = _array(2, 24, 24, 32)
    y, argmax = ops.max_pool2d_with_argmax(x, 2)
    return {
        "max forward": partial(ops.max_pool2d, x, 2),
        "max forward with argmax": partial(ops.max_pool2d_with_argmax, x, 2),
        "max gradient": partial(ops.max_pool2d_backward, y, argmax, x.shape, 2),
        "max 3x3 strides 2 forward": partial(ops.max_pool2d, x, 3, strides=2, padding="same"),
        "average forward": partial(ops.avg_pool2d, x, 2),
        "average gradient": partial(ops.avg_pool2d_backward, y, x.shape, 2),
    }


def _elementwise() -> dict[str, Call]:
    x = _array(50_003)
    return {
        "relu forward": partial(ops.relu, x),
        "relu gradient": partial(ops.relu_backward, x, x),
    }


def _batch_norm() -> dict[str, Call]:
    x, channels = _array(2, 24, 24, 33), _array(33)
    y, mean, variance = ops.batch_norm_train(x, channels, channels)
    return {
        "inference": partial(ops.batch_norm, x, channels, channels, mean, variance),
        "training forward": partial(ops.batch_norm_train, x, channels, channels),
        "training gradient": partial(ops.batch_norm_backward, y, x, channels, mean, variance),
    }


def _softmax() -> dict[str, Call]:
    z, labels, scale = _array(500, 103), np.arange(500) % 103, np.ones(1, np.float32)
    _, largest, total, _ = _core.softmax_cross_entropy(z, labels, None)
    backward = _core.softmax_cross_entropy_backward
    return {
        "softmax": partial(_core.softmax, z),
        "cross-entropy": partial(_core.softmax_cross_entropy, z, labels, None),
        "cross-entropy gradient": partial(backward, z, labels, None, largest, total, None, scale),
    }


def _dense() -> dict[str, Call]:
    x, kernel, bias, grad = _array(32, 400), _array(400, 120), _array(120), _array(32, 120)
    return {
        "forward": partial(ops.dense, x, kernel, bias),
        "gradients": partial(ops.dense_backward, grad, x, kernel),
    }


def _optimizers() -> dict[str, Call]:
    value, gradient, first, second = (_array(50_003) for _ in range(4))
    adam = partial(_core.adam_step, value, gradient, first, second, None)
    return {
        "SGD with momentum": partial(_core.sgd_step, value, gradient, first, 0.01, 0.9, False, 0.0),
        "Adam": partial(adam, 1e-3, 0.9, 0.999, 1e-7, 0.0),
    }


def calls() -> dict[str, Call]:
    """Every call by its name."""
    direct, winograd = (partial(_convolution, algorithm=name) for name in ("direct", "winograd"))
    groups = {
        "conv2d 8x8x8->8 3x3": direct((1, 8, 8, 8), (3, 3, 8, 8)),
        "conv2d 14x15x33->47 3x3 same": direct((2, 14, 15, 33), (3, 3, 33, 47), padding="same"),
        "conv2d 28x28x64->64 3x3 same": direct((1, 28, 28, 64), (3, 3, 64, 64), padding="same"),
        "conv2d 28x28x32->64 3x3 strides 2": direct((1, 28, 28, 32), (3, 3, 32, 64), strides=2, padding=1),
        "conv2d 28x28x1->32 3x3": direct((2, 28, 28, 1), (3, 3, 1, 32)),
        "conv2d 56x56x3->16 7x7 strides 2": direct((1, 56, 56, 3), (7, 7, 3, 16), strides=2, padding=3),
        "conv2d 14x14x6->16 5x5": direct((2, 14, 14, 6), (5, 5, 6, 16)),
        "conv2d 28x28x64->96 1x1": direct((1, 28, 28, 64), (1, 1, 64, 96)),
        "conv2d 28x28x32 3x3 depthwise": direct((1, 28, 28, 32), (3, 3, 1, 32), padding="same", groups=32),
        "conv2d 14x14x32->32 3x3 8 groups": direct((1, 14, 14, 32), (3, 3, 4, 32), padding="same", groups=8),
        "Winograd 28x28x64->64 3x3 same": winograd((1, 28, 28, 64), (3, 3, 64, 64), padding="same"),
        "Winograd 10x10x33->47 3x3": winograd((2, 10, 10, 33), (3, 3, 33, 47)),
        "Winograd 14x14x66->66 3x3 same": winograd((1, 14, 14, 66), (3, 3, 66, 66), padding="same"),
        "Winograd 13x14x32->48 5x5 same": winograd((1, 13, 14, 32), (5, 5, 32, 48), padding="same"),
        "Winograd 28x28x33->64 3x3 strides 2": winograd(
            (1, 28, 28, 33), (3, 3, 33, 64), strides=2, padding=1
        ),
        "Winograd 56x56x3->32 7x7 strides 2": winograd((1, 56, 56, 3), (7, 7, 3, 32), strides=2, padding=3),
        "pooling 24x24x32": _pooling(),
        "elementwise 50003": _elementwise(),
        "batch_norm 24x24x33": _batch_norm(),
        "softmax 103": _softmax(),
        "dense 400->120": _dense(),
        "optimizer 50003": _optimizers(),
    }
    return {f"{group}, {name}": call for group, named in groups.items() for name, call in named.items()}


def main() -> None:
    requests = ctypes.CDLL(sys.argv[1])
    _core.set_num_threads(1)
    gc.disable()
    requests.start()
    for name, call in calls().items():
        for _ in range(2):  # until the pool holds what it takes
            call()
        requests.dump(b"warm-up")  # sets all counts to zero; the request that is made for it leaves some
        call()
        requests.dump(name.encode())


if __name__ == "__main__":
    main()
