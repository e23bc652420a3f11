"""What a model is as a layer: a graph of layers, from inputs to outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np

from konv._arguments import Shape, flag, integer, shown, text
from konv.backend import Array
from konv.layers.base import Layer
from konv.layers.context import Context
from konv.layers.input import InputLayer
from konv.layers.tensor import Tensor
from konv.layers.variable import Variable
from konv.models import graph_config
from konv.models.fusion import fused
from konv.models.graph import Graph

Sizes = tuple[int, ...]
"""A shape that is known."""

LATER: Final = object()
"""Stands for the inputs and outputs of a model that is connected after it was made."""

M = TypeVar("M", bound="GraphModel")


class GraphModel(Layer):
    """The layers that lead from input tensors to output tensors, see `konv.Model`.

    Parameters
    ----------
    inputs, outputs, name, trainable
        As `konv.Model` takes them; the first two may be `LATER`.

    Attributes
    ----------
    input_shape, output_shape : tuple
        With the batch; () until they are known. A list of them for several inputs or outputs.

    Examples
    --------
    >>> from konv.layers import Dense, Input
    >>> x = Input((4,))
    >>> model = GraphModel(x, Dense(2)(x))
    >>> model.output_shape, [layer.count_params() for layer in model.layers]
    ((None, 2), [0, 10])
    """

    _noun = "model"

    input_shape: Any
    output_shape: Any

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True) -> None:
        self._graph = Graph.chain([])
        super().__init__(name=name)
        self._reach([], [])
        if inputs is not LATER:
            self._lead(inputs, outputs)
        if not flag(self.label, "trainable", trainable):
            self.trainable = False

    def _lead(self, inputs: Any, outputs: Any) -> None:
        """Take the tensors from which and to which the graph leads."""
        where = self.label
        starts = _tensors(where, "inputs", _in_order(where, inputs))
        ends = _tensors(where, "outputs", outputs)
        if len(set(starts)) < len(starts):
            raise ValueError(
                f"{where}: inputs must be different tensors, received {[tensor.name for tensor in starts]}"
            )
        if len({tensor.dtype for tensor in starts}) > 1:
            raise ValueError(
                f"{where}: inputs must have one dtype, received {[tensor.dtype.name for tensor in starts]}"
            )
        self._graph, input_layers = Graph.between(where, starts, ends)
        tensors = [layer.output for layer in input_layers]
        if tensors != starts:  # an input came from the middle of another model
            ends = self._graph.connect(tensors)
        self.dtype = starts[0].dtype
        self.several_inputs = len(starts) > 1
        self.several_outputs = len(ends) > 1
        self._reach(input_layers, ends)

    def _reach(self, starts: list[InputLayer], ends: list[Tensor]) -> None:
        """Note where the graph begins and ends; both lists are empty while the input shape isn't known."""
        self.built = bool(starts and self.layers)
        self._input_layers = starts
        self._input_tensors = [layer.output for layer in starts] if self.built else []
        self._output_tensors = ends if self.built else []
        shapes = [layer.batch_shape for layer in starts] or [()]
        self.input_shape = shapes if self.several_inputs else shapes[0]
        shapes = [tensor.shape for tensor in ends] or [()]
        self.output_shape = shapes if self.several_outputs else shapes[0]

    # Structure.

    @property
    def graph(self) -> Graph:
        """The calls of the layers."""
        return self._graph

    @property
    def layers(self) -> list[Layer]:
        """The layers, each once, those farther from the outputs first."""
        return list(self.graph.layers)

    @property
    def inputs(self) -> list[Tensor]:
        """Tensors of the inputs; none while the input shape isn't known."""
        return list(self._input_tensors)

    @property
    def outputs(self) -> list[Tensor]:
        """Tensors of the outputs; none while the input shape isn't known."""
        return list(self._output_tensors)

    @property
    def input(self) -> Any:
        """Tensor of the input, or a list if there are several."""
        inputs = self._known("input", self.inputs)
        return inputs if self.several_inputs else inputs[0]

    @property
    def output(self) -> Any:
        """Tensor of the output, or a list if there are several."""
        outputs = self._known("output", self.outputs)
        return outputs if self.several_outputs else outputs[0]

    def _known(self, wanted: str, tensors: list[Tensor]) -> list[Tensor]:
        if not tensors:
            raise AttributeError(  # so that hasattr is false
                f"{self.label}: {wanted} needs a built model, received one without input shape"
            )
        return tensors

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return [tensor.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that give the outputs, numbered where one gives several."""
        names = [tensor.name for tensor in self.outputs]
        counts, taken, numbers = Counter(names), set(names), Counter[str]()
        unique = []
        for name in names:
            fresh = name
            if counts[name] > 1:
                while numbers[name] == 0 or fresh in taken:
                    numbers[name] += 1
                    fresh = f"{name}_{numbers[name]}"
                taken.add(fresh)
            unique.append(fresh)
        return unique

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

    @property
    def layer_calls(self) -> int:
        return self.graph.layer_calls

    @property
    def output_activations(self) -> list[str | None]:
        """For each output "softmax" or "sigmoid" if it ends in it and that can be left out, or None."""
        return self.graph.output_activations()

    @property
    def ends_in(self) -> str | None:
        activations = self.output_activations
        return activations[0] if len(activations) == 1 else None

    @property
    def trainable(self) -> bool:
        """Whether its weights have gradients; setting it sets it for every layer too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(self.label, "trainable", value)
        for layer in self.layers:
            layer.trainable = value

    # Arrays.

    def run_forward(
        self, inputs: list[Array], context: Context, logits: Sequence[bool]
    ) -> tuple[list[Array], Any]:
        shapes = [array.shape for array in inputs]
        graph = fused(self.graph, shapes, training=context.training, for_backward=context.for_backward)
        outputs, saved = graph.forward(inputs, context, logits)
        return outputs, [*saved, graph]

    def run_backward(
        self, grads: list[Array | None], saved: Any, *, needs_input: bool | Sequence[bool]
    ) -> tuple[list[Array | None], list[Array]]:
        graph: Graph = saved.pop()
        needs = [needs_input] * len(graph.inputs) if isinstance(needs_input, bool) else needs_input
        grad_inputs, by_variable = graph.backward(grads, saved, needs)
        weights = [
            by_variable[variable] if variable in by_variable else np.zeros_like(variable.value)
            for variable in self.trainable_variables
        ]
        return grad_inputs, weights

    def forward(self, inputs: Any, context: Context) -> tuple[Any, Any]:
        logits = [context.logits] * len(self.graph.outputs)
        outputs, saved = self.run_forward(inputs if self.several_inputs else [inputs], context, logits)
        return (outputs if self.several_outputs else outputs[0]), saved

    def backward(self, grad: Any, saved: Any, *, needs_input: bool) -> tuple[Any, list[Array]]:
        """Return gradients as every layer does; `saved` is emptied on the way, to free memory as soon as it
        is spent."""
        grads = grad if self.several_outputs else [grad]
        grad_inputs, grad_weights = self.run_backward(grads, saved, needs_input=needs_input)
        if not needs_input:
            return None, grad_weights
        return (grad_inputs if self.several_inputs else grad_inputs[0]), grad_weights

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes(input_shape)
        outputs = [shapes[slot] for slot in self.graph.outputs]
        return outputs if self.several_outputs else outputs[0]

    def output_shapes(self, shapes: Sequence[Sizes]) -> list[Sizes]:
        """Return the shapes of all outputs for those of all inputs."""
        starts = [tensor.shape for tensor in self._input_tensors]
        ends = [tensor.shape for tensor in self._output_tensors]
        known = all(shape[0] is None and None not in shape[1:] for shape in (*starts, *ends))
        if known and starts == [(None, *shape[1:]) for shape in shapes]:
            # As they were found when the model was connected. To find them layer by layer took an eighth of
            # the time that a step of a small model spends in Python.
            return [(shapes[0][0], *(size for size in shape[1:] if size is not None)) for shape in ends]
        result = self.compute_output_shape(list(shapes) if self.several_inputs else shapes[0])
        return list(result) if self.several_outputs else [result]

    def multiply_adds(self, input_shape: Any) -> int | None:
        graph, shapes = self.graph, self._shapes(input_shape)
        total = 0
        for step in graph.steps:
            count = step.layer.multiply_adds(graph.step_shape(step, shapes))
            if count is None:
                return None
            total += count
        return total

    def _shapes(self, input_shape: Any) -> list[Shape]:
        return self.graph.shapes(input_shape if self.several_inputs else [input_shape])

    def _checked_shape(self, input_shape: Any, low: int = 1) -> Any:
        shape = super()._checked_shape(input_shape, low)
        if self.several_inputs and len(shape) != len(self.graph.inputs):
            raise ValueError(
                f"{self.label}: inputs must be {len(self.graph.inputs)}, received {len(shape)} shapes"
            )
        return shape

    def _listed(self, inputs: Any) -> list[Any]:
        if isinstance(inputs, dict):
            names = self.input_names
            if set(inputs) != set(names):
                raise ValueError(
                    f"{self.label}: inputs must have the keys {', '.join(names)}, "
                    f"received {shown(list(inputs))}"
                )
            inputs = [inputs[name] for name in names]
        if not self.several_inputs and isinstance(inputs, (list, tuple)) and len(inputs) == 1:
            inputs = inputs[0]
        listed = super()._listed(inputs)
        if self.several_inputs and len(listed) != len(self.graph.inputs):
            raise ValueError(f"{self.label}: inputs must be {len(self.graph.inputs)}, received {len(listed)}")
        return listed

    # Weights.

    @property
    def variables(self) -> list[Variable]:
        """All weights, layer by layer, each once."""
        return list(dict.fromkeys(variable for layer in self.layers for variable in layer.variables))

    @property
    def trainable_variables(self) -> list[Variable]:
        if not self.trainable:
            return []
        return list(
            dict.fromkeys(variable for layer in self.layers for variable in layer.trainable_variables)
        )

    def named_variables(self) -> list[tuple[str, Variable]]:
        paths: dict[Variable, str] = {}
        for layer in self.layers:
            for name, variable in layer.named_variables():
                paths.setdefault(variable, f"{layer.name}/{name}")
        return [(path, variable) for variable, path in paths.items()]

    # Descriptions.

    def __repr__(self) -> str:
        names = ", ".join(layer.name for layer in self.layers)
        return f"<{type(self).__name__} name={self.name} layers=[{names}]>"

    def get_config(self) -> dict[str, Any]:
        """Return a description that `from_config` makes a model like this one of; `json` can write it."""
        described = graph_config.described(self.label, self.graph, self.input_names)
        return {"name": self.name, "trainable": self.trainable, **described}

    @classmethod
    def from_config(
        cls: type[M], config: dict[str, Any], custom_objects: dict[str, type[Layer]] | None = None
    ) -> M:
        """Make a model, with new weights, from what `get_config` returned.

        Parameters
        ----------
        config : dict
        custom_objects : dict, optional
            Classes of layers that aren't Konv's, by name.
        """
        arguments = graph_config.arguments(cls.__name__, config, custom_objects)
        model = cls(arguments.inputs, arguments.outputs, name=arguments.name)
        model._trainable = arguments.trainable  # without freezing layers, which know it themselves
        return model

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the tensors: they lead through the whole graph, which a pickle would follow."""
        return super().__getstate__() | {"_input_tensors": [], "_output_tensors": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.built:
            self._input_tensors = [layer.output for layer in self._input_layers]
            self._output_tensors = self.graph.connect(self._input_tensors)


def _in_order(where: str, inputs: Any) -> Any:
    """Return a dict's tensors in the order of their names, as Keras does."""
    if not isinstance(inputs, dict):
        return inputs
    for name, tensor in inputs.items():
        if isinstance(tensor, Tensor) and tensor.name != name:
            raise ValueError(
                f"{where}: each key of inputs must be the name of its tensor, '{tensor.name}', "
                f"received {shown(name)}"
            )
    return [inputs[name] for name in sorted(inputs, key=str)]


def _tensors(where: str, name: str, value: Any) -> list[Tensor]:
    tensors = list(value) if isinstance(value, (list, tuple)) else [value]
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        wrong = next((each for each in tensors if not isinstance(each, Tensor)), value)
        raise TypeError(
            f"{where}: {name} must be a tensor, as konv.Input and calls of layers on it return, "
            f"or a list of them, received {shown(wrong)}"
        )
    return tensors
