"""Networks whose inference is measured, as lists of operations that each library builds in its own way.

VGG16: Simonyan, Zisserman, arXiv:1409.1556. ResNet-50: He et al., arXiv:1512.03385, version 1.5, whose
strides are on the 3x3 convolutions. MobileNetV1: Howard et al., arXiv:1704.04861. Images are 224x224x3, and
the results logits of 1000 classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

IMAGE = (224, 224, 3)
CLASSES = 1000


@dataclass(frozen=True)
class Operation:
    """One step of a network; `inputs` are the numbers of the operations that it reads.

    `kind` is "input", "conv", "depthwise", "dense", "batch_norm", "relu", "add", "max_pool", "mean" (over all
    pixels) or "flatten". `shape` is the output's, without the images' axis; `size`, `stride` and `padding`
    are the window's.
    """

    kind: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    size: int = 1
    stride: int = 1
    padding: int = 0
    bias: bool = True


@dataclass
class Network:
    """Operations in the order in which they run; the last one is the result."""

    operations: list[Operation] = field(default_factory=lambda: [Operation("input", (), IMAGE)])

    def add(self, kind: str, *inputs: int, shape: tuple[int, ...] | None = None, **how: Any) -> int:
        """Append an operation; returns its number."""
        inputs = inputs or (len(self.operations) - 1,)
        self.operations.append(Operation(kind, inputs, shape or self.operations[inputs[0]].shape, **how))
        return len(self.operations) - 1

    def window(self, kind: str, size: int, stride: int, padding: int, filters: int = 0, **how: Any) -> int:
        """Append an operation with a window on the last one; as many filters as channels unless given."""
        height, width, channels = self.operations[-1].shape
        p, q = ((pixels + 2 * padding - size) // stride + 1 for pixels in (height, width))
        return self.add(
            kind, shape=(p, q, filters or channels), size=size, stride=stride, padding=padding, **how
        )

    def conv(self, filters: int, size: int, stride: int = 1) -> int:
        """Append a convolution and batch normalisation."""
        self.window("conv", size, stride, size // 2, filters, bias=False)
        return self.add("batch_norm")

    def dense(self, units: int) -> int:
        """Append a dense layer."""
        return self.add("dense", shape=(units,))

    def weights(self) -> list[list[Array]]:
        """Draw the weights of each operation: the same in every process.

        Kernels HWIO (depthwise: `(h, w, channels, 1)`) and `(in, out)`, He normal, then biases; of batch
        normalisation gamma, beta, mean, variance.
        """
        random = np.random.default_rng(0)

        def normal(shape: tuple[int, ...], deviation: float, mean: float = 0.0) -> Array:
            values: Array = random.standard_normal(shape, dtype=np.float32)
            values *= np.float32(deviation)
            values += np.float32(mean)
            return values

        weights: list[list[Array]] = []
        for operation in self.operations:
            channels = (operation.shape[-1],)
            if operation.kind in ("conv", "depthwise", "dense"):
                before = self.operations[operation.inputs[0]].shape[-1:]
                window = () if operation.kind == "dense" else (operation.size, operation.size)
                shape = (*window, *before, *((1,) if operation.kind == "depthwise" else channels))
                reads = prod(window) if operation.kind == "depthwise" else prod(shape[:-1])
                own = [normal(shape, (2 / reads) ** 0.5)]
                own += [normal(channels, 0.1)] if operation.bias else []
            elif operation.kind == "batch_norm":
                own = [normal(channels, 0.1, 1.0), normal(channels, 0.1), normal(channels, 0.1)]
                own.append(np.abs(normal(channels, 0.2, 1.0)) + np.float32(0.1))
            else:
                own = []
            weights.append(own)
        return weights

    def images(self, count: int) -> Array:
        """Draw images `(count, 224, 224, 3)`: the same in every process."""
        return np.random.default_rng(1).standard_normal((count, *IMAGE), dtype=np.float32)


def vgg16() -> Network:
    """Build VGG16."""
    network = Network()
    for filters, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            network.window("conv", 3, 1, 1, filters)
            network.add("relu")
        network.window("max_pool", 2, 2, 0)
    network.add("flatten", shape=(prod(network.operations[-1].shape),))
    for _ in range(2):
        network.dense(4096)
        network.add("relu")
    network.dense(CLASSES)
    return network


def resnet50() -> Network:
    """Build ResNet-50 v1.5."""
    network = Network()
    network.conv(64, 7, 2)
    network.add("relu")
    block = network.window("max_pool", 3, 2, 1)
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for number in range(blocks):
            stride = 2 if stage > 0 and number == 0 else 1
            shortcut = block
            if number == 0:
                shape = tuple(-(-pixels // stride) for pixels in network.operations[block].shape[:2])
                network.add("conv", block, shape=(*shape, 4 * filters), stride=stride, bias=False)
                shortcut = network.add("batch_norm")
            network.add("conv", block, shape=(*network.operations[block].shape[:2], filters), bias=False)
            network.add("batch_norm")
            network.add("relu")
            network.conv(filters, 3, stride)
            network.add("relu")
            last = network.conv(4 * filters, 1)
            network.add("add", last, shortcut)
            block = network.add("relu")
    network.add("mean", shape=network.operations[-1].shape[-1:])
    network.dense(CLASSES)
    return network


def mobilenet_v1() -> Network:
    """Build MobileNetV1."""
    network = Network()
    network.conv(32, 3, 2)
    network.add("relu")
    blocks = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        *[(512, 1)] * 5,
        (1024, 2),
        (1024, 1),
    ]
    for filters, stride in blocks:
        network.window("depthwise", 3, stride, 1, bias=False)
        network.add("batch_norm")
        network.add("relu")
        network.conv(filters, 1)
        network.add("relu")
    network.add("mean", shape=network.operations[-1].shape[-1:])
    network.dense(CLASSES)
    return network


NETWORKS = {"vgg16": vgg16, "resnet50": resnet50, "mobilenet_v1": mobilenet_v1}
