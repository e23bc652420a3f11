"""Graphs of layers: the order in which a model's layers run, forward and backward.

Every tensor of a model has a slot, and a step is one call of a layer on slots. Forward, the array in a slot
is dropped after the last step that reads it; backward, the steps run in reverse, gradients of a slot that
several steps read are added, and a step is skipped if neither a weight nor an input below it needs it.
A step may do the work of layers that follow as well (`fusion.py`).
The graph itself holds no array, so that several threads can run one model.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from konv._arguments import Shape
from konv.backend import Array
from konv.layers.base import Call, Layer
from konv.layers.context import Context
from konv.layers.input import InputLayer
from konv.layers.tensor import Node, Tensor
from konv.layers.variable import Variable
from konv.models.inference import bound_steps, succeeds
from konv.models.step import Step

Key = TypeVar("Key", int, Variable)


@dataclass(frozen=True, eq=False)
class Graph:
    """Layers, and the steps that call them, each after those whose outputs it reads.

    Attributes
    ----------
    layers : tuple of Layer
    steps : tuple of Step
    inputs, outputs : tuple of int
        Slots of the whole graph's inputs and outputs.
    size : int
        Number of slots.
    known : tuple of Shape
        Shapes of the tensors in the slots; empty where layers were connected without tensors.

    Examples
    --------
    >>> from konv.layers import Flatten, Softmax
    >>> graph = Graph.chain([Flatten(), Softmax()])
    >>> [(step.inputs, step.outputs) for step in graph.steps]
    [((0,), (1,)), ((1,), (2,))]
    """

    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    size: int
    known: tuple[Shape, ...] = ()

    @classmethod
    def chain(cls, layers: Iterable[Layer]) -> Graph:
        """Return the graph of layers one after another, each with one input and one output."""
        layers = tuple(layers)
        steps = tuple(
            Step(layer, position, 0, (position,), (position + 1,)) for position, layer in enumerate(layers)
        )
        return cls(layers, steps, (0,), (len(layers),), len(layers) + 1)

    @classmethod
    def between(
        cls, where: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> tuple[Graph, list[InputLayer]]:
        """Return the graph that leads from tensors to tensors, and the layers of its inputs.

        An input that an `InputLayer` didn't make gets a new one. Layers are in Keras's order: those farther
        from the outputs first, and then as a walk back from the outputs meets them.

        Raises
        ------
        ValueError
            If the outputs need an input that isn't given, or two layers have one name.
        """
        sources = {tensor: _input_layer(tensor) for tensor in inputs}
        walk = _Walk(where, sources)
        for output in outputs:
            walk.back_from(output)
        layers = walk.layers_in_order()
        names = Counter(layer.name for layer in layers)
        name, count = names.most_common(1)[0]
        if count > 1:
            raise ValueError(
                f"{where}: layers must have different names, received {count} named '{name}'; "
                "give them others with name="
            )
        positions = {layer: position for position, layer in enumerate(layers)}
        slots = {tensor: slot for slot, tensor in enumerate(inputs)}
        calls: Counter[Layer] = Counter()
        steps = []
        for node in walk.nodes:
            given = tuple(slots[tensor] for tensor in node.inputs)
            for tensor in node.outputs:
                slots[tensor] = len(slots)
            made = tuple(slots[tensor] for tensor in node.outputs)
            steps.append(
                Step(node.layer, positions[node.layer], calls[node.layer], given, made, node.training)
            )
            calls[node.layer] += 1
        ends = tuple(slots[tensor] for tensor in outputs)
        known = tuple(tensor.shape for tensor in slots)
        graph = cls(tuple(layers), tuple(steps), tuple(range(len(inputs))), ends, len(slots), known)
        return graph, list(sources.values())

    @cached_property
    def _spent(self) -> list[list[int]]:
        """For each step the slots that nothing reads after it."""
        last = {
            slot: number for number, step in enumerate(self.steps) for slot in (*step.outputs, *step.reads)
        }
        spent: list[list[int]] = [[] for _ in self.steps]
        for slot, number in last.items():
            if slot not in self.outputs:
                spent[number].append(slot)
        return spent

    @cached_property
    def numbers(self) -> dict[Step, int]:
        """For each step its place in the order."""
        return {step: number for number, step in enumerate(self.steps)}

    @cached_property
    def makers(self) -> dict[int, Step]:
        """For each slot but the inputs' the step that makes it."""
        return {slot: step for step in self.steps for slot in step.outputs}

    @cached_property
    def only_readers(self) -> dict[int, Step]:
        """For each slot that just one step reads, and only once, and that is no output, that step."""
        return {
            slot: step
            for step in self.steps
            for slot in step.inputs
            if self._uses[slot] == 1 and slot not in self.inputs
        }

    @cached_property
    def _uses(self) -> Counter[int]:
        """How often each slot is read, or an output."""
        return Counter([slot for step in self.steps for slot in step.inputs] + list(self.outputs))

    @cached_property
    def fusions(self) -> dict[tuple[tuple[int, ...], frozenset[int]], Graph]:
        """What `fusion.fused` made of this graph, by how many steps became one and by the slots of which the
        reader takes the gradient of a ReLU; never this graph itself."""
        return {}

    @cached_property
    def layer_calls(self) -> int:
        """Layers that a pass runs, those of models inside counted."""
        return sum(step.layer.layer_calls for step in self.steps)

    @cached_property
    def is_chain(self) -> bool:
        """Whether each step reads what the one before made, and nothing else."""
        return self.outputs == (self.size - 1,) and all(
            step.inputs == (slot,) and step.outputs == (slot + 1,) and step.call == 0
            for slot, step in enumerate(self.steps)
        )

    def output_activations(self) -> list[str | None]:
        """For each output the activation that can be left out, None if it has none or another use."""
        activations: list[str | None] = []
        for slot in self.outputs:
            step = self.makers.get(slot)
            activation = None
            if step is not None and self._uses[slot] == 1:
                endings = step.layer.output_activations
                index = step.outputs.index(slot)
                activation = endings[index] if index < len(endings) else None
            activations.append(activation)
        return activations

    def shapes(self, input_shapes: Sequence[Shape]) -> list[Shape]:
        """Return the shape in each slot for inputs of shapes."""
        shapes: list[Shape] = [()] * self.size
        for slot, shape in zip(self.inputs, input_shapes, strict=True):
            shapes[slot] = shape
        for step in self.steps:
            made = step.layer.compute_output_shape(self.step_shape(step, shapes))
            for slot, shape in zip(step.outputs, made if step.layer.several_outputs else [made], strict=True):
                shapes[slot] = shape
        return shapes

    def step_shape(self, step: Step, shapes: Sequence[Shape]) -> Any:
        """Return the input shape of a step as its layer takes it, of the shapes in all slots."""
        if step.layer.several_inputs:
            return [shapes[slot] for slot in step.inputs]
        return shapes[step.inputs[0]]

    def connect(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Call the layers on tensors, in order, and return the outputs' tensors."""
        tensors = dict(zip(self.inputs, inputs, strict=True))
        for step in self.steps:
            node = step.layer.connect([tensors[slot] for slot in step.inputs], step.training)
            tensors.update(zip(step.outputs, node.outputs, strict=True))
        return [tensors[slot] for slot in self.outputs]

    def forward(
        self, inputs: Sequence[Array], context: Context, logits: Sequence[bool]
    ) -> tuple[list[Array], list[Any]]:
        """Return the outputs, and what each step keeps for its gradient.

        `logits` says for each output whether to leave out its activation, where that can be done.
        """
        arrays: list[Any] = [None] * self.size
        for slot, array in zip(self.inputs, inputs, strict=True):
            arrays[slot] = array
        left_out: frozenset[int] = frozenset()
        if any(logits):
            ends = zip(self.outputs, logits, self.output_activations(), strict=True)
            left_out = frozenset(slot for slot, wanted, ending in ends if wanted and ending is not None)
        saved = []
        ready: deque[Call] = deque()  # of the steps that come next
        for number, (step, spent) in enumerate(zip(self.steps, self._spent, strict=True)):
            if not (ready or context.for_backward):
                # Looked up each time, for a layer that ran may have changed others.
                bound = bound_steps(self, inputs, context.backend, left_out)
                ready.extend(bound.from_step(number, self, arrays))
            if not (ready and succeeds(ready.popleft(), step, arrays)):
                ready.clear()
                kept = _run(step, arrays, context, left_out)
                if context.for_backward:
                    saved.append(kept)
                del kept
            for slot in spent:
                arrays[slot] = None
        return [arrays[slot] for slot in self.outputs], saved

    def backward(
        self, grads: Sequence[Array | None], saved: list[Any], needs_input: Sequence[bool]
    ) -> tuple[list[Array | None], dict[Variable, Array]]:
        """Return the gradients of the inputs that need one, and of the weights; those that no gradient comes
        to are missing.

        `saved` is emptied on the way, to free memory as soon as it is spent.
        """
        needed, runs = self._needed(needs_input)
        gradients: dict[int, Array] = {}
        by_variable: dict[Variable, Array] = {}
        for number, run in enumerate(runs):
            if not run:
                saved[number] = None
        for slot, grad in zip(self.outputs, grads, strict=True):
            if needed[slot]:
                _add(gradients, slot, grad)
        for step, run in zip(reversed(self.steps), reversed(runs), strict=True):
            kept = [saved.pop()]
            own = [gradients.pop(slot, None) for slot in step.outputs]
            if not run or all(grad is None for grad in own):
                continue
            layer = step.layer
            needs = [needed[slot] for slot in step.inputs]
            grad_inputs, grad_weights = layer.run_backward(own, kept.pop(), needs_input=needs)
            del own
            # The list of inputs' gradients may be empty where none is needed.
            for slot, need, grad in zip(step.inputs, needs, grad_inputs, strict=False):
                if need:
                    _add(gradients, slot, grad)
            variables = layer.trainable_variables
            if len(grad_weights) != len(variables):
                raise ValueError(
                    f"{layer.label}: backward must return {len(variables)} gradients of weights, "
                    f"received {len(grad_weights)}"
                )
            for variable, grad in zip(variables, grad_weights, strict=True):
                _add(by_variable, variable, grad)
            del grad_inputs, grad_weights
        return [gradients.get(slot) for slot in self.inputs], by_variable

    def _needed(self, needs_input: Sequence[bool]) -> tuple[list[bool], list[bool]]:
        """Whether the gradient is needed of each slot, and whether each step must run backward."""
        needed = [False] * self.size
        for slot, need in zip(self.inputs, needs_input, strict=True):
            needed[slot] = need
        runs = []
        for step in self.steps:
            run = any(needed[slot] for slot in step.inputs) or bool(step.layer.trainable_variables)
            runs.append(run)
            for slot in step.outputs:
                needed[slot] = run
        return needed, runs


def _run(step: Step, arrays: list[Any], context: Context, left_out: Container[int]) -> Any:
    """Run a step on the arrays in the slots, and return what it keeps for its gradient."""
    made, kept = step.layer.run_forward(
        [arrays[slot] for slot in step.inputs],
        context.within(
            step.position,
            call=step.call,
            training=step.training,
            norm=step.norm,
            addend=None if step.addend is None else arrays[step.addend],
            relu=step.relu,
            masks=step.masks,
            masked=step.masked,
        ),
        [slot in left_out for slot in step.outputs],
    )
    for slot, array in zip(step.outputs, made, strict=True):
        arrays[slot] = array
    return kept


def _add(sums: dict[Key, Array], key: Key, grad: Array | None) -> None:
    """Add a gradient to what there is, in a new array: both may have other uses."""
    if grad is not None:
        sums[key] = sums[key] + grad if key in sums else grad


def _input_layer(tensor: Tensor) -> InputLayer:
    """Return the layer that made an input, or a new one for an input from the middle of another model."""
    layer = tensor.node.layer
    if isinstance(layer, InputLayer):
        return layer
    return InputLayer(tensor.shape[1:], tensor.shape[0], tensor.dtype)


class _Walk:
    """A walk from tensors back to the sources, depth first and without recursion."""

    def __init__(self, where: str, sources: dict[Tensor, InputLayer]) -> None:
        self._where = where
        self._sources = sources
        self.nodes: list[Node] = []  # each after those that it reads of
        self._order: list[Node | InputLayer] = []  # the same with the inputs in between
        self._finished: set[Node | InputLayer] = set()
        self._met: dict[Layer, None] = {}  # in the order in which they were met

    def back_from(self, output: Tensor) -> None:
        open_nodes: list[tuple[Node, int]] = []
        self._enter(output, open_nodes, output.name)
        while open_nodes:
            node, done = open_nodes.pop()
            if done < len(node.inputs):
                open_nodes.append((node, done + 1))
                self._enter(node.inputs[done], open_nodes, node.layer.name)
            elif node not in self._finished:
                self._finished.add(node)
                self.nodes.append(node)
                self._order.append(node)

    def _enter(self, tensor: Tensor, open_nodes: list[tuple[Node, int]], reader: str) -> None:
        source = self._sources.get(tensor)
        if source is not None:
            self._met.setdefault(source)
            if source not in self._finished:
                self._finished.add(source)
                self._order.append(source)
        elif isinstance(tensor.node.layer, InputLayer):
            raise ValueError(
                f"{self._where}: outputs must depend on nothing but the inputs, "
                f"received '{reader}', which needs the input '{tensor.name}' too"
            )
        elif tensor.node not in self._finished:
            self._met.setdefault(tensor.node.layer)
            open_nodes.append((tensor.node, 0))

    def layers_in_order(self) -> list[Layer]:
        depths: dict[Node | InputLayer, int] = {}
        by_layer: dict[Layer, int] = {source: 0 for source in self._sources.values()}
        for place in reversed(self._order):
            layer = place if isinstance(place, InputLayer) else place.layer
            depth = max(depths.get(place, 0), by_layer.get(layer, 0))
            by_layer[layer] = depth
            if isinstance(place, Node):
                for tensor in place.inputs:
                    below = self._sources.get(tensor) or tensor.node
                    depths[below] = max(depth + 1, depths.get(below, 0))
        met = {layer: number for number, layer in enumerate(self._met)}
        return sorted(by_layer, key=lambda layer: (-by_layer[layer], met.get(layer, -1)))
