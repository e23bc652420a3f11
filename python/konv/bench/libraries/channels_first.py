"""Weights of a network as libraries with channels first store them."""

from __future__ import annotations

import numpy as np

from konv.bench.network import Array, Network


def weights(network: Network) -> list[list[Array]]:
    """Return the weights of each operation: kernels OIHW, of dense layers `(out, in)`.

    Where a dense layer reads flattened images, its columns are in the order of channels, height, width.
    """
    converted = []
    for operation, own in zip(network.operations, network.weights(), strict=True):
        kernel, rest = own[:1], own[1:]
        if operation.kind == "conv":
            kernel = [own[0].transpose(3, 2, 0, 1)]
        elif operation.kind == "depthwise":
            kernel = [own[0].transpose(2, 3, 0, 1)]
        elif operation.kind == "dense":
            kernel = [own[0].T]
            before = network.operations[operation.inputs[0]]
            if before.kind == "flatten":
                shape = network.operations[before.inputs[0]].shape
                columns = np.arange(own[0].shape[0]).reshape(shape).transpose(2, 0, 1).ravel()
                kernel = [own[0][columns].T]
        converted.append([np.ascontiguousarray(part) for part in (*kernel, *rest)])
    return converted
