"""Inference: layers that are one kernel each are called right after one another.

A kernel goes through megabytes, so what Python does after it runs with cold caches: 40 us from one layer
of ResNet-50 to the next, while OpenMP's threads fall asleep, and 9 us where caches are warm. So as many
layers as can be are bound (`Layer.bind`) before the first of them runs, and little is left to do in between.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from konv.backend import BACKENDS, Array, Backend
from konv.models.step import Step

Call = Callable[[Array, Array | None], Array]

_ERRORS = (TypeError, ValueError, MemoryError)


def bound(steps: Iterable[Step], arrays: Sequence[Any], backend: Backend, keep: Container[int]) -> list[Call]:
    """Bind steps, from the first on, as far as their inputs lie on the backend and layers can be bound.

    `arrays` holds what is in the slots before the first step; steps that make the slots `keep` aren't bound.
    """
    shapes: dict[int, tuple[int, ...]] = {}
    calls: list[Call] = []
    for step in steps:
        for slot in step.reads:
            if slot not in shapes:
                if BACKENDS.get(type(arrays[slot])) is not backend:
                    return calls
                shapes[slot] = arrays[slot].shape
        if step.layer.several_inputs or step.outputs[0] in keep:
            return calls
        try:
            made = step.layer.bind(shapes[step.inputs[0]], norm=step.norm, relu=step.relu, backend=backend)
        except _ERRORS:  # as `forward` will tell
            return calls
        if made is None:
            return calls
        call, shapes[step.outputs[0]] = made
        calls.append(call)
    return calls


def succeeds(call: Call, step: Step, arrays: list[Any]) -> bool:
    """Run a step that was bound; False: its layer's `forward` is to be called, which says what is wrong, or
    frees memory."""
    try:
        addend = None if step.addend is None else arrays[step.addend]
        arrays[step.outputs[0]] = call(arrays[step.inputs[0]], addend)
    except _ERRORS:
        return False
    return True
