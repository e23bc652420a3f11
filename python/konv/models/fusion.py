"""Fusion: a layer does the work of those that follow it, in one pass over the data.

A layer that `fuses` takes over batch normalization by moving averages, a sum and ReLU, in this order (layers
say so by `fused_as`) if nothing else reads what is between them: convolutions and dense layers all, `Add` and
batch normalization ReLU. The graph that results has fewer steps on the same slots. A sum is taken over only
where `backward` won't follow, of two arrays of one known shape, if the other one is there before the layer
runs and the inputs are such as the shapes are known for.

Where `backward` follows, a ReLU before max pooling is done after it instead, which gives the same: it has a
fraction of the elements there, and what was pooled need not be kept; so is the gradient of a layer's own
ReLU. The gradient of a ReLU right before batch normalization, or before max pooling right before it, is taken
in the pass that gives the normalization's own.

Results with sums and ReLU have the bits of the layers one by one. Normalization goes into kernel and bias,
only where `backward` won't follow, and rounds differently: outputs `scale * (sum(x * w) + bias - mean) +
beta` by at most `8 * u * (|beta| + |scale| * (|mean| + |bias| + sum(|x * w|)))`, where u is the unit
roundoff, plus twice the error that the algorithm of the convolution may have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from konv import _prepared
from konv._arguments import Shape
from konv.layers.batch_normalization import BatchNormalization
from konv.models.graph import Graph
from konv.models.step import Step


def fused(graph: Graph, shapes: Sequence[Shape], *, training: bool, for_backward: bool) -> Graph:
    """Return the graph with fused steps, for passes that are or aren't training, with or without `backward`,
    of inputs of shapes.

    What fuses may change with the attributes of layers, and is found anew whenever one has; the graph that
    results is kept.
    """
    sums = not for_backward and _is_known(graph, shapes)
    key = (training, for_backward, sums)
    return _prepared.while_unchanged(graph, key, lambda: _fused(graph, training, for_backward, sums))


def _fused(graph: Graph, training: bool, for_backward: bool, sums: bool) -> Graph:
    taken: set[Step] = set()
    groups = []
    for step in graph.steps:
        if step not in taken:
            followers = _followers(graph, step, training=training, for_backward=for_backward, sums=sums)
            group = (step, *followers)
            taken.update(group)
            groups.append(group)
    masked = _masked(graph, groups) if for_backward else frozenset()
    key = (tuple(len(group) for group in groups), masked)
    kept = graph.fusions.get(key)
    if kept is None:
        steps = tuple(_one_step(group, masked) for group in groups)
        kept = graph.fusions[key] = replace(graph, steps=steps)
    return kept


def _followers(graph: Graph, step: Step, *, training: bool, for_backward: bool, sums: bool) -> Iterator[Step]:
    """Give the steps that become one with a step, in order; `sums` says whether those of `Add` may."""
    norm = add = relu = False
    last = step
    if for_backward and (pooling := _pooling_of_relu(graph, step)) is not None:
        yield pooling
        return
    while (reader := _only_reader(graph, last)) is not None:
        kind = reader.layer.fused_as
        if kind == "norm" and not (norm or add or relu or for_backward):
            told = training if reader.training is None else reader.training
            norm = isinstance(reader.layer, BatchNormalization) and reader.layer.is_constant(training=told)
            if not norm:
                return
        elif kind == "add" and sums and not (add or relu):
            add = _can_add(graph, last, reader, before=step)
            if not add:
                return
        elif kind == "relu" and not relu and not (for_backward and _pooling_of_relu(graph, reader)):
            relu = True
        else:
            return
        if not step.layer.fuses(norm=norm, add=add, relu=relu):
            return
        yield reader
        last = reader


def _only_reader(graph: Graph, step: Step) -> Step | None:
    """Return the step that alone reads the output of a step."""
    return graph.only_readers.get(step.outputs[0]) if len(step.outputs) == 1 else None


def _can_add(graph: Graph, last: Step, total: Step, *, before: Step) -> bool:
    """Whether a step adds just one array to the output of the last one, of its shape, which is there before
    another step runs."""
    (output,) = last.outputs
    others = [slot for slot in total.inputs if slot != output]
    if len(others) != 1:
        return False
    (other,) = others
    shape, maker = graph.known[output], graph.makers.get(other)
    there = maker is None or graph.numbers[maker] < graph.numbers[before]
    return there and graph.known[other] == shape and None not in shape[1:]


def _is_known(graph: Graph, shapes: Sequence[Shape]) -> bool:
    """Whether the graph knows what shapes inputs of shapes lead to: a model may be called on other sizes than
    its own inputs have, and on inputs of several batches."""
    if not graph.known or len({shape[0] for shape in shapes}) > 1:
        return False
    return all(
        len(shape) == len(known)
        and all(a == b or b is None for a, b in zip(shape[1:], known[1:], strict=True))
        for shape, known in zip(shapes, (graph.known[slot] for slot in graph.inputs), strict=True)
    )


def _pooling_of_relu(graph: Graph, step: Step) -> Step | None:
    """Return the pooling that alone reads a ReLU's outputs, and after which ReLU gives the same."""
    reader = _only_reader(graph, step) if step.layer.fused_as == "relu" else None
    return reader if reader is not None and reader.layer.fused_as == "max" else None


def _masked(graph: Graph, groups: list[tuple[Step, ...]]) -> frozenset[int]:
    """Return the slots of what comes out of a ReLU whose gradient the layer takes that alone reads it."""
    slots: set[int] = set()
    for group in groups:
        if len(group) > 1:
            relu = any(step.layer.fused_as == "relu" for step in group)
        else:
            (step,) = group
            pools_relu = step.layer.fused_as == "max" and not slots.isdisjoint(step.inputs)
            relu = step.layer.ends_in_relu or pools_relu
        if relu and (reader := _only_reader(graph, group[-1])) is not None and reader.layer.masks_gradient:
            slots.update(reader.inputs)
    return frozenset(slots)


def _one_step(group: tuple[Step, ...], masked: frozenset[int]) -> Step:
    first, *followers = group
    is_masked = not masked.isdisjoint(group[-1].outputs)
    if followers and first.layer.fused_as == "relu":
        (pooling,) = followers
        return replace(pooling, inputs=first.inputs, relu=True, masked=is_masked)
    norm = next((step.layer for step in followers if isinstance(step.layer, BatchNormalization)), None)
    addend = None
    for last, step in zip(group, followers, strict=False):
        if step.layer.fused_as == "add":
            (addend,) = set(step.inputs) - set(last.outputs)
    return replace(
        first,
        outputs=group[-1].outputs,
        norm=norm,
        addend=addend,
        relu=any(step.layer.fused_as == "relu" for step in followers),
        masks=not masked.isdisjoint(first.inputs),
        masked=is_masked,
    )
