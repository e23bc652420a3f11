"""Graphs of layers as plain values, and back.

`layers` describes each layer, `calls` says in order which layer is called on which tensors; a tensor is
`[name of the layer, number of its call, number of the output]`. A call can only name tensors of calls before
it, so no description leads in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from konv._arguments import class_and_config, flag, shown
from konv.layers.base import Layer
from konv.layers.input import InputLayer
from konv.layers.tensor import Tensor
from konv.layers.variable import Variable
from konv.models.graph import Graph
from konv.models.registry import layer_from_config

_KEYS = ("name", "trainable", "layers", "calls", "inputs", "outputs")
_CALL_KEYS = ("layer", "inputs", "training")

# Layers that the models inside a described model may run. Some levels of models that each call the one inside
# ten times would take forever to connect, though their description is short.
_MOST_INNER_CALLS = 100_000


@dataclass(frozen=True)
class Arguments:
    """What `konv.Model` takes."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    name: str
    trainable: bool


def described(where: str, graph: Graph, input_names: Sequence[str]) -> dict[str, Any]:
    """Describe a graph, as `arguments` takes it beside the model's name and whether it is trainable."""
    references: dict[int, list[Any]] = {
        slot: [name, 0, 0] for slot, name in zip(graph.inputs, input_names, strict=True)
    }
    for step in graph.steps:
        for index, slot in enumerate(step.outputs):
            references[slot] = [step.layer.name, step.call, index]
    return {
        "layers": described_layers(where, graph.layers),
        "calls": [
            {
                "layer": step.layer.name,
                "inputs": [references[slot] for slot in step.inputs],
                "training": step.training,
            }
            for step in graph.steps
        ],
        "inputs": list(input_names),
        "outputs": [references[slot] for slot in graph.outputs],
    }


def described_layers(where: str, layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """Describe layers by their classes and configs.

    Raises
    ------
    ValueError
        If two of them hold the same weights, as nested models can: they would come back apart.
    """
    owners: dict[Variable, Layer] = {}
    for layer in layers:
        for variable in layer.variables:
            owner = owners.setdefault(variable, layer)
            if owner is not layer:
                raise ValueError(
                    f"{where}: each weight must be of one of its layers alone to be described, "
                    f"received '{variable.name}' shared by {owner.label} and {layer.label}"
                )
    return [class_and_config(layer) for layer in layers]


def check_keys(where: str, config: Any, keys: Sequence[str]) -> None:
    """Raise unless a config is a dict with just these keys, of which `layers` is a list."""
    if not isinstance(config, dict):
        raise TypeError(f"{where}: config must be a dict, received {shown(config)}")
    if set(config) != set(keys) or not isinstance(config["layers"], list):
        raise ValueError(
            f"{where}: config must have {', '.join(keys)}, and layers be a list, received {shown(config)}"
        )


def arguments(where: str, config: Any, custom_objects: dict[str, type[Layer]] | None) -> Arguments:
    """Make new layers, and connect them as a config says.

    Raises
    ------
    TypeError
        If the config is no dict.
    ValueError
        If it is of another form than `described` gives, or describes no graph.
    """
    check_keys(where, config, _KEYS)
    layers: dict[str, Layer] = {}
    for each in config["layers"]:
        layer = layer_from_config(each, custom_objects)
        if layer.name in layers:
            raise ValueError(f"{where}: layers must have different names, received a second '{layer.name}'")
        layers[layer.name] = layer
    tensors = _Tensors(where, layers)
    calls = config["calls"]
    if not isinstance(calls, list):
        raise ValueError(f"{where}: calls must be a list, received {shown(calls)}")
    for call in calls:
        tensors.call(call)
    names = config["inputs"]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{where}: inputs must be a list of names, received {shown(names)}")
    starts = tensors.find([[name, 0, 0] for name in names])
    ends = tensors.find(config["outputs"])
    return Arguments(starts, ends, config["name"], flag(where, "trainable", config["trainable"]))


class _Tensors:
    """The tensors made so far, by layer, call and output."""

    def __init__(self, where: str, layers: dict[str, Layer]) -> None:
        self._where = where
        self._layers = layers
        self._inner_calls = 0
        self._made: dict[str, list[tuple[Tensor, ...]]] = {
            name: [(layer.output,)] if isinstance(layer, InputLayer) else [] for name, layer in layers.items()
        }

    def call(self, described: Any) -> None:
        if not isinstance(described, dict) or set(described) != set(_CALL_KEYS):
            raise ValueError(
                f"{self._where}: each call must have {', '.join(_CALL_KEYS)}, received {shown(described)}"
            )
        name, training = described["layer"], described["training"]
        layer = self._layers.get(name) if isinstance(name, str) else None
        if layer is None or isinstance(layer, InputLayer):
            raise ValueError(
                f"{self._where}: each call must name one of the layers that are no inputs, "
                f"received {shown(name)}"
            )
        inputs = self.find(described["inputs"])
        if not inputs or (len(inputs) > 1 and not layer.several_inputs):
            raise ValueError(f"{self._where}: {layer.label} must have one input, received {len(inputs)}")
        self._inner_calls += layer.layer_calls - 1
        if self._inner_calls > _MOST_INNER_CALLS:
            raise ValueError(
                f"{self._where}: models inside must run at most {_MOST_INNER_CALLS:,} layers in all, "
                f"received more with {layer.label}"
            )
        if training is not None:
            training = flag(self._where, "training of a call", training)
        outputs = layer(inputs if layer.several_inputs else inputs[0], training=training)
        self._made[layer.name].append(tuple(outputs) if layer.several_outputs else (outputs,))

    def find(self, references: Any) -> list[Tensor]:
        if not isinstance(references, list):
            raise ValueError(f"{self._where}: tensors must be a list, received {shown(references)}")
        return [self._find(reference) for reference in references]

    def _find(self, reference: Any) -> Tensor:
        if isinstance(reference, list) and len(reference) == 3:
            name, call, index = reference
            made = self._made.get(name, []) if isinstance(name, str) else []
            if type(call) is int and 0 <= call < len(made):
                outputs = made[call]
                if type(index) is int and 0 <= index < len(outputs):
                    return outputs[index]
        raise ValueError(
            f"{self._where}: each tensor must be [layer, call, output] of a call before, "
            f"received {shown(reference)}"
        )
