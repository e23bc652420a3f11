"""Reshape."""

from __future__ import annotations

import math
from typing import Any

from konv._arguments import Shape, at_least, integer, shown
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context


class Reshape(Layer):
    """Another shape for the elements of each input, in the same order.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch. One size may be -1: what is left.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Reshape
    >>> Reshape((7, -1, 16)).compute_output_shape((None, 784))
    (None, 7, 7, 16)
    """

    def __init__(self, target_shape: tuple[int, ...], **options: Any) -> None:
        super().__init__(**options)
        where = self.label
        if not isinstance(target_shape, (tuple, list)):
            raise TypeError(f"{where}: target_shape must be a tuple of ints, received {shown(target_shape)}")
        self.target_shape = tuple(
            size
            if integer(where, "target_shape (each size)", size) == -1
            else at_least(1, where, "target_shape (each size that isn't -1)", size)
            for size in target_shape
        )
        if self.target_shape.count(-1) > 1:
            raise ValueError(
                f"{where}: target_shape must have -1 at most once, received {shown(target_shape)}"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        known = [size for size in input_shape[1:] if size is not None]
        elements = math.prod(known) if len(known) == len(input_shape) - 1 else None
        wanted = math.prod(size for size in self.target_shape if size != -1)
        left = None if elements is None else elements // wanted
        if elements is not None and (
            left == 0 or elements % wanted or (left != 1 and -1 not in self.target_shape)
        ):
            raise ValueError(
                f"target_shape must take all {elements} elements of an input, "
                f"received {self.target_shape} for inputs of shape {input_shape}"
            )
        return (input_shape[0], *(left if size == -1 else size for size in self.target_shape))

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        shape = self.compute_output_shape(inputs.shape)
        return inputs.reshape(shape), inputs.shape

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        return grad.reshape(saved) if needs_input else None, []

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}
