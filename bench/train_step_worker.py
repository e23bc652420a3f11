"""One peer of bench/train_step.py in its own process: a line of JSON for each command and each answer.

    python train_step_worker.py konv | torch_nchw[_compiled] | torch_nhwc[_compiled] THREADS

{"steps": 3}      makes a network without dropout and that many steps; answers with their `losses`
{"seconds": 0.5}  makes steps of a network with dropout for that long, after one to warm up; answers with the
                  mean time of a step in `seconds`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Step = Callable[[], float]

BATCH, CLASSES, DROPOUT = 128, 10, 0.2
# Kernels in order, of convolutions (HWIO), then of dense layers.
KERNELS = ((3, 3, 1, 32), (3, 3, 32, 32), (3, 3, 32, 64), (3, 3, 64, 64), (1024, 512), (512, CLASSES))
FLATTENED = (4, 4, 64)  # what the first dense layer reads: height, width, channels


def images_and_labels() -> tuple[Array, Array]:
    """Return images `(128, 28, 28, 1)` in [0, 1) and labels `(128,)`."""
    random = np.random.default_rng(0)
    return random.random((BATCH, 28, 28, 1), np.float32), random.integers(0, CLASSES, BATCH)


def kernels() -> list[Array]:
    """Return the same initial kernels for every peer, Glorot's limits; biases are 0."""
    random = np.random.default_rng(1)
    limits = [np.sqrt(6 / (np.prod(shape[:-2]) * (shape[-2] + shape[-1]))) for shape in KERNELS]
    return [
        random.uniform(-limit, limit, shape).astype(np.float32)
        for limit, shape in zip(limits, KERNELS, strict=True)
    ]


def konv_step(dropout: float) -> Step:
    """Return the training step of Konv."""
    import konv
    from konv.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, ReLU

    def conv(filters: int) -> list[Any]:
        return [Conv2D(filters, 3), ReLU()]

    model = konv.Sequential([konv.Input((28, 28, 1)), *conv(32), BatchNormalization(), *conv(32)])
    for layer in [MaxPooling2D(), BatchNormalization(), *conv(64), BatchNormalization(), *conv(64)]:
        model.add(layer)
    for layer in [MaxPooling2D(), Flatten(), BatchNormalization(), Dense(512), ReLU()]:
        model.add(layer)
    for layer in [BatchNormalization(), Dropout(dropout), Dense(CLASSES, activation="softmax")]:
        model.add(layer)
    affine = [layer for layer in model.layers if isinstance(layer, (Conv2D, Dense))]
    for layer, kernel in zip(affine, kernels(), strict=True):
        layer.set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = images_and_labels()
    return lambda: float(model.train_on_batch(x, y))


def torch_step(dropout: float, channels_last: bool, compiled: bool) -> Step:
    """Return the training step of PyTorch."""
    import torch
    from torch import nn

    def norm(kind: Any, features: int) -> Any:
        return kind(features, eps=1e-3, momentum=0.01)

    network = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), norm(nn.BatchNorm2d, 32)),
        *(nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2), norm(nn.BatchNorm2d, 32)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), norm(nn.BatchNorm2d, 64)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), norm(nn.BatchNorm1d, 1024)),
        *(nn.Linear(1024, 512), nn.ReLU(), norm(nn.BatchNorm1d, 512), nn.Dropout(dropout)),
        nn.Linear(512, CLASSES),
    )
    layout = torch.channels_last if channels_last else torch.contiguous_format
    affine = [layer for layer in network if isinstance(layer, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, kernel in zip(affine, kernels(), strict=True):
            if kernel.ndim == 4:
                kernel = kernel.transpose(3, 2, 0, 1)
            elif kernel.shape[0] == np.prod(FLATTENED):  # PyTorch flattens channels first
                kernel = kernel.reshape(*FLATTENED, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[1], -1)
            else:
                kernel = kernel.T
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            layer.bias.zero_()
    network = network.to(memory_format=layout).train()
    images, labels = images_and_labels()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    y = torch.from_numpy(labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, eps=1e-7)
    forward = torch.compile(network) if compiled else network

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def steps_of(name: str, threads: int) -> Callable[[float], Step]:
    """Return a function that makes a peer's step for a rate of dropout."""
    if name == "konv":
        return konv_step
    import torch

    torch.set_num_threads(threads)
    return lambda dropout: torch_step(dropout, "nhwc" in name, "compiled" in name)


def mean_time(step: Step, seconds: float) -> float:
    """Mean time of a step over so many seconds, after one to warm up."""
    step()
    count, start = 0, perf_counter()
    while True:
        step()
        count += 1
        elapsed = perf_counter() - start
        if elapsed >= seconds:
            return elapsed / count


def main(name: str, threads: str) -> None:
    """Answer commands until there are no more."""
    make = steps_of(name, int(threads))
    timed: Step | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if "steps" in command:
            step = make(0.0)
            answer: dict[str, Any] = {"losses": [step() for _ in range(command["steps"])]}
        else:
            timed = timed or make(DROPOUT)
            answer = {"seconds": mean_time(timed, command["seconds"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
