"""What a model has as a layer made of layers: the layers, its inputs and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from konv._arguments import integer, shown, text
from konv.layers.base import Layer
from konv.layers.tensor import Tensor

Sizes = tuple[int, ...]
"""A shape that is known."""


class LayeredModel(Layer):
    """Base of models. A subclass defines what a layer does, `run_forward` and `run_backward` among it, and
    the properties.

    Attributes
    ----------
    input_shape : tuple
        With the batch; () until it is known. A list of them for several inputs.
    """

    _noun = "model"

    input_shape: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.input_shape = ()

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order."""
        raise self._undefined("layers")

    @property
    def inputs(self) -> list[Tensor]:
        """Tensors of the inputs; none while the input shape isn't known."""
        raise self._undefined("inputs")

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        raise self._undefined("input_names")

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        raise self._undefined("output_names")

    def _undefined(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{self.label}: {name} is not defined")

    def output_shapes(self, shapes: Sequence[Sizes]) -> list[Sizes]:
        """Return the shapes of all outputs for those of all inputs."""
        result = self.compute_output_shape(list(shapes) if self.several_inputs else shapes[0])
        return list(result) if self.several_outputs else [result]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return the layer of a name or at an index.

        Raises
        ------
        ValueError
            If there is none, or if not just one of the arguments is given.
        """
        where = "get_layer"
        if (name is None) == (index is None):
            raise ValueError(
                f"{where}: one of name and index must be given, received {shown(name)}, {shown(index)}"
            )
        if index is not None:
            index = integer(where, "index", index)
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"{where}: index must be below {len(self.layers)}, received {index}")
            return self.layers[index]
        name = text(where, "name", name)
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self.layers)
        raise ValueError(f"{where}: name must be one of {known}, received {shown(name)}")
