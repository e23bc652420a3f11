"""A network in Konv's layers."""

from __future__ import annotations

from typing import Any

import konv
from konv import layers
from konv.bench.network import IMAGE, Network, Operation


def build(network: Network) -> konv.Model:
    """Build a model and set its weights."""
    tensors: list[Any] = []
    for operation, weights in zip(network.operations, network.weights(), strict=True):
        if operation.kind == "input":
            tensors.append(konv.Input(IMAGE))
            continue
        layer = _layer(operation)
        inputs = [tensors[number] for number in operation.inputs]
        tensors.append(layer(inputs if len(inputs) > 1 else inputs[0]))
        if weights:
            layer.set_weights(weights)
    return konv.Model(tensors[0], tensors[-1])


def _layer(operation: Operation) -> Any:
    window: dict[str, Any] = {"strides": operation.stride, "padding": operation.padding}
    filters = operation.shape[-1]
    match operation.kind:
        case "conv":
            return layers.Conv2D(filters, operation.size, use_bias=operation.bias, **window)
        case "depthwise":
            return layers.DepthwiseConv2D(operation.size, use_bias=operation.bias, **window)
        case "dense":
            return layers.Dense(filters)
        case "max_pool":
            return layers.MaxPooling2D(operation.size, **window)
    plain = {
        "batch_norm": layers.BatchNormalization,
        "relu": layers.ReLU,
        "add": layers.Add,
        "mean": layers.GlobalAveragePooling2D,
        "flatten": layers.Flatten,
    }
    return plain[operation.kind]()
