"""Tensors without values, and the nodes that join them: one node for each call of a layer on tensors.

A node knows the tensors that it was given and each tensor the node that made it, so that `konv.Model` finds
its layers by walking back from its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from konv._arguments import Shape

if TYPE_CHECKING:
    from konv.layers.base import Layer


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array that has no values yet; two of them are never equal.

    Attributes
    ----------
    shape : tuple
        With the batch, which is mostly None: `(None, 28, 28, 1)`.
    dtype : dtype
    name : str
        Of the layer that made it.
    node : Node
        The call that made it.
    index : int
        Its place among the outputs of that call.

    Examples
    --------
    >>> from konv.layers import Dense, Input
    >>> y = Dense(2, name="d")(Input((3,)))
    >>> y.shape, y.node.layer.name, y.node.inputs[0].shape
    ((None, 2), 'd', (None, 3))
    """

    shape: Shape
    dtype: np.dtype[Any]
    name: str
    node: Node = field(repr=False)
    index: int = field(default=0, repr=False)


class Node:
    """One call of a layer on tensors.

    Attributes
    ----------
    layer : Layer
    inputs, outputs : tuple of Tensor
    training : bool or None
        What the layer is told in this place, whatever the model does; None: what the model does.

    Examples
    --------
    >>> from konv.layers import Dense, Input
    >>> Dense(2, name="d")(Input((3,))).node
    <Node of layer 'd' (Dense)>
    """

    def __init__(
        self,
        layer: Layer,
        inputs: Sequence[Tensor],
        output_shapes: Sequence[Shape],
        training: bool | None = None,
    ) -> None:
        self.layer = layer
        self.inputs = tuple(inputs)
        self.training = training
        self.outputs = tuple(
            Tensor(shape, layer.dtype, layer.name, self, index) for index, shape in enumerate(output_shapes)
        )

    def __repr__(self) -> str:
        return f"<Node of {self.layer.label}>"
