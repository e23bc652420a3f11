"""Sequential: layers one after another."""

from __future__ import annotations

from typing import Any

import numpy as np

from konv._arguments import Shape, class_and_config, flag, shape_of, shown
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.layers.input import Tensor
from konv.layers.variable import Variable
from konv.models.registry import layer_from_config
from konv.models.training import TrainableModel


class Sequential(TrainableModel):
    """Layers one after another.

    It is built layer by layer as soon as the input's shape is known: from an `Input` in first place, or
    `input_shape=` of the first layer; otherwise at the first call.

    Parameters
    ----------
    layers : list of Layer, optional
        The first may be an `Input`.
    trainable : bool
    name : str, optional

    Examples
    --------
    >>> from konv.layers import Conv2D, Dense, Flatten, Input
    >>> model = Sequential([Input((8, 8, 1)), Conv2D(4, 3, activation="relu"), Flatten(), Dense(10)])
    >>> model.output_shape, model.count_params()
    ((None, 10), 1490)
    """

    def __init__(
        self, layers: list[Layer | Tensor] | None = None, trainable: bool = True, name: str | None = None
    ) -> None:
        self._layers: list[Layer] = []
        super().__init__(trainable=trainable, name=name)
        self.output_shape: Shape = ()
        if layers is None:
            layers = []
        if not isinstance(layers, (list, tuple)):
            raise TypeError(f"{self.label}: layers must be a list of layers, received {shown(layers)}")
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer | Tensor) -> None:
        """Add a layer at the end, or an `Input` to a model that has neither layers nor an input yet."""
        if isinstance(layer, Tensor):
            if self._layers or self.input_shape:
                raise ValueError(
                    f"{self.label}: Input must come first and once, received it after {self._last()}"
                )
            self._start(layer.shape, layer.dtype)
            return
        if not isinstance(layer, Layer):
            raise TypeError(f"{self.label}: each layer must be a konv.layers.Layer, received {shown(layer)}")
        if _holds(layer, self):
            raise ValueError(f"{self.label}: a layer must not hold the model itself, received {layer.label}")
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(
                f"{self.label}: layers must have different names, received a second '{layer.name}'"
            )
        is_first = not self._layers and not self.input_shape
        if not is_first and layer.dtype != self.dtype:
            raise ValueError(
                f"{self.label}: {layer.label} must have dtype {self.dtype}, received {layer.dtype}"
            )
        shape = self.output_shape
        if is_first and layer.declared_shape is not None:
            shape = (None, *layer.declared_shape)
        output_shape: Shape = ()
        if shape:
            layer.build(shape)
            output_shape = layer.compute_output_shape(shape)
        if is_first:
            self._start(shape, layer.dtype)
        self._layers.append(layer)
        self.output_shape = output_shape
        self.built = bool(shape)

    def _start(self, input_shape: Shape, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.input_shape = self.output_shape = input_shape

    def _last(self) -> str:
        return self._layers[-1].label if self._layers else "an Input"

    @property
    def layers(self) -> list[Layer]:
        return list(self._layers)

    @property
    def trainable(self) -> bool:
        """Whether its weights have gradients; setting it sets it for every layer too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(self.label, "trainable", value)
        for layer in self._layers:
            layer.trainable = value

    def build(self, input_shape: Shape) -> None:
        shape = input_shape
        for layer in self._layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.input_shape, self.output_shape = input_shape, shape

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not self._layers:
            raise ValueError("it must have a layer at least, received none")
        for layer in self._layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def forward(self, inputs: Array, context: Context) -> tuple[Array, Any]:
        saved = []
        last = len(self._layers) - 1
        for position, layer in enumerate(self._layers):
            inputs, kept = layer.forward(
                inputs, context.within(position, logits=context.logits and position == last)
            )
            if context.for_backward:
                saved.append(kept)
        return inputs, saved

    def backward(self, grad: Array, saved: Any, *, needs_input: bool) -> tuple[Array | None, list[Array]]:
        """Return gradients as every layer does; `saved` is emptied on the way, to free memory as soon as it
        is spent."""
        weighted = [position for position, layer in enumerate(self._layers) if layer.trainable_variables]
        first = 0 if needs_input else min(weighted, default=len(self._layers))
        del saved[:first]
        by_layer: list[list[Array]] = []
        for position in range(len(self._layers) - 1, first - 1, -1):
            layer = self._layers[position]
            grad, own = layer.backward(grad, saved.pop(), needs_input=needs_input or position > first)
            by_layer.append(own)
        gradients = [gradient for own in reversed(by_layer) for gradient in own] if self.trainable else []
        return (grad if needs_input else None), gradients

    def multiply_adds(self, input_shape: Shape) -> int | None:
        total = 0
        for layer in self._layers:
            count = layer.multiply_adds(input_shape)
            if count is None:
                return None
            total += count
            input_shape = layer.compute_output_shape(input_shape)
        return total

    @property
    def ends_in(self) -> str | None:
        return self._layers[-1].ends_in if self._layers else None

    @property
    def variables(self) -> list[Variable]:
        return [variable for layer in self._layers for variable in layer.variables]

    @property
    def trainable_variables(self) -> list[Variable]:
        if not self.trainable:
            return []
        return [variable for layer in self._layers for variable in layer.trainable_variables]

    def named_variables(self) -> list[tuple[str, Variable]]:
        return [
            (f"{layer.name}/{name}", variable)
            for layer in self._layers
            for name, variable in layer.named_variables()
        ]

    def __repr__(self) -> str:
        names = ", ".join(layer.name for layer in self._layers)
        return f"<{type(self).__name__} name={self.name} layers=[{names}]>"

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "input_shape": self.input_shape or None,
            "layers": [class_and_config(layer) for layer in self._layers],
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None
    ) -> Sequential:
        """Make a model, with new weights, from what `get_config` returned.

        Parameters
        ----------
        config : dict
        custom_objects : dict, optional
            Classes of layers that aren't Konv's, by name.
        """
        where = cls.__name__
        if not isinstance(config, dict):
            raise TypeError(f"{where}: config must be a dict, received {shown(config)}")
        wrong = set(config) ^ {"name", "trainable", "input_shape", "layers"}
        if wrong or not isinstance(config["layers"], list):
            raise ValueError(
                f"{where}: config must have name, trainable, input_shape and a list of layers, "
                f"received {shown(config)}"
            )
        layers = [layer_from_config(layer, custom_objects) for layer in config["layers"]]
        model = cls(trainable=config["trainable"], name=config["name"])
        if config["input_shape"] is not None:
            input_shape = shape_of(where, "input_shape", config["input_shape"])
            model._start((None, *input_shape[1:]), layers[0].dtype if layers else model.dtype)
        for layer in layers:
            model.add(layer)
        return model


def _holds(layer: Layer, model: Sequential) -> bool:
    """Whether a layer is the model, or a model with it inside."""
    inner = layer.layers if isinstance(layer, TrainableModel) else []
    return layer is model or any(_holds(each, model) for each in inner)
