"""Add and Concatenate: layers of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from konv import ops
from konv._arguments import Shape, integer
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.ops.addition import add as add_arrays


class Add(Layer):
    """The sum of inputs.

    Sizes of 1 are repeated to those of the others, except the batch's; inputs of fewer axes get axes of size
    1 after the batch's.

    Examples
    --------
    >>> from konv.layers import Add
    >>> import numpy as np
    >>> Add()([np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)])
    array([[2., 2.]], dtype=float32)
    """

    several_inputs = True

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        rank = max(len(shape) for shape in input_shape)
        padded = [_of_rank(rank, shape) for shape in input_shape]
        sizes: list[int | None] = []
        for axis, of_axis in enumerate(zip(*padded, strict=True)):
            wanted = {size for size in of_axis if axis == 0 or size != 1}
            known = wanted - {None}
            if len(known) > 1:
                raise ValueError(
                    f"inputs must have equal sizes, or 1 except in the batch, received shapes {input_shape}"
                )
            if axis == 0 and known:
                wanted = known  # the batch that one input knows is that of all
            sizes.append(None if None in wanted else next(iter(wanted), 1))
        return tuple(sizes)

    def forward(self, inputs: list[Array], context: Context) -> tuple[Array, Any]:
        shapes = [array.shape for array in inputs]
        shape = self.compute_output_shape(shapes)
        arrays = [array.reshape(_of_rank(len(shape), array.shape)) for array in inputs]
        outputs, *others = arrays
        for number, array in enumerate(others, 1):
            outputs = add_arrays(outputs, array, relu=context.relu and number == len(others))
        if context.relu and not others:
            outputs = ops.relu(outputs)
        return outputs, (shapes, outputs if context.relu and not context.masked else None)

    def backward(
        self, grad: Array, saved: Any, *, needs_input: bool
    ) -> tuple[list[Array] | None, list[Array]]:
        if not needs_input:
            return None, []
        shapes, y = saved
        if y is not None:
            grad = ops.relu_backward(grad, y)
        return [_summed_to(shape, grad) for shape in shapes], []

    def fuses(self, *, norm: bool, add: bool, relu: bool) -> bool:
        return relu and not (norm or add)

    @property
    def fused_as(self) -> str | None:
        return "add"


class Concatenate(Layer):
    """Inputs one after the other along an axis.

    Parameters
    ----------
    axis : int
        Not the batch's.
    **options
        `name`, `trainable`, `dtype`, `input_shape`, as for every layer.

    Examples
    --------
    >>> from konv.layers import Concatenate
    >>> Concatenate().compute_output_shape([(None, 8, 8, 3), (None, 8, 8, 5)])
    (None, 8, 8, 8)
    """

    several_inputs = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = integer(self.label, "axis", axis)

    def compute_output_shape(self, input_shape: list[Shape]) -> Shape:
        rank = len(input_shape[0])
        if any(len(shape) != rank for shape in input_shape):
            raise ValueError(f"inputs must have as many axes each, received shapes {input_shape}")
        if not -rank <= self.axis < rank or self.axis % rank == 0:
            raise ValueError(
                f"axis must be one of the axes after the batch's, "
                f"received {self.axis} for inputs of shapes {input_shape}"
            )
        sizes: list[int | None] = []
        for axis, of_axis in enumerate(zip(*input_shape, strict=True)):
            known = [size for size in of_axis if size is not None]
            if axis == self.axis % rank:
                sizes.append(sum(known) if len(known) == len(of_axis) else None)
            elif len(set(known)) > 1:
                raise ValueError(
                    f"inputs must have equal sizes except along axis {self.axis}, "
                    f"received shapes {input_shape}"
                )
            else:
                sizes.append(known[0] if known else None)
        return tuple(sizes)

    def forward(self, inputs: list[Array], context: Context) -> tuple[Array, Any]:
        self.compute_output_shape([array.shape for array in inputs])
        outputs = context.backend.array_module.concatenate(inputs, axis=self.axis)
        return outputs, [array.shape[self.axis] for array in inputs]

    def backward(
        self, grad: Array, saved: Any, *, needs_input: bool
    ) -> tuple[list[Array] | None, list[Array]]:
        if not needs_input:
            return None, []
        before = (slice(None),) * (self.axis % grad.ndim)
        ends = accumulate(saved)
        parts = [(*before, slice(end - size, end)) for size, end in zip(saved, ends, strict=True)]
        return [grad[part] for part in parts], []

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def add(inputs: Sequence[Any], **options: Any) -> Any:
    """Apply a new `Add` with these options to a list of inputs, arrays or tensors, and return the sum.

    Errors are those of the layer.

    Examples
    --------
    >>> from konv.layers import add
    >>> import numpy as np
    >>> add([np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32)])
    array([[1., 1.]], dtype=float32)
    """
    return Add(**options)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Any) -> Any:
    """Apply a new `Concatenate` with these options to a list of inputs, arrays or tensors, and return them
    one after the other along an axis that isn't the batch's.

    Errors are those of the layer.

    Examples
    --------
    >>> from konv.layers import concatenate
    >>> import numpy as np
    >>> concatenate([np.ones((1, 2), np.float32), np.zeros((1, 1), np.float32)])
    array([[1., 1., 0.]], dtype=float32)
    """
    return Concatenate(axis, **options)(inputs)


def _of_rank(rank: int, shape: Any) -> Any:
    """Insert axes of size 1 after the batch's."""
    return (shape[0], *(1,) * (rank - len(shape)), *shape[1:])


def _summed_to(shape: tuple[int, ...], grad: Array) -> Array:
    """Sum the gradient of a result over the axes along which an input of a shape was repeated."""
    padded = _of_rank(grad.ndim, shape)
    axes = tuple(axis for axis in range(1, grad.ndim) if padded[axis] == 1 and grad.shape[axis] != 1)
    return (grad.sum(axis=axes) if axes else grad).reshape(shape)
