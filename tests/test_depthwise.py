"""Depthwise convolutions of results that no cache holds, which kernels write past the caches."""

from __future__ import annotations

import numpy as np

from arrays import draw
from konv import ops
from tolerance import assert_same_bits

OPTIONS = {"strides": 1, "padding": "same", "groups": 32}


def test_streamed_results_are_those_of_single_images(isa: str) -> None:
    x = draw("x", (3, 300, 299, 32), np.dtype(np.float32))  # 11 MiB an image: only the batch is streamed
    kernel, bias = (
        draw(name, shape, x.dtype) for name, shape in (("kernel", (3, 3, 1, 32)), ("bias", (32,)))
    )
    y = ops.conv2d(x, kernel, bias, activation="relu", **OPTIONS)
    grad_x = ops.conv2d_backward(x, x, kernel, needs=("x",), **OPTIONS)[0]
    for i in range(len(x)):
        one = x[i : i + 1]
        assert_same_bits(y[i : i + 1], ops.conv2d(one, kernel, bias, activation="relu", **OPTIONS))
        expected = ops.conv2d_backward(one, one, kernel, needs=("x",), **OPTIONS)[0]
        assert_same_bits(grad_x[i : i + 1], expected)
