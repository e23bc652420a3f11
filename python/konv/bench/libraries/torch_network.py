"""A network in PyTorch, for inference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from konv.bench.course_network import EPSILON
from konv.bench.libraries import channels_first
from konv.bench.network import Network, Operation


def build(network: Network, layout: torch.memory_format) -> Callable[[Any], Any]:
    """Return a function of images `(n, 3, 224, 224)` in the layout."""
    steps = []
    last_reader = {number: reader for reader, op in enumerate(network.operations) for number in op.inputs}
    for operation, own in zip(network.operations, channels_first.weights(network), strict=True):
        weights = [torch.from_numpy(array) for array in own]
        weights = [w.contiguous(memory_format=layout) if w.dim() == 4 else w for w in weights]
        steps.append((operation, weights))

    def run(images: Any) -> Any:
        values: dict[int, Any] = {}
        for number, (operation, weights) in enumerate(steps):
            inputs = [values[i] for i in operation.inputs] or [images]
            for i in operation.inputs:
                if last_reader[i] == number:  # its memory can be taken again
                    values.pop(i, None)
            values[number] = _apply(operation, weights, inputs)
            del inputs
        return values[number]

    inference: Callable[[Any], Any] = torch.inference_mode()(run)
    return inference


def _apply(operation: Operation, weights: list[Any], inputs: list[Any]) -> Any:
    x = inputs[0]
    match operation.kind:
        case "conv" | "depthwise":
            groups = x.shape[1] if operation.kind == "depthwise" else 1
            bias = weights[1] if operation.bias else None
            return functional.conv2d(x, weights[0], bias, operation.stride, operation.padding, 1, groups)
        case "batch_norm":
            gamma, beta, mean, variance = weights
            return functional.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON)
        case "relu":
            return functional.relu_(x)
        case "add":
            return x + inputs[1]
        case "max_pool":
            return functional.max_pool2d(x, operation.size, operation.stride, operation.padding)
        case "mean":
            return functional.adaptive_avg_pool2d(x, 1).flatten(1)
        case "flatten":
            return x.flatten(1)
        case "dense":
            return functional.linear(x, *weights)
    return x
