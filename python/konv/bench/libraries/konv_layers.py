"""The passes of a layer in Konv, through the public functions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from konv import ops
from konv.bench.layer import Array, Layer

Inputs = dict[str, Any]  # arrays by name
HUGE_PAGE = 2 << 20


def placed(array: Array) -> Array:
    """Copy an array to where a result of Konv would lie: aligned and, if large, in huge pages, which NumPy
    asks for too."""
    room = np.empty(array.nbytes + HUGE_PAGE, np.uint8)
    first = -room.ctypes.data % HUGE_PAGE
    copy: Array = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class KonvLayer:
    """A layer: `place` makes a copy of the inputs of a pass, the method `{op}_{pass}` computes it on them."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        window: dict[str, Any] = {"strides": layer.stride, "padding": layer.padding}
        self.conv = {**window, "groups": layer.groups}
        self.pool = {**window, "pool_size": (layer.R, layer.S)}

    def place(self, data: Mapping[str, Array]) -> Inputs:
        """Copy a layer's data (`Layer.data`), and add what an earlier pass leaves."""
        inputs: Inputs = {name: placed(array) for name, array in data.items()}
        if self.layer.op == "dense":
            inputs = {name: a.reshape(prod(a.shape[:-1]), a.shape[-1]) for name, a in inputs.items()}
        elif self.layer.op == "max_pool":
            inputs["argmax"] = ops.max_pool2d_with_argmax(inputs["x"], **self.pool)[1]
        elif self.layer.op == "relu":
            inputs["y"] = ops.relu(inputs["x"])
        elif self.layer.op == "batch_norm":
            inputs["mean"], inputs["variance"] = self.batch_norm_forward(inputs)[1:]
        return inputs

    def arrays(self, which: str, result: Any) -> list[Any]:
        """Return a result in the form that all peers' results have."""
        parts = result if isinstance(result, tuple) else (result,)
        shapes = self.layer.result_shapes(which)  # fewer where backward reads more than others do
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]

    def conv_forward(self, a: Inputs) -> Any:
        return ops.conv2d(a["x"], a["kernel"], **self.conv)

    def conv_grad_x(self, a: Inputs) -> Any:
        return ops.conv2d_backward(a["grad"], a["x"], a["kernel"], needs=("x",), **self.conv)[0]

    def conv_grad_kernel(self, a: Inputs) -> Any:
        return ops.conv2d_backward(a["grad"], a["x"], a["kernel"], needs=("kernel",), **self.conv)[1]

    def dense_forward(self, a: Inputs) -> Any:
        return ops.dense(a["x"], a["kernel"])

    def dense_grad_x(self, a: Inputs) -> Any:
        return ops.dense_backward(a["grad"], a["x"], a["kernel"], needs=("x",))[0]

    def dense_grad_kernel(self, a: Inputs) -> Any:
        return ops.dense_backward(a["grad"], a["x"], a["kernel"], needs=("kernel",))[1]

    def max_pool_forward(self, a: Inputs) -> Any:
        return ops.max_pool2d_with_argmax(a["x"], **self.pool)

    def max_pool_grad_x(self, a: Inputs) -> Any:
        return ops.max_pool2d_backward(a["grad"], a["argmax"], self.layer.x_shape, **self.pool)

    def avg_pool_forward(self, a: Inputs) -> Any:
        return ops.avg_pool2d(a["x"], **self.pool)

    def avg_pool_grad_x(self, a: Inputs) -> Any:
        return ops.avg_pool2d_backward(a["grad"], self.layer.x_shape, **self.pool)

    def relu_forward(self, a: Inputs) -> Any:
        return ops.relu(a["x"])

    def relu_grad_x(self, a: Inputs) -> Any:
        return ops.relu_backward(a["grad"], a["y"])

    def batch_norm_forward(self, a: Inputs) -> Any:
        return ops.batch_norm_train(a["x"], a["gamma"], a["beta"])

    def batch_norm_backward(self, a: Inputs) -> Any:
        return ops.batch_norm_backward(a["grad"], a["x"], a["gamma"], a["mean"], a["variance"])

    def batch_norm_both(self, a: Inputs) -> Any:
        y, mean, variance = ops.batch_norm_train(a["x"], a["gamma"], a["beta"])
        return y, *ops.batch_norm_backward(a["grad"], a["x"], a["gamma"], mean, variance)
