"""The passes of a layer in PyTorch: the operators that its modules and autograd call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from konv.bench.layer import Array, Layer

Inputs = dict[str, Any]  # tensors by name
EPSILON = 1e-3  # Konv's


class TorchLayer:
    """A layer: `place` makes a copy of the inputs of a pass, the method `{op}_{pass}` computes it on them.

    Parameters
    ----------
    layer : Layer
    layout : torch.memory_format
        torch.contiguous_format (NCHW) or torch.channels_last (NHWC).
    """

    def __init__(self, layer: Layer, layout: torch.memory_format) -> None:
        self.layer, self.layout = layer, layout
        self.window = ([layer.R, layer.S], [layer.stride] * 2, [layer.padding] * 2)

    def place(self, data: Mapping[str, Array]) -> Inputs:
        """Copy a layer's data (`Layer.data`), and add what an earlier pass leaves."""
        inputs = {name: self._tensor(name, torch.from_numpy(array)) for name, array in data.items()}
        if self.layer.op == "max_pool":
            inputs["indices"] = self.max_pool_forward(inputs)[1]
        elif self.layer.op == "relu":
            inputs["y"] = torch.relu(inputs["x"])
        elif self.layer.op == "batch_norm":
            inputs["saved"] = self.batch_norm_forward(inputs)[1:]
        return inputs

    def _tensor(self, name: str, a: torch.Tensor) -> torch.Tensor:
        if a.dim() == 1:
            return a.clone()
        if self.layer.op == "dense":  # (N, C), and kernels (units, C)
            return (
                a.reshape(-1, a.shape[-1]).t().clone().contiguous()
                if name == "kernel"
                else a.flatten(1).clone()
            )
        order = (3, 2, 0, 1) if name == "kernel" else (0, 3, 1, 2)
        return a.permute(order).clone(memory_format=self.layout)

    def arrays(self, which: str, result: Any) -> list[Any]:
        """Return a result in the form that all peers' results have."""
        if self.layer.op == "batch_norm" and which != "forward":
            return [self._array(which, part) for part in result]
        return [self._array(which, result[0] if isinstance(result, tuple) else result)]

    def _array(self, which: str, result: torch.Tensor) -> Any:
        if result.dim() == 1:
            return result.numpy()
        if self.layer.op == "dense":
            return result.t().numpy()[None, None] if which == "grad_kernel" else result.numpy()[:, None, None]
        return result.permute((2, 3, 1, 0) if which == "grad_kernel" else (0, 2, 3, 1)).numpy()

    def conv_forward(self, a: Inputs) -> Any:
        _, stride, padding = self.window
        return torch.conv2d(a["x"], a["kernel"], None, stride, padding, 1, self.layer.groups)

    def conv_grad_x(self, a: Inputs) -> Any:
        return self._conv_backward(a, 0)

    def conv_grad_kernel(self, a: Inputs) -> Any:
        return self._conv_backward(a, 1)

    def _conv_backward(self, a: Inputs, index: int) -> Any:
        _, stride, padding = self.window
        how = (
            None,
            stride,
            padding,
            [1, 1],
            False,
            [0, 0],
            self.layer.groups,
            [index == i for i in range(3)],
        )
        return torch.ops.aten.convolution_backward(a["grad"], a["x"], a["kernel"], *how)[index]

    def dense_forward(self, a: Inputs) -> Any:
        return torch.nn.functional.linear(a["x"], a["kernel"])

    def dense_grad_x(self, a: Inputs) -> Any:
        return torch.mm(a["grad"], a["kernel"])

    def dense_grad_kernel(self, a: Inputs) -> Any:
        return torch.mm(a["grad"].t(), a["x"])

    def max_pool_forward(self, a: Inputs) -> Any:
        return torch.ops.aten.max_pool2d_with_indices(a["x"], *self.window)

    def max_pool_grad_x(self, a: Inputs) -> Any:
        return torch.ops.aten.max_pool2d_with_indices_backward(
            a["grad"], a["x"], *self.window, [1, 1], False, a["indices"]
        )

    def avg_pool_forward(self, a: Inputs) -> Any:
        return torch.ops.aten.avg_pool2d(a["x"], *self.window, False, False)

    def avg_pool_grad_x(self, a: Inputs) -> Any:
        return torch.ops.aten.avg_pool2d_backward(a["grad"], a["x"], *self.window, False, False, None)

    def relu_forward(self, a: Inputs) -> Any:
        return torch.relu(a["x"])

    def relu_grad_x(self, a: Inputs) -> Any:
        return torch.ops.aten.threshold_backward(a["grad"], a["y"], 0)

    def batch_norm_forward(self, a: Inputs) -> Any:
        return torch.ops.aten.native_batch_norm(a["x"], a["gamma"], a["beta"], None, None, True, 0.0, EPSILON)

    def batch_norm_backward(self, a: Inputs) -> Any:
        return torch.ops.aten.native_batch_norm_backward(
            a["grad"], a["x"], a["gamma"], None, None, *a["saved"], True, EPSILON, [True] * 3
        )

    def batch_norm_both(self, a: Inputs) -> Any:
        y, *saved = self.batch_norm_forward(a)
        return y, *self.batch_norm_backward({**a, "saved": saved})
