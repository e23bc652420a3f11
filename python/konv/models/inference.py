"""Inference: layers that are one kernel each are called right after one another.

A kernel goes through megabytes, so what Python does after it runs with cold caches: 40 us from one layer
of ResNet-50 to the next, while OpenMP's threads fall asleep, and 9 us where caches are warm. So as many
layers as can be are bound (`Layer.bind`) before the first of them runs, and little is left to do in between.
What is bound is kept until anything changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from konv import _prepared
from konv.backend import BACKENDS, Array, Backend
from konv.layers.base import Call
from konv.models.step import Step

if TYPE_CHECKING:
    from konv.models.graph import Graph

_ERRORS = (TypeError, ValueError, MemoryError)

_Kind = tuple[type, Any]


def _kind(array: Any) -> _Kind:
    """Return what layers are bound to: the type, and of arrays the shape of an image. A layer of a user's own
    may make anything."""
    return type(array), array.shape[1:] if type(array) in BACKENDS else None


class BoundSteps:
    """The steps of a graph that are bound, run after run of them.

    Parameters
    ----------
    backend : Backend
    keep : frozenset of int
        Slots; steps that make them aren't bound.
    """

    def __init__(self, backend: Backend, keep: frozenset[int]) -> None:
        self._backend = backend
        self._keep = keep
        self._runs: dict[int, tuple[dict[int, _Kind], list[Call]]] = {}  # what they read, and calls

    def from_step(self, number: int, graph: Graph, arrays: Sequence[Any]) -> list[Call]:
        """Bind steps of the graph, from that of a number on, as far as their inputs lie on the backend and
        layers can be bound; `arrays` holds what is in the slots before that step."""
        known = self._runs.get(number)
        if known is None or any(_kind(arrays[slot]) != kind for slot, kind in known[0].items()):
            read, calls = dict[int, _Kind](), list[Call]()
            try:
                for call in self._bind(islice(graph.steps, number, None), arrays, read):
                    calls.append(call)
            except MemoryError:
                return calls  # and isn't kept: there may be more memory the next time
            known = self._runs[number] = read, calls
        return known[1]

    def _bind(self, steps: Iterable[Step], arrays: Sequence[Any], read: dict[int, _Kind]) -> Iterable[Call]:
        """Bind steps; `read` is told of each slot that they read."""
        shapes: dict[int, tuple[int, ...]] = {}
        for step in steps:
            for slot in step.reads:
                if slot not in shapes:
                    read[slot] = _kind(arrays[slot])
                    if BACKENDS.get(type(arrays[slot])) is not self._backend:
                        return
                    shapes[slot] = arrays[slot].shape
            if step.layer.several_inputs or step.outputs[0] in self._keep:
                return
            layer, shape = step.layer, shapes[step.inputs[0]]
            try:
                call = layer.bind(shape, norm=step.norm, relu=step.relu, backend=self._backend)
                shapes[step.outputs[0]] = layer.compute_output_shape(shape)
            except (TypeError, ValueError):  # as `forward` will tell
                return
            if call is None:
                return
            yield call


def bound_steps(graph: Graph, inputs: Sequence[Array], backend: Backend, keep: frozenset[int]) -> BoundSteps:
    """Return what is bound of a graph for inputs, of any number of images, on a backend."""
    shapes = tuple(array.shape[1:] for array in inputs)
    key = (shapes, backend.name, keep, os.environ.get("KONV_ALGORITHM"))
    return _prepared.while_unchanged(graph, key, lambda: BoundSteps(backend, keep))


def succeeds(call: Call, step: Step, arrays: list[Any]) -> bool:
    """Run a step that was bound; False: its layer's `forward` is to be called, which says what is wrong, or
    frees memory."""
    try:
        addend = None if step.addend is None else arrays[step.addend]
        arrays[step.outputs[0]] = call(arrays[step.inputs[0]], addend)
    except _ERRORS:
        return False
    return True
