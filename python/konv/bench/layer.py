"""Layers to measure: their shapes, which CSV files list, their passes, and what a pass has to do."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float32]]

SHAPES = Path(__file__).parent / "shapes"
LISTS = ("classic", "vgg16", "resnet50", "alexnet", "lenet5", "mobilenet_v1", "memory")

PASSES = {
    "conv": ("forward", "grad_x", "grad_kernel"),
    "dense": ("forward", "grad_x", "grad_kernel"),
    "max_pool": ("forward", "grad_x"),
    "avg_pool": ("forward", "grad_x"),
    "relu": ("forward", "grad_x"),
    "batch_norm": ("forward", "backward", "both"),
}
ALL_PASSES = tuple(dict.fromkeys(which for passes in PASSES.values() for which in passes))


@dataclass(frozen=True)
class Layer:
    """N images of H x W x C under a window of R x S; `padding` pixels on each side, K filters."""

    name: str
    op: str
    N: int
    H: int
    W: int
    C: int
    K: int = 0  # 0: as many as C
    R: int = 1
    S: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    count: int = 1  # layers of this shape in the network
    cached: int = 0  # 1: the same buffers for every call, as when a layer reads what was just written

    def __post_init__(self) -> None:
        if self.op not in PASSES:
            raise ValueError(f"{self.name}: op must be one of {', '.join(PASSES)}, received {self.op!r}")
        if self.K == 0:
            object.__setattr__(self, "K", self.C)
        sizes = {field: value for field, value in asdict(self).items() if field not in ("name", "op")}
        for field, value in sizes.items():
            least = 0 if field in ("padding", "cached") else 1
            if value < least:
                raise ValueError(f"{self.name}: {field} must be at least {least}, received {value}")
        if self.C % self.groups or self.K % self.groups:
            raise ValueError(
                f"{self.name}: groups must divide C and K, received {self.groups}, {self.C}, {self.K}"
            )
        if self.op not in ("conv", "dense") and self.K != self.C:
            raise ValueError(f"{self.name}: K must be C for {self.op}, received {self.K} and {self.C}")
        if self.op in ("dense", "relu", "batch_norm") and (self.R, self.S, self.stride) != (1, 1, 1):
            raise ValueError(f"{self.name}: R, S and stride must be 1 for {self.op}")
        # Else padding would be all that a window sees.
        if self.op != "conv" and self.padding >= min(self.R, self.S):
            raise ValueError(
                f"{self.name}: padding must be below R and S for {self.op}, received {self.padding}"
            )
        if min(self.output_size) < 1:
            raise ValueError(f"{self.name}: the window of {self.R}x{self.S} must fit into the padded image")

    @property
    def passes(self) -> tuple[str, ...]:
        """What can be measured."""
        return PASSES[self.op]

    @property
    def kind(self) -> str:
        """The op, with convolutions told apart by what bounds them: what results are grouped by."""
        return "depthwise" if self.op == "conv" and self.groups == self.C > 1 else self.op

    @property
    def output_size(self) -> tuple[int, int]:
        """P and Q, height and width of the output."""
        return (
            (self.H + 2 * self.padding - self.R) // self.stride + 1,
            (self.W + 2 * self.padding - self.S) // self.stride + 1,
        )

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """Of the input."""
        return (self.N, self.H, self.W, self.C)

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Of a convolution's kernel; a dense layer's is its last two axes."""
        return (self.R, self.S, self.C // self.groups, self.K)

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Of the output."""
        return (self.N, *self.output_size, self.K)

    @property
    def flops(self) -> int:
        """Operations of the direct algorithm, alike for each pass; taps in the padding count too."""
        if self.op not in ("conv", "dense"):
            return 0
        return 2 * prod(self.y_shape) * self.R * self.S * self.C // self.groups

    def input_bytes(self, which: str) -> int:
        """Bytes of the arrays that a pass reads."""
        x, y, kernel = (4 * prod(shape) for shape in (self.x_shape, self.y_shape, self.kernel_shape))
        kernel = kernel if self.op in ("conv", "dense") else 0
        return {"forward": x + kernel, "grad_x": y + kernel}.get(which, x + y)

    def traffic_of(self, which: str) -> tuple[int, int]:
        """Bytes that a pass has to read and to write at least.

        Batch normalisation reads twice in each direction, since it needs the sums first; max pooling keeps
        one byte of position for each output.
        """
        x, y, kernel = (4 * prod(shape) for shape in (self.x_shape, self.y_shape, self.kernel_shape))
        if self.op in ("conv", "dense"):
            written = {"forward": y, "grad_x": x, "grad_kernel": kernel}[which]
            return x + y + kernel - written, written
        if self.op == "batch_norm":
            return {"forward": (2 * x, x), "backward": (4 * x, x), "both": (6 * x, 2 * x)}[which]
        if self.op == "relu":
            return (x, x) if which == "forward" else (2 * x, x)
        positions = y // 4 if self.op == "max_pool" else 0
        return (x, y + positions) if which == "forward" else (y + positions, x)

    def bytes_of(self, which: str) -> int:
        """Bytes that a pass has to read and write at least."""
        return sum(self.traffic_of(which))

    def result_shapes(self, which: str) -> tuple[tuple[int, ...], ...]:
        """Shapes of what every peer gives for a pass."""
        gradients = (self.x_shape, (self.C,), (self.C,))  # of batch normalisation: x, gamma, beta
        return {
            "forward": (self.y_shape,),
            "grad_x": (self.x_shape,),
            "grad_kernel": (self.kernel_shape,),
            "backward": gradients,
            "both": (self.y_shape, *gradients),
        }[which]

    def data(self) -> dict[str, Array]:
        """Make what passes read: normal, the same in every process; `grad` has the output's shape."""
        random = np.random.default_rng(0)
        shapes: dict[str, tuple[int, ...]] = {"x": self.x_shape, "grad": self.y_shape}
        if self.op in ("conv", "dense"):
            shapes["kernel"] = self.kernel_shape
        elif self.op == "batch_norm":
            shapes |= {"gamma": (self.C,), "beta": (self.C,)}
        return {name: random.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


def read_layers(path: Path) -> list[Layer]:
    """Read a CSV file whose columns are fields of Layer; an empty cell is the field's default.

    Raises
    ------
    ValueError
        If it isn't such a file.
    """
    fields = Layer.__dataclass_fields__
    needed = [name for name, field in fields.items() if field.default is MISSING]
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
            rows = list(csv.DictReader(file, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be a CSV file in UTF-8: {error}") from None
    layers = []
    for number, row in enumerate(rows, 2):
        cells = {field: cell for field, cell in row.items() if cell}
        try:
            if None in row or not set(cells) <= set(fields):
                raise ValueError(f"columns must be among {', '.join(fields)}")
            if missing := [name for name in needed if name not in cells]:
                raise ValueError(f"{', '.join(needed)} must be given, missing {', '.join(missing)}")
            values: dict[str, Any] = {
                field: cell if field in ("name", "op") else int(cell) for field, cell in cells.items()
            }
            layers.append(Layer(**values))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if not layers:
        raise ValueError(f"{path}: must list layers, one a line, received none")
    return layers


def find_layers(names: Iterable[str]) -> dict[str, list[Layer]]:
    """Find layers by the name of a list, of a layer in any list, or of a CSV file; by group."""
    found: dict[str, list[Layer]] = {}
    for name in names:
        if name in LISTS:
            found[name] = read_layers(SHAPES / f"{name}.csv")
        elif name.endswith(".csv"):
            found.setdefault(Path(name).stem, []).extend(read_layers(Path(name)))
        else:
            group, layer = find_layer(name)
            found.setdefault(group, []).append(layer)
    return found


def find_layer(name: str) -> tuple[str, Layer]:
    """Find a layer by its name; returns the list that it's in too."""
    for group in LISTS:
        for layer in read_layers(SHAPES / f"{group}.csv"):
            if layer.name == name:
                return group, layer
    raise ValueError(
        f"layers must be a list ({', '.join(LISTS)}), a layer in one, or a .csv file, received {name!r}"
    )
