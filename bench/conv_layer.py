"""A convolution layer to measure: its shape, its data, its passes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PASSES = ("forward", "grad_x", "grad_kernel")

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class ConvLayer:
    """N images of H x W x C, K filters of R x S; `padding` pixels on each side."""

    name: str
    N: int
    H: int
    W: int
    C: int
    K: int
    R: int
    S: int
    stride: int
    padding: int

    @property
    def output_size(self) -> tuple[int, int]:
        """P and Q, height and width of the output."""
        return (
            (self.H + 2 * self.padding - self.R) // self.stride + 1,
            (self.W + 2 * self.padding - self.S) // self.stride + 1,
        )

    @property
    def flops(self) -> int:
        """Operations of the direct algorithm, the same for each pass; taps in the padding count too."""
        P, Q = self.output_size
        return 2 * self.N * P * Q * self.K * self.R * self.S * self.C

    def data(self) -> tuple[Array, Array, Array]:
        """Make x (N, H, W, C), kernel (R, S, C, K), grad (N, P, Q, K): normal, the same in every process."""
        rng = np.random.default_rng(0)
        shapes = (
            (self.N, self.H, self.W, self.C),
            (self.R, self.S, self.C, self.K),
            (self.N, *self.output_size, self.K),
        )
        x, kernel, grad = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        return x, kernel, grad


def read_layers(path: Path) -> list[ConvLayer]:
    """Read a CSV file whose columns are the fields of ConvLayer."""
    with path.open(newline="") as file:
        return [
            ConvLayer(name=row.pop("name"), **{field: int(value) for field, value in row.items()})
            for row in csv.DictReader(file)
        ]
