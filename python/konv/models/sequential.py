"""Sequential: layers one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from konv._arguments import Shape, shown
from konv.layers.base import Layer
from konv.layers.input import InputLayer
from konv.layers.tensor import Tensor
from konv.models.graph import Graph
from konv.models.graph_config import check_keys, described_layers
from konv.models.graph_model import LATER, GraphModel
from konv.models.model import Model
from konv.models.registry import layer_from_config


class Sequential(Model):
    """Layers one after another: a model whose graph is a chain.

    It is built layer by layer as soon as the input's shape is known: from an `Input` in first place, or
    `input_shape=` of the first layer, or a first layer that is a built model; otherwise at the first call.

    Parameters
    ----------
    layers : list of Layer, optional
        The first may be an `Input`, which is not among the model's `layers`.
    trainable : bool
    name : str, optional

    Examples
    --------
    >>> from konv import Sequential
    >>> from konv.layers import Conv2D, Dense, Flatten, Input
    >>> model = Sequential([Input((8, 8, 1)), Conv2D(4, 3, activation="relu"), Flatten(), Dense(10)])
    >>> model.output_shape, model.count_params()
    ((None, 10), 1490)
    """

    def __init__(
        self, layers: Sequence[Layer | Tensor] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        self._layers: list[Layer] = []
        super().__init__(LATER, LATER, name, trainable)
        if layers is None:
            layers = []
        if not isinstance(layers, (list, tuple)):
            raise TypeError(f"{self.label}: layers must be a list of layers, received {shown(layers)}")
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer | Tensor) -> None:
        """Add a layer at the end, or an `Input` to a model that has neither layers nor an input yet."""
        if isinstance(layer, Tensor):
            if not isinstance(layer.node.layer, InputLayer):
                raise TypeError(
                    f"{self.label}: a tensor must be what konv.Input returned, "
                    f"received one of {layer.node.layer.label}"
                )
            layer = layer.node.layer
        if isinstance(layer, InputLayer):
            self._begin(layer)
            return
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.label}: each layer must be a konv.layers.Layer, received {shown(layer)}")
        if _holds(layer, self):
            raise ValueError(f"{self.label}: a layer must not hold the model itself, received {layer.label}")
        if layer.several_inputs or layer.several_outputs:
            raise ValueError(
                f"{self.label}: each layer must have one input and one output, received {layer.label}"
            )
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(
                f"{self.label}: layers must have different names, received a second '{layer.name}'; "
                "give it another with name="
            )
        is_first = not self._layers and not self._input_layers
        if not is_first and layer.dtype != self.dtype:
            raise ValueError(
                f"{self.label}: {layer.label} must have dtype {self.dtype}, received {layer.dtype}"
            )
        starts = self._input_layers
        declared = layer.input_shape[1:] if isinstance(layer, Model) and layer.built else layer.declared_shape
        if is_first and declared is not None:
            starts = [InputLayer(declared, dtype=layer.dtype)]
        ends = []
        if starts:
            before = self._output_tensors[0] if self._layers else starts[0].output
            ends = list(layer.connect([before]).outputs)
        self.dtype = layer.dtype
        self._layers.append(layer)
        self._reach(starts, ends)

    def pop(self) -> Layer:
        """Remove the last layer, and return it."""
        if not self._layers:
            raise ValueError(f"{self.label}: pop needs a model with a layer, received one without")
        layer = self._layers.pop()
        ends = []
        if self.built:
            node = self._output_tensors[0].node
            layer.disconnect(node)
            ends = list(node.inputs)
        self._reach(self._input_layers, ends)
        return layer

    def _begin(self, layer: InputLayer) -> None:
        if self._layers or self._input_layers:
            last = self._layers[-1].label if self._layers else "an Input"
            raise ValueError(f"{self.label}: Input must come first and once, received it after {last}")
        self.dtype = layer.dtype
        self._reach([layer], [layer.output])

    def _reach(self, starts: list[InputLayer], ends: list[Tensor]) -> None:
        self._chain: Graph | None = None
        super()._reach(starts, ends)

    @property
    def graph(self) -> Graph:
        if self._chain is None:
            self._chain = Graph.chain(self._layers)
        return self._chain

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order, without the `Input`."""
        return list(self._layers)

    def build(self, input_shape: Shape) -> None:
        start = InputLayer(input_shape[1:], input_shape[0], self.dtype)
        self._reach([start], self.graph.connect([start.output]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not self._layers:
            raise ValueError("it must have a layer at least, received none")
        shape: Shape = super().compute_output_shape(input_shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        layers = [*self._input_layers, *self._layers]
        return {
            "name": self.name,
            "trainable": self.trainable,
            "layers": described_layers(self.label, layers),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None
    ) -> Sequential:
        where = cls.__name__
        check_keys(where, config, ("name", "trainable", "layers"))
        layers = [layer_from_config(layer, custom_objects) for layer in config["layers"]]
        return cls(layers, trainable=config["trainable"], name=config["name"])


def _holds(layer: Layer, model: Sequential) -> bool:
    """Whether a layer is the model, or a model with it inside."""
    seen: set[Layer] = set()
    ahead = [layer]
    while ahead:
        each = ahead.pop()
        if each is model:
            return True
        if isinstance(each, GraphModel) and each not in seen:
            seen.add(each)
            ahead += each.layers
    return False
