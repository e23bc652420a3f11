"""The course's network and its training step in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from konv.bench import course_network as course


def network(dropout: float, layout: torch.memory_format) -> Any:
    """Build the network, ready to train."""

    def norm(kind: Any, features: int) -> Any:
        return kind(features, eps=course.EPSILON, momentum=1 - course.MOMENTUM)

    built = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), norm(nn.BatchNorm2d, 32)),
        *(nn.Conv2d(32, 32, 3), nn.ReLU(), nn.MaxPool2d(2), norm(nn.BatchNorm2d, 32)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), norm(nn.BatchNorm2d, 64)),
        *(nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), norm(nn.BatchNorm1d, 1024)),
        *(nn.Linear(1024, 512), nn.ReLU(), norm(nn.BatchNorm1d, 512), nn.Dropout(dropout)),
        nn.Linear(512, course.CLASSES),
    )
    affine = [layer for layer in built if isinstance(layer, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, kernel in zip(affine, course.kernels(), strict=True):
            if kernel.ndim == 4:
                kernel = kernel.transpose(3, 2, 0, 1)
            elif kernel.shape[0] == np.prod(course.FLATTENED):  # PyTorch flattens channels first
                kernel = (
                    kernel.reshape(*course.FLATTENED, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[::-1])
                )
            else:
                kernel = kernel.T
            layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
            layer.bias.zero_()
    return built.to(memory_format=layout).train()


def step(dropout: float, layout: torch.memory_format, compiled: bool) -> Callable[[], float]:
    """Return a function that makes one training step and returns its loss."""
    trained = network(dropout, layout)
    images, labels = course.images_and_labels()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    y = torch.from_numpy(labels)
    optimizer = torch.optim.Adam(trained.parameters(), lr=course.LEARNING_RATE, eps=course.ADAM_EPSILON)
    forward = torch.compile(trained) if compiled else trained

    def make() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return make
